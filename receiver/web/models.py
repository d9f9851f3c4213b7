"""The shapes of the API: docs/api.md describes them, tests hold them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, WithJsonSchema

from receiver.core.declared import TITLE_LIMIT
from receiver.core.incident import Approval, Incident, Phase
from receiver.core.redaction import hide
from receiver.core.severity import Severity
from receiver.core.timeline import Entry, header
from receiver.ports import AlertRow, Letter, Quarantined

T = TypeVar("T")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def iso(seconds: float) -> str:
    """Return UNIX seconds as ISO 8601 in UTC with milliseconds, e.g. `2026-11-24T02:13:14.418Z`."""
    return (_EPOCH + timedelta(seconds=seconds)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


Time = Annotated[
    float,
    PlainSerializer(iso, return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time"}, mode="serialization"),
]
"""UNIX seconds inside, ISO 8601 outside."""


class Model(BaseModel):
    """What all shapes share."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class AlertModel(Model):
    """An alert of an incident, or one that no playbook took."""

    fingerprint: str
    status: Literal["firing", "resolved"]
    name: str
    labels: dict[str, str]
    annotations: dict[str, str]
    starts_at: Time
    seen_at: Time
    repeats: int
    playbook: str | None
    reason: str | None

    @classmethod
    def of(cls, row: AlertRow) -> AlertModel:
        """Show a stored alert."""
        return cls(
            fingerprint=row.alert.fingerprint,
            status=row.alert.status.value,
            name=row.alert.name,
            labels=dict(row.alert.labels),
            annotations=dict(row.alert.annotations),
            starts_at=row.alert.starts_at / 1e9,
            seen_at=row.seen_at,
            repeats=row.repeats,
            playbook=row.playbook,
            reason=row.reason,
        )


class VoteModel(Model):
    """One person's word."""

    person: str
    approve: bool
    reason: str
    at: Time
    via: str


class ApprovalModel(Model):
    """What people are asked to agree to."""

    id: str
    step: str
    summary: str
    state: str
    needed: int
    votes: list[VoteModel]
    approvers: list[str]
    reason_required: bool
    expires_at: Time
    plan_hash: str

    @classmethod
    def of(cls, approval: Approval) -> ApprovalModel:
        """Show a request for approval."""
        return cls(
            id=approval.id,
            step=approval.step,
            summary=hide(approval.summary),
            state="suspended" if approval.suspended else approval.state,
            needed=approval.needed,
            votes=[
                VoteModel(person=one.person, approve=one.approve, reason=one.reason, at=one.at, via=one.via)
                for one in approval.votes
            ],
            approvers=list(approval.approvers),
            reason_required=approval.reason_required,
            expires_at=approval.expires_at,
            plan_hash=approval.plan_hash,
        )


class StepModel(Model):
    """A step that ended."""

    step: str
    action: str
    result: str


class IncidentModel(Model):
    """One trouble of one target. `resolved_at` is its end with evidence, `ended_at` its end in either way."""

    id: str
    state: Phase
    severity: Severity
    playbook: str
    target: str
    title: str
    mode: Annotated[str, Field(json_schema_extra={"enum": ["observe", "act"]})]
    opened_at: Time
    updated_at: Time
    resolved_at: Time | None
    ended_at: Time | None
    alert: str
    firing: int
    alert_count: int
    alerts: list[AlertModel]
    steps: list[StepModel]
    under_way: str | None
    approval: ApprovalModel | None
    refused_by: str | None
    escalation: str | None
    owner: str | None
    paused_by: str | None
    acknowledged_by: str | None

    @classmethod
    def of(cls, incident: Incident, alerts: Sequence[AlertRow]) -> IncidentModel:
        """Show an incident and alerts of it; `alert_count` says how many there are in all."""
        return cls(
            id=incident.id,
            state=incident.phase,
            severity=incident.severity,
            playbook=incident.playbook,
            target=incident.target,
            title=header(incident).title,
            mode=incident.mode,
            opened_at=incident.opened_at,
            updated_at=incident.updated_at,
            resolved_at=incident.ended_at if incident.phase is Phase.RESOLVED else None,
            ended_at=incident.ended_at,
            alert=incident.alert,
            firing=incident.firing,
            alert_count=incident.alerts,
            alerts=[AlertModel.of(row) for row in alerts],
            steps=[StepModel(step=one.step, action=one.action, result=one.result) for one in incident.done],
            under_way=incident.action.step if incident.action is not None else None,
            approval=ApprovalModel.of(incident.approval) if incident.approval is not None else None,
            refused_by=incident.refused,
            escalation=hide(incident.escalation) if incident.escalation is not None else None,
            owner=incident.owner,
            paused_by=incident.paused_by,
            acknowledged_by=incident.acknowledged_by,
        )


