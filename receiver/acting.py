"""Steps on real targets: plan, guardrails, approval, intent, effect, outcome; and intents in doubt."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from pydantic import ValidationError

from receiver.control import KillSwitch
from receiver.core import events as ev
from receiver.core import guardrails
from receiver.core.commands import RunStep, TakeBack
from receiver.core.guardrails import Answer, Facts, Figures
from receiver.core.incident import Action, Approval, Incident
from receiver.core.machine import step_named
from receiver.core.playbook import ApprovalPolicy, Playbook, Service, Step
from receiver.core.template import TemplateError, render_deep
from receiver.engine import Engine
from receiver.plans import intent_done, intent_of, plan_from, plan_hash, plan_json
from receiver.ports import Clock, Store
from receiver.targets import Targets
from remediations.protocol import (
    ActionRefused,
    Context,
    EngineUnavailable,
    Intent,
    Outcome,
    OutcomeUnknown,
    Plan,
    Progress,
    Remediation,
    RemediationError,
)

PLAN_LIMIT = 30.0
"""Seconds a plan may take."""

ASK_AGAIN = 15.0
"""Seconds between questions to a target about an intent in doubt."""

PERSON_AFTER = 4
"""Questions in vain after which people are paged; the asking goes on, and the target stays locked."""

LONGEST_WINDOW = 86_400.0
"""Seconds of past actions that guardrails look at."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A step, planned and judged."""

    plan: Plan
    parameters: Mapping[str, object]
    answers: tuple[Answer, ...]
    context: Context


