"""A thousand incidents in a minute: within Slack's budgets, P1 first, and the last header right."""

import random
from pathlib import Path

import pytest

from receiver.core import events as ev
from receiver.core.events import Recorded
from receiver.core.fold import evolve
from receiver.core.incident import Incident
from receiver.core.severity import Severity
from receiver.core.telling import rows
from receiver.ports import Changes, Unit
from tests.integration.slack.scene import Scene, scene, shown
from tests.integration.slack.test_incident import RESTART
from tests.slack_double import Fault

pytestmark = pytest.mark.anyio


class Flood:
    """Incidents that go their way by events alone, without an engine."""

    def __init__(self, one: Scene) -> None:
        self._one = one
        self.incidents: dict[str, Incident] = {}

    async def happen(self, name: str, *events: ev.Event) -> None:
        """Store events of one incident, with what is to be told of them, as the engine does."""
        before = self.incidents.get(name)
        after, log = before, []
        for event in events:
            log.append(Recorded(name, (after.seq if after else 0) + 1, self._one.world.clock.now(), event))
            after = evolve(after, log[-1])
        assert after is not None
        told = rows(before, after, log, ("slack",))
        self.incidents[name] = after
        await self._one.world.store.submit(
            Unit(
                lambda _: Changes(incidents=(after,), events=log, outbox=told),
                incidents=() if before is None else (name,),
                targets=(after.target,),
            )
        )

    async def open(self, number: int, severity: Severity) -> None:
        opened = ev.Opened(
            f"svc-{number}", "service-down", "v", 0, severity, "act", "matches", f"Down{number}", give_up_at=2e9
        )
        await self.happen(f"i-{number}", opened)


@pytest.mark.parametrize("incidents", [200, pytest.param(1000, marks=[pytest.mark.slow, pytest.mark.soak])])
async def test_a_storm_stays_within_the_budgets(tmp_path: Path, incidents: int) -> None:
    chance = random.Random(3)
    async with scene(tmp_path, RESTART) as one:
        flood = Flood(one)
        began = one.world.clock.now()
        severities = [Severity.P1] * 40 + [Severity.P3] * (incidents - 40)
        chance.shuffle(severities)
        for number, severity in enumerate(severities):
            await flood.open(number, severity)
            if number % 20 == 19:
                one.world.clock.time += 1200.0 / incidents
                await pump(one)
        worst = [f"i-{number}" for number, severity in enumerate(severities) if severity is Severity.P1]
        for name in worst:
            await flood.happen(name, ev.Acknowledged("ann", "cli"), ev.TakenOver("ann", "cli"))
        await drain(one, 120.0)
        firsts = [message for message in one.top() if "P1" in shown(message)]
        assert len(firsts) == len(worst), "P1 waited for others"
        for name in list(flood.incidents)[::2]:
            await flood.happen(name, ev.Closed("ann", "over", "cli"))
        await drain(one, 4000.0)
        assert one.world.clock.now() - began < 4000.0
        heads = {(message.metadata or {})["event_payload"]["incident"]: message for message in one.top()}
        assert len(heads) == len(one.top()) == incidents
        for name, incident in flood.incidents.items():
            expected = "NEEDS A PERSON" if incident.open and name in worst else "OPEN" if incident.open else "CLOSED"
            assert expected in shown(heads[name]), name
        assert len(one.told()) == len(set(one.told()))
        assert set(one.called("chat.postMessage") + one.called("chat.update")) == {None}, "Slack's rates were exceeded"
        assert most_in_a_minute(calls(one, "chat.update")) <= 40
        assert most_in_a_minute(calls(one, "chat.postMessage")) <= 61


