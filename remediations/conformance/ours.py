"""The conformance suite filled in for our own actions, to run on any runtime."""

from __future__ import annotations

import asyncio
from typing import ClassVar

from remediations.conformance.actions import ActionConformance, refused
from remediations.conformance.lab import ACTION_ID, Lab, RuntimeLab
from remediations.diagnose import DiagnoseAction
from remediations.protocol import STAMP_ACTION, Instance, Intent, Json, Progress, Remediation
from remediations.restart import RestartAction
from remediations.rollback import RollbackAction
from remediations.scale import ScaleAction


class RestartConformance(ActionConformance):
    """Restart of two instances."""

    action: ClassVar[Remediation] = RestartAction()
    mutations = 2

    async def assert_done(self, lab: Lab, before: dict[str, Instance]) -> None:
        """Look whether each was started anew, and is the same one."""
        after = await lab.look()
        assert sorted(after) == sorted(before)
        for name, instance in after.items():
            assert instance.serving
            assert instance.started_at != before[name].started_at
            assert instance.id == before[name].id

    def test_a_stopped_instance_is_started_first(self, runtime_lab: RuntimeLab) -> None:
        async def run() -> None:
            async with runtime_lab() as lab:
                last = max(await lab.look())
                await lab.stop(last)
                intent = await self.intent(lab)
                assert intent.plan.data["order"][0] == last
                assert intent.plan.lowest_healthy == 1, "the stopped one isn't counted as lost"
                assert (await self.action.execute(lab.context(), intent)).ok

        asyncio.run(run())

    def test_instances_made_anew_since_the_plan_are_left_alone(self, runtime_lab: RuntimeLab) -> None:
        _left_alone(self, runtime_lab)


class ScaleConformance(ActionConformance):
    """Scale from two to four instances."""

    action: ClassVar[Remediation] = ScaleAction()
    parameters: ClassVar[Json] = {"by": 2}
    mutations = 2
    undo_mutations = 2

    async def assert_done(self, lab: Lab, before: dict[str, Instance]) -> None:
        """Look whether two stamped copies serve beside the untouched originals."""
        after = await lab.look()
        added = [one for name, one in after.items() if name not in before]
        assert len(added) == 2
        assert all(one.serving and one.stamps.get(STAMP_ACTION) == ACTION_ID for one in added)
        assert {name: after[name] for name in before} == before

    async def assert_undone(self, lab: Lab, before: dict[str, Instance]) -> None:
        """Look whether the originals alone are left, untouched."""
        assert await lab.look() == before

    async def meddle(self, lab: Lab, intent: Intent) -> None:
        """Let somebody else remove a copy, as a `compose up` by a person does."""
        await lab.remove(intent.plan.data["names"][0])

    def test_undoing_a_copy_that_is_gone_already_is_superseded_not_failed(self, runtime_lab: RuntimeLab) -> None:
        async def run() -> None:
            async with runtime_lab() as lab:
                before = await lab.look()
                intent = await self.intent(lab)
                outcome = await self.action.execute(lab.context(), intent)
                gone = intent.plan.data["names"][0]
                await lab.remove(gone)
                undone = await self.action.undo(lab.context(), intent, outcome.post_state)
                assert undone.ok
                assert gone in undone.text
                assert await lab.look() == before

        asyncio.run(run())


class RollbackConformance(ActionConformance):
    """Rollback of two instances to the lab's other version."""

    action: ClassVar[Remediation] = RollbackAction()
    mutations = 2
    undo_mutations = 2

    async def assert_done(self, lab: Lab, before: dict[str, Instance]) -> None:
        """Look whether exactly the same names run the good version."""
        after = await lab.look()
        assert sorted(after) == sorted(before)
        assert all(one.serving and one.image_id == lab.good.image_id for one in after.values())

    async def assert_undone(self, lab: Lab, before: dict[str, Instance]) -> None:
        """Look whether exactly the same names run what they ran before."""
        after = await lab.look()
        assert {name: one.image_id for name, one in after.items()} == {n: one.image_id for n, one in before.items()}
        assert all(one.serving for one in after.values())

    def test_instances_made_anew_since_the_plan_are_left_alone(self, runtime_lab: RuntimeLab) -> None:
        _left_alone(self, runtime_lab)


class DiagnoseConformance(ActionConformance):
    """Diagnosis of two healthy instances."""

    action: ClassVar[Remediation] = DiagnoseAction()
    mutations = 0

    async def assert_done(self, lab: Lab, before: dict[str, Instance]) -> None:
        """Look whether nothing was touched."""
        assert await lab.look() == before

    def test_findings_cover_each_instance_and_say_what_was_seen(self, runtime_lab: RuntimeLab) -> None:
        async def run() -> None:
            async with runtime_lab() as lab:
                outcome = await self.action.execute(lab.context(), await self.intent(lab))
                findings = {one["name"]: one for one in outcome.data["findings"]}
                for name in await lab.look():
                    assert findings[f"state of {name}"]["ok"] is True
                    assert {f"log of {name}", f"load of {name}"} <= set(findings)
                assert all(one["text"] and "\n" not in one["text"] for one in findings.values())

        asyncio.run(run())


def _left_alone(suite: ActionConformance, runtime_lab: RuntimeLab) -> None:
    async def run() -> None:
        async with runtime_lab() as lab:
            intent = await suite.intent(lab)
            for name in intent.plan.data["order"]:
                await lab.recreate(name)
            theirs = await lab.look()
            seen = await suite.action.observe(lab.context(), intent)
            assert seen.progress is Progress.SUPERSEDED, seen.text
            assert await refused(suite.action, lab, intent)
            assert await lab.look() == theirs, "it is somebody else's now"

    asyncio.run(run())
