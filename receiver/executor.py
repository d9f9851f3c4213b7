"""From what an incident still requires to the world and back: one incident at a time, one command after another.

The jobs hand over an incident; its commands are carried out until nothing is due. A crash anywhere in here is mended
by being called again: what was begun stands in the store as an intent.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

from receiver.acting import Actor
from receiver.core import events as ev
from receiver.core.commands import Diagnose, Look, ResumeAction, RunStep, TakeBack
from receiver.core.incident import Incident
from receiver.core.machine import due, verification
from receiver.core.playbook import Playbook, Service
from receiver.engine import Engine, Refusal
from receiver.looking import Looker
from receiver.ports import Clock

ROUNDS = 100
"""Commands carried out in one go before others get their turn."""

HOLD_SLOWDOWN = 6.0
"""Looks are this much rarer once healthy has held and only the alert itself is waited for."""


Silenced: TypeAlias = Callable[[Incident], Awaitable[str | None]]
"""Says by whom an incident's alert is silenced or inhibited; None: it isn't, or that is not known."""


class Executor:
    """Carries out commands; `work` is what the job queue calls.

    Args:
        silenced: asked before each step; None when no Alertmanager is configured.
    """

    def __init__(
        self, engine: Engine, clock: Clock, actor: Actor, looker: Looker, *, silenced: Silenced | None = None
    ) -> None:
        self._silenced = silenced
        self._engine = engine
        self._clock = clock
        self._actor = actor
        self._looker = looker

    async def work(self, incident_id: str) -> None:
        """Carry out what is due for an incident, until nothing is."""
        for _ in range(ROUNDS):
            with contextlib.suppress(Refusal):
                incident = await self._engine.record(incident_id, _nothing_new)
                playbook = await self._engine.playbook(incident.version)
                command = due(incident, playbook, self._clock.now())
                if command is None:
                    return
                if not await self._carry_out(incident, playbook, command):
                    return

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
                return await self._actor.resume(incident, playbook, service, command.action)
        return True

    async def _unmanaged(self, incident: Incident) -> bool:
        """Leave an incident to people whose service was taken out of the file."""
        if incident.escalation is not None:
            await self._engine.record(incident.id, _nothing_new, again_at=self._clock.now() + 60.0)
            return False
        reason = f"service {incident.target} is no longer in the file"
        await self._engine.record(
            incident.id, lambda now_incident, playbook, now: [ev.Escalated(reason, page_at=now + playbook.page_every)]
        )
        return False

    async def _hands_off(self, incident: Incident, by: str) -> None:
        """Start nothing for an alert that people silenced: a silence made during an incident says hands off."""

        def decide(current: Incident, _playbook: Playbook, _now: float) -> Sequence[ev.Event]:
            if not current.automatic:
                return []
            ended = current.approval
            cancelled = [ev.ApprovalEnded(ended.id, "cancelled", f"hands off: {by}")] if ended is not None else []
            return [*cancelled, ev.TakenOver("a silence", "alertmanager", by)]

        await self._engine.record(incident.id, decide)

    async def _diagnose(self, incident: Incident, playbook: Playbook, service: Service) -> None:
        diagnosed = await self._looker.diagnose(incident, playbook, service)

        def decide(current: Incident, _playbook: Playbook, _now: float) -> Sequence[ev.Event]:
            return [] if current.diagnosed else [diagnosed]

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
