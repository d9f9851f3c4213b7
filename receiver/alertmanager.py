"""Alertmanager, asked what fires now: for what was missed while away, and for silences.

The plain call returns silenced alerts and other receivers' too, so what may be acted on is asked for with filters, and
what is missing there is looked for without them before it is called gone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import httpx
import msgspec

from receiver.asking import Asker, Fields, Unanswered
from receiver.core.alert import Alert, AlertStatus, Change, Known, change_of, parse_time
from receiver.core.template import promql_regex
from receiver.ports import AlertRow, Clock

TIMEOUT = 20.0
"""Seconds that an answer may take; 20,000 alerts take a few."""

MAX_BODY = 48 * 1024 * 1024
"""Bytes of an answer that are read; 20,000 alerts of 1 kB each are 20 MB in a webhook and somewhat more here."""

FORGETFUL = 180.0
"""Seconds after its start in which an Alertmanager may not have been told of all that fires: Prometheus repeats a
firing alert after its resend delay, 1 min by default, and then retries what failed."""

SKEW = 10.0
"""Seconds by which Alertmanager's clock and ours may differ."""


class AlertmanagerUnavailable(Exception):
    """Alertmanager could not be asked, or answered with an error; the text is for people."""


@dataclass(frozen=True, slots=True)
class Listed:
    """An alert as Alertmanager lists it.

    Args:
        alert: firing; `ends_at` is 0, for what stands there is an expiry.
        receivers: whom it is routed to.
        silenced_by, inhibited_by: ids of silences, fingerprints of inhibiting alerts.
    """

    alert: Alert
    receivers: tuple[str, ...]
    silenced_by: tuple[str, ...] = ()
    inhibited_by: tuple[str, ...] = ()

    @property
    def suppressed(self) -> bool:
        """Whether people are not notified of it."""
        return bool(self.silenced_by or self.inhibited_by)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What Alertmanager knows.

    Args:
        active: ours, neither silenced nor inhibited.
        everything: all alerts, None when all that was asked about was active.
        started_at: UNIX seconds of its start, None when it doesn't say.
    """

    active: tuple[Listed, ...]
    everything: tuple[Listed, ...] | None
    started_at: float | None


@dataclass(frozen=True, slots=True)
class Resync:
    """What was missed.

    Args:
        deliveries: to ingest as if they had been delivered: what fires unknown to us, and what is gone, as resolved.
        suppressed: alerts of ours that fire but are silenced or inhibited: hands off.
        elsewhere: alerts of ours that fire, but are routed to others now.
        unsure: fingerprints that are missing in an Alertmanager that started only just now; ask again later.
    """

    deliveries: tuple[Alert, ...] = ()
    suppressed: tuple[Listed, ...] = ()
    elsewhere: tuple[Listed, ...] = ()
    unsure: tuple[str, ...] = ()


class _Status(msgspec.Struct, gc=False):
    state: str = ""
    silencedBy: tuple[str, ...] = ()  # noqa: N815 - Alertmanager's own name
    inhibitedBy: tuple[str, ...] = ()  # noqa: N815 - Alertmanager's own name


class _Receiver(msgspec.Struct, gc=False):
    name: str


class _Alert(msgspec.Struct, gc=False):
    fingerprint: str
    labels: dict[str, str]
    startsAt: str  # noqa: N815 - Alertmanager's own name
    annotations: dict[str, str] = {}
    generatorURL: str = ""  # noqa: N815 - Alertmanager's own name
    receivers: tuple[_Receiver, ...] = ()
    status: _Status = msgspec.field(default_factory=_Status)


class _Uptime(msgspec.Struct):
    uptime: str = ""


class AlertmanagerApi:
    """Asks Alertmanager's API v2.

    Args:
        url: of the server, with the path prefix if it has one.
        client: for the requests, with its authentication and TLS.
        clock: for the waits between tries.
        receiver: the name of the receiver that our webhook stands under, as alertmanager.yml writes it.
    """

    def __init__(self, url: str, client: httpx.AsyncClient, clock: Clock, receiver: str) -> None:
        self._asker = Asker("Alertmanager", url, client, clock, TIMEOUT, MAX_BODY)
        self._receiver = f"^(?:{promql_regex(receiver)})$"
        self.receiver = receiver

    async def active(self) -> tuple[Listed, ...]:
        """Return what fires for our receiver, neither silenced nor inhibited; raises AlertmanagerUnavailable."""
        return await self._alerts(
            {"receiver": self._receiver, "active": "true", "silenced": "false", "inhibited": "false"}
        )

    async def everything(self) -> tuple[Listed, ...]:
        """Return all alerts, silenced, inhibited and others' too; raises AlertmanagerUnavailable."""
        return await self._alerts({})

    async def silenced(self) -> tuple[Listed, ...]:
        """Return what fires and is silenced, inhibited or not; raises AlertmanagerUnavailable."""
        found = await self._alerts({"active": "false", "silenced": "true", "inhibited": "true"})
        return tuple(one for one in found if one.silenced_by)

    async def started_at(self) -> float | None:
        """Return UNIX seconds of its start; raises AlertmanagerUnavailable."""
        body = await self._ask("/api/v2/status", {})
        try:
            return parse_time(msgspec.json.decode(body, type=_Uptime).uptime) / 1e9
        except ValueError:  # look-alikes answer something else
            return None

    async def snapshot(self, known: Collection[str]) -> Snapshot:
        """Return what is needed to judge the known fingerprints; raises AlertmanagerUnavailable.

        Everything is asked for after what is active, and only when something known is missing there: an alert that
        begins in between is delivered anyway.
        """
        started = await self.started_at()
        active = await self.active()
        missing = set(known) - {one.alert.fingerprint for one in active}
        return Snapshot(active, await self.everything() if missing else None, started)

    async def _alerts(self, fields: Fields) -> tuple[Listed, ...]:
        body = await self._ask("/api/v2/alerts", fields)
        try:
            # In a thread, one alert after another: 20 MB read in one go would hold up everybody's webhooks.
            return await asyncio.to_thread(_read, body)
        except ValueError as error:
            raise AlertmanagerUnavailable(f"{self._asker.name} gave an answer that can't be read: {error}") from error

    async def _ask(self, path: str, fields: Fields) -> bytes:
        try:
            code, body = await self._asker.ask(path, fields)
        except Unanswered as error:
            raise AlertmanagerUnavailable(str(error)) from error
        if code != 200:
            raise AlertmanagerUnavailable(f"{self._asker.name} answers {code}: {body[:200].decode(errors='replace')}")
        return body


