"""A comparison with a number, as verification conditions are written: `< 0.05`."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass

_OPERATORS: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}
_COMPARISON = re.compile(r"\s*(<=|>=|==|!=|<|>)\s*([+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,3})?)\s*", re.ASCII)


class ComparisonError(ValueError):
    """A text that is no comparison; says what was found and how to write one."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """An operator and the number on its right."""

    operator: str
    number: float

    def holds(self, value: float) -> bool:
        """Whether the value fulfils it; NaN never does, not even `!=`."""
        return not math.isnan(value) and _OPERATORS[self.operator](value, self.number)

    def __str__(self) -> str:
        return f"{self.operator} {self.number:g}"


def parse_comparison(text: str) -> Comparison:
    """Read one of < <= > >= == != and a finite number.

    Raises:
        ComparisonError: anything else.
    """
    found = _COMPARISON.fullmatch(text)
    if found is None or not math.isfinite(number := float(found.group(2))):
        raise ComparisonError(f"{text[:40]!r} is not a comparison such as < 0.05 or >= 1")
    return Comparison(found.group(1), number)
