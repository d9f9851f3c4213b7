"""From what an incident still requires to the world and back: one incident at a time, one command after another.

The jobs hand over an incident; its commands are carried out until nothing is due. A crash anywhere in here is mended
by being called again: what was begun stands in the store as an intent.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

from receiver.acting import Actor
from receiver.core import events as ev
from receiver.core.commands import Diagnose, Look, ResumeAction, RunStep, TakeBack
from receiver.core.incident import Incident
from receiver.core.machine import due, escalate, given_up, verification
from receiver.core.playbook import Playbook, Service
from receiver.engine import Engine
from receiver.looking import Looker
from receiver.ports import Clock, StoreUnavailable

ROUNDS = 100
"""Commands carried out in one go before others get their turn."""

UNMANAGED = 60.0
"""Seconds until it is looked again whether a service is back in the file."""

FAILURES = 4
"""Times in a row that work on an incident may fail before people are called: a defect must not hide an outage."""

HOLD_SLOWDOWN = 6.0
"""Looks are this much rarer once healthy has held and only the alert itself is waited for."""

Silenced: TypeAlias = Callable[[Incident], Awaitable[str | None]]
"""Says by whom an incident's alert is silenced or inhibited; None: it isn't, or that is not known."""


class Executor:
    """Carries out commands; `work` is what the job queue calls.

    Args:
        silenced: asked before each step; None when no Alertmanager is configured.
        failed: called when work fails by a defect, ours or an action's.
    """

    def __init__(
        self,
        engine: Engine,
        clock: Clock,
        actor: Actor,
        looker: Looker,
        *,
        silenced: Silenced | None = None,
        failed: Callable[[], None] = lambda: None,
    ) -> None:
        self._silenced = silenced
        self._failed = failed
        self._failures: dict[str, int] = {}
        self._stopping = False
        self._engine = engine
        self._clock = clock
        self._actor = actor
        self._looker = looker

    async def work(self, incident_id: str) -> None:
        """Carry out what is due for an incident, until nothing is; raises what failed, to be tried again later."""
        try:
            await self._work(incident_id)
        except StoreUnavailable:
            raise
        except Exception as error:
            self._failed()
            self._failures[incident_id] = self._failures.get(incident_id, 0) + 1
            if self._failures[incident_id] >= FAILURES:
                await self._call_people(incident_id, error)
            raise
        self._failures.pop(incident_id, None)

    def stop(self) -> None:
        """Carry out nothing more after the commands under way, and begin nothing with them."""
        self._stopping = True
        self._actor.stop()

    async def close(self) -> None:
        """Stop waiting for what is under way on targets; the next start asks what became of it."""
        await self._actor.performer.close()

    async def _work(self, incident_id: str) -> None:
        for _ in range(ROUNDS):
            if self._stopping:
                return
            incident = await self._engine.record(incident_id, _nothing_new)
            playbook = await self._engine.playbook(incident.version)
            command = due(incident, playbook, self._clock.now())
            if command is None or not await self._carry_out(incident, playbook, command):
                return

    async def _call_people(self, incident_id: str, error: Exception) -> None:
        """Hand an incident to people on which work fails again and again."""

        def decide(current: Incident, playbook: Playbook, now: float) -> Sequence[ev.Event]:
            if not current.open or current.escalation is not None:
                return []
            reason = f"work on it failed {FAILURES} times in a row: {error!r}"
            return [*given_up(current, reason), ev.Escalated(reason, page_at=now + playbook.page_every)]

        await self._engine.record(incident_id, decide)

    async def _carry_out(
        self, incident: Incident, playbook: Playbook, command: Diagnose | RunStep | TakeBack | ResumeAction | Look
    ) -> bool:
        """Carry out one command; False: nothing more now, a later wake-up is set."""
        service = self._engine.policy.services.get(incident.target)
        if service is None:
            return await self._unmanaged(incident)
        match command:
            case Diagnose():
                await self._diagnose(incident, playbook, service)
            case Look():
                await self._look(incident, playbook, service, command)
            case RunStep():
                if self._silenced is not None and (by := await self._silenced(incident)) is not None:
                    await self._hands_off(incident, by)
                    return True
                return await self._actor.run(incident, playbook, service, command)
            case TakeBack():
                return await self._actor.take_back(incident, playbook, service, command)
            case ResumeAction():
                return await self._actor.performer.resume(incident, playbook, service, command.action)
        return True

    async def _unmanaged(self, incident: Incident) -> bool:
        """Leave an incident to people whose service was taken out of the file; only they can end what was begun."""
        reason = f"service {incident.target} is no longer in the file"
        again_at = self._clock.now() + UNMANAGED

        def decide(current: Incident, playbook: Playbook, now: float) -> Sequence[ev.Event]:
            if current.action is not None and not current.action.person_decides:
                return [ev.StepInDoubt(current.action.action_id, reason, person=True, ask_at=again_at)]
            if current.escalation is not None:
                return []
            return [*given_up(current, reason), escalate(current, playbook, now, reason)]

        await self._engine.record(incident.id, decide, again_at=again_at)
        return False

    async def _hands_off(self, incident: Incident, by: str) -> None:
        """Start nothing for an alert that people silenced: a silence made during an incident says hands off."""

        def decide(current: Incident, _playbook: Playbook, _now: float) -> Sequence[ev.Event]:
            if not current.automatic:
                return []
            return [*given_up(current, f"hands off: {by}"), ev.TakenOver("a silence", "alertmanager", by)]

        await self._engine.record(incident.id, decide)

    async def _diagnose(self, incident: Incident, playbook: Playbook, service: Service) -> None:
        diagnosed = await self._looker.diagnose(incident, playbook, service)

        def decide(current: Incident, _playbook: Playbook, _now: float) -> Sequence[ev.Event]:
            return [diagnosed] if current.open and current.diagnosed_at == incident.diagnosed_at else []

        await self._engine.record(incident.id, decide)

    async def _look(self, incident: Incident, playbook: Playbook, service: Service, command: Look) -> None:
        how = verification(playbook, command.check.step)
        look = await self._looker.look(incident, playbook, service, command.check, how)
        now = self._clock.now()
        held = incident.hold_until is not None and now > incident.hold_until and command.check.purpose == "hold"
        sampled = ev.Sampled(
            verdict=look.verdict,
            text=look.text,
            readings=look.readings,
            failed_now=look.failed_now,
            next_at=now + command.check.interval * (HOLD_SLOWDOWN if held else 1.0),
        )

        def decide(current: Incident, _playbook: Playbook, _now: float) -> Sequence[ev.Event]:
            same = current.check is not None and current.check.since == command.check.since
            return [sampled] if same and current.check and current.check.looks == command.check.looks else []

        await self._engine.record(incident.id, decide)


def _nothing_new(_incident: Incident, _playbook: Playbook, _now: float) -> Sequence[ev.Event]:
    """Record nothing: only what follows by itself."""
    return []
