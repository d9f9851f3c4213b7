"""What people can do: vote, acknowledge, take over, close, note, kill. One set for every channel."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from receiver.control import KillSwitch
from receiver.core import events as ev
from receiver.core.guardrails import Kill
from receiver.core.incident import Approval, Incident
from receiver.core.machine import PAUSE, given_up
from receiver.core.playbook import Playbook
from receiver.core.principal import Principal
from receiver.engine import Engine, NotFound, Refusal


class Status(StrEnum):
    """How a request by a person ended."""

    DONE = "done"
    CONFLICT = "conflict"
    NOT_FOUND = "not_found"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a person is told; `text` names the decision that stands when theirs came too late."""

    status: Status
    text: str

    @property
    def ok(self) -> bool:
        """Whether it was done."""
        return self.status is Status.DONE


class Operations:
    """People's verbs. Each is one unit with compare-and-set: of two that race, one is told what the other decided."""

    def __init__(self, engine: Engine, kill: KillSwitch, changed: Callable[[], None]) -> None:
        self._engine = engine
        self._kill = kill
        self._changed = changed

    async def vote(self, incident_id: str, *, by: Principal, approve: bool, reason: str) -> Answer:
        """Approve or deny what an incident asks for; a denial always needs a reason."""

        def decide(incident: Incident, _playbook: Playbook, _now: float) -> Sequence[ev.Event]:
            approval = _pending(incident)
            if not reason.strip() and (not approve or approval.reason_required):
                raise Refusal(f"a reason is needed to {'approve' if approve else 'deny'} {approval.step}")
            if any(vote.person == by.person and vote.approve == approve for vote in approval.votes):
                raise Refusal(f"{by.person} has already {'approved' if approve else 'denied'} {approval.step}")
            return [ev.Voted(approval.id, by.person, approve, reason.strip(), **_audit(by))]

        word = "approved" if approve else "denied"
        return await self._record(incident_id, decide, lambda one: f"{word}; {_what_now(one)}")

    async def acknowledge(self, incident_id: str, *, by: Principal) -> Answer:
        """Say that somebody saw it."""

        def decide(incident: Incident, _playbook: Playbook, _now: float) -> Sequence[ev.Event]:
            _still_open(incident)
            if incident.acknowledged_by is not None:
                raise Refusal(f"{incident.acknowledged_by} has acknowledged it already")
            return [ev.Acknowledged(by.person, **_audit(by))]

        return await self._record(incident_id, decide, lambda one: f"acknowledged; {_what_now(one)}")

    async def take_over(self, incident_id: str, *, by: Principal, reason: str = "") -> Answer:
        """Stop automation for an incident; what is under way finishes and is told."""

        def decide(incident: Incident, _playbook: Playbook, _now: float) -> Sequence[ev.Event]:
            _still_open(incident)
            if incident.owner == by.person:
                raise Refusal(f"{by.person} has it already")
            taken = ev.TakenOver(by.person, reason=reason, **_audit(by))
            return [*given_up(incident, f"{by.person} took over"), taken]

        return await self._record(incident_id, decide, lambda one: f"yours now; {_what_now(one)}")

    async def pause(self, incident_id: str, *, by: Principal, reason: str = "") -> Answer:
        """Stop automation for an incident without taking it; what is under way finishes and is told."""

        def decide(incident: Incident, _playbook: Playbook, now: float) -> Sequence[ev.Event]:
            _still_automatic(incident)
            if incident.paused_by is not None:
                raise Refusal(f"{incident.paused_by} has paused it already")
            return [ev.Paused(by.person, reason=reason.strip(), until=now + PAUSE, **_audit(by))]

        return await self._record(incident_id, decide, lambda one: f"paused; {_what_now(one)}")

    async def resume(self, incident_id: str, *, by: Principal, reason: str = "") -> Answer:
        """Let automation of a paused incident go on, from the step boundary where it stands."""

        def decide(incident: Incident, _playbook: Playbook, _now: float) -> Sequence[ev.Event]:
            _still_automatic(incident)
            if incident.paused_by is None:
                raise Refusal(f"{incident.id} is not paused ({_what_now(incident)})")
            return [ev.Resumed(by.person, reason=reason.strip(), **_audit(by))]

        return await self._record(incident_id, decide, lambda one: f"goes on; {_what_now(one)}")

    async def close_incident(self, incident_id: str, *, by: Principal, reason: str) -> Answer:
        """End an incident by hand; refused while an action is under way and not in doubt."""

        def decide(incident: Incident, _playbook: Playbook, _now: float) -> Sequence[ev.Event]:
            _still_open(incident)
            if not reason.strip():
                raise Refusal("closing needs a reason")
            if incident.action is not None and not incident.action.person_decides:
                raise Refusal(f"{incident.action.step} is under way; take over, and close when it ended")
            return [
                *given_up(incident, f"{by.person} closed it"),
                *_released(incident, by.person),
                ev.Closed(by.person, reason.strip(), **_audit(by)),
            ]

        return await self._record(incident_id, decide, lambda _: "closed")

    async def note(self, incident_id: str, *, by: Principal, text: str) -> Answer:
        """Add a remark to the timeline, at most 4,000 characters."""
        if not text.strip() or len(text) > 4000:
            return Answer(Status.CONFLICT, "a note has 1 to 4,000 characters")
        noted = ev.Noted(text.strip(), by.person, **_audit(by))
        return await self._record(incident_id, lambda *_: [noted], lambda _: "noted")

    async def kill(self, *, on: bool, by: Principal, playbook: str | None = None) -> Answer:
        """Turn the kill switch on or off, for everything or one playbook."""
        if playbook is not None and on and self._engine.policy.playbook(playbook) is None:
            return Answer(Status.NOT_FOUND, f"there is no playbook {playbook}")
        state = await self._kill.switch(by, on=on, playbook=playbook)
        self._changed()
        what = f"the kill switch{f' of {playbook}' if playbook else ''} is {'on' if on else 'off'}"
        return Answer(Status.DONE, what + ("" if on else _still_stopped(state, playbook)))

    def kill_state(self) -> dict[str, Any]:
        """Return the kill switch as JSON."""
        return asdict(self._kill.state())

    async def _record(
        self,
        incident_id: str,
        decide: Callable[[Incident, Playbook, float], Sequence[ev.Event]],
        text: Callable[[Incident], str],
    ) -> Answer:
        try:
            incident = await self._engine.record(incident_id, decide)
        except NotFound as error:
            return Answer(Status.NOT_FOUND, str(error))
        except Refusal as error:
            return Answer(Status.CONFLICT, str(error))
        self._changed()
        return Answer(Status.DONE, text(incident))


