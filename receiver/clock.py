"""The one place that reads the computer's clock."""

from __future__ import annotations

import asyncio
import time


class SystemClock:
    """`receiver.ports.Clock` on the computer's own clocks."""

    def now(self) -> float:
        """Return UNIX seconds, UTC."""
        return time.time()

    def monotonic(self) -> float:
        """Return seconds that never go back, not even when the clock is set."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait that many seconds; not at all when negative."""
        await asyncio.sleep(max(0.0, seconds))
