"""Shapes of answers that are not built from models, for the cost of it or because they come ready-made.

Tests hold the answers to them. The models that answers are built from are in receiver.web.models.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from receiver.core.severity import Severity
from receiver.web.models import Model


class PlaceModel(Model):
    """A place in a request, e.g. `$.alerts[3].labels`, `?limit` or `Host`, and what is wrong there."""

    where: str | None = None
    message: str | None = None


class ProblemModel(Model):
    """What is wrong, where, and what to do (RFC 9457)."""

    type: Literal["about:blank"]
    title: str
    status: int
    detail: str
    errors: list[PlaceModel] = Field(default_factory=list)


class TakenModel(Model):
    """What the alerts of a webhook were; all of them are durable. `unmatched` ones are among the new."""

    alerts: int
    new: int
    repeats: int
    resolved: int
    refired: int
    stale: int
    unmatched: int
    quarantined: int = 0
    errors: list[PlaceModel] = Field(default_factory=list)


class ConsideredModel(Model):
    """One playbook's answer to an alert."""

    playbook: str
    matched: bool
    reason: str


class RailModel(Model):
    """A guardrail's answer, and what would release it. `retry_at` is in UNIX seconds."""

    guardrail: str
    word: str
    reason: str
    release: str
    retry_at: float | None
    data: dict[str, Any]


class RefusedModel(Model):
    """Why a step could not even be planned. Times are in UNIX seconds."""

    step: str
    guardrail: str
    reason: str
    release: str
    retry_at: float | None
    give_up_at: float | None
    kind: str
    data: dict[str, Any]


class PlanModel(Model):
    """What a step would do."""

    summary: str
    steps: list[str]
    skip: str | None


class ImaginedStepModel(Model):
    """What would become of a step."""

    step: str
    action: str
    would: Literal["run", "asked", "refused", "skipped"]
    approvals: int
    reason_required: bool
    only_says: bool
    guardrails: list[RailModel]
    plan: PlanModel | None = None
    refused: RefusedModel | None = None


class ImaginedAlertModel(Model):
    """What would be done about an alert; `playbook` is null when none takes it."""

    alert: str
    fingerprint: str
    status: Literal["firing", "resolved"]
    considered: list[ConsideredModel]
    reason: str
    playbook: str | None
    steps: list[ImaginedStepModel]
    description: str | None = None
    severity: Severity | None = None
    target: str | None = None


class SimulationModel(Model):
    """What would be done about a webhook; nothing of it was."""

    mode: Literal["observe", "act"]
    alerts: list[ImaginedAlertModel]
    left_out: int
    unread: list[PlaceModel]


class AliveModel(Model):
    """The process lives."""

    status: Literal["ok"]


class ReadyModel(Model):
    """Whether webhooks can be made durable; the other parts take nothing away."""

    status: Literal["ready", "not ready"]
    parts: dict[str, str]
    reason: str | None = None
