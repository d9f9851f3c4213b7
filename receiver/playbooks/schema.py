"""The models of playbooks.yaml. Their descriptions are the playbook reference; their fields are the whole language."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from receiver.playbooks.fields import (
    Comparison,
    Duration,
    EngineUrl,
    HttpUrl,
    InstanceUrl,
    Label,
    Matchers,
    Name,
    PositiveDuration,
    ResponseTime,
    SeverityName,
    Text,
    Word,
)


class Model(BaseModel):
    """What all sections share: unknown fields are mistakes, nothing is converted silently."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, arbitrary_types_allowed=True)


class EngineModel(Model):
    """Where containers run."""

    url: EngineUrl = Field(
        description="Socket or address of the engine's API: `unix:///var/run/docker.sock` or `tcp://host:2376`. "
        "The environment variable `REMEDIATOR_ENGINE_<NAME>` replaces it."
    )
    ca: Word | None = Field(None, description="File with the certificate authority, for TLS.")
    cert: Word | None = Field(None, description="File with our client certificate, for TLS.")
    key: Word | None = Field(None, description="File with the client certificate's key.")
    timeout: PositiveDuration = Field(30.0, description="How long an answer of the engine may take.")


class HealthModel(Model):
    """How a service says that it works."""

    urls: list[HttpUrl] = Field(
        min_length=1,
        max_length=20,
        description="Endpoints; each must answer 2xx, in time, and if it answers JSON with a `status`, with the word.",
    )
    word: Word = Field("healthy", description="The `status` that means healthy; letter case doesn't count.")
    timeout: PositiveDuration = Field(5.0, description="How long an answer may take.")


class ReplicasModel(Model):
    """Bounds for the action `scale`."""

    min: int = Field(1, ge=1, le=1000, description="Never fewer than this.")
    max: int = Field(ge=1, le=1000, description="Never more than this.")


class KnownGoodModel(Model):
    """When a version counts as good, and a change as recent: the rule for the action `rollback`."""

    good_after: Duration | None = Field(
        None, description="A version is known to be good after it ran this long, healthy and without an incident (30m)."
    )
    recent: Duration | None = Field(
        None,
        description="Only a version that came within this time is rolled back; an older one isn't the cause (24h).",
    )


class ProcessOptionsModel(Model):
    """What only the runtime `process` understands. `{port}`, `{index}` and `{name}` are filled in where texts are."""

    base_port: int | None = Field(
        None, ge=1, le=65_535, description="The first instance's port; the others' follow. `{port}` in `command`."
    )
    cwd: Word | None = Field(None, description="The directory that it runs in (`/`).")
    env: dict[Word, str] = Field({}, max_length=100, description="Variables beside those of the remediator.")
    health_url: InstanceUrl | None = Field(
        None, description="Where an instance says that it works, for example `http://127.0.0.1:{port}/health`."
    )
    stop_timeout: Duration | None = Field(None, description="Time from SIGTERM to SIGKILL (10s).")
    start_grace: Duration | None = Field(None, description="How long a health check may fail after a start (10s).")
    log_bytes: int | None = Field(None, ge=4096, le=2**30, description="Size of each instance's log (8 MiB).")


class ServiceModel(Model):
    """What may be acted on. An alert selects an entry by the playbook's target labels, never a container itself."""

    engine: Name | None = Field(None, description="An entry of `engines`; for runtime `containers`.")
    runtime: Literal["containers", "process"] = Field("containers", description="How its instances run.")
    selector: dict[Word, Word] | None = Field(
        None,
        min_length=1,
        max_length=10,
        description="Labels that all its containers carry, for example `com.docker.compose.service: api`.",
    )
    aliases: list[Word] = Field([], max_length=50, description="Further values of the target labels that mean it.")
    health: HealthModel | None = Field(None, description="Its health endpoints.")
    replicas: ReplicasModel | None = Field(None, description="Bounds for `scale`; without them it is never scaled.")
    traffic: Literal["none", "dns", "proxy"] = Field(
        "none", description="How a further instance gets its share of the requests; `none`: it would not."
    )
    known_good: KnownGoodModel | None = Field(
        None, description="The rule for `rollback`; without it (here or in `defaults`) it is never rolled back."
    )
    shared_mounts: bool = Field(False, description="Whether instances may share writable mounts.")
    command: list[Word] | None = Field(
        None, min_length=1, max_length=100, description="The argument list, for runtime `process`."
    )
    options: ProcessOptionsModel | None = Field(None, description="For runtime `process`.")


