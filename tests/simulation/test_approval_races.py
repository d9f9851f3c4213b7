"""Random interleavings of votes, clicks, crashes, resolves and reloads: at most one execution, never without a quorum.

What counts as a quorum is worked out here from the log and from who may approve at that moment in this file, not asked
of the service.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any, Final

import pytest

from receiver.core import events as ev
from receiver.core.alert import AlertStatus
from receiver.core.incident import Incident
from receiver.core.playbook import ApprovalPolicy, FleetLimits, OnTimeout, Policy
from receiver.core.principal import Principal
from receiver.operations import Status
from receiver.people import Group, People, Person, Role
from receiver.ports import Changes
from remediations.protocol import Context, Json, Plan, Remediation
from tests.simulation.chaos import LIMIT, QUIET, Chaos, Poke, an_alert
from tests.simulation.test_invariants import deliver, held
from tests.simulation.world import playbook, policy, step

pytestmark = pytest.mark.anyio

ROUNDS: Final = int(os.environ.get("REMEDIATOR_SOAK_ROUNDS", "50"))
PEOPLE: Final = ("ann", "bob", "carol", "dave")
MOVES: Final = 60
ASKED: Final = ApprovalPolicy(approvals=2, expires=400.0, execute_before=120.0)
POLICIES: Final = (
    ASKED,
    replace(ASKED, approvals=1),
    replace(ASKED, approvals=3),
    replace(ASKED, approvers=("ann", "bob")),
    replace(ASKED, approvers=("ops", "ann")),
    replace(ASKED, approvers=()),
    replace(ASKED, execute_before=20.0),
    replace(ASKED, on_timeout=OnTimeout.ABORT),
)
VERSIONS: Final = {f"v{number}": one for number, one in enumerate(POLICIES)}
WORDS: Final = (
    *["approve"] * 8,
    *["fire"] * 3,
    *["close", "people", "kill off", "stale", "resume", "deny"] * 2,
    *["resolve", "policy", "plan", "quiet", "pause", "take over", "kill", "crash", "long", "stranger"],
)
HAPPEN: Final = (
    *("crash", "Voted", "Resolved", "StepRefused", "ApprovalSuspended"),
    *("approved", "denied", "expired", "superseded", "cancelled"),
)
"""What must happen in the lives of one test, the ends of what was asked among it."""


class Changing(Poke):
    """A poke whose plan changes when the world says so."""

    def __init__(self, world: Votes) -> None:
        super().__init__(world)
        self._votes = world

    async def plan(self, context: Context, parameters: Json) -> Plan:
        """Plan as the world is."""
        return replace(await super().plan(context, parameters), revision=self._votes.revision)


class Votes(Chaos):
    """A world about approvals: who may approve is written down here, apart from the service."""

    def __init__(self, path: Path, seed: int) -> None:
        super().__init__(path, seed)
        self.rules = rules(ASKED)
        self.revision = "r1"
        self.roles: dict[str, Role] = dict.fromkeys(PEOPLE, Role.APPROVER)
        self.asked: list[str] = []
        self.begun = 0

    def people(self) -> People:
        """Return everybody as they are now."""
        known = {name: Person(name, name, frozenset({role})) for name, role in self.roles.items()}
        root = Person("root", "Root", frozenset({Role.ADMIN}))
        return People({**known, "root": root}, {"ops": Group("ops", frozenset({"bob", "carol"}))})

    def load_actions(self) -> Mapping[str, Remediation]:
        """Return the actions, the poke that changes among them."""
        poke: Any = Changing(self)
        return {**super().load_actions(), "poke": poke}

    def able(self, one: ApprovalPolicy) -> set[str]:
        """Return who may approve at this moment."""
        approvers = {name for name, role in self.roles.items() if role.includes(Role.APPROVER)} | {"root"}
        if one.approvers is None:
            return approvers
        return approvers & {name for word in one.approvers for name in (("bob", "carol") if word == "ops" else (word,))}

    def today(self) -> ApprovalPolicy:
        """Return today's policy."""
        return self.engine.policy.playbooks[0].steps[0].approval

    def _stored(self, changes: Changes) -> None:
        super()._stored(changes)
        for one in changes.events:
            if isinstance(one.event, ev.ApprovalAsked):
                self.asked.append(one.event.approval)
            elif isinstance(one.event, ev.Voted):
                self._may_vote(one, one.event)

    def _may_vote(self, recorded: ev.Recorded, voted: ev.Voted) -> None:
        if voted.person not in self.able(replace(ASKED, approvers=None)):
            self.wrong.append(f"{voted.person} voted on {recorded.incident} without the role")
        if voted.approve and voted.person not in self.able(self.today()):
            self.wrong.append(f"{voted.person} approved in {recorded.incident} though the playbook doesn't name them")

    def _may_begin(self, recorded: ev.Recorded, started: ev.StepStarted) -> None:
        super()._may_begin(recorded, started)
        if started.step != "asked" or started.kind != "step":
            return
        self.begun += 1
        log = [one for one in self.log(recorded.incident) if one.seq < recorded.seq]
        asked = [one.event for one in log if isinstance(one.event, ev.ApprovalAsked)]
        if not asked:
            self.wrong.append(f"{recorded.incident} began unasked")
            return
        last = asked[-1]
        ends = [one for one in log if isinstance(one.event, ev.ApprovalEnded) and one.event.approval == last.approval]
        if [one.event.state for one in ends if isinstance(one.event, ev.ApprovalEnded)] != ["approved"]:
            self.wrong.append(f"{recorded.incident} began on an approval that ended as {ends}")
            return
        votes = {
            one.event.person: one.event.approve
            for one in log
            if isinstance(one.event, ev.Voted) and one.event.approval == last.approval
        }
        then, today = VERSIONS[next(one.event.version for one in log if isinstance(one.event, ev.Opened))], self.today()
        yes = {person for person, word in votes.items() if word} & self.able(then) & self.able(today)
        needed = max(then.approvals, today.approvals)
        if not all(votes.values()) or len(yes) < needed:
            self.wrong.append(f"{recorded.incident} began with {votes}, {yes} able, {needed} needed")
        if recorded.at >= ends[0].at + min(then.execute_before, today.execute_before):
            self.wrong.append(f"{recorded.incident} began too late after its approval")
        if started.plan["revision"] != last.plan["revision"]:
            self.wrong.append(f"{recorded.incident} began another plan than was approved")


