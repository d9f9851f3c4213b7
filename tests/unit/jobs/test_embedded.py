from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import cast

import pytest

from receiver.jobs.embedded import EmbeddedJobs, Pace
from receiver.ports import Changes, Store, StoreUnavailable, Unit
from receiver.store.memory import MemoryStore
from tests.contract.folding import alert, webhook

pytestmark = pytest.mark.anyio

START = 1_800_000_000.0


class Clock:
    """Time that passes when nothing else is left to do."""

    def __init__(self) -> None:
        self.time = START

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        until = self.time + seconds
        for _ in range(20):
            await asyncio.sleep(0)
        self.time = max(self.time, until)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(clock: Clock) -> MemoryStore:
    return MemoryStore(clock)


async def opened(store: MemoryStore, service: str, at: float) -> str:
    """Open an incident that wants to be looked at then."""
    unit = webhook([alert(f"f-{service}", service)], START)

    def decide(view: object) -> Changes:
        changes = unit.decide(view)  # type: ignore[arg-type]
        return changes._replace(wake=dict.fromkeys(changes.wake, at))

    changes = await store.submit(unit._replace(decide=decide))
    return changes.incidents[0].id


async def moved(store: MemoryStore, incident: str, at: float | None) -> None:
    await store.submit(Unit(lambda _: Changes(wake={incident: at}), incidents=(incident,)))


@asynccontextmanager
async def running(jobs: EmbeddedJobs, work: Callable[[str], Awaitable[object]]) -> AsyncIterator[None]:
    task = asyncio.ensure_future(jobs.run(work))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0)


async def test_what_is_due_is_handed_out_when_it_is_due(store: MemoryStore, clock: Clock) -> None:
    later = await opened(store, "later", START + 100)
    now = await opened(store, "now", START)
    handed: list[tuple[str, float]] = []

    async def work(incident: str) -> None:
        handed.append((incident, clock.now() - START))
        await moved(store, incident, None)

    async with running(EmbeddedJobs(store, clock), work):
        await until(lambda: len(handed) == 2)
    assert handed[0] == (now, 0)
    assert handed[1][0] == later
    assert 100 <= handed[1][1] < 101


async def test_a_nudge_ends_the_waiting(store: MemoryStore, clock: Clock) -> None:
    handed: list[str] = []
    stopped = asyncio.Event()

    class Standing(Clock):
        """Time stands still: only a nudge can end a wait."""

        async def sleep(self, seconds: float) -> None:
            if seconds > 0.01:
                await stopped.wait()
            await asyncio.sleep(0)

    async def work(incident: str) -> None:
        handed.append(incident)
        await moved(store, incident, None)

    jobs = EmbeddedJobs(store, Standing())
    async with running(jobs, work):
        for _ in range(50):
            await asyncio.sleep(0)
        incident = await opened(store, "api", START)
        jobs.nudge()
        await until(lambda: handed == [incident])


class Looking:
    """A store that counts the looks at it, and says meanwhile that something is due."""

    def __init__(self, store: MemoryStore, during: Callable[[], None] = lambda: None) -> None:
        self.looks = 0
        self._store = store
        self.during = during

    async def due(self, now: float, limit: int) -> Sequence[tuple[str, str]]:
        self.looks += 1
        self.during()
        return await self._store.due(now, limit)

    async def next_wake(self, after: float | None = None) -> float | None:
        return await self._store.next_wake(after)


class Patient(Clock):
    """Only a nudge ends a long wait."""

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0 if seconds < 1 else 3600)


async def turns(_: object = None) -> None:
    for _ in range(50):
        await asyncio.sleep(0)


async def test_only_what_is_due_before_the_next_look_costs_one(store: MemoryStore) -> None:
    await opened(store, "api", START + 10)
    looking = Looking(store)
    jobs = EmbeddedJobs(cast("Store", looking), Patient())
    async with running(jobs, turns):
        await until(lambda: looking.looks == 1)
        await turns()
        jobs.nudge(START + 10)
        jobs.nudge(START + 86_400)
        await turns()
        assert looking.looks == 1
        jobs.nudge(START + 9)
        await until(lambda: looking.looks == 2)
        await turns()
        jobs.nudge()
        await until(lambda: looking.looks == 3)


