"""Matchers in Alertmanager's own syntax: `name="value"`, `!=`, `=~`, `!~`.

Regular expressions are anchored at both ends and a dot is no line break, as in Alertmanager
(`regexp.Compile("^(?:" + value + ")$")` in its pkg/labels/matcher.go). What Python alone understands is refused, so
that a matcher means the same in both places; see `receiver.core.expressions`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from receiver.core.expressions import ExpressionError, alternatives, compile_expression


class MatcherError(ValueError):
    """A matcher that can't be read; `column` is where in its text, from 0."""

    def __init__(self, message: str, column: int = 0) -> None:
        super().__init__(message)
        self.column = column


class Op(StrEnum):
    """The four operators."""

    EQUAL = "="
    NOT_EQUAL = "!="
    MATCHES = "=~"
    NOT_MATCHES = "!~"


@dataclass(frozen=True, slots=True)
class Matcher:
    """One condition on one label; a missing label counts as the empty string, as in Alertmanager."""

    name: str
    op: Op
    value: str
    pattern: re.Pattern[str] | None = None

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether the labels fulfil it."""
        return self.takes(labels.get(self.name, ""))

    def takes(self, value: str) -> bool:
        """Whether a value of its label fulfils it."""
        if self.pattern is None:
            return (value == self.value) == (self.op is Op.EQUAL)
        return (self.pattern.fullmatch(value) is not None) == (self.op is Op.MATCHES)

    def __str__(self) -> str:
        name = self.name if _PLAIN_NAME.fullmatch(self.name) else f'"{_escape(self.name)}"'
        return f'{name}{self.op.value}"{_escape(self.value)}"'


_PLAIN_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*", re.ASCII)
_NAME = re.compile(
    r"\s*(?:(?P<plain>[a-zA-Z_:][a-zA-Z0-9_:]*)|\"(?P<quoted>(?:[^\"\\]|\\.)+)\")\s*(?P<op>=~|!~|!=|=)\s*",
    re.ASCII | re.DOTALL,
)
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"\s*', re.DOTALL)
_BARE = re.compile(r'[^"{}\',\s=~!][^"{},]*')
_ESCAPES = {"\\\\": "\\", '\\"': '"', "\\n": "\n"}
_MAX_LENGTH = 2000


def matcher(name: str, op: Op, value: str) -> Matcher:
    """Make a matcher, compiling its expression.

    Raises:
        MatcherError: the regular expression is invalid, not one that Alertmanager would understand, or could take
            exponential time; `column` is where in the value.
    """
    if op in {Op.EQUAL, Op.NOT_EQUAL}:
        return Matcher(name, op, value)
    try:
        return Matcher(name, op, value, compile_expression(value))
    except ExpressionError as error:
        raise MatcherError(f"regular expression {value[:80]!r}: {error}", error.offset) from error


def parse_matchers(text: str) -> tuple[Matcher, ...]:
    """Read one matcher or a comma-separated list, with or without braces.

    Raises:
        MatcherError: with the column at which reading failed.
    """
    if len(text) > _MAX_LENGTH:
        raise MatcherError(f"longer than {_MAX_LENGTH} characters")
    position, end = _body(text)
    found: list[Matcher] = []
    while position < end and text[position:end].strip():
        one, position = _parse_one(text, position, end)
        found.append(one)
        if position < end:
            if text[position] != ",":
                raise MatcherError(f"expected a comma, found {text[position]!r}", position)
            position += 1
    if not found:
        raise MatcherError('no matcher; write for example alertname="ServiceDown"')
    return tuple(found)


def _body(text: str) -> tuple[int, int]:
    """Return where the list begins and ends, without braces."""
    stripped = text.strip()
    if not stripped.startswith("{"):
        return 0, len(text)
    if not stripped.endswith("}") or len(stripped) == 1:
        raise MatcherError("opening brace is never closed", text.index("{"))
    return text.index("{") + 1, text.rindex("}")


def _parse_one(text: str, position: int, end: int) -> tuple[Matcher, int]:
    head = _NAME.match(text, position, end)
    if head is None:
        start = position + len(text[position:end]) - len(text[position:end].lstrip())
        example = 'expected a label name and one of = != =~ !~, for example severity="critical"'
        raise MatcherError(example, start)
    name = head["plain"] or _unescape(head["quoted"])
    op, position = Op(head["op"]), head.end()
    if quoted := _QUOTED.match(text, position, end):
        return _at(
            name, op, _unescape(quoted.group(1)), position + 1, is_as_written="\\" not in quoted.group(1)
        ), quoted.end()
    if position < end and text[position] == '"':
        raise MatcherError("opening quote is never closed", position)
    bare = _BARE.match(text, position, end)
    if bare is None:
        raise MatcherError(f'{name}{op.value} has no value; quote an empty one: {name}{op.value}""', head.start("op"))
    return _at(name, op, bare.group().rstrip(), position, is_as_written=True), bare.end()


def _at(name: str, op: Op, value: str, position: int, *, is_as_written: bool) -> Matcher:
    """Make a matcher; a mistake in its expression is told at its column in the whole text."""
    try:
        return matcher(name, op, value)
    except MatcherError as error:
        raise MatcherError(str(error), position + (error.column if is_as_written else 0)) from error


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _unescape(text: str) -> str:
    return re.sub(r"\\(?:\\|\"|n)", lambda escape: _ESCAPES[escape.group()], text)


def all_match(matchers: Iterable[Matcher], labels: Mapping[str, str]) -> bool:
    """Whether the labels fulfil every matcher."""
    return all(one.matches(labels) for one in matchers)


def implies(wide: Iterable[Matcher], narrow: Iterable[Matcher]) -> bool:
    """Whether everything that `narrow` takes is surely taken by `wide` (sound, not complete for expressions).

    Used to find a playbook that can never match because an earlier one takes everything. That `.*` does not take a
    line break is left out of account: no alert is routed by one.
    """
    narrow = tuple(narrow)
    values = possible_values(narrow)
    texts = {str(one) for one in narrow}
    return all(_surely(one, values, texts) for one in wide)


def _surely(one: Matcher, values: Mapping[str, frozenset[str]], narrow: set[str]) -> bool:
    if str(one) in narrow or (one.op is Op.MATCHES and one.value in {".*", "(.*)"}):
        return True
    return one.name in values and all(one.takes(value) for value in values[one.name])


def possible_values(matchers: Iterable[Matcher]) -> dict[str, frozenset[str]]:
    """Return for each label that is bound to words (by `=`, or by `=~` with alternatives) which it can still have."""
    matchers = tuple(matchers)
    found: dict[str, frozenset[str]] = {}
    for one in matchers:
        words = _words(one)
        if words is not None:
            found[one.name] = found[one.name] & words if one.name in found else words
    return {
        name: frozenset(word for word in words if all(one.takes(word) for one in matchers if one.name == name))
        for name, words in found.items()
    }


def contradiction(matchers: Iterable[Matcher]) -> tuple[Matcher, Matcher] | None:
    """Return two matchers that no label value fulfils together, None when none are found."""
    matchers = tuple(matchers)
    for one in matchers:
        words = _words(one)
        if words is None:
            continue
        for other in matchers:
            if other.name == one.name and not any(other.takes(word) for word in words):
                return one, other
    return None


def _words(one: Matcher) -> frozenset[str] | None:
    if one.op is Op.EQUAL:
        return frozenset({one.value})
    return alternatives(one.value) if one.op is Op.MATCHES else None