def rules(approval: ApprovalPolicy) -> Policy:
    """Return a policy whose one step asks."""
    version = f"v{POLICIES.index(approval)}"
    asked = step("asked", action="poke", timeout=LIMIT, verify=QUIET, approval=approval)
    book = replace(playbook(asked, name="slow", alert="Slow"), version=version)
    return replace(policy(book, services=("api", "web")), fleet=FleetLimits(max_actions=1000, max_under_way=10))


async def move(world: Votes) -> None:
    """Let one thing happen."""
    dice = world.dice
    service, status = dice.choice(("api", "web")), AlertStatus.FIRING
    match dice.choice(WORDS):
        case "fire":
            await deliver(world, an_alert("Slow", service, status, world.clock.now()))
        case "resolve" if world.acknowledged:
            known = dice.choice(list(world.acknowledged.values()))
            await deliver(world, replace(known, status=AlertStatus.RESOLVED))
        case "quiet":
            world.healthy[service] = dice.random() < 0.5
        case "crash":
            await world.crash()
        case "long":
            await world.live(dice.uniform(100.0, 600.0))
        case word:
            await meanwhile(world, word)


async def meanwhile(world: Chaos, word: str = "") -> None:
    """Let something happen that may come in the middle of anything else."""
    assert isinstance(world, Votes)
    dice = world.dice
    match word or dice.choice(["approve", "people", "people", "policy", "plan", "deny", "pause", "take over", "kill"]):
        case "people":
            world.roles[dice.choice(PEOPLE)] = dice.choice([Role.RESPONDER, Role.APPROVER, Role.APPROVER])
            if dice.random() < 0.3:
                world.roles.pop(dice.choice(list(world.roles)))
        case "policy":
            today = dice.choice(POLICIES)
            await world.engine.use(rules(today))
        case "plan":
            world.revision = dice.choice(["r1", "r2", "r3"])
        case "kill" | "kill off" as switched:
            await world.operations.kill(on=switched == "kill", by=Principal("root", "cli"))
        case by_person:
            await somebody(world, by_person)


