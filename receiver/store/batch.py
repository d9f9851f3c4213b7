"""The units of one commit: each decides on what the ones before it left, and adds what it wants to be written.

Nothing here touches the database. A unit is checked whole before anything of it is taken, so a bad one leaves no trace.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from receiver.core import events as ev
from receiver.core.alert import AlertStatus
from receiver.core.events import Recorded
from receiver.core.incident import Incident
from receiver.ports import ActionRecord, AlertRow, Body, Changes, InvalidChanges, OutboxRow, Quarantined, Unit, View
from receiver.store.cache import Kept, Latest
from receiver.store.codec import encode_alert, encode_event, fingerprint_key
from receiver.store.loading import Seen

EVENTS_PER_INCIDENT = 1 << 24
"""An event's key is its incident's number times this, plus its seq."""

TEXTS_PER_BLOCK = 256
"""An alert's number is its block's number times this, plus its place."""

_BLOCK_BYTES = 131_072


@dataclass(slots=True)
class Numbers:
    """The next free row numbers; only the writer's thread gives them out."""

    incident: int
    block: int


@dataclass(slots=True)
class Batch:
    """What one commit writes, in the shape in which it is written.

    Args:
        seen: what the units named; changed as they decide.
        next: row numbers to give out; they are taken back by forgetting the batch.
        alerts: rows by fingerprint: n, key, starts_at, status, incident number, repeats, seen_at.
        replaced: numbers of stored alert rows that are overwritten.
        repeats: by row number: how many more, and when last.
        blocks: alert texts by block number.
        touched: ids of incidents to write.
        events: flat rows of key, at, type, version, body.
    """

    seen: Seen
    next: Numbers
    alerts: dict[str, tuple[Any, ...]] = field(default_factory=dict)
    replaced: list[int] = field(default_factory=list)
    repeats: dict[int, tuple[int, float]] = field(default_factory=dict)
    blocks: dict[int, list[bytes]] = field(default_factory=dict)
    touched: dict[str, None] = field(default_factory=dict)
    created: set[str] = field(default_factory=set)
    events: list[Any] = field(default_factory=list)
    outbox: list[OutboxRow] = field(default_factory=list)
    started: list[tuple[str, ActionRecord]] = field(default_factory=list)
    finished: list[tuple[float, bool, str]] = field(default_factory=list)
    playbooks: dict[str, Any] = field(default_factory=dict)
    counters: Counter[str] = field(default_factory=Counter)
    bodies: list[Body] = field(default_factory=list)
    quarantined: list[Quarantined] = field(default_factory=list)
    firing: int = 0
    resolved: int = 0
    _block: list[bytes] = field(default_factory=list)
    _block_bytes: int = _BLOCK_BYTES

    def view(self, unit: Unit) -> View:
        """Return what the unit named, as it is now."""
        seen = self.seen
        alerts = {}
        incidents = {}
        for fingerprint in unit.fingerprints:
            latest = seen.alerts.get(fingerprint)
            if latest is not None:
                alerts[fingerprint] = latest.known()
                if latest.incident is not None and latest.incident in seen.incidents:
                    incidents[latest.incident] = seen.incidents[latest.incident].state
        for name in unit.incidents:
            kept = seen.incidents.get(name)
            if kept is not None:
                incidents[name] = kept.state
        opened = {}
        for target in unit.targets:
            incident = seen.open.get(target)
            if incident is not None:
                opened[target] = seen.incidents[incident].state
        return View(alerts, incidents, opened)

    def add(self, unit: Unit, changes: Changes) -> None:
        """Take what a unit decided.

        Raises:
            InvalidChanges: it contradicts what is stored; nothing of it was taken.
        """
        states = self._checked(unit, changes)
        events = [encode_event(recorded.event) for recorded in changes.events]
        texts = [encode_alert(row) for row in changes.alerts]
        self._take_incidents(changes, states)
        for recorded, (name, version, body) in zip(changes.events, events, strict=True):
            n = self.seen.incidents[recorded.incident].n
            self.events += (n * EVENTS_PER_INCIDENT + recorded.seq, recorded.at, name, version, body)
            self._take_action(recorded)
        for row, text in zip(changes.alerts, texts, strict=True):
            self._take_alert(row, text)
        for repeat in changes.repeats:
            self._take_repeat(repeat.fingerprint, repeat.at)
        self.outbox += changes.outbox
        for playbook in changes.playbooks:
            self.playbooks[playbook.version] = playbook
        self.counters.update(changes.counters)
        if unit.body is not None:
            self.bodies.append(unit.body)
        self.quarantined += unit.quarantined

    def _checked(self, unit: Unit, changes: Changes) -> dict[str, Incident]:
        """Return the new states by id, after comparing them with what is stored."""
        seen = self.seen
        states = {state.id: state for state in changes.incidents}
        if len(states) < len(changes.incidents):
            raise InvalidChanges("the same incident twice in one unit")
        added = _event_counts(changes.events)
        if added.keys() - states.keys():
            raise InvalidChanges(f"events without the state that they lead to: {sorted(added.keys() - states.keys())}")
        for name, state in states.items():
            kept = seen.incidents.get(name)
            before = 0 if kept is None else kept.state.seq
            if state.seq != before + added.get(name, 0):
                raise InvalidChanges(f"{name}: seq {state.seq}, but {before} is stored and {added.get(name, 0)} added")
            if kept is not None and kept.state.target != state.target:
                raise InvalidChanges(f"{name}: an incident keeps its target {kept.state.target}")
        _check_order(changes.events, {name: states[name].seq - count for name, count in added.items()})
        self._check_open(states)
        self._check_named(unit, changes, states)
        return states

    def _check_named(self, unit: Unit, changes: Changes, states: Mapping[str, Incident]) -> None:
        seen = self.seen
        for name in changes.wake:
            if name not in states and name not in seen.incidents:
                raise InvalidChanges(f"a wake-up of {name}, which the unit did not name")
        named = frozenset(unit.fingerprints)
        for row in changes.alerts:
            if row.incident is not None and row.incident not in states and row.incident not in seen.incidents:
                raise InvalidChanges(f"an alert of {row.incident}, which the unit did not name")
            if row.alert.fingerprint not in named:
                raise InvalidChanges(f"alert {row.alert.fingerprint}, which the unit did not name")
        for repeat in changes.repeats:
            if repeat.fingerprint not in seen.alerts:
                raise InvalidChanges(f"a repeat of alert {repeat.fingerprint}, which is not stored")

    def _check_open(self, states: Mapping[str, Incident]) -> None:
        opened: dict[str, str] = {}
        for name, state in states.items():
            if not state.open:
                continue
            if name not in self.seen.incidents and state.target not in self.seen.open:
                raise InvalidChanges(f"{name} opens on target {state.target}, which the unit did not name")
            current = opened.setdefault(state.target, name)
            stored = self.seen.open.get(state.target)
            if stored is not None and (stored not in states or states[stored].open):
                current = stored
            if current != name:
                raise InvalidChanges(f"{name}: target {state.target} already has the open incident {current}")

    def _take_incidents(self, changes: Changes, states: Mapping[str, Incident]) -> None:
        seen = self.seen
        for name, state in states.items():
            kept = seen.incidents.get(name)
            if kept is None:
                self.created.add(name)
                kept = Kept(self.next.incident, state, None)
                self.next.incident += 1
            wake = changes.wake.get(name, kept.wake) if state.open else None
            seen.incidents[name] = Kept(kept.n, state, wake)
            self.touched[name] = None
            if state.open:
                seen.open[state.target] = name
            elif seen.open.get(state.target) == name:
                seen.open[state.target] = None
        for name, at in changes.wake.items():
            kept = seen.incidents[name]
            if name not in states and kept.wake != at and kept.state.open:
                seen.incidents[name] = kept._replace(wake=at)
                self.touched[name] = None

    def _take_action(self, recorded: Recorded) -> None:
        event = recorded.event
        if isinstance(event, ev.StepStarted):
            state = self.seen.incidents[recorded.incident].state
            record = ActionRecord(
                state.target, state.playbook, state.id, event.step, event.kind, recorded.at, ended_at=None, ok=None
            )
            self.started.append((event.action_id, record))
        elif isinstance(event, ev.StepFinished):
            self.finished.append((recorded.at, event.ok, event.action_id))

    def _take_alert(self, row: AlertRow, text: bytes) -> None:
        alert = row.alert
        fingerprint = alert.fingerprint
        old = self.seen.alerts.get(fingerprint)
        if old is not None:
            self._count(old.status, -1)
            if fingerprint not in self.alerts:
                self.replaced.append(old.n)
                self.repeats.pop(old.n, None)
        self._count(alert.status, 1)
        n = self._place(text)
        incident = None if row.incident is None else self.seen.incidents[row.incident].n
        firing = int(alert.status is AlertStatus.FIRING)
        self.alerts[fingerprint] = (n, fingerprint_key(fingerprint), alert.starts_at, firing, incident, 0, row.seen_at)
        self.seen.alerts[fingerprint] = Latest(n, alert.starts_at, alert.status, row.incident, 0)

    def _count(self, status: AlertStatus, change: int) -> None:
        if status is AlertStatus.FIRING:
            self.firing += change
        else:
            self.resolved += change

    def _place(self, text: bytes) -> int:
        """Put a text into the open block; return the number of the alert that has it there."""
        if self._block_bytes >= _BLOCK_BYTES or len(self._block) == TEXTS_PER_BLOCK:
            self._block = self.blocks[self.next.block] = []
            self._block_bytes = 0
            self.next.block += 1
        self._block.append(text)
        self._block_bytes += len(text)
        return (self.next.block - 1) * TEXTS_PER_BLOCK + len(self._block) - 1

    def _take_repeat(self, fingerprint: str, at: float) -> None:
        latest = self.seen.alerts[fingerprint]
        self.seen.alerts[fingerprint] = latest._replace(repeats=latest.repeats + 1)
        row = self.alerts.get(fingerprint)
        if row is None:
            self.repeats[latest.n] = (self.repeats.get(latest.n, (0, at))[0] + 1, at)
        else:
            self.alerts[fingerprint] = (*row[:5], row[5] + 1, at)


def _event_counts(events: Sequence[Recorded]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for recorded in events:
        counts[recorded.incident] = counts.get(recorded.incident, 0) + 1
    return counts


def _check_order(events: Sequence[Recorded], last: dict[str, int]) -> None:
    for recorded in events:
        if recorded.seq != last[recorded.incident] + 1:
            raise InvalidChanges(f"{recorded.incident}: event {recorded.seq} follows {last[recorded.incident]}")
        last[recorded.incident] = recorded.seq
