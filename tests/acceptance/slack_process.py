"""A service of one local process that never gets healthy; with one more, what a step would do is another thing."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from deploy.parts.ports import free_range
from remediations.protocol import Target
from remediations.runtimes.process import ProcessRuntime

NAME = "moved"
MOST = 5
"""Processes that it may have."""


class SmallService:
    """The process, kept by the runtime that the service under test uses too.

    Args:
        state: the runtime's directory.
    """

    def __init__(self, state: Path) -> None:
        self._state = state
        port = free_range(MOST)
        options = {"base_port": port, "stop_timeout": 1, "health_url": "http://127.0.0.1:{port}/health"}
        self._target = Target(
            NAME,
            "process",
            {},
            command=(sys.executable, "-S", "-E", "-c", "import time; time.sleep(600)"),
            options=options,
        )
        self.entry: dict[str, Any] = {
            "runtime": "process",
            "command": list(self._target.command),
            "options": {**options, "stop_timeout": "1s"},
        }

    def start(self) -> None:
        """Start it."""
        self._run(lambda runtime: runtime.deploy(self._target))

    def grow(self, count: int = 2) -> None:
        """Let so many run, behind the back of the service under test."""
        self._run(lambda runtime: runtime.deploy(self._target, count))

    def discard(self) -> None:
        """End and forget it."""
        self._run(lambda runtime: runtime.discard(self._target))

    def _run(self, call: Callable[[ProcessRuntime], Awaitable[None]]) -> None:
        async def once() -> None:
            runtime = ProcessRuntime(self._state, time.time)
            try:
                await call(runtime)
            finally:
                await runtime.close()

        asyncio.run(once())


@contextmanager
def small_service(directory: Path) -> Iterator[SmallService]:
    """Start it, beside a service whose database is in this directory, and end it afterwards."""
    small = SmallService(directory / "remediator.processes")
    small.start()
    try:
        yield small
    finally:
        small.discard()
