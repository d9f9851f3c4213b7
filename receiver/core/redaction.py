"""What in a text or a value is a credential, by the name that it has or by its shape; shown, it is hidden.

Stored events keep what an action needs to go on after a crash, a header of a call among it. What people and logs are
shown goes through here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

HIDDEN: Final = "***"

MAX_DEPTH: Final = 8
"""Levels of a value that are looked into; what lies deeper is hidden as a whole."""

_NAMES: Final = re.compile(
    r"(?:^|_|-)(?:token|tokens|password|passwords|passwd|secret|secrets|authorization|cookie|api[_-]?key|private[_-]?key)$",
    re.IGNORECASE,
)
_SHAPES: Final = (
    # At least one character that no plain word has: "basic checks" is a sentence.
    (re.compile(r"\b((?i:bearer|basic))(\s+)(?=\S*[A-Z0-9=+/_])[A-Za-z0-9+/=._~-]{6,}"), r"\1\2***"),
    (re.compile(r"\brmd_[A-Za-z0-9_-]{8,}"), "rmd_***"),
    (re.compile(r"(://)[^/\s@'\"]+@"), r"\1***@"),
    (
        re.compile(
            r"((?:token|password|passwd|secret|api[_-]?key)[\"']?\s*[=:]\s*[\"']?)[^\s\"'&,;]{4,}", re.IGNORECASE
        ),
        r"\1***",
    ),
)


def names_secret(name: object) -> bool:
    """Whether a field or header of that name holds a credential."""
    return isinstance(name, str) and _NAMES.search(name) is not None


def hide(text: str) -> str:
    """Return a text with what has the shape of a credential hidden."""
    for shape, instead in _SHAPES:
        text = shape.sub(instead, text)
    return text


def hide_deep(value: Any, depth: int = 0) -> Any:
    """Return a value of JSON types with its credentials hidden, those by name and those within texts."""
    if isinstance(value, str):
        return hide(value)
    if isinstance(value, Mapping):
        if depth >= MAX_DEPTH:
            return HIDDEN
        return {
            name: HIDDEN if inner and names_secret(name) else hide_deep(inner, depth + 1)
            for name, inner in value.items()
        }
    if isinstance(value, list | tuple):
        return HIDDEN if depth >= MAX_DEPTH else [hide_deep(inner, depth + 1) for inner in value]
    return value
