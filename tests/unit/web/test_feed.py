"""The live feed on a store: what listeners are told, from where, and in which order."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from itertools import pairwise
from pathlib import Path
from typing import Final
from unittest.mock import patch

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from receiver.core import events as ev
from receiver.core.events import Recorded
from receiver.core.timeline import entries
from receiver.ports import Changes, StoreUnavailable, Unit, View
from receiver.store.memory import MemoryStore
from receiver.store.sqlite import SqliteStore
from receiver.web import feed as module
from receiver.web.feed import Feed, FeedEnded, Gap, Listener, Told, TooManyListeners
from tests.contract.folding import alert, append, webhook
from tests.contract.store import NOW, Clock
from tests.unit.web.fakes import ListedStore, opened

pytestmark = pytest.mark.anyio
SOON: Final = 5.0


class HeldStore(MemoryStore):
    """A store that holds back the answer that nothing more is there, until it is let go."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.held, self.go = asyncio.Event(), asyncio.Event()

    async def events(self, incident_id: str, after: int = 0, limit: int = 1000) -> Sequence[Recorded]:
        events = await super().events(incident_id, after, limit)
        if not events:
            self.held.set()
            await self.go.wait()
        return events


class Scene:
    """A store, its feed running, and what writes to it."""

    def __init__(self, store: MemoryStore | SqliteStore) -> None:
        self.store = store
        self.feed = Feed(store, Clock())

    async def open(self, service: str = "api", fingerprint: str = "00000000000000aa") -> str:
        return (await self._submit(webhook([alert(fingerprint, service)], NOW))).incidents[0].id

    async def note(self, incident: str, *texts: str) -> None:
        await self.record(incident, *(ev.Noted(text, "ann", "cli") for text in texts))

    async def record(self, incident: str, *events: ev.Event) -> None:
        def decide(view: View) -> Changes:
            return append(view.incidents[incident], incident, events, NOW)

        await self._submit(Unit(decide, incidents=(incident,)))

    async def _submit(self, unit: Unit) -> Changes:
        changes = await self.store.submit(unit)
        self.feed.stored(changes)
        return changes


@asynccontextmanager
async def running(store: MemoryStore | SqliteStore | None = None) -> AsyncIterator[Scene]:
    scene = Scene(store or MemoryStore(Clock()))
    task = asyncio.create_task(scene.feed.run())
    yield scene
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def told(listener: Listener, number: int) -> list[Told]:
    found: list[Told] = []
    while len(found) < number:
        one = await listener.next(SOON)
        assert isinstance(one, Told), one
        found.append(one)
    return found


async def notes(listener: Listener, number: int) -> list[str]:
    return [getattr(one.recorded.event, "text", one.entry.kind) for one in await told(listener, number)]


async def silent(listener: Listener) -> bool:
    return await listener.next(0.05) is None


async def test_one_incidents_feed_begins_at_its_beginning_and_goes_on_live() -> None:
    async with running() as scene:
        incident, other = await scene.open(), await scene.open("web", "00000000000000bb")
        await scene.note(incident, "before")
        listener = await scene.feed.listen(incident)
        assert await notes(listener, 3) == ["opened", "alerts_changed", "before"]
        await scene.note(other, "not mine")
        await scene.note(incident, "live")
        (one,) = await told(listener, 1)
        assert (one.id, one.incident, one.entry.seq, one.entry.kind) == (4, incident, 4, "noted")
        assert "live" in one.entry.text
        assert await silent(listener)


async def test_the_feed_of_all_begins_now() -> None:
    async with running() as scene:
        incident = await scene.open()
        listener = await scene.feed.listen()
        assert await silent(listener)
        other = await scene.open("web", "00000000000000bb")
        await scene.note(incident, "live")
        assert [(one.incident, one.entry.seq) for one in await told(listener, 3)] == [
            (other, 1),
            (other, 2),
            (incident, 3),
        ]


@pytest.mark.parametrize("everything", [True, False])
async def test_who_comes_again_with_a_position_loses_and_doubles_nothing(everything: bool) -> None:
    async with running() as scene:
        incident = await scene.open()
        wanted = None if everything else incident
        listener = await scene.feed.listen(wanted)
        await scene.note(incident, *map(str, range(10)))
        first = [one for one in await told(listener, 7) if one.entry.kind == "noted"]
        listener.close()
        await scene.note(incident, "away")
        again = await scene.feed.listen(wanted, first[-1].id)
        await scene.note(incident, "back")
        rest = await told(again, 12 - len(first))
        assert [one.recorded.event for one in (*first, *rest)] == [
            ev.Noted(text, "ann", "cli") for text in (*map(str, range(10)), "away", "back")
        ]
        assert await silent(again)


