"""What would be done about alerts, without doing or storing anything: the match, the plan, every guardrail's answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, replace
from typing import Any, TypeAlias

from receiver.acting import Actor
from receiver.core import events as ev
from receiver.core import guardrails
from receiver.core.alert import Alert
from receiver.core.approval import needs_reason
from receiver.core.fold import evolve
from receiver.core.guardrails import Answer
from receiver.core.incident import Incident
from receiver.core.playbook import Step
from receiver.core.redaction import hide, hide_deep
from receiver.core.routing import Match
from receiver.engine import Engine
from receiver.ports import Clock

SIMULATED = 20
"""Alerts of a payload that are explained; a preview for people needs no more."""

Confirm: TypeAlias = Callable[[Incident], Awaitable[tuple[bool | None, str]]]
"""Asks Prometheus whether an incident's alert fires; None: that can't be told, and the words say why."""


class Simulator:
    """Explains alerts with today's policy, targets and guardrails."""

    def __init__(self, engine: Engine, clock: Clock, actor: Actor, confirm: Confirm) -> None:
        self._engine = engine
        self._clock = clock
        self._actor = actor
        self._confirm = confirm

    async def simulate(self, alerts: Sequence[Alert]) -> dict[str, Any]:
        """Say for each alert which playbook matches and why others don't, and for each of its steps what would follow.

        `left_out` counts the alerts behind the first 20.
        """
        explained = [await self._alert(alert) for alert in alerts[:SIMULATED]]
        return {"mode": self._engine.mode, "alerts": explained, "left_out": max(0, len(alerts) - SIMULATED)}

    async def _alert(self, alert: Alert) -> dict[str, Any]:
        found = self._engine.router.choose(alert.labels)
        answer: dict[str, Any] = {
            "alert": alert.name,
            "fingerprint": alert.fingerprint,
            "status": alert.status.value,
            "considered": [asdict(one) for one in self._engine.router.explain(alert.labels)],
            "reason": found.reason,
        }
        if not isinstance(found, Match):
            return {**answer, "playbook": None, "steps": []}
        incident = self._imagined(alert, found)
        if found.playbook.steps:
            confirmed, _ = await self._confirm(incident)
            incident = replace(incident, confirmed=confirmed)
        return {
            **answer,
            "playbook": found.playbook.name,
            "description": found.playbook.description,
            "severity": found.severity.value,
            "target": found.service.name,
            "steps": [await self._step(incident, found, step) for step in found.playbook.steps],
        }

    async def _step(self, incident: Incident, found: Match, step: Step) -> dict[str, Any]:
        prepared = await self._actor.prepare(incident, found.playbook, found.service, step)
        told: dict[str, Any] = {"step": step.name, "action": step.action}
        if isinstance(prepared, ev.StepRefused):
            # Those that look at the plan have none to look at; the others can be told.
            answers = await self._actor.answers(incident, found.playbook, step)
            told |= {"refused": {**asdict(prepared), "reason": hide(prepared.reason)}, "would": "refused"}
        else:
            answers = prepared.answers
            plan = prepared.plan
            told["plan"] = hide_deep({"summary": plan.summary, "steps": list(plan.steps), "skip": plan.skip})
            told["would"] = self._would(incident, found, step, answers, skip=plan.skip is not None)
        policy = self._actor.judge.approvals(incident, found.playbook, step)
        needed = max(policy.approvals, 1 if guardrails.asks(answers) else 0)
        return {
            **told,
            "approvals": needed,
            "reason_required": needed > 0
            and (policy.reason_required or needs_reason(step.action, overrides=bool(guardrails.asks(answers)))),
            "approvers": sorted(self._actor.judge.able(incident, found.playbook, step)) if needed > 0 else [],
            "only_says": self._actor.judge.only_says(incident, found.playbook),
            "guardrails": [{**asdict(one), "word": one.word.value, "reason": hide(one.reason)} for one in answers],
        }

    def _would(self, incident: Incident, found: Match, step: Step, answers: Sequence[Answer], *, skip: bool) -> str:
        """Return `skipped`, `refused`, `asked` (people would be) or `run`."""
        if skip:
            return "skipped"
        if guardrails.refusal(answers) is not None:
            return "refused"
        asked = self._actor.judge.approvals(incident, found.playbook, step).approvals or guardrails.asks(answers)
        return "asked" if asked else "run"

    def _imagined(self, alert: Alert, found: Match) -> Incident:
        """Return the incident that the alert would open; it is stored nowhere."""
        now = self._clock.now()
        opened = ev.Opened(
            target=found.service.name,
            playbook=found.playbook.name,
            version=found.playbook.version,
            rank=found.playbook.rank,
            severity=found.severity,
            mode=self._engine.mode,
            reason=found.reason,
            alert=alert.name,
            labels=alert.labels,
            annotations=alert.annotations,
            starts_at=alert.starts_at / 1e9 or now,
        )
        return replace(evolve(None, ev.Recorded("simulated", 1, now, opened)), firing=1, alerts=1, diagnosed=True)
