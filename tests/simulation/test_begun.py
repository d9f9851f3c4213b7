"""What was begun: calls that outlive their limit, intents that never began, and what is asked in the last unit."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from receiver.core import events as ev
from receiver.core.fold import replay
from receiver.core.incident import Phase
from receiver.core.playbook import ApprovalPolicy, FleetLimits, Policy
from receiver.core.principal import Principal
from receiver.ports import IncidentFilter
from remediations.protocol import EngineUnavailable, Health, OutcomeUnknown
from tests.simulation.world import World, playbook, policy, step

pytestmark = pytest.mark.anyio

Make = Callable[..., Awaitable[World]]
LIMIT = 60.0


@pytest.fixture
async def make(tmp_path: Path) -> AsyncIterator[Make]:
    """Return a way to make an opened world with a stopped instance of each service; closed afterwards."""
    made: list[World] = []

    async def build(rules: Policy, *services: str) -> World:
        world = World(tmp_path / "w.db", rules)
        await world.open()
        made.append(world)
        for service in services or ("api",):
            world.runtime.create(service, f"{service}-1", "good")
            instance = world.runtime.services[service].instances[f"{service}-1"]
            world.runtime.put(service, replace(instance, running=False, status="exited"))
        world.clock.time += 5.0
        return world

    yield build
    for world in made:
        await world.executor.close()
        await world.close()


async def started(world: World) -> int:
    """Return how many steps were begun over all incidents."""
    found = (await world.store.incidents(IncidentFilter())).items
    logs = [await world.store.events(one.id) for one in found]
    return sum(isinstance(one.event, ev.StepStarted) for log in logs for one in log)


class Restarts:
    """The runtime's restart, counted, and held up until it is let go."""

    def __init__(self, world: World) -> None:
        self.calls = 0
        self.go = asyncio.Event()
        self._real = world.runtime.restart
        world.runtime.restart = self._held  # type: ignore[assignment,method-assign]

    async def _held(self, *args: Any) -> None:
        self.calls += 1
        await self.go.wait()
        await self._real(*args)


# --- a call that outlives its limit -------------------------------------------------------------------------------


async def test_a_call_that_outlives_its_limit_keeps_its_target_and_is_never_made_twice(make: Make) -> None:
    world = await make(policy(playbook(step("restart", timeout=0.05))))
    restarts = Restarts(world)
    await world.fire()
    await world.run(50.0)
    incident = await world.incident()
    assert incident.action is not None
    assert "takes longer than its limit" in await world.story()
    assert restarts.calls == 1
    restarts.go.set()
    await asyncio.sleep(0)
    await world.run(30.0)
    incident = await world.incident()
    assert [(one.step, one.result) for one in incident.done] == [("restart", "passed")], await world.story()
    assert (restarts.calls, await started(world)) == (1, 1)


async def test_people_are_called_about_a_call_that_never_ends_and_their_close_frees_the_target(make: Make) -> None:
    world = await make(policy(playbook(step("restart", timeout=0.05))))
    restarts = Restarts(world)
    await world.fire()
    await world.run(200.0)
    incident = await world.incident()
    assert incident.phase is Phase.ESCALATED
    assert (await world.operations.close_incident(incident.id, by=Principal("ann", "cli"), reason="engine is dead")).ok
    closed = await world.incident()
    assert replay(await world.store.events(closed.id)) == closed
    assert [one.ended_at for one in await world.store.actions(0.0)] != [None]
    restarts.go.set()
    await asyncio.sleep(0)
    assert replay(await world.store.events(closed.id)) == closed, "its end changes nothing any more"
    later = replace(world.alert(), starts_at=int(world.clock.now() * 1e9))
    await world.fire(later)
    await world.run(20.0)
    assert await started(world) == 2, await world.story()


async def test_a_stop_leaves_a_call_to_the_next_start(make: Make) -> None:
    world = await make(policy(playbook(step("restart", timeout=0.05))))
    Restarts(world)
    await world.fire()
    await world.run(20.0)
    await world.executor.close()
    await world.close()
    await world.open()
    assert (await world.incident()).action is not None