class QueryModel(Model):
    """A PromQL condition of a verification. `$window` and `$service` and labels of the alert are filled in."""

    name: Word = Field(description="For the timeline.")
    expr: Text = Field(
        description="The expression. `$window` is the time since the action's end, `$service` the service's name, "
        "`{{ labels.instance }}` a label of the alert; the last two only within quotes."
    )
    success: Comparison = Field(description="What every sample must fulfil, for example `< 0.05`.")
    failure: Comparison | None = Field(None, description="What fails the verification at once.")
    traffic: Text | None = Field(None, description="An expression for the number of requests within `$window`.")
    min_traffic: float = Field(
        0.0, ge=0, allow_inf_nan=False, description="Fewer requests than this prove nothing: inconclusive."
    )
    min_samples: int = Field(
        2, ge=1, le=1000, description="Samples since the action's end that each of its series needs: inconclusive (2)."
    )
    unit: Annotated[str, Field(max_length=20)] = Field("", description="Printed behind the figures.")


class VerifyModel(Model):
    """How a step is judged. What isn't said here is taken from the playbook, then from `defaults`."""

    health: bool | None = Field(None, description="Ask the health endpoints (true).")
    target: bool | None = Field(None, description="Ask the target's own state (true).")
    queries: list[QueryModel] | None = Field(None, max_length=10, description="PromQL conditions; all must hold.")
    probe: list[HttpUrl] | None = Field(
        None,
        max_length=10,
        description="Endpoints that are requested at each look and must answer 2xx in time. With them a query that "
        "finds too little traffic is passed over; without, no traffic is inconclusive.",
    )
    initial_delay: Duration | None = Field(None, description="Time before the first look (5s).")
    interval: PositiveDuration | None = Field(None, description="Time between looks (5s).")
    consecutive: int | None = Field(None, ge=1, le=100, description="Good looks in a row that make a pass (3).")
    consecutive_failures: int | None = Field(None, ge=1, le=1000, description="Bad looks in a row that fail it (6).")
    timeout: PositiveDuration | None = Field(None, description="Still undecided then: inconclusive (2m).")
    max_staleness: PositiveDuration | None = Field(None, description="A sample older than this counts as stale (1m).")


def _approval(value: object) -> object:
    return {"approvals": 0} if value == "none" else value


Approvers = Annotated[list[Name], Field(max_length=100)]


class ApprovalChangeModel(Model):
    """What an incident's severity changes about who must agree; what isn't said stays."""

    approvals: int | None = Field(None, ge=0, le=10, description="Different people who must agree; 0: nobody.")
    expires: PositiveDuration | None = Field(None, description="An undecided request ends after this.")
    execute_before: PositiveDuration | None = Field(None, description="An approved step must begin within this.")
    on_timeout: Literal["escalate", "next", "abort"] | None = Field(
        None, description="What follows when nobody answers."
    )
    reason_required: bool | None = Field(None, description="Whether an approval needs a reason.")
    approvers: Approvers | None = Field(None, description="Who may approve.")


class ApprovalModel(Model):
    """Who must agree before a step runs."""

    approvals: int = Field(ge=0, le=10, description="Different people who must agree; 0: nobody.")
    expires: PositiveDuration = Field(900.0, description="An undecided request ends after this.")
    execute_before: PositiveDuration = Field(300.0, description="An approved step must begin within this.")
    on_timeout: Literal["escalate", "next", "abort"] = Field(
        "escalate",
        description="When nobody answers: call people, try the next step, or end automation and call nobody.",
    )
    reason_required: bool = Field(
        False,
        description="Whether an approval needs a reason. A denial always does, and approving a rollback or what a "
        "guardrail asks about.",
    )
    approvers: Approvers | None = Field(
        None,
        description="Who may approve: people and groups of people.yaml, of whom those with the role `approver` count. "
        "Without it everybody with the role; empty: nobody.",
    )
    by_severity: dict[SeverityName, ApprovalChangeModel] = Field(
        {}, description="What an incident asks for that has, or ever had, this severity."
    )


