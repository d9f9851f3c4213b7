"""Policy on the real engine, targets in memory: observing, today's limits, approvals, the kill switch, the past."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from receiver.core.alert import Alert
from receiver.core.incident import Phase
from receiver.core.playbook import ApprovalPolicy, FleetLimits, Guardrails, OnTimeout, Playbook, Policy
from receiver.core.principal import Principal
from remediations.protocol import Instance, OutcomeUnknown, Target
from remediations.runtimes.memory import MemoryRuntime
from tests.simulation.world import VERIFY, World, playbook, policy, step

pytestmark = pytest.mark.anyio

Make = Callable[..., Awaitable[World]]

ASK = ApprovalPolicy(approvals=1)
DAY = 86_400.0


class Scripted(MemoryRuntime):
    """A runtime that does something of the test's at each restart, and keeps the names."""

    restarted: list[str]
    before: Callable[[], Awaitable[None]] | None = None
    after: Callable[[], None] | None = None

    async def restart(self, target: Target, instance: Instance) -> None:
        """Restart, with what the test wants before and after it."""
        if self.before is not None:
            await self.before()
        await super().restart(target, instance)
        self.restarted.append(instance.name)
        if self.after is not None:
            self.after()


@pytest.fixture
async def make(tmp_path: Path) -> AsyncIterator[Make]:
    """Return a maker of an opened world with one healthy instance, or as many as asked for; closed afterwards."""
    made: list[World] = []

    async def build(rules: Policy, *, mode: str = "act", instances: int = 1) -> World:
        world = World(tmp_path / f"{len(made)}.db", rules, mode=mode)
        world.runtime = Scripted(world.clock.now, world.clock.sleep)
        world.runtime.restarted = []
        await world.open()
        made.append(world)
        for number in range(1, instances + 1):
            world.runtime.create("api", f"api-{number}", "good")
        world.clock.time += 5.0
        return world

    yield build
    for world in made:
        await world.close()


def scripted(world: World) -> Scripted:
    assert isinstance(world.runtime, Scripted)
    return world.runtime


def with_rails(book: Playbook, **changes: object) -> Playbook:
    return replace(book, guardrails=replace(Guardrails(cooldown=0.0), **changes))  # type: ignore[arg-type]


async def repaired(world: World) -> None:
    """Let the service fail and be repaired, to its end."""
    world.fails()
    await world.fire()
    await world.run(30.0)
    await world.fire(world.alert(status="resolved"))
    await world.run(60.0)
    assert (await world.incident()).phase is Phase.RESOLVED, await world.story()


async def again(world: World) -> None:
    """Let it fail once more."""
    world.fails()
    await world.fire(later(world))
    await world.run(30.0)


def later(world: World) -> Alert:
    """Return the alert as it fires anew now."""
    return replace(world.alert(), starts_at=int(world.clock.now() * 1e9))


# --- observing --------------------------------------------------------------------------------------------------------


async def test_observing_a_target_that_can_t_be_planned_says_so_and_calls_nobody(make: Make) -> None:
    world = await make(policy(playbook(step("restart"))), mode="observe")
    world.runtime.services["api"].instances.clear()
    await world.fire()
    await world.run(60.0)
    assert "Would have run step restart: restart api" in await world.story()
    assert "besides, it could not have been:" in await world.story()
    assert {"StepRefused", "Escalated"}.isdisjoint(await world.kinds())


async def test_observing_says_that_people_would_have_been_asked_and_asks_nobody(make: Make) -> None:
    world = await make(policy(playbook(step("restart", approval=ASK))), mode="observe")
    world.fails()
    await world.fire()
    await world.run(60.0)
    assert "1 person would have been asked first" in await world.story()
    assert "ApprovalAsked" not in await world.kinds()


async def test_observing_spends_no_cooldown(make: Make) -> None:
    rules = policy(with_rails(playbook(step("restart")), cooldown=600.0))
    world = await make(rules, mode="observe")
    await world.fire()
    await world.run(20.0)
    await world.fire(world.alert(status="resolved"))
    await world.run(60.0)
    assert (await world.incident()).phase is Phase.RESOLVED, await world.story()
    world.engine.mode = "act"
    await again(world)
    assert "StepStarted" in await world.kinds(), await world.story()


async def test_a_dry_run_plans_and_tells_and_changes_nothing_though_the_service_acts(make: Make) -> None:
    world = await make(policy(replace(playbook(step("restart")), dry_run=True)))
    world.fails()
    await world.fire()
    await world.run(60.0)
    assert "is a dry run" in await world.story()
    assert "StepStarted" not in await world.kinds()


