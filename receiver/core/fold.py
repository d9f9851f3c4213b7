"""`evolve`: what an event makes of an incident. Total, pure, and the only place where an incident's state changes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, TypeVar

from receiver.core import approval, deadlines, response
from receiver.core import events as ev
from receiver.core.alert import AlertStatus
from receiver.core.declared import DECLARED
from receiver.core.events import Recorded
from receiver.core.incident import Action, Check, Done, FoldError, Incident, Phase

CLEANUP_AGAIN = 60.0
"""Seconds until what could not be taken back is tried again."""

E = TypeVar("E")

_FIRING = AlertStatus.FIRING

_SILENT = (ev.AlertsChanged, ev.Sampled)
"""What comes by itself all the time and tells people little."""


def evolve(incident: Incident | None, recorded: Recorded) -> Incident:
    """Return the incident after the event.

    Raises:
        FoldError: the event can't follow (no `Opened` first, a gap in `seq`, an event after the end).
    """
    event = recorded.event
    if incident is None:
        if not isinstance(event, ev.Opened) or recorded.seq != 1:
            raise FoldError(f"{recorded.incident}: the log begins with {type(event).__name__} (seq {recorded.seq})")
        return _opened(event, recorded)
    if recorded.seq != incident.seq + 1:
        raise FoldError(f"{incident.id}: event {recorded.seq} follows {incident.seq}")
    if not incident.open and not isinstance(event, ev.Noted):
        raise FoldError(f"{incident.id}: {type(event).__name__} after the end")
    folded = _FOLDS[type(event)](incident, event, recorded.at)
    if folded.severity is not incident.severity:
        by = event.person if isinstance(event, ev.SeverityChanged) else ""
        folded = deadlines.begun(response.judged(folded, incident, recorded.at, by))
    if isinstance(event, _SILENT):
        return folded.but(seq=recorded.seq, updated_at=recorded.at)
    folded = deadlines.marked(folded, event, recorded.at)
    return folded.but(seq=recorded.seq, updated_at=recorded.at, said_at=recorded.at)


def replay(log: Iterable[Recorded]) -> Incident | None:
    """Return the incident that a log adds up to; None for an empty one."""
    incident: Incident | None = None
    for recorded in log:
        incident = evolve(incident, recorded)
    return incident


def _opened(event: ev.Opened, recorded: Recorded) -> Incident:
    return Incident(
        id=recorded.incident,
        seq=recorded.seq,
        target=event.target,
        playbook=event.playbook,
        version=event.version,
        rank=event.rank,
        severity=event.severity,
        worst=event.severity,
        mode=event.mode,
        phase=Phase.TRIAGE,
        opened_at=recorded.at,
        updated_at=recorded.at,
        alert=event.alert,
        labels=event.labels,
        annotations=event.annotations,
        starts_at=event.starts_at,
        settle_until=event.settle_until,
        deadline=event.give_up_at or None,
        started_by=event.started_by,
        # There is no alert to be confirmed, and perhaps no service to look at.
        diagnosed=event.playbook == DECLARED.name,
    )


def _alerts(incident: Incident, event: ev.AlertsChanged, at: float) -> Incident:
    severity, wanted = incident.severity, incident.wanted
    worst = incident.worst or severity
    lead = wanted[2] if wanted else incident.rank
    for change in event.changes:
        if change.status is _FIRING:
            # What a person judged less bad stands against alerts that are no worse than the worst so far.
            if change.severity is not severity and change.severity < worst:
                severity = worst = change.severity
            if change.rank < lead:
                wanted, lead = (change.playbook, change.version, change.rank), change.rank
    asked = incident.approval
    if event.started and asked is not None and asked.checked:
        asked = replace(asked, checked=False)
    return incident.but(
        severity=severity,
        wanted=wanted,
        approval=asked,
        firing=max(0, incident.firing + event.started - event.ended),
        alerts=incident.alerts + event.started,
        gone_checked=incident.gone_checked and not event.started,
    )


def _lead_changed(incident: Incident, event: ev.LeadChanged, at: float) -> Incident:
    after = replace(
        incident, playbook=event.playbook, version=event.version, rank=event.rank, wanted=None, observed=False
    )
    if incident.phase is Phase.HOLDING:
        return replace(after, phase=Phase.TRIAGE, check=None, hold_until=None, resolve_by=None)
    if incident.quiet:
        return replace(after, phase=Phase.TRIAGE, check=None, escalation=None, retry_at=None)
    return after


def _diagnosed(incident: Incident, event: ev.Diagnosed, at: float) -> Incident:
    return incident.but(diagnosed=True, diagnosed_at=at, confirmed=event.confirmed, before=event.readings)


def _refused(incident: Incident, event: ev.StepRefused, at: float) -> Incident:
    give_up = incident.give_up_at if incident.give_up_at is not None else event.give_up_at
    return replace(incident, refused=event.guardrail, refusal=event.reason, retry_at=event.retry_at, give_up_at=give_up)


def _skipped(incident: Incident, event: ev.StepSkipped, at: float) -> Incident:
    done = (*incident.done, Done(event.step, "skipped", started_at=at))
    return replace(incident.settled(), done=done, approval=None, phase=Phase.TRIAGE)


def _would_have(incident: Incident, event: ev.WouldHave, at: float) -> Incident:
    done = (*incident.done, Done(event.step, "would_have", started_at=at))
    return replace(incident.settled(), done=done, observed=True, approval=None, phase=Phase.TRIAGE)


def _started(incident: Incident, event: ev.StepStarted, at: float) -> Incident:
    action = Action(
        action_id=event.action_id,
        step=event.step,
        action=event.action,
        kind=event.kind,
        started_at=at,
        parameters=event.parameters,
        plan=event.plan,
        cause=event.cause,
        stirred_at=at,
        approval=incident.approval,
        undo=event.undo,
        cleanup_after=event.cleanup_after,
    )
    return replace(incident.settled(), action=action, approval=None, check=None, phase=Phase.ACTING)


def _in_doubt(incident: Incident, event: ev.StepInDoubt, at: float) -> Incident:
    action = _under_way(incident, event.action_id)
    doubted = replace(
        action,
        doubt=event.text,
        person_decides=event.person,
        ask_at=event.ask_at,
        quiet=event.quiet,
        overdue=action.overdue or event.overdue,
    )
    if not event.quiet:
        doubted = replace(doubted, asked=action.asked + 1, stirred_at=at)
    return replace(incident, action=doubted)


def _withdrawn(incident: Incident, event: ev.StepWithdrawn, at: float) -> Incident:
    action = _under_way(incident, event.action_id)
    after = replace(incident, action=None)
    if action.approval is not None and incident.automatic:
        return replace(after, approval=action.approval, phase=Phase.AWAITING_APPROVAL)
    return replace(after, phase=incident.idle_phase)


def _finished(incident: Incident, event: ev.StepFinished, at: float) -> Incident:
    action = _under_way(incident, event.action_id)
    after = replace(incident, action=None, check=None, last_action_end=at)
    if action.kind != "step":
        return _taken_back(after, action, event, at)
    result = "executed" if event.ok else "failed"
    done = Done(
        action.step,
        result,
        action_id=action.action_id,
        action=action.action,
        parameters=action.parameters,
        plan=action.plan,
        post_state=event.post_state,
        started_at=action.started_at,
        # A failed action that restored what it found left nothing to undo.
        taken_back=event.restored,
        undo=action.undo,
        cleanup_after=action.cleanup_after,
    )
    phase = Phase.VERIFYING if event.ok else incident.idle_phase
    return replace(after, done=(*incident.done, done), phase=phase)


def _taken_back(incident: Incident, action: Action, event: ev.StepFinished, at: float) -> Incident:
    done = tuple(
        replace(one, taken_back=one.taken_back or event.ok, takes=one.takes + 1)
        if one.action_id == action.cause
        else one
        for one in incident.done
    )
    if action.kind != "cleanup":
        return replace(incident, done=done, phase=incident.idle_phase)
    again_at = incident.cleanup_at if event.ok else at + CLEANUP_AGAIN
    return replace(incident, done=done, phase=Phase.CLEANUP, cleanup_at=again_at)


def _under_way(incident: Incident, action_id: str) -> Action:
    if incident.action is None or incident.action.action_id != action_id:
        raise FoldError(f"{incident.id}: action {action_id} is not under way")
    return incident.action


def _check_began(incident: Incident, event: ev.CheckBegan, at: float) -> Incident:
    check = Check(
        step=event.step,
        purpose=event.purpose,
        since=event.since,
        next_at=event.next_at,
        deadline=event.deadline,
        interval=event.interval,
        consecutive=event.consecutive,
        consecutive_failures=event.consecutive_failures,
        before=incident.before,
    )
    phase = incident.phase
    if event.purpose in {"step", "gone"}:
        phase = Phase.VERIFYING
    return replace(incident, check=check, phase=phase)


def _sampled(incident: Incident, event: ev.Sampled, at: float) -> Incident:
    check = incident.check
    if check is None:
        raise FoldError(f"{incident.id}: a look without a verification")
    return replace(
        incident,
        check=replace(
            check,
            next_at=event.next_at,
            good=check.good + 1 if event.verdict is True else 0,
            bad=check.bad + 1 if event.verdict is False else 0,
            looks=check.looks + 1,
            last_verdict=event.verdict,
            last_text=event.text,
            last=event.readings,
            failed_now=event.failed_now,
        ),
    )


def _verified(incident: Incident, event: ev.Verified, at: float) -> Incident:
    done = incident.done
    if event.step is not None and event.purpose in {"step", "hold"}:
        done = _with_result(done, event.step, event.verdict)
    after = replace(incident, check=None, done=done)
    if event.verdict == "passed":
        after = replace(after, evidence=event.after)
        if event.purpose == "cleanup":
            return replace(after, hold_until=at)
        return replace(after, phase=Phase.HOLDING, hold_until=event.hold_until, resolve_by=event.resolve_by)
    if not incident.automatic:
        return replace(after, phase=Phase.ESCALATED, retry_at=event.again_at)
    # A look that was ended by the alert's return says nothing about its next end.
    looked = event.purpose == "gone" and incident.firing == 0
    return replace(after, phase=Phase.TRIAGE, gone_checked=incident.gone_checked or looked)


def _with_result(done: tuple[Done, ...], step: str, verdict: str) -> tuple[Done, ...]:
    return tuple(
        replace(one, result=verdict) if one.step == step and one.result in {"executed", "passed"} else one
        for one in done
    )


def _escalated(incident: Incident, event: ev.Escalated, at: float) -> Incident:
    after = replace(
        incident.settled(),
        escalation=event.reason,
        page_at=event.page_at or None,
        pages=1 if event.page_at else 0,
        check=None,
    )
    # An action in doubt goes on being asked for, but people and the metric that calls them must see it as theirs.
    return replace(after, approval=None, phase=Phase.ESCALATED, paused_by=None, paused_until=None)


def _paged(incident: Incident, event: ev.Paged, at: float) -> Incident:
    return replace(incident, pages=event.number, page_at=event.next_at)


def _acknowledged(incident: Incident, event: ev.Acknowledged, at: float) -> Incident:
    if incident.acknowledged_by is not None:
        return incident
    return replace(incident, acknowledged_by=event.person, acknowledged_at=at)


def _taken_over(incident: Incident, event: ev.TakenOver, at: float) -> Incident:
    after = _acknowledged(incident, ev.Acknowledged(event.person, event.via), at)
    keeps = incident.action is not None or incident.phase in {Phase.VERIFYING, Phase.HOLDING, Phase.CLEANUP}
    return replace(
        after.settled(),
        owner=event.person,
        paused_by=None,
        paused_until=None,
        approval=None,
        phase=incident.phase if keeps else Phase.ESCALATED,
    )


def _paused(incident: Incident, event: ev.Paused, at: float) -> Incident:
    # What refused is forgotten: nobody asks again meanwhile, and that must not look like asking in vain.
    return replace(incident.settled(), paused_by=event.person, paused_until=event.until)


def _severity_changed(incident: Incident, event: ev.SeverityChanged, at: float) -> Incident:
    return replace(incident, severity=event.severity)


def _resumed(incident: Incident, event: ev.Resumed, at: float) -> Incident:
    return replace(incident, paused_by=None, paused_until=None)


def _cleanup_planned(incident: Incident, event: ev.CleanupPlanned, at: float) -> Incident:
    return replace(incident.settled(), phase=Phase.CLEANUP, cleanup_at=event.at, check=None)


def _cleanup_interrupted(incident: Incident, event: ev.CleanupInterrupted, at: float) -> Incident:
    return replace(incident, phase=incident.idle_phase, cleanup_at=None, check=None, hold_until=None)


def _resolved(incident: Incident, event: ev.Resolved, at: float) -> Incident:
    return replace(incident, phase=Phase.RESOLVED, ended_at=at, check=None, approval=None, page_at=None)


def _closed(incident: Incident, event: ev.Closed, at: float) -> Incident:
    return replace(incident, phase=Phase.CLOSED, ended_at=at, check=None, approval=None, action=None, page_at=None)


def _told(incident: Incident, event: ev.Noted | ev.StatusReported, at: float) -> Incident:
    return incident


def _fold(kind: type[E], fold: Callable[[Incident, E, float], Incident]) -> tuple[type[E], Callable[..., Incident]]:
    return kind, fold


_FOLDS: dict[type[Any], Callable[..., Incident]] = dict(
    (
        _fold(ev.AlertsChanged, _alerts),
        _fold(ev.LeadChanged, _lead_changed),
        _fold(ev.Diagnosed, _diagnosed),
        _fold(ev.StepRefused, _refused),
        _fold(ev.StepSkipped, _skipped),
        _fold(ev.WouldHave, _would_have),
        _fold(ev.ApprovalAsked, approval.asked),
        _fold(ev.Voted, approval.voted),
        _fold(ev.ApprovalEnded, approval.ended),
        _fold(ev.ApprovalSuspended, approval.suspended),
        _fold(ev.StepStarted, _started),
        _fold(ev.StepInDoubt, _in_doubt),
        _fold(ev.StepWithdrawn, _withdrawn),
        _fold(ev.StepFinished, _finished),
        _fold(ev.CheckBegan, _check_began),
        _fold(ev.Sampled, _sampled),
        _fold(ev.Verified, _verified),
        _fold(ev.Escalated, _escalated),
        _fold(ev.Paged, _paged),
        _fold(ev.CleanupPlanned, _cleanup_planned),
        _fold(ev.CleanupInterrupted, _cleanup_interrupted),
        _fold(ev.ResponseMissed, response.told),
        _fold(ev.Acknowledged, _acknowledged),
        _fold(ev.TakenOver, _taken_over),
        _fold(ev.Paused, _paused),
        _fold(ev.SeverityChanged, _severity_changed),
        _fold(ev.StatusReported, _told),
        _fold(ev.Resumed, _resumed),
        _fold(ev.Noted, _told),
        _fold(ev.Resolved, _resolved),
        _fold(ev.Closed, _closed),
    )
)
