"""A world that goes wrong in every way at once, from a seed: crashes, lost and late answers, people, reloads, races.

What the service did is written down beside it, so that the invariants are held against the world and not against the
service's own words.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

from pydantic import BaseModel

from receiver.core import events as ev
from receiver.core.alert import Alert, AlertStatus
from receiver.core.incident import Incident
from receiver.core.playbook import ApprovalPolicy, FleetLimits, Playbook, Policy
from receiver.ports import Changes, IncidentFilter, Store, Unit
from receiver.store.codec import decode_event
from receiver.store.memory import MemoryStore
from remediations.protocol import (
    ActionRefused,
    Context,
    EngineUnavailable,
    Intent,
    Json,
    Observation,
    Outcome,
    OutcomeUnknown,
    Plan,
    Progress,
    Remediation,
    Verdict,
)
from tests.simulation.world import VERIFY, World, playbook, policy, step

LIMIT = 20.0
"""Seconds a step may take; an effect whose answer was lost comes within them."""

PATIENCE = 0.002
"""Real seconds that the service waits for a call that outlives its limit."""

SERVICES = ("api", "web", "db", "queue")
ALERTS = ("Slow", "Down", "Told", "Nobodys")
QUIET = replace(VERIFY, timeout=30.0)


class Crash(BaseException):
    """The process is gone; nothing may catch this."""


class Broken(Exception):
    """A defect of an action."""


class NoParameters(BaseModel):
    """Nothing to say."""


class Poke:
    """An action that may go wrong in every way; not idempotent."""

    name = "poke"
    parameters: type[BaseModel] = NoParameters
    read_only = False
    idempotent = False
    destroys_state = False
    needs_known_good = False
    needs_bounds = False

    def __init__(self, world: Chaos) -> None:
        self._world = world

    def describe(self, parameters: Json) -> str:
        return "poke"

    async def plan(self, context: Context, parameters: Json) -> Plan:
        self._world.dice_away(0.05)
        if not self._world.calm and self._world.dice.random() < 0.2:
            await self._world.meanwhile(self._world)
        await asyncio.sleep(0)
        return Plan("poke it", lowest_healthy=1, healthy_now=1, revision="r")

    async def execute(self, context: Context, intent: Intent) -> Outcome:
        world, action_id, target = self._world, intent.action_id, context.target.service
        world.begins(action_id, target)
        how = world.dice.choice(WAYS)
        world.happened.append(f"{action_id} on {target}: {how}")
        try:
            if "slow" in how:
                await asyncio.sleep(PATIENCE * world.dice.choice([2, 8]))
        except asyncio.CancelledError:
            # Whoever stops waiting has not stopped the engine; one that is too slow already may take any time.
            left = intent.at + LIMIT - world.clock.now()
            world.effect(action_id, target, within=left if left > 0 else 1000.0)
            raise
        if "late" in how:
            world.effect(action_id, target, within=LIMIT)
        elif "never" in how or "refused" in how:
            world.busy.pop(target, None)
        else:
            world.effect(action_id, target)
        if "crash" in how:
            raise Crash
        if "lost" in how:
            raise OutcomeUnknown("the answer was lost")
        if "broken" in how:
            raise Broken("a defect")
        if "refused" in how:
            raise ActionRefused("not now")
        return Outcome(ok="failed" not in how, text=how)

    async def observe(self, context: Context, intent: Intent) -> Observation:
        self._world.dice_away(0.5)
        if not self._world.calm and self._world.dice.random() < 0.3:
            return Observation(Progress.UNKNOWN, "it doesn't say")
        done = intent.action_id in self._world.effects()
        return Observation(Progress.DONE if done else Progress.NOT_STARTED, "it is done" if done else "it isn't")

    async def verify(self, context: Context, intent: Intent) -> Verdict:
        return Verdict(self._world.healthy[context.target.service], "as it is")

    async def undo(self, context: Context, intent: Intent, post_state: Json) -> Outcome:
        self._world.dice_away(0.2)
        return Outcome(ok=self._world.dice.random() < 0.8, text="undone")


WAYS = (
    *["done"] * 6,
    "failed",
    "refused",
    "lost, done",
    "lost, never",
    "lost, late",
    "slow, done",
    "slow, failed",
    "broken, done",
    "crash, done",
    "crash, never",
    "crash, late",
)


class Chaos(World):
    """The world, its dice, and what really happened in it."""

    def __init__(self, path: Path, seed: int) -> None:
        super().__init__(path, rules())
        self.dice = Random(seed)
        self.kept = MemoryStore(self.clock)
        self.healthy: dict[str, bool] = dict.fromkeys(SERVICES, False)
        self.busy: dict[str, str] = {}
        self.called: dict[str, int] = defaultdict(int)
        self.happened: list[str] = []
        self.wrong: list[str] = []
        self.calm = False
        self.meanwhile: Callable[[Chaos], Awaitable[None]] = _nothing
        self.acknowledged: dict[str, Alert] = {}
        self._due: dict[str, tuple[float, str]] = {}
        self._begun: dict[str, Callable[[], bool]] = {}
        self._incidents: dict[str, Incident] = {}

    def open_store(self) -> Store:
        store = self.kept
        submit = MemoryStore.submit

        async def waits(unit: Unit) -> Changes:
            # Others go on while a unit waits for its turn, and what an intent rests on may change.
            if unit.actions_since is not None and not self.calm and self.dice.random() < 0.3:
                await self.meanwhile(self)
            await asyncio.sleep(0)
            return await submit(store, unit)

        store.submit = waits  # type: ignore[method-assign]
        return store

    def load_actions(self) -> Mapping[str, Remediation]:
        poke: Any = Poke(self)
        return {**super().load_actions(), "poke": poke}

    async def open(self) -> None:
        today = self.engine.policy if hasattr(self, "engine") else self.rules
        await super().open()
        await self.engine.use(today)
        for service in SERVICES:
            if service not in self.runtime.services:
                self.runtime.create(service, f"{service}-1", "good")
        calls = self.actor.performer._calls
        ended = calls.ended

        async def impatient(action_id: str, seconds: float) -> bool:
            return await ended(action_id, min(seconds, PATIENCE))

        calls.ended = impatient  # type: ignore[method-assign]
        self.engine.on_stored = self._stored

    async def close(self) -> None:
        await self.executor.close()
        await self.http.aclose()

    # --- the targets ------------------------------------------------------------------------------------------------

    def begins(self, action_id: str, target: str) -> None:
        """A call arrives at a target."""
        self.effects()
        self.called[action_id] += 1
        if (other := self.busy.get(target)) is not None:
            self.wrong.append(f"{action_id} was called on {target} while {other} is under way")
        self.busy[target] = action_id

    def effect(self, action_id: str, target: str, *, within: float = 0.0) -> None:
        """Let a call take effect, now or within so many seconds."""
        self._due[action_id] = self.clock.now() + self.dice.uniform(0.0, 0.9 * within), target

    def effects(self) -> set[str]:
        """Return the actions that have taken effect."""
        done = {action_id for action_id, (at, _) in self._due.items() if at <= self.clock.now()}
        for action_id in done:
            target = self._due[action_id][1]
            if self.busy.get(target) == action_id:
                del self.busy[target]
                self.healthy[target] = self.calm or self.dice.random() < 0.6
        return done

    def dice_away(self, share: float) -> None:
        """Let the engine be away now and then."""
        if not self.calm and self.dice.random() < share:
            raise EngineUnavailable("nobody listens there")

    # --- what is stored ---------------------------------------------------------------------------------------------

    def _stored(self, changes: Changes) -> None:
        for one in changes.events:
            if isinstance(one.event, ev.StepStarted):
                self._may_begin(one, one.event)
            elif isinstance(one.event, ev.ApprovalAsked) and self._is_with_people(one):
                self.wrong.append(f"{one.incident} asks for an approval though people have it")

    def _may_begin(self, recorded: ev.Recorded, started: ev.StepStarted) -> None:
        """Hold a stored intent against what is in force in the very moment."""
        name = f"{recorded.incident} {started.step} ({started.kind})"
        log = [one for one in self.log(recorded.incident) if one.seq < recorded.seq]
        if self.kill.state().everything:
            self.wrong.append(f"{name} began while the kill switch is on")
        if started.kind == "cleanup":
            return
        if self._is_with_people(recorded):
            self.wrong.append(f"{name} began though people have it")
        turned = [one.event for one in log if isinstance(one.event, ev.Paused | ev.Resumed)]
        if turned and isinstance(turned[-1], ev.Paused):
            self.wrong.append(f"{name} began though {turned[-1].person} paused it")
        leads = next(one.event.playbook for one in reversed(log) if isinstance(one.event, ev.Opened | ev.LeadChanged))
        today = self.engine.policy.playbook(leads)
        if started.kind == "step" and (today is None or today.paused or today.dry_run):
            self.wrong.append(f"{name} began though today's {leads} forbids it: {today}")
        approved = [one for one in log if isinstance(one.event, ev.ApprovalEnded) and one.event.state == "approved"]
        if started.step == "asked" and started.kind == "step":
            valid = ApprovalPolicy().execute_before
            if not approved or recorded.at > approved[-1].at + valid:
                self.wrong.append(f"{name} began without a valid approval")
        if started.kind == "step" and not approved:
            since = recorded.at - self.engine.policy.fleet.window
            recent = sum(one.started_at > since and one.kind == "step" for one in self.kept._seen.actions.values())
            if recent > self.engine.policy.fleet.max_actions:
                self.wrong.append(f"{name} is automatic action {recent} of {self.engine.policy.fleet.max_actions}")
        if started.kind == "step":
            running = sum(one.ended_at is None for one in self.kept._seen.actions.values())
            if running > self.engine.policy.fleet.max_under_way:
                self.wrong.append(f"{name} is action {running} under way")

    def _is_with_people(self, recorded: ev.Recorded) -> bool:
        """Whether somebody took it over or was called; what nobody was called about goes on when a worse one leads."""
        return any(
            isinstance(one.event, ev.TakenOver) or (isinstance(one.event, ev.Escalated) and one.event.page)
            for one in self.log(recorded.incident)
            if one.seq < recorded.seq
        )

    def log(self, incident_id: str) -> list[ev.Recorded]:
        """Return an incident's log as it is in this moment."""
        return [
            ev.Recorded(incident_id, seq, at, decode_event(name, version, body))
            for seq, (at, name, version, body) in enumerate(self.kept._events.get(incident_id, []), 1)
        ]

    async def incidents(self) -> list[Incident]:
        """Return every incident, oldest first."""
        return list(reversed((await self.store.incidents(IncidentFilter(limit=1000))).items))

    # --- time -------------------------------------------------------------------------------------------------------

    async def work(self) -> None:
        """Do all that is due now, on every target at once; a crash starts the service again."""
        for _ in range(50):
            due = await self.store.due(self.clock.now(), 50)
            if not due:
                return
            tasks = [asyncio.create_task(self.executor.work(name)) for name, _ in due]
            try:
                for task in tasks:
                    with suppress(Broken):
                        await task
            except Crash:
                await self.crash(tasks)

    async def crash(self, tasks: Sequence[asyncio.Task[Any]] = ()) -> None:
        """Let the process die, and start again."""
        self.happened.append("crash")
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.close()
        await self.open()

    async def live(self, seconds: float) -> None:
        """Let so much time pass, and the service work in it."""
        until = self.clock.now() + seconds
        while self.clock.now() < until:
            await self.work()
            wake = await self.store.next_wake(self.clock.now())
            self.clock.time = min(until, max(wake if wake is not None else until, self.clock.now() + 0.05))
        await self.work()