async def test_a_dry_run_of_today_counts_for_an_incident_that_began_without_it(make: Make) -> None:
    book = replace(playbook(step("restart")), settle=20.0)
    world = await make(policy(book))
    world.fails()
    await world.fire()
    await world.run(5.0)
    await world.engine.use(policy(replace(book, dry_run=True, version="later")))
    await world.run(60.0)
    assert "WouldHave" in await world.kinds()
    assert "StepStarted" not in await world.kinds()


# --- simulating -------------------------------------------------------------------------------------------------------


async def test_simulating_tells_each_step_s_plan_every_guardrail_and_what_would_follow(make: Make) -> None:
    steps = step("restart"), step("scale", parameters={"by": 1}, approval=ASK), step("rollback")
    world = await make(policy(with_rails(playbook(*steps), cooldown=600.0)))
    world.metrics.confirms = False
    answer = await world.simulator.simulate([world.alert()])
    restart, scale, rollback = answer["alerts"][0]["steps"]
    assert (restart["would"], restart["approvals"]) == ("asked", 1)
    assert restart["plan"]["summary"] == "restart api (1 instance)"
    assert {one["guardrail"] for one in restart["guardrails"] if one["word"] == "approval"} == {"confirmation"}
    assert len(restart["guardrails"]) == len(scale["guardrails"]) == 13
    assert (scale["would"], scale["approvals"]) == ("asked", 1)
    assert rollback["would"] in {"refused", "skipped"}
    world.metrics.confirms = True
    answer = await world.simulator.simulate([world.alert()])
    assert answer["alerts"][0]["steps"][0]["would"] == "run"
    await world.operations.kill(on=True, by=Principal("ann", "cli"))
    answer = await world.simulator.simulate([world.alert()])
    assert answer["alerts"][0]["steps"][0]["would"] == "refused"
    assert (await world.store.counts())["incidents"] == {}
    assert scripted(world).restarted == []


async def test_simulating_a_target_that_can_t_be_planned_still_tells_the_other_guardrails(make: Make) -> None:
    world = await make(policy(playbook(step("restart"))))
    world.runtime.services.clear()
    (restart,) = (await world.simulator.simulate([world.alert()]))["alerts"][0]["steps"]
    assert restart["would"] == "refused"
    assert "no service api" in restart["refused"]["reason"]
    assert len(restart["guardrails"]) == 13


# --- limits on what is automatic --------------------------------------------------------------------------------------


async def test_within_the_cooldown_people_are_asked_and_what_they_say_is_done(make: Make) -> None:
    world = await make(policy(with_rails(playbook(step("restart")), cooldown=600.0)))
    await repaired(world)
    await again(world)
    incident = await world.incident()
    assert incident.phase is Phase.AWAITING_APPROVAL, await world.story()
    assert "Why: cooldown: service-down acted on api" in await world.story()
    assert (await world.operations.vote(incident.id, by=Principal("ann", "cli"), approve=True, reason="so")).ok
    await world.run(30.0)
    assert "StepFinished" in await world.kinds()


async def test_a_step_that_asks_people_anyway_is_asked_about_whatever_limits_what_is_automatic(make: Make) -> None:
    book = with_rails(playbook(step("restart", approval=ASK)), cooldown=600.0, max_runs=1)
    world = await make(replace(policy(book), fleet=FleetLimits(max_actions=0)))
    world.fails()
    await world.fire()
    await world.run(30.0)
    incident = await world.incident()
    assert incident.phase is Phase.AWAITING_APPROVAL, await world.story()
    assert "Why: fleet_cap:" in await world.story()
    answer = await world.operations.vote(incident.id, by=Principal("ann", "cli"), approve=True, reason="so")
    assert answer.text == "approved; step restart begins as soon as the guardrails let it"
    await world.run(10.0)
    assert "StepStarted" in await world.kinds()


@pytest.mark.parametrize("rails", [{"cooldown": 5 * DAY}, {"max_runs": 1, "max_runs_window": 5 * DAY}])
async def test_windows_of_days_reach_back_days(make: Make, rails: dict[str, float]) -> None:
    world = await make(policy(with_rails(playbook(step("restart")), **rails)))
    await repaired(world)
    world.clock.time += 3 * DAY
    await again(world)
    assert (await world.incident()).phase is Phase.AWAITING_APPROVAL, await world.story()


async def test_a_fleet_window_of_days_reaches_back_days(make: Make) -> None:
    world = await make(replace(policy(playbook(step("restart"))), fleet=FleetLimits(max_actions=1, window=5 * DAY)))
    await repaired(world)
    world.clock.time += 3 * DAY
    await again(world)
    assert "Guardrail fleet_cap refused" in await world.story()


# --- today's file, the stricter winning -------------------------------------------------------------------------------


