"""`receiver.ports.Store` on one SQLite file: the embedded default, for one process.

One thread writes (receiver.store.writer), one brings the log back into the file (receiver.store.checkpoint), two read.
The file is owned by the process that holds its lock; others may read it.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Self, TypeVar

from receiver.core.events import Recorded
from receiver.core.incident import Incident
from receiver.core.playbook import Playbook
from receiver.ports import (
    ActionRecord,
    AlertRow,
    Body,
    Changes,
    Clock,
    FeedPage,
    IncidentFilter,
    OutboxRow,
    Page,
    StoreFull,
    StoreUnavailable,
    Unit,
    Waiting,
)
from receiver.store import feed, outbox, reads, retention
from receiver.store.batch import Batch
from receiver.store.cache import Cache
from receiver.store.checkpoint import Checkpointer
from receiver.store.codec import encode, encode_bodies
from receiver.store.lock import Lock
from receiver.store.schema import open_reader, open_writer, unusable
from receiver.store.space import Gauge, Room, Space
from receiver.store.sql import transaction
from receiver.store.writer import Limits, Writer

T = TypeVar("T")

_READERS = 2

_LARGE = 256 * 1024
"""Bytes from which a body is packed before its commit: 20 MB take 100 ms."""

_MEASURE_EVERY = 16
"""Commits between two looks at the room that is left; that many add some megabytes at most."""

_ROOM_PIECES = 10
"""Small deletions at once when the size is near its cap: some 10 ms, and as much as the commits in between bring."""


def _examined(path: Path) -> dict[int, int]:
    """Bring the schema up to date and count the alerts by status; what is damaged is mostly found here."""
    with closing(open_writer(path)) as connection:
        try:
            return dict(reads.statuses(connection))
        except sqlite3.DatabaseError as error:
            raise unusable(path, error) from error


class SqliteReader:
    """The reading half, without the lock: for the command line while the service runs, or when it doesn't.

    Args:
        path: the database.
        clock: for what may be sent again now.

    Raises:
        StoreUnusable: there is no database that this release can read.
    """

    def __init__(self, path: Path, clock: Clock) -> None:
        self._clock = clock
        self._connections: SimpleQueue[sqlite3.Connection] = SimpleQueue()
        for _ in range(_READERS):
            self._connections.put(open_reader(path))
        self._pool = ThreadPoolExecutor(_READERS, "store-reader")

    async def _read(self, function: Callable[..., T], *arguments: Any) -> T:
        """Run a reading function on a thread of its own."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._read_here, function, arguments)

    def _read_here(self, function: Callable[..., T], arguments: tuple[Any, ...]) -> T:
        connection = self._connections.get()
        try:
            return function(connection, *arguments)
        except sqlite3.Error as error:
            raise StoreUnavailable(f"the database can't be read: {error}") from error
        finally:
            self._connections.put(connection)

    async def due(self, now: float, limit: int) -> Sequence[tuple[str, str]]:
        """Return (incident, target) of wake-ups that are due, earliest first."""
        return await self._read(reads.due, now, limit)

    async def next_wake(self, after: float | None = None) -> float | None:
        """Return when the earliest wake-up is due, or the earliest one later than `after`."""
        return await self._read(reads.next_wake, after)

    async def incident(self, incident_id: str) -> Incident | None:
        """Return one incident."""
        return await self._read(reads.incident, incident_id)

    async def incidents(self, wanted: IncidentFilter) -> Page:
        """Return incidents, newest first."""
        return await self._read(reads.incidents, wanted)

    async def events(self, incident_id: str, after: int = 0, limit: int = 1000) -> Sequence[Recorded]:
        """Return the log of an incident from `seq > after`."""
        return await self._read(reads.events, incident_id, after, limit)

    async def feed(self, after: int, limit: int = 500) -> FeedPage:
        """Return the events of all incidents behind a place, in the order in which they became durable."""
        return await self._read(feed.page, after, limit)

    async def feed_end(self) -> int:
        """Return the place of the latest event; 0 when there is none."""
        return await self._read(feed.end)

    async def alerts(self, incident_id: str, limit: int = 1000) -> Sequence[AlertRow]:
        """Return the alerts of an incident, those that fire first."""
        return await self._read(reads.alerts, incident_id, limit)

    async def firing(self, limit: int = 100_000) -> Mapping[str, AlertRow]:
        """Return the alerts that fire, by fingerprint."""
        return await self._read(reads.firing, limit)

    async def unmatched(self, limit: int = 100, after: str | None = None) -> Page:
        """Return alerts that no playbook took, newest first."""
        return await self._read(reads.unmatched, limit, after)

    async def quarantined(self, limit: int = 100, after: str | None = None) -> Page:
        """Return alerts that could not be read, newest first."""
        return await self._read(reads.quarantined, limit, after)

    async def bodies(self, since: float, until: float, limit: int = 100) -> Sequence[Body]:
        """Return kept raw bodies that were received in that time, oldest first."""
        return await self._read(reads.bodies, since, until, limit)

    async def playbook(self, version: str) -> Playbook | None:
        """Return a stored playbook version."""
        return await self._read(reads.playbook, version)

    async def actions(self, since: float) -> Sequence[ActionRecord]:
        """Return actions started since then, and all that are under way."""
        return await self._read(reads.actions, since)

    async def outbox(self, limit: int) -> Sequence[tuple[int, OutboxRow, int]]:
        """Return (row id, row, attempts) that may be sent now: the head of each lane."""
        return await self._read(outbox.heads, self._clock.now(), limit)

    async def reference(self, lane: str, incident: str) -> str | None:
        """Return the reference of an incident's header in a lane."""
        return await self._read(outbox.reference, lane, incident)

    async def lane(self, lane: str, limit: int) -> Sequence[Waiting]:
        """Return what waits in a lane by incident, the worst severity first, then the oldest."""
        return await self._read(outbox.lane, lane, limit)

    async def lane_rows(
        self, lane: str, incident: str, limit: int, *, header: bool = False
    ) -> Sequence[tuple[int, OutboxRow, int]]:
        """Return (row id, row, attempts) of an incident's entries that wait in a lane, in order; or of its header."""
        return await self._read(outbox.lane_rows, lane, incident, limit, header)

    async def letters(self, *, dead: bool, limit: int = 100, after: str | None = None) -> Page:
        """Return rows that wait, or those that were given up, newest first."""
        return await self._read(outbox.letters, outbox.DEAD if dead else outbox.WAITING, limit, after)

    async def get(self, key: str) -> Any:
        """Return a small named JSON value; None when unset."""
        return await self._read(reads.get, key)

    async def close(self) -> None:
        """Close the connections."""
        await asyncio.to_thread(self._pool.shutdown)
        for _ in range(_READERS):
            self._connections.get().close()