Approval = Annotated[ApprovalModel, BeforeValidator(_approval, json_schema_input_type=Literal["none"] | ApprovalModel)]
"""`none`, or an approval policy."""


class GuardrailsModel(Model):
    """Limits on what is done to one target. What isn't said here is taken from `defaults`."""

    cooldown: Duration | None = Field(
        None,
        description="So long after the playbook's last action on a target its next incident there asks people (5m).",
    )
    max_runs: int | None = Field(
        None, ge=1, le=1000, description="Actions on the target within `max_runs_window`; then people are asked (5)."
    )
    max_runs_window: PositiveDuration | None = Field(None, description="The window for `max_runs` (1h).")
    max_alert_age: PositiveDuration | None = Field(
        None, description="About an alert older than this people are asked before anything is done (1h)."
    )
    min_healthy: int | None = Field(
        None, ge=0, le=1000, description="Instances that stay healthy; default one less than there are."
    )
    require_confirmation: bool | None = Field(
        None, description="Whether people are asked unless the alert fires in Prometheus itself (true)."
    )


class StepModel(Model):
    """One rung of the ladder."""

    name: Name = Field(description="Unique within the playbook.")
    action: Name = Field(
        description="What to do: `restart`, `scale`, `rollback`, `diagnose`, `http`, or an installed one."
    )
    parameters: dict[Word, Any] = Field(
        {}, description="For the action; texts may hold `{{ labels.NAME }}` and `{{ annotations.NAME }}`."
    )
    timeout: PositiveDuration | None = Field(None, description="How long the action may take (2m).")
    healthy_within: PositiveDuration | None = Field(
        None, description="How long each touched instance has to become healthy (1m)."
    )
    verify: VerifyModel | None = Field(None, description="How it is judged; given fields replace the playbook's.")
    undo: bool = Field(False, description="Undo it when its verification fails, unless somebody changed the target.")
    cleanup_after: PositiveDuration | None = Field(
        None, description="Take a successful step back after this time of quiet, for example scale back."
    )
    on_failure: Literal["next", "escalate"] | None = Field(None, description="What follows a failure (`next`).")
    approval: Approval | None = Field(None, description="Who must agree first; default by action, see `defaults`.")
    allow_gap: bool = Field(
        False, description="Whether a healthy single instance may be taken down for a moment without approval."
    )


class SeverityRuleModel(Model):
    """A severity for some of the alerts."""

    match: Matchers = Field(description="Which alerts, in Alertmanager's syntax.")
    severity: SeverityName = Field(description="Their severity.")


def _severity(value: object) -> object:
    return {"default": value} if isinstance(value, str) else value


class SeverityModel(Model):
    """P1 (complete outage) to P4 (cosmetic)."""

    default: SeverityName = Field("P3", description="When no rule matches.")
    rules: list[SeverityRuleModel] = Field([], max_length=50, description="The first that matches counts.")


class TargetModel(Model):
    """Where an alert names its service."""

    labels: list[Label] = Field(min_length=1, max_length=10, description="The first label that is present counts.")


class PlaybookModel(Model):
    """What to do about which alert. The first playbook in the file that matches leads."""

    name: Name = Field(description="Unique in the file.")
    description: Annotated[str, Field(max_length=4000)] = Field("", description="For people.")
    match: Matchers = Field(description="Which alerts, in Alertmanager's syntax; all matchers must hold.")
    severity: Annotated[
        SeverityModel, BeforeValidator(_severity, json_schema_input_type=SeverityName | SeverityModel)
    ] = Field(description="One of P1 to P4, or a default with rules by labels.")
    target: TargetModel | None = Field(None, description="Where the alert names its service (`service`, else `job`).")
    diagnose: bool | None = Field(None, description="Collect findings before the first step (true).")
    steps: list[StepModel] = Field(
        [], max_length=10, description="The ladder; empty: people are told, nothing is done."
    )
    verify: VerifyModel | None = Field(
        None,
        description="For all steps, or without any for the alert's end; given fields replace those of `defaults`.",
    )
    guardrails: GuardrailsModel | None = Field(
        None, description="Its limits; given fields replace those of `defaults`."
    )
    settle: Duration | None = Field(None, description="Time between the first alert and the first change (10s).")
    hold: Duration | None = Field(None, description="How long healthy must hold before the incident is resolved (30s).")
    resolve_within: PositiveDuration | None = Field(
        None, description="After a verified step the alert itself must resolve within this (15m)."
    )
    page_every: PositiveDuration | None = Field(None, description="An escalated incident pages again after this (15m).")
    complete_failure: bool = Field(
        False, description="Whether its P1s are complete failures, with the shorter deadlines of `defaults`."
    )
    dry_run: bool = Field(False, description="Plan and tell, never act.")
    paused: bool = Field(False, description="Start nothing.")


