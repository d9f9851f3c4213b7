"""Regular expressions that mean the same in Alertmanager (RE2) and in Python, and that can't run away.

RE2 takes linear time for everything; Python's engine takes exponential time for a repeat of something that can match
the same text in several ways. So beside what only one of the two knows, a repeat without an upper bound around another
repeat or around alternatives is refused: matchers name things, they don't need it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_MAX_REPEAT = 1000
"""RE2's limit for counted repeats."""

_TOKEN = re.compile(
    r"(?P<escape>\\.)|(?P<class>\[\^?\]?(?:\\.|\[:\^?\w+:\]|[^\]\\])*\])|(?P<open>\((?:\?(?P<kind>P<|<[=!]|P[=>]|[^\w)]|[A-Za-z-]*[:)]?))?)"
    r"|(?P<close>\))|(?P<counted>\{(?P<low>\d*),?(?P<high>\d*)\})|(?P<quantifier>[*+?])|(?P<or>\|)|.",
    re.DOTALL | re.ASCII,
)
_FOREIGN_ESCAPE = re.compile(r"\\[1-9ZuUN]")
_FLAGS = re.compile(r"(?:[ims]+(?:-[ims]+)?|-[ims]+)?[:)]?")


class ExpressionError(ValueError):
    """An expression that Alertmanager would not take or that could run away; `offset` is where, from 0."""

    def __init__(self, message: str, offset: int = 0) -> None:
        super().__init__(message)
        self.offset = offset


@dataclass(slots=True)
class _Group:
    opened: int
    loops: bool = False
    branches: bool = False


def compile_expression(text: str) -> re.Pattern[str]:
    """Compile an expression; use `fullmatch`, as Alertmanager anchors it at both ends. A dot is no line break.

    Raises:
        ExpressionError: it is invalid, only Python would understand it, or it could take exponential time.
    """
    _check(text)
    try:
        return re.compile(text, re.ASCII)
    except re.error as error:
        raise ExpressionError(error.msg, error.pos or 0) from error
    except (OverflowError, RecursionError) as error:
        raise ExpressionError("is too large or too deep") from error


def alternatives(text: str) -> frozenset[str] | None:
    """Return what an expression of plain words can match, as in `a|b|c`; None when it is more than that."""
    words = text.split("|")
    return frozenset(words) if all(re.fullmatch(r"[\w \-/:@=,;%&~<>#\"'!]*", word) for word in words) else None


def _check(text: str) -> None:
    groups = [_Group(0)]
    closed: _Group | None = None
    previous = ""
    for token in _TOKEN.finditer(text):
        kind, found, offset = token.lastgroup or "", token.group(), token.start()
        if token["open"] is not None:
            _check_open(token["kind"] or "", found, offset)
            groups.append(_Group(offset))
            # Flags alone, as in (?i), are closed at once.
            if found.endswith(")"):
                groups.pop()
        elif kind == "close" and len(groups) > 1:
            closed = groups.pop()
            groups[-1].loops |= closed.loops
            groups[-1].branches |= closed.branches
            previous = "group"
            continue
        elif kind == "or":
            groups[-1].branches = True
        elif token["counted"] is not None or kind == "quantifier":
            _check_repeat(token, previous, closed if previous == "group" else None)
            if _is_unbounded(token):
                groups[-1].loops = True
            previous = "quantifier"
            continue
        else:
            _check_atom(found, offset)
        previous = "atom"


def _is_unbounded(token: re.Match[str]) -> bool:
    return token.group() in {"*", "+"} or token.group().endswith(",}")


def _check_open(kind: str, found: str, offset: int) -> None:
    if not found.startswith("(?") or kind == "P<":
        return
    if kind == "" or not _FLAGS.fullmatch(kind) or not kind.endswith((":", ")")):
        raise ExpressionError(f"{found!r} is not known to Alertmanager", offset)


def _check_atom(found: str, offset: int) -> None:
    if _FOREIGN_ESCAPE.match(found):
        raise ExpressionError(f"{found!r} is not known to Alertmanager", offset)
    # With nothing behind it, a ] that begins a class is a character of it: both engines still wait for its end.
    if found in {"[", "[]", "[^]"}:
        raise ExpressionError("a [ is never closed; write \\[ for the character", offset)
    if not found.startswith("["):
        return
    if "[:" in found:
        raise ExpressionError(f"{found!r}: write out the characters, for example [a-zA-Z0-9]", offset)
    if (inner := re.search(r"\\[1-9ZuUN]", found)) is not None:
        raise ExpressionError(f"{inner.group()!r} is not known to Alertmanager", offset + inner.start())
    if (doubled := re.search(r"--|&&|\|\||~~|\[", found[1:])) is not None:
        raise ExpressionError(f"{doubled.group()!r} in {found!r} is ambiguous; escape it", offset + 1 + doubled.start())


def _check_repeat(token: re.Match[str], previous: str, closed: _Group | None) -> None:
    found, offset = token.group(), token.start()
    if previous == "quantifier":
        if found == "?":
            return
        raise ExpressionError(f"repeat {found!r} of a repeat is not known to Alertmanager", offset)
    if token["counted"] is not None:
        if not token["low"]:
            raise ExpressionError(f"{found!r} is a repeat in Python and a text in Alertmanager; write {{0,n}}", offset)
        if max(int(token["low"][:9]), int(token["high"][:9] or 0)) > _MAX_REPEAT:
            raise ExpressionError(f"{found!r} repeats more than {_MAX_REPEAT} times", offset)
    repeats_much = _is_unbounded(token) or (token["counted"] is not None and int(token["high"] or token["low"]) > 10)
    if closed is not None and repeats_much and (closed.loops or closed.branches):
        what = "a repeat" if closed.loops else "alternatives"
        raise ExpressionError(f"a repeat ({found}) of a group with {what} inside can take forever", offset)