def resync(firing: Mapping[str, AlertRow], snapshot: Snapshot, now: float) -> Resync:
    """Return what was missed. Pure.

    Args:
        firing: what fires as far as we know, by fingerprint.
        snapshot: taken for these fingerprints.
        now: UNIX seconds; the end of what is gone, for nobody tells when it ended.
    """
    active = {one.alert.fingerprint: one for one in snapshot.active}
    everything = {one.alert.fingerprint: one for one in snapshot.everything or ()}
    fired = [one.alert for one in snapshot.active if _news(one.alert, firing.get(one.alert.fingerprint))]
    missing = [row for fingerprint, row in firing.items() if fingerprint not in active]
    listed = [one for row in missing if (one := everything.get(row.alert.fingerprint)) is not None]
    absent = [row for row in missing if row.alert.fingerprint not in everything]
    unsure = {row.alert.fingerprint for row in absent if _may_be_forgotten(row, snapshot.started_at, now)}
    return Resync(
        deliveries=(*fired, *(_ended(row.alert, now) for row in absent if row.alert.fingerprint not in unsure)),
        suppressed=tuple(one for one in listed if one.suppressed),
        elsewhere=tuple(one for one in listed if not one.suppressed),
        unsure=tuple(sorted(unsure)),
    )


def _may_be_forgotten(row: AlertRow, started_at: float | None, now: float) -> bool:
    """Whether an Alertmanager that started only just now may not have been told of an alert yet.

    What it delivered itself since its start it has known; a few seconds are left for clocks that differ.
    """
    return started_at is not None and now - started_at < FORGETFUL and row.seen_at < started_at + SKEW


def _news(alert: Alert, row: AlertRow | None) -> bool:
    """Whether a firing alert is unknown to us, or fires anew."""
    return row is None or change_of(alert, Known(row.alert.starts_at, row.alert.status, row.incident)) is Change.NEW


def _ended(alert: Alert, now: float) -> Alert:
    return Alert(
        fingerprint=alert.fingerprint,
        status=AlertStatus.RESOLVED,
        labels=alert.labels,
        annotations=alert.annotations,
        starts_at=alert.starts_at,
        ends_at=int(now * 1e9),
        generator_url=alert.generator_url,
    )


def _read(body: bytes) -> tuple[Listed, ...]:
    one = msgspec.json.Decoder(_Alert)
    return tuple(_listed(one.decode(raw)) for raw in msgspec.json.decode(body, type=list[msgspec.Raw]))


def _listed(one: _Alert) -> Listed:
    alert = Alert(
        fingerprint=one.fingerprint,
        status=AlertStatus.FIRING,
        labels=one.labels,
        annotations=one.annotations,
        starts_at=parse_time(one.startsAt),
        generator_url=one.generatorURL,
    )
    receivers = tuple(receiver.name for receiver in one.receivers)
    return Listed(alert, receivers, one.status.silencedBy, one.status.inhibitedBy)
