"""Catching up: who is asked when, what waits for it, and hands off what people silenced."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import httpx
import pytest

from receiver.alertmanager import AlertmanagerApi
from receiver.core.alert import Alert, AlertStatus
from receiver.core.incident import Incident
from receiver.engine import Engine
from receiver.ports import IncidentFilter
from receiver.resyncing import APART, Resyncer, Silences
from receiver.store.memory import MemoryStore
from tests.simulation.world import START, CountedIds, FakeClock, playbook, policy

pytestmark = pytest.mark.anyio

FINGERPRINT = "00000000000000aa"
LABELS = {"alertname": "ServiceDown", "service": "api"}


class WaitingClock(FakeClock):
    """Time passes only when somebody waits; others get their turn meanwhile."""

    async def sleep(self, seconds: float) -> None:
        await super().sleep(seconds)
        await asyncio.sleep(0)


def row(*, silenced_by: tuple[str, ...] = (), inhibited_by: tuple[str, ...] = ()) -> dict[str, Any]:
    state = "suppressed" if silenced_by or inhibited_by else "active"
    status = {"state": state, "silencedBy": silenced_by, "inhibitedBy": inhibited_by}
    return {"fingerprint": FINGERPRINT, "labels": LABELS, "startsAt": "2027-01-15T08:00:00.000Z", "status": status}


class Part:
    """An engine on a store in memory beside a played Alertmanager."""

    def __init__(self) -> None:
        self.clock = WaitingClock()
        self.store = MemoryStore(self.clock)
        self.engine = Engine(
            self.store, self.clock, CountedIds(), policy(playbook(alert="ServiceDown")), mode="act", lanes=()
        )
        self.rows: list[dict[str, Any]] = []
        self.status = 200
        self.asked = 0
        self.ended: list[str] = []
        client = httpx.AsyncClient(transport=httpx.MockTransport(self._answer))
        self.api = AlertmanagerApi("http://alertmanager", client, self.clock, "us")
        self.resyncer = Resyncer(self.engine, self.store, self.clock, self.api, self.ended.append)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/status"):
            return httpx.Response(200, json={"uptime": "2020-01-01T00:00:00Z"})
        wanted = request.url.params
        self.asked += 1
        found = [
            one
            for one in self.rows
            if (wanted.get("active", "true") == "true" or one["status"]["state"] != "active")
            and (wanted.get("silenced", "true") == "true" or not one["status"]["silencedBy"])
            and (wanted.get("inhibited", "true") == "true" or not one["status"]["inhibitedBy"])
        ]
        return httpx.Response(self.status, json=found)

    def alert(self, status: AlertStatus = AlertStatus.FIRING) -> Alert:
        return Alert(FINGERPRINT, status, LABELS, {}, int(START * 1e9))

    async def incident(self) -> Incident:
        (one,) = (await self.store.incidents(IncidentFilter())).items
        assert isinstance(one, Incident)
        return one

    async def until(self, ends: int) -> None:
        """Run until so many re-syncs have ended."""
        running = asyncio.create_task(self.resyncer.run())
        while len(self.ended) < ends:
            await asyncio.sleep(0)
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


@pytest.fixture
async def part() -> Part:
    one = Part()
    await one.engine.use(one.engine.policy)
    return one


async def test_the_first_is_asked_at_the_start_and_whoever_waits_for_it_goes_on(part: Part) -> None:
    waiting = asyncio.create_task(part.resyncer.caught_up(60.0))
    await asyncio.sleep(0)
    assert not waiting.done()
    await part.until(1)
    await waiting
    assert part.ended == ["succeeded"]


async def test_one_that_fails_holds_up_nobody(part: Part) -> None:
    part.status = 500
    await part.until(1)
    await part.resyncer.caught_up(60.0)
    assert part.ended == ["failed"]


async def test_an_alertmanager_that_hangs_is_waited_for_only_so_long(part: Part) -> None:
    begun = asyncio.get_running_loop().time()
    await part.resyncer.caught_up(0.01)
    assert asyncio.get_running_loop().time() - begun < 5.0


async def test_what_asks_while_one_runs_shares_the_next_and_they_keep_apart(part: Part) -> None:
    for _ in range(20):
        part.resyncer.ask()
    began = part.clock.now()
    running = asyncio.create_task(part.resyncer.run())
    while len(part.ended) < 1:
        await asyncio.sleep(0)
    for _ in range(20):
        part.resyncer.ask()
    while len(part.ended) < 2:
        await asyncio.sleep(0)
    assert part.clock.now() - began >= APART
    for _ in range(20):
        await asyncio.sleep(0)
    assert len(part.ended) == 2
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_a_late_peers_firing_is_ended_by_what_alertmanager_says(part: Part) -> None:
    await part.engine.ingest([part.alert()])
    await part.engine.ingest([part.alert(AlertStatus.RESOLVED)])
    received = await part.engine.ingest([part.alert()])
    assert received.refired == 1
    assert (await part.incident()).firing == 1
    await part.until(1)
    assert (await part.incident()).firing == 0


async def test_an_alertmanager_that_cannot_be_asked_leaves_a_firing_after_resolved_firing(part: Part) -> None:
    for status in (AlertStatus.FIRING, AlertStatus.RESOLVED, AlertStatus.FIRING):
        await part.engine.ingest([part.alert(status)])
    part.status = 500
    await part.until(1)
    assert (await part.incident()).firing == 1


async def test_a_silence_of_any_alert_that_fires_says_hands_off(part: Part) -> None:
    await part.engine.ingest([part.alert()])
    silences = Silences(part.store, part.api)
    part.rows = [row()]
    assert await silences.of(await part.incident()) is None
    part.rows = [row(silenced_by=("s-1",), inhibited_by=("f",))]
    assert await silences.of(await part.incident()) == "silenced by s-1"
    part.rows = [row(inhibited_by=("f",))]
    assert await silences.of(await part.incident()) is None
    await part.engine.ingest([part.alert(AlertStatus.RESOLVED)])
    part.rows = [row(silenced_by=("s-1",))]
    assert await silences.of(await part.incident()) is None


async def test_who_can_not_be_asked_has_silenced_nothing(part: Part) -> None:
    await part.engine.ingest([part.alert()])
    part.status = 500
    assert await Silences(part.store, part.api).of(await part.incident()) is None