async def test_a_position_holds_over_a_restart_of_the_service(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    store = SqliteStore.open(path, Clock())
    async with running(store) as scene:
        listener = await scene.feed.listen()
        incident = await scene.open()
        await scene.note(incident, "before", "unseen")
        position = (await told(listener, 3))[-1].id
    await store.close()
    store = SqliteStore.open(path, Clock())
    async with running(store) as scene:
        listener = await scene.feed.listen(None, position)
        await scene.note(incident, "after")
        assert await notes(listener, 2) == ["unseen", "after"]
        assert await silent(listener)
    await store.close()


async def test_a_listener_that_falls_behind_reads_on_from_the_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WAITING", 5)
    async with running() as scene:
        incident = await scene.open()
        listeners = [await scene.feed.listen(), await scene.feed.listen(incident)]
        assert await notes(listeners[1], 2) == ["opened", "alerts_changed"]
        assert await silent(listeners[0])
        texts = [f"note {number}" for number in range(40)]
        for text in texts:
            await scene.note(incident, text)
            await anyio.lowlevel.checkpoint()
        for listener in listeners:
            assert len(listener._queue) <= 5
            assert await notes(listener, 40) == texts
            assert await silent(listener)
        await scene.note(incident, "live again")
        for listener in listeners:
            assert await notes(listener, 1) == ["live again"]


async def test_what_becomes_durable_while_the_last_of_the_store_is_read_is_not_lost() -> None:
    store = HeldStore(Clock())
    async with running(store) as scene:
        incident = await scene.open()
        listener = await scene.feed.listen(incident)
        found = asyncio.create_task(notes(listener, 3))
        await store.held.wait()
        await scene.note(incident, "meanwhile")
        await anyio.wait_all_tasks_blocked()
        store.go.set()
        assert await found == ["opened", "alerts_changed", "meanwhile"]


async def test_a_listener_whose_place_is_no_longer_kept_is_told_of_the_gap() -> None:
    async with running() as scene:
        incident = await scene.open()
        listener = await scene.feed.listen(None, 1 << 40)
        assert await listener.next(SOON) == Gap(2)
        await scene.note(incident, "live")
        assert await notes(listener, 1) == ["live"]


async def test_looks_alike_take_the_place_of_one_another_as_in_a_timeline() -> None:
    store = ListedStore()
    looks: list[ev.Event] = [ev.Sampled(verdict, "look") for verdict in (True, True, True, True, False, None, True)]
    log = store.logs["i-1"] = [Recorded("i-1", seq, NOW, event) for seq, event in enumerate((opened(), *looks), 1)]
    listener = await Feed(store, Clock()).listen("i-1", 2)  # type: ignore[arg-type] # only what the feed reads
    live = [one.entry for one in await told(listener, 6)]
    assert [one.alike for one in live] == [2, 3, 4, 1, 1, 1]
    assert [one for one, after in pairwise([*live, live[-1]]) if not after.replaces] == entries(log)[2:]


async def test_there_is_an_end_to_how_many_listen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_LISTENERS", 2)
    async with running() as scene:
        first, _ = await scene.feed.listen(), await scene.feed.listen()
        with pytest.raises(TooManyListeners):
            await scene.feed.listen()
        first.close()
        await scene.feed.listen()


async def test_all_listeners_end_with_the_service() -> None:
    async with running() as scene:
        incident = await scene.open()
        listener = await scene.feed.listen(incident, 2)
        waiting = asyncio.create_task(listener.next(SOON))
        await anyio.wait_all_tasks_blocked()
        scene.feed.end()
        with pytest.raises(FeedEnded):
            await waiting
        assert [one async for one in listener] == []
        with pytest.raises(FeedEnded):
            await scene.feed.listen(incident)


async def test_a_store_that_fails_for_a_while_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running() as scene:
        incident = await scene.open()
        listener = await scene.feed.listen()
        assert await silent(listener)
        read, failures = scene.store.feed, [1, 2, 3]

        async def failing(after: int, limit: int = 500) -> object:
            if failures:
                failures.pop()
                raise StoreUnavailable("the disk is gone")
            return await read(after, limit)

        monkeypatch.setattr(scene.store, "feed", failing)
        await scene.note(incident, "kept")
        assert await notes(listener, 1) == ["kept"]
        assert not failures


async def test_nothing_is_read_while_nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running() as scene:
        listener = await scene.feed.listen()
        assert await silent(listener)
        listener.close()
        monkeypatch.setattr(scene.store, "feed", None)
        await scene.open()
        await anyio.wait_all_tasks_blocked()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    acts=st.lists(
        st.sampled_from(["one", "other", "many", "read", "yield", "leave"]),
        min_size=1,
        max_size=40,
    ),
    everything=st.booleans(),
)
def test_whatever_comes_between_each_event_is_told_once_and_in_order(acts: list[str], everything: bool) -> None:
    async def life() -> None:
        with patch.object(module, "WAITING", 3), patch.object(module, "PAGE", 2):
            async with running() as scene:
                one, other = await scene.open(), await scene.open("web", "00000000000000bb")
                wanted = None if everything else one
                listener = await scene.feed.listen(wanted, 0)
                found: list[Told] = []
                for act in acts:
                    if act == "read":
                        found += [] if (news := await listener.next(0.001)) is None else [news]  # type: ignore[list-item]
                    elif act == "yield":
                        await asyncio.sleep(0.001)
                    elif act == "leave":
                        listener.close()
                        listener = await scene.feed.listen(wanted, found[-1].id if found else 0)
                    else:
                        await scene.note(other if act == "other" else one, *("x" * (5 if act == "many" else 1)))
                stored = [event for _, event in (await scene.store.feed(0, 10_000)).events]
                wants = [event for event in stored if everything or event.incident == one]
                found += await told(listener, len(wants) - len(found))
                assert [each.recorded for each in found] == wants
                assert await listener.next(0.001) is None

    anyio.run(life)
