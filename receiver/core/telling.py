"""Who is told what: the outbox rows that a unit's events lead to. Pure and cheap, for it runs inside the unit.

The log keeps everything; people are told what changed. A storm of alerts on one incident is told by its first ten
alerts and then at each doubling, repeats of the same refusal once, looks when their verdict changes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from receiver.core import events as ev
from receiver.core.deadlines import late
from receiver.core.events import Recorded
from receiver.core.incident import Done, Incident
from receiver.core.notices import LANES as NOTICE_LANES
from receiver.core.notices import notices
from receiver.core.outbox import OutboxRow
from receiver.core.phrases import compared, listed, sentences, span
from receiver.core.timeline import Header, header, kind_of, tone_of
from receiver.core.words import Names, say

PAGE_LANES = "escalation:"
"""Lanes that call people."""

PAGERDUTY = "escalation:pagerduty"
"""The one that is also told when somebody answers and when it is over, for it goes on calling until then."""

SECOND_CHANNEL = "escalation:slack"
"""A second channel for what nobody answered or nothing repaired; requests for approval stay in the incident's own."""

CHART_LANES = "charts:"
"""Lanes that are shown a picture of an incident when it needs a person, and at its end."""

EACH_UNTIL = 10
"""Alerts of an incident that are told one by one; after that each doubling."""


def rows(
    before: Incident | None, incident: Incident, recorded: Sequence[Recorded], lanes: Sequence[str]
) -> tuple[OutboxRow, ...]:
    """Return what is to be told about one unit's events.

    Args:
        before: the incident as it was before them, None when they opened it.
        incident: the incident after them.
        recorded: the events, all of this incident.
        lanes: where to tell it: chats, and `escalation:...` for those who call people.
    """
    if before is not None and _nothing_new(before, incident, recorded):
        return ()
    told = list(_told(before, incident, recorded))
    shown = header(incident)
    repaint = before is None or _glance(header(before)) != _glance(shown) or _counts_tell(before, incident)
    found: list[OutboxRow] = []
    for lane in lanes:
        if lane.startswith(PAGE_LANES):
            found.extend(_pages(lane, recorded, told, shown))
            if lane == PAGERDUTY and before is not None:
                found.extend(_answered(lane, before, recorded))
                found.extend(_made_up_for(lane, before, incident, recorded))
            continue
        if lane.startswith(NOTICE_LANES):
            found.extend(notices(lane, before, incident, recorded))
            continue
        if lane.startswith(CHART_LANES):
            found.extend(_charts(lane, before, incident, recorded))
            continue
        if repaint and recorded:
            last = recorded[-1]
            key = f"{incident.id}/{last.seq}/{lane}/header"
            found.append(OutboxRow(lane, "header", key, incident.id, shown.as_json() | {"at": last.at}, last.at))
        for one, payload in told:
            kind = "approval" if isinstance(one.event, ev.ApprovalAsked) else "thread"
            key = f"{incident.id}/{one.seq}/{lane}/{payload['kind']}"
            found.append(OutboxRow(lane, kind, key, incident.id, payload, one.at))
    return tuple(found)


def _nothing_new(before: Incident, incident: Incident, recorded: Sequence[Recorded]) -> bool:
    """Whether more of the same alerts is all that happened: the hot path of a storm."""
    return (
        all(isinstance(one.event, ev.AlertsChanged) for one in recorded)
        and before.severity is incident.severity
        and not _counts_tell(before, incident)
    )


def _counts_tell(before: Incident, incident: Incident) -> bool:
    """Whether the number of alerts changed so much that people want to know."""
    if (before.firing, before.alerts) == (incident.firing, incident.alerts):
        return False
    quiet = before.firing == 0 or incident.firing == 0
    return quiet or incident.alerts <= EACH_UNTIL or before.alerts.bit_length() != incident.alerts.bit_length()


def _glance(shown: Header) -> tuple[object, ...]:
    """Return what makes two headers worth two messages: all but the counts."""
    people = shown.acknowledged_by, shown.owner, shown.paused_by
    return shown.state, shown.severity, shown.playbook, shown.mode, shown.acting, shown.unmarked, shown.late, *people


