"""What people can do: vote, acknowledge, take over, close, note, kill. One set for every channel."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, TypeAlias

import structlog

from receiver.control import KillSwitch
from receiver.core import events as ev
from receiver.core.approval import agreed
from receiver.core.declared import TITLE_LIMIT
from receiver.core.guardrails import Kill
from receiver.core.incident import Approval, Decision, Incident
from receiver.core.machine import PAUSE, given_up, step_named
from receiver.core.phrases import listed
from receiver.core.playbook import Playbook
from receiver.core.principal import Principal
from receiver.core.redaction import hide
from receiver.core.severity import Severity
from receiver.engine import Engine, NotFound, Refusal
from receiver.judging import Judge
from receiver.people import Role

_log = structlog.stdlib.get_logger(__name__)


class Status(StrEnum):
    """How a request by a person ended."""

    DONE = "done"
    FORBIDDEN = "forbidden"
    CONFLICT = "conflict"
    NOT_FOUND = "not_found"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a person is told; `text` names the decision that stands when theirs came too late, `incident` a new one."""

    status: Status
    text: str
    incident: str = ""

    @property
    def ok(self) -> bool:
        """Whether it was done."""
        return self.status is Status.DONE


class Forbidden(Refusal):
    """Somebody asked for what they may not do."""


Decide: TypeAlias = Callable[[Incident, Playbook, float], Sequence[ev.Event]]


