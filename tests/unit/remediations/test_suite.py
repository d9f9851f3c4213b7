"""The conformance suite catches what it is there for: each planted bug fails it."""

from typing import ClassVar

import pytest

from remediations.protocol import (
    ActionRefused,
    Context,
    Halted,
    Instance,
    Intent,
    Json,
    Observation,
    Outcome,
    OutcomeUnknown,
    Plan,
    Progress,
    Remediation,
)
from remediations.restart import RestartAction
from remediations.scale import ScaleAction
from remediations.testing import ActionConformance, RestartConformance, ScaleConformance, memory_lab


class Forgetful(RestartAction):
    """Restarts everything again when it is resumed."""

    async def execute(self, context: Context, intent: Intent) -> Outcome:
        for name in intent.plan.data["order"]:
            await context.checkpoint()
            instances = {one.name: one for one in await context.runtime.instances(context.target)}
            await context.runtime.restart(context.target, instances[name])
            await context.sleep(2.0)
        return Outcome(ok=True, text="restarted")


class Unstoppable(RestartAction):
    """Doesn't ask whether it may go on."""

    async def execute(self, context: Context, intent: Intent) -> Outcome:
        try:
            return await super().execute(context, intent)
        except Halted:
            return Outcome(ok=True, text="went on")


class Confident(RestartAction):
    """Calls a lost answer a success."""

    async def execute(self, context: Context, intent: Intent) -> Outcome:
        try:
            return await super().execute(context, intent)
        except OutcomeUnknown:
            return Outcome(ok=True, text="surely done")

    async def observe(self, context: Context, intent: Intent) -> Observation:
        return Observation(Progress.DONE, "surely done")


class Eager(RestartAction):
    """Acts while it plans."""

    async def plan(self, context: Context, parameters: Json) -> Plan:
        for instance in await context.runtime.instances(context.target):
            await context.runtime.restart(context.target, instance)
        return await super().plan(context, parameters)


class Ruthless(ScaleAction):
    """Removes an original instead of its own copies."""

    async def undo(self, context: Context, intent: Intent, post_state: Json) -> Outcome:
        try:
            await context.runtime.remove_instance(context.target, "api-1", intent.action_id)
        except ActionRefused as error:
            return Outcome(ok=False, text=str(error))
        return Outcome(ok=True, text="removed one")


class Talkative(RestartAction):
    """Describes itself in two lines."""

    def describe(self, parameters: Json) -> str:
        return "restart\nand more"


def suite(base: type[ActionConformance], planted: Remediation) -> ActionConformance:
    class Suite(base):  # type: ignore[valid-type, misc]
        action: ClassVar[Remediation] = planted

        async def assert_done(self, lab: object, before: dict[str, Instance]) -> None:
            """Trust what the action says: the other checks must find the bug."""

    made: ActionConformance = Suite()
    return made


def run(checks: ActionConformance, test: str) -> None:
    method = getattr(checks, test)
    method(memory_lab) if "runtime_lab" in method.__code__.co_varnames else method()


@pytest.mark.parametrize(
    ("base", "planted", "test"),
    [
        (RestartConformance, Forgetful(), "test_a_crash_at_any_mutation_is_finished_by_resuming"),
        (RestartConformance, Forgetful(), "test_execute_does_what_the_plan_says_and_doing_it_again_changes_nothing"),
        (RestartConformance, Unstoppable(), "test_a_halt_at_any_checkpoint_is_honoured_and_can_be_resumed"),
        (RestartConformance, Confident(), "test_execute_does_what_the_plan_says_and_doing_it_again_changes_nothing"),
        (RestartConformance, Eager(), "test_planning_changes_nothing_and_repeats_itself"),
        (ScaleConformance, Ruthless(), "test_undo_brings_back_what_was_and_twice_is_harmless"),
        (RestartConformance, Talkative(), "test_it_describes_itself_in_one_line"),
    ],
)
def test_a_planted_bug_fails_the_suite(base: type[ActionConformance], planted: Remediation, test: str) -> None:
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        run(suite(base, planted), test)


@pytest.mark.parametrize(
    "test",
    [
        "test_a_crash_at_any_mutation_is_finished_by_resuming",
        "test_a_halt_at_any_checkpoint_is_honoured_and_can_be_resumed",
        "test_planning_changes_nothing_and_repeats_itself",
        "test_it_describes_itself_in_one_line",
    ],
)
def test_the_same_checks_pass_without_the_bug(test: str) -> None:
    run(suite(RestartConformance, RestartAction()), test)
