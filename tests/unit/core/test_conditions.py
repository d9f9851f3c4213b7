"""The judgement of a query's answer: nothing but data within its bounds passes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from receiver.core.comparison import ComparisonError
from receiver.core.conditions import Reading, Reason, judge, name_of, shown
from receiver.core.playbook import Query

NOW = 1000.0
QUERY = Query("errors", "< 0.05", failure="> 0.5", name="errors")


@dataclass(frozen=True)
class Sample:
    value: float
    at: float = NOW
    labels: Mapping[str, str] = field(default_factory=dict)


def read(*samples: Sample, query: Query = QUERY, since: float = 900.0) -> Reading:
    return judge(query, samples, NOW, since)


@pytest.mark.parametrize(
    ("samples", "verdict", "reason"),
    [
        ([Sample(0.01)], True, Reason.OK),
        ([Sample(0.05)], False, Reason.BAD),
        ([Sample(0.01), Sample(0.2)], False, Reason.BAD),
        ([Sample(math.inf)], False, Reason.BAD),
        ([], None, Reason.EMPTY),
        ([Sample(math.nan)], None, Reason.NAN),
        ([Sample(0.01), Sample(math.nan)], None, Reason.NAN),
        ([Sample(0.2), Sample(math.nan)], False, Reason.BAD),
        ([Sample(0.01, at=NOW - 61)], None, Reason.STALE),
        ([Sample(0.01), Sample(0.01, at=NOW - 61)], None, Reason.STALE),
        ([Sample(0.9, at=NOW - 61)], None, Reason.STALE),
        ([Sample(0.01, at=940.0)], True, Reason.OK),
    ],
)
def test_each_kind_of_answer_is_told_apart(samples: list[Sample], verdict: bool | None, reason: Reason) -> None:
    reading = read(*samples)
    assert (reading.verdict, reading.reason) == (verdict, reason)


def test_data_from_before_the_action_is_too_early() -> None:
    reading = read(Sample(0.01, at=960.0), since=970.0)
    assert (reading.verdict, reading.reason) == (None, Reason.TOO_EARLY)


def test_the_failure_condition_ends_it_at_once_for_any_sample() -> None:
    assert read(Sample(0.01), Sample(0.6)).failed_now
    assert not read(Sample(0.2)).failed_now
    assert not read(Sample(0.9, at=0.0)).failed_now, "stale data fails nothing"


def test_the_text_names_the_worst_of_several_series() -> None:
    reading = read(Sample(0.1, labels={"pod": "a"}), Sample(0.2, labels={"pod": "b", "__name__": "errors"}))
    assert reading.text == "errors 0.2 (worst of 2: pod=b), wanted < 0.05"
    assert reading.value == 0.2


def test_the_worst_is_the_smallest_where_more_is_better() -> None:
    query = Query("up", ">= 1", name="up")
    assert read(Sample(1), Sample(0), query=query).value == 0
    query = Query("up", "== 1", name="up")
    assert read(Sample(1), Sample(3), query=query).value == 3


def test_a_value_that_json_does_not_know_is_left_to_the_text() -> None:
    reading = read(Sample(math.inf)).as_json()
    assert reading["value"] is None
    assert "+Inf" in reading["text"]


def test_a_bad_condition_is_refused() -> None:
    with pytest.raises(ComparisonError):
        read(Sample(1.0), query=Query("x", "less than 5"))


def test_a_query_without_a_name_is_called_by_its_expression() -> None:
    assert name_of(Query("sum(\n  x\n)", "> 1")) == "sum( x )"
    assert len(name_of(Query("x" * 200, "> 1"))) == 60


def test_figures_are_short() -> None:
    assert [shown(value, "s") for value in (0.123456, 12.0, 12345.678, math.nan, -math.inf)] == [
        "0.123 s",
        "12 s",
        "1.23e+04 s",
        "NaN s",
        "-Inf s",
    ]


@given(st.lists(st.tuples(st.floats(allow_nan=True, allow_infinity=True), st.floats(0, 2000)), max_size=5))
def test_a_pass_needs_every_sample_fresh_and_within_the_bound(values: list[tuple[float, float]]) -> None:
    reading = read(*(Sample(value, at=at) for value, at in values))
    good = bool(values) and all(value < 0.05 and at >= NOW - 60 for value, at in values)
    assert (reading.verdict is True) == good