async def test_what_runs_when_the_service_stops_finishes_and_nothing_new_begins(make: Make) -> None:
    world = await make(policy(playbook(step("restart"), step("rollback"))))
    restarts = Restarts(world)
    await world.fire()
    await world.settle()
    world.clock.time += 2.0
    incident = await world.incident()
    work = asyncio.create_task(world.executor.work(incident.id))
    while not restarts.calls:
        await asyncio.sleep(0.001)
    world.executor.stop()
    restarts.go.set()
    await work
    assert (await world.kinds())[-2:] == ["StepFinished", "CheckBegan"]
    world.clock.time += 300.0
    await world.executor.work(incident.id)
    assert await started(world) == 1


async def test_a_step_that_is_being_planned_when_the_service_stops_does_not_begin(make: Make) -> None:
    world = await make(policy(playbook(step("restart"))))
    real = world.runtime.instances

    async def stopping(*args: Any) -> Any:
        found = await real(*args)
        if world.clock.now() > (await world.incident()).settle_until:
            world.executor.stop()
        return found

    world.runtime.instances = stopping  # type: ignore[assignment,method-assign]
    await world.fire()
    await world.settle()
    world.clock.time += 2.0
    await world.executor.work((await world.incident()).id)
    assert await started(world) == 0


# --- an intent that never began -----------------------------------------------------------------------------------


async def crashed(world: World) -> None:
    """Let the service die between an intent and its call, and start again."""

    async def dead(*_: Any) -> None:
        raise Crash

    real = world.runtime.restart
    world.runtime.restart = dead  # type: ignore[assignment,method-assign]
    with pytest.raises(Crash):
        await world.run(LIMIT)
    world.runtime.restart = real  # type: ignore[method-assign]
    await world.close()
    await world.open()


class Crash(BaseException):
    """The process is gone; nothing may catch this."""


async def test_what_never_began_is_believed_only_when_no_call_can_be_under_way_any_more(make: Make) -> None:
    world = await make(policy(playbook(step("restart", timeout=LIMIT))))
    await world.fire()
    await crashed(world)
    incident = await world.incident()
    assert incident.action is not None
    begun = incident.action.started_at
    await world.run(begun + LIMIT - 1.0 - world.clock.now())
    kinds = await world.kinds()
    assert (kinds.count("StepInDoubt"), kinds.count("StepWithdrawn")) == (1, 0), await world.story()
    await world.run(30.0)
    assert (await world.kinds()).count("StepWithdrawn") == 1
    assert [one.result for one in (await world.incident()).done] == ["passed"], await world.story()
    assert len(await world.store.actions(0.0)) == 1, "what was withdrawn counts for no limit"


async def test_a_call_that_was_too_slow_before_a_crash_may_still_come_so_people_decide(make: Make) -> None:
    world = await make(policy(playbook(step("restart", timeout=0.05))))
    real = world.runtime.restart
    Restarts(world)
    await world.fire()
    await world.run(20.0)
    await world.executor.close()
    await world.close()
    world.runtime.restart = real  # type: ignore[method-assign]
    await world.open()
    await world.run(200.0)
    incident = await world.incident()
    assert (await started(world), incident.phase) == (1, Phase.ESCALATED), await world.story()
    assert incident.action is not None


async def test_what_turns_out_half_done_meanwhile_is_finished_at_once(make: Make) -> None:
    world = await make(policy(playbook(step("restart", timeout=LIMIT))))
    hung = world.runtime.services["api"].instances["api-1"]
    world.runtime.put("api", replace(hung, running=True, status="running", health=Health.UNHEALTHY))
    await world.fire()
    await crashed(world)
    await world.run(10.0)
    assert (await world.incident()).action is not None, "it seems untouched, and a call may be under way"
    stopped_at = world.clock.now()
    world.fails()
    await world.run(5.0)
    log = await world.store.events((await world.incident()).id)
    (finished,) = (one.at for one in log if isinstance(one.event, ev.StepFinished))
    assert finished - stopped_at <= 3.0, await world.story()


async def test_a_lost_answer_is_asked_for_until_its_call_can_not_be_under_way_any_more(make: Make) -> None:
    world = await make(policy(playbook(step("restart", timeout=LIMIT, healthy_within=1.0))))
    real = world.runtime.restart

    async def lost(*_: Any) -> None:
        raise OutcomeUnknown("the answer was lost")

    world.runtime.restart = lost  # type: ignore[assignment,method-assign]
    await world.fire()
    await world.run(20.0)
    kinds = await world.kinds()
    assert (kinds.count("StepStarted"), kinds.count("StepWithdrawn")) == (1, 0)
    world.runtime.restart = real  # type: ignore[method-assign]
    await world.run(2 * LIMIT)
    assert (await world.kinds()).count("StepStarted") == 2, await world.story()


