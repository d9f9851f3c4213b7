"""Restart on a real engine: cut in the middle and asked for again, each container is still started once."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator

import httpx
import pytest

from deploy.parts.engine import Engine
from remediations.protocol import Context, Intent, Progress
from remediations.restart import RestartAction
from remediations.runtimes.containers import ContainersRuntime
from tests.acceptance.engine_events import EngineEvents
from tests.integration.docker.conftest import Lab, target
from tests.integration.docker.test_containers import healthy, only

pytestmark = [pytest.mark.docker, pytest.mark.anyio]

DEAF = ["/bin/busybox", "sh", "-c", "trap '' TERM; while true; do sleep 0.1; done"]
"""It doesn't hear that it should stop, so that the engine waits for the lab's two seconds and kills it."""

DYING = """
import asyncio, sys
from remediations.runtimes.containers import ContainersRuntime
from tests.integration.docker.conftest import target

async def run() -> None:
    runtime = ContainersRuntime("dying", sys.argv[1])
    (instance,) = await runtime.instances(target())
    await runtime.restart(target(), instance)

asyncio.run(run())
"""


@pytest.fixture
async def context(runtime: ContainersRuntime) -> AsyncIterator[Context]:
    async def go_on() -> None:
        """Let every mutation pass."""

    async with httpx.AsyncClient() as http:
        yield Context(target(), runtime, http, time.time, asyncio.sleep, go_on)


async def test_a_process_killed_while_the_engine_stops_the_container_leaves_one_start_to_do(
    lab: Lab, engine: Engine, context: Context
) -> None:
    lab.image("api:deaf", command=DEAF)
    lab.run("api-1", "api:deaf")
    healthy(lab, "api-1")
    action = RestartAction()
    intent = Intent("a-1", "restart", {}, await action.plan(context, {}), time.time())
    with EngineEvents(engine) as events:
        dying = subprocess.Popen([sys.executable, "-c", DYING, engine.socket])
        assert events.wait_for({"kill"}, 0, 20.0) is not None
        dying.kill()
        dying.wait(10)
        seen = await action.observe(context, intent)
        assert seen.progress is Progress.NOT_STARTED, "the engine still waits for the container to stop"
        outcome = await action.execute(context, intent)
        assert outcome.ok, outcome.text
    done = Counter(one.action for one in events.since(0))
    assert (done["die"], done["start"], done["restart"]) == (1, 1, 0), done
    assert (await action.observe(context, intent)).progress is Progress.DONE


async def test_a_container_that_the_engine_would_remove_once_it_stops_is_kept(
    lab: Lab, runtime: ContainersRuntime
) -> None:
    lab.image("api:good")
    lab.run("api-1", "api:good", AutoRemove=True, RestartPolicy={"Name": "no"})
    before = await only(runtime)
    await runtime.restart(target(), before)
    after = await only(runtime)
    assert after.id == before.id
    assert (after.started_at or 0) > (before.started_at or 0)