class Operations:
    """People's verbs. Each is one unit with compare-and-set: of two that race, one is told what the other decided.

    Whether somebody may is asked here, within that unit, whatever the channel has asked before.

    Args:
        judge: says what each person may do, and who may approve a step at this moment.
        changed: called after something was done.
    """

    def __init__(self, engine: Engine, kill: KillSwitch, judge: Judge, changed: Callable[[], None]) -> None:
        self._engine = engine
        self._kill = kill
        self._judge = judge
        self._changed = changed

    async def vote(
        self, incident_id: str, *, by: Principal, approve: bool, reason: str, approval: str | None = None
    ) -> Answer:
        """Approve or deny what an incident asks for; a denial always needs a reason.

        Args:
            approval: the request that is answered, when the person was shown a certain one: the answer to one that has
                ended never counts for the next. None: whichever waits.
        """

        def decide(incident: Incident, playbook: Playbook, _now: float) -> Sequence[ev.Event]:
            asked = _pending(incident, approval)
            if approve:
                self._may_approve(incident, playbook, asked, by)
            if not reason.strip() and (not approve or asked.reason_required):
                raise Refusal(f"a reason is needed to {'approve' if approve else 'deny'} {asked.step}")
            if any(vote.person == by.person and vote.approve == approve for vote in asked.votes):
                raise Refusal(f"{by.person} has already {'approved' if approve else 'denied'} {asked.step}")
            return [ev.Voted(asked.id, by.person, approve, reason.strip(), **_audit(by))]

        word = "approved" if approve else "denied"
        return await self._record(incident_id, by, Role.APPROVER, decide, lambda one: f"{word}; {_what_now(one)}")

    def _may_approve(self, incident: Incident, playbook: Playbook, asked: Approval, by: Principal) -> None:
        if by.person == incident.started_by:
            raise Forbidden(f"{by.person} began this and so can't approve it; {_what_now(incident)}")
        step = step_named(playbook, asked.step)
        able = self._judge.able(incident, playbook, step) if step is not None else frozenset()
        if by.person not in able:
            names = listed(sorted(able), 10) or "nobody"
            raise Forbidden(
                f"{by.person} is not among those who may approve {asked.step} ({names}); {_what_now(incident)}"
            )

    async def acknowledge(self, incident_id: str, *, by: Principal) -> Answer:
        """Say that somebody saw it."""

        def decide(incident: Incident, _playbook: Playbook, _now: float) -> Sequence[ev.Event]:
            _still_open(incident)
            if incident.acknowledged_by is not None:
                raise Refusal(f"{incident.acknowledged_by} has acknowledged it already")
            return [ev.Acknowledged(by.person, **_audit(by))]

        return await self._record(
            incident_id, by, Role.RESPONDER, decide, lambda one: f"acknowledged; {_what_now(one)}"
        )

    async def take_over(self, incident_id: str, *, by: Principal, reason: str = "") -> Answer:
        """Stop automation for an incident; what is under way finishes and is told."""

        def decide(incident: Incident, _playbook: Playbook, _now: float) -> Sequence[ev.Event]:
            _still_open(incident)
            if incident.owner == by.person:
                raise Refusal(f"{by.person} has it already")
            taken = ev.TakenOver(by.person, reason=reason, **_audit(by))
            return [*given_up(incident, f"{by.person} took over"), taken]

        return await self._record(incident_id, by, Role.RESPONDER, decide, lambda one: f"yours now; {_what_now(one)}")

    async def pause(self, incident_id: str, *, by: Principal, reason: str = "") -> Answer:
        """Stop automation for an incident without taking it; what is under way finishes and is told."""

        def decide(incident: Incident, _playbook: Playbook, now: float) -> Sequence[ev.Event]:
            _still_automatic(incident)
            if incident.paused_by is not None:
                raise Refusal(f"{incident.paused_by} has paused it already")
            return [ev.Paused(by.person, reason=reason.strip(), until=now + PAUSE, **_audit(by))]

        return await self._record(incident_id, by, Role.RESPONDER, decide, lambda one: f"paused; {_what_now(one)}")

    async def resume(self, incident_id: str, *, by: Principal, reason: str = "") -> Answer:
        """Let automation of a paused incident go on, from the step boundary where it stands."""

        def decide(incident: Incident, _playbook: Playbook, _now: float) -> Sequence[ev.Event]:
            _still_automatic(incident)
            if incident.paused_by is None:
                raise Refusal(f"{incident.id} is not paused ({_what_now(incident)})")
            return [ev.Resumed(by.person, reason=reason.strip(), **_audit(by))]

        return await self._record(incident_id, by, Role.RESPONDER, decide, lambda one: f"goes on; {_what_now(one)}")

    async def declare(
        self, *, by: Principal, severity: Severity, title: str, service: str = "", once: str = ""
    ) -> Answer:
        """Begin an incident without an alert; its text names the incident.

        Args:
            title: what is wrong, at most 100 characters.
            service: of the policy that it is about; empty: none.
            once: names this very wish, for a channel that may tell it again; empty: each is a new one.
        """
        if (why := self._judge.approvers.forbids(by, Role.RESPONDER)) is not None:
            return Answer(Status.FORBIDDEN, why)
        told = " ".join(title.split())
        if not told or len(told) > TITLE_LIMIT:
            return Answer(Status.CONFLICT, f"say what is wrong in 1 to {TITLE_LIMIT} characters")
        if service and service not in self._engine.policy.services:
            return Answer(Status.NOT_FOUND, f"there is no service {service}; leave it out if it isn't known here")
        identity = await self._engine.declare(by, severity, told, service, once)
        self._changed()
        return Answer(Status.DONE, f"declared {identity} as {severity.value}", identity)

    async def change_severity(self, incident_id: str, *, by: Principal, severity: Severity, reason: str) -> Answer:
        """Say how bad an incident is, with the reason."""

        def decide(incident: Incident, _playbook: Playbook, _now: float) -> Sequence[ev.Event]:
            _still_open(incident)
            if not reason.strip():
                raise Refusal("a reason is needed to change a severity")
            if incident.severity is severity:
                raise Refusal(f"{incident.id} is {severity.value} already")
            return [ev.SeverityChanged(severity, by.person, reason=reason.strip(), **_audit(by))]

        return await self._record(
            incident_id, by, Role.RESPONDER, decide, lambda one: f"it is {severity.value} now; {_what_now(one)}"
        )

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

        return await self._record(incident_id, by, Role.RESPONDER, decide, lambda _: "closed")

    async def note(self, incident_id: str, *, by: Principal, text: str, phase: str = "") -> Answer:
        """Add a remark to the timeline, at most 4,000 characters.

        Args:
            phase: `assessed` when it says what is wrong and what to do, `mitigated` when it works again; else empty.
        """
        if not text.strip() or len(text) > 4000:
            return Answer(Status.CONFLICT, "a note has 1 to 4,000 characters")
        if phase not in {"", "assessed", "mitigated"}:
            return Answer(Status.CONFLICT, "a note can say that it is assessed or mitigated, nothing else")
        noted = ev.Noted(text.strip(), by.person, phase=phase, **_audit(by))

        def decide(incident: Incident, _playbook: Playbook, _now: float) -> Sequence[ev.Event]:
            if phase:
                _still_open(incident)
            return [noted]

        return await self._record(incident_id, by, Role.RESPONDER, decide, lambda _: phase or "noted")

    async def kill(self, *, on: bool, by: Principal, playbook: str | None = None) -> Answer:
        """Turn the kill switch on or off, for everything or one playbook."""
        if (why := self._judge.approvers.forbids(by, Role.ADMIN)) is not None:
            _log.warning("somebody asked for what they may not do: %s", why, **asdict(by))
            return Answer(Status.FORBIDDEN, why)
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
        by: Principal,
        role: Role,
        decide: Decide,
        text: Callable[[Incident], str],
    ) -> Answer:
        def allowed(incident: Incident, playbook: Playbook, now: float) -> Sequence[ev.Event]:
            if (why := self._judge.approvers.forbids(by, role)) is not None:
                raise Forbidden(f"{why}; {_what_now(incident)}")
            return decide(incident, playbook, now)

        try:
            incident = await self._engine.record(incident_id, allowed)
        except NotFound as error:
            return Answer(Status.NOT_FOUND, str(error))
        except Forbidden as error:
            why = hide(str(error))
            _log.warning("somebody asked for what they may not do: %s", why, incident=incident_id, **asdict(by))
            return Answer(Status.FORBIDDEN, why)
        except Refusal as error:
            return Answer(Status.CONFLICT, hide(str(error)))
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


