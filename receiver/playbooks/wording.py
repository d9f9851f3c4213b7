"""The words for a mistake that a model found."""

from __future__ import annotations

import difflib
import types
from collections.abc import Iterable
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from receiver.playbooks.positions import ListNode, Loc, Node, ScalarNode, find, key_place, path_text, place_of
from receiver.playbooks.problems import Place, Problem

_WANTED = {
    "string_type": "a text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
}


def suggest(word: str, known: Iterable[str]) -> str:
    """Return `; did you mean X?` for the nearest known word, nothing when none is near."""
    near = difflib.get_close_matches(word[:100], sorted(known), n=1, cutoff=0.6)
    return f"; did you mean `{near[0]}`?" if near else ""


def listed(words: Iterable[str]) -> str:
    """Return words as `a`, `b`, `c`."""
    return ", ".join(f"`{word}`" for word in words)


def problem_of(model: type[BaseModel], node: Node, detail: ErrorDetails, below: Loc = ()) -> Problem:
    """Put an error of pydantic's into words, at its place.

    Args:
        model: the model that was validated.
        node: the tree that `below` and the error's path lead into.
        detail: the error.
        below: the path of what was validated.
    """
    inner: Loc = tuple(part for part in detail["loc"] if part != "[key]")
    loc = (*below, *inner)
    kind = detail["type"]
    shown = path_text(node, loc) or "the file"
    if kind == "extra_forbidden":
        return Problem(key_place(node, loc), _unknown(model, node, loc, inner))
    if kind == "missing":
        holder = path_text(node, loc[:-1]) or "the file"
        return Problem(place_of(node, loc), f"{holder} lacks the required field `{loc[-1]}`")
    if "[key]" in detail["loc"]:
        return Problem(key_place(node, loc), f"{shown}: {_words(detail)}")
    return Problem(_place(node, loc, detail.get("ctx", {})), f"{shown}: {_words(detail)}")


def _place(node: Node, loc: Loc, context: dict[str, Any]) -> Place:
    found = find(node, loc)
    if isinstance(found, ListNode) and "item" in context and context["item"] < len(found.items):
        found = found.items[context["item"]]
    if isinstance(found, ScalarNode):
        return found.place_of(context["offset"]) if "offset" in context else found.place
    return found.place if found is not None else place_of(node, loc)


def _unknown(model: type[BaseModel], node: Node, loc: Loc, inner: Loc) -> str:
    owner = model_at(model, inner[:-1])
    known = [field.alias or name for name, field in owner.model_fields.items()] if owner is not None else []
    where = f" in {path_text(node, loc[:-1])}" if len(loc) > 1 else ""
    hint = suggest(str(loc[-1]), known) or (f"; known are {listed(known)}" if known else "")
    return f"unknown field `{loc[-1]}`{where}{hint}"


def _words(detail: ErrorDetails) -> str:
    kind, value, context = detail["type"], detail.get("input"), detail.get("ctx", {})
    if kind == "policy":
        return str(context["message"])
    if kind == "value_error":
        return str(context["error"])
    if kind in _WANTED:
        return f"needs {_WANTED[kind]}, found {_found(value)}"
    if kind == "literal_error":
        known = [word.strip("'") for word in str(context["expected"]).replace(" or ", ", ").split(", ")]
        hint = suggest(value, known) if isinstance(value, str) else ""
        return f"must be one of {listed(known)}, found {_found(value)}{hint}"
    bounds = {"greater_than_equal": ("ge", "at least"), "less_than_equal": ("le", "at most")}
    if kind in bounds:
        key, word = bounds[kind]
        return f"must be {word} {context[key]:g}, found {_found(value)}"
    if kind in {"too_short", "string_too_short"}:
        return "must not be empty"
    if kind in {"too_long", "string_too_long"}:
        return f"holds more than {context['max_length']} " + ("entries" if kind == "too_long" else "characters")
    return f"{detail['msg']}, found {_found(value)}"


def _found(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f"the text {value[:60]!r}"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    return "nothing" if value is None else f"{value}"[:60]


def model_at(model: type[BaseModel], loc: Loc) -> type[BaseModel] | None:
    """Return the model that a path leads to from another, None when the path leaves them."""
    current: Any = model
    for part in loc:
        current = _unwrap(current)
        if isinstance(current, type) and issubclass(current, BaseModel):
            field = current.model_fields.get(str(part))
            current = field.annotation if field is not None else None
        elif get_origin(current) is dict:
            current = get_args(current)[1]
        elif get_origin(current) is list:
            current = get_args(current)[0]
        else:
            return None
    current = _unwrap(current)
    return current if isinstance(current, type) and issubclass(current, BaseModel) else None


def _unwrap(annotation: Any) -> Any:
    while True:
        origin = get_origin(annotation)
        if origin is Annotated:
            annotation = get_args(annotation)[0]
        elif origin in {Union, types.UnionType}:
            annotation = next((one for one in get_args(annotation) if one is not type(None)), None)
        else:
            return annotation
