"""What a batch of alerts does to the incidents: the decision of one ingest unit."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from receiver.core import events as ev
from receiver.core.alert import Alert, AlertStatus, Change, Known, change_of
from receiver.core.fold import evolve
from receiver.core.incident import Incident
from receiver.core.redaction import hide
from receiver.core.routing import Match, NoMatch
from receiver.ports import AlertRow, Changes, Repeat, View

if TYPE_CHECKING:
    from receiver.engine import Engine, Step

# Every alert asks these several times; an enum's attribute and its hash cost more than a module's name.
_FIRING = AlertStatus.FIRING
_REPEAT = Change.REPEAT
_STALE = Change.STALE
_COUNTED = (Change.NEW, _REPEAT, Change.RESOLVED, Change.REFIRED, _STALE)
"""In the order of `Received`."""

GIVE_UP = 86_400.0
"""Seconds after which people are called about an incident that only watches its alert."""


class Received(NamedTuple):
    """How many alerts of a delivery were what."""

    new: int = 0
    repeats: int = 0
    resolved: int = 0
    refired: int = 0
    stale: int = 0
    unmatched: int = 0

    def and_then(self, other: Received) -> Received:
        """Return how many alerts of both were what."""
        return Received(*map(operator.add, self, other))


class _Gathered:
    """One incident's part of a batch."""

    __slots__ = ("before", "changes", "ended", "incident", "recorded", "started")

    def __init__(self, before: Incident | None, incident: Incident, recorded: list[ev.Recorded]) -> None:
        self.before = before
        self.incident = incident
        self.recorded = recorded
        self.changes: list[ev.AlertChange] = []
        self.started = 0
        self.ended = 0


