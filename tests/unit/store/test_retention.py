from __future__ import annotations

import hashlib
import os
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import pytest

from receiver.core import events as ev
from receiver.ports import Body, Changes, IncidentFilter, Quarantined, StoreFull, Unit
from receiver.store import feed
from receiver.store.retention import DAY, Keep
from receiver.store.space import Room
from receiver.store.sqlite import SqliteStore
from tests.contract.folding import alert, webhook
from tests.contract.store import NOW, Clock, closed, opened, recorded, tell, told, waiting

pytestmark = pytest.mark.anyio

KEEP = Keep(closed_rows=2, unmatched_rows=3, quarantined_rows=2, told_rows=2)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    store = SqliteStore.open(tmp_path / "store.db", Clock(), keep=KEEP)
    yield store
    await store.close()


def rows(store: SqliteStore, table: str) -> int:
    def count(connection: object) -> int:
        return connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # type: ignore[attr-defined,no-any-return]

    return store._read_here(count, ())


async def test_raw_bodies_are_kept_seven_days(store: SqliteStore) -> None:
    for day in range(10):
        await store.submit(webhook([alert("a")], NOW, Body(NOW + day * DAY, b"{}", 1)))
    gone = await store.prune(NOW + 9 * DAY)
    assert gone["bodies"] == 2
    assert [body.received_at for body in await store.bodies(0, NOW * 2)] == [NOW + day * DAY for day in range(2, 10)]


async def test_an_old_incident_goes_with_its_log_its_alerts_and_their_texts(store: SqliteStore) -> None:
    incident = await opened(store)
    await store.submit(webhook([alert("00000000000000aa", status="resolved")], NOW + 1))
    await recorded(store, incident.id, closed(), now=NOW + 2)
    await tell(store, told("h", incident.id, kind="header"))
    await store.prune(NOW + 365 * DAY)
    assert await store.incident(incident.id) is not None
    gone = await store.prune(NOW + 366 * DAY)
    assert gone["incidents"] > 0
    assert await store.incident(incident.id) is None
    assert [rows(store, table) for table in ("incidents", "events", "alerts", "texts")] == [0, 0, 0, 0]


async def test_what_was_deleted_is_new_when_it_comes_again(store: SqliteStore) -> None:
    incident = await opened(store, fingerprint="a")
    await store.submit(webhook([alert("a", status="resolved")], NOW + 1))
    await recorded(store, incident.id, closed(), now=NOW + 2)
    await store.prune(NOW + 366 * DAY)
    again = await opened(store, fingerprint="a")
    assert again.id != incident.id
    assert (await store.firing())["a"].incident == again.id


async def test_an_ended_incident_whose_alert_still_fires_is_kept(store: SqliteStore) -> None:
    incident = await opened(store)
    await recorded(store, incident.id, closed(), now=NOW + 2)
    await store.prune(NOW + 5 * 365 * DAY)
    assert await store.incident(incident.id) is not None
    assert len(await store.firing()) == 1


async def test_only_so_many_ended_incidents_are_kept_the_latest_ones(store: SqliteStore) -> None:
    ids = []
    for number in range(5):
        incident = await opened(store, f"svc-{number}", f"{number:016x}")
        ids.append(incident.id)
        await store.submit(webhook([alert(f"{number:016x}", f"svc-{number}", "resolved")], NOW))
        await recorded(store, incident.id, closed(), now=NOW + number)
    await store.prune(NOW + 10)
    assert [one.id for one in (await store.incidents(IncidentFilter())).items] == ids[:2:-1]


async def test_unmatched_alerts_are_bounded_but_never_one_that_fires(store: SqliteStore) -> None:
    for number in range(6):
        await store.submit(webhook([alert(f"old-{number}", None, "resolved")], NOW + number))
        await store.submit(webhook([alert(f"fires-{number}", None)], NOW + number))
    await store.prune(NOW + 10)
    kept = [row.alert.fingerprint for row in (await store.unmatched()).items]
    assert [name for name in kept if name.startswith("old")] == ["old-5", "old-4", "old-3"]
    assert sum(name.startswith("fires") for name in kept) == 6
    await store.prune(NOW + 31 * DAY)
    assert len((await store.unmatched()).items) == 6
    assert (await store.counts())["alerts"] == {"firing": 6, "resolved": 0}


async def test_bad_alerts_and_told_rows_are_bounded(store: SqliteStore) -> None:
    bad = [Quarantined(NOW, f"$.alerts[{number}]", "x", "{}") for number in range(5)]
    await store.submit(Unit(lambda _: Changes(), quarantined=bad))
    await tell(store, *(told(f"t{number}", "i-1") for number in range(5)))
    for _ in range(4):
        await store.sent((await store.outbox(1))[0][0], None)
    await store.prune(NOW + 1)
    assert (await store.quarantined()).items == bad[:2:-1]
    assert rows(store, "outbox") == 3
    assert await waiting(store) == ["t4"]
    await store.prune(NOW + 31 * DAY)
    assert not (await store.quarantined()).items
    assert await waiting(store) == ["t4"]


def noise(number: int) -> bytes:
    """Return 300 kB that compress to half."""
    return "".join(f"{one * 2654435761 % 2**32:x}" for one in range(number, number + 40_000)).encode()


