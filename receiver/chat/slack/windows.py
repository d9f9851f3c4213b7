"""Windows for people: opened while a trigger id lasts, taken when they are sent, answered with what became of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import structlog

from receiver.chat.slack import modals
from receiver.chat.slack.api import Api, SlackRefused
from receiver.chat.slack.buttons import PHASES, VOTES, Press, Verb
from receiver.chat.slack.modals import Declaration, Judgement, Kill, Remark, Submitted
from receiver.chat.slack.private import PrivateAnswers
from receiver.chat.slack.text import code, escape
from receiver.chat.slack.verbs import ROLES, VIA, said
from receiver.chat.slack.votes import Votes
from receiver.core.principal import Principal
from receiver.people import Role
from receiver.ports import ChatError, Store, StoreUnavailable
from receiver.verbs import Answer, Operations

Json = dict[str, Any]

ASKS: Final = frozenset({Verb.DENY, Verb.APPROVE_SAYING_WHY, Verb.SEVERITY, Verb.NOTE, *PHASES})
"""The presses that open a window."""

LOOK: Final = 0.5
"""Seconds that a look at whether a press came too late may take before the window is opened anyway."""

BESIDE: Final = 250
"""Characters of what is said beside a field."""

FAILED: Final = "The service failed at this; its log says why. Look at what stands before you try again."

_log = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a window that was sent.

    Args:
        text: what the person is told, in Slack's form already.
        beside: the field that is wrong; empty: none.
        closes: whether the window may just close, as everybody will see what was done.
        title: of the window that tells it.
    """

    text: str
    beside: str = ""
    closes: bool = False
    title: str = "Answer"

    @property
    def answer(self) -> Json:
        """What Slack is answered."""
        if self.beside:
            return {"response_action": "errors", "errors": {self.beside: self.text}}
        if self.closes:
            return {"response_action": "clear"}
        return {"response_action": "update", "view": self.view}

    @property
    def view(self) -> Json:
        """A window that tells it."""
        return modals.told(self.title, self.text)


WAITS: Final = Taken("This window will say it. If it never does, look at what stands.", title="Being recorded")


