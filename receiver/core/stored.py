"""Playbooks as JSON and back, and their versions: hashes of their content.

An incident goes on with the playbook that it began with, also after the file changed and the process started again;
so a stored playbook must come back exactly as it was.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, fields, is_dataclass
from enum import Enum
from typing import Any

from receiver.core.matchers import Matcher, Op, matcher
from receiver.core.playbook import (
    ACKNOWLEDGE_WITHIN,
    ApprovalPolicy,
    Deadlines,
    Engine,
    FleetLimits,
    Guardrails,
    OnFailure,
    OnTimeout,
    Playbook,
    Query,
    Service,
    SeverityRule,
    Step,
    Verification,
)
from receiver.core.severity import Severity


def playbook_version(playbook: Playbook) -> str:
    """Return the hash of what a playbook says; its place in the file and the hash itself don't count."""
    content = playbook_to_json(playbook)
    del content["version"], content["rank"]
    return _hash(content)


def policy_version(
    playbooks: Iterable[Playbook],
    services: Mapping[str, Service],
    engines: Mapping[str, Engine],
    fleet: FleetLimits,
) -> str:
    """Return the hash of a whole policy; here the order of the playbooks counts."""
    content = {
        "playbooks": [playbook.version for playbook in playbooks],
        "services": {name: asdict(service) for name, service in services.items()},
        "engines": {name: asdict(engine) for name, engine in engines.items()},
        "fleet": asdict(fleet),
    }
    return _hash(content)


def playbook_to_json(playbook: Playbook) -> dict[str, Any]:
    """Return a playbook as JSON types; `playbook_from_json` gives back one that is equal."""
    return {field.name: _plain(getattr(playbook, field.name)) for field in fields(playbook)}


def playbook_from_json(data: Mapping[str, Any]) -> Playbook:
    """Return the playbook that `playbook_to_json` was given.

    Raises:
        KeyError, TypeError, ValueError: it isn't the output of `playbook_to_json`.
    """
    return Playbook(
        **{
            **data,
            "match": _matchers(data["match"]),
            "severity": Severity(data["severity"]),
            "severity_rules": tuple(
                SeverityRule(_matchers(rule["match"]), Severity(rule["severity"])) for rule in data["severity_rules"]
            ),
            "target_labels": tuple(data["target_labels"]),
            "steps": tuple(_step(step) for step in data["steps"]),
            "verify": _verification(data["verify"]),
            "guardrails": Guardrails(**data["guardrails"]),
            "deadlines": Deadlines(**data.get("deadlines", {})),
            # Its absence is an older release's, where nobody could choose.
            "acknowledge_within": _by_severity(data.get("acknowledge_within", ACKNOWLEDGE_WITHIN)),
            "update_every": _by_severity(data.get("update_every", {})),
        }
    )


def _by_severity(data: Mapping[str, float]) -> dict[Severity, float]:
    return {Severity(name): seconds for name, seconds in data.items()}


def _step(data: Mapping[str, Any]) -> Step:
    by_severity = data.get("approval_by_severity", {})
    return Step(
        **{
            **data,
            "on_failure": OnFailure(data["on_failure"]),
            "verify": _verification(data["verify"]),
            "approval": _approval(data["approval"]),
            "approval_by_severity": {Severity(name): _approval(one) for name, one in by_severity.items()},
        }
    )


def _approval(data: Mapping[str, Any]) -> ApprovalPolicy:
    approvers = data.get("approvers")
    return ApprovalPolicy(
        **{
            **data,
            "on_timeout": OnTimeout(data["on_timeout"]),
            "approvers": tuple(approvers) if approvers is not None else None,
        }
    )


def _verification(data: Mapping[str, Any]) -> Verification:
    queries = tuple(Query(**query) for query in data["queries"])
    return Verification(**{**data, "queries": queries, "probe": tuple(data.get("probe", ()))})


def _matchers(data: Iterable[Mapping[str, str]]) -> tuple[Matcher, ...]:
    return tuple(matcher(one["name"], Op(one["op"]), one["value"]) for one in data)


def _plain(value: Any) -> Any:
    if isinstance(value, Matcher):
        return {"name": value.name, "op": value.op.value, "value": value.value}
    if isinstance(value, Enum):
        return value.value
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return value


def _hash(content: Any) -> str:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
