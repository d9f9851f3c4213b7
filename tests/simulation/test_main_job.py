"""The main job end to end on the real store, with targets in memory: what happens, and what the timeline says."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from receiver.core.fold import replay
from receiver.core.incident import Phase
from receiver.core.playbook import ApprovalPolicy, Policy
from receiver.core.principal import Principal
from remediations.runtimes.memory import Behaviour
from tests.simulation.world import START, World, playbook, policy, step

pytestmark = pytest.mark.anyio

Make = Callable[..., Awaitable[World]]


@pytest.fixture
async def make(tmp_path: Path) -> AsyncIterator[Make]:
    """Return a way to make an opened world with one healthy instance; closed afterwards."""
    made: list[World] = []

    async def build(rules: Policy, *, mode: str = "act", instances: int = 1) -> World:
        world = World(tmp_path / "w.db", rules, mode=mode)
        await world.open()
        made.append(world)
        for number in range(1, instances + 1):
            world.runtime.create("api", f"api-{number}", "good")
        world.clock.time += 5.0
        return world

    yield build
    for world in made:
        await world.close()


async def test_a_stopped_service_is_restarted_verified_and_resolved(make: Make) -> None:
    world = await make(policy(playbook(step("restart"))))
    world.fails()
    await world.fire()
    await world.run(30.0)
    incident = await world.incident()
    assert incident.phase is Phase.HOLDING, await world.story()
    await world.fire(world.alert(status="resolved"))
    await world.run(30.0)
    incident = await world.incident()
    assert incident.phase is Phase.RESOLVED, await world.story()
    assert (await world.kinds()).count("StepStarted") == 1
    assert replay(await world.store.events(incident.id)) == incident


async def test_a_restart_that_does_not_help_is_followed_by_a_rollback(make: Make) -> None:
    world = await make(policy(playbook(step("restart"), step("rollback"))))
    await world.known_good("good", changed_at=START - 60)
    world.runtime.create("api", "api-1", "bad")
    world.behave("bad", Behaviour.UNHEALTHY)
    world.fails()
    await world.fire()
    await world.run(200.0)
    incident = await world.incident()
    assert [(one.step, one.result) for one in incident.done] == [("restart", "failed"), ("rollback", "passed")], (
        await world.story()
    )
    assert world.runtime.services["api"].instances["api-1"].image_id == "good"


async def test_the_running_known_good_image_is_not_rolled_back(make: Make) -> None:
    world = await make(policy(playbook(step("rollback"))))
    await world.known_good("good", changed_at=START - 60)
    world.fails()
    await world.fire()
    await world.run(30.0)
    assert "StepSkipped" in await world.kinds()
    assert (await world.incident()).phase is Phase.ESCALATED


async def test_scaling_out_is_taken_back_after_a_quiet_time(make: Make) -> None:
    world = await make(policy(playbook(step("scale", parameters={"by": 1}, cleanup_after=120.0))))
    await world.fire()
    await world.run(30.0)
    assert len(world.runtime.services["api"].instances) == 2, await world.story()
    await world.fire(world.alert(status="resolved"))
    await world.run(60.0)
    assert (await world.incident()).phase is Phase.CLEANUP, await world.story()
    await world.run(200.0)
    assert (await world.incident()).phase is Phase.RESOLVED, await world.story()
    assert list(world.runtime.services["api"].instances) == ["api-1"]


async def test_observing_changes_nothing_and_says_what_it_would_have_done(make: Make) -> None:
    world = await make(policy(playbook(step("restart"))), mode="observe")
    world.fails()
    before = dict(world.runtime.services["api"].instances)
    await world.fire()
    await world.run(60.0)
    kinds = await world.kinds()
    assert "WouldHave" in kinds
    assert "StepStarted" not in kinds
    assert world.runtime.services["api"].instances == before


async def test_a_step_that_needs_approval_waits_for_it_and_runs_once(make: Make) -> None:
    world = await make(policy(playbook(step("restart", approval=ApprovalPolicy(approvals=1)))))
    world.fails()
    await world.fire()
    await world.run(30.0)
    incident = await world.incident()
    assert incident.phase is Phase.AWAITING_APPROVAL
    first = await world.operations.vote(incident.id, by=Principal("ann", "cli"), approve=True, reason="")
    late = await world.operations.vote(incident.id, by=Principal("bob", "cli"), approve=False, reason="no")
    assert first.ok
    assert not late.ok
    assert "approved already by ann" in late.text
    await world.run(30.0)
    assert (await world.kinds()).count("StepStarted") == 1


async def test_an_unconfirmed_alert_asks_people_first(make: Make) -> None:
    world = await make(policy(playbook(step("restart"))))
    world.metrics.confirms = False
    world.fails()
    await world.fire()
    await world.run(30.0)
    incident = await world.incident()
    assert incident.phase is Phase.AWAITING_APPROVAL
    assert "somebody posted it" in await world.story()


async def test_the_kill_switch_stops_the_next_step_and_survives_a_restart(make: Make) -> None:
    world = await make(policy(playbook(step("restart"))))
    world.fails()
    await world.operations.kill(on=True, by=Principal("ann", "cli"))
    await world.close()
    await world.open()
    await world.fire()
    await world.run(60.0)
    assert "StepStarted" not in await world.kinds()
    assert "kill switch is on (ann)" in await world.story()
    await world.operations.kill(on=False, by=Principal("ann", "cli"))
    await world.run(60.0)
    assert "StepStarted" in await world.kinds(), await world.story()


async def test_a_second_alert_on_the_service_joins_its_incident(make: Make) -> None:
    other = playbook(step("restart"), name="errors", alert="HighErrorRate", rank=1)
    world = await make(policy(playbook(step("restart")), other))
    await world.fire(world.alert("HighErrorRate"))
    await world.fire(world.alert("ServiceDown"))
    incident = await world.incident()
    assert (incident.firing, incident.playbook) == (2, "errors")
    world.fails()
    await world.run(20.0)
    assert (await world.incident()).playbook == "service-down"


async def test_a_repeat_changes_nothing(make: Make) -> None:
    world = await make(policy(playbook(step("restart"))))
    await world.fire()
    before = await world.incident()
    await world.fire()
    assert await world.incident() == before


async def test_one_service_that_is_no_longer_in_the_file_is_left_to_people(make: Make) -> None:
    world = await make(policy(playbook(step("restart"))))
    await world.fire()
    await world.engine.use(replace(world.rules, services={}))
    await world.run(30.0)
    incident = await world.incident()
    assert incident.escalation is not None
    assert "no longer in the file" in incident.escalation


async def test_a_parameter_that_an_alerts_label_spoils_is_a_recorded_refusal(make: Make) -> None:
    world = await make(policy(playbook(step("scale", parameters={"by": "{{ labels.service }}"}))))
    await world.fire()
    await world.run(30.0)
    incident = await world.incident()
    assert incident.phase is Phase.ESCALATED
    told = "nothing can plan the next step: parameter by: Input should be a valid integer"
    assert incident.escalation is not None
    assert incident.escalation.startswith(told)
    assert "pydantic" not in await world.story()


async def test_a_missing_label_is_named(make: Make) -> None:
    world = await make(policy(playbook(step("scale", parameters={"by": "{{ labels.count }}"}))))
    await world.fire()
    await world.run(30.0)
    assert "count" in await world.story()
    assert (await world.incident()).phase is Phase.ESCALATED
