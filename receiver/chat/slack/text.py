"""Text for Slack: nothing in it can become a mention, a link or a channel that did not come from here; lengths held."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, TypeVar, cast

from receiver.core.phrases import clean
from receiver.core.redaction import hide

T = TypeVar("T")

_ENTITIES: Final = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
LAST_TIME: Final = 253_402_300_800
HALF_A_DAY: Final = 43_200
_TIMES: Final = re.compile(r"\b(\d{4}-\d\d-\d\d )?((?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d)Z\b", re.ASCII)


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


def zoned(text: str, at: object, most: int = 10) -> str:
    """Return escaped text with the times in it, `09:05:27Z` or with its date before it, in the reader's zone.

    Args:
        text: escaped already; the timeline says its times in UTC.
        at: UNIX seconds of what the text tells: a time without a date is the one nearest to it.
        most: times that are replaced, for each makes the text longer.
    """

    def shown(found: re.Match[str]) -> str:
        date, clock = found.groups()
        try:
            if date is not None:
                seconds = datetime.strptime(f"{date}{clock}+0000", "%Y-%m-%d %H:%M:%S%z").timestamp()
                return moment(seconds, "{date_short_pretty} {time_secs}")
            if isinstance(at, bool) or not isinstance(at, int | float) or not 0 < at < LAST_TIME:
                return found[0]
            hours, minutes, rest = map(int, clock.split(":"))
        except ValueError:  # a day that there is not
            return found[0]
        ahead = (hours * 3600 + minutes * 60 + rest - at + HALF_A_DAY) % (2 * HALF_A_DAY) - HALF_A_DAY
        seconds = round(at + ahead)
        return f"<!date^{seconds}^{{time_secs}}|{found[0]}>" if seconds > 0 else found[0]

    return _TIMES.sub(shown, text, count=most) if most > 0 else text


def mrkdwn(text: str) -> dict[str, Any]:
    """Return a text object in which Slack looks for nothing by itself: no link, no name, no channel."""
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def plain(text: str) -> dict[str, Any]:
    """Return a text object in which only emoji mean something."""
    return {"type": "plain_text", "text": text, "emoji": True}