class Windows:
    """Opens windows and takes what is sent in them.

    Args:
        store: to see what stands.
        operations: people's verbs.
        answers: takes credentials out of what people are told.
        api: opens them.
        votes: takes votes.
        services: returns the names of the policy's services.
    """

    def __init__(
        self,
        store: Store,
        operations: Operations,
        answers: PrivateAnswers,
        api: Api,
        votes: Votes,
        services: Callable[[], Sequence[str]],
    ) -> None:
        self._store = store
        self._operations = operations
        self._answers = answers
        self._api = api
        self._votes = votes
        self._services = services

    # --- opening ----------------------------------------------------------------------------------------------------

    async def ask(self, press: Press, trigger: str) -> str:
        """Open the window that a press asks for, unless it came too late; returns what to tell instead."""
        late, now = "", ""
        try:
            async with asyncio.timeout(LOOK):
                late, now = await self._look(press)
        except (TimeoutError, StoreUnavailable):
            _log.warning("slack.not_looked", incident=press.incident)
        if late:
            return late
        match press.verb:
            case Verb.SEVERITY:
                view = modals.ask_severity(press.incident, now)
            case Verb.NOTE | Verb.ASSESSED | Verb.MITIGATED:
                view = modals.ask_note(press.incident, PHASES.get(press.verb, ""))
            case _:
                view = modals.ask_reason(press)
        return await self._open(trigger, view)

    async def declare(self, trigger: str) -> str:
        """Open the window that declares an incident; returns what to tell when it can't be."""
        return await self._open(trigger, modals.ask_declaration(self._services()))

    async def confirm(self, kill: Kill, trigger: str) -> str:
        """Open the window that confirms the kill switch; returns what to tell when it can't be."""
        return await self._open(trigger, modals.confirm_kill(kill))

    async def _look(self, press: Press) -> tuple[str, str]:
        """Return why no window is opened, empty when one is; and the incident's severity."""
        if press.verb in VOTES:
            return await self._votes.too_late(press), ""
        incident = await self._store.incident(press.incident)
        if incident is None:
            return f"There is no incident {code(press.incident)}; {code('/remediator list')} shows them.", ""
        if not incident.open and press.verb is not Verb.NOTE:
            return f"{code(press.incident)} is {incident.phase.value} already; nothing was changed.", ""
        return "", incident.severity.value

    async def _open(self, trigger: str, view: Json) -> str:
        try:
            await self._api.call("views.open", trigger_id=trigger, view=view)
        except (ChatError, SlackRefused) as error:
            _log.warning("slack.modal_not_opened", error=str(error))
            return f"Slack didn't open the window for it ({escape(error, 200)}). Press again, or use the command line."
        return ""

    # --- what was sent ----------------------------------------------------------------------------------------------

    async def take(self, sent: Submitted, by: Principal, *, once: str) -> Taken:
        """Do what a window asks for; what is wrong with a field is told beside it.

        Args:
            once: names this very window: what it declares is declared once, however often it is sent.
        """
        try:
            return await self._take(sent, by, once)
        except StoreUnavailable as error:
            why = f"Nothing was recorded, the store does not answer: {escape(error, 150)}."
            if isinstance(sent.about, Kill):
                return Taken(f"{why} Try again.")
            # What they wrote stays where it is.
            return Taken(f"{why} Send it again.", beside=modals.REASON)

    async def _take(self, sent: Submitted, by: Principal, once: str) -> Taken:
        text = sent.reason
        match sent.about:
            case Declaration(severity, service) if severity is not None:
                answer = await self._operations.declare(
                    by=by, severity=severity, title=text, service=service, once=once
                )
                return self._answered(answer, "", modals.SERVICE if answer.status == "not_found" else modals.REASON)
            case Judgement(incident, severity) if severity is not None:
                answer = await self._operations.change_severity(incident, by=by, severity=severity, reason=text)
                return self._answered(answer, incident, modals.SEVERITY)
            case Remark(incident, phase):
                answer = await self._operations.note(incident, by=by, text=text, phase=phase)
                return self._answered(answer, incident, modals.REASON)
            case Press() as press:
                counts, told = await self._votes.vote(press, by, text)
                return Taken(told, closes=counts)
            case Kill(on, playbook):
                answer = await self._operations.kill(on=on, by=by, playbook=playbook)
                _log.warning("the kill switch: %s", answer.text, person=by.person, via=VIA)
                return Taken(said(answer, "", self._answers.safe))
            case _:
                raise AssertionError(f"a window without {', '.join(sent.missing)} is not taken")

    def _answered(self, answer: Answer, incident: str, field: str) -> Taken:
        """Return what became of it: done, wrong in a field, or not for this person."""
        if answer.ok or answer.status == "forbidden":
            return Taken(said(answer, incident, self._answers.safe))
        return Taken(escape(self._answers.safe(answer.text), BESIDE), beside=field)

    async def say_later(self, task: asyncio.Task[Taken], view: str) -> None:
        """Say in a window that already says "wait" what became of it."""
        await asyncio.wait([task])
        try:
            await self._api.call("views.update", view_id=view, view=settled(task).view)
        except (ChatError, SlackRefused) as error:
            _log.warning("slack.modal_not_updated", error=str(error))


def settled(task: asyncio.Task[Taken]) -> Taken:
    """Return what became of a window whose work is done."""
    failed = task.cancelled() or task.exception() is not None
    return Taken(FAILED, title="Not done") if failed else task.result()


def role_of(sent: Submitted) -> Role:
    """Return the role that a window needs from whoever sends it."""
    if isinstance(sent.about, Kill):
        return Role.ADMIN
    return ROLES[sent.about.verb] if isinstance(sent.about, Press) else Role.RESPONDER


def of(sent: Submitted) -> str:
    """Return what a window is about, for the log."""
    return sent.about.value if isinstance(sent.about, Kill) else getattr(sent.about, "incident", "")
