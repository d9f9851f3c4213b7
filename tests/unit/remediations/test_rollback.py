"""Rollback goes back only when a deployment may be to blame, to what is there and good, and restores on failure."""

from dataclasses import replace

import pytest

from remediations.protocol import ActionRefused, Context, KnownGood, Progress
from remediations.rollback import RollbackAction
from remediations.runtimes.memory import Behaviour
from remediations.testing import Crashed, CrashingRuntime, Lab, memory_lab
from tests.unit.remediations.helpers import in_memory, intend

pytestmark = pytest.mark.anyio
ACTION = RollbackAction()


def knowing(lab: Lab, *images: str, changed_at: float | None = None) -> Context:
    known = tuple(KnownGood(image, image, lab.now()) for image in images)
    at = lab.now() if changed_at is None else changed_at
    return replace(lab.context(), known_good=known, changed_at=at)


async def test_the_newest_good_version_that_does_not_run_is_chosen() -> None:
    async with memory_lab() as lab:
        versions = in_memory(lab).services["api"].versions
        versions |= {"image:older": Behaviour.HEALTHY}
        plan = await ACTION.plan(knowing(lab, "image:good", "image:older"), {})
        assert plan.data["version"]["image_id"] == "image:good"
        assert (await ACTION.plan(knowing(lab, "image:good", "image:older"), {"to": "image:older"})).data["version"][
            "image_id"
        ] == "image:older"


async def test_a_running_version_that_is_itself_good_is_never_rolled_back() -> None:
    async with memory_lab() as lab:
        plan = await ACTION.plan(knowing(lab, "image:bad", "image:good"), {})
        assert plan.skip == "image:bad is itself known to be good"
        assert (await ACTION.plan(knowing(lab, "image:bad", "image:good"), {"to": "image:good"})).skip is not None


async def test_an_outage_without_a_recent_deployment_is_skipped_with_the_reason() -> None:
    async with memory_lab() as lab:
        plan = await ACTION.plan(knowing(lab, "image:good", changed_at=lab.now() - 90000), {})
        assert plan.skip == "the version didn't change recently: 25.0 h ago, and only the last 24 h count"
        unknown = replace(knowing(lab, "image:good"), changed_at=None)
        assert "isn't known when" in str((await ACTION.plan(unknown, {})).skip)


async def test_nothing_known_to_be_good_is_refused() -> None:
    async with memory_lab() as lab:
        with pytest.raises(ActionRefused, match="nothing to roll back to"):
            await ACTION.plan(knowing(lab), {})


async def test_a_good_version_that_was_pruned_is_refused_in_advance() -> None:
    async with memory_lab() as lab:
        with pytest.raises(ActionRefused, match="does not exist any more"):
            await ACTION.plan(knowing(lab, "image:missing"), {})


async def test_only_a_version_that_is_known_to_be_good_can_be_asked_for() -> None:
    async with memory_lab() as lab:
        with pytest.raises(ActionRefused, match="image:broken is not known to be a good version"):
            await ACTION.plan(knowing(lab, "image:good"), {"to": "image:broken"})


async def test_instances_that_run_the_good_version_already_are_left_alone() -> None:
    async with memory_lab() as lab:
        in_memory(lab).create("api", "api-1", "image:good")
        await lab.sleep(1)
        plan = await ACTION.plan(knowing(lab, "image:good"), {})
        assert plan.data["order"] == ["api-2"]


async def test_a_version_that_fails_after_all_leaves_the_old_one_running() -> None:
    async with memory_lab() as lab:
        before = await lab.look()
        context = knowing(lab, "image:broken")
        outcome = await ACTION.execute(context, await intend(lab, ACTION, context))
        assert not outcome.ok
        assert outcome.restored
        assert "api-1 is unhealthy on image:broken; the old one was restored" in outcome.text
        await lab.sleep(2)
        after = await lab.look()
        assert {name: one.id for name, one in after.items()} == {name: one.id for name, one in before.items()}
        assert all(one.serving for one in after.values())