class SqliteStore(SqliteReader):
    """The store of the running service; made with `open`."""

    def __init__(
        self, path: Path, clock: Clock, lock: Lock, gauge: Gauge, keep: retention.Keep, limits: Limits
    ) -> None:
        self._statuses = _examined(path)
        self._lock = lock
        self._gauge = gauge
        self._keep = keep
        self._checkpointer: Checkpointer | None = None
        self._commits = 0
        self._refused = False
        self._writer = Writer(lambda: open_writer(path), self, Cache(), limits)
        self._checkpointer = Checkpointer(lambda: open_writer(path, cache_kib=64))
        super().__init__(path, clock)

    @classmethod
    def open(
        cls,
        path: Path,
        clock: Clock,
        *,
        room: Room | None = None,
        keep: retention.Keep | None = None,
        limits: Limits | None = None,
        on_low_disk: Callable[[Space], None] | None = None,
    ) -> Self:
        """Open the database, making or migrating it; blocks for some milliseconds, or a second when it is new.

        Args:
            path: the file.
            clock: for what may be sent again now.
            room, keep, limits: see those.
            on_low_disk: called on another thread when the disk gets low, and when it is well again.

        Raises:
            StoreLocked: another process has it open.
            StoreUnusable: it is damaged, of a newer release, or can't be written.
        """
        lock = Lock(path)
        gauge = Gauge(path, room or Room(), on_low_disk)
        try:
            return cls(path, clock, lock, gauge, keep or retention.Keep(), limits or Limits())
        except sqlite3.DatabaseError as error:
            lock.release()
            raise unusable(path, error) from error
        except BaseException:
            lock.release()
            raise

    async def submit(self, unit: Unit) -> Changes:
        """Decide and apply one unit; returns when it is durable."""
        packed = None
        if unit.body is not None and len(unit.body.raw) >= _LARGE:
            packed = await asyncio.to_thread(encode_bodies, [unit.body])
        return await self._writer.submit(unit, packed)

    async def sent(self, row: int, reference: str | None) -> None:
        """Mark a row as sent, keeping the reference of a header."""
        await self._writer.call(lambda connection, _: outbox.sent(connection, row, reference))

    async def unsent(self, row: int, error: str, again_at: float | None) -> None:
        """Count a failed attempt; tried again at that time, None: to the dead letters."""
        await self._writer.call(lambda connection, _: outbox.unsent(connection, row, error, again_at))

    async def refer(self, lane: str, incident: str, reference: str | None) -> None:
        """Keep another reference of an incident's header, or none."""
        await self._writer.call(lambda connection, _: outbox.refer(connection, lane, incident, reference))

    async def resend(self, letter: str) -> bool:
        """Let a dead letter wait again; False when there is none of that id."""
        found: bool = await self._writer.call(lambda connection, _: outbox.resend(connection, letter))
        return found

    async def put(self, key: str, value: Any) -> None:
        """Set a small named JSON value, durably."""
        stored = encode(value)
        await self._writer.call(
            lambda connection, _: connection.execute("INSERT OR REPLACE INTO named VALUES (?, ?)", (key, stored))
        )

    async def counts(self) -> Mapping[str, Any]:
        """Return figures for metrics."""
        counts = await self._read(reads.counts)
        space = await self._read(self._gauge.measure)
        full = self._gauge.refusal(grows=True)
        return {
            **counts,
            "alerts": {"firing": self._statuses.get(1, 0), "resolved": self._statuses.get(0, 0)},
            "waiting_units": self._writer.waiting,
            "bytes": space.used,
            "bytes_limit": space.most,
            "disk_free": space.disk_free,
            "full": None if full is None else str(full),
        }

    async def prune(self, now: float) -> Mapping[str, int]:
        """Delete what retention no longer keeps, in small transactions; returns counts by kind."""
        gone: dict[str, int] = {}
        for kind, piece in retention.pieces(self._keep, now).items():
            gone[kind] = 0
            while count := await self._writer.call(piece):
                gone[kind] += count
        await self._writer.call(lambda connection, _: self._gauge.measure(connection))
        return gone

    async def close(self) -> None:
        """Finish what was submitted, bring the log into the file, and let another process have it."""
        await self._writer.finish()
        if self._checkpointer is not None:
            await asyncio.to_thread(self._checkpointer.close)
        await super().close()
        await asyncio.to_thread(self._writer.close)
        self._lock.release()

    # --- receiver.store.writer.Watch, on the writer's thread ---------------------------------------------------------

    def refusal(self, unit: Unit) -> StoreFull | None:
        """Return why there is no room for the unit, None when there is."""
        refusal = self._gauge.refusal(grows=unit.body is not None)
        self._refused = self._refused or refusal is not None
        return refusal

    def committed(self, batch: Batch) -> None:
        """Count the alerts that fire and those that don't."""
        self._statuses[1] = self._statuses.get(1, 0) + batch.firing
        self._statuses[0] = self._statuses.get(0, 0) + batch.resolved

    def _make_room(self, connection: sqlite3.Connection, cache: Cache) -> None:
        with transaction(connection):
            for _ in range(_ROOM_PIECES):
                if not retention.make_room(connection, cache) or not self._gauge.measure(connection).tight:
                    break

    def deleted(self, alerts: int) -> None:
        """Count those that were deleted; none of them fired."""
        self._statuses[0] = self._statuses.get(0, 0) - alerts

    def between(self, connection: sqlite3.Connection, cache: Cache) -> None:
        """Measure the room that is left, make some when it gets tight, and keep the log short."""
        self._commits += 1
        # After a refusal the next one is decided on fresh figures: room that somebody made counts at once.
        look = self._refused or self._commits % _MEASURE_EVERY == 1
        self._refused = False
        if look and self._gauge.measure(connection).tight:
            self._make_room(connection, cache)
        if self._checkpointer is None:
            return
        self._checkpointer.wrote()
        if self._checkpointer.finish.is_set():
            self._checkpointer.finish.clear()
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
