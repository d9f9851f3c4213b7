"""What can happen to an incident. Events are stored for good; the incident is their fold.

Each event type has a version in `VERSIONS`; the store writes it beside the event and `receiver.store.codec` upcasts
older ones on reading. Fields hold JSON types only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from receiver.core.alert import AlertStatus
from receiver.core.severity import Severity

Json: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Opened:
    """An incident began. `reason` says which playbook matched and why, `description` what it is for.

    Nothing is changed before `settle_until`; `give_up_at` is when people are called if the alert still fires and
    nothing else ended the incident. `started_by` is the person who began it by hand, who may not approve what it does;
    `via`, `signed_in` and `address` say how they came.
    """

    target: str
    playbook: str
    version: str
    rank: int
    severity: Severity
    mode: str
    reason: str
    alert: str
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    starts_at: float = 0.0
    settle_until: float = 0.0
    give_up_at: float = 0.0
    description: str = ""
    started_by: str | None = None
    via: str = ""
    signed_in: str = ""
    address: str = ""


@dataclass(frozen=True, slots=True)
class AlertChange:
    """One alert's part in `AlertsChanged`. `starts_at` in UNIX nanoseconds; `rank` of its playbook."""

    fingerprint: str
    status: AlertStatus
    starts_at: int
    name: str
    severity: Severity
    playbook: str
    version: str
    rank: int


@dataclass(frozen=True, slots=True)
class AlertsChanged:
    """Alerts of the incident began or ceased to fire; at most 500 an event.

    Args:
        changes: only real changes; repeats are counters on the alert.
        started: how many began to fire.
        ended: how many ceased to.
        source: `webhook` or `resync`.
    """

    changes: tuple[AlertChange, ...]
    started: int
    ended: int
    source: str = "webhook"


@dataclass(frozen=True, slots=True)
class LeadChanged:
    """A playbook higher in the file takes over, at a step boundary."""

    playbook: str
    version: str
    rank: int


@dataclass(frozen=True, slots=True)
class Diagnosed:
    """The read-only look before the first step.

    Args:
        findings: of the diagnosis; `failed` says why there are none.
        confirmed: whether Prometheus itself says that the alert fires; None: it can't be told.
        readings: the figures before anything was done, for comparison.
    """

    findings: tuple[Json, ...] = ()
    confirmed: bool | None = None
    confirmation: str = ""
    failed: str | None = None
    readings: tuple[Json, ...] = ()


@dataclass(frozen=True, slots=True)
class StepRefused:
    """A guardrail said no. `release` says what would make it yes; `retry_at` when it is asked again, if at all.

    Asked again in vain until `give_up_at`, people are called.
    """

    step: str
    guardrail: str
    reason: str
    release: str = ""
    retry_at: float | None = None
    give_up_at: float | None = None
    kind: str = "step"
    data: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StepSkipped:
    """A step had nothing to do, or was passed over, and why."""

    step: str
    reason: str
    data: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class WouldHave:
    """Observe mode or dry run: what would have been done, and what the guardrails would have answered."""

    step: str
    summary: str
    why_not: str
    plan: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ApprovalAsked:
    """People are asked to agree to a step, bound to the hash of its plan; `approvers` may agree at that moment."""

    approval: str
    step: str
    summary: str
    plan_hash: str
    needed: int
    expires_at: float
    execute_before: float
    on_timeout: str
    reason_required: bool
    cause: str = "policy"
    plan: Json = field(default_factory=dict)
    approvers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Voted:
    """A person approved or denied. Here and below, `via`, `signed_in` and `address` are those of their `Principal`."""

    approval: str
    person: str
    approve: bool
    reason: str
    via: str
    signed_in: str = ""
    address: str = ""


@dataclass(frozen=True, slots=True)
class ApprovalEnded:
    """An approval reached a final state: approved, denied, expired, superseded or cancelled."""

    approval: str
    state: str
    text: str


@dataclass(frozen=True, slots=True)
class ApprovalSuspended:
    """The alert resolved while people were asked: verified first; `resumed` when that did not hold."""

    approval: str
    resumed: bool
    text: str


@dataclass(frozen=True, slots=True)
class StepStarted:
    """The intent, stored before the effect.

    Args:
        kind: `step`, `undo` (of a failed step) or `cleanup` (taking a successful one back).
        plan: the remediation's plan as JSON, pre-state included.
        cause: for undo and cleanup: the action id that is taken back.
        undo, cleanup_after: how it is taken back, as its playbook says now; another one may lead by then.
    """

    step: str
    action_id: str
    action: str
    kind: str
    summary: str
    parameters: Json = field(default_factory=dict)
    plan: Json = field(default_factory=dict)
    cause: str | None = None
    undo: bool = False
    cleanup_after: float | None = None


@dataclass(frozen=True, slots=True)
class StepInDoubt:
    """It is not known what became of an intent; the target is asked again at `ask_at`. `person`: page people too.

    `quiet`: the target answers, and shows nothing of it yet. `overdue`: its call has outlived its limit, so that nobody
    can tell when it ends.
    """

    action_id: str
    text: str
    person: bool = False
    ask_at: float = 0.0
    quiet: bool = False
    overdue: bool = False


@dataclass(frozen=True, slots=True)
class StepWithdrawn:
    """An intent that was never begun is given up: to the world it would be a new action, so it is decided anew."""

    action_id: str
    text: str