async def test_what_comes_during_a_look_costs_one_only_when_it_is_due_before_the_next(store: MemoryStore) -> None:
    await opened(store, "api", START + 10)
    looking = Looking(store)
    jobs = EmbeddedJobs(cast("Store", looking), Patient())
    looking.during = lambda: jobs.nudge(START + 11)
    async with running(jobs, turns):
        await until(lambda: looking.looks == 1)
        await turns()
        assert looking.looks == 1
        looking.during = lambda: jobs.nudge(START + 9) if looking.looks == 2 else None
        jobs.nudge()
        await until(lambda: looking.looks == 3)
        await turns()
        assert looking.looks == 3


async def test_an_incident_is_worked_on_once_at_a_time(store: MemoryStore, clock: Clock) -> None:
    incident = await opened(store, "api", START)
    at_once, most, runs = 0, 0, 0

    async def work(_: str) -> None:
        nonlocal at_once, most, runs
        at_once += 1
        most = max(most, at_once)
        jobs.nudge()
        await clock.sleep(1)
        at_once -= 1
        runs += 1
        if runs == 3:
            await moved(store, incident, None)

    jobs = EmbeddedJobs(store, clock)
    async with running(jobs, work):
        await until(lambda: runs == 3)
    assert most == 1


async def test_no_more_are_worked_on_than_allowed(store: MemoryStore, clock: Clock) -> None:
    for number in range(20):
        await opened(store, f"svc-{number}", START)
    at_once, most, done = 0, 0, 0

    async def work(incident: str) -> None:
        nonlocal at_once, most, done
        at_once += 1
        most = max(most, at_once)
        await clock.sleep(1)
        await moved(store, incident, None)
        at_once -= 1
        done += 1

    async with running(EmbeddedJobs(store, clock, concurrency=3), work):
        await until(lambda: done == 20)
    assert most == 3


async def test_work_that_fails_rests_longer_each_time_and_others_go_on(
    store: MemoryStore, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    bad = await opened(store, "bad", START)
    good = await opened(store, "good", START)
    tries: list[float] = []
    handed: list[str] = []

    async def work(incident: str) -> None:
        if incident == bad:
            tries.append(clock.now() - START)
            raise RuntimeError("no luck")
        handed.append(incident)
        await moved(store, incident, None)

    async with running(EmbeddedJobs(store, clock), work):
        await until(lambda: len(tries) == 5)
    assert handed == [good]
    pauses = [after - before for before, after in pairwise(tries)]
    assert [round(pause) for pause in pauses] == [1, 2, 4, 8]
    assert f"work on incident {bad} failed" in caplog.text


async def test_work_that_does_not_move_its_wake_up_can_not_take_everything(store: MemoryStore, clock: Clock) -> None:
    await opened(store, "api", START)
    times: list[float] = []

    async def work(_: str) -> None:
        times.append(clock.now())

    pace = Pace()
    async with running(EmbeddedJobs(store, clock, pace=pace), work):
        await until(lambda: len(times) == 60)
    late = times[30:]
    assert all(after - before >= pace.pause for before, after in pairwise(late))


async def test_a_store_that_can_not_be_read_is_asked_again(
    store: MemoryStore, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    incident = await opened(store, "api", START)
    handed: list[str] = []
    failures = 3
    due = store.due

    async def failing(now: float, limit: int) -> object:
        nonlocal failures
        if failures:
            failures -= 1
            raise StoreUnavailable("the disk is away")
        return await due(now, limit)

    monkeypatch.setattr(store, "due", failing)

    async def work(name: str) -> None:
        handed.append(name)
        await moved(store, name, None)

    async with running(EmbeddedJobs(store, clock), work):
        await until(lambda: handed == [incident])


async def test_draining_hands_out_nothing_more_and_waits_for_what_runs(store: MemoryStore, clock: Clock) -> None:
    first = await opened(store, "api", START)
    handed: list[str] = []
    go = asyncio.Event()

    async def work(incident: str) -> None:
        handed.append(incident)
        await go.wait()
        await moved(store, incident, None)

    jobs = EmbeddedJobs(store, clock)
    async with running(jobs, work):
        await until(lambda: handed == [first])
        assert not await jobs.drain(0.01)
        await opened(store, "web", START)
        jobs.nudge()
        go.set()
        assert await jobs.drain(5)
        for _ in range(100):
            await asyncio.sleep(0)
    assert handed == [first]
    assert jobs.running == 0


async def test_cancelling_the_queue_cancels_the_work_and_its_row_stays(store: MemoryStore, clock: Clock) -> None:
    incident = await opened(store, "api", START)
    ended: list[str] = []
    began = asyncio.Event()

    async def work(name: str) -> None:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(name)

    async with running(EmbeddedJobs(store, clock), work):
        await began.wait()
    assert ended == [incident]
    assert await store.due(START, 10) == [(incident, "api")]
