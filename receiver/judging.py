"""What the guardrails say now: when a step is decided, and again in the very unit that stores its intent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from functools import reduce

from receiver.approvers import Approvers
from receiver.control import KillSwitch
from receiver.core import approval as voting
from receiver.core import events as ev
from receiver.core import guardrails
from receiver.core.guardrails import ActionRecord, Answer, Facts, Figures
from receiver.core.incident import Approval, Incident
from receiver.core.machine import step_named
from receiver.core.playbook import ApprovalPolicy, OnTimeout, Playbook, Step
from receiver.engine import Engine
from receiver.plans import plan_from
from remediations.protocol import Plan

LONGEST_ACTION = 3600.0
"""Seconds that an action may have taken whose end still counts within a window."""


class Judge:
    """Asks the guardrails with today's policy and the kill switch as they are at that moment."""

    def __init__(self, engine: Engine, kill: KillSwitch, approvers: Approvers) -> None:
        self._engine = engine
        self._kill = kill
        self.approvers = approvers
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
            asks=self.approvals(incident, playbook, step).approvals > 0,
        )
        return guardrails.check(facts, now)

    def min_healthy(self, playbook: Playbook, plan: Plan) -> int:
        """Return how many instances must stay healthy while a plan is carried out."""
        return guardrails.min_healthy(playbook, self.today(playbook), plan.healthy_now)

    def approvals(self, incident: Incident, playbook: Playbook, step: Step) -> ApprovalPolicy:
        """Return who must agree to a step: the strictest of then and today, for today's severity and the worst ever."""
        return reduce(_stricter, self._policies(incident, playbook, step))

    def able(self, incident: Incident, playbook: Playbook, step: Step) -> frozenset[str]:
        """Return the ids of those whose agreement counts at this moment, for each policy of `approvals`.

        Whoever began the incident by hand isn't among them.
        """
        policies = self._policies(incident, playbook, step)
        return frozenset.intersection(*(self.approvers.able(one.approvers) for one in policies)) - {incident.started_by}

    def _policies(self, incident: Incident, playbook: Playbook, step: Step) -> list[ApprovalPolicy]:
        """Return every policy that counts: who lowers a severity asks no fewer people by that, nor others."""
        today = self.today(playbook)
        current = step_named(today, step.name) if today is not None else None
        severities = dict.fromkeys((incident.severity, incident.worst or incident.severity))
        return [one.approval_for(severity) for one in (step, current) if one is not None for severity in severities]

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
        if approval is not None and not self._still_approved(incident, playbook, step, approval, now):
            return False
        answers = self.answers(incident, playbook, step, started.kind, plan, actions, now, approved=approved)
        if guardrails.refusal(answers) is not None or self.only_says(incident, playbook, started.kind):
            return False
        if started.kind != "step":
            return True
        if approval is not None:
            return True
        return self.approvals(incident, playbook, step).approvals == 0 and not guardrails.asks(answers)

    def _still_approved(
        self, incident: Incident, playbook: Playbook, step: Step, approval: Approval, now: float
    ) -> bool:
        """Whether an approval is the incident's, was made in time, and has a quorum of those who may approve now."""
        if incident.approval != approval or approval.approved_at is None or approval.suspended:
            return False
        policy = self.approvals(incident, playbook, step)
        in_time = now < approval.approved_at + min(approval.execute_before, policy.execute_before)
        enough = approval.needed >= policy.approvals
        return in_time and enough and voting.quorum(approval, self.able(incident, playbook, step))


def _stricter(then: ApprovalPolicy, today: ApprovalPolicy) -> ApprovalPolicy:
    """Return the stricter of two approval policies, field by field; who may approve is asked of both, see `able`."""
    if today == then:
        return then
    fields = asdict(then)
    fields["approvals"] = max(then.approvals, today.approvals)
    fields["expires"] = min(then.expires, today.expires)
    fields["execute_before"] = min(then.execute_before, today.execute_before)
    fields["reason_required"] = then.reason_required or today.reason_required
    either = {then.on_timeout, today.on_timeout}
    fields["on_timeout"] = next(one for one in (OnTimeout.ESCALATE, OnTimeout.ABORT, OnTimeout.NEXT) if one in either)
    return ApprovalPolicy(**fields)
