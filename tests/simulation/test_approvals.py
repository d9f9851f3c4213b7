"""Approvals on the real engine: who counts, for which plan, until when, and what those are told who come too late."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from receiver.core import events as ev
from receiver.core.fold import evolve
from receiver.core.incident import Approval, Phase
from receiver.core.matchers import parse_matchers
from receiver.core.playbook import ApprovalPolicy, OnTimeout, Policy, SeverityRule
from receiver.core.principal import Principal
from receiver.core.severity import Severity
from receiver.operations import Answer, Status
from receiver.people import Group, Role, SlackGroup
from receiver.ports import Changes, Unit
from remediations.protocol import Instance, Target
from remediations.runtimes.memory import Behaviour
from tests.simulation.world import START, World, playbook, policy, step

pytestmark = pytest.mark.anyio

Make = Callable[..., Awaitable[World]]

ONE = ApprovalPolicy(approvals=1)
TWO = ApprovalPolicy(approvals=2)


@pytest.fixture
async def make(tmp_path: Path) -> AsyncIterator[Make]:
    """Return a maker of a world whose service has failed, and which asks about a restart by a policy; closed after."""
    made: list[World] = []

    async def build(approval: ApprovalPolicy = ONE, *, rules: Policy | None = None, **changes: Any) -> World:
        world = World(tmp_path / f"{len(made)}.db", rules or restarting(approval, **changes))
        world.others = {"carol": Role.RESPONDER, "vic": Role.VIEWER}
        await world.open()
        made.append(world)
        world.runtime.create("api", "api-1", "good")
        world.clock.time += 5.0
        world.fails()
        await world.fire()
        await world.run(10.0)
        return world

    yield build
    for world in made:
        await world.close()


def restarting(approval: ApprovalPolicy, **changes: Any) -> Policy:
    return policy(replace(playbook(step("restart", approval=approval, **changes)), version=f"{approval}"))


async def asked(world: World) -> Approval:
    approval = (await world.incident()).approval
    assert approval is not None, await world.story()
    return approval


async def vote(world: World, who: str, *, approve: bool = True, **more: Any) -> Answer:
    by = Principal(who, more.pop("via", "cli"))
    said = {"reason": "so", **more}
    return await world.operations.vote((await world.incident()).id, by=by, approve=approve, **said)


async def began(world: World) -> int:
    return (await world.kinds()).count("StepStarted")


def before_the_unit(world: World, change: Callable[[], Awaitable[None] | None]) -> None:
    """Let something change after a step was judged and planned, right before its intent is stored."""
    submit = world.store.submit

    async def late(unit: Unit) -> Changes:
        if unit.actions_since is not None:
            world.store.submit = submit  # type: ignore[method-assign]
            done = change()
            if done is not None:
                await done
        return await submit(unit)

    world.store.submit = late  # type: ignore[method-assign]


# --- who counts -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("who", "words"), [("carol", "needs the role approver"), ("stranger", "doesn't name them")])
async def test_who_may_not_is_told_so_and_how_it_stands(make: Make, who: str, words: str) -> None:
    world = await make()
    answer = await vote(world, who)
    assert answer.status is Status.FORBIDDEN
    assert words in answer.text
    assert "0 of 1 approvals for restart" in answer.text
    assert "Voted" not in await world.kinds()


@pytest.mark.parametrize("verb", ["acknowledge", "take_over", "pause", "resume", "close_incident", "note", "kill"])
async def test_every_verb_asks_for_its_role_whatever_the_channel_asked(make: Make, verb: str) -> None:
    world = await make()
    more: dict[str, dict[str, Any]] = {
        "close_incident": {"reason": "x"},
        "note": {"text": "x"},
        "kill": {"on": True},
    }
    where = () if verb == "kill" else ((await world.incident()).id,)
    before = await world.kinds()
    who = "carol" if verb == "kill" else "vic"
    answer = await getattr(world.operations, verb)(*where, by=Principal(who, "slack"), **more.get(verb, {}))
    assert answer.status is Status.FORBIDDEN, answer
    assert await world.kinds() == before
    assert not world.kill.state().everything


async def test_one_person_counts_once_however_they_came(make: Make) -> None:
    world = await make(TWO)
    assert (await vote(world, "ann", via="slack")).text == "approved; 1 of 2 approvals for restart"
    assert "ann has already approved restart" in (await vote(world, "ann", via="web")).text
    await world.run(10.0)
    assert await began(world) == 0
    assert (await vote(world, "bob", via="web")).ok
    await world.run(10.0)
    assert await began(world) == 1


async def test_only_those_count_whom_the_playbook_names_but_any_approver_may_deny(make: Make) -> None:
    world = await make(replace(ONE, approvers=("bob",)))
    assert (await asked(world)).approvers == ("bob",)
    answer = await vote(world, "ann")
    assert answer.status is Status.FORBIDDEN
    assert "ann is not among those who may approve restart (bob)" in answer.text
    assert (await vote(world, "ann", approve=False)).ok
    assert "denied by ann" in await world.story()


@pytest.mark.parametrize("on_timeout", list(OnTimeout))
async def test_an_empty_list_of_approvers_means_nobody_and_is_never_waited_for(
    make: Make, on_timeout: OnTimeout
) -> None:
    world = await make(replace(ONE, approvers=(), on_timeout=on_timeout))
    incident = await world.incident()
    assert "people.yaml names nobody who may approve" in await world.story()
    assert (incident.phase, incident.page_at is not None) == (Phase.ESCALATED, True)
    assert await began(world) == 0


class Slack:
    """Says who is in the user group."""

    def __init__(self, *users: str) -> None:
        self.users: Collection[str] | None = users

    def members(self, team: str, group: str) -> Collection[str] | None:
        """Return them."""
        return self.users


async def test_a_user_group_counts_as_slack_says_when_the_step_begins(make: Make) -> None:
    world = await make(replace(ONE, approvers=("oncall",), execute_before=1000.0))
    assert "names nobody" in await world.story()
    slack = Slack("UANN")
    world.people_groups["oncall"] = Group("oncall", frozenset({"bob"}), SlackGroup("T1", "S1"))
    world.groups = slack
    await world.close()
    await world.open()
    await world.operations.close_incident((await world.incident()).id, by=Principal("ann", "cli"), reason="again")
    world.fails()
    await world.fire(replace(world.alert(), starts_at=int(world.clock.now() * 1e9)))
    await world.run(10.0)
    assert (await vote(world, "bob")).status is Status.FORBIDDEN
    assert (await vote(world, "ann")).ok
    slack.users = ["UBOB"]
    await world.run(10.0)
    assert await began(world) == 0
    assert "ann may not approve any more; it is asked again" in await world.story()
    slack.users = None
    assert (await vote(world, "bob")).ok
    await world.run(10.0)
    assert await began(world) == 1


async def test_whoever_began_it_by_hand_can_t_approve_it_but_deny_it(make: Make) -> None:
    world = await make(TWO)
    await world.operations.close_incident((await world.incident()).id, by=Principal("ann", "cli"), reason="again")
    await by_hand(world, "ann")
    await world.run(10.0)
    assert "people.yaml names 1 who may approve" in await world.story()
    await world.operations.close_incident((await world.incident()).id, by=Principal("ann", "cli"), reason="again")
    world.others["dave"] = Role.APPROVER
    await by_hand(world, "ann")
    await world.run(10.0)
    assert (await asked(world)).approvers == ("bob", "dave")
    answer = await vote(world, "ann")
    assert answer.status is Status.FORBIDDEN
    assert "ann began this and so can't approve it" in answer.text
    assert (await vote(world, "ann", approve=False)).ok


async def by_hand(world: World, who: str) -> None:
    """Open an incident that somebody began."""
    now = world.clock.now()
    book = world.rules.playbooks[0]
    opened = ev.Opened("api", book.name, book.version, 0, Severity.P1, "act", "by hand", "ByHand", started_by=who)
    recorded = ev.Recorded(world.ids.incident(), 1, now, replace(opened, starts_at=now))
    incident = evolve(None, recorded)
    await world.store.submit(
        Unit(
            lambda _: Changes(incidents=[incident], events=[recorded], wake={incident.id: now}),
            targets=("api",),
        )
    )


# --- the moment of execution ------------------------------------------------------------------------------------------


async def test_a_voter_who_leaves_right_before_the_intent_is_stored_does_not_count(make: Make) -> None:
    world = await make()
    assert (await vote(world, "ann")).ok
    before_the_unit(world, lambda: setattr(world, "approvers", frozenset({"bob"})))
    await world.run(10.0)
    assert await began(world) == 0
    assert "ann may not approve any more; it is asked again" in await world.story()


async def test_of_more_votes_than_needed_those_of_who_stayed_are_enough(make: Make) -> None:
    world = await make(ONE)
    assert (await vote(world, "ann")).ok
    world.others["dave"] = Role.APPROVER
    before_the_unit(world, lambda: None)
    await world.run(10.0)
    assert await began(world) == 1


async def test_a_stricter_policy_right_before_the_intent_is_stored_asks_again(make: Make) -> None:
    world = await make()
    assert (await vote(world, "ann")).ok
    before_the_unit(world, lambda: world.engine.use(restarting(TWO)))
    await world.run(10.0)
    assert await began(world) == 0
    assert "the policy asks for 2 to approve now; it is asked again" in await world.story()
    assert (await asked(world)).needed == 2


@pytest.mark.parametrize("narrower_today", [True, False])
async def test_who_may_approve_must_be_so_by_the_file_of_then_and_of_today(make: Make, *, narrower_today: bool) -> None:
    narrow, wide = replace(ONE, approvers=("bob",)), ONE
    world = await make(wide if narrower_today else narrow)
    await world.engine.use(restarting(narrow if narrower_today else wide))
    assert (await vote(world, "ann")).status is Status.FORBIDDEN
    assert (await vote(world, "bob")).ok
    before_the_unit(world, lambda: world.engine.use(restarting(replace(ONE, approvers=("ann",)))))
    await world.run(10.0)
    assert await began(world) == 0


async def test_an_approval_is_void_when_its_time_passes_while_the_step_is_planned(make: Make) -> None:
    world = await make(replace(ONE, execute_before=60.0))
    assert (await vote(world, "ann")).ok

    def late() -> None:
        world.clock.time += 61.0

    before_the_unit(world, late)
    await world.run(10.0)
    assert await began(world) == 0
    assert "approved, but it could not start in time" in await world.story()


async def test_another_plan_than_was_approved_is_asked_about_again(make: Make) -> None:
    world = await make()
    first = await asked(world)
    world.runtime.create("api", "api-2", "good")
    assert (await vote(world, "ann", approval=first.id)).ok
    await world.run(10.0)
    assert await began(world) == 0
    second = await asked(world)
    assert second.id != first.id
    assert "Approval of step restart: superseded; the plan changed since it was approved" in await world.story()
    late = await vote(world, "bob", approval=first.id)
    assert late.status is Status.CONFLICT
    assert "that request is over: restart was superseded (the plan changed" in late.text
    assert (await asked(world)).votes == ()


async def test_a_worse_severity_asks_for_what_it_asks_before_the_step_begins(make: Make) -> None:
    rungs = step("restart", approval=ONE, approval_by_severity={Severity.P1: TWO})
    rule = SeverityRule(parse_matchers('worse="yes"'), Severity.P1)
    book = replace(playbook(rungs), severity=Severity.P3, severity_rules=(rule,))
    world = await make(rules=policy(book))
    assert (await asked(world)).needed == 1
    assert (await world.operations.kill(on=True, by=Principal("ann", "cli"))).ok
    assert (await vote(world, "ann")).ok
    alert = world.alert()
    await world.fire(replace(alert, fingerprint="f" * 16, labels={**alert.labels, "worse": "yes"}))
    assert (await world.incident()).severity is Severity.P1
    assert (await world.operations.kill(on=False, by=Principal("ann", "cli"))).ok
    await world.run(30.0)
    assert await began(world) == 0
    assert "the policy asks for 2 to approve now" in await world.story()
    assert (await asked(world)).needed == 2


async def test_who_lowers_the_severity_asks_no_fewer_people_by_that(make: Make) -> None:
    rungs = step("restart", approval=ONE, approval_by_severity={Severity.P1: replace(TWO, approvers=("bob", "dave"))})
    world = await make(rules=policy(playbook(rungs)))
    incident, book = await world.incident(), world.rules.playbooks[0]
    assert incident.severity is Severity.P1
    world.others["dave"] = Role.APPROVER
    for one in (incident, replace(incident, severity=Severity.P4)):
        assert world.actor.judge.approvals(one, book, book.steps[0]).approvals == 2
        assert world.actor.judge.able(one, book, book.steps[0]) == {"bob", "dave"}


# --- reasons, ends ----------------------------------------------------------------------------------------------------


async def test_a_rollback_needs_a_reason_whatever_the_file_says(make: Make) -> None:
    world = await make(rules=policy(playbook(step("rollback", approval=replace(ONE, reason_required=False)))))
    await world.known_good("better", changed_at=START)
    world.behave("better", Behaviour.HEALTHY)
    await world.operations.close_incident((await world.incident()).id, by=Principal("ann", "cli"), reason="again")
    await world.fire(replace(world.alert(), starts_at=int(world.clock.now() * 1e9)))
    await world.run(10.0)
    assert (await asked(world)).reason_required
    assert "a reason is needed to approve rollback" in (await vote(world, "ann", reason=" ")).text


async def test_one_denial_ends_it_and_needs_a_reason(make: Make) -> None:
    world = await make(TWO)
    assert (await vote(world, "ann")).ok
    assert "a reason is needed to deny restart" in (await vote(world, "bob", approve=False, reason="")).text
    assert (await vote(world, "bob", approve=False, reason="not now")).ok
    await world.run(10.0)
    assert await began(world) == 0
    late = await vote(world, "ann")
    assert late.status is Status.CONFLICT
    assert "restart was denied (denied by bob: not now)" in late.text


async def test_of_two_who_race_one_is_told_what_the_other_decided(make: Make) -> None:
    world = await make()
    answers = await asyncio.gather(vote(world, "ann"), vote(world, "bob", approve=False))
    assert sorted(one.ok for one in answers) == [False, True]
    loser = next(one for one in answers if not one.ok)
    assert "approved already by ann" in loser.text or "restart was denied (denied by bob: so)" in loser.text
    await world.run(10.0)
    assert await began(world) == int(answers[0].ok)


async def test_nobody_in_time_can_end_automation_without_calling_anybody(make: Make) -> None:
    world = await make(replace(ONE, expires=30.0, on_timeout=OnTimeout.ABORT))
    await world.run(60.0)
    incident = await world.incident()
    assert (incident.phase, incident.page_at, await began(world)) == (Phase.ESCALATED, None, 0)
    assert "nobody approved step restart in time, and the playbook stops there" in await world.story()
    late = await vote(world, "ann")
    assert "restart was expired (nobody decided in time" in late.text


# --- a resolve while people are asked ---------------------------------------------------------------------------------


async def test_a_resolve_that_holds_cancels_it_and_votes_meanwhile_execute_nothing(make: Make) -> None:
    world = await make()
    world.runtime.services["api"].instances.clear()
    world.runtime.create("api", "api-1", "good")
    await world.fire(world.alert(status="resolved"))
    assert (await asked(world)).suspended
    answer = await vote(world, "ann")
    assert answer.text == "approved; 1 of 1 approvals for restart; first it is looked whether the alert's end is true"
    await world.run(60.0)
    assert await began(world) == 0
    assert "cancelled; not needed any more" in await world.story()
    assert "restart was cancelled (not needed any more" in (await vote(world, "bob")).text


async def test_a_resolve_that_does_not_hold_restores_it_and_the_votes_made_meanwhile_count(make: Make) -> None:
    world = await make()
    await world.fire(world.alert(status="resolved"))
    assert (await vote(world, "ann")).ok
    assert await began(world) == 0
    await world.run(60.0)
    assert "asked again" in await world.story()
    assert await began(world) == 1


async def test_a_planned_change_of_instances_is_what_the_hash_sees(make: Make) -> None:
    world = await make()
    first = (await asked(world)).plan_hash
    instances = world.runtime.instances

    async def replaced(target: Target) -> tuple[Instance, ...]:
        return tuple(replace(one, image_id="newer") for one in await instances(target))

    world.runtime.instances = replaced  # type: ignore[method-assign]
    assert (await vote(world, "ann")).ok
    await world.run(10.0)
    assert await began(world) == 0
    assert (await asked(world)).plan_hash != first
