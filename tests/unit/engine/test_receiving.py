"""What deliveries do to incidents, one after the other: never one alert counted twice, or left behind."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from receiver.core.alert import Alert, AlertStatus
from receiver.core.events import Closed, Opened
from receiver.core.incident import Incident
from receiver.core.playbook import Policy
from receiver.engine import Engine
from receiver.ports import Body, IncidentFilter, StoreFull
from receiver.store.memory import MemoryStore
from receiver.store.space import Room
from receiver.store.sqlite import SqliteStore
from tests.simulation.world import START, CountedIds, FakeClock, playbook, policy

pytestmark = pytest.mark.anyio

SECOND = 1_000_000_000
FIRING, RESOLVED = AlertStatus.FIRING, AlertStatus.RESOLVED


def alert(
    status: AlertStatus = FIRING, *, service: str = "api", name: str = "ServiceDown", number: int = 1, at: float = 0.0
) -> Alert:
    """Return an alert that began so many seconds after the start."""
    labels = {"alertname": name, "service": service, "number": str(number)}
    return Alert(f"{number:016x}", status, labels, {}, int((START + at) * SECOND))


class Received:
    """An engine on a store in memory, and what its incidents look like."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.store = MemoryStore(self.clock)
        self.engine = Engine(self.store, self.clock, CountedIds(), rules(), mode="act", lanes=())

    async def use(self, wanted: Policy) -> None:
        """Reload."""
        await self.engine.use(wanted)

    async def incidents(self) -> list[Incident]:
        """Return every incident, oldest first."""
        return list(reversed((await self.store.incidents(IncidentFilter())).items))

    async def firing(self) -> list[tuple[str, int]]:
        """Return each incident's target with its count of firing alerts, after holding it against the rows."""
        found = await self.incidents()
        for one in found:
            rows = await self.store.alerts(one.id)
            if one.open:
                assert one.firing == sum(row.alert.status is FIRING for row in rows)
        return [(one.target, one.firing) for one in found]


def rules(*services: str, name: str = "ServiceDown") -> Policy:
    return policy(playbook(alert=name), services=services or ("api",))


@pytest.fixture
async def received() -> Received:
    one = Received()
    await one.use(rules())
    return one


async def test_an_alert_that_nobody_took_keeps_the_reason_when_it_ends(received: Received) -> None:
    await received.engine.ingest([alert(name="Strange")])
    await received.engine.ingest([alert(RESOLVED, name="Strange")])
    await received.engine.ingest([alert(RESOLVED, number=2)])
    assert {row.alert.fingerprint[-1]: row.reason for row in (await received.store.unmatched()).items} == {
        "1": "none of the 1 playbooks matches",
        "2": "it was resolved before it was seen firing",
    }


async def test_an_alert_that_a_reload_would_take_only_once_it_ended_says_so(received: Received) -> None:
    await received.engine.ingest([alert(name="Strange")])
    await received.use(rules(name="Strange"))
    await received.engine.ingest([alert(RESOLVED, name="Strange")])
    assert [row.reason for row in (await received.store.unmatched()).items] == ["no playbook took it while it fired"]


async def test_an_alert_twice_in_one_delivery_counts_once(received: Received) -> None:
    answer = await received.engine.ingest([alert(), alert()])
    assert (answer.new, answer.repeats) == (1, 1)
    assert await received.firing() == [("api", 1)]


async def test_an_alert_that_flaps_within_one_delivery_ends_as_its_last_word_says(received: Received) -> None:
    await received.engine.ingest([alert(), alert(RESOLVED), alert(at=5), alert(RESOLVED, at=5), alert(at=9)])
    assert await received.firing() == [("api", 1)]
    (incident,) = await received.incidents()
    assert incident.alerts == 3


async def test_an_episode_that_nobody_takes_any_more_still_ends_the_one_before(received: Received) -> None:
    await received.engine.ingest([alert()])
    await received.use(rules(name="Other"))
    answer = await received.engine.ingest([alert(at=5)])
    assert answer.unmatched == 1
    assert await received.firing() == [("api", 0)]


async def test_an_episode_that_leads_to_another_target_leaves_the_first(received: Received) -> None:
    await received.use(rules("api", "web"))
    await received.engine.ingest([alert()])
    moved = rules("api", "web")
    await received.use(replace(moved, playbooks=(replace(moved.playbooks[0], target_labels=("other",), version="2"),)))
    later = alert(at=5)
    await received.engine.ingest([replace(later, labels={**later.labels, "other": "web"})])
    assert await received.firing() == [("api", 0), ("web", 1)]


async def test_an_alert_that_nobody_took_is_taken_when_the_policy_does(received: Received) -> None:
    await received.use(rules(name="Other"))
    await received.engine.ingest([alert()])
    assert [row.reason for row in (await received.store.unmatched()).items] == ["none of the 1 playbooks matches"]
    await received.use(rules())
    answer = await received.engine.ingest([alert()])
    assert (answer.new, answer.repeats) == (1, 0)
    assert await received.firing() == [("api", 1)]
    assert not (await received.store.unmatched()).items
    await received.engine.ingest([alert(RESOLVED)])
    assert await received.firing() == [("api", 0)]


async def test_a_repeat_of_what_an_ended_incident_left_firing_opens_none(received: Received) -> None:
    await received.engine.ingest([alert()])
    (incident,) = await received.incidents()
    await received.engine.record(incident.id, lambda *_: [Closed("ann", "known", "cli")])
    answer = await received.engine.ingest([alert()])
    assert answer.repeats == 1
    assert len(await received.incidents()) == 1
    await received.engine.ingest([alert(at=5)])
    assert [one.open for one in await received.incidents()] == [False, True]


async def test_a_full_store_still_takes_what_ended_for_that_is_how_room_comes_back(
    received: Received, tmp_path: Path
) -> None:
    store = SqliteStore.open(tmp_path / "full.db", received.clock, room=Room(most=1 << 30))
    engine = Engine(store, received.clock, CountedIds(), rules(), mode="act", lanes=())
    await engine.use(rules())
    await engine.ingest([alert(), alert(number=2)], body=Body(START, b"{}", 2))
    await store.close()
    store = SqliteStore.open(tmp_path / "full.db", received.clock, room=Room(most=0))
    engine = Engine(store, received.clock, CountedIds(), rules(), mode="act", lanes=())
    await engine.use(rules())
    await store.counts()
    with pytest.raises(StoreFull):
        await engine.ingest([alert(RESOLVED), alert(number=3)], body=Body(START, b"{}", 2))
    assert list(await store.firing()) == [alert(number=2).fingerprint]
    await store.close()


async def test_an_annotation_that_is_cut_in_the_log_ends_before_a_word_that_may_be_half_a_secret() -> None:
    for length in range(1950, 2010, 4):
        received = Received()
        await received.use(rules())
        told = (
            f"{'word ' * 390}{'x' * (length - 1950)} hiddenValue-1 and https://user:hiddenPart@db.example/ {'y' * 300}"
        )
        one = replace(alert(), annotations={"summary": told})
        await received.engine.ingest([one])
        (incident,) = await received.incidents()
        opened = (await received.store.events(incident.id))[0].event
        assert isinstance(opened, Opened)
        kept = opened.annotations["summary"]
        assert "hiddenPart" not in kept
        assert "hiddenValue-1" in kept or "hidd" not in kept
