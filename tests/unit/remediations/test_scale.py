"""Scale stores an absolute count and names, stays within bounds, and takes back exactly what it made."""

from collections.abc import Mapping
from dataclasses import replace

import pytest
from pydantic import ValidationError

from remediations.protocol import STAMP_ACTION, ActionRefused, Instance, Progress, Target
from remediations.runtimes.memory import Behaviour
from remediations.scale import ScaleAction, ScaleParameters
from remediations.testing import CrashingRuntime, memory_lab
from tests.unit.remediations.helpers import fail_health, in_memory, intend

pytestmark = pytest.mark.anyio
ACTION = ScaleAction()


@pytest.mark.parametrize("parameters", [{}, {"by": 1, "to": 2}, {"by": 0}, {"by": -1}, {"to": 0}, {"to": 101}])
async def test_exactly_one_sensible_number_is_asked_for(parameters: dict[str, int]) -> None:
    with pytest.raises(ValidationError):
        ScaleParameters.model_validate(parameters)


async def test_a_plan_fixes_the_count_and_the_names() -> None:
    async with memory_lab() as lab:
        plan = await ACTION.plan(lab.context(), {"by": 1})
        assert plan.data == {"count": 3, "names": ["api-3"], "like": "api-1"}
        assert (plan.healthy_now, plan.lowest_healthy, plan.takes_down) == (2, 2, False)


async def test_a_plain_name_gets_numbers() -> None:
    async with memory_lab() as lab:
        in_memory(lab).create("plain", "web", "image:good")
        await lab.sleep(1)
        plan = await ACTION.plan(replace(lab.context(), target=replace(lab.target, service="plain")), {"by": 2})
        assert plan.data["names"] == ["web-2", "web-3"]


async def test_by_ends_at_the_upper_bound() -> None:
    async with memory_lab() as lab:
        assert (await ACTION.plan(lab.context(), {"by": 9})).data["count"] == 4


async def test_at_the_upper_bound_it_is_skipped_with_the_reason() -> None:
    async with memory_lab() as lab:
        context = replace(lab.context(), target=replace(lab.target, max_replicas=2))
        plan = await ACTION.plan(context, {"by": 1})
        assert plan.skip == "api has 2 replicas already, and max_replicas is 2"


async def test_enough_instances_are_skipped_and_never_removed() -> None:
    async with memory_lab() as lab:
        plan = await ACTION.plan(lab.context(), {"to": 1})
        assert plan.skip is not None
        assert "scale only adds" in plan.skip


async def test_a_number_outside_of_the_bounds_is_refused() -> None:
    async with memory_lab() as lab:
        with pytest.raises(ActionRefused, match="outside of its bounds 1 to 4"):
            await ACTION.plan(lab.context(), {"to": 5})


async def test_without_bounds_or_traffic_it_is_refused() -> None:
    async with memory_lab() as lab:
        unbounded = replace(lab.context(), target=replace(lab.target, max_replicas=None))
        with pytest.raises(ActionRefused, match="max_replicas"):
            await ACTION.plan(unbounded, {"by": 1})
        silent = replace(lab.context(), target=replace(lab.target, traffic="none"))
        with pytest.raises(ActionRefused, match="no traffic"):
            await ACTION.plan(silent, {"by": 1})


async def test_bounds_that_became_narrower_since_the_plan_hold() -> None:
    async with memory_lab() as lab:
        intent = await intend(lab, ACTION, by=2)
        watched = CrashingRuntime(lab.runtime)
        context = replace(lab.context(watched), target=replace(lab.target, max_replicas=2))
        with pytest.raises(ActionRefused, match="would exceed max_replicas 2"):
            await ACTION.execute(context, intent)
        assert watched.performed == []


async def test_a_healthy_original_is_copied() -> None:
    async with memory_lab() as lab:
        await fail_health(lab, "api-1")
        assert (await ACTION.plan(lab.context(), {"by": 1})).data["like"] == "api-2"


async def test_an_original_that_runs_something_else_by_now_is_not_copied() -> None:
    async with memory_lab() as lab:
        intent = await intend(lab, ACTION, by=1)
        in_memory(lab).create("api", "api-1", "image:good")
        with pytest.raises(ActionRefused, match="runs image:good now"):
            await ACTION.execute(lab.context(), intent)


async def test_a_copy_that_does_not_become_healthy_is_taken_back_with_its_siblings() -> None:
    async with memory_lab() as lab:
        before = await lab.look()
        intent = await intend(lab, ACTION, by=2)
        for name, one in before.items():
            in_memory(lab).put("api", replace(one, name=name))
        in_memory(lab).services["api"].versions["image:bad"] = Behaviour.UNHEALTHY
        outcome = await ACTION.execute(lab.context(), intent)
        assert not outcome.ok
        assert outcome.restored
        assert outcome.text == "api-3 is unhealthy; removed api-3 again"
        assert sorted(await lab.look()) == ["api-1", "api-2"]


async def test_a_name_that_somebody_took_is_superseded_and_left_alone() -> None:
    async with memory_lab() as lab:
        intent = await intend(lab, ACTION, by=1)
        theirs = in_memory(lab).create("api", "api-3", "image:good")
        assert (await ACTION.observe(lab.context(), intent)).progress is Progress.SUPERSEDED
        with pytest.raises(ActionRefused, match="this action didn't make it"):
            await ACTION.execute(lab.context(), intent)
        outcome = await ACTION.undo(lab.context(), intent, {})
        assert "left alone, not made by this action: api-3" in outcome.text
        assert (await lab.look())["api-3"].id == theirs.id


async def test_undo_keeps_a_copy_that_is_what_holds_the_service_up() -> None:
    async with memory_lab() as lab:
        intent = await intend(lab, ACTION, by=1)
        outcome = await ACTION.execute(lab.context(), intent)
        await fail_health(lab, "api-1", "api-2")
        undone = await ACTION.undo(lab.context(), intent, outcome.post_state)
        assert not undone.ok
        assert undone.text == "api-3 stays: without it 0 would be healthy, and 1 must remain"
        assert (await lab.look())["api-3"].stamps[STAMP_ACTION] == intent.action_id


async def test_undo_is_not_kept_by_a_minimum_meant_for_the_larger_count() -> None:
    async with memory_lab() as lab:
        intent = await intend(lab, ACTION, by=2)
        outcome = await ACTION.execute(lab.context(), intent)
        undone = await ACTION.undo(replace(lab.context(), min_healthy=3), intent, outcome.post_state)
        assert undone.ok, undone.text
        assert len(await lab.look()) == 2


@pytest.mark.parametrize(
    ("received", "ok", "told"),
    [
        ({"api-3": 0.0, "api-4": 5000.0}, None, "nobody has sent a request to api-3 yet"),
        ({"api-3": 5000.0, "api-4": 5000.0}, True, "healthy: api-3, api-4"),
        ({"api-3": None, "api-4": 5000.0}, True, "healthy: api-3, api-4"),
    ],
)
async def test_a_copy_that_gets_no_requests_is_no_success(
    received: Mapping[str, float | None], ok: bool | None, told: str
) -> None:
    class Networked(CrashingRuntime):
        async def received(self, target: Target, instance: Instance) -> float | None:
            return received[instance.name]

    async with memory_lab() as lab:
        intent = await intend(lab, ACTION, by=2)
        assert (await ACTION.execute(lab.context(), intent)).ok
        verdict = await ACTION.verify(lab.context(Networked(lab.runtime)), intent)
        assert verdict.ok is ok
        assert told in verdict.text
        assert verdict.data["received_bytes"] == received
