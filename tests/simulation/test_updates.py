"""Words while a bad incident is open, on the real engine with a clock of our own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from receiver.core import events as ev
from receiver.core.playbook import UPDATE_EVERY
from receiver.core.principal import Principal
from receiver.core.severity import Severity
from tests.simulation.world import World, playbook, policy

pytestmark = pytest.mark.anyio

ANN = Principal("ann", "cli", "token", "192.0.2.7")
TOLD = replace(playbook(), update_every=UPDATE_EVERY, acknowledge_within={})


async def at(path: Path, severity: Severity, mode: str = "act") -> World:
    world = World(path / "clocks.db", policy(replace(TOLD, severity=severity)), mode=mode)
    world.lanes = ("console", "escalation:people")
    await world.open()
    world.runtime.create("api", "api-1", "good")
    await world.fire()
    return world


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    made = await at(tmp_path, Severity.P1)
    yield made
    await made.close()


async def reported(world: World) -> list[float]:
    incident = await world.incident()
    log = await world.store.events(incident.id, limit=10_000)
    return [round(one.at - incident.opened_at) for one in log if isinstance(one.event, ev.StatusReported)]


async def test_while_it_is_open_people_hear_how_it_stands_unless_something_else_was_said(world: World) -> None:
    await world.run(600.0)
    assert (await world.operations.note((await world.incident()).id, by=ANN, text="looking")).ok
    await world.run(2400.0)
    assert await reported(world) == [1500, 2400]
    assert "Status: OPEN for 25 min: 1 of 1 alerts firing" in await world.story()


async def test_after_a_long_absence_one_word_is_said(world: World) -> None:
    await world.run(60.0)
    await world.close()
    world.clock.time += 6 * 3600.0
    await world.open()
    await world.run(60.0)
    assert (await world.kinds()).count("StatusReported") + (await world.kinds()).count("ResponseMissed") == 1


async def test_a_minor_incident_is_told_when_something_happens_only(tmp_path: Path) -> None:
    world = await at(tmp_path, Severity.P3)
    try:
        await world.run(10_000.0)
        assert await reported(world) == []
    finally:
        await world.close()