async def test_near_the_size_cap_the_oldest_bodies_go_before_anything_is_refused(tmp_path: Path) -> None:
    store = SqliteStore.open(tmp_path / "tight.db", Clock(), room=Room(most=10 << 20, full_share=0.5))
    for number in range(100):
        await store.submit(webhook([alert("a")], NOW, Body(NOW + number, noise(number), 1)))
    kept = await store.bodies(0, NOW * 2)
    assert 10 < len(kept) < 90
    assert kept[-1].received_at == NOW + 99
    assert (await store.firing())["a"].repeats == 99
    await store.close()


async def test_near_the_size_cap_old_alerts_go_as_fast_as_a_storm_brings_new_ones(tmp_path: Path) -> None:
    store = SqliteStore.open(tmp_path / "tight.db", Clock(), room=Room(most=2 << 20, full_share=0.5))
    for number in range(220):
        some = [f"{number * 100 + one:016x}" for one in range(100)]
        storm = [alert(name, None, "resolved", noise=hashlib.sha512(name.encode()).hexdigest()) for name in some]
        await store.submit(webhook(storm, NOW, Body(NOW, b"{}", 1)))
    assert 5_000 < (await store.counts())["alerts"]["resolved"] < 10_000
    await store.close()


async def test_a_full_disk_refuses_webhooks_says_so_and_takes_them_again_once_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, free = os.statvfs, [1 << 40]

    def statvfs(path: Path) -> SimpleNamespace:
        return SimpleNamespace(f_bavail=free[0], f_frsize=1, real=real(path))

    monkeypatch.setattr("receiver.store.space.os.statvfs", statvfs)
    store = SqliteStore.open(tmp_path / "full.db", Clock())

    async def take(number: int) -> None:
        await store.submit(webhook([alert(f"{number:016x}")], NOW, Body(NOW, b"{}", 1)))

    await take(1)
    assert (await store.counts())["full"] is None
    free[0] = 100 << 20
    assert "has 100 MiB left" in (await store.counts())["full"]
    with pytest.raises(StoreFull, match="100 MiB left"):
        await take(2)
    await store.put("kill", {"everything": True})
    free[0] = 1 << 40
    with suppress(StoreFull):
        await take(2)
    await take(2)
    assert (await store.counts())["full"] is None
    await store.close()


async def test_what_was_deleted_makes_the_file_smaller(tmp_path: Path) -> None:
    path = tmp_path / "large.db"
    store = SqliteStore.open(path, Clock())
    for number in range(120):
        await store.submit(webhook([alert("a")], NOW, Body(NOW, noise(number), 1)))
    before = (await store.counts())["bytes"]
    gone = await store.prune(NOW + 8 * DAY)
    assert gone["pages"] > 0
    assert (await store.counts())["bytes"] < before / 10
    await store.close()
    assert path.stat().st_size < before / 2


async def test_a_reader_of_the_feed_that_missed_too_much_is_told_so(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    incident = await opened(store)
    first = await store.feed_end()
    for number in range(5):
        await recorded(store, incident.id, ev.Noted(f"note {number}", "ann", "cli"))
    last = await store.feed_end()
    monkeypatch.setattr(feed, "MOST_BEHIND", last - first)
    assert [getattr(one.event, "text", "") for _, one in (await store.feed(first)).events][::4] == ["note 0", "note 4"]
    monkeypatch.setattr(feed, "MOST_BEHIND", last - first - 1)
    page = await store.feed(first)
    assert (page.events, page.last, page.complete) == ((), last, False)
    assert (await store.feed(page.last)).complete


async def test_places_of_the_feed_grow_though_the_latest_events_are_gone_and_mean_the_same_after_a_restart(
    tmp_path: Path,
) -> None:
    path, clock = tmp_path / "feed.db", Clock()
    store = SqliteStore.open(path, clock)
    stays = await opened(store, "web", "b")
    gone = await opened(store, fingerprint="a")
    await store.submit(webhook([alert("a", status="resolved")], NOW + 1))
    await recorded(store, gone.id, closed(), now=NOW + 2)
    last = await store.feed_end()
    await store.prune(NOW + 366 * DAY)
    assert await store.incident(gone.id) is None
    await store.close()
    store = SqliteStore.open(path, clock)
    assert await store.feed_end() == last
    await recorded(store, stays.id, ev.Noted("after the restart", "ann", "cli"))
    page = await store.feed(last)
    assert (page.complete, [getattr(one.event, "text", "") for _, one in page.events]) == (True, ["after the restart"])
    assert page.last > last
    await store.close()


async def test_the_feed_leaves_out_what_is_no_longer_kept_and_goes_on_behind_it(store: SqliteStore) -> None:
    gone = await opened(store, fingerprint="a")
    await store.submit(webhook([alert("a", status="resolved")], NOW + 1))
    await recorded(store, gone.id, closed(), now=NOW + 2)
    stays = await opened(store, "web", "b")
    await store.prune(NOW + 366 * DAY)
    assert await store.incident(gone.id) is None
    page = await store.feed(0)
    assert (page.last, page.complete) == (await store.feed_end(), True)
    assert [one for _, one in page.events] == list(await store.events(stays.id))
