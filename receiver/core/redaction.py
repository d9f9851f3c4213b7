"""What in a text or a value is a credential, by the name that it has or by its shape; shown, it is hidden.

Stored events keep what an action needs to go on after a crash, a header of a call among it. What people and logs are
shown goes through here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from functools import lru_cache
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
    # Cut within the password: no `@` comes any more. A port is none, nor what stands for one.
    (re.compile(r"(://)[^/\s@'\":\[]+:(?!\{|\d{1,5}\W*\Z)[^/\s@'\"…]+(?=…|\Z)"), r"\1***"),
    (
        re.compile(
            r"((?:token|password|passwd|secret|api[_-]?key)[\"']?\s*[=:]\s*[\"']?)[^\s\"'&,;]{4,}", re.IGNORECASE
        ),
        r"\1***",
    ),
)

_SIGNS: Final = ("bearer", "basic", "rmd_", "://", "token", "passw", "secret", "apikey", "api_key", "api-key")
"""Every shape has one of these; most texts have none, and cost little."""

_SHORT: Final = 200
"""Characters of a text whose answer is remembered."""

_MEMBER: Final = re.compile(r'("((?:[^"\\]|\\.)*)"\s*:\s*)"(?:[^"\\]|\\.)*"?')
"""A member of a JSON object that is a text, perhaps cut off."""

SHORTEST_KNOWN: Final = 6
"""A shorter value would be found by chance in any text; the name of what holds it still hides it."""

CUT: Final = "…"
"""Stands where a text was cut off."""


def names_secret(name: object) -> bool:
    """Whether a field or header of that name holds a credential."""
    return isinstance(name, str) and _NAMES.search(name) is not None


def hide(text: str) -> str:
    """Return a text with what has the shape of a credential hidden."""
    folded = text.casefold()
    if any(sign in folded for sign in _SIGNS):
        for shape, instead in _SHAPES:
            text = shape.sub(instead, text)
    return text


class Secrets:
    """Takes credentials out of what is shown: known ones wherever they stand, others by their name or shape.

    Args:
        known: the service's own secrets, whatever they look like.
        deepest: levels of a value that are looked into.
    """

    def __init__(self, known: Collection[str] = (), deepest: int = MAX_DEPTH) -> None:
        written = {form for one in known if len(one) >= SHORTEST_KNOWN for form in _written(one)}
        found = sorted(written, key=len, reverse=True)
        self._known = re.compile("|".join(re.escape(one) for one in found)) if found else None
        self._each = found
        self._deepest = deepest
        # Labels come again and again: those of one answer are mostly the same few.
        self._again = lru_cache(maxsize=4096)(self._text)

    def text(self, text: str) -> str:
        """Return a text without credentials."""
        return self._again(text) if len(text) <= _SHORT else self._text(text)

    def _text(self, text: str) -> str:
        return hide(text if self._known is None else self._begun(self._known.sub(HIDDEN, text)))

    def _begun(self, text: str) -> str:
        """Hide what a known secret begins with where a text is cut off, at its end or before an ellipsis.

        Much is cut before it comes here: limits hold where what is too long comes in, and nobody knows secrets there.
        """
        return CUT.join(map(self._without_beginning, text.split(CUT)))

    def _without_beginning(self, text: str) -> str:
        for one in self._each:
            at = text.find(one[:SHORTEST_KNOWN], max(0, len(text) - len(one)))
            while at >= 0:
                if one.startswith(text[at:]):
                    return text[:at] + HIDDEN
                at = text.find(one[:SHORTEST_KNOWN], at + 1)
        return text

    def json_text(self, text: str) -> str:
        """Return a JSON text, whole or cut off, without credentials; what is whole is read, and written again."""
        try:
            return json.dumps(self.value(json.loads(text)), ensure_ascii=False)
        except (ValueError, RecursionError):
            named = _MEMBER.sub(lambda found: f'{found[1]}"{HIDDEN}"' if names_secret(found[2]) else found[0], text)
            # An escaped quote would end the shape of a credential before it has begun.
            return self.text(named.replace('\\"', "'"))

    def value(self, value: Any, depth: int = 0) -> Any:
        """Return a value of JSON types without credentials; those by name, and those within texts and names."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            if depth >= self._deepest:
                return HIDDEN
            return {
                self.text(name) if isinstance(name, str) else name: HIDDEN
                if inner and names_secret(name)
                else self.value(inner, depth + 1)
                for name, inner in value.items()
            }
        if isinstance(value, list | tuple):
            return HIDDEN if depth >= self._deepest else [self.value(inner, depth + 1) for inner in value]
        return value


def _written(secret: str) -> set[str]:
    """Return a text as it is, as Python quotes it in messages of errors, and as JSON does."""
    return {secret, repr(secret)[1:-1], json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}


def hide_deep(value: Any) -> Any:
    """Return a value of JSON types with its credentials hidden, those by name and those within texts."""
    return _UNKNOWN.value(value)


_UNKNOWN: Final = Secrets()
