"""Policy as it is loaded: services, playbooks, steps, guardrails. Made by `receiver.playbooks`, frozen for good.

Durations are seconds. A playbook's `version` is the hash of its content; an incident keeps the version that it began.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from receiver.core.matchers import Matcher, all_match
from receiver.core.severity import Severity


class OnFailure(StrEnum):
    """What follows a step that failed or was denied."""

    NEXT = "next"
    ESCALATE = "escalate"


class OnTimeout(StrEnum):
    """What follows a request for approval that nobody decided in time; never an approval.

    ESCALATE calls people, NEXT passes the step over, ABORT ends automation for the incident and calls nobody.
    """

    ESCALATE = "escalate"
    NEXT = "next"
    ABORT = "abort"


@dataclass(frozen=True, slots=True)
class Query:
    """A PromQL condition. `$window`, `$service` and alert labels are filled in, escaped, by the verifier.

    Args:
        expr: the playbook's own expression; never the alert's by default.
        success: a comparison such as `< 0.05`; all samples of the answer must fulfil it.
        failure: a comparison that fails the verification at once; None when only the deadline does.
        name: for the timeline.
        traffic: an expression for the number of requests within `$window`; below `min_traffic` it is inconclusive.
        min_traffic: requests asked for within the window.
        min_samples: samples since the action's end that each of its selectors must have.
        unit: printed behind the figures.
    """

    expr: str
    success: str
    failure: str | None = None
    name: str = ""
    traffic: str | None = None
    min_traffic: float = 0.0
    min_samples: int = 2
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Verification:
    """How a step is judged.

    Args:
        health: ask the service's health endpoints.
        target: ask the target's own state.
        queries: PromQL conditions; all must pass.
        initial_delay: seconds before the first look.
        interval: seconds between looks.
        consecutive: good looks in a row that make a pass.
        consecutive_failures: bad looks in a row that make a failure before the deadline.
        timeout: seconds until the deadline; still undecided then is inconclusive (or failed when looks were bad).
        max_staleness: age in seconds from which a sample is stale.
        probe: endpoints that are requested at each look; while all of them answer 2xx in time, they stand for the
            traffic that a query lacks.
    """

    health: bool = True
    target: bool = True
    queries: tuple[Query, ...] = ()
    initial_delay: float = 5.0
    interval: float = 5.0
    consecutive: int = 3
    consecutive_failures: int = 6
    timeout: float = 120.0
    max_staleness: float = 60.0
    probe: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ApprovalPolicy:
    """Who must agree before a step runs.

    Args:
        approvals: distinct people asked for; 0: none.
        expires: seconds until an undecided request expires.
        execute_before: seconds after the approval within which the step must start.
        on_timeout: what follows when nobody decides.
        reason_required: whether an approval needs a reason (a denial always does).
        approvers: people and groups of people.yaml who may approve; None: everybody with the role; empty: nobody.
    """

    approvals: int = 0
    expires: float = 900.0
    execute_before: float = 300.0
    on_timeout: OnTimeout = OnTimeout.ESCALATE
    reason_required: bool = False
    approvers: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One rung of the ladder.

    Args:
        name: unique within the playbook.
        action: an action of the registry.
        parameters: templates allowed in string values.
        timeout: seconds the action may take.
        verify: how it is judged.
        undo: undo it when its verification fails (while nobody else changed the target).
        cleanup_after: seconds of quiet after which a successful step is taken back (scale back); None: kept.
        on_failure: what follows when it fails.
        approval: who must agree; `approval_by_severity` where a severity asks for something else.
        allow_gap: whether a healthy single instance may be taken to zero without approval.
        healthy_within: seconds that each touched instance has to become healthy.
    """

    name: str
    action: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    timeout: float = 120.0
    verify: Verification = Verification()
    undo: bool = False
    cleanup_after: float | None = None
    on_failure: OnFailure = OnFailure.NEXT
    approval: ApprovalPolicy = ApprovalPolicy()
    approval_by_severity: Mapping[Severity, ApprovalPolicy] = field(default_factory=dict)
    allow_gap: bool = False
    healthy_within: float = 60.0

    def approval_for(self, severity: Severity) -> ApprovalPolicy:
        """Return who must agree in an incident of this severity."""
        return self.approval_by_severity.get(severity, self.approval)


@dataclass(frozen=True, slots=True)
class Guardrails:
    """Limits of a playbook on one target.

    Args:
        cooldown: seconds after the end of an automatic action in which the next incident may not act.
        max_runs: automatic actions on the target within `max_runs_window` seconds.
        max_alert_age: seconds; an older alert is never acted on automatically.
        min_healthy: instances that must stay healthy; None: one less than there are, 0 for a single instance.
        require_confirmation: the alert must fire in Prometheus itself before the first action.
    """

    cooldown: float = 300.0
    max_runs: int = 5
    max_runs_window: float = 3600.0
    max_alert_age: float = 3600.0
    min_healthy: int | None = None
    require_confirmation: bool = True


