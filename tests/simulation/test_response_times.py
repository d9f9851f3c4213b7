"""Response times on the real engine: which policy holds for a running clock, and how often people are called."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from receiver.core import events as ev
from receiver.core.declared import DECLARED
from receiver.core.playbook import Deadlines, Policy
from receiver.core.principal import Principal
from receiver.core.severity import Severity
from tests.simulation.world import World, playbook, policy, step

pytestmark = pytest.mark.anyio

ANN = Principal("ann", "cli", "token", "192.0.2.7")


def within(minutes: int) -> Policy:
    """Return a policy whose P1s, declared ones too, must be acknowledged in so many minutes."""
    times = {Severity.P1: minutes * 60.0}
    book = replace(playbook(step("restart")), version=f"v-{minutes}", acknowledge_within=times, deadlines=Deadlines())
    declared = replace(
        DECLARED, version=f"d-{minutes}", acknowledge_within=times, update_every={}, deadlines=Deadlines()
    )
    return replace(policy(book), declared=declared)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    made = World(tmp_path / "response.db", within(20))
    await made.open()
    made.runtime.create("api", "api-1", "good")
    made.runtime.services["api"].boot = 1e6
    made.clock.time += 5.0
    yield made
    await made.close()


async def late(world: World, incident: str) -> list[int]:
    """Return after how many minutes it was told that nobody responded."""
    log = await world.store.events(incident, limit=10_000)
    return [round((one.at - log[0].at) / 60.0) for one in log if isinstance(one.event, ev.ResponseMissed)]


async def declare(world: World) -> str:
    return (await world.operations.declare(by=ANN, severity=Severity.P1, title="Checkout is slow")).incident


@pytest.mark.parametrize("changed", [5, 60])
async def test_a_reload_changes_no_clock_that_runs_but_those_that_begin_after_it(world: World, changed: int) -> None:
    world.fails()
    await world.fire()
    alerted = (await world.incident()).id
    declared = await declare(world)
    await world.run(300.0)
    world.rules = within(changed)
    await world.engine.use(world.rules)
    later = await declare(world)
    await world.run(10_000.0)
    assert (await late(world, alerted), await late(world, declared), await late(world, later)) == (
        [20],
        [20],
        [changed],
    )


async def test_a_crash_after_a_reload_keeps_what_each_clock_had(world: World) -> None:
    declared = await declare(world)
    world.rules = within(60)
    await world.engine.use(world.rules)
    await world.close()
    await world.open()
    await world.run(10_000.0)
    assert await late(world, declared) == [20]
