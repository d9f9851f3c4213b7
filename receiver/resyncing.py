"""Catching up with Alertmanager: after a start, and when a webhook says that alerts were left out of it."""

from __future__ import annotations

import asyncio

import structlog

from receiver.alertmanager import AlertmanagerApi, AlertmanagerUnavailable, Listed, resync
from receiver.core import events as ev
from receiver.engine import Engine, Refusal
from receiver.ports import Clock, Store, StoreUnavailable

RETRY = 30.0
"""Seconds until an Alertmanager that could not be asked is asked again."""

UNSURE = 120.0
"""Seconds until alerts are asked for again that were missing in an Alertmanager that had only just started."""

_log = structlog.stdlib.get_logger(__name__)


class Resyncer:
    """Brings in what fired or resolved unseen, and steps back from what people silenced."""

    def __init__(self, engine: Engine, store: Store, clock: Clock, alertmanager: AlertmanagerApi) -> None:
        self._engine = engine
        self._store = store
        self._clock = clock
        self._alertmanager = alertmanager
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
            except (AlertmanagerUnavailable, StoreUnavailable) as error:
                _log.warning("re-sync failed, trying again", reason=str(error), seconds=RETRY)
                again = RETRY
            if again is not None:
                asyncio.get_running_loop().call_later(again, self._wanted.set)

    async def _once(self, alertmanager: AlertmanagerApi) -> float | None:
        known = await self._store.firing()
        snapshot = await alertmanager.snapshot(known)
        found = resync(known, snapshot, self._clock.now())
        if found.deliveries:
            await self._engine.ingest(found.deliveries, source="resync")
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
        return UNSURE if found.unsure else None


async def hands_off(engine: Engine, incident_id: str, listed: Listed) -> None:
    """Stop automation for an incident whose alert people silenced meanwhile."""
    by = ", ".join(listed.silenced_by)
    try:
        await engine.record(
            incident_id,
            lambda incident, _playbook, _now: (
                [ev.TakenOver("a silence", "alertmanager", f"silenced by {by}")] if incident.automatic else []
            ),
        )
    except Refusal as error:
        _log.warning("a silence could not be noted", incident=incident_id, reason=str(error))
