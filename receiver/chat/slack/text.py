"""Text for Slack: nothing in it can become a mention, a link or a channel that did not come from here; lengths held."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, TypeVar, cast

from receiver.core.phrases import clean
from receiver.core.redaction import hide

T = TypeVar("T")

_ENTITIES: Final = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
LAST_TIME: Final = 253_402_300_800


def escape(text: object, limit: int = 1000) -> str:
    """Return text on one line with `&`, `<` and `>` escaped, at most `limit` characters; no escape is cut apart.

    What has the shape of a credential is hidden before anything is cut, or a half of it would pass.
    """
    shown = clean(hide(str(text)), limit)
    escaped = shown.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    if len(escaped) <= limit:
        return escaped
    kept: list[str] = []
    room = limit - 1
    for char in shown:
        one = _ENTITIES.get(char, char)
        if len(one) > room:
            break
        kept.append(one)
        room -= len(one)
    return "".join(kept) + "…"


def safe(value: T, redact: Callable[[str], str]) -> T:
    """Return what is to be rendered without the credentials in its texts: a cut would leave halves of them."""
    shown: Any = value
    if isinstance(value, str):
        shown = redact(value)
    elif isinstance(value, Mapping):
        shown = {name: safe(inner, redact) for name, inner in value.items()}
    elif isinstance(value, list | tuple):
        shown = [safe(inner, redact) for inner in value]
    return cast("T", shown)


def said(text: object, limit: int = 1000) -> str:
    """Return escaped text, or words for there being none: Slack refuses empty texts."""
    return escape(text, limit) or "(no text)"


def code(text: object, limit: int = 300) -> str:
    """Return text as code, in which nothing is formatted."""
    return f"`{escape(str(text).replace('`', chr(0x2B9)), limit)}`"


def moment(at: object, form: str = "{time_secs}") -> str:
    """Return a time in the reader's zone; where it can't be shown so, the time of day in UTC."""
    if isinstance(at, bool) or not isinstance(at, int | float) or not 0 < at < LAST_TIME:
        return "some time"
    return f"<!date^{int(at)}^{form}|{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%SZ}>"


def mrkdwn(text: str) -> dict[str, Any]:
    """Return a text object in which Slack looks for nothing by itself: no link, no name, no channel."""
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def plain(text: str) -> dict[str, Any]:
    """Return a text object in which only emoji mean something."""
    return {"type": "plain_text", "text": text, "emoji": True}
