from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from receiver.core.durations import DurationError, format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("0s", 0),
        ("10s", 10),
        ("5m", 300),
        ("1h30m", 5400),
        ("1d", 86_400),
        ("2w", 1_209_600),
        ("1y", 31_536_000),
        ("250ms", 0.25),
        ("1m1ms", 60.001),
    ],
)
def test_a_duration_is_read_as_prometheus_does(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "s", "5", "5min", "1s1m", "1.5s", "-1s", " 1s", "1S", "1m1m", "\u0661s", "9999999999s"]
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(DurationError):
        parse_duration(text)


def test_a_number_without_a_unit_gets_a_hint() -> None:
    with pytest.raises(DurationError, match="write 30s for seconds"):
        parse_duration("30")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (-1, "0s"), (0.25, "250ms"), (61, "1m1s"), (5400, "1h30m"), (90_000, "1d1h"), (0.0001, "0s")],
)
def test_a_duration_is_written_shortly(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@given(st.integers(0, 10**11))
def test_a_written_duration_reads_back(milliseconds: int) -> None:
    assert round(parse_duration(format_duration(milliseconds / 1000)) * 1000) == milliseconds
