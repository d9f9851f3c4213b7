"""Approvals: what is asked, the votes, and when they decide it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from receiver.core import events as ev
from receiver.core.incident import Approval, Decision, Done, FoldError, Incident, Phase, Vote

REMEMBERED = 5
"""Ended requests that an incident keeps, to tell who comes too late; the log has them all."""


def asked(incident: Incident, event: ev.ApprovalAsked, at: float) -> Incident:
    """Fold: people are asked about a plan."""
    approval = Approval(
        id=event.approval,
        step=event.step,
        plan_hash=event.plan_hash,
        needed=event.needed,
        expires_at=event.expires_at,
        execute_before=event.execute_before,
        on_timeout=event.on_timeout,
        reason_required=event.reason_required,
        summary=event.summary,
        approvers=event.approvers,
    )
    return replace(incident.settled(), approval=approval, phase=Phase.AWAITING_APPROVAL)


def voted(incident: Incident, event: ev.Voted, at: float) -> Incident:
    """Fold: a person's latest vote counts."""
    approval = _open_approval(incident, event.approval)
    others = tuple(vote for vote in approval.votes if vote.person != event.person)
    votes = (*others, Vote(event.person, event.approve, event.reason, at, event.via))
    return replace(incident, approval=replace(approval, votes=votes))


def ended(incident: Incident, event: ev.ApprovalEnded, at: float) -> Incident:
    """Fold: decided; an approved one stays until the step begins."""
    approval = _open_approval(incident, event.approval)
    decision = Decision(approval.id, approval.step, event.state, event.text)
    incident = replace(incident, decisions=(*incident.decisions[1 - REMEMBERED :], decision))
    if event.state == "approved":
        return replace(incident, approval=replace(approval, state="approved", approved_at=at))
    done = incident.done
    if event.state in {"denied", "expired"}:
        then = approval.on_timeout if event.state == "expired" else ""
        ended = Done(approval.step, event.state, started_at=at, escalates=then == "escalate", aborts=then == "abort")
        done = (*done, ended)
    phase = incident.idle_phase if incident.phase is Phase.AWAITING_APPROVAL else incident.phase
    return replace(incident.settled(), approval=None, done=done, phase=phase)


def suspended(incident: Incident, event: ev.ApprovalSuspended, at: float) -> Incident:
    """Fold: a resolve is looked into first, or the question stands again."""
    approval = _open_approval(incident, event.approval)
    if event.resumed:
        approval = replace(approval, suspended=False, checked=True)
        return replace(incident, approval=approval, check=None, phase=Phase.AWAITING_APPROVAL)
    return replace(incident, approval=replace(approval, suspended=True), check=None, phase=Phase.VERIFYING)


def decided(approval: Approval, now: float) -> ev.Event | None:
    """Return the decision of the votes and the time, if there is one: one denial ends it."""
    if (no := next((vote for vote in approval.votes if not vote.approve), None)) is not None:
        return ev.ApprovalEnded(approval.id, "denied", f"denied by {no.person}: {no.reason}")
    if now >= approval.expires_at:
        return ev.ApprovalEnded(approval.id, "expired", f"nobody decided in time ({len(approval.votes)} voted)")
    yes = sorted(agreed(approval))
    if len(yes) >= approval.needed:
        return ev.ApprovalEnded(approval.id, "approved", f"approved by {', '.join(yes)}")
    return None


def quorum(approval: Approval, able: Collection[str]) -> bool:
    """Whether enough of those agreed who may do so now; each person counts once, however they came."""
    return len(agreed(approval).intersection(able)) >= approval.needed


def agreed(approval: Approval) -> frozenset[str]:
    """Return who agreed."""
    return frozenset(vote.person for vote in approval.votes if vote.approve)


def needs_reason(action: str, *, overrides: bool) -> bool:
    """Whether agreeing needs a reason whatever the policy says: to a rollback, and against what a guardrail says."""
    return overrides or action == "rollback"


def wake(approval: Approval | None) -> float | None:
    """Return when an approval ends by itself."""
    if approval is None:
        return None
    if approval.approved_at is not None:
        return approval.approved_at + approval.execute_before
    return approval.expires_at


def _open_approval(incident: Incident, approval_id: str) -> Approval:
    if incident.approval is None or incident.approval.id != approval_id:
        raise FoldError(f"{incident.id}: no approval {approval_id} is open")
    return incident.approval
