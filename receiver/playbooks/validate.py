"""A node against a model: every mistake at its place, and what is left when the mistakes are cut out.

The second is what lets one run tell everything: the checks that need the whole file go on although a part is wrong.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from receiver.playbooks.positions import (
    ListNode,
    Loc,
    MapNode,
    Node,
    ScalarNode,
    StandIn,
    cut,
    find,
    key_place,
    path_text,
    place_of,
    plain,
    put,
    walk,
)
from receiver.playbooks.problems import Problem
from receiver.playbooks.wording import problem_of

M = TypeVar("M", bound=BaseModel)

FREE = frozenset({"parameters"})
"""Fields whose content is not the schema's to judge: an action's model does."""

_ROUNDS = 50


@dataclass(frozen=True, slots=True)
class Validated(Generic[M]):
    """A model, the node that it was made of (its paths are the model's), and the mistakes that were cut out of it."""

    model: M | None
    node: Node
    problems: tuple[Problem, ...]


def validate(model: type[M], node: Node, stand_ins: Mapping[str, str] | None = None) -> Validated[M]:
    """Validate a node.

    Args:
        model: what it should be.
        node: as it was read.
        stand_ins: for required fields, a text to go on with when theirs is wrong or missing.
    """
    problems: dict[Problem, None] = {}
    nulls = [loc for loc, one in walk(node) if loc and _is_null(one) and not FREE.intersection(map(str, loc))]
    for loc in nulls:
        text = f"{path_text(node, loc)} has no value; give one or remove the key"
        problems[Problem(key_place(node, loc), text)] = None
    whole = node
    node = cut(node, nulls)
    for _ in range(_ROUNDS):
        try:
            return Validated(model.model_validate(plain(node)), node, tuple(problems))
        except ValidationError as error:
            details = error.errors(include_url=False)
        for detail in details:
            if not _told(whole, node, detail):
                problems[problem_of(model, node, detail)] = None
        node, before = _repair(node, details, stand_ins or {}), node
        if node == before:
            break
    return Validated(None, node, tuple(problems))


def loc_of(detail: ErrorDetails) -> Loc:
    """Return the path of an error; pydantic marks the key of a mapping itself by a last part of its own."""
    return tuple(part for part in detail["loc"] if part != "[key]")


def _is_null(node: Node) -> bool:
    return isinstance(node, ScalarNode) and node.value is None


def _told(whole: Node, node: Node, detail: ErrorDetails) -> bool:
    """Whether something is missing because it was cut out in an earlier round, and told then."""
    loc = loc_of(detail)
    if detail["type"] == "too_short":
        given = find(whole, loc)
        there = given.items if isinstance(given, ListNode) else given.entries if isinstance(given, MapNode) else ()
        least: int = detail["ctx"]["min_length"]
        return len(there) >= least
    holder = find(node, loc[:-1])
    return detail["type"] == "missing" and isinstance(holder, MapNode) and loc[-1] in holder.keys


def _repair(node: Node, details: Iterable[ErrorDetails], stand_ins: Mapping[str, str]) -> Node:
    cuts: list[Loc] = []
    for detail in details:
        loc = loc_of(detail)
        last = loc[-1] if loc else None
        holder = find(node, loc[:-1])
        replaceable = isinstance(last, str) and last in stand_ins and detail["type"] != "extra_forbidden"
        if replaceable and isinstance(holder, MapNode) and not isinstance(holder.entries.get(str(last)), StandIn):
            # Its place makes a stand-in name unique.
            text = stand_ins[str(last)].format(line=holder.place.line, column=holder.place.column)
            node = put(node, loc, StandIn(place_of(node, loc), text))
            continue
        while loc and find(node, loc) is None:
            loc = loc[:-1]
        cuts.append(loc)
    return cut(node, cuts)