async def _nothing(_world: Chaos) -> None:
    """Let nothing happen meanwhile."""


def rules() -> Policy:
    """Return a policy with everything that can follow from one another."""
    books = [
        playbook(step_of("first", undo=True), step_of("second"), name="down", alert="Down", rank=0),
        playbook(
            step_of("asked", approvals=1), step_of("added", cleanup_after=60.0), name="slow", alert="Slow", rank=1
        ),
        playbook(name="told", alert="Told", rank=2),
    ]
    fleet = FleetLimits(max_actions=4, window=600.0, max_under_way=2)
    return replace(policy(*books, services=SERVICES), fleet=fleet)


def step_of(name: str, *, approvals: int = 0, **changes: Any) -> Any:
    """Return a step that pokes."""
    approval = ApprovalPolicy(approvals=approvals)
    return step(name, action="poke", timeout=LIMIT, verify=QUIET, approval=approval, **changes)


def changed(book: Playbook, dice: Random) -> Playbook | None:
    """Return a playbook as somebody left it; None: deleted."""
    match dice.choice(["paused", "dry run", "deleted", "as it was", "as it was"]):
        case "deleted":
            return None
        case "paused":
            return replace(book, version=f"{book.version}, paused", paused=True)
        case "dry run":
            return replace(book, version=f"{book.version}, dry", dry_run=True)
        case _:
            return book


def an_alert(name: str, service: str, status: AlertStatus, at: float) -> Alert:
    """Return an alert that began at a time."""
    labels = {"alertname": name, "service": service}
    number = ALERTS.index(name) * len(SERVICES) + SERVICES.index(service)
    return Alert(f"{number:016x}", status, labels, {}, int(at * 1e9))
