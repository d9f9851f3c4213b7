"""Reading what an API request asks for; every mistake is a problem that names its place."""

from __future__ import annotations

import difflib
from collections.abc import Collection
from typing import Final, TypeVar

import pydantic
from pydantic_core import ErrorDetails
from starlette.requests import Request

from receiver.web.body import declared_length, read_body
from receiver.web.problems import Problem

MAX_REQUEST: Final = 64 * 1024
"""Bytes of a control's body: a reason or a note."""

LONGEST_CURSOR: Final = 18
"""Digits of a place in a list."""

M = TypeVar("M", bound=pydantic.BaseModel)


class Query:
    """The query parameters of a request: known ones only, each at most once.

    Raises:
        Problem: an unknown or repeated one (400).
    """

    def __init__(self, request: Request, known: Collection[str]) -> None:
        self._values: dict[str, str] = {}
        for name, value in request.query_params.multi_items():
            if name not in known:
                near = difflib.get_close_matches(name, known, n=1)
                raise _bad(name, f"is no parameter here; {f'did you mean {near[0]}?' if near else _listed(known)}")
            if name in self._values:
                raise _bad(name, "is given twice")
            self._values[name] = value

    def text(self, name: str, limit: int = 200) -> str | None:
        """Return a text, None when it isn't given."""
        value = self._values.get(name)
        if value is not None and not 0 < len(value) <= limit:
            raise _bad(name, f"must have 1 to {limit} characters")
        return value

    def one_of(self, name: str, allowed: Collection[str]) -> str | None:
        """Return one of the allowed words, None when it isn't given."""
        value = self._values.get(name)
        if value is not None and value not in allowed:
            raise _bad(name, f"must be one of {', '.join(allowed)}")
        return value

    def flag(self, name: str) -> bool:
        """Return a yes or no, no when it isn't given."""
        return self.one_of(name, ("true", "false")) == "true"

    def count(self, name: str, default: int, highest: int) -> int:
        """Return a number from 1 up to the highest."""
        value = self._values.get(name)
        if value is None:
            return default
        if not (value.isascii() and value.isdigit() and len(value) < 10 and 1 <= int(value) <= highest):
            raise _bad(name, f"must be a whole number from 1 to {highest}")
        return int(value)

    def cursor(self, name: str) -> str | None:
        """Return the `next` of an earlier page, None when it isn't given; a slip must not look like the end."""
        value = self._values.get(name)
        if value is not None and not (value.isascii() and value.isdigit() and len(value) <= LONGEST_CURSOR):
            raise _bad(name, "must be the `next` of an earlier page")
        return value


def _bad(name: str, message: str) -> Problem:
    end = "" if message.endswith("?") else "."
    return Problem(400, f"Query parameter {name[:50]!r} {message}{end}", errors=[{"where": f"?{name[:50]}"}])


def _listed(known: Collection[str]) -> str:
    return f"known are {', '.join(known)}" if known else "there are none"


async def raw_body(request: Request, limit: int, timeout: float) -> bytes:
    """Return a JSON body's bytes within the limits.

    Raises:
        Problem: not JSON by its type (415), too large (413), too slow (408).
    """
    length = request.headers.get("content-length")
    declared_length(length.encode("latin-1") if length is not None else None, limit)
    body = await read_body(request.receive, limit, timeout)
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    # A web page can't send this type to another site without asking first (CORS), so it guards against that too.
    if body and kind != "application/json":
        raise Problem(415, "The body must be JSON: Content-Type: application/json.")
    return body


async def read_model(request: Request, model: type[M], timeout: float) -> M:
    """Return a body as a model; no body is an empty one.

    Raises:
        Problem: as `raw_body`, or what is wrong with each field (422).
    """
    body = await raw_body(request, MAX_REQUEST, timeout)
    try:
        return model.model_validate_json(body or b"{}")
    except pydantic.ValidationError as error:
        errors = [
            {"where": "$" + "".join(f".{part}" for part in one["loc"]), "message": _words(one, model)}
            for one in error.errors(include_url=False, include_input=False)
        ]
        first = errors[0]
        end = "" if first["message"].endswith("?") else "."
        raise Problem(422, f"{first['where']}: {first['message']}{end}", errors=errors[:20]) from None


def _words(error: ErrorDetails, model: type[pydantic.BaseModel]) -> str:
    """Say what is wrong with a field, without its value."""
    context = error.get("ctx", {})
    match error["type"]:
        case "extra_forbidden":
            near = difflib.get_close_matches(str(error["loc"][-1])[:100], model.model_fields, n=1)
            return f"unknown field; {f'did you mean {near[0]}?' if near else _listed(model.model_fields)}"
        case "missing":
            return "is missing"
        case "string_too_short":
            return "must not be empty"
        case "string_too_long":
            return f"is longer than {context['max_length']} characters"
        case "json_invalid":
            return f"the body is not JSON: {context['error']}"
        case _:
            return error["msg"]
