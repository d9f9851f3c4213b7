"""`receiver.ports.Jobs` within the one process that owns the store: the wake-ups are the store's rows.

A row stays until a unit of the work itself moves it, so a crash hands it out again. What runs, what failed and how long
it rests are kept in memory: after a start everything that is due is simply tried again.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from receiver.ports import Clock, Store, StoreUnavailable

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast work is handed out; seconds.

    Args:
        scan: between two looks at the store, however often it is nudged.
        longest: between two looks when nothing is due: a clock that was set is noticed within it.
        rest, most_rest: after a failure; doubles up to the most.
        at_once: how often in a row one incident is handed out without a pause. Work that doesn't move its wake-up is
            a defect; it must not take the processor from everybody else.
        pause: between two hand-outs of it from then on.
    """

    scan: float = 0.005
    longest: float = 30.0
    rest: float = 1.0
    most_rest: float = 60.0
    at_once: int = 20
    pause: float = 0.25


@dataclass(slots=True)
class _Rest:
    """An incident that rests after failures or too many hand-outs; `until` is monotonic."""

    until: float = 0.0
    failures: int = 0
    in_a_row: int = 0
    ended: float = 0.0


class EmbeddedJobs:
    """Hands out incidents that are due: one at a time per incident and per target, at least once each.

    Args:
        store: where the wake-ups are.
        clock: `now` for what is due, `monotonic` for rests.
        concurrency: how many are worked on at once.
        pace: see `Pace`.
    """

    def __init__(self, store: Store, clock: Clock, concurrency: int = 16, pace: Pace | None = None) -> None:
        self._store = store
        self._clock = clock
        self._concurrency = concurrency
        self._pace = pace or Pace()
        self._running: dict[str, asyncio.Task[None]] = {}
        self._targets: set[str] = set()
        self._rests: dict[str, _Rest] = {}
        self._nudged = asyncio.Event()
        self._next_look = -math.inf
        self._earliest = math.inf
        self._draining = False

    def nudge(self, at: float = 0.0) -> None:
        """Say that something is due at a time (UNIX seconds), by default now; from the event loop's thread.

        Only what is due before the next look ends the wait for it: a storm of alerts on incidents that wait for
        something else costs no look.
        """
        self._earliest = min(self._earliest, at)
        if at < self._next_look:
            self._nudged.set()

    @property
    def running(self) -> int:
        """How many incidents are being worked on."""
        return len(self._running)

    async def run(self, work: Callable[[str], Awaitable[object]]) -> None:
        """Call `work(incident id)` for what is due until cancelled; what runs then is cancelled too.

        An exception of the work is logged and the incident rests a while, then it is handed out again.
        """
        try:
            while True:
                self._nudged.clear()
                # What comes during the look is judged after it, or a storm would have one look follow the other.
                self._next_look, self._earliest = -math.inf, math.inf
                wait = await self._scan(work)
                self._next_look = self._clock.now() + wait
                self.nudge(self._earliest)
                await self._idle(wait)
        finally:
            tasks = list(self._running.values())
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def drain(self, seconds: float) -> bool:
        """Hand out nothing more and wait for what runs; returns whether all of it ended in time."""
        self._draining = True
        tasks = list(self._running.values())
        if tasks:
            await asyncio.wait(tasks, timeout=seconds)
        return not self._running

    async def _scan(self, work: Callable[[str], Awaitable[object]]) -> float:
        """Start what is due and may start; return the seconds until the next look."""
        room = self._concurrency - len(self._running)
        if room <= 0 or self._draining:
            return self._pace.longest
        now, monotonic = self._clock.now(), self._clock.monotonic()
        try:
            due = await self._store.due(now, room + len(self._running) + len(self._rests))
            next_wake = await self._store.next_wake(now)
        except StoreUnavailable as error:
            logger.warning("the job queue can't read the store: %s", error)
            return self._pace.rest
        wait = self._pace.longest if next_wake is None else next_wake - now
        for incident, target in due:
            rest = self._rests.get(incident)
            if rest is not None and rest.until > monotonic:
                wait = min(wait, rest.until - monotonic)
            elif incident not in self._running and target not in self._targets and room > 0:
                self._start(incident, target, work)
                room -= 1
        self._forget(monotonic)
        return min(max(wait, 0.0), self._pace.longest)

    def _start(self, incident: str, target: str, work: Callable[[str], Awaitable[object]]) -> None:
        self._targets.add(target)
        self._running[incident] = asyncio.get_running_loop().create_task(
            self._work(incident, target, work), name=f"incident {incident}"
        )

    async def _work(self, incident: str, target: str, work: Callable[[str], Awaitable[object]]) -> None:
        failed = False
        try:
            await work(incident)
        except Exception:
            # Whatever went wrong with one incident must not end the queue of all the others.
            logger.exception("work on incident %s failed; it will be tried again", incident)
            failed = True
        finally:
            del self._running[incident]
            self._targets.discard(target)
            self._rest(incident, failed=failed)
            self._nudged.set()

    def _rest(self, incident: str, *, failed: bool) -> None:
        """Note how it went, and how long the incident rests."""
        pace, now = self._pace, self._clock.monotonic()
        rest = self._rests.setdefault(incident, _Rest())
        rest.in_a_row = rest.in_a_row + 1 if now - rest.ended <= 2 * pace.pause else 1
        rest.failures = rest.failures + 1 if failed else 0
        rest.ended = now
        if failed:
            rest.until = now + min(pace.most_rest, pace.rest * 2.0 ** min(rest.failures - 1, 16))
        elif rest.in_a_row >= pace.at_once:
            rest.until = now + pace.pause

    def _forget(self, monotonic: float) -> None:
        """Forget those that neither rest nor were handed out just now."""
        kept = 2 * self._pace.pause
        for incident, rest in list(self._rests.items()):
            if incident not in self._running and rest.failures == 0 and max(rest.until, rest.ended + kept) < monotonic:
                del self._rests[incident]

    async def _idle(self, seconds: float) -> None:
        """Wait for a nudge or that long, but at least the pace of looking."""
        if seconds > 0 and not self._nudged.is_set():
            nudge = asyncio.ensure_future(self._nudged.wait())
            sleep = asyncio.ensure_future(self._clock.sleep(seconds))
            try:
                await asyncio.wait((nudge, sleep), return_when=asyncio.FIRST_COMPLETED)
            finally:
                nudge.cancel()
                sleep.cancel()
        await self._clock.sleep(self._pace.scan)
