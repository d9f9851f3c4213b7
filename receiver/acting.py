"""Steps on real targets: plan, guardrails, approval, intent, effect; and taking back what was done."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from pydantic import ValidationError

from receiver.core import approval as voting
from receiver.core import events as ev
from receiver.core import guardrails
from receiver.core.commands import RunStep, TakeBack
from receiver.core.guardrails import ActionRecord, Answer, Word
from receiver.core.incident import Approval, Done, Incident
from receiver.core.machine import step_named
from receiver.core.playbook import OnTimeout, Playbook, Service, Step
from receiver.core.template import TemplateError, render_deep
from receiver.engine import Engine
from receiver.judging import Judge
from receiver.performing import Performer
from receiver.plans import plan_from, plan_hash, plan_json
from receiver.ports import Clock, Store
from receiver.targets import Targets
from remediations.protocol import Context, EngineUnavailable, Intent, Plan, Remediation, RemediationError

PLAN_LIMIT = 30.0
"""Seconds a plan may take."""

TOLD = 20
"""People at most whom a request for approval names as those who may answer it."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A step, planned and judged."""

    plan: Plan
    parameters: Mapping[str, object]
    answers: tuple[Answer, ...]
    context: Context


class Actor:
    """Begins steps and what takes them back; what was begun is the performer's.

    Its methods return False when nothing more is due now: a later wake-up is set.

    Args:
        judge: says whether something may begin.
        actions: the installed ones, by name.
    """

    def __init__(
        self,
        engine: Engine,
        store: Store,
        clock: Clock,
        targets: Targets,
        judge: Judge,
        actions: Mapping[str, Remediation],
    ) -> None:
        self._engine = engine
        self._store = store
        self._clock = clock
        self._targets = targets
        self._actions = actions
        self.judge = judge
        self.performer = Performer(engine, clock, targets, self.judge, actions)

    def stop(self) -> None:
        """Begin nothing any more; what was begun goes on."""
        self.judge.stopping = True

    # --- a new step -------------------------------------------------------------------------------------------------

    async def run(self, incident: Incident, playbook: Playbook, service: Service, command: RunStep) -> bool:
        """Plan a step and start it, or say why not."""
        step, approval = command.step, command.approval
        prepared = await self.prepare(incident, playbook, service, step, approved=approval is not None)
        only_says = self.judge.only_says(incident, playbook)
        if isinstance(prepared, ev.StepRefused):
            if only_says:
                return await self._record(incident, self._would_have_tried(incident, playbook, step, prepared))
            return await self._refuse(incident, prepared)
        if prepared.plan.skip is not None:
            return await self._record(incident, ev.StepSkipped(step.name, prepared.plan.skip))
        refusal = guardrails.refusal(prepared.answers)
        if only_says:
            return await self._record(incident, self._would_have(incident, playbook, step, prepared))
        if refusal is not None:
            return await self._refuse(incident, self._refused(step.name, "step", refusal))
        if approval is not None:
            if (why := self._superseded(incident, playbook, step, prepared, approval)) is not None:
                return await self._record(incident, ev.ApprovalEnded(approval.id, "superseded", why))
        elif asked := self._ask(incident, step, playbook, prepared):
            return await self._record(incident, *asked)
        return await self._start(incident, playbook, step, prepared, approval)

    async def prepare(
        self, incident: Incident, playbook: Playbook, service: Service, step: Step, *, approved: bool = False
    ) -> Prepared | ev.StepRefused:
        """Plan a step by reading only, and ask every guardrail; changes nothing."""
        action = self._actions.get(step.action)
        if action is None:
            why = f"action {step.action} is not installed any more"
            return ev.StepRefused(step.name, "action", why, "install it again, or change the playbook")
        try:
            parameters = render_deep(dict(step.parameters), incident.labels, incident.annotations)
            # What a template made of an alert's labels is checked like what stands in the file.
            action.parameters.model_validate(parameters)
            async with asyncio.timeout(PLAN_LIMIT):
                context = await self._targets.context(
                    service, playbook=playbook.name, healthy_within=step.healthy_within
                )
                plan = await action.plan(context, parameters)
        except (TemplateError, ValidationError) as error:
            why = _mistakes(error) if isinstance(error, ValidationError) else str(error)
            return ev.StepRefused(step.name, "template", why, "correct the playbook or the alert's labels")
        except RemediationError as error:
            return self._not_planned(step, error, retry=error.retryable)
        except TimeoutError:
            slow = EngineUnavailable(f"planning took longer than {PLAN_LIMIT:.0f} s")
            return self._not_planned(step, slow, retry=True)
        context = replace(context, min_healthy=self.judge.min_healthy(playbook, plan))
        answers = await self.answers(incident, playbook, step, "step", plan, approved=approved)
        return Prepared(plan, parameters, answers, context)

    async def _start(
        self, incident: Incident, playbook: Playbook, step: Step, prepared: Prepared, approval: Approval | None
    ) -> bool:
        started = ev.StepStarted(
            step=step.name,
            action_id=self._engine.ids.action(),
            action=step.action,
            kind="step",
            summary=prepared.plan.summary,
            parameters=dict(prepared.parameters),
            plan=plan_json(prepared.plan),
            undo=step.undo,
            cleanup_after=step.cleanup_after,
        )
        if not await self._begin(incident, playbook, step, started, approval):
            return True
        intent = Intent(started.action_id, step.action, prepared.parameters, plan_from(started.plan), self._clock.now())
        call = self._actions[intent.action].execute(prepared.context, intent)
        return await self.performer.perform(incident, intent, call, step.timeout)

    async def _begin(
        self, incident: Incident, playbook: Playbook, step: Step, started: ev.StepStarted, approval: Approval | None
    ) -> bool:
        """Store the intent, if it still may begin with everything as it is in that unit; False: decide again."""
        stored: list[bool] = []

        def decide(
            current: Incident, _playbook: Playbook, now: float, actions: Sequence[ActionRecord]
        ) -> Sequence[ev.Event]:
            may = self.judge.may_begin(current, playbook, step, started, approval, actions, now)
            stored[:] = [may and current.stands_as(incident)]
            return [started] if stored[0] else []

        since = self.judge.since(playbook, self._clock.now())
        await self._engine.record_among(incident.id, decide, since=since)
        return stored[0]

    # --- taking back --------------------------------------------------------------------------------------------------

    async def take_back(self, incident: Incident, playbook: Playbook, service: Service, command: TakeBack) -> bool:
        """Undo a failed step, or take back one that is no longer needed: a new action, under the kill switch too."""
        done = command.done
        step = step_named(playbook, done.step) or Step(done.step, done.action)
        answers = await self.answers(incident, playbook, step, command.kind, None)
        refusal = guardrails.refusal(answers)
        if refusal is None and self.judge.only_says(incident, playbook, command.kind):
            retry_at = self._clock.now() + guardrails.RETRY
            refusal = Answer("mode", Word.REFUSED, self._why_only(incident, playbook), "act again", retry_at)
        if refusal is not None:
            return await self._refuse(incident, self._refused(step.name, command.kind, refusal))
        started = ev.StepStarted(
            step=done.step,
            action_id=self._engine.ids.action(),
            action=done.action,
            kind=command.kind,
            summary=f"take back: {self._described(done)}",
            parameters=dict(done.parameters),
            plan=dict(done.plan),
            cause=done.action_id,
        )
        await self._begin(incident, playbook, step, started, None)
        # What follows is the same as after a crash: the intent is stored, and undoing is idempotent.
        return True

    # --- answers ------------------------------------------------------------------------------------------------------

    async def answers(
        self,
        incident: Incident,
        playbook: Playbook,
        step: Step,
        kind: str = "step",
        plan: Plan | None = None,
        *,
        approved: bool = False,
    ) -> tuple[Answer, ...]:
        """Ask every guardrail; without a plan those that look at one have nothing to say against it."""
        now = self._clock.now()
        actions = await self._store.actions(self.judge.since(playbook, now))
        return self.judge.answers(incident, playbook, step, kind, plan, actions, now, approved=approved)

    def _ask(self, incident: Incident, step: Step, playbook: Playbook, prepared: Prepared) -> list[ev.Event]:
        """Return the request for approval that a step needs: by policy then or today, or because a guardrail asks.

        What nobody can approve has expired already: waiting for it would only keep people from being called.
        """
        policy = self.judge.approvals(incident, playbook, step)
        overridden = [f"{one.guardrail}: {one.reason}" for one in guardrails.asks(prepared.answers)]
        if policy.approvals == 0 and not overridden:
            return []
        able = self.judge.able(incident, playbook, step)
        needed = max(policy.approvals, 1)
        # An approval that can't be had is a mistake of the file, not people's silence: it is never left at that.
        aborts = policy.on_timeout is OnTimeout.ABORT and len(able) < needed
        asked = ev.ApprovalAsked(
            approval=self._engine.ids.approval(),
            step=step.name,
            summary=prepared.plan.summary,
            plan_hash=self._hash(incident, prepared),
            needed=needed,
            expires_at=self._clock.now() + policy.expires,
            execute_before=policy.execute_before,
            on_timeout=(OnTimeout.ESCALATE if aborts else policy.on_timeout).value,
            reason_required=policy.reason_required or voting.needs_reason(step.action, overrides=bool(overridden)),
            cause="; ".join([*(["policy"] if policy.approvals else []), *overridden]),
            plan=plan_json(prepared.plan),
            approvers=tuple(sorted(able)[:TOLD]),
        )
        if len(able) >= needed:
            return [asked]
        why = f"it needs {needed}, and people.yaml names {len(able) or 'nobody'} who may approve"
        return [asked, ev.ApprovalEnded(asked.approval, "expired", why)]

    def _superseded(
        self, incident: Incident, playbook: Playbook, step: Step, prepared: Prepared, approval: Approval
    ) -> str | None:
        """Say why an approval doesn't count for the step as it would run now; it is asked again."""
        if approval.plan_hash != self._hash(incident, prepared):
            return "the plan changed since it was approved; it is asked again"
        wanted = self.judge.approvals(incident, playbook, step).approvals
        if approval.needed < wanted:
            return f"the policy asks for {wanted} to approve now; it is asked again"
        able = self.judge.able(incident, playbook, step)
        if not voting.quorum(approval, able):
            gone = sorted(voting.agreed(approval) - able)
            return f"{', '.join(gone)} may not approve any more; it is asked again"
        return None

    def _hash(self, incident: Incident, prepared: Prepared) -> str:
        return plan_hash(incident.version, incident.target, prepared.parameters, prepared.plan)

    def _would_have(self, incident: Incident, playbook: Playbook, step: Step, prepared: Prepared) -> ev.WouldHave:
        besides = [f"{one.guardrail}: {one.reason}" for one in prepared.answers if one.word is not Word.ALLOWED]
        if needed := self.judge.approvals(incident, playbook, step).approvals:
            people = "1 person" if needed == 1 else f"{needed} people"
            besides.insert(0, f"{people} would have been asked first")
        why = self._why_only(incident, playbook, besides)
        return ev.WouldHave(step.name, prepared.plan.summary, why, plan=plan_json(prepared.plan))

    def _would_have_tried(
        self, incident: Incident, playbook: Playbook, step: Step, refused: ev.StepRefused
    ) -> ev.WouldHave:
        why = self._why_only(incident, playbook, [f"it could not have been: {refused.reason}"])
        return ev.WouldHave(step.name, f"{step.action} {incident.target}", why)

    def _why_only(self, incident: Incident, playbook: Playbook, besides: Sequence[str] = ()) -> str:
        why = "observe mode" if self.judge.observing(incident) else f"playbook {playbook.name} is a dry run"
        return f"{why}; besides, {'; '.join(besides)}" if besides else why

    def _described(self, done: Done) -> str:
        action = self._actions.get(done.action)
        return action.describe(done.parameters) if action is not None else done.action

    def _refused(self, step: str, kind: str, answer: Answer) -> ev.StepRefused:
        return ev.StepRefused(
            step,
            answer.guardrail,
            answer.reason,
            release=answer.release,
            retry_at=answer.retry_at,
            give_up_at=self._clock.now() + guardrails.GIVE_UP_AFTER,
            kind=kind,
            data=answer.data,
        )

    def _not_planned(self, step: Step, error: RemediationError, *, retry: bool) -> ev.StepRefused:
        now = self._clock.now()
        return ev.StepRefused(
            step.name,
            "target",
            str(error),
            release="the engine answers again" if retry else "the target is found as the file describes it",
            retry_at=now + guardrails.RETRY if retry else None,
            give_up_at=now + guardrails.GIVE_UP_AFTER,
        )

    async def _refuse(self, incident: Incident, refused: ev.StepRefused) -> bool:
        """Store a refusal; the same one again only moves the wake-up, so that the timeline stays readable."""
        if refused.retry_at is not None and incident.refused == refused.guardrail:
            await self._engine.record(incident.id, lambda *_: [], again_at=refused.retry_at)
            return False
        await self._record(incident, refused)
        return refused.retry_at is None

    async def _record(self, incident: Incident, *events: ev.Event) -> bool:
        """Store what was decided, unless people or something else came first: then it is decided again."""
        await self._engine.record(incident.id, lambda now, *_: events if now.stands_as(incident) else [])
        return True


def _mistakes(error: ValidationError) -> str:
    """Say what an alert's labels made of the parameters, without the values."""
    found = error.errors(include_url=False, include_input=False)
    return "; ".join(f"parameter {'.'.join(map(str, one['loc'])) or 'list'}: {one['msg']}" for one in found)