class Actor:
    """Runs steps, takes them back and finishes what was begun.

    Its methods return False when nothing more is due now: a later wake-up is set.
    """

    def __init__(
        self,
        engine: Engine,
        store: Store,
        clock: Clock,
        targets: Targets,
        kill: KillSwitch,
        actions: Mapping[str, Remediation],
    ) -> None:
        self._engine = engine
        self._store = store
        self._clock = clock
        self._targets = targets
        self._kill = kill
        self._actions = actions

    # --- a new step -------------------------------------------------------------------------------------------------

    async def run(self, incident: Incident, playbook: Playbook, service: Service, command: RunStep) -> bool:
        """Plan a step and start it, or say why not."""
        step, approval = command.step, command.approval
        prepared = await self.prepare(incident, playbook, service, step, approved=approval is not None)
        if isinstance(prepared, ev.StepRefused):
            return await self._refuse(incident, prepared)
        if prepared.plan.skip is not None:
            return await self._record(incident, ev.StepSkipped(step.name, prepared.plan.skip))
        refusal = guardrails.refusal(prepared.answers)
        if self.only_says(incident, playbook):
            return await self._record(incident, self._would_have(incident, playbook, step, prepared))
        if refusal is not None:
            return await self._refuse(incident, self._refused(step.name, "step", refusal))
        if approval is not None:
            if approval.plan_hash != self._hash(incident, prepared):
                text = "the plan changed since it was approved; it is asked again"
                return await self._record(incident, ev.ApprovalEnded(approval.id, "superseded", text))
        elif (asked := self._ask(incident, step, playbook, prepared)) is not None:
            return await self._record(incident, asked)
        return await self._start(incident, playbook, step, prepared, approval)

    async def prepare(
        self, incident: Incident, playbook: Playbook, service: Service, step: Step, *, approved: bool = False
    ) -> Prepared | ev.StepRefused:
        """Plan a step by reading only, and ask every guardrail; changes nothing."""
        action = self._actions.get(step.action)
        if action is None:
            why = f"action {step.action} is not installed any more"
            return ev.StepRefused(step.name, "action", why, "install it again, or change the playbook")
        limit = playbook.guardrails.min_healthy
        try:
            parameters = render_deep(dict(step.parameters), incident.labels, incident.annotations)
            # What a template made of an alert's labels is checked like what stands in the file.
            action.parameters.model_validate(parameters)
            async with asyncio.timeout(PLAN_LIMIT):
                context = await self._targets.context(
                    service, min_healthy=limit or 0, healthy_within=step.healthy_within
                )
                plan = await action.plan(context, parameters)
        except (TemplateError, ValidationError) as error:
            return ev.StepRefused(step.name, "template", str(error), "correct the playbook or the alert's labels")
        except RemediationError as error:
            return self._not_planned(step, error, retry=error.retryable)
        except TimeoutError:
            slow = EngineUnavailable(f"planning took longer than {PLAN_LIMIT:.0f} s")
            return self._not_planned(step, slow, retry=True)
        answers = await self._answers(incident, playbook, step, "step", plan, approved=approved)
        return Prepared(plan, parameters, answers, context)

    def only_says(self, incident: Incident, playbook: Playbook) -> bool:
        """Whether it only says what it would do: the stricter of the incident's mode, today's mode, and dry run."""
        today = self._engine.policy.playbook(playbook.name)
        dry = playbook.dry_run or (today is not None and today.dry_run)
        return dry or "observe" in {incident.mode, self._engine.mode}

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
        )
        if not await self._begin(incident, started, approval):
            return True
        intent = Intent(started.action_id, step.action, prepared.parameters, plan_from(started.plan), self._clock.now())
        await self._execute(incident, intent, prepared.context, step.timeout)
        return True

    async def _begin(self, incident: Incident, started: ev.StepStarted, approval: Approval | None) -> bool:
        """Store the intent, if the incident still is as it was when the step was decided; False: decide again."""
        stored: list[bool] = []

        def decide(current: Incident, _playbook: Playbook, _now: float) -> Sequence[ev.Event]:
            held = current.approval
            same = held is None if approval is None else held is not None and held.state == "approved"
            free = current.automatic or started.kind == "cleanup"
            fits = current.phase is incident.phase and current.action is None and current.done == incident.done
            kill = self._kill.state()
            calm = not kill.everything and kill.file is None and current.playbook not in kill.playbooks
            stored[:] = [same and free and fits and calm]
            return [started] if stored[0] else []

        await self._engine.record(incident.id, decide)
        return stored[0]

    # --- effects ----------------------------------------------------------------------------------------------------

    async def _execute(self, incident: Incident, intent: Intent, context: Context, limit: float) -> None:
        """Do it, and store how it ended."""
        begun = self._clock.monotonic()
        event: ev.Event
        try:
            async with asyncio.timeout(limit):
                outcome = await self._actions[intent.action].execute(context, intent)
        except TimeoutError:
            event = self._doubt(intent, f"it took longer than its limit of {limit:.0f} s")
        except (OutcomeUnknown, EngineUnavailable) as error:
            event = self._doubt(intent, str(error))
        except ActionRefused as error:
            event = ev.StepFinished(intent.action_id, ok=False, text=str(error), action=intent.action, restored=True)
        except RemediationError as error:
            event = ev.StepFinished(intent.action_id, ok=False, text=str(error), action=intent.action)
        else:
            event = self._finished(intent.action_id, intent.action, outcome, self._clock.monotonic() - begun)
        await self._record(incident, event)

    def _finished(self, action_id: str, action: str, outcome: Outcome, seconds: float) -> ev.StepFinished:
        return ev.StepFinished(
            action_id,
            ok=outcome.ok,
            text=outcome.text,
            action=action,
            restored=outcome.restored,
            post_state=dict(outcome.post_state),
            data=dict(outcome.data),
            seconds=round(seconds, 3),
        )

    def _doubt(self, intent: Intent, text: str, asked: int = 0) -> ev.StepInDoubt:
        # The first question follows at once; then at an interval, so that a dead engine is not hammered.
        wait = 0.0 if asked == 0 else ASK_AGAIN
        return ev.StepInDoubt(intent.action_id, text, person=asked >= PERSON_AFTER, ask_at=self._clock.now() + wait)

    async def resume(self, incident: Incident, playbook: Playbook, service: Service, action: Action) -> bool:
        """Ask the target what became of an intent, and finish or restore what was begun."""
        step = step_named(playbook, action.step) or Step(action.step, action.action)
        intent = intent_of(action)
        try:
            context = await self._targets.context(service, healthy_within=step.healthy_within, finishing=True)
            if action.kind != "step":
                await self._undo(incident, action, context, step.timeout)
                return True
            async with asyncio.timeout(PLAN_LIMIT):
                seen = await self._actions[action.action].observe(context, intent)
        except (RemediationError, TimeoutError) as error:
            await self._record(
                incident, self._doubt(intent, str(error) or "the target did not answer", action.asked + 1)
            )
            return False
        match seen.progress:
            case Progress.DONE:
                event = ev.StepFinished(intent.action_id, ok=True, text=seen.text, post_state=dict(seen.post_state))
                return await self._record(incident, event)
            case Progress.SUPERSEDED:
                text = f"somebody else changed the target meanwhile: {seen.text}"
                return await self._record(
                    incident, ev.StepFinished(intent.action_id, ok=False, text=text, restored=True)
                )
            case Progress.UNKNOWN:
                await self._record(incident, self._doubt(intent, seen.text, action.asked + 1))
                return False
            case Progress.NOT_STARTED if (why := self._may_not_begin(incident)) is not None:
                event = ev.StepFinished(
                    intent.action_id, ok=False, text=f"never begun, and not now: {why}", restored=True
                )
                return await self._record(incident, event)
            case Progress.NOT_STARTED | Progress.PARTIAL:
                await self._execute(incident, intent, context, step.timeout)
        return True

    def _may_not_begin(self, incident: Incident) -> str | None:
        """Say why an intent that never began is not begun now: to the world it would be a new action."""
        kill = self._kill.state()
        if kill.file is not None or kill.everything or incident.playbook in kill.playbooks:
            return "the kill switch is on"
        if not incident.automatic:
            return "people took over"
        return None

    # --- taking back --------------------------------------------------------------------------------------------------

    async def take_back(self, incident: Incident, playbook: Playbook, service: Service, command: TakeBack) -> bool:
        """Undo a failed step, or take back one that is no longer needed: a new action, under the kill switch too."""
        done = command.done
        step = step_named(playbook, done.step) or Step(done.step, done.action)
        answers = await self._answers(incident, playbook, step, command.kind, None)
        if (refusal := guardrails.refusal(answers)) is not None:
            return await self._refuse(incident, self._refused(step.name, command.kind, refusal))
        started = ev.StepStarted(
            step=done.step,
            action_id=self._engine.ids.action(),
            action=done.action,
            kind=command.kind,
            summary=f"take back: {self._actions[done.action].describe(done.parameters)}",
            parameters=dict(done.parameters),
            plan=dict(done.plan),
            cause=done.action_id,
        )
        await self._begin(incident, started, None)
        # What follows is the same as after a crash: the intent is stored, and undoing is idempotent.
        return True

    async def _undo(self, incident: Incident, action: Action, context: Context, limit: float) -> None:
        done = next(one for one in incident.done if one.action_id == action.cause)
        begun = self._clock.monotonic()
        async with asyncio.timeout(limit):
            outcome = await self._actions[done.action].undo(context, intent_done(done), done.post_state)
        await self._record(
            incident, self._finished(action.action_id, action.action, outcome, self._clock.monotonic() - begun)
        )

    # --- answers ------------------------------------------------------------------------------------------------------

    async def _answers(
        self,
        incident: Incident,
        playbook: Playbook,
        step: Step,
        kind: str,
        plan: Plan | None,
        *,
        approved: bool = False,
    ) -> tuple[Answer, ...]:
        now = self._clock.now()
        policy = self._engine.policy
        figures = None
        if plan is not None:
            # An instance that fails already isn't counted as lost: of the healthy ones, all but one must stay.
            figures = Figures(plan.lowest_healthy, plan.healthy_now, plan.healthy_now, plan.takes_down)
        facts = Facts(
            incident=incident,
            step=step,
            kind=kind,
            playbook=playbook,
            today=policy.playbook(playbook.name),
            fleet=policy.fleet,
            kill=self._kill.state(),
            actions=await self._store.actions(now - LONGEST_WINDOW),
            figures=figures,
            approved=approved,
        )
        return guardrails.check(facts, now)

    def _ask(self, incident: Incident, step: Step, playbook: Playbook, prepared: Prepared) -> ev.ApprovalAsked | None:
        """Return the request for approval that a step needs: by policy then or today, or because a guardrail asks."""
        today = self._engine.policy.playbook(playbook.name)
        current = step_named(today, step.name) if today is not None else None
        policy = _stricter(step.approval, current.approval if current is not None else None)
        cause = guardrails.asks(prepared.answers)
        if policy.approvals == 0 and cause is None:
            return None
        return ev.ApprovalAsked(
            approval=self._engine.ids.approval(),
            step=step.name,
            summary=prepared.plan.summary,
            plan_hash=self._hash(incident, prepared),
            needed=max(policy.approvals, 1),
            expires_at=self._clock.now() + policy.expires,
            execute_before=policy.execute_before,
            on_timeout=policy.on_timeout.value,
            reason_required=policy.reason_required,
            cause="policy" if cause is None else f"{cause.guardrail}: {cause.reason}",
            plan=plan_json(prepared.plan),
        )

    def _hash(self, incident: Incident, prepared: Prepared) -> str:
        return plan_hash(incident.version, incident.target, prepared.parameters, prepared.plan)

    def _would_have(self, incident: Incident, playbook: Playbook, step: Step, prepared: Prepared) -> ev.WouldHave:
        no = [f"{one.guardrail}: {one.reason}" for one in prepared.answers if one.word is not guardrails.Word.ALLOWED]
        observing = "observe" in {incident.mode, self._engine.mode}
        why = "observe mode" if observing else f"playbook {playbook.name} is a dry run"
        more = f"; besides, {'; '.join(no)}" if no else ""
        return ev.WouldHave(step.name, prepared.plan.summary, f"{why}{more}", plan=plan_json(prepared.plan))

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

    async def _record(self, incident: Incident, event: ev.Event) -> bool:
        await self._engine.record(incident.id, lambda *_: [event])
        return True


def _stricter(then: ApprovalPolicy, today: ApprovalPolicy | None) -> ApprovalPolicy:
    """Return the stricter of two approval policies, field by field."""
    if today is None or today == then:
        return then
    fields = asdict(then)
    fields["approvals"] = max(then.approvals, today.approvals)
    fields["expires"] = min(then.expires, today.expires)
    fields["execute_before"] = min(then.execute_before, today.execute_before)
    fields["reason_required"] = then.reason_required or today.reason_required
    return ApprovalPolicy(**{**fields, "on_timeout": then.on_timeout})
