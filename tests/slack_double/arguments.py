"""A request's arguments: a form or JSON, with the token in a header or among them."""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from tests.slack_double.errors import SlackError, explained

FORM = "application/x-www-form-urlencoded"
JSON = "application/json"


class Arguments:
    """What a client sent, read as Slack reads it: in a form everything is text and structures are JSON texts.

    Args:
        values: by name.
    """

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values

    def text(self, name: str) -> str | None:
        """Return a text, or None where it is missing or empty; a number is taken for its text."""
        value = self._values.get(name)
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            return None
        return str(value) or None

    def required(self, name: str) -> str:
        """Return a text that must be there.

        Uncertain: newer methods answer `invalid_arguments` with these words (recorded for conversations.history); some
        older ones have a code of their own.
        """
        value = self.text(name)
        if value is None:
            raise explained("invalid_arguments", [f"missing required field: {name}"])
        return value

    def flag(self, name: str) -> bool:
        """Return whether something is switched on."""
        return str(self._values.get(name, "")).lower() in {"true", "1"}

    def number(self, name: str, default: int, maximum: int) -> int:
        """Return a whole number from 1, at most `maximum`."""
        value = self.text(name)
        if value is None:
            return default
        if not value.isdecimal() or int(value) < 1:
            raise SlackError("invalid_limit")
        return min(int(value), maximum)

    def given(self, name: str) -> bool:
        """Whether an argument is there at all; a null in JSON is as if it weren't."""
        return self._values.get(name) is not None

    def structure(self, name: str, error: str) -> Any:
        """Return a structure; refuse with `error` what isn't JSON."""
        value = self._values.get(name)
        if not isinstance(value, str):
            return value
        try:
            return json.loads(value)
        except ValueError:
            raise SlackError(error) from None


def read(method: str, content_type: str, query: str, body: bytes) -> tuple[Arguments, str | None]:
    """Return the arguments, and Slack's warning about the charset where it has one.

    Args:
        method: GET or POST.
        content_type: the header's value.
        query, body: as they came.
    """
    values: dict[str, Any] = dict(parse_qsl(query, keep_blank_values=True))
    kind, _, parameters = content_type.partition(";")
    kind = kind.strip().lower()
    warning = None
    if method == "POST" and body:
        if not kind:
            raise SlackError("missing_post_type")
        if kind not in {FORM, JSON}:
            raise SlackError("invalid_post_type")
        try:
            text = body.decode()
        except UnicodeDecodeError:
            raise SlackError("invalid_charset" if kind == FORM else "invalid_json") from None
        charset = "charset" in parameters.lower()
        if kind == FORM:
            values |= dict(parse_qsl(text, keep_blank_values=True))
            warning = None if charset else "missing_charset"
        else:
            values |= _object(text)
            warning = "superfluous_charset" if charset else None
    return Arguments(values), warning


def _object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        raise SlackError("invalid_json") from None
    if not isinstance(value, dict):
        raise SlackError("json_not_object")
    return value
