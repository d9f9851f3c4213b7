"""What every action promises, as tests: subclass `ActionConformance`, say how to check its effect, bring a lab."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from typing import ClassVar

import pytest

from remediations.conformance.faults import Crashed, CrashingRuntime, Fault, Protecting
from remediations.conformance.lab import HaltAfter, Lab, RuntimeLab, stored
from remediations.protocol import (
    ActionRefused,
    EngineUnavailable,
    Halted,
    Instance,
    Intent,
    Json,
    Outcome,
    OutcomeUnknown,
    Progress,
    Remediation,
    Runtime,
    TargetProtected,
)
from remediations.registry import problems

UNDECIDED = {Progress.NOT_STARTED, Progress.PARTIAL}


class ActionConformance:
    """The Remediation protocol's promises, over a fresh service of two healthy instances each time.

    Set `action` and `parameters` (such that it has something to do), `mutations` (how many mutating calls it makes on
    the runtime) and `undo_mutations` (the same of its undo). Override `assert_done` and `assert_undone` to look at the
    effect itself. Set `together` where labs can exist beside each other: many crash points then take the time of one.
    """

    action: ClassVar[Remediation]
    parameters: ClassVar[Json] = {}
    mutations: ClassVar[int]
    undo_mutations: ClassVar[int] = 0
    together: ClassVar[bool] = False

    async def assert_done(self, lab: Lab, before: dict[str, Instance]) -> None:
        """Look whether the target is as the plan said."""

    async def assert_undone(self, lab: Lab, before: dict[str, Instance]) -> None:
        """Look whether the target is as before."""

    async def meddle(self, lab: Lab, intent: Intent) -> None:
        """Let somebody else change what the action touched."""
        await lab.recreate(_touched(intent, await lab.look()))

    async def intent(self, lab: Lab) -> Intent:
        """Plan, and return the intent as it comes back from a store."""
        plan = await self.action.plan(lab.context(), self.parameters)
        assert plan.skip is None, f"these parameters must give the action something to do: {plan.skip}"
        return stored(self.action, self.parameters, plan, lab.now())

    def test_it_has_the_shape_of_an_action(self) -> None:
        assert problems(self.action) == []

    def test_its_parameters_refuse_unknown_fields_and_are_described(self) -> None:
        schema = self.action.parameters.model_json_schema()
        assert schema.get("additionalProperties") is False
        undescribed = [name for name, field in schema.get("properties", {}).items() if not field.get("description")]
        assert undescribed == []

    def test_it_describes_itself_in_one_line(self) -> None:
        line = self.action.describe(self.parameters)
        assert line.strip()
        assert "\n" not in line

    def test_planning_changes_nothing_and_repeats_itself(self, runtime_lab: RuntimeLab) -> None:
        async def run() -> None:
            async with runtime_lab() as lab:
                before = await lab.look()
                watched = CrashingRuntime(lab.runtime)
                plan = await self.action.plan(lab.context(watched), self.parameters)
                again = await self.action.plan(lab.context(watched), self.parameters)
                assert watched.performed == []
                assert await lab.look() == before
                assert plan.revision == again.revision
                assert "\n" not in plan.summary
                assert json.loads(json.dumps(asdict(plan)))["summary"], "a plan is made of JSON types"

        asyncio.run(run())

    def test_what_nobody_may_act_on_is_not_planned_on(self, runtime_lab: RuntimeLab) -> None:
        async def run() -> None:
            async with runtime_lab() as lab:
                context = lab.context(Protecting(lab.runtime))
                if self.mutations == 0:
                    assert (await self.action.plan(context, self.parameters)).summary, "looking at it is harmless"
                    return
                with pytest.raises(TargetProtected, match="it is ourselves"):
                    await self.action.plan(context, self.parameters)

        asyncio.run(run())

    def test_execute_does_what_the_plan_says_and_doing_it_again_changes_nothing(self, runtime_lab: RuntimeLab) -> None:
        async def run() -> None:
            async with runtime_lab() as lab:
                before = await lab.look()
                intent = await self.intent(lab)
                if not self.action.read_only:
                    assert (await self.action.observe(lab.context(), intent)).progress is Progress.NOT_STARTED
                watched = CrashingRuntime(lab.runtime)
                outcome = await self.action.execute(lab.context(watched), intent)
                assert outcome.ok, outcome.text
                assert json.dumps(asdict(outcome)), "an outcome is made of JSON types"
                assert len(watched.performed) == self.mutations, watched.performed
                await self._assert_finished(lab, before, intent)
                again = CrashingRuntime(lab.runtime)
                assert (await self.action.execute(lab.context(again), intent)).ok
                assert again.performed == []

        asyncio.run(run())

    def test_a_crash_at_any_mutation_is_finished_by_resuming(self, runtime_lab: RuntimeLab) -> None:
        self._resume_from(runtime_lab, Fault.CRASH_BEFORE, Fault.CRASH_AFTER)

    def test_an_answer_lost_at_any_mutation_is_settled_by_looking(self, runtime_lab: RuntimeLab) -> None:
        self._resume_from(runtime_lab, Fault.LOST_BEFORE, Fault.LOST_AFTER)

    def test_an_unreachable_engine_is_told_as_such_only_while_nothing_was_changed(
        self, runtime_lab: RuntimeLab
    ) -> None:
        self._resume_from(runtime_lab, Fault.UNAVAILABLE)

    def test_a_halt_at_any_checkpoint_is_honoured_and_can_be_resumed(self, runtime_lab: RuntimeLab) -> None:
        async def run(passed: int) -> None:
            async with runtime_lab() as lab:
                before = await lab.look()
                intent = await self.intent(lab)
                watched = CrashingRuntime(lab.runtime)
                with pytest.raises(Halted):
                    await self.action.execute(lab.context(watched, checkpoint=HaltAfter(passed)), intent)
                assert len(watched.performed) == passed
                seen = await self.action.observe(lab.context(), intent)
                assert seen.progress is (Progress.PARTIAL if passed else Progress.NOT_STARTED), seen.text
                await self._finish(lab, watched, intent)
                await self._assert_finished(lab, before, intent)

        self._run([partial(run, passed) for passed in range(self.mutations)])

    def test_an_undo_that_crashed_at_any_mutation_is_finished_by_undoing_again(self, runtime_lab: RuntimeLab) -> None:
        async def run(fault: Fault, at: int) -> None:
            async with runtime_lab() as lab:
                before = await lab.look()
                intent = await self.intent(lab)
                outcome = await self.action.execute(lab.context(), intent)
                failing = CrashingRuntime(lab.runtime, fault, at)
                with suppress(Crashed, OutcomeUnknown):
                    await self.action.undo(lab.context(failing), intent, _read_back(outcome))
                undone = await self.action.undo(lab.context(failing), intent, _read_back(outcome))
                assert undone.text.strip()
                assert _repeated(failing) == {}, f"{fault} at {at}: undone twice"
                await self.assert_undone(lab, before)

        faults = (Fault.CRASH_BEFORE, Fault.CRASH_AFTER, Fault.LOST_AFTER)
        self._run([partial(run, fault, at) for fault in faults for at in range(1, self.undo_mutations + 1)])

    def test_undo_brings_back_what_was_and_twice_is_harmless(self, runtime_lab: RuntimeLab) -> None:
        async def run() -> None:
            async with runtime_lab() as lab:
                before = await lab.look()
                intent = await self.intent(lab)
                outcome = await self.action.execute(lab.context(), intent)
                undone = await self.action.undo(lab.context(), intent, _read_back(outcome))
                assert "\n" not in undone.text
                assert undone.text.strip()
                await self.assert_undone(lab, before)
                again = CrashingRuntime(lab.runtime)
                await self.action.undo(lab.context(again), intent, _read_back(outcome))
                assert again.performed == []

        asyncio.run(run())

    def test_undo_leaves_alone_what_somebody_else_changed(self, runtime_lab: RuntimeLab) -> None:
        async def run() -> None:
            async with runtime_lab() as lab:
                intent = await self.intent(lab)
                outcome = await self.action.execute(lab.context(), intent)
                await self.meddle(lab, intent)
                theirs = (await lab.look()).get(_touched(intent, await lab.look()))
                undone = await self.action.undo(lab.context(), intent, _read_back(outcome))
                assert undone.text.strip()
                left = (await lab.look()).get(theirs.name) if theirs is not None else None
                assert (left and left.id) == (theirs and theirs.id)

        asyncio.run(run())

    def _resume_from(self, runtime_lab: RuntimeLab, *faults: Fault) -> None:
        async def run(fault: Fault, at: int) -> None:
            async with runtime_lab() as lab:
                before = await lab.look()
                intent = await self.intent(lab)
                failing = CrashingRuntime(lab.runtime, fault, at)
                try:
                    outcome = await self.action.execute(lab.context(failing), intent)
                    assert outcome.ok, f"{fault} at {at}: {outcome.text}"
                except (Crashed, OutcomeUnknown):
                    pass
                except EngineUnavailable:
                    assert failing.performed == [], "EngineUnavailable says that nothing was changed"
                await self._finish(lab, failing, intent)
                assert _repeated(failing) == {}, f"{fault} at {at}: done twice"
                await self._assert_finished(lab, before, intent)

        self._run([partial(run, fault, at) for fault in faults for at in range(1, self.mutations + 1)])

    def _run(self, cases: Sequence[Callable[[], Awaitable[None]]]) -> None:
        async def all_of_them() -> None:
            if self.together:
                await asyncio.gather(*(case() for case in cases))
                return
            for case in cases:
                await case()

        asyncio.run(all_of_them())

    async def _finish(self, lab: Lab, runtime: Runtime, intent: Intent) -> None:
        """Go on as the service does: look what became of the intent, and execute it again unless it is done."""
        seen = await self.action.observe(lab.context(), intent)
        assert "\n" not in seen.text
        if seen.progress is Progress.DONE:
            return
        assert seen.progress in UNDECIDED, seen.text
        outcome = await self.action.execute(lab.context(runtime), intent)
        assert outcome.ok, outcome.text

    async def _assert_finished(self, lab: Lab, before: dict[str, Instance], intent: Intent) -> None:
        if not self.action.read_only:
            seen = await self.action.observe(lab.context(), intent)
            assert seen.progress is Progress.DONE, seen.text
        verdict = await self.action.verify(lab.context(), intent)
        assert verdict.ok is True, verdict.text
        await self.assert_done(lab, before)


async def refused(action: Remediation, lab: Lab, intent: Intent) -> str:
    """Execute what must be refused without any mutation; return the reason."""
    watched = CrashingRuntime(lab.runtime)
    try:
        outcome = await action.execute(lab.context(watched), intent)
    except ActionRefused as error:
        reason = str(error)
    else:
        assert not outcome.ok
        reason = outcome.text
    assert watched.performed == []
    return reason


def _repeated(runtime: CrashingRuntime) -> dict[tuple[str, str], int]:
    """Return the mutating calls that took effect more than once."""
    return {call: count for call, count in Counter(runtime.performed).items() if count > 1}


def _read_back(outcome: Outcome) -> Json:
    state: Json = json.loads(json.dumps(dict(outcome.post_state)))
    return state


def _touched(intent: Intent, instances: dict[str, Instance]) -> str:
    """Return the name of an instance that the plan is about."""
    names = intent.plan.data.get("names") or intent.plan.data.get("order") or sorted(instances)
    return str(names[0])