async def test_after_an_hour_away_everything_is_told_once_in_order_and_without_a_flood(tmp_path: Path) -> None:
    chance = random.Random(11)
    async with scene(tmp_path, RESTART) as one:
        flood = Flood(one)
        severities = [Severity.P1] * 5 + [Severity.P3] * 35
        chance.shuffle(severities)
        for number, severity in enumerate(severities[:10]):
            await flood.open(number, severity)
        await drain(one, 120.0)
        before = {message.ts for message in one.messages()}
        one.double.faults.outage(3600.0)
        began = one.world.clock.now()
        for number in range(10, 40):
            await flood.open(number, severities[number])
        for minute in range(60):
            name = chance.choice([name for name, incident in flood.incidents.items() if incident.open])
            await flood.happen(name, *(ev.Noted(f"{minute}.{part}", "ann", "cli") for part in range(3)))
            if minute % 6 == 5:
                await flood.happen(name, ev.Closed("ann", "over", "cli"))
            one.world.clock.time = began + minute * 60.0
            await pump(one)
        one.world.clock.time = began + 3600.0
        await drain(one, 600.0)
        assert await one.lane.step() is None, "something is still waiting"
        heads = {(message.metadata or {})["event_payload"]["incident"]: message for message in one.top()}
        assert len(heads) == 40
        for name, incident in flood.incidents.items():
            assert ("OPEN" if incident.open else "CLOSED") in shown(heads[name]), name
        await holds_all(one, flood)
        back = [message for message in one.messages() if message.ts not in before]
        # A header for each that is new, and one catch-up for each that has something to tell.
        assert len(back) <= 30 + 40
        firsts = [message for message in back if not message.is_reply][: severities[10:].count(Severity.P1)]
        assert all("P1" in shown(message) for message in firsts), "P1 waited for others"
        assert most_in_a_minute(calls(one, "chat.postMessage")) <= 61
        late = [call.error for call in one.double.calls if call.at >= began + 3600.0]
        assert set(late) == {None}, "Slack's rates were exceeded"


async def holds_all(one: Scene, flood: Flood) -> None:
    """Check that each incident's thread holds every event that was to be told, once, in the order of its log."""
    told: dict[str, list[int]] = {}
    for key in one.told():
        name, seq = key.split("/")[:2]
        told.setdefault(name, []).append(int(seq))
    for name in flood.incidents:
        seqs = [recorded.seq for recorded in await one.world.store.events(name)]
        closed = [] if flood.incidents[name].open else [seqs[-1]]
        assert told[name] == seqs + closed, name


def calls(one: Scene, method: str) -> list[float]:
    return [call.at for call in one.double.calls if call.method == method]


def most_in_a_minute(times: list[float]) -> int:
    return max(
        (sum(at <= other < at + 60.0 for other in times[index : index + 200]) for index, at in enumerate(times)),
        default=0,
    )


async def pump(one: Scene) -> None:
    """Send what may be sent now."""
    while await one.lane.step() == 0.0:
        pass


async def drain(one: Scene, seconds: float) -> None:
    """Let time pass until nothing waits, for so long at most."""
    until = one.world.clock.now() + seconds
    while (wait := await one.lane.step()) is not None and one.world.clock.now() < until:
        one.world.clock.time += wait


async def test_lost_answers_of_several_incidents_are_remembered_across_a_crash(tmp_path: Path) -> None:
    async with scene(tmp_path, RESTART) as one:
        flood = Flood(one)
        for number in range(4):
            await flood.open(number, Severity.P1)
            one.double.faults.add(Fault.answer_lost(), "chat.postMessage")
            # Threads can't be read back for long, so the next incident is told before this one is known.
            one.double.faults.add(Fault.too_fast(3000), "conversations.*")
            await pump(one)
            one.world.clock.time += 70.0
        assert len(one.top()) == 4
        one.double.faults.clear()
        one.restart()
        await drain(one, 300.0)
        assert len(one.top()) == 4
        assert len(one.told()) == len(set(one.told()))


async def test_an_archived_channel_does_not_hold_the_headers_of_another_one(tmp_path: Path) -> None:
    async with scene(tmp_path, RESTART) as one:
        flood = Flood(one)
        await flood.open(1, Severity.P1)
        await flood.open(2, Severity.P2)
        await drain(one, 60.0)
        one.major.archived = True
        for _ in range(3):
            await flood.happen("i-2", ev.Acknowledged("ann", "cli"), ev.TakenOver("ann", "cli"))
            one.world.clock.time += 70.0
            await pump(one)
        await flood.happen("i-1", ev.Closed("ann", "over", "cli"))
        await pump(one)
        assert "CLOSED" in shown(one.top()[0])