@pytest.mark.parametrize(
    ("name", "refusing"),
    [("paused", {"paused": True}), ("dry run", {"dry_run": True}), ("deleted", None)],
    ids=["paused", "dry run", "deleted"],
)
async def test_what_never_began_is_a_new_action_under_todays_limits(
    make: Make, name: str, refusing: dict[str, Any] | None
) -> None:
    world = await make(policy(playbook(step("restart", timeout=LIMIT))))
    await world.fire()
    await crashed(world)
    book = world.rules.playbooks[0]
    books = () if refusing is None else (replace(book, **refusing),)
    await world.engine.use(replace(world.rules, playbooks=books))
    await world.run(3 * LIMIT)
    kinds = await world.kinds()
    assert (kinds.count("StepStarted"), kinds.count("StepFinished")) == (1, 0), await world.story()


async def test_what_never_began_runs_with_its_approval_as_long_as_that_is_valid(make: Make) -> None:
    approval = ApprovalPolicy(approvals=1, execute_before=4 * LIMIT)
    world = await make(policy(playbook(step("restart", timeout=LIMIT, approval=approval))))
    await world.fire()
    await world.run(5.0)
    incident = await world.incident()
    assert (await world.operations.vote(incident.id, by=Principal("ann", "cli"), approve=True, reason="")).ok
    await crashed(world)
    await world.run(2 * LIMIT)
    kinds = await world.kinds()
    assert (kinds.count("ApprovalAsked"), kinds.count("StepStarted")) == (1, 2), await world.story()
    assert [one.result for one in (await world.incident()).done] == ["passed"]


async def test_what_never_began_does_not_run_after_its_approval_expired(make: Make) -> None:
    approval = ApprovalPolicy(approvals=1, execute_before=LIMIT / 2)
    world = await make(policy(playbook(step("restart", timeout=LIMIT, approval=approval))))
    await world.fire()
    await world.run(5.0)
    incident = await world.incident()
    assert (await world.operations.vote(incident.id, by=Principal("ann", "cli"), approve=True, reason="")).ok
    await crashed(world)
    await world.run(2 * LIMIT)
    assert (await world.kinds()).count("StepStarted") == 1
    assert [one.result for one in (await world.incident()).done] == ["expired"], await world.story()


# --- asked again in the last unit -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fleet", [FleetLimits(max_actions=1), FleetLimits(max_actions=100, max_under_way=1)], ids=["fleet cap", "under way"]
)
async def test_of_many_that_may_each_begin_the_last_action_one_does(make: Make, fleet: FleetLimits) -> None:
    services = [f"svc-{number}" for number in range(8)]
    world = await make(replace(policy(playbook(step("restart")), services=services), fleet=fleet), *services)
    restarts = Restarts(world)
    alerts = [replace(world.alert(service=one), fingerprint=f"{n:016x}") for n, one in enumerate(services)]
    await world.engine.ingest(alerts)
    await world.settle()
    world.clock.time += 2.0
    due = await world.store.due(world.clock.now(), 20)
    assert len(due) == len(services)
    works = [asyncio.create_task(world.executor.work(name)) for name, _ in due]
    while not restarts.calls:
        await asyncio.sleep(0.001)
    await asyncio.sleep(0.1)
    assert (restarts.calls, await started(world)) == (1, 1)
    restarts.go.set()
    await asyncio.gather(*works)


@pytest.mark.parametrize(
    "change", [{"paused": True}, {"dry_run": True}, {"steps": (step("restart", approval=ApprovalPolicy(2)),)}, None]
)
async def test_a_reload_between_decision_and_intent_counts(make: Make, change: dict[str, Any] | None) -> None:
    world = await make(policy(playbook(step("restart"))))
    real = world.engine.record_among
    book = world.rules.playbooks[0]

    async def reloaded(*args: Any, **more: Any) -> Any:
        books = () if change is None else (replace(book, version="today", **change),)
        await world.engine.use(replace(world.rules, playbooks=books))
        return await real(*args, **more)

    world.engine.record_among = reloaded  # type: ignore[method-assign]
    await world.fire()
    await world.run(30.0)
    assert await started(world) == 0, await world.story()


