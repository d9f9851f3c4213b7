from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from receiver.core.alert import Alert, AlertStatus, Change, Known, change_of, parse_time

FIRING, RESOLVED = AlertStatus.FIRING, AlertStatus.RESOLVED


def alert(status: AlertStatus, starts_at: int) -> Alert:
    return Alert("00ff", status, {"alertname": "X"}, starts_at=starts_at)


def known(starts_at: int, status: AlertStatus) -> Known:
    return Known(starts_at, status, "i")


MS = 1_000_000
"""Nanoseconds of a millisecond."""


@pytest.mark.parametrize(
    ("latest", "status", "starts_at", "expected"),
    [
        (None, FIRING, 5 * MS, Change.NEW),
        (None, RESOLVED, 5 * MS, Change.NEW),
        (known(5 * MS, FIRING), FIRING, 5 * MS, Change.REPEAT),
        (known(5 * MS, FIRING), RESOLVED, 5 * MS, Change.RESOLVED),
        (known(5 * MS, RESOLVED), RESOLVED, 5 * MS, Change.REPEAT),
        (known(5 * MS, RESOLVED), FIRING, 5 * MS, Change.REFIRED),
        (known(5 * MS, RESOLVED), FIRING, 6 * MS, Change.NEW),
        (known(5 * MS, FIRING), FIRING, 6 * MS, Change.NEW),
        (known(5 * MS, FIRING), RESOLVED, 6 * MS, Change.NEW),
        (known(5 * MS, FIRING), RESOLVED, 4 * MS, Change.STALE),
        (known(5 * MS, RESOLVED), FIRING, 4 * MS, Change.STALE),
        # The API cuts the start off at the millisecond, a webhook doesn't.
        (known(5 * MS, FIRING), RESOLVED, 5 * MS + 123_456, Change.RESOLVED),
        (known(5 * MS + 123_456, FIRING), FIRING, 5 * MS, Change.REPEAT),
    ],
)
def test_a_delivery_is_judged_against_the_latest(
    latest: Known | None, status: AlertStatus, starts_at: int, expected: Change
) -> None:
    assert change_of(alert(status, starts_at), latest) is expected


def test_an_alert_without_a_name_has_an_empty_one() -> None:
    assert alert(FIRING, 1).name == "X"
    assert Alert("00ff", FIRING, {}).name == ""


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T00:00:01.5Z", 1_500_000_000),
        ("2024-02-29T12:00:00.123456789Z", 1_709_208_000_123_456_789),
        ("2024-02-29T12:00:00.1234567891234Z", 1_709_208_000_123_456_789),
        ("2024-02-29T14:00:00+02:00", 1_709_208_000_000_000_000),
        ("2024-02-29T06:30:00-05:30", 1_709_208_000_000_000_000),
        ("2024-02-29t12:00:00z", 1_709_208_000_000_000_000),
        ("2016-12-31T23:59:60Z", 1_483_228_800_000_000_000),
        ("0001-01-01T00:00:00Z", 0),
        ("0001-01-01T00:00:00-08:00", 0),
        ("1969-12-31T23:59:59.25Z", -750_000_000),
    ],
)
def test_a_time_is_read_to_the_nanosecond(text: str, nanoseconds: int) -> None:
    assert parse_time(text) == nanoseconds


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "2024-02-29",
        "2024-02-29T12:00:00",
        "2024-02-29 12:00:00Z",
        "2024-02-30T12:00:00Z",
        "2024-13-01T00:00:00Z",
        "2024-01-01T24:00:00Z",
        "2024-01-01T00:60:00Z",
        "2024-01-01T00:00:61Z",
        "2024-01-01T00:00:00.Z",
        "0000-01-01T00:00:00Z",
        "2024-01-01T00:00:00+24:00",
        "2024-01-01T00:00:00+01:60",
        "2024-01-01T00:00:00Z ",
        "2024-01-01T00:00:00Z\n",
        "\uff12024-01-01T00:00:00Z",
        "0001-13-45T99:99:99Z",
        "9999-01-01T00:00:00Z",
        "1677-01-01T00:00:00Z",
    ],
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_time(text)


@given(
    st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1)),  # noqa: DTZ001 - hypothesis asks for naive bounds
    st.integers(-23 * 60, 23 * 60),
)
def test_a_time_agrees_with_the_standard_library(moment: datetime, minutes: int) -> None:
    aware = moment.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    since = aware - datetime(1970, 1, 1, tzinfo=UTC)
    microseconds = (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
    assert parse_time(aware.isoformat()) == microseconds * 1000


@given(st.text(max_size=40))
def test_no_text_breaks_the_time_parser(text: str) -> None:
    try:
        assert isinstance(parse_time(text), int)
    except ValueError:
        return


def test_every_time_in_a_captured_webhook_is_read() -> None:
    folder = Path(__file__).parents[2] / "payloads"
    times = [
        one[field]
        for file in sorted(folder.glob("*.json"))
        for one in json.loads(file.read_text("utf-8")).get("alerts", [])
        for field in ("startsAt", "endsAt")
    ]
    assert all(parse_time(text) >= 0 for text in times)
