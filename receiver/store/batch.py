"""The units of one commit: each decides on what the ones before it left, and adds what it wants to be written.

Nothing here touches the database. A unit is checked whole before anything of it is taken, so a bad one leaves no trace.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from receiver.core import events as ev
from receiver.core.alert import AlertStatus
from receiver.core.events import Recorded
from receiver.core.incident import Incident
from receiver.ports import ActionRecord, AlertRow, Body, Changes, InvalidChanges, OutboxRow, Quarantined, Unit, View
from receiver.store.cache import Kept, Latest
from receiver.store.codec import encode_alerts, encode_event, fingerprint_key
from receiver.store.loading import Seen

EVENTS_PER_INCIDENT = 1 << 24
"""An event's key is its incident's number times this, plus its seq."""

TEXTS_PER_BLOCK = 256
"""An alert's number is its block's number times this, plus its place."""

_BLOCK_BYTES = 131_072

_FIRING = AlertStatus.FIRING


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
        packed: large bodies, packed already.
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
    withdrawn: list[str] = field(default_factory=list)
    playbooks: dict[str, Any] = field(default_factory=dict)
    counters: Counter[str] = field(default_factory=Counter)
    bodies: list[Body] = field(default_factory=list)
    packed: list[tuple[Body, bytes]] = field(default_factory=list)
    quarantined: list[Quarantined] = field(default_factory=list)
    firing: int = 0
    resolved: int = 0
    _block: list[bytes] = field(default_factory=list)
    _block_bytes: int = _BLOCK_BYTES
    _first: int = 0

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
        return View(alerts, incidents, opened, self._actions(unit.actions_since))

    def _actions(self, since: float | None) -> list[ActionRecord]:
        if since is None:
            return []
        found = [one for one in self.seen.actions.values() if one.started_at >= since or one.ended_at is None]
        return sorted(found, key=lambda one: one.started_at)

    def add(self, unit: Unit, changes: Changes, packed: bytes | None = None) -> None:
        """Take what a unit decided.

        Args:
            packed: its body as it is stored, where it is packed already.

        Raises:
            InvalidChanges: it contradicts what is stored; nothing of it was taken.
        """
        states = self._checked(unit, changes)
        events = [encode_event(recorded.event) for recorded in changes.events]
        texts = encode_alerts(changes.alerts)
        self._take_incidents(changes, states)
        for recorded, (name, version, body) in zip(changes.events, events, strict=True):
            n = self.seen.incidents[recorded.incident].n
            self.events += (n * EVENTS_PER_INCIDENT + recorded.seq, recorded.at, name, version, body)
            self._take_action(recorded)
        self._take_alerts(changes.alerts, texts)
        for repeat in changes.repeats:
            self._take_repeat(repeat.fingerprint, repeat.at)
        self.outbox += changes.outbox
        for playbook in changes.playbooks:
            self.playbooks[playbook.version] = playbook
        if changes.counters:
            self.counters.update(changes.counters)
        if unit.body is not None and packed is not None:
            self.packed.append((unit.body, packed))
        elif unit.body is not None:
            self.bodies.append(unit.body)
        self.quarantined += unit.quarantined

    def _checked(self, unit: Unit, changes: Changes) -> dict[str, Incident]:
        """Return the new states by id, after comparing them with what is stored."""
        stored = self.seen.incidents
        states = {state.id: state for state in changes.incidents}
        if len(states) < len(changes.incidents):
            raise InvalidChanges("the same incident twice in one unit")
        last = {name: stored[name].state.seq if name in stored else 0 for name in states}
        for recorded in changes.events:
            name = recorded.incident
            if name not in last:
                raise InvalidChanges(f"events of {name} without the state that they lead to")
            if recorded.seq != last[name] + 1:
                raise InvalidChanges(f"{name}: event {recorded.seq} follows {last[name]}")
            last[name] = recorded.seq
        for name, state in states.items():
            if state.seq != last[name]:
                raise InvalidChanges(f"{name}: seq {state.seq}, but what is stored and added ends with {last[name]}")
            if name in stored and stored[name].state.target != state.target:
                raise InvalidChanges(f"{name}: an incident keeps its target {stored[name].state.target}")
        self._check_open(states)
        self._check_named(unit, changes, states)
        return states

    def _check_named(self, unit: Unit, changes: Changes, states: Mapping[str, Incident]) -> None:
        seen = self.seen
        for name in changes.wake:
            if name not in states and name not in seen.incidents:
                raise InvalidChanges(f"a wake-up of {name}, which the unit did not name")
        strange = {row.incident for row in changes.alerts if row.incident is not None} - states.keys()
        if strange - seen.incidents.keys():
            raise InvalidChanges(f"alerts of {sorted(strange)}, which the unit did not name")
        own = {row.alert.fingerprint for row in changes.alerts}
        if unnamed := own.difference(unit.fingerprints):
            raise InvalidChanges(f"alerts {sorted(unnamed)[:5]}, which the unit did not name")
        for repeat in changes.repeats:
            # One delivery may hold an alert twice: the second is a repeat of what this very unit stores.
            if repeat.fingerprint not in seen.alerts and repeat.fingerprint not in own:
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
            self.seen.actions[event.action_id] = record
        elif isinstance(event, ev.StepFinished):
            self.finished.append((recorded.at, event.ok, event.action_id))
            if (begun := self.seen.actions.get(event.action_id)) is not None:
                self.seen.actions[event.action_id] = replace(begun, ended_at=recorded.at, ok=event.ok)
        elif isinstance(event, ev.StepWithdrawn):
            self.withdrawn.append(event.action_id)
            self.seen.actions.pop(event.action_id, None)

    def _take_alerts(self, rows: Sequence[AlertRow], texts: Sequence[bytes]) -> None:
        """Take alerts with their texts; most of the work of a large group, so it avoids a call per alert."""
        latest, incidents, taken = self.seen.alerts, self.seen.incidents, self.alerts
        keys = self.seen.keys
        for row, text in zip(rows, texts, strict=True):
            alert = row.alert
            fingerprint = alert.fingerprint
            old = latest.get(fingerprint)
            if old is not None:
                self._replace(fingerprint, old)
            firing = alert.status is _FIRING
            if firing:
                self.firing += 1
            else:
                self.resolved += 1
            if self._block_bytes >= _BLOCK_BYTES or len(self._block) == TEXTS_PER_BLOCK:
                self._new_block()
            n = self._first + len(self._block)
            self._block.append(text)
            self._block_bytes += len(text)
            name = row.incident
            incident = None if name is None else incidents[name].n
            key = keys.get(fingerprint)
            if key is None:
                key = fingerprint_key(fingerprint)
            taken[fingerprint] = (n, key, alert.starts_at, firing, incident, 0, row.seen_at)
            latest[fingerprint] = Latest(n, alert.starts_at, alert.status, name, 0)

    def _replace(self, fingerprint: str, old: Latest) -> None:
        """Make room for an alert's new row."""
        if old.status is _FIRING:
            self.firing -= 1
        else:
            self.resolved -= 1
        if fingerprint not in self.alerts:
            self.replaced.append(old.n)
            self.repeats.pop(old.n, None)

    def _new_block(self) -> None:
        self._block = self.blocks[self.next.block] = []
        self._block_bytes = 0
        self._first = self.next.block * TEXTS_PER_BLOCK
        self.next.block += 1

    def _take_repeat(self, fingerprint: str, at: float) -> None:
        latest = self.seen.alerts[fingerprint]
        self.seen.alerts[fingerprint] = latest._replace(repeats=latest.repeats + 1)
        row = self.alerts.get(fingerprint)
        if row is None:
            self.repeats[latest.n] = (self.repeats.get(latest.n, (0, at))[0] + 1, at)
        else:
            self.alerts[fingerprint] = (*row[:5], row[5] + 1, at)