def during_the_plan(world: World, happens: Callable[[str], Awaitable[Any]]) -> None:
    """Let something happen to the incident while its step is being planned."""
    real = world.runtime.instances
    once: list[None] = []

    async def instances(*args: Any) -> Any:
        found = await real(*args)
        incident = await world.incident()
        if incident.diagnosed and not once:
            once.append(None)
            await happens(incident.id)
        return found

    world.runtime.instances = instances  # type: ignore[assignment,method-assign]


@pytest.mark.parametrize(
    "asked", [ApprovalPolicy(), ApprovalPolicy(approvals=1)], ids=["would begin", "would ask for approval"]
)
async def test_who_takes_over_while_a_step_is_planned_has_it(make: Make, asked: ApprovalPolicy) -> None:
    world = await make(policy(playbook(step("restart", approval=asked))))
    during_the_plan(world, lambda name: world.operations.take_over(name, by=Principal("ann", "cli")))
    await world.fire()
    await world.run(60.0)
    incident = await world.incident()
    assert (incident.phase, incident.owner, incident.approval) == (Phase.ESCALATED, "ann", None), await world.story()
    assert await started(world) == 0


async def test_who_closes_while_a_step_is_planned_ends_it(make: Make) -> None:
    world = await make(policy(playbook(step("restart", approval=ApprovalPolicy(approvals=1)))))
    during_the_plan(
        world, lambda name: world.operations.close_incident(name, by=Principal("ann", "cli"), reason="false alarm")
    )
    await world.fire()
    await world.run(60.0)
    assert (await world.kinds())[-1] == "Closed"


async def test_before_the_first_action_an_old_confirmation_is_asked_for_again(make: Make) -> None:
    world = await make(policy(playbook(step("restart"))))
    await world.operations.kill(on=True, by=Principal("ann", "cli"))
    await world.fire()
    await world.run(300.0)
    world.metrics.confirms = False
    await world.run(200.0)
    await world.operations.kill(on=False, by=Principal("ann", "cli"))
    await world.run(30.0)
    assert await started(world) == 0
    assert (await world.incident()).phase is Phase.AWAITING_APPROVAL, await world.story()


async def test_an_approval_by_fewer_than_todays_policy_asks_for_is_asked_again(make: Make) -> None:
    world = await make(policy(playbook(step("restart", approval=ApprovalPolicy(1)))))
    await world.fire()
    await world.run(5.0)
    incident = await world.incident()
    book = playbook(step("restart", approval=ApprovalPolicy(2)))
    await world.engine.use(replace(world.rules, playbooks=(replace(book, version="today"),)))
    assert (await world.operations.vote(incident.id, by=Principal("ann", "cli"), approve=True, reason="")).ok
    await world.run(5.0)
    incident = await world.incident()
    assert (await started(world), incident.phase) == (0, Phase.AWAITING_APPROVAL)
    assert incident.approval is not None
    assert incident.approval.needed == 2


async def test_a_dry_run_that_comes_after_the_approval_says_once_what_it_would_do(make: Make) -> None:
    world = await make(policy(playbook(step("restart", approval=ApprovalPolicy(1)))))
    await world.fire()
    await world.run(5.0)
    incident = await world.incident()
    await world.engine.use(replace(world.rules, playbooks=(replace(world.rules.playbooks[0], dry_run=True),)))
    assert (await world.operations.vote(incident.id, by=Principal("ann", "cli"), approve=True, reason="")).ok
    await world.run(60.0)
    assert (await world.kinds()).count("WouldHave") == 1
    assert (await started(world), (await world.incident()).approval) == (0, None)


async def test_what_nobody_can_approve_does_not_wait_for_anybody(make: Make) -> None:
    world = await make(policy(playbook(step("restart", approval=ApprovalPolicy(3)))))
    await world.fire()
    await world.run(5.0)
    assert (await world.incident()).phase is Phase.ESCALATED
    assert "people.yaml names 2 who may approve" in await world.story()


