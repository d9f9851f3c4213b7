"""How a route is described for the API's document: beside its handler, by `described`. For receiver.web.openapi."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, TypeVar

from starlette.requests import Request
from starlette.routing import Route

from receiver.people import Role

H = TypeVar("H", bound=Callable[..., Any])

JSON: Final = "application/json"
TEXT: Final = "text/plain"
EVENTS: Final = "text/event-stream"
FORM: Final = "application/x-www-form-urlencoded"

_ATTRIBUTE: Final = "__described__"


class Guard(StrEnum):
    """What a request has to bring, beyond a role."""

    PERSON = "person"
    WEBHOOK = "webhook"
    METRICS = "metrics"
    SLACK = "slack"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Parameter:
    """A query parameter or a header, by its JSON Schema."""

    name: str
    told: str
    schema: Mapping[str, Any]
    place: str = "query"


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One method of one path.

    Args:
        name: unique among all.
        told: its docstring: one sentence, and perhaps more.
        tag: the group that it stands in.
        answers: the model of its 200, or a JSON Schema; None: text.
        media: the type of its 200.
        body: the model of its body, or a JSON Schema; None: it takes none.
        body_media: the type of its body.
        body_optional: whether no body is an empty one.
        parameters: query parameters and headers.
        unready: the model of its 503, where that is no problem.
        refuses: statuses of its problems, beyond those that follow from the rest.
        guard: what it asks for.
        role: that a person needs.
    """

    name: str
    told: str
    tag: str
    answers: Any
    media: str = JSON
    body: Any = None
    body_media: str = JSON
    body_optional: bool = True
    parameters: Sequence[Parameter] = ()
    unready: Any = None
    refuses: Sequence[int] = ()
    guard: Guard = Guard.PERSON
    role: Role = Role.VIEWER


@dataclass(frozen=True, slots=True)
class Path:
    """A path with the operations that it has; those of a `DescribedRoute`, or of an ASGI application apart."""

    path: str
    operations: Mapping[str, Operation] = field(default_factory=dict)


def described(**how: Any) -> Callable[[H], H]:
    """Describe a handler; takes what `Operation` does, but its name, words and role."""

    def note(handler: H) -> H:
        setattr(handler, _ATTRIBUTE, how)
        return handler

    return note


def operation(handler: Callable[..., Any], role: Role = Role.VIEWER) -> Operation | None:
    """Return how a handler is described, None when it isn't."""
    how = getattr(handler, _ATTRIBUTE, None)
    return how and Operation(name=handler.__name__, told=handler.__doc__ or "", role=role, **how)


class DescribedRoute(Route):
    """A route that says what it takes and answers.

    Args:
        operations: by method; one that has no description is left out of the document, and a test fails.
    """

    def __init__(
        self, path: str, endpoint: Callable[[Request], Any], operations: Mapping[str, Operation | None]
    ) -> None:
        super().__init__(path, endpoint, methods=list(operations))
        self.operations = {method: one for method, one in operations.items() if one is not None}

    @classmethod
    def get(cls, path: str, handler: Callable[[Request], Any]) -> DescribedRoute:
        """Return the route of a handler that only answers GET."""
        return cls(path, handler, {"GET": operation(handler)})


def page_of(limit: int, highest: int) -> tuple[Parameter, Parameter]:
    """Return the two parameters of a list."""
    return (
        Parameter("limit", "At most so many.", {"type": "integer", "minimum": 1, "maximum": highest, "default": limit}),
        Parameter("after", "The `next` of an earlier page.", CURSOR),
    )


CURSOR: Final[Mapping[str, Any]] = {"type": "string", "pattern": "^[0-9]{1,18}$"}


def one_of(name: str, told: str, words: Sequence[str]) -> Parameter:
    """Return a parameter that is one of some words."""
    return Parameter(name, told, {"enum": list(words)})
