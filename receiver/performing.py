"""What was begun on a target: its outcome, and what became of an intent when that is not known."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping

from receiver.calls import Call, Calls
from receiver.core import events as ev
from receiver.core.incident import Action, Incident
from receiver.core.machine import step_named
from receiver.core.playbook import Playbook, Service, Step
from receiver.engine import Engine
from receiver.judging import Judge
from receiver.plans import intent_done, intent_of
from receiver.ports import Clock
from receiver.targets import Targets
from remediations.protocol import (
    ActionRefused,
    Context,
    EngineUnavailable,
    Intent,
    Observation,
    OutcomeUnknown,
    Progress,
    Remediation,
    RemediationError,
)

OBSERVE_LIMIT = 30.0
"""Seconds that a target is given to say what became of an intent."""

ASK_AGAIN = 15.0
"""Seconds between questions to a target about an intent in doubt."""

LOOK_AGAIN = 1.0
"""Seconds between looks at a target that seems untouched while a call may be under way: it may be half done by now."""

PERSON_AFTER = 4
"""Questions in vain after which people are paged; the asking goes on, and the target stays locked."""

logger = logging.getLogger(__name__)


class Performer:
    """Carries out intents that are stored, and finds out about those whose outcome isn't known.

    Its methods return False when nothing more is due now: a later wake-up is set.
    """

    def __init__(
        self, engine: Engine, clock: Clock, targets: Targets, judge: Judge, actions: Mapping[str, Remediation]
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._targets = targets
        self._judge = judge
        self._actions = actions
        self._calls = Calls(clock)

    async def close(self) -> None:
        """Stop waiting for calls under way; their intents are stored, and the next start asks what became of them."""
        await self._calls.close()

    async def perform(self, incident: Incident, intent: Intent, call: Call, limit: float, asked: int = 0) -> bool:
        """Make a call and store how it ended; after `limit` seconds it is left to end by itself, still watched."""
        self._calls.start(intent.action_id, call)
        if not await self._calls.ended(intent.action_id, limit):
            text = f"it takes longer than its limit of {limit:.0f} s; its target stays locked until it ends"
            doubt = ev.StepInDoubt(intent.action_id, text, ask_at=self._soon(), overdue=True)
            return await self._wait(incident, doubt)
        return await self._settle(incident, intent, asked)

    async def resume(self, incident: Incident, playbook: Playbook, service: Service, action: Action) -> bool:
        """Go on with an intent: wait for our own call, else ask the target, then finish or restore what was begun."""
        intent = intent_of(action)
        if self._calls.knows(action.action_id):
            if await self._calls.ended(action.action_id, 0.0):
                return await self._settle(incident, intent, action.asked)
            return await self._doubt(incident, intent, "its call has not ended", action.asked + 1)
        if action.action not in self._actions:
            why = f"action {action.action} is not installed any more"
            return await self._doubt(incident, intent, why, action.asked + 1)
        step = step_named(playbook, action.step) or Step(action.step, action.action)
        try:
            context = await self._targets.context(
                service,
                playbook=playbook.name,
                min_healthy=self._judge.min_healthy(playbook, intent.plan),
                healthy_within=step.healthy_within,
                finishing=True,
            )
            if action.kind != "step":
                return await self._take_back(incident, intent, action, context, step.timeout)
            async with asyncio.timeout(OBSERVE_LIMIT):
                seen = await self._actions[action.action].observe(context, intent)
        except (RemediationError, TimeoutError) as error:
            why = str(error) or f"the target did not answer within {OBSERVE_LIMIT:.0f} s"
            return await self._doubt(incident, intent, why, action.asked + 1)
        except Exception as error:
            logger.exception("action %s can't tell what became of it", action.action)
            return await self._doubt(incident, intent, f"{action.action} broke: {error!r}", action.asked + 1)
        return await self._go_on(incident, action, intent, seen, context, step.timeout)

    async def _go_on(
        self, incident: Incident, action: Action, intent: Intent, seen: Observation, context: Context, limit: float
    ) -> bool:
        match seen.progress:
            case Progress.DONE:
                done = ev.StepFinished(
                    intent.action_id, ok=True, text=seen.text, action=intent.action, post_state=dict(seen.post_state)
                )
                return await self._record(incident, done)
            case Progress.SUPERSEDED:
                text = f"the target was changed since: {seen.text}"
                over = ev.StepFinished(intent.action_id, ok=False, text=text, action=intent.action, restored=True)
                return await self._record(incident, over)
            case Progress.UNKNOWN:
                return await self._doubt(incident, intent, seen.text, action.asked + 1)
            case Progress.NOT_STARTED:
                return await self._not_started(incident, action, seen.text, limit)
            case Progress.PARTIAL:
                call = self._actions[intent.action].execute(context, intent)
                return await self.perform(incident, intent, call, limit, action.asked)

    async def _not_started(self, incident: Incident, action: Action, seen: str, limit: float) -> bool:
        """Give up an intent that was never begun, once that is sure.

        A call that was sent before a crash, or whose answer was lost, may still be under way: a container takes its
        time to stop and looks untouched meanwhile. So the target's word counts when the step's limit has passed since
        the last sign of a call. What was never begun would be a new action: everything is asked anew. When a call that
        has outlived its limit ends, only a person can tell.
        """
        if action.overdue:
            text = f"{seen}; but its call had outlived its limit, and may still come"
            return await self._doubt(incident, intent_of(action), text, action.asked + 1)
        now = self._clock.now()
        sure_at = action.stirred_at + limit
        if now >= sure_at:
            return await self._record(incident, ev.StepWithdrawn(action.action_id, seen))
        again_at = min(now + LOOK_AGAIN, sure_at)
        if action.quiet:
            await self._engine.record(incident.id, lambda *_: [], again_at=again_at)
            return False
        text = f"{seen}; a call may still be under way, so this counts when its limit of {limit:.0f} s has passed"
        return await self._wait(incident, ev.StepInDoubt(action.action_id, text, ask_at=again_at, quiet=True))

    async def _take_back(
        self, incident: Incident, intent: Intent, action: Action, context: Context, limit: float
    ) -> bool:
        done = next(one for one in incident.done if one.action_id == action.cause)
        call = self._actions[done.action].undo(context, intent_done(done), done.post_state)
        return await self.perform(incident, intent, call, limit, action.asked)

    async def _settle(self, incident: Incident, intent: Intent, asked: int) -> bool:
        """Store how a call ended."""
        try:
            outcome, seconds = self._calls.outcome(intent.action_id)
        except (OutcomeUnknown, EngineUnavailable) as error:
            going_on = await self._doubt(incident, intent, str(error), asked)
        except ActionRefused as error:
            going_on = await self._failed(incident, intent, str(error), restored=True)
        except RemediationError as error:
            going_on = await self._failed(incident, intent, str(error), restored=False)
        except Exception as error:
            logger.exception("action %s failed in a way that it should not", intent.action)
            going_on = await self._doubt(incident, intent, f"{intent.action} broke: {error!r}", asked)
        else:
            ended = ev.StepFinished(
                intent.action_id,
                ok=outcome.ok,
                text=outcome.text,
                action=intent.action,
                restored=outcome.restored,
                post_state=dict(outcome.post_state),
                data=dict(outcome.data),
                seconds=round(seconds, 3),
            )
            going_on = await self._record(incident, ended)
        self._calls.forget(intent.action_id)
        return going_on

    async def _failed(self, incident: Incident, intent: Intent, text: str, *, restored: bool) -> bool:
        failed = ev.StepFinished(intent.action_id, ok=False, text=text, action=intent.action, restored=restored)
        return await self._record(incident, failed)

    async def _doubt(self, incident: Incident, intent: Intent, text: str, asked: int) -> bool:
        """Store that it isn't known, after so many questions; the first one follows at once, then at an interval."""
        ask_at = self._clock.now() if asked == 0 else self._soon()
        doubt = ev.StepInDoubt(intent.action_id, text, person=asked >= PERSON_AFTER, ask_at=ask_at)
        await self._record(incident, doubt)
        return asked == 0

    async def _wait(self, incident: Incident, doubt: ev.StepInDoubt) -> bool:
        await self._record(incident, doubt)
        return False

    def _soon(self) -> float:
        return self._clock.now() + ASK_AGAIN

    async def _record(self, incident: Incident, event: ev.StepInDoubt | ev.StepWithdrawn | ev.StepFinished) -> bool:
        """Store it, unless a person ended the action meanwhile by closing its incident."""

        def decide(current: Incident, _playbook: Playbook, _now: float) -> list[ev.Event]:
            mine = current.action is not None and current.action.action_id == event.action_id
            return [event] if mine else []

        await self._engine.record(incident.id, decide)
        return True
