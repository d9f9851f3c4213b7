"""The engine: what happened goes in, is stored with all that follows from it, and only then is answered.

One atomic unit an event: the event, its fold, what follows by itself, the next wake-up and the rows to be told.
Knows the store as a port only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from receiver.core import events as ev
from receiver.core.alert import Alert, AlertStatus
from receiver.core.declared import DECLARED, declared
from receiver.core.fold import evolve
from receiver.core.incident import Incident
from receiver.core.machine import next_event, wake
from receiver.core.playbook import Playbook, Policy
from receiver.core.principal import Principal
from receiver.core.routing import Router
from receiver.core.severity import Severity
from receiver.core.telling import rows
from receiver.ids import incident_once
from receiver.ports import (
    ActionRecord,
    AlertRow,
    Body,
    Changes,
    Clock,
    Ids,
    OutboxRow,
    Quarantined,
    Repeat,
    Store,
    StoreFull,
    Unit,
    View,
)
from receiver.receiving import Batch, Received

UNIT_ALERTS = 500
"""Alerts in one unit at most, so that a group of 20,000 does not hold up everybody else's."""

FOLLOWING = 100
"""Events that may follow by themselves from one; more is a defect that would loop for ever."""

Decide = Callable[[Incident, Playbook, float], Sequence[ev.Event]]
"""Given an incident, its playbook and the time: what happened. May raise `Refusal`."""

DecideAmong = Callable[[Incident, Playbook, float, Sequence[ActionRecord]], Sequence[ev.Event]]
"""The same, given the past actions and those under way, too."""


class Refusal(Exception):
    """What was asked for can't be done with the incident as it is; its text is for people."""


class NotFound(Refusal):
    """There is no such incident."""


class MissingPlaybook(Exception):
    """A unit needs a stored playbook version that is not at hand yet; it is loaded and the unit is tried again."""

    def __init__(self, version: str) -> None:
        super().__init__(version)
        self.version = version


class Step(NamedTuple):
    """An incident on its way through a unit, with the events that it gathered there."""

    before: Incident | None
    incident: Incident
    recorded: tuple[ev.Recorded, ...]

    def after(self, before: Incident | None, recorded: Sequence[ev.Recorded]) -> Step:
        """Return it with what the incident gathered earlier in the unit."""
        return Step(before, self.incident, (*recorded, *self.recorded))


