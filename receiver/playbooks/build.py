"""Models to the frozen policy: what a file doesn't say is filled in from `defaults` here, and nowhere else."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeAlias, TypeVar

from pydantic import BaseModel

from receiver.core.declared import DECLARED
from receiver.core.playbook import (
    ACKNOWLEDGE_WITHIN,
    COMPLETE_FAILURE,
    DEADLINES,
    UPDATE_EVERY,
    ApprovalPolicy,
    Deadlines,
    Engine,
    FleetLimits,
    Guardrails,
    OnFailure,
    OnTimeout,
    Playbook,
    Policy,
    Query,
    Service,
    SeverityRule,
    Step,
    Verification,
)
from receiver.core.severity import Severity
from receiver.core.stored import playbook_version, policy_version
from receiver.playbooks.actions import ActionFacts
from receiver.playbooks.fields import SeverityName
from receiver.playbooks.schema import (
    ApprovalChangeModel,
    ApprovalModel,
    DefaultsModel,
    EngineModel,
    FileModel,
    GuardrailsModel,
    KnownGoodModel,
    PlaybookModel,
    QueryModel,
    ServiceModel,
    StepModel,
    VerifyModel,
)

_AUTOMATIC = frozenset({"restart", "scale"})
_ASK = ApprovalPolicy(approvals=1, reason_required=True)
_ASK_TWO = replace(_ASK, approvals=2)
_GOOD_AFTER, _RECENT = 1800.0, 86_400.0
_LABELS = ("service", "job")

T = TypeVar("T")


def build_policy(
    file: FileModel, actions: Mapping[str, ActionFacts], engine_urls: Mapping[str, str], loaded_from: str
) -> Policy:
    """Make the policy of a file that was found to be right.

    Args:
        file: the validated file.
        actions: what is known of each action, by name.
        engine_urls: URLs that replace those of the file, by engine.
        loaded_from: the file's name, for messages.
    """
    playbooks = tuple(
        build_playbook(playbook, rank, file.defaults, actions) for rank, playbook in enumerate(file.playbooks)
    )
    services = {name: build_service(name, service, file.defaults) for name, service in file.services.items()}
    engines = {name: _engine(name, engine, engine_urls) for name, engine in file.engines.items()}
    fleet = FleetLimits(**_given(file.defaults.fleet))
    declared = _declared(file.defaults)
    version = policy_version((*playbooks, declared), services, engines, fleet)
    return Policy(version, playbooks, services, engines, fleet, loaded_from, declared)


def build_playbook(
    playbook: PlaybookModel, rank: int, defaults: DefaultsModel, actions: Mapping[str, ActionFacts]
) -> Playbook:
    """Make one playbook with everything that it doesn't say itself, and its version."""
    target = playbook.target or defaults.target
    made = Playbook(
        name=playbook.name,
        version="",
        rank=rank,
        match=playbook.match,
        severity=Severity(playbook.severity.default),
        severity_rules=tuple(SeverityRule(rule.match, Severity(rule.severity)) for rule in playbook.severity.rules),
        target_labels=tuple(target.labels) if target is not None else _LABELS,
        diagnose=_first(playbook.diagnose, defaults.diagnose),
        steps=tuple(_step(step, playbook, defaults, actions) for step in playbook.steps),
        verify=_verification(defaults.verify, playbook.verify),
        guardrails=Guardrails(**_merged(defaults.guardrails, playbook.guardrails)),
        settle=_first(playbook.settle, defaults.settle),
        hold=_first(playbook.hold, defaults.hold),
        resolve_within=_first(playbook.resolve_within, defaults.resolve_within),
        page_every=_first(playbook.page_every, defaults.page_every),
        acknowledge_within=build_response_times(defaults),
        update_every=UPDATE_EVERY | _rated(defaults.update_every),
        deadlines=_deadlines(defaults, complete_failure=playbook.complete_failure),
        dry_run=playbook.dry_run,
        paused=playbook.paused,
        description=playbook.description,
    )
    return replace(made, version=playbook_version(made))


def _declared(defaults: DefaultsModel) -> Playbook:
    """Return what leads incidents that people declare: it does nothing, at the times of the defaults."""
    made = replace(
        DECLARED,
        acknowledge_within=build_response_times(defaults),
        update_every=UPDATE_EVERY | _rated(defaults.update_every),
        deadlines=_deadlines(defaults, complete_failure=False),
    )
    return replace(made, version=playbook_version(made))


def build_response_times(defaults: DefaultsModel) -> dict[Severity, float]:
    """Return how soon people must have answered, in seconds; without the severities that need no answer."""
    times = ACKNOWLEDGE_WITHIN | _rated(defaults.acknowledge_within)
    return {severity: seconds for severity, seconds in times.items() if seconds}


def _deadlines(defaults: DefaultsModel, *, complete_failure: bool) -> Deadlines:
    base, given = DEADLINES, defaults.deadlines
    if complete_failure:
        base, given = COMPLETE_FAILURE, defaults.complete_failure
    return replace(base, **{phase: seconds or None for phase, seconds in _given(given).items()})


