"""The incident: what its events add up to. Alerts are rows of their own, never a list in here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from receiver.core.severity import Severity


class Phase(StrEnum):
    """Where an incident stands. Escalated is open: automation off, people on."""

    TRIAGE = "triage"
    AWAITING_APPROVAL = "awaiting_approval"
    ACTING = "acting"
    VERIFYING = "verifying"
    HOLDING = "holding"
    ESCALATED = "escalated"
    CLEANUP = "cleanup"
    RESOLVED = "resolved"
    CLOSED = "closed"

    @property
    def terminal(self) -> bool:
        """Whether nothing follows."""
        return self is _RESOLVED or self is _CLOSED


# An incident is asked ten times an alert whether it is open; an enum's hash is a call.
_RESOLVED = Phase.RESOLVED
_CLOSED = Phase.CLOSED


@dataclass(frozen=True, slots=True)
class Done:
    """A step that ended, one way or another; executed steps aren't repeated.

    Args:
        step: its name.
        result: `passed`, `failed`, `skipped`, `denied`, `would_have`, `inconclusive`, `executed` (not judged yet).
        action_id, post_state: of its execution, for undo and cleanup.
        taken_back: whether an undo or cleanup of it ended well.
        takes: undos and cleanups that were tried.
        undo, cleanup_after: how it is taken back, as it was begun: the playbook that leads later may not know the step.
        escalates: of an approval that nobody gave: whether people are called.
        aborts: of an approval that nobody gave: whether automation ends, and nobody is called.
    """

    step: str
    result: str
    action_id: str | None = None
    action: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    plan: Mapping[str, Any] = field(default_factory=dict)
    post_state: Mapping[str, Any] = field(default_factory=dict)
    started_at: float = 0.0
    taken_back: bool = False
    takes: int = 0
    undo: bool = False
    cleanup_after: float | None = None
    escalates: bool = False
    aborts: bool = False


@dataclass(frozen=True, slots=True)
class Action:
    """The intent that is under way or in doubt.

    Args:
        approval: with which it was begun; it comes back when the intent is withdrawn.
        stirred_at: UNIX seconds of the last sign that a call for it may be under way.
        quiet: whether the target answered last, and showed nothing of it.
        overdue: whether its call has outlived its limit.
    """

    action_id: str
    step: str
    action: str
    kind: str
    started_at: float
    parameters: Mapping[str, Any] = field(default_factory=dict)
    plan: Mapping[str, Any] = field(default_factory=dict)
    cause: str | None = None
    doubt: str | None = None
    person_decides: bool = False
    asked: int = 0
    ask_at: float = 0.0
    stirred_at: float = 0.0
    quiet: bool = False
    overdue: bool = False
    approval: Approval | None = None
    undo: bool = False
    cleanup_after: float | None = None


@dataclass(frozen=True, slots=True)
class Vote:
    """One person's word."""

    person: str
    approve: bool
    reason: str
    at: float
    via: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """How a request for approval ended; who comes too late is told."""

    approval: str
    step: str
    state: str
    text: str


@dataclass(frozen=True, slots=True)
class Approval:
    """A pending request, or the approved one whose step has not begun.

    `suspended` while a resolve is verified; `checked` when that was done and did not hold. `approvers` is for people to
    read: who counts is asked for anew with each vote and when the step begins.
    """

    id: str
    step: str
    plan_hash: str
    needed: int
    expires_at: float
    execute_before: float
    on_timeout: str
    reason_required: bool
    state: str = "pending"
    suspended: bool = False
    checked: bool = False
    approved_at: float | None = None
    votes: tuple[Vote, ...] = ()
    summary: str = ""
    approvers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Check:
    """A verification under way.

    Args:
        step: what is verified; None: that the trouble went away by itself, or during hold.
        purpose: `step`, `gone` (the alert resolved by itself), `hold`, `cleanup`, `escalated`.
        since: the action's end, UNIX seconds; `$window` never reaches back before it.
        next_at: when the next look is due.
        deadline: when it ends undecided.
        interval, consecutive, consecutive_failures: as the playbook asks.
        good, bad, looks: consecutive good, consecutive bad, all looks.
        before, last: readings at its start and the latest.
    """

    step: str | None
    purpose: str
    since: float
    next_at: float
    deadline: float
    interval: float = 5.0
    consecutive: int = 3
    consecutive_failures: int = 6
    good: int = 0
    bad: int = 0
    looks: int = 0
    last_verdict: bool | None = None
    last_text: str = ""
    before: tuple[Mapping[str, Any], ...] = ()
    last: tuple[Mapping[str, Any], ...] = ()
    failed_now: bool = False


