"""Deadlines of a P1 on the real engine: a clock of our own, crashes, and what people say."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from receiver.core import events as ev
from receiver.core.playbook import COMPLETE_FAILURE, DEADLINES, Deadlines, Playbook
from receiver.core.principal import Principal
from tests.simulation.world import World, playbook, policy, step

pytestmark = pytest.mark.anyio

ANN = Principal("ann", "cli", "token", "192.0.2.7")


async def at(path: Path, book: Playbook, deadlines: Deadlines = DEADLINES) -> World:
    world = World(path / "deadlines.db", policy(replace(book, deadlines=deadlines)))
    world.lanes = ("console", "escalation:people")
    await world.open()
    world.runtime.create("api", "api-1", "good")
    world.runtime.services["api"].boot = 1e6
    world.clock.time += 5.0
    world.fails()
    await world.fire()
    return world


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """Yield a world whose only step doesn't help."""
    made = await at(tmp_path, playbook(step("restart")))
    yield made
    await made.close()


async def late(world: World) -> list[tuple[str, int]]:
    """Return what was told as late, and after how many minutes."""
    incident = await world.incident()
    events = await world.store.events(incident.id)
    missed = [(one.event.what, one.at) for one in events if isinstance(one.event, ev.ResponseMissed)]
    return [(what, round((at - incident.opened_at) / 60.0)) for what, at in missed]


async def paged(world: World) -> list[str]:
    """Return what people were paged, as if it were sent."""
    texts = []
    while heads := [one for one in await world.store.outbox(64) if one[1].lane == "escalation:people"]:
        ((handle, row, _),) = heads
        texts.append(str(row.payload["text"]))
        await world.store.sent(handle, None)
    return texts


async def note(world: World, phase: str, text: str = "the disk is full") -> None:
    answer = await world.operations.note((await world.incident()).id, by=ANN, text=text, phase=phase)
    assert answer.ok, answer.text


async def test_a_p1_that_nobody_cares_for_misses_each_once(world: World) -> None:
    await world.run(20_000.0)
    assert await late(world) == [("acknowledge", 15), ("assess", 30), ("mitigate", 60)]


async def test_a_complete_failure_is_late_sooner_and_what_was_tried_is_not(tmp_path: Path) -> None:
    world = await at(tmp_path, playbook(step("restart")), COMPLETE_FAILURE)
    try:
        await world.run(20_000.0)
        assert await late(world) == [("assess", 5), ("acknowledge", 15), ("mitigate", 30)], await world.story()
        assert "This P1 was not assessed (nobody said what to do) within 5 min. People are called." in await paged(
            world
        )
    finally:
        await world.close()


async def test_whoever_says_what_to_do_and_that_it_works_is_not_called_for_it(world: World) -> None:
    await world.run(600.0)
    assert (await world.operations.acknowledge((await world.incident()).id, by=ANN)).ok
    await note(world, "assessed")
    await world.run(2900.0)
    await note(world, "mitigated", "traffic goes to the other site")
    await world.run(10_000.0)
    assert await late(world) == []
    assert "ann (via cli) (assessed): the disk is full" in await world.story()


async def test_a_crash_and_an_absence_tell_each_once(world: World) -> None:
    await world.run(600.0)
    await world.close()
    world.clock.time += 50_000.0
    await world.open()
    await world.run(5.0)
    assert [what for what, _ in await late(world)] == ["acknowledge", "assess", "mitigate"]
    await world.close()
    await world.open()
    await world.run(20_000.0)
    assert len(await late(world)) == 3


async def test_a_note_with_a_phase_is_refused_when_it_is_over_or_the_phase_unknown(world: World) -> None:
    name = (await world.incident()).id
    assert not (await world.operations.note(name, by=ANN, text="x", phase="finished")).ok
    await world.run(600.0)
    assert (await world.operations.close_incident(name, by=ANN, reason="done")).ok
    assert "is closed already" in (await world.operations.note(name, by=ANN, text="x", phase="assessed")).text
    assert (await world.operations.note(name, by=ANN, text="x")).ok
