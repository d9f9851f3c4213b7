"""What the writing thread promises beyond the store's contract: sharing commits, failing alone, coming back."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from receiver.core.fold import replay
from receiver.ports import (
    Body,
    Changes,
    IncidentFilter,
    InvalidChanges,
    StoreFull,
    StoreUnavailable,
    Unit,
    View,
)
from receiver.store.checkpoint import Checkpointer
from receiver.store.schema import open_writer
from receiver.store.space import Room
from receiver.store.sqlite import SqliteStore
from receiver.store.writer import Limits
from tests.contract.folding import alert, fold, webhook
from tests.contract.store import NOW, Clock

pytestmark = pytest.mark.anyio


class Disk(sqlite3.Connection):
    """A connection whose disk fails when it is told to."""

    commits = 0
    failing: str | None = None

    def execute(self, sql: str, *arguments: Any) -> sqlite3.Cursor:
        if sql == "COMMIT":
            Disk.commits += 1
            if Disk.failing is not None:
                raise sqlite3.OperationalError(Disk.failing)
        return super().execute(sql, *arguments)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> type[Disk]:
    plain: Callable[..., sqlite3.Connection] = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *given, **options: plain(*given, factory=Disk, **options))
    Disk.commits, Disk.failing = 0, None
    return Disk


@pytest.fixture
async def store(tmp_path: Path, disk: type[Disk]) -> AsyncIterator[SqliteStore]:
    store = SqliteStore.open(tmp_path / "store.db", Clock(), limits=Limits(waiting=200))
    disk.commits = 0
    yield store
    disk.failing = None
    await store.close()


def held() -> tuple[Unit, threading.Event, threading.Event]:
    """Return a unit that holds the writer until it is let go; the events say that it began, and let it go."""
    began, go = threading.Event(), threading.Event()

    def decide(view: View) -> Changes:
        began.set()
        assert go.wait(10)
        return Changes()

    return Unit(decide), began, go


async def fill(store: SqliteStore, *units: Unit) -> list[asyncio.Task[Changes]]:
    """Queue units behind one that holds the writer, then let it go; all of them wait together."""
    holding, began, go = held()
    first = asyncio.ensure_future(store.submit(holding))
    await asyncio.to_thread(began.wait, 10)
    tasks = [asyncio.ensure_future(store.submit(unit)) for unit in units]
    await asyncio.sleep(0)
    go.set()
    await first
    return tasks


async def test_units_that_wait_together_share_one_commit(store: SqliteStore, disk: type[Disk]) -> None:
    tasks = await fill(store, *(webhook([alert(f"{number:016x}")], NOW) for number in range(100)))
    await asyncio.gather(*tasks)
    assert disk.commits == 2


async def test_units_that_the_loop_brings_turn_after_turn_share_one_commit(
    store: SqliteStore, disk: type[Disk]
) -> None:
    tasks = []
    for number in range(30):
        tasks.append(asyncio.ensure_future(store.submit(webhook([alert(f"{number:016x}")], NOW))))
        await asyncio.sleep(0)
    await asyncio.gather(*tasks)
    assert disk.commits == 1


async def test_a_unit_whose_rows_the_database_refuses_fails_alone_in_its_commit(
    store: SqliteStore, disk: type[Disk]
) -> None:
    def broken(view: View) -> Changes:
        changes = fold(view, [alert("bad")], NOW)
        return changes._replace(alerts=[changes.alerts[0]._replace(seen_at=float("nan"))])

    units = [webhook([alert(f"{number:016x}")], NOW) for number in range(10)]
    units.insert(5, Unit(broken, ("bad",), ("api",)))
    results = await asyncio.gather(*await fill(store, *units), return_exceptions=True)
    assert [number for number, one in enumerate(results) if isinstance(one, InvalidChanges)] == [5]
    (incident,) = (await store.incidents(IncidentFilter())).items
    assert incident.alerts == 10
    assert replay(await store.events(incident.id)) == incident
    await store.submit(webhook([alert("bad")], NOW))
    assert len(await store.firing()) == 11
    assert (await store.counts())["alerts"] == {"firing": 11, "resolved": 0}


async def test_a_failed_commit_fails_all_its_units_and_the_next_one_goes_well(
    store: SqliteStore, disk: type[Disk]
) -> None:
    await store.submit(webhook([alert("a")], NOW))
    disk.failing = "disk I/O error"
    results = await asyncio.gather(
        *(store.submit(webhook([alert(name)], NOW)) for name in "bcd"), return_exceptions=True
    )
    assert {type(one) for one in results} == {StoreUnavailable}
    assert "disk I/O error" in str(results[0])
    disk.failing = None
    await store.submit(webhook([alert("b")], NOW))
    assert (await store.firing()).keys() == {"a", "b"}
    (incident,) = (await store.incidents(IncidentFilter())).items
    assert replay(await store.events(incident.id)) == incident


async def test_a_full_disk_is_told_apart_and_passes_when_there_is_room(store: SqliteStore) -> None:
    await store.submit(webhook([alert("a")], NOW))
    writing = store._writer._connection
    assert writing is not None
    (pages,) = writing.execute("PRAGMA page_count").fetchone()
    writing.execute(f"PRAGMA max_page_count = {pages}")
    text = "".join(f"{number:x}" for number in range(40_000))
    with pytest.raises(StoreFull, match="full"):
        await store.submit(webhook([alert("b", text=text)], NOW, Body(NOW, text.encode(), 1)))
    await store.submit(webhook([alert("b", text=text)], NOW, Body(NOW, text.encode(), 1)))
    assert (await store.firing()).keys() == {"a", "b"}


async def test_a_defect_within_the_store_is_not_the_end_of_its_thread(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("receiver.store.writer.load", lambda *_: [].pop())
    with pytest.raises(StoreUnavailable, match="pop from empty list"):
        await store.submit(webhook([alert("a")], NOW))
    assert "a defect of the store" in caplog.text
    monkeypatch.undo()
    await store.submit(webhook([alert("a")], NOW))


async def test_a_defect_in_looking_after_the_database_is_not_the_end_of_its_thread(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_connection: sqlite3.Connection) -> None:
        raise ZeroDivisionError("a defect")

    monkeypatch.setattr(store._gauge, "measure", broken)
    monkeypatch.setattr("receiver.store.sqlite._MEASURE_EVERY", 2)
    for number in range(3):
        async with asyncio.timeout(10):
            await store.submit(webhook([alert(f"{number}")], NOW))
    assert len(await store.firing()) == 3


async def test_a_database_that_fails_for_a_while_is_brought_into_its_file_later(tmp_path: Path) -> None:
    writing = open_writer(tmp_path / "store.db")
    calls: list[int] = []

    def connect() -> sqlite3.Connection:
        calls.append(1)
        if len(calls) < 3:
            raise sqlite3.DatabaseError("malformed")
        return open_writer(tmp_path / "store.db")

    checkpointer = Checkpointer(connect, seconds=0.001)
    writing.execute("INSERT INTO named VALUES ('a', 'b')")
    checkpointer.wrote()
    async with asyncio.timeout(10):
        while not checkpointer.pages:
            await asyncio.sleep(0.01)
    checkpointer.close()
    writing.close()
    assert len(calls) == 3


async def test_more_units_than_may_wait_are_refused_at_once(store: SqliteStore) -> None:
    tasks = await fill(store, *(webhook([alert(f"{number:016x}")], NOW) for number in range(250)))
    results = await asyncio.gather(*tasks, return_exceptions=True)
    refused = [one for one in results if isinstance(one, StoreUnavailable)]
    assert len(refused) == 51  # the one that held the writer waits too
    assert "wait to be stored" in str(refused[0])
    await store.submit(webhook([alert("later")], NOW))


async def test_small_units_overtake_big_ones(store: SqliteStore) -> None:
    order: list[str] = []

    def unit(name: str, size: int) -> Unit:
        alerts = [alert(f"{name}-{number}", None) for number in range(size)]
        plain = webhook(alerts, NOW)

        def decide(view: View) -> Changes:
            order.append(name)
            return plain.decide(view)

        return plain._replace(decide=decide)

    big = [unit(f"big-{number}", 500) for number in range(8)]
    small = [unit(f"small-{number}", 1) for number in range(3)]
    await asyncio.gather(*await fill(store, *big, *small))
    assert order[:3] == ["small-0", "small-1", "small-2"]
    assert order[3:] == [f"big-{number}" for number in range(8)]


async def test_a_commit_takes_a_bounded_number_of_alerts(store: SqliteStore, disk: type[Disk]) -> None:
    units = [webhook([alert(f"{name}-{number}", None) for number in range(500)], NOW) for name in range(8)]
    await asyncio.gather(*await fill(store, *units))
    assert disk.commits == 1 + 8  # two of 501 don't fit into 1000


async def test_what_was_submitted_before_the_end_is_kept_and_nothing_after(tmp_path: Path) -> None:
    store = SqliteStore.open(tmp_path / "end.db", Clock())
    tasks = [asyncio.ensure_future(store.submit(webhook([alert(f"{number:016x}")], NOW))) for number in range(50)]
    await asyncio.sleep(0)
    await store.close()
    await asyncio.gather(*tasks)
    with pytest.raises(StoreUnavailable, match="closed"):
        await store.submit(webhook([alert("late")], NOW))
    again = SqliteStore.open(tmp_path / "end.db", Clock())
    assert len(await again.firing()) == 50
    await again.close()


async def test_above_the_size_cap_webhooks_are_refused_and_other_work_is_not(tmp_path: Path) -> None:
    room = Room(most=64 * 1024, reserve=1 << 30)
    store = SqliteStore.open(tmp_path / "small.db", Clock(), room=room)
    changes = await store.submit(webhook([alert("a")], NOW, Body(NOW, b"{}", 1)))
    name = changes.incidents[0].id
    await store.submit(Unit(lambda _: Changes()))
    with pytest.raises(StoreFull, match="limit"):
        await store.submit(webhook([alert("b")], NOW, Body(NOW, b"{}", 1)))
    await store.submit(Unit(lambda _: Changes(wake={name: NOW + 1}), incidents=(name,)))
    assert await store.next_wake() == NOW + 1
    await store.close()


async def test_low_disk_space_is_told_once_before_anything_is_refused(tmp_path: Path) -> None:
    told: list[bool] = []
    room = Room(low_disk=1 << 62)
    store = SqliteStore.open(tmp_path / "low.db", Clock(), room=room, on_low_disk=lambda space: told.append(space.low))
    for number in range(40):
        await store.submit(webhook([alert(f"{number:016x}")], NOW, Body(NOW, b"{}", 1)))
    await store.close()
    assert told == [True]


async def test_without_disk_space_webhooks_are_refused(tmp_path: Path) -> None:
    store = SqliteStore.open(tmp_path / "none.db", Clock(), room=Room(least_disk=1 << 62))
    await store.submit(Unit(lambda _: Changes(counters={"x": 1})))
    await store.prune(NOW)
    with pytest.raises(StoreFull, match="make room"):
        await store.submit(webhook([alert("a")], NOW, Body(NOW, b"{}", 1)))
    await store.close()


async def test_the_log_stays_short_while_much_is_written(tmp_path: Path) -> None:
    path = tmp_path / "busy.db"
    store = SqliteStore.open(path, Clock())
    for round_ in range(60):
        group = [alert(f"{round_:08x}{number:08x}", f"svc-{number % 5}") for number in range(500)]
        await store.submit(webhook(group, NOW, Body(NOW, b"{}" * 50_000, 500)))
    log = path.with_name(path.name + "-wal").stat().st_size
    await store.close()
    assert log < 64 << 20
    assert not path.with_name(path.name + "-wal").exists()