def _rated(given: Mapping[SeverityName, float]) -> dict[Severity, float]:
    return {Severity(name): seconds for name, seconds in given.items()}


def build_service(name: str, service: ServiceModel, defaults: DefaultsModel) -> Service:
    """Make one service. Without a known-good rule no version ever becomes known good."""
    rule = _merged(defaults.known_good, service.known_good)
    has_rule = has_known_good(service, defaults)
    health, replicas = service.health, service.replicas
    return Service(
        name=name,
        engine=service.engine or "",
        runtime=service.runtime,
        selector=dict(service.selector or {}),
        aliases=tuple(service.aliases),
        health_urls=tuple(health.urls) if health is not None else (),
        health_word=health.word if health is not None else "healthy",
        health_timeout=health.timeout if health is not None else 5.0,
        min_replicas=replicas.min if replicas is not None else None,
        max_replicas=replicas.max if replicas is not None else None,
        traffic=service.traffic,
        shared_mounts=service.shared_mounts,
        good_after=rule.get("good_after", _GOOD_AFTER) if has_rule else math.inf,
        recent=rule.get("recent", _RECENT),
        command=tuple(service.command or ()),
        options=_given(service.options) if service.options is not None else {},
    )


def has_known_good(service: ServiceModel, defaults: DefaultsModel) -> bool:
    """Whether there is a rule for what a known-good version of the service is."""
    return isinstance(service.known_good, KnownGoodModel) or isinstance(defaults.known_good, KnownGoodModel)


def build_verification(step: StepModel, playbook: PlaybookModel, defaults: DefaultsModel) -> Verification:
    """Merge what the step, the playbook and the defaults say about verifying, field by field."""
    return _verification(defaults.verify, playbook.verify, step.verify)


def _verification(*models: VerifyModel | None) -> Verification:
    merged = _merged(*models)
    if "queries" in merged:
        merged["queries"] = tuple(_query(query) for query in merged["queries"])
    if "probe" in merged:
        merged["probe"] = tuple(merged["probe"])
    return Verification(**merged)


Approvals: TypeAlias = tuple[ApprovalPolicy, Mapping[Severity, ApprovalPolicy]]
"""Who must agree, and where a severity asks for something else."""


def build_approval(step: StepModel, defaults: DefaultsModel, actions: Mapping[str, ActionFacts]) -> Approvals:
    """Return who must agree: what the step says, else the defaults for its action, else the shipped rule."""
    given = step.approval or defaults.approval.get(step.action)
    if given is not None:
        changes = {Severity(name): _approval(given, change) for name, change in given.by_severity.items()}
        return _approval(given), changes
    facts = actions.get(step.action)
    if facts is not None and facts.destroys_state:
        return _ASK, {Severity.P1: _ASK_TWO}
    reads = facts is not None and facts.read_only
    return (ApprovalPolicy() if reads or step.action in _AUTOMATIC else _ASK), {}


def _step(
    step: StepModel, playbook: PlaybookModel, defaults: DefaultsModel, actions: Mapping[str, ActionFacts]
) -> Step:
    approval, by_severity = build_approval(step, defaults, actions)
    return Step(
        name=step.name,
        action=step.action,
        parameters=dict(step.parameters),
        timeout=_first(step.timeout, defaults.step.timeout),
        verify=build_verification(step, playbook, defaults),
        undo=step.undo,
        cleanup_after=step.cleanup_after,
        on_failure=OnFailure(_first(step.on_failure, defaults.step.on_failure)),
        approval=approval,
        approval_by_severity=by_severity,
        allow_gap=step.allow_gap,
        healthy_within=_first(step.healthy_within, defaults.step.healthy_within),
    )


def _approval(model: ApprovalModel, change: ApprovalChangeModel | None = None) -> ApprovalPolicy:
    fields = _given(model) | (_given(change) if change is not None else {})
    fields.pop("by_severity", None)
    if "on_timeout" in fields:
        fields["on_timeout"] = OnTimeout(fields["on_timeout"])
    if "approvers" in fields:
        fields["approvers"] = tuple(fields["approvers"])
    return ApprovalPolicy(**fields)


def _query(model: QueryModel) -> Query:
    return Query(**_given(model))


def _engine(name: str, model: EngineModel, urls: Mapping[str, str]) -> Engine:
    return Engine(name=name, **{**_given(model), "url": urls.get(name, model.url)})


def _first(given: T | None, default: T) -> T:
    return default if given is None else given


def _merged(*models: VerifyModel | GuardrailsModel | KnownGoodModel | None) -> dict[str, Any]:
    """Return the fields that are given, the later model's winning."""
    merged: dict[str, Any] = {}
    for model in models:
        if model is not None:
            merged.update(_given(model))
    return merged


def _given(model: BaseModel) -> dict[str, Any]:
    fields = {name: getattr(model, name) for name in model.model_fields_set}
    return {name: value for name, value in fields.items() if value is not None}
