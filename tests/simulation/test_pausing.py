"""Pausing an incident and letting it go on, on the real engine: nothing begins, what runs finishes, nothing is lost."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from receiver.core.incident import Phase
from receiver.core.machine import PAUSE
from receiver.core.playbook import ApprovalPolicy, Playbook, Query
from receiver.core.principal import Principal
from remediations.protocol import Instance, Target
from remediations.runtimes.memory import MemoryRuntime
from tests.simulation.world import VERIFY, World, playbook, policy, step

pytestmark = pytest.mark.anyio

Make = Callable[..., Awaitable[World]]

ANN = Principal("ann", "cli", "token", "192.0.2.7")


class Watched(MemoryRuntime):
    """A runtime that does something of the test's in the middle of a restart, and keeps the names."""

    meanwhile: Callable[[], Awaitable[object]] | None = None
    restarted: list[str]

    async def restart(self, target: Target, instance: Instance) -> None:
        """Restart, with what the test wants in its middle."""
        if self.meanwhile is not None:
            await self.meanwhile()
        await super().restart(target, instance)
        self.restarted.append(instance.name)


@pytest.fixture
async def make(tmp_path: Path) -> AsyncIterator[Make]:
    """Return a maker of a world whose instance has failed; closed afterwards."""
    made: list[World] = []

    async def build(book: Playbook) -> World:
        world = World(tmp_path / f"{len(made)}.db", policy(book))
        world.runtime = Watched(world.clock.now, world.clock.sleep)
        world.runtime.restarted = []
        await world.open()
        made.append(world)
        world.runtime.create("api", "api-1", "good")
        world.clock.time += 5.0
        world.fails()
        return world

    yield build
    for world in made:
        await world.close()


def restarted(world: World) -> int:
    assert isinstance(world.runtime, Watched)
    return len(world.runtime.restarted)


def repaired(world: World) -> None:
    """Let the instance be well again: what fires is another trouble."""
    world.runtime.services["api"].instances.clear()
    world.runtime.create("api", "api-1", "good")
    world.clock.time += 5.0


async def pause(world: World) -> None:
    answer = await world.operations.pause((await world.incident()).id, by=ANN, reason="a deploy")
    assert answer.ok, answer.text


async def resume(world: World) -> None:
    answer = await world.operations.resume((await world.incident()).id, by=ANN)
    assert answer.ok, answer.text


async def test_paused_before_its_first_step_it_begins_nothing_until_it_goes_on(make: Make) -> None:
    world = await make(playbook(step("restart")))
    await world.fire()
    await world.run(0.5)
    await pause(world)
    await world.run(1800.0)
    assert restarted(world) == 0
    assert (await world.incident()).phase is Phase.TRIAGE
    assert "Escalated" not in await world.kinds()
    await resume(world)
    await world.run(30.0)
    assert restarted(world) == 1
    story = await world.story()
    assert "ann (via cli) paused automation: a deploy" in story
    assert "ann (via cli) let automation go on" in story


async def test_what_is_looked_at_before_the_first_step_is_looked_at_anew_after_a_long_pause(make: Make) -> None:
    world = await make(playbook(step("restart")))
    await world.fire()
    await world.run(0.5)
    await pause(world)
    await world.run(1800.0)
    world.metrics.confirms = False
    await resume(world)
    await world.run(30.0)
    assert restarted(world) == 0
    assert (await world.incident()).phase is Phase.AWAITING_APPROVAL, await world.story()


async def test_paused_within_a_step_the_step_is_finished_and_verified_and_no_other_begins(make: Make) -> None:
    world = await make(playbook(step("restart"), step("scale", parameters={"by": 1})))
    assert isinstance(world.runtime, Watched)
    world.runtime.meanwhile = lambda: pause_once(world)
    world.runtime.services["api"].boot = 1e6
    await world.fire()
    await world.run(600.0)
    incident = await world.incident()
    assert [(one.step, one.result) for one in incident.done] == [("restart", "failed")], await world.story()
    assert (incident.phase, incident.paused_by) == (Phase.TRIAGE, "ann")
    await resume(world)
    await world.run(200.0)
    assert [one.step for one in (await world.incident()).done] == ["restart", "scale"]


async def pause_once(world: World) -> None:
    if (await world.incident()).paused_by is None:
        await pause(world)


async def test_a_step_that_helped_while_paused_leads_to_the_end(make: Make) -> None:
    world = await make(playbook(step("restart")))
    assert isinstance(world.runtime, Watched)
    world.runtime.meanwhile = lambda: pause_once(world)
    await world.fire()
    await world.run(20.0)
    await world.fire(world.alert(status="resolved"))
    await world.run(60.0)
    assert (await world.incident()).phase is Phase.RESOLVED, await world.story()


async def test_a_failed_step_is_not_undone_while_paused(make: Make) -> None:
    judged = replace(VERIFY, queries=(Query("errors", "< 1"),))
    world = await make(playbook(step("scale", parameters={"by": 1}, undo=True, verify=judged)))
    world.metrics.values = {"errors": 5.0}
    repaired(world)
    await world.fire()
    await world.run(3.0)
    assert (await world.incident()).phase is Phase.VERIFYING, await world.story()
    await pause(world)
    await world.run(300.0)
    assert len(world.runtime.services["api"].instances) == 2, await world.story()
    await resume(world)
    await world.run(60.0)
    assert len(world.runtime.services["api"].instances) == 1, await world.story()


