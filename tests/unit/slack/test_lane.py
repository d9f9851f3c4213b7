"""The lane when something breaks that is no failure of Slack: the service goes on."""

import asyncio
from typing import Any

import pytest

from receiver.chat.slack import lane as module
from receiver.chat.slack.chat import SlackChat
from receiver.chat.slack.lane import SlackLane
from receiver.core.outbox import OutboxRow
from receiver.ports import Changes, StoreUnavailable, Unit
from receiver.store.memory import MemoryStore
from tests.simulation.world import FakeClock

pytestmark = pytest.mark.anyio


class Api:
    """Keeps calls; breaks as told."""

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []
        self.breaks: Exception | None = None

    async def call(self, method: str, **arguments: Any) -> dict[str, Any]:
        if self.breaks is not None:
            raise self.breaks
        self.calls.append({"method": method, **arguments})
        ts = f"{1_800_000_000 + len(self.calls)}.000000"
        return {"ok": True, "channel": "C1", "ts": ts, "message": {"thread_ts": arguments.get("thread_ts")}}


class Patient(FakeClock):
    """Time passes when somebody waits, and others get their turn."""

    async def sleep(self, seconds: float) -> None:
        self.time += seconds
        await asyncio.sleep(0)


@pytest.fixture
def clock() -> Patient:
    return Patient()


@pytest.fixture
async def store(clock: Patient) -> MemoryStore:
    made = MemoryStore(clock)
    rows = [OutboxRow("slack", "thread", f"i-1/{number}/slack/noted", "i-1", {"text": "x"}, 1.0) for number in (1, 2)]
    await made.submit(Unit(lambda _: Changes(outbox=rows)))
    return made


async def until(lane: SlackLane, so: Any) -> None:
    """Run the lane until something is so."""
    running = asyncio.create_task(lane.run())
    async with asyncio.timeout(10):
        while not await so():
            assert not running.done()
            await asyncio.sleep(0.001)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "POLL", 0.005)


async def test_a_defect_costs_its_row_and_not_the_lane(store: MemoryStore, clock: Patient) -> None:
    api = Api()
    api.breaks = KeyError("a defect")
    lane = SlackLane(store, clock, SlackChat(api, clock, "C1", {}))

    async def one_dead() -> bool:
        letters = (await store.letters(dead=True)).items
        if letters:
            api.breaks = None
        return bool(letters) and not await store.lane("slack", 10)

    async def tick() -> bool:
        clock.time += 0.5
        return await one_dead()

    await until(lane, tick)
    (letter, *_) = (await store.letters(dead=True)).items
    assert "a defect of the sender: KeyError" in letter.error


async def test_a_store_that_fails_for_a_while_is_asked_again(
    store: MemoryStore, clock: Patient, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = Api()
    real, failures = store.lane, [StoreUnavailable("disk"), StoreUnavailable("disk")]

    async def lane_rows(lane: str, limit: int) -> Any:
        if failures:
            raise failures.pop()
        return await real(lane, limit)

    monkeypatch.setattr(store, "lane", lane_rows)

    async def sent() -> bool:
        clock.time += 0.5
        return not failures and not await real("slack", 10)

    await until(SlackLane(store, clock, SlackChat(api, clock, "C1", {})), sent)
    assert [call["method"] for call in api.calls] == ["chat.postMessage", "chat.postMessage"]
    assert api.calls[1]["metadata"]["event_payload"]["keys"] == ["1/slack/noted", "2/slack/noted"]