@dataclass(frozen=True, slots=True)
class Phases:
    """How far people and the service are with it; UNIX seconds.

    Args:
        chosen_at: when the service first chose a step; `gave_up_at`: when it last gave up.
        assessed_at: when a person said that it is known what to do.
        tried_at: when the first attempt to repair it ended.
        mitigated_at: since when it works again, by a verification or a person's word.
        missed: the deadlines that were told as missed.
    """

    chosen_at: float | None = None
    gave_up_at: float | None = None
    assessed_at: float | None = None
    tried_at: float | None = None
    mitigated_at: float | None = None
    missed: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Incident:
    """One trouble of one target, from its first alert to its end.

    Args:
        id, seq: its name and the number of its last event.
        target: the `services` entry; at most one open incident each.
        playbook, version, rank: what leads now, frozen by content hash.
        worst: the worst severity that it ever had: who lowers it asks no fewer people by that.
        wanted: (playbook, version, rank) of a higher one that takes over at the next step boundary.
        mode: `observe` or `act`, as when it was opened; today's stricter one wins.
        firing, alerts: alerts that fire now, and all that ever belonged.
        diagnosed_at: UNIX seconds; before the first action a diagnosis must not be old.
        starts_at: UNIX seconds at which the oldest firing alert began.
        settle_until: before that nothing is changed.
        hold_until: until then healthy must hold.
        resolve_by: until then the alert itself must resolve.
        deadline: no state waits without one.
        done: the steps that ended, in order.
        decisions: how the last requests for approval ended.
        said_at: UNIX seconds at which something was told last; looks and alerts don't count.
        started_by: who began it by hand, and so may not approve what it does.
        before: readings of the first look, before anything was done.
        evidence: readings of the last verification that passed.
        refused: the guardrail that said no to the next step, `refusal` why; asked again at `retry_at` until
            `give_up_at`.
        page_at: when people are called (again); None: they are not.
        last_action_end: UNIX seconds, 0.0 when nothing was done.
        severity_since: UNIX seconds at which it got its severity; 0.0: when it was opened.
        phases: what the deadlines of a P1 are held against; None: nothing was reached or missed.
        late: the severity for which nobody responded in time, the last that was told.
        paused_by: who stopped automation without taking it; nothing begins, and people are called at `paused_until`.
    """

    id: str
    seq: int
    target: str
    playbook: str
    version: str
    rank: int
    severity: Severity
    mode: str
    phase: Phase
    opened_at: float
    updated_at: float
    alert: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    starts_at: float
    worst: Severity | None = None
    wanted: tuple[str, str, int] | None = None
    ended_at: float | None = None
    firing: int = 0
    alerts: int = 0
    settle_until: float = 0.0
    diagnosed: bool = False
    diagnosed_at: float = 0.0
    confirmed: bool | None = None
    deadline: float | None = None
    retry_at: float | None = None
    give_up_at: float | None = None
    refused: str | None = None
    refusal: str = ""
    gone_checked: bool = False
    hold_until: float | None = None
    resolve_by: float | None = None
    cleanup_at: float | None = None
    done: tuple[Done, ...] = ()
    action: Action | None = None
    approval: Approval | None = None
    decisions: tuple[Decision, ...] = ()
    started_by: str | None = None
    check: Check | None = None
    before: tuple[Mapping[str, Any], ...] = ()
    evidence: tuple[Mapping[str, Any], ...] = ()
    last_action_end: float = 0.0
    severity_since: float = 0.0
    late: Severity | None = None
    phases: Phases | None = None
    owner: str | None = None
    paused_by: str | None = None
    paused_until: float | None = None
    acknowledged_by: str | None = None
    acknowledged_at: float | None = None
    escalation: str | None = None
    pages: int = 0
    page_at: float | None = None
    observed: bool = False
    said_at: float = 0.0

    def but(self, **changes: Any) -> Incident:
        """Return it with these fields changed, as `dataclasses.replace` does at ten times the cost: each alert pays it.

        Raises:
            TypeError: there is no such field.
        """
        changed = object.__new__(Incident)
        values = changed.__dict__
        values.update(self.__dict__)
        known = len(values)
        values.update(changes)
        if len(values) > known:
            raise TypeError(f"an incident has no field {', '.join(changes.keys() - self.__dict__.keys())}")
        return changed

    @property
    def open(self) -> bool:
        """Whether it can still change."""
        phase = self.phase
        return phase is not _RESOLVED and phase is not _CLOSED

    @property
    def quiet(self) -> bool:
        """Whether it is escalated without anybody being called: automation was never to touch it."""
        return self.escalation is not None and self.page_at is None

    @property
    def automatic(self) -> bool:
        """Whether the service may still start something for it."""
        return self.open and self.escalation is None and self.owner is None

    def stands_as(self, other: Incident) -> bool:
        """Whether what a decision about its next step rests on is the same in both; alerts may have come meanwhile."""
        return (
            (self.phase, self.automatic, self.paused_by, self.version, self.done)
            == (other.phase, other.automatic, other.paused_by, other.version, other.done)
            and _begun(self) == _begun(other)
            and _asked(self) == _asked(other)
        )

    @property
    def idle_phase(self) -> Phase:
        """Where it goes when nothing is under way."""
        return Phase.TRIAGE if self.automatic else Phase.ESCALATED

    def settled(self) -> Incident:
        """Return it with what was refused forgotten: the step went on, or was passed over."""
        return self.but(refused=None, refusal="", retry_at=None, give_up_at=None)


def _begun(incident: Incident) -> str | None:
    return incident.action.action_id if incident.action is not None else None


def _asked(incident: Incident) -> tuple[str, str] | None:
    return (incident.approval.id, incident.approval.state) if incident.approval is not None else None


class FoldError(ValueError):
    """An event that can't follow: a damaged log, or a defect of ours."""
