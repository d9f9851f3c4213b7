"""A lab in memory: no engine, no waiting."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import httpx

from remediations.conformance.lab import FakeClock, Lab
from remediations.protocol import Health, KnownGood, Target
from remediations.runtimes.memory import Behaviour, MemoryRuntime

SERVICE = "api"


@asynccontextmanager
async def memory_lab(between: Callable[[str], None] = lambda _point: None) -> AsyncIterator[Lab]:
    """Yield a lab in memory; `between` as in MemoryRuntime."""
    clock = FakeClock()
    runtime = MemoryRuntime(clock.now, clock.sleep, between=between)
    for name in ("api-1", "api-2"):
        runtime.create(SERVICE, name, "image:bad")
    world = runtime.services[SERVICE]
    world.versions |= {"image:good": Behaviour.HEALTHY, "image:broken": Behaviour.UNHEALTHY}
    await clock.sleep(world.boot)

    async def recreate(name: str) -> None:
        runtime.create(SERVICE, name, "image:bad")
        await clock.sleep(world.boot)

    async def remove(name: str) -> None:
        del world.instances[name]

    async def stop(name: str) -> None:
        stopped = replace(world.instances[name], running=False, health=Health.NONE, status="exited")
        runtime.put(SERVICE, stopped)

    async with httpx.AsyncClient(transport=httpx.MockTransport(_healthy)) as http:
        yield Lab(
            runtime=runtime,
            target=Target(SERVICE, "memory", {}, min_replicas=1, max_replicas=4, traffic="dns"),
            good=KnownGood("image:good", "image:good", clock.now()),
            broken=KnownGood("image:broken", "image:broken", clock.now()),
            missing=KnownGood("image:missing", "image:missing", clock.now()),
            recreate=recreate,
            remove=remove,
            stop=stop,
            now=clock.now,
            sleep=clock.sleep,
            http=http,
        )


def _healthy(_request: httpx.Request) -> httpx.Response:
    return httpx.Response(200, json={"status": "healthy"})
