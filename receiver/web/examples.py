"""One example of each shape that is worth one, for the API's document; a test holds them to their models."""

from __future__ import annotations

from typing import Any, Final

_ALERT: Final[dict[str, Any]] = {
    "fingerprint": "4465f977f130b79a",
    "status": "firing",
    "name": "ServiceDown",
    "labels": {"alertname": "ServiceDown", "service": "smartresume-api"},
    "annotations": {"summary": "smartresume-api does not answer"},
    "starts_at": "2026-11-24T02:13:09.000Z",
    "seen_at": "2026-11-24T02:13:14.418Z",
    "repeats": 0,
    "playbook": "service-down",
    "reason": None,
}

_APPROVAL: Final[dict[str, Any]] = {
    "id": "p-7c1d",
    "step": "rollback",
    "summary": "roll smartresume-api back from smartresume-api:1.1 to smartresume-api:1.0 (1 instance)",
    "state": "pending",
    "needed": 2,
    "votes": [{"person": "jane", "approve": True, "reason": "", "at": "2026-11-24T02:14:00.000Z", "via": "slack"}],
    "approvers": ["jane", "joe"],
    "reason_required": True,
    "expires_at": "2026-11-24T02:29:02.100Z",
    "plan_hash": "5f2b4a90c1d3e877",
}

_ENTRY: Final[dict[str, Any]] = {
    "at": "2026-11-24T02:14:05.000Z",
    "kind": "step_started",
    "text": "Began step restart: restart smartresume-api (1 instance).",
    "data": {"step": "restart"},
    "tone": "info",
    "seq": 7,
    "alike": 1,
}

EXAMPLES: Final[dict[str, dict[str, Any]]] = {
    "Alert": _ALERT,
    "Approval": _APPROVAL,
    "Entry": _ENTRY,
    "News": {**_ENTRY, "incident": "i-k3f9x2qd"},
    "Incident": {
        "id": "i-k3f9x2qd",
        "state": "awaiting_approval",
        "severity": "P1",
        "playbook": "service-down",
        "target": "smartresume-api",
        "title": "P1 WAITS FOR APPROVAL · smartresume-api · ServiceDown · 1 of 1 alert firing",
        "mode": "act",
        "opened_at": "2026-11-24T02:13:14.418Z",
        "updated_at": "2026-11-24T02:14:02.100Z",
        "resolved_at": None,
        "ended_at": None,
        "alert": "ServiceDown",
        "firing": 1,
        "alert_count": 1,
        "alerts": [_ALERT],
        "steps": [{"step": "restart", "action": "restart", "result": "failed"}],
        "under_way": None,
        "approval": _APPROVAL,
        "refused_by": None,
        "escalation": None,
        "owner": None,
        "paused_by": None,
        "acknowledged_by": None,
    },
    "Answer": {"ok": True, "text": "approved; 1 of 2 approvals for rollback"},
    "ReasonRequest": {"reason": "the release of 02:10 broke it"},
    "NoteRequest": {"text": "the vendor has been told"},
    "KillRequest": {"on": True, "playbook": "service-down"},
    "Taken": {
        "alerts": 10,
        "new": 4,
        "repeats": 6,
        "resolved": 0,
        "refired": 0,
        "stale": 0,
        "unmatched": 1,
    },
    "Webhook": {
        "version": "4",
        "truncatedAlerts": 0,
        "alerts": [
            {
                "status": "firing",
                "labels": {"alertname": "ServiceDown", "service": "smartresume-api"},
                "annotations": {"summary": "smartresume-api does not answer"},
                "startsAt": "2026-11-24T02:13:09Z",
                "endsAt": "0001-01-01T00:00:00Z",
                "generatorURL": "http://prometheus:9090/graph",
                "fingerprint": "4465f977f130b79a",
            }
        ],
    },
    "Problem": {
        "type": "about:blank",
        "title": "Conflict",
        "status": 409,
        "detail": "i-k3f9x2qd asks for no approval now (it is resolved)",
    },
}
