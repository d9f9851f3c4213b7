"""What a PromQL expression looks at: its selectors and its longest range. Enough to judge how old its data is.

An instant query's answer carries the time of evaluation, not that of the data: `rate(x[5m])` goes on for minutes
after the target died, and a plain selector reaches back over the last five. So beside each expression its selectors
are asked for the age of their newest sample (`freshness`), by Prometheus' own clock.

This is a reader of tokens, not a parser: what it doesn't understand, Prometheus refuses anyway.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from receiver.core.durations import DurationError, parse_duration

SELECTORS_LIMIT = 10
"""Selectors of one expression that are asked for their age."""

_TOKEN = re.compile(
    r"""(?P<space>\s+|\#[^\n]*)
    |(?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`)
    |(?P<duration>(?:\d+(?:ms|[smhdwy]))+)
    |(?P<number>0[xX][0-9a-fA-F]+|\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?)
    |(?P<word>[a-zA-Z_:][a-zA-Z0-9_:]*)
    |(?P<sign>.)""",
    re.VERBOSE | re.DOTALL | re.ASCII,
)
_GROUPING = frozenset({"by", "without", "on", "ignoring", "group_left", "group_right"})
_KEYWORDS = frozenset({"and", "or", "unless", "atan2", "bool", "offset", "inf", "nan"})
_AGGREGATIONS = frozenset(
    {"sum", "avg", "count", "min", "max", "group", "stddev", "stdvar", "topk", "bottomk", "quantile", "count_values"}
    | {"limitk", "limit_ratio"}
)


def selectors(expr: str) -> tuple[str, ...]:
    """Return the distinct vector selectors of an expression, without range, offset and `@`."""
    tokens = _tokens(expr)
    found: dict[str, None] = {}
    position = 0
    while position < len(tokens):
        kind, text = tokens[position]
        following = tokens[position + 1][1] if position + 1 < len(tokens) else ""
        word = text.lower() if kind == "word" else ""
        if word in _GROUPING:
            position = _closing(tokens, position + 1, "(", ")") if following == "(" else position + 1
        elif text == "[" and kind == "sign":
            position = _closing(tokens, position, "[", "]")
        elif text == "{" and kind == "sign":
            end = _closing(tokens, position, "{", "}")
            found["".join(one for _, one in tokens[position:end])] = None
            position = end
        elif word and following != "(" and word not in _KEYWORDS and not _aggregates(word, following):
            end = _closing(tokens, position + 1, "{", "}") if following == "{" else position + 1
            found["".join(one for _, one in tokens[position:end])] = None
            position = end
        else:
            position += 1
    return tuple(found)


def longest_range(expr: str) -> float:
    """Return how many seconds an expression's ranges reach back, subqueries added; offsets don't count.

    An offset is the author's own comparison with the past; a range mixes past and present.
    """
    tokens = _tokens(expr)
    longest = nested = 0.0
    for position, (kind, text) in enumerate(tokens):
        if text != "[" or kind != "sign":
            continue
        end = _closing(tokens, position, "[", "]")
        inside = "".join(one for _, one in tokens[position + 1 : end - 1])
        try:
            seconds = parse_duration(inside.split(":")[0])
        except DurationError:
            continue
        if ":" in inside:
            nested += seconds
        else:
            longest = max(longest, seconds)
    return longest + nested


def freshness(found: Sequence[str]) -> str:
    """Return an expression for the age in seconds of the newest sample of each selector, by the label `selector`.

    A selector without a living series gives nothing: Prometheus ended its series, or never had it.
    """
    parts = (
        f'label_replace(time() - max(timestamp({one})), "selector", "{number}", "__name__", ".*")'
        for number, one in enumerate(found[:SELECTORS_LIMIT])
    )
    return " or ".join(parts)


def sample_counts(found: Sequence[str], window: float) -> str:
    """Return an expression for how many samples each selector has within the last seconds, of its fullest series."""
    parts = (
        f'label_replace(max(count_over_time({one}[{max(1, int(window))}s])), "selector", "{number}", "__name__", ".*")'
        for number, one in enumerate(found[:SELECTORS_LIMIT])
    )
    return " or ".join(parts)


def operands(expr: str) -> tuple[str, str, str]:
    """Return (left, operator, right) of what an alert's expression compares, (expression, "", "") when it doesn't.

    Of `a > 1 and b < 2` it is the first comparison, of which the others only take away; of `or` nothing is left out.
    """
    text = _unwrapped(expr)
    signs = [one for one in _top_level(text) if one[0] in {"and", "or", "unless"}]
    if signs and signs[0][0] != "or":
        text = _unwrapped(text[: signs[0][1]])
    elif signs:
        return text, "", ""
    compared = [one for one in _top_level(text) if one[0] in _COMPARISONS]
    if len(compared) != 1:
        return text, "", ""
    operator, start, end = compared[0]
    words = [one for one in _TOKEN.finditer(text, end) if one.lastgroup != "space" and one.group().lower() != "bool"]
    right = text[words[0].start() : words[-1].end()] if words else ""
    return _unwrapped(text[:start]), operator, right


_COMPARISONS = frozenset({"<", "<=", ">", ">=", "==", "!="})


def _top_level(expr: str) -> list[tuple[str, int, int]]:
    """Return the comparisons and set operators outside all brackets: (sign, start, end)."""
    found: list[tuple[str, int, int]] = []
    depth = 0
    for one in _TOKEN.finditer(expr):
        kind, text = one.lastgroup, one.group()
        if kind == "sign":
            depth += (text in "([{") - (text in ")]}")
        if depth or kind not in {"sign", "word"}:
            continue
        if kind == "word" and text.lower() in {"and", "or", "unless"}:
            found.append((text.lower(), one.start(), one.end()))
        elif kind == "sign" and text == "=" and found and found[-1][0] in {"<", ">", "=", "!"}:
            sign, start, end = found[-1]
            if end == one.start():
                found[-1] = (f"{sign}=", start, one.end())
        elif kind == "sign" and text in "<>=!":
            found.append((text, one.start(), one.end()))
    return found


def _unwrapped(expr: str) -> str:
    """Return an expression without the brackets around all of it."""
    text = expr.strip()
    while text.startswith("("):
        tokens = [one for one in _TOKEN.finditer(text) if one.lastgroup != "space"]
        inside = _closing([(one.lastgroup or "", one.group()) for one in tokens], 0, "(", ")")
        if inside != len(tokens) or not text.endswith(")"):
            break
        text = text[1:-1].strip()
    return text


def _tokens(expr: str) -> list[tuple[str, str]]:
    return [(one.lastgroup or "", one.group()) for one in _TOKEN.finditer(expr) if one.lastgroup != "space"]


def _closing(tokens: Sequence[tuple[str, str]], position: int, opening: str, closing: str) -> int:
    """Return the position after the sign that closes the one at `position`."""
    depth = 0
    for index in range(position, len(tokens)):
        kind, text = tokens[index]
        depth += (kind == "sign") * ((text == opening) - (text == closing))
        if depth <= 0:
            return index + 1
    return len(tokens)


def _aggregates(word: str, following: str) -> bool:
    return word in _AGGREGATIONS and following.lower() in {"by", "without"}