@dataclass(frozen=True, slots=True)
class FleetLimits:
    """Limits over everything: `max_actions` automatic actions in `window` seconds; `max_under_way` at once."""

    max_actions: int = 3
    window: float = 600.0
    max_under_way: int = 2


@dataclass(frozen=True, slots=True)
class SeverityRule:
    """A severity for the alerts whose labels match; the first that matches wins."""

    match: tuple[Matcher, ...]
    severity: Severity


ACKNOWLEDGE_WITHIN: Final[dict[Severity, float]] = {
    Severity.P1: 900.0,
    Severity.P2: 3600.0,
    Severity.P3: 14_400.0,
    Severity.P4: 86_400.0,
}
"""Seconds."""

UPDATE_EVERY: Final[dict[Severity, float]] = {Severity.P1: 900.0, Severity.P2: 1800.0}
"""Seconds; of others nobody waits for a word."""


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Until when a P1's phases must be reached; seconds since it is a P1, None: no deadline.

    Args:
        assess: it is known what to do.
        recover: the first attempt to repair it ended.
        mitigate: it works again.
    """

    assess: float | None = None
    recover: float | None = None
    mitigate: float | None = None


DEADLINES: Final = Deadlines(assess=1800.0, mitigate=3600.0)
COMPLETE_FAILURE: Final = Deadlines(assess=300.0, recover=900.0, mitigate=1800.0)
"""Of a playbook for complete failures, whose phases are shorter."""


@dataclass(frozen=True, slots=True)
class Playbook:
    """What to do about which alert.

    Args:
        name: unique in the file.
        version: hash of its content.
        rank: its place in the file from 0; the first that matches leads.
        match: all must hold.
        severity: by default; `severity_rules` by labels come first.
        target_labels: alert labels that name the service, the first present one counts.
        diagnose: whether findings are collected before the first step.
        steps: the ladder; empty: notify only.
        verify: how it is judged whether the trouble is gone when no step was taken.
        guardrails: its limits.
        settle: seconds between the first alert and the first mutation.
        hold: seconds that healthy must hold before the incident is resolved.
        resolve_within: seconds after a verified step within which the alert itself must resolve.
        page_every: seconds between pages of an escalated incident.
        acknowledge_within: seconds until somebody must have acknowledged it, by severity; of one not named nobody need.
        update_every: seconds of silence after which it is told how an open incident stands, by severity.
        deadlines: of the phases of its P1s.
        dry_run: plan and tell, never act.
        paused: start nothing.
        description: for people.
    """

    name: str
    version: str
    rank: int
    match: tuple[Matcher, ...]
    severity: Severity = Severity.P3
    severity_rules: tuple[SeverityRule, ...] = ()
    target_labels: tuple[str, ...] = ("service", "job")
    diagnose: bool = True
    steps: tuple[Step, ...] = ()
    verify: Verification = Verification()
    guardrails: Guardrails = Guardrails()
    settle: float = 10.0
    hold: float = 30.0
    resolve_within: float = 900.0
    page_every: float = 900.0
    acknowledge_within: Mapping[Severity, float] = field(default_factory=lambda: dict(ACKNOWLEDGE_WITHIN))
    update_every: Mapping[Severity, float] = field(default_factory=dict)
    deadlines: Deadlines = Deadlines()
    dry_run: bool = False
    paused: bool = False
    description: str = ""

    def severity_of(self, labels: Mapping[str, str]) -> Severity:
        """Return the severity of an alert with these labels."""
        for rule in self.severity_rules:
            if all_match(rule.match, labels):
                return rule.severity
        return self.severity


@dataclass(frozen=True, slots=True)
class Service:
    """An entry of `services:`; what may be acted on. Fields as in the playbook reference; durations in seconds.

    `aliases` are further values of the target labels that mean this service.
    """

    name: str
    engine: str
    runtime: str
    selector: Mapping[str, str]
    aliases: tuple[str, ...] = ()
    health_urls: tuple[str, ...] = ()
    health_word: str = "healthy"
    health_timeout: float = 5.0
    min_replicas: int | None = None
    max_replicas: int | None = None
    traffic: str = "none"
    shared_mounts: bool = False
    good_after: float = 1800.0
    recent: float = 86400.0
    command: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Engine:
    """An entry of `engines:`: where containers run. `url` is unix:// or tcp://; TLS by files."""

    name: str
    url: str
    ca: str | None = None
    cert: str | None = None
    key: str | None = None
    timeout: float = 30.0


@dataclass(frozen=True, slots=True)
class Policy:
    """The whole file.

    Args:
        version: hash of everything.
        playbooks: in file order.
        services: by name.
        engines: by name.
        fleet: limits over everything.
        loaded_from: the file, for messages.
        declared: what leads incidents that people declare; None: with the shipped times.
    """

    version: str
    playbooks: tuple[Playbook, ...]
    services: Mapping[str, Service]
    engines: Mapping[str, Engine]
    fleet: FleetLimits = FleetLimits()
    loaded_from: str = ""
    declared: Playbook | None = None

    def playbook(self, name: str) -> Playbook | None:
        """Return today's playbook of that name, None when it was deleted."""
        return next((one for one in self.playbooks if one.name == name), None)
