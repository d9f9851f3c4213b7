"""Restart rolls one at a time, never below the healthy minimum, and stops at the first failure."""

from dataclasses import replace

import pytest

from remediations.protocol import (
    ActionRefused,
    Context,
    EngineUnavailable,
    Health,
    Instance,
    OutcomeUnknown,
    Progress,
    Target,
)
from remediations.restart import RestartAction
from remediations.runtimes.memory import Behaviour
from remediations.testing import CrashingRuntime, Fault, memory_lab
from tests.unit.remediations.helpers import fail_health, in_memory, intend

pytestmark = pytest.mark.anyio
ACTION = RestartAction()


async def test_unhealthy_instances_come_first_and_are_not_counted_as_lost() -> None:
    async with memory_lab() as lab:
        await fail_health(lab, "api-2")
        plan = await ACTION.plan(lab.context(), {})
        assert plan.data["order"] == ["api-2", "api-1"]
        assert (plan.healthy_now, plan.lowest_healthy, plan.takes_down) == (1, 1, False)


async def test_a_healthy_single_instance_is_taken_down_and_the_plan_says_so() -> None:
    async with memory_lab() as lab:
        await lab.remove("api-2")
        plan = await ACTION.plan(lab.context(), {})
        assert (plan.healthy_now, plan.lowest_healthy, plan.takes_down) == (1, 0, True)


async def test_an_unhealthy_single_instance_is_not_taken_down() -> None:
    async with memory_lab() as lab:
        await lab.remove("api-2")
        await fail_health(lab, "api-1")
        plan = await ACTION.plan(lab.context(), {})
        assert (plan.healthy_now, plan.lowest_healthy, plan.takes_down) == (0, 0, False)


async def test_only_the_unhealthy_are_restarted_when_asked_for() -> None:
    async with memory_lab() as lab:
        await fail_health(lab, "api-2")
        before = await lab.look()
        intent = await intend(lab, ACTION, instances="unhealthy")
        assert (await ACTION.execute(lab.context(), intent)).ok
        assert (await lab.look())["api-1"] == before["api-1"]


async def test_nothing_unhealthy_is_skipped_with_the_reason() -> None:
    async with memory_lab() as lab:
        plan = await ACTION.plan(lab.context(), {"instances": "unhealthy"})
        assert plan.skip == "none of the 2 instances of api is unhealthy"


async def test_a_revision_survives_flapping_health_and_changes_with_the_instances() -> None:
    async with memory_lab() as lab:
        first = (await ACTION.plan(lab.context(), {})).revision
        await fail_health(lab, "api-1")
        assert (await ACTION.plan(lab.context(), {})).revision == first
        await lab.recreate("api-1")
        assert (await ACTION.plan(lab.context(), {})).revision != first


async def test_rolling_stops_at_the_first_instance_that_does_not_come_back() -> None:
    async with memory_lab() as lab:
        in_memory(lab).services["api"].versions["image:bad"] = Behaviour.EXITS
        before = in_memory(lab).services["api"].instances["api-2"]
        for name in ("api-1", "api-2"):
            one = in_memory(lab).services["api"].instances[name]
            in_memory(lab).put("api", replace(one, health=Health.HEALTHY))
        before = (await lab.look())["api-2"]
        outcome = await ACTION.execute(lab.context(), await intend(lab, ACTION))
        assert not outcome.ok
        assert outcome.text == "api-1 is exited; not restarted: api-2"
        assert (await lab.look())["api-2"] == before


async def test_no_instance_is_touched_while_too_few_peers_are_healthy() -> None:
    async with memory_lab() as lab:
        intent = await intend(lab, ACTION)
        await fail_health(lab, "api-2")
        watched = CrashingRuntime(lab.runtime)
        with pytest.raises(ActionRefused, match="api-1 stays up: 0 of its peers are healthy, and 1 must remain"):
            await ACTION.execute(lab.context(watched), intent)
        assert watched.performed == []


