"""Services of two containers each, side by side on the real engine: what the conformance suite experiments on.

Making a container is what costs, so a pair that is as it was made is given to the next lab.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from deploy.parts.engine import Engine
from remediations.protocol import KnownGood
from remediations.runtimes.containers import ContainersRuntime
from remediations.testing import Lab as ConformanceLab
from tests.integration.docker.conftest import LABEL, Lab, target

AT_ONCE = 6
"""Labs at a time; more would only wait for the machine's cores."""

HEALTHY_WITHIN = 8.0
"""Seconds that a container has to become healthy: half a second does, on a machine that has nothing else to do."""

MAIN = ["/bin/busybox", "sh", "-c", "/bin/busybox rm -f /seen; trap 'exit 0' TERM; echo begun; sleep 1d & wait"]

ONCE = "test -e /seen && sleep 1d; touch /seen"
"""Healthy at the first look after a start; the second look never ends, and so costs nothing."""

SOON = "--interval=200ms --timeout=1h --retries=1"


class Pairs:
    """Hands out pairs of healthy containers of the version `bad`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lab = Lab(engine)
        self._lab.remove()
        self._free: list[str] = []
        self._numbers = itertools.count(1)
        self._bad = self._image("conformance:bad")
        self._good = self._image("conformance:good")
        self._broken = self._image("conformance:broken", health="false")

    def close(self) -> None:
        """Remove every container."""
        self._lab.remove()
        self._lab.api.close()

    @asynccontextmanager
    async def lab(self) -> AsyncIterator[ConformanceLab]:
        """Yield a lab of a service of its own."""
        service = await asyncio.to_thread(self._take)
        runtime = ContainersRuntime("test", self._engine.socket, timeout=30)

        async def recreate(name: str) -> None:
            await remove(name)
            await asyncio.to_thread(self._make, service, name)

        async def remove(name: str) -> None:
            await asyncio.to_thread(self._lab.api.remove_container, name, force=True)

        async def stop(name: str) -> None:
            await asyncio.to_thread(self._lab.api.stop, name, timeout=2)

        async with httpx.AsyncClient(trust_env=False, verify=False) as http:
            try:
                yield ConformanceLab(
                    runtime=runtime,
                    target=target(
                        service=service, selector={LABEL: service}, min_replicas=1, max_replicas=4, traffic="dns"
                    ),
                    good=KnownGood(self._good, "conformance:good", time.time()),
                    broken=KnownGood(self._broken, "conformance:broken", time.time()),
                    missing=KnownGood("sha256:" + "0" * 64, "conformance:missing", 0.0),
                    recreate=recreate,
                    remove=remove,
                    stop=stop,
                    now=time.time,
                    sleep=asyncio.sleep,
                    http=http,
                    healthy_within=HEALTHY_WITHIN,
                )
            finally:
                await runtime.close()
                await asyncio.to_thread(self._give_back, service)

    def _image(self, tag: str, health: str = ONCE) -> str:
        return self._lab.image(tag, health=health, command=MAIN, check=SOON)

    def _take(self) -> str:
        if self._free:
            return self._free.pop()
        service = f"api{next(self._numbers)}"
        for name in _names(service):
            self._make(service, name)
        return service

    def _make(self, service: str, name: str) -> None:
        self._lab.run(name, "conformance:bad", service=service)
        deadline = time.monotonic() + HEALTHY_WITHIN
        while time.monotonic() < deadline:
            if self._as_made(name):
                return
            time.sleep(0.05)
        pytest.fail(f"{name} is not healthy within {HEALTHY_WITHIN:g} s")

    def _give_back(self, service: str) -> None:
        rows = self._lab.api.containers(all=True, filters={"label": f"{LABEL}={service}"})
        names = {row["Names"][0].lstrip("/"): row["Id"] for row in rows}
        for name in names.keys() - set(_names(service)):
            self._lab.api.remove_container(names.pop(name), force=True, v=True)
        if sorted(names) == sorted(_names(service)) and all(map(self._as_made, names)):
            self._free.append(service)
            return
        for identity in names.values():
            self._lab.api.remove_container(identity, force=True, v=True)

    def _as_made(self, name: str) -> bool:
        """Whether a container is healthy and runs what it was made with, by nobody but us."""
        found = self._lab.inspect(name)
        stamped = any(label.startswith("remediator.") for label in found["Config"]["Labels"])
        return bool(found["State"]["Health"]["Status"] == "healthy" and found["Image"] == self._bad and not stamped)


def _names(service: str) -> tuple[str, str]:
    return f"{service}-1", f"{service}-2"
