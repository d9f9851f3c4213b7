"""The one writer: a thread that takes all waiting units into one transaction, then resolves all their futures at once.

A unit decides before any SQL runs, so a decision that fails costs nobody else anything. The SQL of all units is written
together; should that fail, the whole is rolled back and done again one unit at a time, each in its own savepoint, and
only the bad one fails (docs/decisions: group commit).
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from queue import SimpleQueue
from typing import Any, Protocol

from receiver.ports import Changes, InvalidChanges, StoreFull, StoreUnavailable, StoreUnusable, Unit
from receiver.store.apply import remember, write
from receiver.store.batch import Batch, Numbers
from receiver.store.cache import Cache
from receiver.store.gathering import Gathering
from receiver.store.loading import load

logger = logging.getLogger(__name__)

Direct = Callable[[sqlite3.Connection, Cache], Any]
"""A small piece of SQL that shares the commit of the units, e.g. a row of the outbox that was sent."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much waits, and how much a commit takes.

    Args:
        waiting: units that may wait; more are refused at once.
        weight: what a commit takes, in alerts and other things that units name; one unit always fits.
        small: up to this weight a unit is small. Small ones go first, so they never wait behind more than one commit
            of big ones, however large a group is being taken.
        enough: what is waited for, while more and more comes, before a commit begins.
    """

    waiting: int = 4096
    weight: int = 1000
    small: int = 50
    enough: int = 300


@dataclass(slots=True)
class _Job:
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Any]
    weight: int
    unit: Unit | None = None
    direct: Direct | None = None
    packed: bytes | None = None
    result: Any = None
    error: BaseException | None = None


class Watch(Protocol):
    """Is told of each commit; may refuse what would grow the database."""

    def refusal(self, unit: Unit) -> StoreFull | None:
        """Return why there is no room for the unit, None when there is."""
        ...

    def committed(self, batch: Batch) -> None:
        """Take note of what was written just now, before anybody is told."""
        ...

    def deleted(self, alerts: int) -> None:
        """Take note that so many alerts, none of which fired, were deleted."""
        ...

    def between(self, connection: sqlite3.Connection, cache: Cache) -> None:
        """Do what has to be done between two commits, after everybody was told."""
        ...


class Writer:
    """The writing thread.

    Args:
        connect: opens the database; called again after an error that may have left the connection in doubt.
        watch: see `Watch`.
        cache: what is remembered; only the thread touches it.
        limits: see `Limits`.
    """

    def __init__(self, connect: Callable[[], sqlite3.Connection], watch: Watch, cache: Cache, limits: Limits) -> None:
        self._connect = connect
        self._watch = watch
        self._cache = cache
        self._limits = limits
        self._queue: deque[_Job] = deque()
        self._bell: SimpleQueue[bool] = SimpleQueue()
        """Rung when the thread may wait no longer; with True when it is to end."""
        self._gathering = Gathering(self._queue, lambda: self._bell.put(False), limits.enough)
        self._small: deque[_Job] = deque()
        self._big: deque[_Job] = deque()
        self._waiting = 0
        self._closed = False
        self._connection: sqlite3.Connection | None = connect()
        self._numbers = _numbers(self._connection)
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """How many units and other pieces of work wait for their commit."""
        return self._waiting

    def submit(self, unit: Unit, packed: bytes | None = None) -> asyncio.Future[Changes]:
        """Queue a unit; from the event loop's thread.

        Args:
            packed: its body as it is stored, so that a large one isn't packed while everybody waits for the commit.

        Raises:
            StoreUnavailable: too many wait, or the store is closed.
        """
        weight = 1 + len(unit.fingerprints) + len(unit.targets) + len(unit.incidents)
        return self._put(weight, unit=unit, packed=packed)

    def call(self, direct: Direct) -> asyncio.Future[Any]:
        """Queue a piece of SQL; from the event loop's thread.

        Raises:
            StoreUnavailable: too many wait, or the store is closed.
        """
        return self._put(1, direct=direct)

    def _put(
        self, weight: int, unit: Unit | None = None, direct: Direct | None = None, packed: bytes | None = None
    ) -> asyncio.Future[Any]:
        if self._closed:
            raise StoreUnavailable("the store is closed")
        if self._waiting >= self._limits.waiting:
            raise StoreUnavailable(f"{self._waiting} units wait to be stored; try again in a moment")
        loop = asyncio.get_running_loop()
        job = _Job(loop, loop.create_future(), weight, unit, direct, packed)
        self._waiting += 1
        self._queue.append(job)
        self._gathering.add(loop, weight)
        return job.future

    async def finish(self) -> None:
        """Take nothing more, finish what waits and end the thread."""
        if not self._closed:
            self._closed = True
            self._bell.put(True)
        await asyncio.to_thread(self._thread.join)

    def close(self) -> None:
        """Close the connection; the last one of all brings the log into the file and deletes it."""
        self._forget()

    # --- on the thread --------------------------------------------------------------------------------------------

    def _run(self) -> None:
        ending = False
        while not (ending and not self._small and not self._big):
            ending = self._receive(wait=not (ending or self._small or self._big)) or ending
            jobs = self._take()
            if jobs:
                self._work(jobs)
                self._resolve(jobs)
                self._between()

    def _receive(self, *, wait: bool) -> bool:
        """Sort what arrived into small and big; return whether this is the end."""
        ending = wait and self._bell.get()
        while self._queue:
            job = self._queue.popleft()
            (self._small if job.weight <= self._limits.small else self._big).append(job)
        return ending

    def _take(self) -> list[_Job]:
        """Return the jobs of the next commit: small ones, then as much of the big ones as has room beside them."""
        jobs: list[_Job] = []
        for queue in (self._small, self._big):
            room = self._limits.weight
            while queue and (room >= queue[0].weight or room == self._limits.weight):
                job = queue.popleft()
                room -= job.weight
                jobs.append(job)
        return jobs

    def _work(self, jobs: list[_Job]) -> None:
        """Do the jobs and leave each its result or its error."""
        try:
            connection = self._connection
            if connection is None:
                connection = self._connection = self._connect()
                self._numbers = _numbers(connection)
            if not self._together(connection, jobs):
                self._apart(connection, jobs)
        except Exception as error:
            if not isinstance(error, sqlite3.Error | StoreUnusable):
                logger.exception("a defect of the store; nothing of this commit was kept")
            self._give_up(jobs, error)

    def _between(self) -> None:
        """Let the watch work; what fails there was promised to nobody, a new connection begins afresh."""
        if self._connection is None:
            return
        try:
            self._watch.between(self._connection, self._cache)
            self._settled()
        except Exception as error:
            # Whatever it is, it must not end the thread: nobody would ever be answered again.
            if isinstance(error, sqlite3.Error | OSError):
                logger.warning("the database can't be looked after: %s", error)
            else:
                logger.exception("a defect in looking after the database")
            self._forget()

    def _together(self, connection: sqlite3.Connection, jobs: list[_Job]) -> bool:
        """Commit all jobs at once; returns whether that went well, else one of them may be to blame."""
        units = [job.unit for job in jobs if job.unit is not None]
        batch = Batch(load(connection, self._cache, units), replace(self._numbers))
        taken = 0
        for job in jobs:
            if job.unit is not None:
                taken += self._decide(batch, job, job.unit)
        if not taken and len(units) == len(jobs):
            return True
        connection.execute("BEGIN IMMEDIATE")
        try:
            write(connection, batch, self._cache)
            for job in jobs:
                if job.direct is not None:
                    job.result = job.direct(connection, self._cache)
        except Exception as error:  # noqa: BLE001 - one unit's values can fail in as many ways as there are types
            self._undo(connection, error)
            return False
        connection.execute("COMMIT")
        self._keep(batch)
        return True

    def _apart(self, connection: sqlite3.Connection, jobs: list[_Job]) -> None:
        """Commit the jobs in one transaction, each in its own savepoint."""
        self._cache.clear()
        connection.execute("BEGIN IMMEDIATE")
        done: list[Batch] = []
        for job in jobs:
            job.result = job.error = None
            connection.execute("SAVEPOINT job")
            try:
                self._alone(connection, job, done)
            except Exception as error:  # noqa: BLE001 - see above
                _raise_if_database(error)
                job.error = _blamed(error)
                connection.execute("ROLLBACK TO job")
                self._cache.clear()
            connection.execute("RELEASE job")
        connection.execute("COMMIT")
        self._settled()
        for batch in done:
            self._watch.committed(batch)

    def _settled(self) -> None:
        if gone := self._cache.settle():
            self._watch.deleted(gone)

    def _alone(self, connection: sqlite3.Connection, job: _Job, done: list[Batch]) -> None:
        if job.direct is not None:
            job.result = job.direct(connection, self._cache)
        if job.unit is not None:
            batch = Batch(load(connection, self._cache, [job.unit]), replace(self._numbers))
            if self._decide(batch, job, job.unit):
                write(connection, batch, self._cache)
                # Not durable yet, but the next one must see it; should the commit fail, all is forgotten.
                remember(batch, self._cache)
                self._numbers = batch.next
                done.append(batch)

    def _decide(self, batch: Batch, job: _Job, unit: Unit) -> bool:
        """Let a unit decide; return whether its changes were taken."""
        refusal = self._watch.refusal(unit)
        if refusal is not None:
            job.error = refusal
            return False
        try:
            changes = unit.decide(batch.view(unit))
            batch.add(unit, changes, job.packed)
        except Exception as error:  # noqa: BLE001 - a unit may fail in any way; its caller gets the very exception
            job.error = error
            return False
        job.result = changes
        return True

    def _keep(self, batch: Batch) -> None:
        remember(batch, self._cache)
        self._settled()
        self._numbers = batch.next
        self._watch.committed(batch)

    def _undo(self, connection: sqlite3.Connection, error: Exception) -> None:
        """Roll back; go on by raising when the database itself is what failed."""
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        _raise_if_database(error)

    def _give_up(self, jobs: list[_Job], error: Exception) -> None:
        """Fail all jobs of a commit; the next one begins with a new connection and an empty cache."""
        for job in jobs:
            job.error = _unavailable(error)
        self._forget()

    def _forget(self) -> None:
        self._cache.clear()
        if self._connection is not None:
            # It is dropped either way; what it held was never promised to anybody.
            with suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None

    def _resolve(self, jobs: list[_Job]) -> None:
        """Give all results to the event loop in one call."""
        loops = {job.loop for job in jobs}
        for loop in loops:
            mine = jobs if len(loops) == 1 else [job for job in jobs if job.loop is loop]
            try:
                loop.call_soon_threadsafe(self._settle, mine)
            except RuntimeError:
                # The loop ended without waiting for them: nobody is left to be told, and to wake this thread again.
                self._waiting -= len(mine)
                self._gathering.forget()
                self._bell.put(False)

    def _settle(self, jobs: list[_Job]) -> None:
        """Runs on the event loop's thread."""
        self._waiting -= len(jobs)
        self._gathering.done(jobs[0].loop)
        for job in jobs:
            if job.future.done():
                continue
            if job.error is None:
                job.future.set_result(job.result)
            else:
                job.future.set_exception(job.error)


def _numbers(connection: sqlite3.Connection) -> Numbers:
    """Return the next free numbers of the database."""
    incident = connection.execute("SELECT coalesce(max(n), 0) + 1 FROM incidents").fetchone()[0]
    block = connection.execute("SELECT coalesce(max(n), 0) + 1 FROM texts").fetchone()[0]
    return Numbers(incident, block)


def _raise_if_database(error: Exception) -> None:
    """Raise what no unit can have caused: the disk, the file, the room."""
    if isinstance(error, StoreUnavailable) or (
        isinstance(error, sqlite3.DatabaseError)
        and not isinstance(error, sqlite3.IntegrityError | sqlite3.ProgrammingError | sqlite3.DataError)
    ):
        raise error


def _blamed(error: Exception) -> Exception:
    return InvalidChanges(str(error)) if isinstance(error, sqlite3.IntegrityError) else error


def _unavailable(error: Exception) -> StoreUnavailable:
    if isinstance(error, StoreFull) or getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL:
        return StoreFull(f"no room: {error}")
    return StoreUnavailable(f"the database failed: {error}")