def _told(
    before: Incident | None, incident: Incident, recorded: Sequence[Recorded]
) -> Iterator[tuple[Recorded, dict[str, Any]]]:
    """Yield the events that people are told, each with its payload."""
    names = _names(before)
    refused = before.refused if before is not None else None
    check = before.check if before is not None else None
    purpose = check.purpose if check is not None else ""
    verdict: object = check.last_verdict if check is not None and check.looks else _NO_LOOK
    raised = before is not None and incident.severity < before.severity
    counts = before is None or raised or _counts_tell(before, incident)
    opened = any(isinstance(one.event, ev.Opened) for one in recorded)
    for one in recorded:
        event = one.event
        names.learn(event)
        tell = True
        match event:
            case ev.AlertsChanged():
                # What opened the incident is told by `Opened` itself.
                tell = counts and not (opened and event.started <= 1 and not event.ended)
            case ev.StepRefused():
                tell, refused = event.guardrail != refused, event.guardrail
            case ev.CheckBegan():
                purpose, verdict = event.purpose, _NO_LOOK
                tell = purpose != "escalated"
            case ev.Sampled():
                tell, verdict = event.verdict is not verdict and purpose != "escalated", event.verdict
            case ev.Verified():
                tell = event.purpose != "escalated" or event.verdict == "passed"
            case _:
                pass
        if tell:
            payload = _payload(one, incident, names)
            if raised and before is not None and isinstance(event, ev.AlertsChanged | ev.SeverityChanged):
                payload["raised"] = f"{before.severity.value} → {incident.severity.value}"
                raised = False
            yield one, payload
    if recorded and not incident.open and (before is None or before.open):
        last = recorded[-1]
        text = closing(incident)
        yield last, _base(incident) | {"at": last.at, "kind": "summary", "text": text, "tone": "good"}


_NO_LOOK = object()


def _names(before: Incident | None) -> Names:
    """Return what ids of an incident's open matters stand for."""
    names = Names()
    if before is not None and before.action is not None:
        names.actions[before.action.action_id] = (before.action.step, before.action.kind)
    if before is not None and before.approval is not None:
        approval = before.approval
        names.approvals[approval.id] = (approval.step, approval.needed)
        names.votes[approval.id] = {vote.person for vote in approval.votes if vote.approve}
    return names


def _base(incident: Incident) -> dict[str, Any]:
    return {"severity": incident.severity.value, "target": incident.target}


def _payload(recorded: Recorded, incident: Incident, names: Names) -> dict[str, Any]:
    event = recorded.event
    payload = _base(incident) | {
        "at": recorded.at,
        "kind": kind_of(event),
        "text": say(event, names),
        "tone": tone_of(event),
    }
    if isinstance(event, ev.ApprovalAsked):
        payload |= {
            "approval": event.approval,
            "step": event.step,
            "needed": event.needed,
            "expires_at": event.expires_at,
            "reason_required": event.reason_required,
        }
    elif isinstance(event, ev.Voted | ev.ApprovalEnded | ev.ApprovalSuspended):
        payload["approval"] = event.approval
    elif isinstance(event, ev.Verified):
        payload["numbers"] = compared(event.before, event.after)
    return payload