async def test_what_was_added_for_a_time_is_taken_back_though_it_is_paused(make: Make) -> None:
    book = playbook(step("scale", parameters={"by": 1}, cleanup_after=60.0))
    world = await make(book)
    repaired(world)
    await world.fire()
    await world.run(20.0)
    await world.fire(world.alert(status="resolved"))
    await world.run(20.0)
    assert (await world.incident()).phase is Phase.CLEANUP, await world.story()
    await pause(world)
    await world.run(300.0)
    assert not (await world.incident()).open, await world.story()


async def test_votes_count_while_paused_and_are_carried_out_when_it_goes_on(make: Make) -> None:
    ask = ApprovalPolicy(approvals=1, execute_before=300.0)
    world = await make(playbook(step("restart", approval=ask)))
    await world.fire()
    await world.run(10.0)
    await pause(world)
    incident = await world.incident()
    assert (await world.operations.vote(incident.id, by=ANN, approve=True, reason="")).ok
    await world.run(60.0)
    assert restarted(world) == 0
    await resume(world)
    await world.run(10.0)
    assert restarted(world) == 1


async def test_what_was_approved_is_void_when_the_pause_lasts_too_long(make: Make) -> None:
    ask = ApprovalPolicy(approvals=1, execute_before=60.0)
    world = await make(playbook(step("restart", approval=ask)))
    await world.fire()
    await world.run(10.0)
    await pause(world)
    assert (await world.operations.vote((await world.incident()).id, by=ANN, approve=True, reason="")).ok
    await world.run(120.0)
    assert "approved, but it could not start in time" in await world.story()
    assert restarted(world) == 0


@pytest.mark.parametrize("asked", [False, True])
async def test_a_pause_that_nobody_ends_calls_people(make: Make, *, asked: bool) -> None:
    ask = ApprovalPolicy(approvals=1 if asked else 0, expires=10 * PAUSE)
    world = await make(playbook(step("restart", approval=ask)))
    await world.fire()
    await world.run(0.5)
    if asked:
        await world.run(20.0)
    await pause(world)
    await world.run(PAUSE - 60.0)
    assert "Escalated" not in await world.kinds()
    await world.run(120.0)
    incident = await world.incident()
    assert incident.phase is Phase.ESCALATED
    assert "Needs a person: ann paused it, and nobody let it go on" in await world.story()
    assert restarted(world) == 0
    assert not (await world.operations.resume(incident.id, by=ANN)).ok


async def test_what_a_guardrail_refused_before_the_pause_was_not_asked_in_vain_meanwhile(make: Make) -> None:
    world = await make(playbook(step("restart")))
    await world.operations.kill(on=True, by=ANN)
    await world.fire()
    await world.run(60.0)
    assert (await world.incident()).refused == "kill_switch"
    await pause(world)
    await world.operations.kill(on=False, by=ANN)
    await world.run(1800.0)
    assert "Escalated" not in await world.kinds(), await world.story()
    await resume(world)
    await world.run(30.0)
    assert restarted(world) == 1


async def test_a_pause_survives_a_crash(make: Make) -> None:
    world = await make(playbook(step("restart")))
    await world.fire()
    await world.run(0.5)
    await pause(world)
    await world.close()
    await world.open()
    await world.run(300.0)
    assert restarted(world) == 0
    assert (await world.incident()).paused_by == "ann"


async def test_a_pause_that_comes_while_the_step_is_planned_keeps_it_from_beginning(make: Make) -> None:
    world = await make(playbook(step("restart")))
    instances = world.runtime.instances

    async def looked(target: Target) -> tuple[Instance, ...]:
        await pause_once(world)
        return await instances(target)

    await world.fire()
    await world.run(0.5)
    world.runtime.instances = looked  # type: ignore[method-assign]
    await world.run(60.0)
    assert (await world.incident()).paused_by == "ann"
    assert restarted(world) == 0
    assert "StepRefused" not in await world.kinds()


async def test_pausing_twice_resuming_what_runs_and_what_people_have_is_told(make: Make) -> None:
    world = await make(replace(playbook(step("restart")), settle=60.0))
    await world.fire()
    await world.run(0.5)
    name = (await world.incident()).id
    assert "is not paused" in (await world.operations.resume(name, by=ANN)).text
    await pause(world)
    assert "ann has paused it already" in (await world.operations.pause(name, by=Principal("bob", "web"))).text
    assert (await world.operations.take_over(name, by=Principal("bob", "web"))).ok
    assert (await world.incident()).paused_by is None
    for verb in (world.operations.pause, world.operations.resume):
        assert "bob took" in (await verb(name, by=ANN)).text
    assert (await world.operations.close_incident(name, by=ANN, reason="done")).ok
    assert "is closed already" in (await world.operations.pause(name, by=ANN)).text
