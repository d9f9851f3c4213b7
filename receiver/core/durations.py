"""Durations as Prometheus writes them: `10s`, `5m`, `1h30m`."""

from __future__ import annotations

import re

_UNITS = {"y": 31_536_000.0, "w": 604_800.0, "d": 86_400.0, "h": 3_600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_DURATION = re.compile("".join(rf"(?:([0-9]{{1,9}}){unit})?" for unit in _UNITS), re.ASCII)


class DurationError(ValueError):
    """A text that is no duration; says what was found and how to write one."""


def parse_duration(text: str) -> float:
    """Return a duration in seconds.

    Units are y w d h m s ms, each at most once, from large to small, as in Prometheus. A lone `0` needs no unit.

    Raises:
        DurationError: anything else.
    """
    if text == "0":
        return 0.0
    found = _DURATION.fullmatch(text)
    if not text or found is None:
        hint = f"; write {text}s for seconds" if text.isascii() and text.isdigit() else ""
        raise DurationError(f"{text[:40]!r} is not a duration such as 10s, 5m or 1h30m{hint}")
    amounts = zip(found.groups(), _UNITS.values(), strict=True)
    return sum(int(amount) * unit for amount, unit in amounts if amount is not None)


def format_duration(seconds: float) -> str:
    """Return a duration as it would be written, exact to the millisecond: 5400.0 is `1h30m`."""
    rest = round(seconds * 1000)
    if rest <= 0:
        return "0s"
    parts = []
    for unit, size in _UNITS.items():
        if unit in {"y", "w"}:
            continue
        amount, rest = divmod(rest, round(size * 1000))
        if amount:
            parts.append(f"{amount}{unit}")
    return "".join(parts)
