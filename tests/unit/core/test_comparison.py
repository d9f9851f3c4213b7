from __future__ import annotations

import math

import pytest

from receiver.core.comparison import ComparisonError, parse_comparison


@pytest.mark.parametrize(
    ("text", "value", "expected"),
    [
        ("< 0.05", 0.04, True),
        ("<0.05", 0.05, False),
        (" <= 1e-2 ", 0.01, True),
        (">= .5", 0.5, True),
        ("> -1", -1.0, False),
        ("== 0", 0.0, True),
        ("!= 0", 1.0, True),
        ("< 1", math.inf, False),
        ("> 1", math.inf, True),
        ("!= 1", math.nan, False),
        ("< 1", math.nan, False),
    ],
)
def test_a_comparison_holds_or_not(text: str, value: float, expected: bool) -> None:
    assert parse_comparison(text).holds(value) is expected


@pytest.mark.parametrize("text", ["", "0.05", "< ", "=< 1", "= 1", "< x", "< 1 2", "< NaN", "< inf", "< 1e999", "<> 1"])
def test_what_is_no_comparison_is_refused(text: str) -> None:
    with pytest.raises(ComparisonError, match="is not a comparison"):
        parse_comparison(text)


def test_a_comparison_prints_as_it_is_written() -> None:
    assert str(parse_comparison("<0.050")) == "< 0.05"
