"""What the guardrails say now: when a step is decided, and again in the very unit that stores its intent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from receiver.control import KillSwitch
from receiver.core import events as ev
from receiver.core import guardrails
from receiver.core.guardrails import ActionRecord, Answer, Facts, Figures
from receiver.core.incident import Approval, Incident
from receiver.core.machine import step_named
from receiver.core.playbook import ApprovalPolicy, OnFailure, Playbook, Step
from receiver.engine import Engine
from receiver.plans import plan_from
from remediations.protocol import Plan

LONGEST_ACTION = 3600.0
"""Seconds that an action may have taken whose end still counts within a window."""


class Judge:
    """Asks the guardrails with today's policy and the kill switch as they are at that moment."""

    def __init__(self, engine: Engine, kill: KillSwitch) -> None:
        self._engine = engine
        self._kill = kill
        self.stopping = False
        """Set when the service stops: what was begun may finish, nothing new begins."""

    def today(self, playbook: Playbook) -> Playbook | None:
        """Return the playbook of that name as it is in the file now; None: deleted."""
        return self._engine.policy.playbook(playbook.name)

    def since(self, playbook: Playbook, now: float) -> float:
        """Return UNIX seconds from which on past actions count."""
        window = guardrails.longest_window(playbook, self.today(playbook), self._engine.policy.fleet)
        return now - window - LONGEST_ACTION

    def answers(
        self,
        incident: Incident,
        playbook: Playbook,
        step: Step,
        kind: str,
        plan: Plan | None,
        actions: Sequence[ActionRecord],
        now: float,
        *,
        approved: bool,
    ) -> tuple[Answer, ...]:
        """Return every guardrail's answer.

        Args:
            kind: `step`, `undo` or `cleanup`.
            plan: what it would pass through; None for what takes back.
            actions: since `since`, and all under way.
            approved: whether people agreed to this very plan.
        """
        figures = None
        if plan is not None:
            # An instance that fails already isn't counted as lost: of the healthy ones, all but one must stay.
            figures = Figures(plan.lowest_healthy, plan.healthy_now, plan.healthy_now, plan.takes_down)
        facts = Facts(
            incident=incident,
            step=step,
            kind=kind,
            playbook=playbook,
            today=self.today(playbook),
            fleet=self._engine.policy.fleet,
            kill=self._kill.state(),
            actions=actions,
            figures=figures,
            approved=approved,
            asks=self.approvals(playbook, step).approvals > 0,
        )
        return guardrails.check(facts, now)

    def min_healthy(self, playbook: Playbook, plan: Plan) -> int:
        """Return how many instances must stay healthy while a plan is carried out."""
        return guardrails.min_healthy(playbook, self.today(playbook), plan.healthy_now)

    def approvals(self, playbook: Playbook, step: Step) -> ApprovalPolicy:
        """Return who must agree to a step: the stricter of then and today."""
        today = self.today(playbook)
        current = step_named(today, step.name) if today is not None else None
        return _stricter(step.approval, current.approval if current is not None else None)

    def only_says(self, incident: Incident, playbook: Playbook, kind: str = "step") -> bool:
        """Whether it only says what it would do: the stricter of the incident's mode, today's mode, and dry run.

        A dry run is about what a playbook would begin; what was added for a time is there, and is taken back.
        """
        if kind == "cleanup":
            return self.observing(incident)
        today = self.today(playbook)
        dry = playbook.dry_run or (today is not None and today.dry_run)
        return dry or self.observing(incident)

    def observing(self, incident: Incident) -> bool:
        """Whether the service changes nothing: the stricter of the incident's mode and today's."""
        return "observe" in {incident.mode, self._engine.mode}

    def may_begin(
        self,
        incident: Incident,
        playbook: Playbook,
        step: Step,
        started: ev.StepStarted,
        approval: Approval | None,
        actions: Sequence[ActionRecord],
        now: float,
    ) -> bool:
        """Whether what is about to be stored as an intent may still begin. Pure but for the kill switch's file.

        Asked in the unit that stores it: whatever changed since the step was decided (another incident's action, a
        reload, the kill switch, a vote) counts.
        """
        if self.stopping:
            return False
        plan = plan_from(started.plan) if started.kind == "step" else None
        approved = approval is not None
        answers = self.answers(incident, playbook, step, started.kind, plan, actions, now, approved=approved)
        if guardrails.refusal(answers) is not None or self.only_says(incident, playbook, started.kind):
            return False
        if started.kind != "step":
            return True
        wanted = self.approvals(playbook, step).approvals
        if approval is not None:
            return approval.needed >= wanted
        return wanted == 0 and not guardrails.asks(answers)


def _stricter(then: ApprovalPolicy, today: ApprovalPolicy | None) -> ApprovalPolicy:
    """Return the stricter of two approval policies, field by field."""
    if today is None or today == then:
        return then
    fields = asdict(then)
    fields["approvals"] = max(then.approvals, today.approvals)
    fields["expires"] = min(then.expires, today.expires)
    fields["execute_before"] = min(then.execute_before, today.execute_before)
    fields["reason_required"] = then.reason_required or today.reason_required
    escalates = OnFailure.ESCALATE in {then.on_timeout, today.on_timeout}
    return ApprovalPolicy(**{**fields, "on_timeout": OnFailure.ESCALATE if escalates else OnFailure.NEXT})