class Engine:
    """Submits what happened to the store.

    Args:
        lanes: outbox lanes that are told about incidents.
        mode: `observe` or `act`.
    """

    def __init__(
        self, store: Store, clock: Clock, ids: Ids, policy: Policy, *, mode: str, lanes: Sequence[str]
    ) -> None:
        self.store = store
        self.clock = clock
        self.ids = ids
        self.mode = mode
        self.lanes = tuple(lanes)
        self.router = Router(policy)
        self._versions: dict[str, Playbook] = {}
        self.on_stored: Callable[[Changes], None] = lambda _: None

    @property
    def policy(self) -> Policy:
        """Today's policy."""
        return self.router.policy

    async def use(self, policy: Policy) -> None:
        """Make a policy today's: its playbooks are stored by content hash before the first alert meets them."""
        known = (*policy.playbooks, policy.declared or DECLARED)
        await self.store.submit(Unit(lambda _: Changes(playbooks=known)))
        self._versions |= {playbook.version: playbook for playbook in known}
        self.router = Router(policy)

    async def playbook(self, version: str) -> Playbook:
        """Return a playbook version, today's or a stored one."""
        if (found := self._versions.get(version)) is None:
            found = await self.store.playbook(version)
            if found is None:
                raise Refusal(f"playbook version {version} is not in the store")
            self._versions[version] = found
        return found

    # --- alerts -----------------------------------------------------------------------------------------------------

    async def ingest(
        self,
        alerts: Sequence[Alert],
        *,
        body: Body | None = None,
        quarantined: Sequence[Quarantined] = (),
        source: str = "webhook",
    ) -> Received:
        """Store alerts and what follows from them; everything is durable when this returns.

        Args:
            alerts: of one notification, any number; units hold at most 500 each.
            body, quarantined: evidence to keep, in the first unit.
            source: `webhook` or `resync`.

        Raises:
            StoreUnavailable: not all of it could be made durable; Alertmanager is to send it again.
        """
        total: Received | None = None
        for start in range(0, max(len(alerts), 1), UNIT_ALERTS):
            batch = Batch(self, alerts[start : start + UNIT_ALERTS], source, self.clock.now())
            unit = Unit(
                batch.decide,
                fingerprints=batch.fingerprints,
                targets=batch.targets,
                body=body if start == 0 else None,
                quarantined=quarantined if start == 0 else (),
            )
            try:
                await self._submit(unit)
            except StoreFull:
                await self._only_resolved(batch)
                raise
            total = batch.received if total is None else total.and_then(batch.received)
        return total or Received()

    async def _only_resolved(self, batch: Batch) -> None:
        """Take at least what ended from a batch that there is no room for: it is how room comes back."""
        ended = Batch(
            self, [one for one in batch.alerts if one.status is AlertStatus.RESOLVED], batch.source, batch.now
        )
        if ended.alerts:
            await self._submit(Unit(ended.decide, fingerprints=ended.fingerprints, targets=ended.targets))

    # --- incidents --------------------------------------------------------------------------------------------------

    async def record(self, incident_id: str, decide: Decide, *, again_at: float | None = None) -> Incident:
        """Store what happened to one incident, and what follows.

        Args:
            decide: pure; sees the incident as it is in this very unit.
            again_at: look at it then, also when its state alone would not ask for it.

        Raises:
            NotFound, Refusal: nothing was stored.
        """
        return await self._record(incident_id, lambda incident, book, now, _: decide(incident, book, now), again_at)

    async def record_among(self, incident_id: str, decide: DecideAmong, *, since: float) -> Incident:
        """Store what happened to one incident, decided on what all incidents do in that very unit.

        Args:
            decide: pure; of two that each begin the last action that a limit allows, the later sees the earlier.
            since: UNIX seconds; actions started since then, and all under way, are what it sees.

        Raises:
            NotFound, Refusal: nothing was stored.
        """
        return await self._record(incident_id, decide, None, since)

    async def _record(
        self, incident_id: str, decide: DecideAmong, again_at: float | None, since: float | None = None
    ) -> Incident:
        result: list[Incident] = []

        def unit(view: View) -> Changes:
            incident = view.incidents.get(incident_id)
            if incident is None:
                raise NotFound(f"there is no incident {incident_id}")
            now = self.clock.now()
            playbook = self.version(incident.version)
            step = self.follow(self.apply(incident, decide(incident, playbook, now, view.actions), now), now)
            result[:] = [step.incident]
            return self.changes([step], now, again_at=again_at)

        await self._submit(Unit(unit, incidents=(incident_id,), actions_since=since))
        return result[0]

    async def declare(self, by: Principal, severity: Severity, title: str, service: str, once: str = "") -> str:
        """Begin an incident by hand, and return its id; with the same `once` again, it is there already."""
        identity = incident_once(once) if once else self.ids.incident()
        opened = declared(identity, by, severity, title, service, self.mode, self.policy.declared or DECLARED)

        def unit(view: View) -> Changes:
            if once and identity in view.incidents:
                return Changes()
            now = self.clock.now()
            first = ev.Recorded(identity, 1, now, opened)
            return self.changes([self.follow(Step(None, evolve(None, first), (first,)), now)], now)

        await self._submit(Unit(unit, incidents=(identity,), targets=(identity,)))
        return identity

    def version(self, version: str) -> Playbook:
        """Return a playbook version from inside a unit."""
        if (found := self._versions.get(version)) is None:
            raise MissingPlaybook(version)
        return found

    def apply(self, incident: Incident, events: Sequence[ev.Event], now: float) -> Step:
        """Fold events into an incident; pure."""
        recorded: list[ev.Recorded] = []
        current = incident
        for event in events:
            recorded.append(ev.Recorded(current.id, current.seq + 1, now, event))
            current = evolve(current, recorded[-1])
        return Step(incident, current, tuple(recorded))

    def follow(self, step: Step, now: float) -> Step:
        """Add what follows by itself; pure."""
        following: list[ev.Recorded] = []
        current = step.incident
        for _ in range(FOLLOWING):
            event = next_event(current, self.version(current.version), now)
            if event is None:
                return Step(step.before, current, (*step.recorded, *following)) if following else step
            following.append(ev.Recorded(current.id, current.seq + 1, now, event))
            current = evolve(current, following[-1])
        raise AssertionError(f"{current.id}: {type(following[-1].event).__name__} follows from itself")

    def changes(
        self,
        steps: Sequence[Step],
        now: float,
        *,
        again_at: float | None = None,
        alerts: Sequence[AlertRow] = (),
        repeats: Sequence[Repeat] = (),
    ) -> Changes:
        """Return what a unit has to write for these incidents, and for their alerts."""
        wakes: dict[str, float | None] = {}
        told: list[OutboxRow] = []
        for step in steps:
            at = wake(step.incident, self.version(step.incident.version), now)
            wakes[step.incident.id] = min(again_at, at) if again_at and at and at > now else (again_at or at)
            if step.recorded:
                told.extend(rows(step.before, step.incident, step.recorded, self.lanes))
        return Changes(
            alerts=alerts,
            repeats=repeats,
            incidents=[step.incident for step in steps if step.recorded],
            events=[recorded for step in steps for recorded in step.recorded],
            wake=wakes,
            outbox=told,
        )

    async def _submit(self, unit: Unit) -> None:
        for _ in range(8):
            try:
                changes = await self.store.submit(unit)
            except MissingPlaybook as missing:
                await self.playbook(missing.version)
                continue
            self.on_stored(changes)
            return
        raise Refusal("a unit keeps needing playbook versions that are not stored")

    def targets_of(self, labels: Mapping[str, str]) -> str | None:
        """Return the target that an alert with these labels would lead to."""
        found = self.router.choose(labels)
        return getattr(getattr(found, "service", None), "name", None)
