"""What every runtime promises, as tests: subclass `RuntimeConformance` and bring the fixture `runtime_lab`."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import pytest

from remediations.conformance.lab import ACTION_ID, OTHER_ACTION_ID, Lab, RuntimeLab
from remediations.protocol import (
    STAMP_ACTION,
    STAMP_CLONED_FROM,
    ActionRefused,
    Instance,
    Progress,
    TargetNotFound,
)

POLL = 0.25


class RuntimeConformance:
    """The Runtime protocol's promises. Every test makes labs of its own by the fixture `runtime_lab`."""

    def test_check_tells_facts_about_the_engine(self, runtime_lab: RuntimeLab) -> None:
        async def run() -> None:
            async with runtime_lab() as lab:
                facts = await lab.runtime.check()
                assert json.dumps(dict(facts)), "facts are JSON"
                assert facts.get("version"), "the engine has a version"

        asyncio.run(run())

    def test_instances_are_ordered_by_name_and_looking_changes_nothing(self, runtime_lab: RuntimeLab) -> None:
        async def run() -> None:
            async with runtime_lab() as lab:
                first = await lab.runtime.instances(lab.target)
                assert len(first) == 2, "a lab begins with two instances"
                assert [one.name for one in first] == sorted(one.name for one in first)
                assert all(one.serving and one.started_at is not None for one in first)
                assert await lab.runtime.instances(lab.target) == first

        asyncio.run(run())

    def test_an_unknown_target_is_not_found_and_the_message_names_it(self, runtime_lab: RuntimeLab) -> None:
        async def run() -> None:
            async with runtime_lab() as lab:
                selector = dict.fromkeys(lab.target.selector, "no-such-service")
                nobody = replace(lab.target, service="no-such-service", selector=selector)
                with pytest.raises(TargetNotFound, match="no-such-service"):
                    await lab.runtime.instances(nobody)

        asyncio.run(run())

    def test_restart_starts_one_instance_anew_and_leaves_the_others(self, runtime_lab: RuntimeLab) -> None:
        async def run() -> None:
            async with runtime_lab() as lab:
                before = await lab.look()
                name, other = sorted(before)
                await lab.runtime.restart(lab.target, before[name])
                after = await _until_serving(lab, name)
                assert after.started_at != before[name].started_at
                assert (after.id, after.image_id) == (before[name].id, before[name].image_id)
                assert (await lab.look())[other] == before[other]

        asyncio.run(run())

    def test_restart_starts_a_stopped_instance(self, runtime_lab: RuntimeLab) -> None:
        async def run() -> None:
            async with runtime_lab() as lab:
                name = min(await lab.look())
                await lab.stop(name)
                stopped = (await lab.look())[name]
                assert not stopped.running, "a stopped instance is still listed, as stopped"
                await lab.runtime.restart(lab.target, stopped)
                assert (await _until_serving(lab, name)).started_at != stopped.started_at

        asyncio.run(run())

    def test_an_added_instance_is_stamped_and_adding_again_changes_nothing(self, runtime_lab: RuntimeLab) -> None:
        async def run() -> None:
            async with runtime_lab() as lab:
                like, name = await _room(lab)
                await lab.runtime.add_instance(lab.target, like, name, ACTION_ID)
                added = await _until_serving(lab, name)
                assert added.stamps.get(STAMP_ACTION) == ACTION_ID
                assert added.stamps.get(STAMP_CLONED_FROM) == like.name
                assert added.image_id == like.image_id
                again = await lab.runtime.add_instance(lab.target, like, name, ACTION_ID)
                assert (again.id, again.started_at) == (added.id, added.started_at)
                assert len(await lab.look()) == 3

        asyncio.run(run())

    def test_a_name_that_somebody_else_took_is_refused(self, runtime_lab: RuntimeLab) -> None:
        async def run() -> None:
            async with runtime_lab() as lab:
                like, name = await _room(lab)
                await lab.runtime.add_instance(lab.target, like, name, ACTION_ID)
                with pytest.raises(ActionRefused, match=name):
                    await lab.runtime.add_instance(lab.target, like, name, OTHER_ACTION_ID)
                with pytest.raises(ActionRefused):
                    await lab.runtime.add_instance(lab.target, like, like.name, ACTION_ID)

        asyncio.run(run())

    def test_removing_takes_only_what_carries_the_stamp(self, runtime_lab: RuntimeLab) -> None:
        async def run() -> None:
            async with runtime_lab() as lab:
                like, name = await _room(lab)
                await lab.runtime.add_instance(lab.target, like, name, ACTION_ID)
                for kept, action_id in ((name, OTHER_ACTION_ID), (like.name, ACTION_ID)):
                    with pytest.raises(ActionRefused, match=kept):
                        await lab.runtime.remove_instance(lab.target, kept, action_id)
                assert await lab.runtime.remove_instance(lab.target, name, ACTION_ID)
                assert not await lab.runtime.remove_instance(lab.target, name, ACTION_ID), "gone already"
                assert len(await lab.look()) == 2

        asyncio.run(run())

    def test_a_replaced_instance_runs_the_version_and_replacing_again_changes_nothing(
        self, runtime_lab: RuntimeLab
    ) -> None:
        async def run() -> None:
            async with runtime_lab() as lab:
                before = await lab.look()
                name, other = sorted(before)
                assert await lab.runtime.replaced(lab.target, name, ACTION_ID) is Progress.NOT_STARTED
                new = await _replace(lab, before[name], ACTION_ID)
                assert new.serving
                assert new.image_id == lab.good.image_id
                assert await lab.runtime.replaced(lab.target, name, ACTION_ID) is Progress.DONE
                assert await lab.runtime.replaced(lab.target, other, ACTION_ID) is Progress.NOT_STARTED
                again = await _replace(lab, new, ACTION_ID)
                assert (again.id, again.started_at) == (new.id, new.started_at)
                after = await lab.look()
                assert sorted(after) == sorted(before), "nothing is left over"
                assert after[other] == before[other]

        asyncio.run(run())

    def test_a_version_that_does_not_become_healthy_is_taken_back(self, runtime_lab: RuntimeLab) -> None:
        async def run() -> None:
            async with runtime_lab() as lab:
                before = await lab.look()
                name = min(before)
                with pytest.raises(ActionRefused, match=name):
                    await lab.runtime.replace_instance(
                        lab.target, before[name], lab.broken, ACTION_ID, healthy_within=min(5.0, lab.healthy_within)
                    )
                restored = await _until_serving(lab, name)
                assert (restored.id, restored.image_id) == (before[name].id, before[name].image_id)
                assert await lab.runtime.replaced(lab.target, name, ACTION_ID) is Progress.NOT_STARTED
                assert sorted(await lab.look()) == sorted(before)

        asyncio.run(run())

    def test_a_missing_version_is_harmless(self, runtime_lab: RuntimeLab) -> None:
        async def run() -> None:
            async with runtime_lab() as lab:
                before = await lab.look()
                name = min(before)
                assert not await lab.runtime.version_exists(lab.missing)
                with pytest.raises(ActionRefused):
                    await lab.runtime.replace_instance(
                        lab.target, before[name], lab.missing, ACTION_ID, healthy_within=lab.healthy_within
                    )
                assert await lab.look() == before, "not even restarted"

        asyncio.run(run())

    def test_a_kept_version_can_be_brought_back(self, runtime_lab: RuntimeLab) -> None:
        async def run() -> None:
            async with runtime_lab() as lab:
                before = await lab.look()
                name = min(before)
                kept = await lab.runtime.keep_version(lab.target, before[name], lab.now())
                assert kept.image_id == before[name].image_id
                assert json.dumps(dict(kept.spec)) is not None
                assert await lab.runtime.version_exists(kept)
                new = await _replace(lab, before[name], ACTION_ID)
                back = await lab.runtime.replace_instance(
                    lab.target, new, kept, OTHER_ACTION_ID, healthy_within=lab.healthy_within
                )
                assert back.image_id == before[name].image_id
                await lab.runtime.forget_version(lab.target, lab.good)
                await lab.runtime.forget_version(lab.target, lab.missing)

        asyncio.run(run())

    def test_a_copy_keeps_its_stamp_when_it_is_replaced(self, runtime_lab: RuntimeLab) -> None:
        async def run() -> None:
            async with runtime_lab() as lab:
                like, name = await _room(lab)
                await lab.runtime.add_instance(lab.target, like, name, ACTION_ID)
                await _replace(lab, await _until_serving(lab, name), OTHER_ACTION_ID)
                assert await lab.runtime.remove_instance(lab.target, name, ACTION_ID), "its maker can still remove it"

        asyncio.run(run())

    def test_logs_and_stats_are_bounded_and_plain(self, runtime_lab: RuntimeLab) -> None:
        async def run() -> None:
            async with runtime_lab() as lab:
                one = next(iter((await lab.look()).values()))
                assert len(await lab.runtime.logs(lab.target, one, 3)) <= 3
                assert len(await lab.runtime.logs(lab.target, one, 100_000)) <= 500
                sample = await lab.runtime.stats(lab.target, one)
                known = {"cpu_ratio", "memory_bytes", "memory_limit_bytes"}
                assert all(isinstance(sample[key], int | float) for key in known & set(sample))
                assert isinstance(await lab.runtime.received(lab.target, one), float | None)
                assert all(isinstance(size, int | float) for size in (await lab.runtime.disk()).values())

        asyncio.run(run())


async def _until_serving(lab: Lab, name: str) -> Instance:
    waited = 0.0
    while waited <= lab.healthy_within:
        instance = (await lab.look()).get(name)
        if instance is not None and instance.serving:
            return instance
        await lab.sleep(POLL)
        waited += POLL
    pytest.fail(f"{name} does not serve within {lab.healthy_within:g} s")


async def _room(lab: Lab) -> tuple[Instance, str]:
    """Return an instance to copy and a free name."""
    instances = await lab.look()
    like = instances[max(instances)]
    return like, f"{like.name}-copy"


async def _replace(lab: Lab, instance: Instance, action_id: str) -> Instance:
    return await lab.runtime.replace_instance(
        lab.target, instance, lab.good, action_id, healthy_within=lab.healthy_within
    )
