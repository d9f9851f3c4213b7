"""A container that takes longer to stop than its step may take: the engine goes on, whoever stopped waiting for it."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from pathlib import Path

import pytest

from receiver.clock import SystemClock
from receiver.core.incident import Phase
from receiver.core.playbook import Service
from remediations.runtimes.containers import ContainersRuntime
from tests.integration.docker.conftest import LABEL, Lab
from tests.simulation.world import World, playbook, policy, step

pytestmark = [pytest.mark.docker, pytest.mark.anyio]

DEAF = ["/bin/busybox", "sh", "-c", "trap '' TERM; while true; do sleep 0.1; done"]


async def test_a_restart_that_outlives_its_limit_is_asked_of_the_engine_once(
    lab: Lab, runtime: ContainersRuntime, tmp_path: Path
) -> None:
    lab.image("deaf:1", health=None, command=DEAF)
    lab.run("api-1", "deaf:1")
    container = lab.inspect("api-1")
    began = container["State"]["StartedAt"]
    rules = policy(playbook(step("restart", timeout=0.5, parameters={"stable_for": 1})))
    rules = replace(rules, services={"api": Service("api", "test", "containers", {LABEL: "api"})})
    world = World(tmp_path / "w.db", rules)
    world.clock = SystemClock()  # type: ignore[assignment] # the engine lives in the real time
    world.runtime = runtime  # type: ignore[assignment]
    await world.open()
    try:
        since = time.time()
        alert = world.alert()
        await world.fire(replace(alert, starts_at=int(since * 1e9)))
        deadline = time.monotonic() + 40.0
        while (await world.incident()).phase not in {Phase.HOLDING, Phase.ESCALATED}:
            assert time.monotonic() < deadline, await world.story()
            for name, _ in await world.store.due(world.clock.now(), 10):
                await world.executor.work(name)
            await asyncio.sleep(0.05)
        story = await world.story()
        assert "takes longer than its limit" in story
        assert [(one.step, one.result) for one in (await world.incident()).done] == [("restart", "passed")], story
    finally:
        await world.executor.close()
        await world.close()
    events = lab.api.events(
        since=int(since), until=int(time.time()) + 1, decode=True, filters={"container": container["Id"]}
    )
    happened = [one["Action"] for one in events]
    after = happened[happened.index("die") :]
    assert (happened.count("die"), after.count("start"), after.count("restart")) == (1, 1, 0), happened
    assert lab.inspect("api-1")["State"]["StartedAt"] != began
