"""An alert as Alertmanager delivers it, and what changed about it since the last delivery."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import NamedTuple


class AlertStatus(StrEnum):
    """Alertmanager's two words for an alert."""

    FIRING = "firing"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert of a notification.

    Args:
        fingerprint: Alertmanager's hash of the labels, 16 hex digits.
        status: its own, never the group's: a group says `resolved` while truncated alerts still fire.
        labels, annotations: as delivered; all values are strings.
        starts_at: UNIX nanoseconds; Alertmanager sends up to nine fractional digits.
        ends_at: UNIX nanoseconds, 0 while it fires.
        generator_url: may be empty.
    """

    fingerprint: str
    status: AlertStatus
    labels: Mapping[str, str]
    annotations: Mapping[str, str] = field(default_factory=dict)
    starts_at: int = 0
    ends_at: int = 0
    generator_url: str = ""

    @property
    def name(self) -> str:
        """The label `alertname`, empty when there is none."""
        return self.labels.get("alertname", "")


class Known(NamedTuple):
    """What is stored as a fingerprint's latest: duplicates are judged against it.

    Args:
        starts_at: UNIX nanoseconds of the latest episode.
        status: its latest status.
        incident: the incident that it belongs to, None when no playbook matched.
        repeats: deliveries that changed nothing.
    """

    starts_at: int
    status: AlertStatus
    incident: str | None
    repeats: int = 0


class Change(StrEnum):
    """What a delivery does to a fingerprint's latest state."""

    NEW = "new"
    REPEAT = "repeat"
    RESOLVED = "resolved"
    REFIRED = "refired"
    STALE = "stale"


def change_of(alert: Alert, known: Known | None) -> Change:
    """Judge a delivery against the fingerprint's latest (startsAt, status).

    NEW: an episode not seen before (also one that arrives already resolved). REPEAT: changes nothing. RESOLVED: the
    known episode ended. REFIRED: firing after resolved with the same startsAt, which is real or a late peer: ask
    Alertmanager; unreachable, treat it as firing. STALE: about an episode older than the latest; changes nothing.
    """
    if known is None or _moment(alert.starts_at) > _moment(known.starts_at):
        return Change.NEW
    if _moment(alert.starts_at) < _moment(known.starts_at):
        return Change.STALE
    if alert.status == known.status:
        return Change.REPEAT
    return Change.RESOLVED if alert.status is AlertStatus.RESOLVED else Change.REFIRED


def _moment(starts_at: int) -> int:
    """Return a start in the milliseconds of Alertmanager's API, which cuts off what its webhooks tell more finely."""
    return starts_at // 1_000_000


_TIME = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt]([01]\d|2[0-3]):([0-5]\d):([0-5]\d|60)(?:\.(\d{1,9})\d*)?"
    r"(?:[Zz]|([+-])([01]\d|2[0-3]):([0-5]\d))",
    re.ASCII,
)
_EPOCH = date(1970, 1, 1).toordinal()
_YEARS = range(1678, 2262)
"""What fits into 64 bits of nanoseconds (Go's UnixNano has the same bounds)."""


def parse_time(text: str) -> int:
    """Return an RFC 3339 time as UNIX nanoseconds; 0 for the year 1, Go's zero time.

    Raises:
        ValueError: it is not an RFC 3339 time, or too far from now to be one of an alert.
    """
    found = _TIME.fullmatch(text)
    if found is None:
        raise ValueError(f"not an RFC 3339 time: {_whole(text)}")
    year, month, day, hour, minute, second, fraction, sign, off_hour, off_minute = found.groups()
    days = date(int(year), int(month), int(day)).toordinal() - _EPOCH
    if year == "0001":
        return 0
    if int(year) not in _YEARS:
        raise ValueError(f"not between the years 1678 and 2262: {_whole(text)}")
    # A leap second counts as the first of the next minute, as POSIX time does not know it.
    seconds = days * 86_400 + int(hour) * 3600 + int(minute) * 60 + int(second)
    if sign is not None:
        offset = int(off_hour) * 3600 + int(off_minute) * 60
        seconds += -offset if sign == "+" else offset
    return seconds * 1_000_000_000 + (int(fraction.ljust(9, "0")) if fraction else 0)


def _whole(text: str) -> str:
    """Return a text in quotes, or how long it is: a part of it could be that of a credential, which nothing knows."""
    return repr(text) if len(text) <= 40 else f"{len(text)} characters"