@pytest.mark.parametrize("point", ["set aside", "created", "waited"])
async def test_a_crash_inside_of_a_replacement_is_seen_and_finished(point: str) -> None:
    crashed: list[str] = []

    def between(here: str) -> None:
        if here == point and not crashed:
            crashed.append(here)
            raise Crashed(here)

    async with memory_lab(between) as lab:
        intent = await intend(lab, ACTION)
        with pytest.raises(Crashed):
            await ACTION.execute(lab.context(), intent)
        assert (await ACTION.observe(lab.context(), intent)).progress is Progress.PARTIAL
        outcome = await ACTION.execute(lab.context(), intent)
        assert outcome.ok, outcome.text
        assert {one.image_id for one in (await lab.look()).values()} == {"image:good"}
        assert (await ACTION.observe(lab.context(), intent)).progress is Progress.DONE


@pytest.mark.parametrize("point", ["waited", "removed the new one"])
async def test_a_crash_while_restoring_ends_with_the_old_one_and_no_second_try(point: str) -> None:
    crashed: list[str] = []

    def between(here: str) -> None:
        if here == point and not crashed:
            crashed.append(here)
            raise Crashed(here)

    async with memory_lab(between) as lab:
        context = knowing(lab, "image:broken")
        intent = await intend(lab, ACTION, context)
        before = in_memory(lab).made
        with pytest.raises(Crashed):
            await ACTION.execute(context, intent)
        outcome = await ACTION.execute(context, intent)
        assert not outcome.ok
        await lab.sleep(2)
        assert {one.image_id for one in (await lab.look()).values()} == {"image:bad"}
        assert in_memory(lab).made == before + 1


async def test_a_crash_after_the_restoring_before_its_outcome_is_stored_leads_to_no_second_try() -> None:
    async with memory_lab() as lab:
        context = knowing(lab, "image:broken")
        intent = await intend(lab, ACTION, context)
        assert not (await ACTION.execute(context, intent)).ok
        made = in_memory(lab).made
        await lab.sleep(2)
        seen = await ACTION.observe(context, intent)
        assert seen.progress is Progress.SUPERSEDED
        assert seen.text.startswith(
            "api-1 was started again since the plan was made: this rollback was tried and taken"
        )
        with pytest.raises(ActionRefused, match="api-1 was started again since the plan was made"):
            await ACTION.execute(context, intent)
        assert in_memory(lab).made == made


async def test_an_instance_that_restarted_by_itself_since_the_plan_is_rolled_back() -> None:
    async with memory_lab() as lab:
        intent = await intend(lab, ACTION)
        for one in (await lab.look()).values():
            started = replace(one, started_at=(one.started_at or 0.0) + 1.0, restart_count=one.restart_count + 1)
            in_memory(lab).put("api", started)
        outcome = await ACTION.execute(lab.context(), intent)
        assert outcome.ok, outcome.text


async def test_undo_goes_back_to_what_ran_before_only_if_it_is_still_there() -> None:
    async with memory_lab() as lab:
        intent = await intend(lab, ACTION)
        outcome = await ACTION.execute(lab.context(), intent)
        del in_memory(lab).services["api"].versions["image:bad"]
        watched = CrashingRuntime(lab.runtime)
        undone = await ACTION.undo(lab.context(watched), intent, outcome.post_state)
        assert not undone.ok
        assert "does not exist any more" in undone.text
        assert {one.image_id for one in (await lab.look()).values()} == {"image:good"}


async def test_a_later_deployment_by_somebody_else_is_not_undone() -> None:
    async with memory_lab() as lab:
        intent = await intend(lab, ACTION)
        outcome = await ACTION.execute(lab.context(), intent)
        for name in await lab.look():
            in_memory(lab).create("api", name, "image:newer")
        await lab.sleep(1)
        undone = await ACTION.undo(lab.context(), intent, outcome.post_state)
        assert not undone.ok
        assert {one.image_id for one in (await lab.look()).values()} == {"image:newer"}


async def test_verification_fails_while_another_version_runs() -> None:
    async with memory_lab() as lab:
        verdict = await ACTION.verify(lab.context(), await intend(lab, ACTION))
        assert verdict.ok is False
        assert "does not run image:good" in verdict.text