class FleetModel(Model):
    """Limits over everything."""

    max_actions: int = Field(3, ge=0, le=1000, description="Automatic actions within `window`.")
    window: PositiveDuration = Field(600.0, description="The window for `max_actions`.")
    max_under_way: int = Field(2, ge=1, le=100, description="Actions under way at once.")


class StepDefaultsModel(Model):
    """For every step that doesn't say otherwise."""

    timeout: PositiveDuration = Field(120.0, description="How long an action may take.")
    healthy_within: PositiveDuration = Field(60.0, description="How long an instance has to become healthy.")
    on_failure: Literal["next", "escalate"] = Field("next", description="What follows a failure.")


class DeadlinesModel(Model):
    """Until when the phases of a P1 must be reached; each counts from when it is a P1, and `0s` means none."""

    assess: Duration | None = Field(None, description="It is known what to do.")
    recover: Duration | None = Field(None, description="The first attempt to repair it ended.")
    mitigate: Duration | None = Field(None, description="It works again.")


class DefaultsModel(Model):
    """What services, playbooks and steps are given when they don't say otherwise, and the fleet's limits."""

    target: TargetModel | None = Field(None, description="Where alerts name their service (`service`, else `job`).")
    diagnose: bool = Field(True, description="Collect findings before the first step.")
    settle: Duration = Field(10.0, description="Time between the first alert and the first change.")
    hold: Duration = Field(30.0, description="How long healthy must hold before an incident is resolved.")
    resolve_within: PositiveDuration = Field(
        900.0, description="After a verified step the alert itself must resolve within this."
    )
    page_every: PositiveDuration = Field(900.0, description="An escalated incident pages again after this.")
    acknowledge_within: dict[SeverityName, ResponseTime] = Field(
        {},
        description="How soon somebody must have acknowledged an incident, or taken it over, or people are called; by "
        "severity, `1m` to `30d`, `0s` for never. Without an entry: 15m for P1, 1h for P2, 4h for P3, 24h for P4.",
    )
    update_every: dict[SeverityName, PositiveDuration] = Field(
        {},
        description="Silence after which it is told how an open incident stands; by severity. "
        "Without an entry: 15m for P1, 30m for P2, never for others.",
    )
    deadlines: DeadlinesModel = Field(
        DeadlinesModel(),
        description="For P1: people are called when a phase is late. Without an entry: `assess` 30m, `mitigate` 1h.",
    )
    complete_failure: DeadlinesModel = Field(
        DeadlinesModel(),
        description="The same for P1s of playbooks for complete failures. Without an entry: `assess` 5m, "
        "`recover` 15m, `mitigate` 30m.",
    )
    step: StepDefaultsModel = Field(StepDefaultsModel(), description="For every step.")
    verify: VerifyModel | None = Field(None, description="How steps are judged.")
    approval: dict[Name, Approval] = Field(
        {},
        description="Who must agree, by action. Without an entry: nobody for `restart`, `scale` and what only reads; "
        "one person with a reason for `rollback` and every other action, on P1 two for what destroys state.",
    )
    guardrails: GuardrailsModel | None = Field(None, description="Limits on one target.")
    known_good: KnownGoodModel | None = Field(None, description="The rule for `rollback`, for every service.")
    fleet: FleetModel = Field(FleetModel(), description="Limits over everything.")


class FileModel(Model):
    """playbooks.yaml: what to do about which alert."""

    engines: dict[Name, EngineModel] = Field({}, max_length=50, description="Where containers run, by name.")
    services: dict[Name, ServiceModel] = Field({}, max_length=20_000, description="What may be acted on, by name.")
    defaults: DefaultsModel = Field(DefaultsModel(), description="What isn't said elsewhere, and the fleet's limits.")
    playbooks: list[PlaybookModel] = Field(min_length=1, max_length=200, description="What to do about which alert.")
