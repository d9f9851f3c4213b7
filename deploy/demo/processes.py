"""The demo's service as local processes, for a machine where no container engine can be had."""

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from deploy.demo import images, monitoring
from deploy.demo.overlay import ROOT
from deploy.demo.stage import SERVICE, give_fault, is_healthy
from deploy.parts.ports import free_port, free_range
from deploy.parts.process import poll_until, start
from remediations.protocol import Target
from remediations.runtimes.process import ProcessRuntime
from remediations.runtimes.process_box import Box, alive

INSTANCES: Final = 4
"""As many as the shipped policy's bounds allow; the proxy and Prometheus know their addresses in advance."""

HEALTHY_WITHIN: Final = 20.0
"""Seconds that a process has to become healthy; it takes well under one."""

RELEASES: Final = {images.GOOD: 0.0, images.BAD: images.BAD_SHARE}
"""The share of requests that each release gets wrong."""


class Processes:
    """A `Scene` of processes that the remediator's own runtime supervises; see there.

    Args:
        state: where the runtime keeps them.
        url: of the proxy.
        first: the port of the first instance.
    """

    def __init__(self, state: Path, url: str, first: int) -> None:
        self._state = state
        self._first = first
        self.url = url
        self.told = "as a local process: no container, no image"
        self.settings: Mapping[str, str] = {}
        self.discovery: Mapping[str, Any] = monitoring.processes(state.parent / "instances.json")
        self.places: Mapping[str, Any] = {"services": {SERVICE: self._entry()}}

    def stop(self) -> None:
        """Stop the first process and leave it stopped."""
        self._run(lambda runtime: runtime.stop(self._target(images.GOOD), f"{SERVICE}-1"))

    def fault(self, mode: str, share: float = 0.5) -> None:
        """Give a fault to one process."""
        give_fault(self.url, mode, share)

    def deploy(self, tag: str) -> None:
        """Run another release in the place of this one."""
        self._run(lambda runtime: runtime.deploy(self._target(tag)))
        poll_until(lambda: is_healthy(self.url), HEALTHY_WITHIN, f"{tag} isn't healthy")

    def discard(self) -> None:
        """End and forget every process."""
        self._run(lambda runtime: runtime.discard(self._target(images.GOOD)))

    def known_good(self) -> bool:
        """Whether the runtime keeps a command."""
        return any((self._state / SERVICE / "versions").glob("*.kept"))

    def facts(self) -> dict[str, str]:
        """Return each process's release, state, ID and start."""
        boxes = [Box(path) for path in sorted((self._state / SERVICE / "instances").glob("*"))]
        return {box.name: self._told(box) for box in boxes if box.record() is not None}

    def _told(self, box: Box) -> str:
        record, run = box.record(), box.run()
        release = next(
            (tag for tag in RELEASES if record and record.command == tuple(self._target(tag).command)), "another"
        )
        if run is None or not alive(run):
            return f"{release} stopped"
        return f"{release} running (process {run.pid}, started {datetime.fromtimestamp(run.started_at, UTC):%H:%M:%S}Z)"

    def _entry(self) -> Mapping[str, Any]:
        """Return what turns the shipped policy's containers into these processes."""
        target = self._target(images.GOOD)
        options = {**target.options, "stop_timeout": f"{target.options['stop_timeout']}s"}
        entry = {"runtime": "process", "command": list(target.command), "options": options}
        # null takes back what the shipped entry says.
        return {
            "engine": None,
            "selector": None,
            **entry,
            "health": {"urls": [f"{self.url}/health"]},
            "traffic": "proxy",
        }

    def _target(self, tag: str) -> Target:
        path = self._state.parent / f"{tag.replace(':', '-')}.json"
        path.write_text(json.dumps({"version": tag.rpartition(":")[2], "error_share": RELEASES[tag]}))
        command = [sys.executable, "-m", "deploy.demo.service", "--port", "{port}", "--release", str(path)]
        options = {
            "base_port": self._first,
            "cwd": str(ROOT),
            "health_url": "http://127.0.0.1:{port}/health",
            "stop_timeout": 3,
        }
        return Target(SERVICE, "process", {}, command=command, options=options)

    def _run(self, call: Callable[[ProcessRuntime], Awaitable[None]]) -> None:
        async def once() -> None:
            runtime = ProcessRuntime(self._state, time.time)
            try:
                await call(runtime)
            finally:
                await runtime.close()

        asyncio.run(once())


def state_of(run: Path) -> Path:
    """Return where the remediator's runtime `process` keeps its state, beside its database in `run`."""
    return run / "remediator.processes"


def end_leftovers(run: Path) -> None:
    """End the processes that an earlier, killed demo left behind."""
    if state_of(run).exists():
        Processes(state_of(run), "", 0).discard()


@contextmanager
def running_processes(run: Path) -> Iterator[Processes]:
    """Start the service as a process and its proxy as another, and end all of them afterwards.

    Args:
        run: the directory of this run; the remediator's database is in it.

    Raises:
        PartError: one of them didn't become ready.
    """
    run.mkdir(parents=True, exist_ok=True)
    port, first = free_port(), free_range(INSTANCES)
    addresses = [f"127.0.0.1:{first + number}" for number in range(INSTANCES)]
    (run / "backends.json").write_text(json.dumps(addresses))
    (run / "instances.json").write_text(json.dumps([{"targets": addresses}]))
    command = [sys.executable, "-m", "deploy.demo.service.proxy", "--port", str(port)]
    proxy = start("proxy", [*command, "--file", str(run / "backends.json")], run / "proxy.log")
    scene = Processes(state_of(run), f"http://127.0.0.1:{port}", first)
    try:
        scene.deploy(images.GOOD)
        yield scene
    finally:
        scene.discard()
        proxy.stop()
