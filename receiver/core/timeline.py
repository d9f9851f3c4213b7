"""The timeline: events as entries, the incident as a header, its end as a summary.

The one rendering source for chat, page, command line and report. Pure: what it says depends on nothing but the log.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from receiver.core import events as ev
from receiver.core.deadlines import WORDS, late, unmarked
from receiver.core.events import Recorded
from receiver.core.incident import Incident, Phase
from receiver.core.phrases import before_and_after, clean, listed, sentences, span
from receiver.core.redaction import hide, hide_deep
from receiver.core.words import Names, purpose_words, say, step_words

CHANGES_LIMIT = 20
"""Alerts of one `AlertsChanged` that an entry's data lists; the counts are exact."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the timeline.

    Args:
        at: UNIX seconds.
        kind: the event's name in snake case, e.g. `step_started`.
        text: for people, one line.
        data: the event's fields as JSON types.
        tone: `good`, `bad`, `warn` or `info`, for colours and marks.
        seq: of the event in its incident's log.
        alike: of a row of looks with the same verdict, how many there were so far; else 1.
    """

    at: float
    kind: str
    text: str
    data: Mapping[str, Any] = field(default_factory=dict)
    tone: str = "info"
    seq: int = 0
    alike: int = 1

    @property
    def replaces(self) -> bool:
        """Whether it takes the place of the entry before it: only the first and the last look of a row are shown."""
        return self.alike > 2


class Teller:
    """Tells the events of one log, one after the other from its start: live, and for `entries`."""

    def __init__(self) -> None:
        self.seq = 0
        self._names = Names()
        self._verdict: object = _NO_LOOK
        self._alike = 1

    def tell(self, recorded: Recorded) -> Entry:
        """Return the next event's entry."""
        self.learn(recorded)
        event = recorded.event
        text = say(event, self._names)
        if self._alike > 1:
            text = f"{text} ({self._alike} looks alike)"
        return Entry(recorded.at, kind_of(event), text, data_of(event), tone_of(event), recorded.seq, alike=self._alike)

    def learn(self, recorded: Recorded) -> None:
        """Take note of the next event without telling it."""
        event = recorded.event
        self.seq = recorded.seq
        self._names.learn(event)
        verdict = event.verdict if isinstance(event, ev.Sampled) else _NO_LOOK
        self._alike = self._alike + 1 if isinstance(event, ev.Sampled) and verdict is self._verdict else 1
        self._verdict = verdict


def entries(events: Sequence[Recorded]) -> list[Entry]:
    """Return the timeline of a log read from its start.

    Every event gives an entry, but of a row of looks with the same verdict only the first and the last.
    """
    teller = Teller()
    found: list[Entry] = []
    for recorded in events:
        one = teller.tell(recorded)
        if one.replaces:
            found[-1] = one
        else:
            found.append(one)
    return found


def kind_of(event: ev.Event) -> str:
    """Return an event's name in snake case."""
    return _KINDS[type(event)]


def tone_of(event: ev.Event) -> str:
    """Return how an event is to be taken: `good`, `bad`, `warn` or `info`."""
    match event:
        case ev.Resolved() | ev.Verified(verdict="passed") | ev.StepFinished(ok=True):
            return "good"
        case ev.Escalated(page=False):
            return "warn"
        case (
            ev.Escalated()
            | ev.Paged()
            | ev.ResponseMissed()
            | ev.Verified(verdict="failed")
            | ev.StepFinished(ok=False)
        ):
            return "bad"
        case ev.Opened() | ev.StepRefused() | ev.StepInDoubt() | ev.ApprovalAsked() | ev.Verified():
            return "warn"
        case ev.TakenOver() | ev.SeverityChanged() | ev.Paused() | ev.CleanupInterrupted() | ev.StepWithdrawn():
            return "warn"
        case _:
            return "info"


def data_of(event: ev.Event) -> dict[str, Any]:
    """Return an event's fields as JSON types, credentials hidden; lists of alerts are cut, their counts are not."""
    if isinstance(event, ev.AlertsChanged):
        alerts = [
            {
                "fingerprint": one.fingerprint,
                "status": one.status.value,
                "name": one.name,
                "severity": one.severity.value,
            }
            for one in event.changes[:CHANGES_LIMIT]
        ]
        return {"started": event.started, "ended": event.ended, "source": event.source, "alerts": alerts}
    hidden: dict[str, Any] = hide_deep({one.name: getattr(event, one.name) for one in fields(event)})
    return hidden


_NO_LOOK = object()
_KINDS = {kind: re.sub(r"(?<!^)(?=[A-Z])", "_", kind.__name__).lower() for kind in ev.VERSIONS}