class EntryModel(Model):
    """One line of a timeline."""

    at: Time
    kind: str
    text: str
    data: dict[str, Any]
    tone: Literal["good", "bad", "warn", "info"]
    seq: int
    alike: int

    @classmethod
    def of(cls, entry: Entry) -> EntryModel:
        """Show an entry."""
        return cls(**_shown(entry))


class NewsModel(EntryModel):
    """An entry of a stream, with the incident that it belongs to."""

    incident: str

    @classmethod
    def told(cls, incident: str, entry: Entry) -> NewsModel:
        """Show an entry of an incident."""
        return cls(incident=incident, **_shown(entry))


def _shown(entry: Entry) -> dict[str, Any]:
    names = ("at", "kind", "text", "tone", "seq", "alike")
    return {"data": dict(entry.data), **{name: getattr(entry, name) for name in names}}


class QuarantinedModel(Model):
    """An alert that could not be read."""

    at: Time
    where: str
    message: str
    raw: str

    @classmethod
    def of(cls, one: Quarantined, raw: str) -> QuarantinedModel:
        """Show a quarantined alert, with its text as it may be shown."""
        return cls(at=one.at, where=one.where, message=one.message, raw=raw)


class LetterModel(Model):
    """A message that was not sent: it waits, or it was given up (`dead`) and can be sent again."""

    id: str
    state: Literal["waiting", "dead"]
    at: Time
    lane: str
    kind: str
    incident: str
    text: str
    attempts: int
    error: str

    @classmethod
    def of(cls, letter: Letter, *, dead: bool) -> LetterModel:
        """Show a row of the outbox."""
        payload = letter.row.payload
        return cls(
            id=letter.id,
            state="dead" if dead else "waiting",
            at=letter.row.at,
            lane=letter.row.lane,
            kind=str(payload.get("kind", letter.row.kind)),
            incident=letter.row.incident,
            text=hide(str(payload.get("text") or payload.get("title") or "")),
            attempts=letter.attempts,
            error=hide(letter.error),
        )


class PageModel(Model, Generic[T]):
    """A page of a list; `next` goes into `?after=` for the next one, None on the last."""

    items: list[T]
    next: str | None


class AnswerModel(Model):
    """What a person is told when it was done."""

    ok: bool
    text: str


class TurnModel(Model):
    """One turn of the kill switch: who, how they had signed in, from where and when."""

    on: bool
    playbook: str | None
    at: Time
    by: str
    via: str
    signed_in: str
    address: str


class NoticeModel(Model):
    """The draft of a notice for users; nothing publishes it but a person."""

    text: str


class DeclaredModel(Model):
    """What a person is told who declared an incident; `incident` is its id."""

    ok: bool
    text: str
    incident: str


class KillModel(Model):
    """The kill switch."""

    on: bool
    everything: bool
    playbooks: list[str]
    by: str
    at: Time | None
    file: str | None
    turns: list[TurnModel]


class NothingRequest(Model):
    """A body that says nothing more."""


class ReasonRequest(Model):
    """A word on why."""

    reason: Annotated[str, Field(max_length=2000)] = ""


class VoteRequest(ReasonRequest):
    """An answer to a request for approval; `approval` is its id, so that an answer never counts for another one."""

    approval: Annotated[str, Field(min_length=1, max_length=100)] | None = None


class DeclareRequest(Model):
    """An incident without an alert."""

    severity: Severity
    title: Annotated[str, Field(min_length=1, max_length=TITLE_LIMIT)]
    service: Annotated[str, Field(max_length=200)] = ""


class SeverityRequest(Model):
    """How bad an incident is, and why."""

    severity: Severity
    reason: Annotated[str, Field(min_length=1, max_length=2000)]


class NoteRequest(Model):
    """A remark for the timeline; with a phase it says that this is reached, which a P1 has deadlines for."""

    text: Annotated[str, Field(min_length=1, max_length=4000)]
    phase: Literal["", "assessed", "mitigated"] = ""


class KillRequest(Model):
    """Turn the kill switch on or off, for everything or one playbook."""

    # A text such as "off" is no answer to whether everything shall be stopped.
    on: Annotated[bool, Field(strict=True)]
    playbook: Annotated[str, Field(min_length=1, max_length=200)] | None = None