@dataclass(frozen=True, slots=True)
class StepFinished:
    """How the intent ended."""

    action_id: str
    ok: bool
    text: str
    action: str = ""
    restored: bool = False
    post_state: Json = field(default_factory=dict)
    data: Json = field(default_factory=dict)
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class CheckBegan:
    """A verification began; its figures are the playbook's at that moment.

    Args:
        step: what is verified, None for `gone` and `escalated`.
        purpose: `step`, `gone` (the alert resolved by itself), `hold`, `cleanup`, `escalated`.
        since: UNIX seconds of the action's end; no expression's window reaches back before it.
        next_at, deadline: of the first look and of the last.
        interval: seconds between looks.
        consecutive, consecutive_failures: looks in a row that decide.
    """

    step: str | None
    purpose: str
    since: float
    next_at: float
    deadline: float
    interval: float
    consecutive: int
    consecutive_failures: int


@dataclass(frozen=True, slots=True)
class Sampled:
    """One look of a verification: True good, False bad, None inconclusive, with the numbers; `next_at` of the next."""

    verdict: bool | None
    text: str
    readings: tuple[Json, ...] = ()
    failed_now: bool = False
    next_at: float = 0.0


@dataclass(frozen=True, slots=True)
class Verified:
    """A verification's end: `passed`, `failed` or `inconclusive`, with the evidence before and after.

    Args:
        hold_until: when passed: until then healthy must hold.
        resolve_by: when passed: until then the alert itself must resolve.
        again_at: when an escalated incident is looked at again.
    """

    step: str | None
    purpose: str
    verdict: str
    text: str
    hold_until: float | None = None
    resolve_by: float | None = None
    again_at: float | None = None
    before: tuple[Json, ...] = ()
    after: tuple[Json, ...] = ()


@dataclass(frozen=True, slots=True)
class Escalated:
    """Automation ends for this incident and people are paged, with the reason; again at `page_at`.

    `page` is false when a person took it over, who knows, and when nobody is called at all: `page_at` is 0 then.
    """

    reason: str
    page_at: float = 0.0
    page: bool = True


@dataclass(frozen=True, slots=True)
class Paged:
    """People were paged again; by which of the escalation paths stands in the outbox."""

    number: int
    next_at: float = 0.0


@dataclass(frozen=True, slots=True)
class ResponseMissed:
    """Something had not happened `within` seconds of its severity; people are called. Automation goes on.

    `what` is `acknowledge`, or a phase of a P1: `assess`, `recover` (the first attempt ended), `mitigate`.
    """

    severity: Severity
    within: float
    what: str = "acknowledge"


@dataclass(frozen=True, slots=True)
class CleanupPlanned:
    """What a step added is taken back at `at`, if it stays quiet until then."""

    at: float
    steps: tuple[str, ...]
    text: str = ""


@dataclass(frozen=True, slots=True)
class CleanupInterrupted:
    """The alert came back before what was added could be taken back."""

    text: str


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """A person saw it."""

    person: str
    via: str
    signed_in: str = ""
    address: str = ""


@dataclass(frozen=True, slots=True)
class TakenOver:
    """A person took the incident: automation stops, what is under way finishes and is told."""

    person: str
    via: str
    reason: str = ""
    signed_in: str = ""
    address: str = ""


@dataclass(frozen=True, slots=True)
class Paused:
    """A person stopped automation without taking the incident: what is under way finishes and is told, nothing begins.

    People are called at `until`, UNIX seconds, unless somebody lets it go on before.
    """

    person: str
    via: str
    reason: str = ""
    until: float = 0.0
    signed_in: str = ""
    address: str = ""


@dataclass(frozen=True, slots=True)
class Resumed:
    """A person let automation go on, from the step boundary where it stood."""

    person: str
    via: str
    reason: str = ""
    signed_in: str = ""
    address: str = ""


@dataclass(frozen=True, slots=True)
class StatusReported:
    """How it stands, since nothing else was said for as long as its severity lets pass."""

    text: str


@dataclass(frozen=True, slots=True)
class SeverityChanged:
    """A person judged how bad it is; alerts change it again only when they become worse than any has been."""

    severity: Severity
    person: str
    via: str
    reason: str
    signed_in: str = ""
    address: str = ""


@dataclass(frozen=True, slots=True)
class Noted:
    """Somebody, or the service itself, added a remark; `phase`: which says that it is `assessed` or `mitigated`."""

    text: str
    person: str | None = None
    via: str = ""
    signed_in: str = ""
    address: str = ""
    phase: str = ""


@dataclass(frozen=True, slots=True)
class Resolved:
    """The end, with evidence."""

    text: str
    evidence: tuple[Json, ...] = ()


@dataclass(frozen=True, slots=True)
class Closed:
    """The end by a person, with a reason."""

    person: str
    reason: str
    via: str
    signed_in: str = ""
    address: str = ""


Event: TypeAlias = (
    Opened
    | AlertsChanged
    | LeadChanged
    | Diagnosed
    | StepRefused
    | StepSkipped
    | WouldHave
    | ApprovalAsked
    | Voted
    | ApprovalEnded
    | ApprovalSuspended
    | StepStarted
    | StepInDoubt
    | StepWithdrawn
    | StepFinished
    | CheckBegan
    | Sampled
    | Verified
    | Escalated
    | Paged
    | ResponseMissed
    | CleanupPlanned
    | CleanupInterrupted
    | Acknowledged
    | TakenOver
    | Paused
    | Resumed
    | SeverityChanged
    | StatusReported
    | Noted
    | Resolved
    | Closed
)

VERSIONS: Mapping[type[Event], int] = dict.fromkeys(Event.__args__, 1)
"""The version that is written for each event type; raise it together with an upcaster."""

BY_NAME: Mapping[str, type[Event]] = {one.__name__: one for one in VERSIONS}
"""Event types by the name under which they are stored."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """An event in its incident's log; (incident, seq) is unique, `at` is UNIX seconds."""

    incident: str
    seq: int
    at: float
    event: Event