class Batch:
    """At most 500 alerts of one delivery. `decide` may run more than once; each run starts afresh."""

    def __init__(self, engine: Engine, alerts: Sequence[Alert], source: str, now: float) -> None:
        self._engine = engine
        self.alerts = alerts
        self.source = source
        self.now = now
        self._matches = [engine.router.choose(alert.labels) for alert in alerts]
        self.fingerprints = [alert.fingerprint for alert in alerts]
        self.targets = list({match.service.name for match in self._matches if isinstance(match, Match)})
        self.received = Received()

    def decide(self, view: View) -> Changes:
        """Return what to write; pure but for the ids of new incidents."""
        self._view = view
        self._latest: dict[str, Known] = dict(view.alerts)
        self._gathered: dict[str, _Gathered] = {}
        self._open: dict[str, str] = {}
        self._rows: dict[str, AlertRow] = {}
        self._repeats: list[Repeat] = []
        self._found: list[Change] = []
        self._unmatched = 0
        for alert, match in zip(self.alerts, self._matches, strict=True):
            self._take(alert, match)
        new, repeats, resolved, refired, stale = map(self._found.count, _COUNTED)
        self.received = Received(new, repeats, resolved, refired, stale, self._unmatched)
        return self._written()

    def _take(self, alert: Alert, match: Match | NoMatch) -> None:
        known = self._latest.get(alert.fingerprint)
        change = change_of(alert, known)
        if change is _REPEAT and _is_taken_now(alert, match, known):
            change = Change.NEW
        self._found.append(change)
        if change is _REPEAT or change is _STALE:
            self._repeats.append(Repeat(alert.fingerprint, self.now))
            return
        row = self._fired(alert, match, known) if alert.status is _FIRING else self._ended(alert, match, known)
        self._rows[alert.fingerprint] = row
        self._latest[alert.fingerprint] = Known(alert.starts_at, alert.status, row.incident)

    def _fired(self, alert: Alert, match: Match | NoMatch, known: Known | None) -> AlertRow:
        if known is not None and known.status is _FIRING:
            # It flapped between two flushes: the earlier episode ended without a word, wherever the new one leads.
            self._end(alert, known.incident)
        if isinstance(match, NoMatch):
            self._unmatched += 1
            return AlertRow(alert, None, reason=match.reason, seen_at=self.now)
        gathered = self._join(alert, match)
        playbook = match.playbook
        change = ev.AlertChange(
            alert.fingerprint,
            _FIRING,
            alert.starts_at,
            alert.name,
            match.severity,
            playbook.name,
            playbook.version,
            playbook.rank,
        )
        gathered.changes.append(change)
        gathered.started += 1
        return AlertRow(alert, gathered.incident.id, playbook.name, None, self.now)

    def _ended(self, alert: Alert, match: Match | NoMatch, known: Known | None) -> AlertRow:
        incident = known.incident if known is not None else None
        fired = known is not None and known.status is _FIRING
        if fired:
            self._end(alert, incident)
        return AlertRow(alert, incident, reason=None if incident else _why_nobodys(match, fired), seen_at=self.now)

    def _end(self, alert: Alert, incident_id: str | None) -> None:
        gathered = self._of(incident_id)
        if gathered is None:
            return
        lead = gathered.incident
        gathered.changes.append(
            ev.AlertChange(
                alert.fingerprint,
                AlertStatus.RESOLVED,
                alert.starts_at,
                alert.name,
                lead.severity,
                lead.playbook,
                lead.version,
                lead.rank,
            )
        )
        gathered.ended += 1

    def _of(self, incident_id: str | None) -> _Gathered | None:
        """Return the open incident of that id."""
        if incident_id is None:
            return None
        if (found := self._gathered.get(incident_id)) is None:
            incident = self._view.incidents.get(incident_id)
            if incident is None or not incident.open:
                return None
            found = self._gathered[incident_id] = _Gathered(incident, incident, [])
            self._open[incident.target] = incident_id
        return found

    def _join(self, alert: Alert, match: Match) -> _Gathered:
        target = match.service.name
        if (incident_id := self._open.get(target)) is not None:
            return self._gathered[incident_id]
        if (incident := self._view.open.get(target)) is not None:
            found = _Gathered(incident, incident, [])
        else:
            found = self._opened(alert, match)
        self._gathered[found.incident.id] = found
        self._open[target] = found.incident.id
        return found

    def _opened(self, alert: Alert, match: Match) -> _Gathered:
        playbook = match.playbook
        event = ev.Opened(
            target=match.service.name,
            playbook=playbook.name,
            version=playbook.version,
            rank=playbook.rank,
            severity=match.severity,
            mode=self._engine.mode,
            reason=match.reason,
            alert=alert.name,
            labels=alert.labels,
            annotations=_short(alert),
            starts_at=alert.starts_at / 1e9 if alert.starts_at else self.now,
            settle_until=self.now + playbook.settle,
            give_up_at=self.now + GIVE_UP,
            description=playbook.description,
        )
        recorded = ev.Recorded(self._engine.ids.incident(), 1, self.now, event)
        return _Gathered(None, evolve(None, recorded), [recorded])

    def _written(self) -> Changes:
        steps = [self._step(gathered) for gathered in self._gathered.values()]
        rows = list(self._rows.values())
        return self._engine.changes(steps, self.now, alerts=rows, repeats=self._repeats)

    def _step(self, gathered: _Gathered) -> Step:
        event = ev.AlertsChanged(tuple(gathered.changes), gathered.started, gathered.ended, self.source)
        step = self._engine.apply(gathered.incident, [event] if gathered.changes else [], self.now)
        return self._engine.follow(step.after(gathered.before, gathered.recorded), self.now)


def _why_nobodys(match: Match | NoMatch, fired: bool) -> str:  # noqa: FBT001 - of one caller
    """Say why an alert that ended has no incident."""
    if not fired:
        return "it was resolved before it was seen firing"
    return match.reason if isinstance(match, NoMatch) else "no playbook took it while it fired"


def _is_taken_now(alert: Alert, match: Match | NoMatch, known: Known | None) -> bool:
    """Whether an alert that nobody took when it began, and that still fires, is taken by today's policy."""
    nobodys = known is not None and known.incident is None
    return nobodys and alert.status is AlertStatus.FIRING and isinstance(match, Match)


def _short(alert: Alert, limit: int = 2000) -> dict[str, str]:
    """Return the annotations with long texts cut: an annotation may be 100 kB, and the alert's row keeps it whole."""
    return {
        name: text if len(text) <= limit else f"{_whole_words(text, limit)}… ({len(text)} characters)"
        for name, text in alert.annotations.items()
    }


def _whole_words(text: str, limit: int) -> str:
    """Return a text's beginning; half a word could be half a credential, which nothing would know any more."""
    kept = hide(text)[: limit + 1]
    return kept[: max(kept.rfind(" "), kept.rfind("\n"), 0)]