async def test_an_approval_that_today_s_file_asks_for_is_asked_of_a_begun_incident(make: Make) -> None:
    book = replace(playbook(step("restart")), settle=20.0)
    world = await make(policy(book))
    world.fails()
    await world.fire()
    await world.run(5.0)
    strict = replace(book.steps[0], approval=ApprovalPolicy(approvals=2, reason_required=True))
    await world.engine.use(policy(replace(book, steps=(strict,), version="later")))
    await world.run(60.0)
    incident = await world.incident()
    assert incident.approval is not None
    assert (incident.approval.needed, incident.approval.reason_required) == (2, True)


async def test_the_word_of_somebody_who_may_not_approve_any_more_does_not_count(make: Make) -> None:
    world = await make(policy(playbook(step("restart", approval=ASK))))
    world.fails()
    await world.fire()
    await world.run(10.0)
    first = (await world.incident()).approval
    assert first is not None
    assert (
        await world.operations.vote((await world.incident()).id, by=Principal("ann", "x"), approve=True, reason="")
    ).ok
    world.approvers = frozenset({"bob"})
    await world.run(10.0)
    assert "ann may not approve any more; it is asked again" in await world.story()
    second = (await world.incident()).approval
    assert second is not None
    assert (second.state, second.id == first.id) == ("pending", False)
    await world.operations.vote((await world.incident()).id, by=Principal("bob", "x"), approve=True, reason="")
    await world.run(10.0)
    assert "StepStarted" in await world.kinds()


async def test_that_people_are_called_when_nobody_answers_is_today_s_as_well(make: Make) -> None:
    lax = ApprovalPolicy(approvals=1, expires=20.0, on_timeout=OnTimeout.NEXT)
    book = replace(playbook(step("restart", approval=lax), step("rollback")), settle=20.0)
    world = await make(policy(book))
    world.fails()
    await world.fire()
    await world.run(5.0)
    strict = replace(book.steps[0], approval=replace(lax, on_timeout=OnTimeout.ESCALATE))
    await world.engine.use(policy(replace(book, steps=(strict, book.steps[1]), version="later")))
    await world.run(80.0)
    assert (await world.incident()).escalation == "nobody approved step restart in time", await world.story()


async def test_an_intent_that_was_never_begun_is_not_begun_by_a_playbook_that_is_gone(make: Make) -> None:
    world = await make(policy(playbook(step("restart"))))
    world.fails()

    async def lost() -> None:
        await world.engine.use(policy(playbook(step("restart"), name="other", alert="Other")))
        raise OutcomeUnknown("the answer was lost")

    scripted(world).before = lost
    await world.fire()
    await world.run(300.0)
    assert "Guardrail playbook_deleted refused: playbook service-down is no longer in the file" in await world.story()
    assert (await world.kinds()).count("StepStarted") == 1


# --- while an action runs ---------------------------------------------------------------------------------------------


async def test_a_peer_that_fails_during_a_rolling_restart_ends_it_before_another_instance_is_taken_down(
    make: Make,
) -> None:
    world = await make(policy(playbook(step("restart"))), instances=3)
    scripted(world).after = lambda: world.fails("api-3")
    await world.fire()
    await world.run(20.0)
    assert "must remain" in await world.story(), await world.story()
    assert scripted(world).restarted == ["api-1"]


@pytest.mark.parametrize("playbook_alone", [True, False])
async def test_the_kill_switch_of_a_playbook_halts_it_between_two_changes(make: Make, *, playbook_alone: bool) -> None:
    world = await make(policy(playbook(step("restart"))), instances=3)

    def turn() -> None:
        stored = world.kill._stored
        world.kill._stored = replace(
            stored, everything=not playbook_alone, playbooks=("service-down",) if playbook_alone else (), by="ann"
        )

    scripted(world).after = turn
    await world.fire()
    await world.run(20.0)
    assert scripted(world).restarted == ["api-1"], await world.story()
    assert "stopped before the next change: the kill switch" in await world.story()


# --- the ladder -------------------------------------------------------------------------------------------------------


async def test_what_a_step_s_verification_looks_like_is_the_file_s(make: Make) -> None:
    slow = replace(VERIFY, initial_delay=9.0, interval=7.0, consecutive=4)
    world = await make(policy(playbook(step("restart", verify=slow))))
    world.fails()
    await world.fire()
    await world.run(3.0)
    check = (await world.incident()).check
    assert check is not None
    assert (check.interval, check.consecutive) == (7.0, 4)
    assert check.next_at - check.since == pytest.approx(0.0)


async def test_an_instance_has_as_long_as_the_step_says_to_become_healthy(make: Make) -> None:
    for within, ok in ((5.0, False), (40.0, True)):
        world = await make(policy(playbook(step("restart", healthy_within=within))))
        world.runtime.services["api"].boot = 20.0
        world.fails()
        await world.fire()
        await world.run(80.0)
        assert ("Done step restart" in await world.story()) is ok, await world.story()
