"""Catching up with Alertmanager: after a start, and when a webhook says that alerts were left out of it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

import structlog

from receiver.alertmanager import AlertmanagerApi, AlertmanagerUnavailable, Listed, resync
from receiver.core import events as ev
from receiver.core.alert import AlertStatus
from receiver.core.incident import Incident
from receiver.core.machine import given_up
from receiver.engine import Engine, Refusal
from receiver.ports import Clock, Store, StoreUnavailable

APART = 5.0
"""Seconds between two re-syncs at least; what asks meanwhile shares the next one."""

RETRY = 30.0
"""Seconds until an Alertmanager that could not be asked is asked again."""

UNSURE = 120.0
"""Seconds until alerts are asked for again that were missing in an Alertmanager that had only just started."""

_log = structlog.stdlib.get_logger(__name__)


class Resyncer:
    """Brings in what fired or resolved unseen, and steps back from what people silenced.

    Args:
        ended: told how each re-sync ended, `succeeded` or `failed`.
    """

    def __init__(
        self,
        engine: Engine,
        store: Store,
        clock: Clock,
        alertmanager: AlertmanagerApi,
        ended: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._engine = engine
        self._store = store
        self._clock = clock
        self._alertmanager = alertmanager
        self._ended = ended
        self._first = asyncio.Event()
        self._wanted = asyncio.Event()
        self._wanted.set()

    def ask(self) -> None:
        """Ask for a re-sync soon; many requests make one."""
        self._wanted.set()

    async def run(self) -> None:
        """Re-sync whenever it is asked for, until cancelled; once at the start."""
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            try:
                again = await self._once(self._alertmanager)
                self._ended("succeeded")
            except (AlertmanagerUnavailable, StoreUnavailable) as error:
                _log.warning("re-sync failed, trying again", reason=str(error), seconds=RETRY)
                self._ended("failed")
                again = RETRY
            self._first.set()
            if again is not None:
                asyncio.get_running_loop().call_later(again, self._wanted.set)
            await self._clock.sleep(APART)

    async def caught_up(self, seconds: float) -> None:
        """Wait for the first re-sync, however it ends, at most that long: what resolved meanwhile is not acted on."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._first.wait(), seconds)

    async def _once(self, alertmanager: AlertmanagerApi) -> float | None:
        known = await self._store.firing()
        snapshot = await alertmanager.snapshot(known)
        found = resync(known, snapshot, self._clock.now())
        refired = 0
        if found.deliveries:
            refired = (await self._engine.ingest(found.deliveries, source="resync")).refired
        for listed in found.suppressed:
            row = known.get(listed.alert.fingerprint)
            if listed.silenced_by and row is not None and row.incident is not None:
                await hands_off(self._engine, row.incident, listed)
        _log.info(
            "re-synced with Alertmanager",
            known=len(known),
            brought_in=len(found.deliveries),
            silenced=len(found.suppressed),
            unsure=len(found.unsure),
        )
        # What resolved between the question and now was brought in as firing: the next answer tells.
        return APART if refired else UNSURE if found.unsure else None


class Silences:
    """Tells whether people silenced an incident's alerts: that says hands off."""

    def __init__(self, store: Store, alertmanager: AlertmanagerApi) -> None:
        self._store = store
        self._alertmanager = alertmanager

    async def of(self, incident: Incident) -> str | None:
        """Say by which silences one of the alerts that fire is silenced; no answer is no silence.

        An inhibited alert is another matter: it is told by another one, often the very one that leads the incident.
        """
        rows = await self._store.alerts(incident.id)
        firing = {row.alert.fingerprint for row in rows if row.alert.status is AlertStatus.FIRING}
        try:
            silenced = await self._alertmanager.silenced()
        except AlertmanagerUnavailable as error:
            _log.warning("whether the alert is silenced is not known", incident=incident.id, reason=str(error))
            return None
        by = {silence for one in silenced if one.alert.fingerprint in firing for silence in one.silenced_by}
        return f"silenced by {', '.join(sorted(by))}" if by else None


async def hands_off(engine: Engine, incident_id: str, listed: Listed) -> None:
    """Stop automation for an incident whose alert people silenced meanwhile."""
    by = ", ".join(listed.silenced_by)
    try:
        await engine.record(
            incident_id,
            lambda incident, _playbook, _now: (
                [
                    *given_up(incident, f"hands off: silenced by {by}"),
                    ev.TakenOver("a silence", "alertmanager", f"silenced by {by}"),
                ]
                if incident.automatic
                else []
            ),
        )
    except Refusal as error:
        _log.warning("a silence could not be noted", incident=incident_id, reason=str(error))