async def somebody(world: Votes, word: str) -> None:
    """Let somebody do something about an open incident, by some channel."""
    dice, operations = world.dice, world.operations
    incidents = [one for one in await world.incidents() if one.open]
    if not incidents:
        return
    one = dice.choice(incidents)
    by = Principal(dice.choice(PEOPLE), dice.choice(["slack", "web", "cli", "api"]))
    match word:
        case "approve":
            for who in dice.choices(PEOPLE, k=dice.choice([1, 2, 3])):
                shown = one.approval.id if one.approval is not None and dice.random() < 0.5 else None
                await operations.vote(one.id, by=replace(by, person=who), approve=True, reason="so", approval=shown)
        case "deny":
            await operations.vote(one.id, by=by, approve=False, reason="no")
        case "close" if one.escalation is not None:
            if (await operations.close_incident(one.id, by=Principal("root", "cli"), reason="seen")).ok:
                world.busy.pop(one.target, None)
        case "stale" | "stranger":
            await in_vain(world, one, by, word)
        case "pause" | "resume":
            await (operations.pause if word == "pause" else operations.resume)(one.id, by=by)
        case "take over" if dice.random() < 0.3:
            await operations.take_over(one.id, by=by)


async def in_vain(world: Votes, one: Incident, by: Principal, word: str) -> None:
    """Click on a card of old, or as somebody whom nobody knows."""
    if word == "stranger":
        answer = await world.operations.vote(one.id, by=Principal("mallory", by.via), approve=True, reason="so")
        if answer.status is not Status.FORBIDDEN:
            world.wrong.append(f"mallory was told {answer}")
    elif world.asked:
        old = world.dice.choice(world.asked)
        answer = await world.operations.vote(one.id, by=by, approve=True, reason="so", approval=old)
        if answer.ok and (one.approval is None or one.approval.id != old):
            world.wrong.append(f"a click on {old} counted for {one.id}")


async def life(path: Path, seed: int) -> Counter[str]:
    """Live one life from its seed; return how often what happened in it."""
    world = Votes(path, seed)
    await world.open()
    world.meanwhile = meanwhile
    again = Random(seed)
    told: Counter[str] = Counter()
    try:
        for _ in range(MOVES):
            await move(world)
            await world.live(again.uniform(0.0, 30.0))
            await held(world)
        for incident in await world.incidents():
            log = world.log(incident.id)
            told.update(
                one.event.state if isinstance(one.event, ev.ApprovalEnded) else type(one.event).__name__ for one in log
            )
            withdrawn = {one.event.action_id for one in log if isinstance(one.event, ev.StepWithdrawn)}
            begun = [one.event for one in log if isinstance(one.event, ev.StepStarted) and one.event.kind == "step"]
            kept = Counter(one.step for one in begun if one.action_id not in withdrawn)
            assert max(kept.values(), default=0) <= 1, f"{incident.id} ran {kept}"
    except AssertionError as error:
        raise AssertionError(f"seed {seed}: {error}\n" + "\n".join([*world.wrong, *world.happened[-20:]])) from error
    finally:
        await world.close()
    return told + Counter(begun=world.begun, crash=world.happened.count("crash"))


async def test_any_interleaving_leads_to_at_most_one_execution_and_never_without_a_quorum(tmp_path: Path) -> None:
    told = await lives(tmp_path, range(24))
    assert told["begun"] >= 10, f"so few steps begin that it shows nothing: {told}"
    rare = {one: told[one] for one in HAPPEN if told[one] < 2}
    assert not rare, f"too rare to show anything: {rare}"


async def lives(path: Path, seeds: range) -> Counter[str]:
    """Live lives one after another, and return what happened in them."""
    return sum([await life(path / "unused", seed) for seed in seeds], Counter())


@pytest.mark.soak
@pytest.mark.timeout(3600)
async def test_in_many_such_lives_too(tmp_path: Path) -> None:
    assert (await lives(tmp_path, range(1000, 1000 + 40 * ROUNDS)))["begun"] >= 20 * ROUNDS
