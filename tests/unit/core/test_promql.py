"""What an expression looks at."""

from __future__ import annotations

import pytest

from receiver.core.promql import SELECTORS_LIMIT, freshness, longest_range, operands, selectors


@pytest.mark.parametrize(
    ("expr", "found"),
    [
        ("up", ("up",)),
        ('up{job="a"} == 1', ('up{job="a"}',)),
        ('{__name__="up", job=~"a}b"}', ('{__name__="up",job=~"a}b"}',)),
        ("sum by (job) (rate(x_total[5m])) / sum without (a, b) (y)", ("x_total", "y")),
        ("sum(rate(x[1m])) by (job) / ignoring (code) group_left (z) x", ("x",)),
        ("histogram_quantile(0.95, sum by (le) (rate(b_bucket[$window])))", ("b_bucket",)),
        ('label_replace(up, "a", "$1", "b", "(up2)") offset 5m', ("up",)),
        ("a and on (x) b or c unless d", ("a", "b", "c", "d")),
        ("time() - vector(1) > bool 0x1F + 1e3 + inf + NaN", ()),
        ("# up is a comment\nx:rate5m @ 1609746000", ("x:rate5m",)),
        ("absent(up{a='}'})", ("up{a='}'}",)),
        ("sum(sum)", ("sum",)),
        ("topk by (a) (3, x)", ("x",)),
        ("max_over_time(rate(x[1m])[10m:30s])", ("x",)),
        ("", ()),
        ("sum(", ()),
        ('up{job="a', ('up{job="a',)),
    ],
)
def test_selectors_are_found_and_nothing_else(expr: str, found: tuple[str, ...]) -> None:
    assert tuple(one.replace(" ", "") for one in selectors(expr)) == found


@pytest.mark.parametrize(
    ("expr", "seconds"),
    [
        ("up", 0),
        ("rate(x[30s])", 30),
        ("rate(x[1m]) / rate(y[1h30m] offset 1d)", 5400),
        ("max_over_time(rate(x[1m])[10m:30s])", 660),
        ('x{a="[5m]"}', 0),
        ("x[nonsense]", 0),
    ],
)
def test_ranges_tell_how_far_back_it_looks(expr: str, seconds: float) -> None:
    assert longest_range(expr) == seconds


def test_the_age_is_asked_for_each_selector_and_for_a_bounded_number() -> None:
    asked = freshness([f"x{number}" for number in range(50)])
    assert asked.count("timestamp(") == SELECTORS_LIMIT
    assert 'label_replace(time() - max(timestamp(x1)), "selector", "1", "__name__", ".*")' in asked


@pytest.mark.parametrize(
    ("expr", "parts"),
    [
        ("up == 0", ("up", "==", "0")),
        ("(a:b == 0)\n  unless on (x) max by (x) (c) == 1", ("a:b", "==", "0")),
        ("(a > 1) and (b > 2)", ("a", ">", "1")),
        ('sum(rate(a{b=~"5..|>"}[5m])) / sum(b) >= 0.05', ('sum(rate(a{b=~"5..|>"}[5m])) / sum(b)', ">=", "0.05")),
        ("a != bool 5 # and more", ("a", "!=", "5")),
        ("1 < sum by (x) (a)", ("1", "<", "sum by (x) (a)")),
        ("m > 500 * 1024", ("m", ">", "500 * 1024")),
        ("a > -1", ("a", ">", "-1")),
        ("0.5 < a", ("0.5", "<", "a")),
        ("(a + b) / (c) <= 3", ("(a + b) / (c)", "<=", "3")),
        ("a > 1 or b > 2", ("a > 1 or b > 2", "", "")),
        ("absent(a)", ("absent(a)", "", "")),
        ("a > 1 > 2", ("a > 1 > 2", "", "")),
        ("((", ("((", "", "")),
        ("", ("", "", "")),
    ],
)
def test_a_comparison_is_parted_into_its_sides(expr: str, parts: tuple[str, str, str]) -> None:
    assert operands(expr) == parts
