"""When the writer is woken: as soon as the event loop has nothing more to add.

Python runs one thread at a time. A writer that begins with the first unit takes Python's lock from the very loop that
brings it the next ones, and the two hand it to and fro. So the writer is woken once for all that the loop brings turn
after turn; a single unit waits for two turns, some 20 µs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sized

QUIET = 2
"""Turns of the loop that bring nothing before no more is waited for; what is read in one becomes a unit in the next."""


class Gathering:
    """Decides when to ring; used from the event loop's thread.

    Args:
        queue: what waits; the writer may empty it at any time.
        ring: wakes the writer, who takes all that waits.
        enough: weight at which no more is waited for.
    """

    def __init__(self, queue: Sized, ring: Callable[[], None], enough: int) -> None:
        self._queue = queue
        self._ring = ring
        self._enough = enough
        self._weight = 0
        self._rung = False
        self._turning: asyncio.AbstractEventLoop | None = None

    def add(self, loop: asyncio.AbstractEventLoop, weight: int) -> None:
        """Take note of what was queued just now."""
        self._weight += weight
        if not self._rung:
            self._begin(loop)

    def done(self, loop: asyncio.AbstractEventLoop) -> None:
        """Take note that the writer has done what it took; what was queued meanwhile is next."""
        self._rung = False
        if self._queue:
            self._begin(loop)

    def forget(self) -> None:
        """Take note that nobody will say `done`: the loop that waited has ended."""
        self._rung = False

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        # Another loop ended before its turn came.
        if self._turning is not loop:
            self._turning = loop
            loop.call_soon(self._turn, loop, 0, 0)

    def _turn(self, loop: asyncio.AbstractEventLoop, seen: int, quiet: int) -> None:
        count = len(self._queue)
        quiet = quiet + 1 if count == seen else 0
        if quiet < QUIET and self._weight < self._enough:
            loop.call_soon(self._turn, loop, count, quiet)
            return
        self._turning = None
        self._weight = 0
        # The writer takes what waits without being told while it is at big ones; an empty ring would find no answer.
        if count:
            self._rung = True
            self._ring()