def _pending(incident: Incident, wanted: str | None) -> Approval:
    """Return the request that waits for answers; who comes too late, or answers another one, is told its decision."""
    approval = incident.approval
    if wanted is not None and (approval is None or approval.id != wanted):
        ended = next((one for one in reversed(incident.decisions) if one.approval == wanted), None)
        if ended is not None:
            raise Refusal(f"that request is over: {_decided(ended)}; {_what_now(incident)}")
        raise Refusal(f"{incident.id} doesn't ask what you answer ({wanted[:40]}); {_what_now(incident)}")
    if incident.open and approval is not None:
        if approval.state == "pending":
            return approval
        names = ", ".join(sorted(agreed(approval)))
        raise Refusal(f"{approval.step} was approved already by {names}; pause or take over to keep it from beginning")
    last = f"; {_decided(incident.decisions[-1])}" if incident.decisions else ""
    raise Refusal(f"{incident.id} asks for no approval now ({_what_now(incident)}{last})")


def _decided(ended: Decision) -> str:
    return f"{ended.step} was {ended.state} ({ended.text})"


def _released(incident: Incident, person: str) -> list[ev.Event]:
    """Return the end of an action in doubt, by a person's word: it unlocks the target for the next incident."""
    action = incident.action
    if action is None:
        return []
    text = f"{person} closed the incident; what became of it is not known: {action.doubt}"
    return [ev.StepFinished(action.action_id, ok=False, text=text, action=action.action)]


def _what_now(incident: Incident) -> str:
    if incident.approval is not None and incident.approval.state == "pending":
        asked = incident.approval
        waits = "; first it is looked whether the alert's end is true" if asked.suspended else ""
        return f"{len(agreed(asked))} of {asked.needed} approvals for {asked.step}{waits}"
    if incident.approval is not None:
        return f"step {incident.approval.step} begins as soon as the guardrails let it"
    if incident.action is not None:
        return f"step {incident.action.step} is under way and will finish"
    return f"{incident.id} is {incident.phase.value}"
