"""Calls to targets that are under way in this process.

An engine can't be told to forget a call: whoever stops waiting for it has not stopped it. So no time limit cancels one.
It is kept under its action's id until its outcome is known, and nothing else is done for that action meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from receiver.ports import Clock
from remediations.protocol import Outcome

Call = Coroutine[Any, Any, Outcome]

MOST = 100
"""Calls that are kept; beyond it those that ended are dropped, as after a crash: their targets are asked."""


class Calls:
    """At most one call an action."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._tasks: dict[str, tuple[asyncio.Task[Outcome], float]] = {}

    def knows(self, action_id: str) -> bool:
        """Whether a call for this action was made here whose outcome isn't stored yet."""
        return action_id in self._tasks

    def start(self, action_id: str, call: Call) -> None:
        """Begin a call; there must be none for this action."""
        if len(self._tasks) >= MOST:
            # Nobody asks any more about a call whose incident a person closed meanwhile.
            self._tasks = {name: one for name, one in self._tasks.items() if not one[0].done()}
        task = asyncio.get_running_loop().create_task(call, name=f"action {action_id}")
        self._tasks[action_id] = task, self._clock.monotonic()

    async def ended(self, action_id: str, seconds: float) -> bool:
        """Wait for a call at most so long; return whether it ended. A wait that is cancelled leaves the call alone."""
        done, _ = await asyncio.wait({self._tasks[action_id][0]}, timeout=seconds)
        return bool(done)

    def outcome(self, action_id: str) -> tuple[Outcome, float]:
        """Return what an ended call returned and the seconds since it began, or raise what it raised."""
        task, begun = self._tasks[action_id]
        return task.result(), self._clock.monotonic() - begun

    def forget(self, action_id: str) -> None:
        """Drop a call whose outcome is stored."""
        del self._tasks[action_id]

    async def close(self) -> None:
        """Stop waiting for all of them: the next start asks their targets what became of them."""
        tasks = [task for task, _ in self._tasks.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._tasks.clear()