def _audit(by: Principal) -> dict[str, str]:
    """Return the fields with which each event says how a person came."""
    return {"via": by.via, "signed_in": by.signed_in, "address": by.address}


def _still_stopped(state: Kill, playbook: str | None) -> str:
    """Say what stops things although a switch was turned off."""
    if state.file is not None:
        return f"; but the file {state.file} still stops everything"
    if state.everything:
        return "; but everything is still stopped: remediator kill off"
    if state.playbooks and playbook is None:
        return f"; but {', '.join(state.playbooks)} is still stopped: remediator kill off --playbook NAME"
    return ""


def _still_open(incident: Incident) -> None:
    if not incident.open:
        raise Refusal(f"{incident.id} is {incident.phase.value} already")


def _still_automatic(incident: Incident) -> None:
    _still_open(incident)
    if incident.owner is not None:
        raise Refusal(f"{incident.owner} took {incident.id} over: automation is off for it")
    if incident.escalation is not None:
        raise Refusal(f"{incident.id} is with people: automation is off for it ({incident.escalation})")


def _pending(incident: Incident) -> Approval:
    _still_open(incident)
    approval = incident.approval
    if approval is not None and approval.state == "pending":
        return approval
    if approval is not None:
        names = ", ".join(vote.person for vote in approval.votes if vote.approve)
        raise Refusal(f"{approval.step} was approved already by {names}")
    decided = [one for one in incident.done if one.result in {"denied", "expired"}]
    last = f"; {decided[-1].step} was {decided[-1].result}" if decided else ""
    under_way = f"; {incident.action.step} is under way" if incident.action else ""
    raise Refusal(f"{incident.id} asks for no approval now (it is {incident.phase.value}{under_way}{last})")


def _released(incident: Incident, person: str) -> list[ev.Event]:
    """Return the end of an action in doubt, by a person's word: it unlocks the target for the next incident."""
    action = incident.action
    if action is None:
        return []
    text = f"{person} closed the incident; what became of it is not known: {action.doubt}"
    return [ev.StepFinished(action.action_id, ok=False, text=text, action=action.action)]


def _what_now(incident: Incident) -> str:
    if incident.approval is not None and incident.approval.state == "pending":
        yes = sum(vote.approve for vote in incident.approval.votes)
        return f"{yes} of {incident.approval.needed} approvals for {incident.approval.step}"
    if incident.approval is not None:
        return f"step {incident.approval.step} begins as soon as the guardrails let it"
    if incident.action is not None:
        return f"step {incident.action.step} is under way and will finish"
    return f"{incident.id} is {incident.phase.value}"