def _pages(
    lane: str, recorded: Sequence[Recorded], told: Sequence[tuple[Recorded, dict[str, Any]]], shown: Header
) -> Iterator[OutboxRow]:
    """Yield the rows that call people: an escalation, its repeats, and a question that waits for an answer."""
    texts = {(one.seq, payload["kind"]): payload["text"] for one, payload in told}
    for one in recorded:
        event = one.event
        match event:
            case ev.Escalated(page=True):
                number, kind = 1, "escalated"
            case ev.Paged():
                number, kind = event.number, "paged"
            case ev.ResponseMissed():
                number, kind = 1, "response_missed"
            case ev.ApprovalAsked() if lane != SECOND_CHANNEL:
                number, kind = 1, "approval_asked"
            case _:
                continue
        payload = {
            "at": one.at,
            "kind": kind,
            "number": number,
            "text": texts.get((one.seq, kind), ""),
            "incident": shown.as_json(),
        }
        if isinstance(event, ev.ResponseMissed):
            payload["what"] = event.what
        if isinstance(event, ev.ApprovalAsked):
            payload["answer"] = answers(one.incident, reason_required=event.reason_required)
            payload["approval"] = event.approval
        yield OutboxRow(lane, "page", f"{one.incident}/{one.seq}/{lane}/{kind}", one.incident, payload, one.at)


def _answered(lane: str, before: Incident, recorded: Sequence[Recorded]) -> Iterator[OutboxRow]:
    """Yield the rows that end a call: somebody has it, a request is decided, the incident is over."""
    called = before.pages > 0 or before.late is not None
    for one in recorded:
        event = one.event
        payload: dict[str, Any] = {"at": one.at}
        match event:
            case ev.Escalated(page=True) | ev.ResponseMissed(what="acknowledge"):
                called = True
                continue
            case ev.ApprovalEnded():
                payload |= {"kind": "over", "approval": event.approval}
            case ev.Acknowledged() | ev.TakenOver() if called:
                payload |= {"kind": "acknowledged"}
            case ev.Resolved() | ev.Closed() if called:
                payload |= {"kind": "over"}
            case _:
                continue
        key = f"{one.incident}/{one.seq}/{lane}/{payload['kind']}"
        yield OutboxRow(lane, "answer", key, one.incident, payload, one.at)


def _made_up_for(lane: str, before: Incident, incident: Incident, recorded: Sequence[Recorded]) -> Iterator[OutboxRow]:
    """Yield the rows that end the calls about late phases: each is done by now, or the incident is over."""
    if not recorded:
        return
    last = recorded[-1]
    for what in sorted(set(late(before)) - set(late(incident)) - {"acknowledge"}):
        key = f"{last.incident}/{last.seq}/{lane}/over/{what}"
        payload = {"at": last.at, "kind": "over", "what": what}
        yield OutboxRow(lane, "answer", key, last.incident, payload, last.at)


def _charts(
    lane: str, before: Incident | None, incident: Incident, recorded: Sequence[Recorded]
) -> Iterator[OutboxRow]:
    """Yield a row for the last moment of a unit that is worth a picture; it names the event up to which it is drawn."""
    ended = not incident.open and (before is None or before.open)
    worth = [one for one in recorded if isinstance(one.event, ev.Escalated) and one.event.page]
    if last := recorded[-1:] if ended else worth[-1:]:
        (one,) = last
        payload = {"at": one.at, "kind": "chart", "seq": one.seq}
        yield OutboxRow(lane, "chart", f"{incident.id}/{one.seq}/{lane}", incident.id, payload, one.at)


def _ended(done: Done) -> str:
    """Say how a step ended."""
    words = {"would_have": "would have run", "executed": "done", "passed": "helped"}
    return words.get(done.result, done.result) + (" (taken back)" if done.taken_back else "")


def answers(incident: str, *, reason_required: bool) -> list[str]:
    """Return the command lines that approve and deny what an incident asks for."""
    reason = ' --reason "..."' if reason_required else ""
    return [f"remediator approve {incident}{reason}", f'remediator deny {incident} --reason "..."']


def closing(incident: Incident) -> str:
    """Return the last message of an incident: how long, what was done, by whom."""
    seconds = (incident.ended_at or incident.updated_at) - incident.opened_at
    steps = listed((f"{one.step} {_ended(one)}" for one in incident.done), 10)
    what = f"{incident.severity.value} {incident.alert} on {incident.target}"
    return sentences(
        f"{what}: {incident.phase.value} after {span(seconds)}",
        f"Steps: {steps}" if steps else "Nothing was done by the service",
        f"It needed a person: {incident.escalation}" if incident.escalation else "",
    )
