"""Plans and intents as JSON, and the hash that binds an approval to a plan."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from receiver.core.incident import Action, Done
from remediations.protocol import Intent, Plan


def plan_json(plan: Plan) -> dict[str, Any]:
    """Return a plan as it is stored."""
    return json.loads(json.dumps(asdict(plan), default=list))  # type: ignore[no-any-return]


def plan_from(value: Mapping[str, Any]) -> Plan:
    """Return a stored plan."""
    return Plan(**{**value, "steps": tuple(value.get("steps", ()))})


def intent_of(action: Action) -> Intent:
    """Return the intent that is under way."""
    return Intent(action.action_id, action.action, action.parameters, plan_from(action.plan), action.started_at)


def intent_done(done: Done) -> Intent:
    """Return the intent of a step that ended."""
    return Intent(str(done.action_id), done.action, done.parameters, plan_from(done.plan), done.started_at)


def plan_hash(version: str, target: str, parameters: Mapping[str, Any], plan: Plan) -> str:
    """Hash what an approval is bound to: playbook version, target, rendered parameters, observed revision."""
    bound = [version, target, parameters, plan.revision, plan.summary, list(plan.steps)]
    return hashlib.sha256(json.dumps(bound, sort_keys=True, default=list).encode()).hexdigest()[:16]