async def test_one_that_starts_forever_fails_at_the_limit_and_is_not_waited_for_longer() -> None:
    async with memory_lab() as lab:
        in_memory(lab).services["api"].versions["image:bad"] = Behaviour.STARTING
        began = lab.now()
        for name, one in in_memory(lab).services["api"].instances.items():
            in_memory(lab).put("api", replace(one, health=Health.HEALTHY, name=name))
        outcome = await ACTION.execute(lab.context(), await intend(lab, ACTION))
        assert not outcome.ok
        assert "api-1 is still starting after 20 s" in outcome.text
        assert lab.now() - began == pytest.approx(20, abs=0.5)


async def test_without_a_health_check_an_instance_must_run_undisturbed() -> None:
    async with memory_lab() as lab:
        in_memory(lab).services["api"].versions["image:bad"] = Behaviour.UNCHECKED
        began = lab.now()
        assert (await ACTION.execute(lab.context(), await intend(lab, ACTION, stable_for=3))).ok
        assert lab.now() - began >= 6, "three seconds each"


async def test_an_instance_that_keeps_restarting_fails_fast() -> None:
    class Looping(CrashingRuntime):
        count = 0

        async def instances(self, target: Target) -> tuple[Instance, ...]:
            found = await super().instances(target)
            if not self.performed:
                return found
            self.count += 1
            return tuple(replace(one, restart_count=self.count, health=Health.STARTING) for one in found)

    async with memory_lab() as lab:
        outcome = await ACTION.execute(lab.context(Looping(lab.runtime)), await intend(lab, ACTION))
        assert not outcome.ok
        assert "keeps restarting" in outcome.text


async def test_an_engine_that_goes_away_after_the_first_restart_leaves_the_step_in_doubt() -> None:
    async with memory_lab() as lab:
        intent = await intend(lab, ACTION)
        with pytest.raises(OutcomeUnknown, match="restarted api-1, then"):
            await ACTION.execute(lab.context(CrashingRuntime(lab.runtime, Fault.UNAVAILABLE, 2)), intent)
        seen = await ACTION.observe(lab.context(), intent)
        assert seen.progress is Progress.PARTIAL
        assert seen.text == "not restarted: api-2"


async def test_an_engine_that_is_away_while_waiting_is_asked_again() -> None:
    class Away(CrashingRuntime):
        looks = 0

        async def instances(self, target: Target) -> tuple[Instance, ...]:
            self.looks += 1
            if len(self.performed) == 1 and self.looks in {2, 3}:
                raise EngineUnavailable("no answer")
            return await super().instances(target)

    async with memory_lab() as lab:
        outcome = await ACTION.execute(lab.context(Away(lab.runtime)), await intend(lab, ACTION, instances="all"))
        assert outcome.ok


async def test_a_restart_cut_between_stop_and_start_is_partial() -> None:
    async with memory_lab() as lab:
        intent = await intend(lab, ACTION)
        await lab.stop("api-1")
        assert (await ACTION.observe(lab.context(), intent)).progress is Progress.PARTIAL
        assert (await ACTION.execute(lab.context(), intent)).ok


async def test_a_clock_that_differs_from_the_engines_does_not_make_a_restart_look_undone() -> None:
    async with memory_lab() as lab:
        plan = await ACTION.plan(lab.context(), {})
        intent = replace(await intend(lab, ACTION), at=lab.now() + 3600)
        context: Context = lab.context()
        assert plan.data == intent.plan.data
        assert (await ACTION.execute(context, intent)).ok
        assert (await ACTION.observe(context, intent)).progress is Progress.DONE


async def test_an_instance_that_is_gone_is_superseded() -> None:
    async with memory_lab() as lab:
        intent = await intend(lab, ACTION)
        await lab.remove("api-1")
        seen = await ACTION.observe(lab.context(), intent)
        assert seen.progress is Progress.SUPERSEDED
        assert "api-1 is gone" in seen.text
