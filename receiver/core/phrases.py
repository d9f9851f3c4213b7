"""Small pieces of text for people: moments, durations, lists, figures; and text from outside made harmless."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

TEXT_LIMIT = 1000
"""Characters of an entry's text; what chat systems take in one section is 3,000."""

NAMES_LIMIT = 5
"""Names listed before "and n more"."""


def clean(text: str, limit: int = TEXT_LIMIT) -> str:
    """Return text on one line, without control and bidirectional characters, cut at `limit` with an ellipsis.

    Alerts bring any text; none of it may move a terminal's cursor or reorder a line.
    """
    if text.isprintable():  # no control or format character, and no space but the plain one: nothing to do
        return cut(text, limit)
    text = text[: limit * 4]
    kept = "".join(" " if char.isspace() else char for char in text if char.isspace() or _harmless(char))
    return cut(" ".join(kept.split()), limit)


def cut(text: str, limit: int) -> str:
    """Return at most `limit` characters of one line, cut between words where some end in the second half.

    Half a word could be half a credential: what hides those by their values or shapes later would not know it.
    """
    if len(text) <= limit:
        return text
    end = text.rfind(" ", 0, limit)
    return f"{text[: end if end >= limit // 2 else limit - 1]}…"


def _harmless(char: str) -> bool:
    # Cc control, Cf format (bidirectional overrides, zero width), Cs lone surrogates, Co private, Cn unassigned.
    return not unicodedata.category(char).startswith("C")


def moment(at: float | None) -> str:
    """Return a time of day, UTC: `03:12:40Z`; a word when there is none."""
    if at is None or not 0 < at < 253_402_300_800:
        return "some time"
    return f"{datetime.fromtimestamp(at, UTC):%H:%M:%S}Z"


def day(at: float) -> str:
    """Return a date and time of day, UTC: `2026-11-25 03:12:40Z`, for what may have been yesterday."""
    known = 0 < at < 253_402_300_800
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d} {moment(at)}" if known else moment(at)


def span(seconds: float) -> str:
    """Return a duration for people: `0.4 s`, `12 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`."""
    seconds = max(0.0, seconds)
    if seconds < 9.95:
        return f"{seconds:.1f}".removesuffix(".0") + " s"
    whole = round(seconds)
    for size, unit, small, small_unit in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            rest = whole % size // small
            return f"{whole // size} {unit} {rest} {small_unit}" if rest else f"{whole // size} {unit}"
    return f"{whole} s"


def listed(names: Iterable[str], limit: int = NAMES_LIMIT) -> str:
    """Return distinct names in their order, with commas, the rest counted."""
    unique = list(dict.fromkeys(names))
    more = f" and {len(unique) - limit} more" if len(unique) > limit else ""
    return ", ".join(unique[:limit]) + more


def figures(readings: Iterable[Mapping[str, Any]]) -> str:
    """Return the text of each reading, with semicolons."""
    return "; ".join(str(one.get("text") or one.get("name") or "") for one in readings)


def before_and_after(before: Iterable[Mapping[str, Any]], after: Iterable[Mapping[str, Any]]) -> str:
    """Return each figure that has a number before or after as `name before -> after unit`, else nothing."""
    return "; ".join(f"{name} {old} -> {new} {unit}".rstrip() for name, old, new, unit in compared(before, after))


def compared(before: Iterable[Mapping[str, Any]], after: Iterable[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    """Return (name, before, after, unit) of each figure that has a number before or after; `unknown` for the other."""
    earlier = {str(one.get("name")): one for one in before}
    found: list[tuple[str, ...]] = []
    for one in after:
        name = str(one.get("name"))
        old, new = (_number(earlier.get(name, {})), _number(one))
        if old is not None or new is not None:
            found.append((name, old or "unknown", new or "unknown", str(one.get("unit") or "")))
    return found


def _number(reading: Mapping[str, Any]) -> str | None:
    value = reading.get("value")
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    return f"{value:.0f}" if value == round(value) and abs(value) < 1e9 else f"{value:.3g}"


UNPLANNED = frozenset({"action", "target", "template"})
"""What stands for the guardrail where a step can't even be planned."""


def sentences(*parts: str) -> str:
    """Join parts as sentences; empty ones are left out."""
    return " ".join(part if part.endswith((".", "!", "?", "…", ".)")) else f"{part}." for part in parts if part)
