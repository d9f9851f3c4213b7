"""`receiver.ports.Store` in memory: for simulations and tests. Nothing survives, everything else is as it is on a disk.

It passes the same contract suite as the databases, and uses their checks and their encoding, so that what could not be
stored for real can't be stored here either.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from receiver.core.events import Recorded
from receiver.core.incident import Incident
from receiver.core.playbook import Playbook
from receiver.ports import (
    ActionRecord,
    AlertRow,
    Body,
    Changes,
    Clock,
    FeedPage,
    IncidentFilter,
    OutboxRow,
    Page,
    Quarantined,
    StoreUnavailable,
    Unit,
    Waiting,
)
from receiver.store.batch import Batch, Numbers
from receiver.store.cache import Kept
from receiver.store.codec import decode, decode_event, encode, encode_event
from receiver.store.loading import Seen
from receiver.store.mailbox import Mailbox


class MemoryStore:
    """All of it in dictionaries.

    Args:
        clock: for what may be sent again now.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._seen = Seen()
        self._numbers = Numbers(1, 1)
        self._alerts: dict[str, AlertRow] = {}
        self._events: dict[str, list[tuple[float, str, int, bytes]]] = {}
        self._feed: list[tuple[str, int]] = []
        self._mailbox = Mailbox()
        self._playbooks: dict[str, Playbook] = {}
        self._counters: Counter[str] = Counter()
        self._bodies: list[Body] = []
        self._quarantined: list[Quarantined] = []
        self._named: dict[str, bytes] = {}
        self._closed = False
        self.failing: Exception | None = None
        """When set, what a disk would raise for every write."""

    def _writable(self) -> None:
        if self._closed:
            raise StoreUnavailable("the store is closed")
        if self.failing is not None:
            raise self.failing

    async def submit(self, unit: Unit) -> Changes:
        """Decide and apply one unit."""
        self._writable()
        for target in unit.targets:
            self._seen.open.setdefault(target, None)
        batch = Batch(self._seen, self._numbers)
        changes = unit.decide(batch.view(unit))
        batch.add(unit, changes)
        for row in changes.alerts:
            # Last in the order of change, as a changed row is in a database.
            self._alerts.pop(row.alert.fingerprint, None)
            self._alerts[row.alert.fingerprint] = row
        for repeat in changes.repeats:
            row = self._alerts[repeat.fingerprint]
            self._alerts[repeat.fingerprint] = _seen_again(row, repeat.at)
        for recorded in changes.events:
            self._events.setdefault(recorded.incident, []).append((recorded.at, *encode_event(recorded.event)))
            self._feed.append((recorded.incident, recorded.seq))
        for told in batch.outbox:
            self._mailbox.add(told)
        self._playbooks.update(batch.playbooks)
        self._counters.update(batch.counters)
        self._bodies += batch.bodies
        self._quarantined += batch.quarantined
        return changes

    async def due(self, now: float, limit: int) -> Sequence[tuple[str, str]]:
        """Return (incident, target) of wake-ups that are due, earliest first."""
        found = sorted(
            (kept.wake, kept.n, kept.state.id, kept.state.target)
            for kept in self._seen.incidents.values()
            if kept.wake is not None and kept.wake <= now
        )
        return [(incident, target) for _, _, incident, target in found[:limit]]

    async def next_wake(self, after: float | None = None) -> float | None:
        """Return when the earliest wake-up is due, or the earliest one later than `after`."""
        wakes = (kept.wake for kept in self._seen.incidents.values() if kept.wake is not None)
        return min((wake for wake in wakes if after is None or wake > after), default=None)

    async def incident(self, incident_id: str) -> Incident | None:
        """Return one incident."""
        kept = self._seen.incidents.get(incident_id)
        return None if kept is None else kept.state

    async def incidents(self, wanted: IncidentFilter) -> Page:
        """Return incidents, newest first."""
        found = [
            (kept.n, kept.state)
            for kept in sorted(self._seen.incidents.values(), key=_number, reverse=True)
            if _wanted(kept.state, wanted)
        ]
        return _page(found, wanted.limit, wanted.after)

    async def events(self, incident_id: str, after: int = 0, limit: int = 1000) -> Sequence[Recorded]:
        """Return the log of an incident from `seq > after`."""
        log = self._events.get(incident_id, [])
        return [
            Recorded(incident_id, seq, at, decode_event(name, version, body))
            for seq, (at, name, version, body) in enumerate(log[max(0, after) :][:limit], max(0, after) + 1)
        ]

    async def feed(self, after: int, limit: int = 500) -> FeedPage:
        """Return the events of all incidents behind a place, in order."""
        events: list[tuple[int, Recorded]] = []
        for place, (incident, seq) in enumerate(self._feed[after : after + limit], after + 1):
            events += [(place, one) for one in await self.events(incident, seq - 1, 1)]
        return FeedPage(events, min(after, len(self._feed)) + len(events), after <= len(self._feed))

    async def feed_end(self) -> int:
        """Return the place of the latest event; 0 when there is none."""
        return len(self._feed)

    async def alerts(self, incident_id: str, limit: int = 1000) -> Sequence[AlertRow]:
        """Return the alerts of an incident, those that fire first."""
        found = [row for row in self._alerts.values() if row.incident == incident_id]
        return sorted(found, key=lambda row: row.alert.status)[:limit]

    async def firing(self, limit: int = 100_000) -> Mapping[str, AlertRow]:
        """Return the alerts that fire, by fingerprint."""
        found = [row for row in self._alerts.values() if row.alert.status == "firing"]
        return {row.alert.fingerprint: row for row in found[:limit]}

    async def unmatched(self, limit: int = 100, after: str | None = None) -> Page:
        """Return alerts that no playbook took, newest first."""
        found = [
            (self._seen.alerts[name].n, row) for name, row in reversed(self._alerts.items()) if row.incident is None
        ]
        return _page(found, limit, after)

    async def quarantined(self, limit: int = 100, after: str | None = None) -> Page:
        """Return alerts that could not be read, newest first."""
        return _page(list(enumerate(self._quarantined, 1))[::-1], limit, after)

    async def bodies(self, since: float, until: float, limit: int = 100) -> Sequence[Body]:
        """Return raw bodies that were received in that time, oldest first."""
        return [body for body in self._bodies if since <= body.received_at <= until][:limit]

    async def playbook(self, version: str) -> Playbook | None:
        """Return a stored playbook version."""
        return self._playbooks.get(version)

    async def actions(self, since: float) -> Sequence[ActionRecord]:
        """Return actions started since then, and all that are under way, earliest first."""
        found = [one for one in self._seen.actions.values() if one.started_at >= since or one.ended_at is None]
        return sorted(found, key=lambda one: one.started_at)

    async def outbox(self, limit: int) -> Sequence[tuple[int, OutboxRow, int]]:
        """Return (row id, row, attempts) that may be sent now: the head of each lane."""
        return self._mailbox.heads(self._clock.now(), limit)

    async def sent(self, row: int, reference: str | None) -> None:
        """Mark a row as sent, keeping the reference of a header."""
        self._writable()
        self._mailbox.sent(row, reference)

    async def unsent(self, row: int, error: str, again_at: float | None) -> None:
        """Count a failed attempt; tried again at that time, None: to the dead letters."""
        self._writable()
        self._mailbox.unsent(row, error, again_at)

    async def reference(self, lane: str, incident: str) -> str | None:
        """Return the reference of an incident's header in a lane."""
        return self._mailbox.references.get((lane, incident))

    async def refer(self, lane: str, incident: str, reference: str | None) -> None:
        """Keep another reference of an incident's header, or none."""
        self._writable()
        self._mailbox.refer(lane, incident, reference)

    async def lane(self, lane: str, limit: int) -> Sequence[Waiting]:
        """Return what waits in a lane by incident, the worst severity first, then the oldest."""
        states = {name: kept.state for name, kept in self._seen.incidents.items()}
        return self._mailbox.lane(lane, states)[:limit]

    async def lane_rows(
        self, lane: str, incident: str, limit: int, *, header: bool = False
    ) -> Sequence[tuple[int, OutboxRow, int]]:
        """Return (row id, row, attempts) of an incident's entries that wait in a lane, in order; or of its header."""
        return self._mailbox.lane_rows(lane, incident, header=header)[:limit]

    async def letters(self, *, dead: bool, limit: int = 100, after: str | None = None) -> Page:
        """Return rows that wait, or those that were given up, newest first."""
        return _page(self._mailbox.letters("dead" if dead else "waiting"), limit, after)

    async def resend(self, letter: str) -> bool:
        """Let a dead letter wait again; False when there is none of that id."""
        self._writable()
        return self._mailbox.resend(letter)

    async def get(self, key: str) -> Any:
        """Return a small named JSON value; None when unset."""
        return decode(self._named[key]) if key in self._named else None

    async def put(self, key: str, value: Any) -> None:
        """Set a small named JSON value."""
        self._writable()
        self._named[key] = encode(value)

    async def counts(self) -> Mapping[str, Any]:
        """Return figures for metrics; sizes are 0."""
        states = [kept.state for kept in self._seen.incidents.values()]
        statuses = Counter(row.alert.status.value for row in self._alerts.values())
        return {
            "incidents": dict(Counter((state.phase.value, state.severity.value) for state in states)),
            "alerts": {"firing": statuses["firing"], "resolved": statuses["resolved"]},
            "outbox": self._mailbox.counts(),
            "paged": sum(state.page_at is not None for state in states),
            "wakes": sum(kept.wake is not None for kept in self._seen.incidents.values()),
            "waiting_units": 0,
            "counters": dict(self._counters),
            "bytes": 0,
            "bytes_limit": 0,
            "disk_free": 0,
            "full": None,
        }

    async def prune(self, now: float) -> Mapping[str, int]:
        """Delete nothing: what is in memory ends with the process."""
        del now
        return {}

    async def close(self) -> None:
        """Take nothing more."""
        self._closed = True


def _number(kept: Kept) -> int:
    return kept.n


def _wanted(state: Incident, wanted: IncidentFilter) -> bool:
    return (
        (state.open or not wanted.open_only)
        and wanted.state in {None, state.phase.value}
        and wanted.target in {None, state.target}
        and wanted.severity in {None, state.severity.value}
    )


def _page(items: Sequence[tuple[int, Any]], limit: int, after: str | None) -> Page:
    """Return a page of (number, item), which are newest first."""
    rest = [one for one in items if after is None or one[0] < int(after)]
    following = str(rest[limit - 1][0]) if len(rest) > limit else None
    return Page([item for _, item in rest[:limit]], following)


def _seen_again(row: AlertRow, at: float) -> AlertRow:
    return AlertRow(row.alert, row.incident, row.playbook, row.reason, at, row.repeats + 1)