# --- the header -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Header:
    """An incident at a glance; two equal headers need no second message.

    Args:
        incident: its id.
        state: its phase.
        severity, playbook, target, alert: as the incident has them; `alert` is the name of the one that opened it.
        mode: `observe` or `act`.
        firing, alerts: alerts that fire now, and all that ever belonged.
        acting: who acts: the service, a person, nobody; and on what.
        since: UNIX seconds at which it was opened.
        ended: UNIX seconds of its end, None while open.
        title: all of it in one line.
        acknowledged_by, owner, paused_by: who saw it, took it over, stopped automation; None: nobody.
        automatic: whether the service acts by itself, or would when it weren't paused.
        unmarked: the phases of a P1 that a person may mark: `assessed`, `mitigated`.
        late: what people were told is late and still isn't done, in words: `acknowledged`, `assessed`, ...
    """

    incident: str
    state: str
    severity: str
    playbook: str
    target: str
    alert: str
    mode: str
    firing: int
    alerts: int
    acting: str
    since: float
    ended: float | None
    title: str
    acknowledged_by: str | None = None
    owner: str | None = None
    paused_by: str | None = None
    automatic: bool = False
    unmarked: tuple[str, ...] = ()
    late: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON types."""
        return {one.name: getattr(self, one.name) for one in fields(self)}


def header(incident: Incident) -> Header:
    """Return what the header of an incident shows."""
    acting = clean(_acting(incident), 200)
    count = f"{incident.firing} of {incident.alerts} alert{'s' if incident.alerts != 1 else ''} firing"
    if not incident.alerts:
        count = f"declared by {incident.started_by}"
    title = (
        f"{incident.severity.value} {state_words(incident)} · {incident.target} · {incident.alert} · {count} · {acting}"
    )
    return Header(
        incident=incident.id,
        state=incident.phase.value,
        severity=incident.severity.value,
        playbook=incident.playbook,
        target=incident.target,
        alert=clean(incident.alert, 100),
        mode=incident.mode,
        firing=incident.firing,
        alerts=incident.alerts,
        acting=acting,
        since=incident.opened_at,
        ended=incident.ended_at,
        title=clean(title, 500),
        acknowledged_by=incident.acknowledged_by,
        owner=incident.owner,
        paused_by=incident.paused_by,
        automatic=incident.open and incident.automatic,
        unmarked=unmarked(incident),
        late=tuple(WORDS[one] for one in late(incident)),
    )


_STATES = {
    Phase.TRIAGE: "OPEN",
    Phase.AWAITING_APPROVAL: "WAITS FOR APPROVAL",
    Phase.ACTING: "ACTING",
    Phase.VERIFYING: "VERIFYING",
    Phase.HOLDING: "HOLDING",
    Phase.ESCALATED: "ESCALATED",
    Phase.CLEANUP: "CLEANING UP",
    Phase.RESOLVED: "RESOLVED",
    Phase.CLOSED: "CLOSED",
}


def state_words(incident: Incident) -> str:
    """Return an incident's state for people."""
    return _STATES[incident.phase]


def _acting(incident: Incident) -> str:
    """Say who acts, on what."""
    if not incident.open:
        return f"over after {span((incident.ended_at or incident.updated_at) - incident.opened_at)}"
    action, check, approval = incident.action, incident.check, incident.approval
    who = "remediator"
    if incident.owner is not None:
        who = f"{incident.owner} (took over)"
    elif incident.escalation is not None:
        seen = f", seen by {incident.acknowledged_by}" if incident.acknowledged_by else ""
        reason = hide(incident.escalation)
        who = f"nobody (left open: {reason})" if incident.quiet else f"people (needed: {reason}{seen})"
    elif not incident.alerts:
        who = f"people (seen by {incident.acknowledged_by})" if incident.acknowledged_by else "nobody yet"
    elif incident.paused_by is not None:
        who = f"nobody (paused by {incident.paused_by})"
    elif approval is not None and approval.state == "pending":
        agreed = len({vote.person for vote in approval.votes if vote.approve})
        who = f"people ({agreed} of {approval.needed} approved step {approval.step})"
    elif incident.observed or incident.mode == "observe":
        who = "nobody (observing)"
    elif incident.refused is not None:
        who = f"nobody (guardrail {incident.refused} refused)"
    if action is not None:
        return f"{who}: {step_words(action.step, action.kind)}{', in doubt' if action.doubt else ''}"
    return f"{who}: checks {purpose_words(check.purpose, check.step)}" if check is not None else who


# --- the summary ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Summary:
    """An incident's end in short.

    Args:
        outcome: `resolved`, `closed` or `open`.
        seconds: from its opening to its end, or to its last event.
        actions: what was done, each with how it ended, in order.
        approvers: people who approved.
        ended_by: what or who ended it.
        numbers: figures before and after, empty when none were measured.
        text: all of it, for people.
    """

    outcome: str
    seconds: float
    actions: tuple[str, ...]
    approvers: tuple[str, ...]
    ended_by: str
    numbers: str
    text: str


def summary(incident: Incident, events: Sequence[Recorded]) -> Summary:
    """Return what a log adds up to: duration, actions, approvers, what ended it."""
    names = Names()
    actions: list[str] = []
    approvers: dict[str, None] = {}
    ended_by = numbers = ""
    for recorded in events:
        event = recorded.event
        names.learn(event)
        match event:
            case ev.StepFinished():
                how = "done" if event.ok else "failed"
                actions.append(
                    f"{names.action(event.action_id)} {how}{f' in {span(event.seconds)}' * bool(event.seconds)}"
                )
            case ev.Voted(approve=True):
                approvers[event.person] = None
            case ev.Verified(verdict="passed"):
                numbers = before_and_after(event.before, event.after) or numbers
            case ev.Resolved():
                ended_by = event.text
            case ev.Closed():
                ended_by = f"{event.person}: {event.reason}"
            case _:
                pass
    seconds = (incident.ended_at or incident.updated_at) - incident.opened_at
    outcome = incident.phase.value if not incident.open else "open"
    text = sentences(
        f"{incident.severity.value} {incident.alert} on {incident.target}: {outcome} after {span(seconds)}",
        f"{'What ended it' if ended_by else ''}{': ' if ended_by else ''}{ended_by}",
        f"Actions: {listed(actions, 10) or 'none'}",
        f"Approved by {', '.join(approvers)}" if approvers else "",
        f"Before -> after: {numbers}" if numbers else "",
    )
    return Summary(outcome, seconds, tuple(actions), tuple(approvers), ended_by, numbers, clean(text))
