"""What an expression looks at."""

from __future__ import annotations

import pytest

from receiver.core.promql import SELECTORS_LIMIT, freshness, longest_range, selectors


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