# --- what an incident survives ------------------------------------------------------------------------------------


async def test_what_one_playbook_added_is_taken_back_though_another_leads_by_then(make: Make) -> None:
    slow = playbook(step("scale", parameters={"by": 1}, cleanup_after=60.0), name="slow", alert="Slow", rank=1)
    world = await make(policy(playbook(step("restart")), slow))
    world.runtime.create("api", "api-1", "good")
    world.clock.time += 5.0
    await world.fire(world.alert("Slow"))
    await world.run(20.0)
    assert len(world.runtime.services["api"].instances) == 2, await world.story()
    world.fails()
    await world.fire(world.alert("ServiceDown"))
    await world.run(60.0)
    incident = await world.incident()
    assert incident.playbook == "service-down", await world.story()
    assert [(one.step, one.result) for one in incident.done] == [("scale", "passed"), ("restart", "passed")]
    await world.fire(world.alert("Slow", status="resolved"), world.alert("ServiceDown", status="resolved"))
    await world.run(300.0)
    assert (await world.incident()).phase is Phase.RESOLVED, await world.story()
    assert list(world.runtime.services["api"].instances) == ["api-1"]


async def test_an_incident_on_which_work_fails_again_and_again_is_with_people(make: Make) -> None:
    world = await make(policy(playbook(step("restart"))))

    async def broken(*_: Any) -> Any:
        raise ZeroDivisionError("a defect of a runtime")

    world.runtime.instances = broken  # type: ignore[assignment,method-assign]
    await world.fire()
    for _ in range(6):
        world.clock.time += 60.0
        for name, _target in await world.store.due(world.clock.now(), 10):
            try:
                await world.executor.work(name)
            except ZeroDivisionError:
                continue
    incident = await world.incident()
    assert incident.phase is Phase.ESCALATED
    assert "a defect of a runtime" in (incident.escalation or "")


async def test_an_action_that_breaks_is_in_doubt_and_not_repeated(make: Make) -> None:
    world = await make(policy(playbook(step("restart", timeout=LIMIT))))
    calls: list[int] = []
    real = world.runtime.restart

    async def broken(*args: Any) -> None:
        calls.append(1)
        await real(*args)
        raise ZeroDivisionError("a defect of an action")

    world.runtime.restart = broken  # type: ignore[assignment,method-assign]
    await world.fire()
    await world.run(60.0)
    assert len(calls) == 1
    assert [one.result for one in (await world.incident()).done] == ["passed"], await world.story()


async def test_a_service_that_left_the_file_with_an_action_in_doubt_can_be_closed(make: Make) -> None:
    world = await make(policy(playbook(step("restart", timeout=0.05))))
    Restarts(world)
    await world.fire()
    await world.run(5.0)
    await world.engine.use(replace(world.rules, services={}))
    await world.run(120.0)
    incident = await world.incident()
    assert incident.phase is Phase.ESCALATED
    assert (await world.operations.close_incident(incident.id, by=Principal("ann", "cli"), reason="gone")).ok


async def test_observing_takes_nothing_back(make: Make) -> None:
    world = await make(policy(playbook(step("scale", parameters={"by": 1}, cleanup_after=60.0))))
    world.runtime.create("api", "api-1", "good")
    world.clock.time += 5.0
    await world.fire()
    await world.run(30.0)
    await world.fire(world.alert(status="resolved"))
    await world.run(20.0)
    assert (await world.incident()).phase is Phase.CLEANUP, await world.story()
    await world.close()
    world.mode = "observe"
    await world.open()
    await world.run(1200.0)
    assert len(world.runtime.services["api"].instances) == 2
    assert (await world.incident()).escalation is not None, await world.story()


async def test_an_engine_that_goes_away_before_the_call_is_asked_again(make: Make) -> None:
    world = await make(policy(playbook(step("restart", timeout=LIMIT))))
    real = world.runtime.restart

    async def away(*_: Any) -> None:
        raise EngineUnavailable("nobody listens there")

    world.runtime.restart = away  # type: ignore[assignment,method-assign]
    await world.fire()
    await world.run(10.0)
    world.runtime.restart = real  # type: ignore[method-assign]
    await world.run(3 * LIMIT)
    assert [one.result for one in (await world.incident()).done] == ["passed"], await world.story()
