"""What people do in Slack, however it reached us: buttons and modals. One handler for HTTP and Socket Mode.

Slack wants an answer within three seconds, and a modal opened while its trigger id lasts. So a press is taken at once
and worked on beside; a sent modal is answered with what became of it, after two seconds with "wait" and the rest later.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final, TypeVar

import structlog

from receiver.chat.slack import modals
from receiver.chat.slack.api import Api, SlackRefused
from receiver.chat.slack.blocks import DECISIONS, Card
from receiver.chat.slack.buttons import VOTES, Press, Verb, read
from receiver.chat.slack.modals import Kill, Submitted
from receiver.chat.slack.private import PrivateAnswers
from receiver.chat.slack.story import card_of, log_of
from receiver.chat.slack.text import code, escape
from receiver.chat.slack.verbs import (
    ROLES,
    VIA,
    Operations,
    Planned,
    first,
    inside,
    open_modal,
    principal,
    refused,
    said,
    text_of,
    user_of,
)
from receiver.chat.slack.whose import SlackUser, Whose
from receiver.core.events import Recorded
from receiver.core.principal import Principal
from receiver.people import Person, Role
from receiver.ports import ChatError, Store, StoreUnavailable, TooBusy

Json = dict[str, Any]
T = TypeVar("T")

MOST: Final = 100
"""Presses that are worked on at once; Slack tells who pressed more that it went wrong."""

SOON: Final = 2.0
"""Seconds within which an answer is given; Slack waits for three."""

LOOK: Final = 0.5
"""Seconds that a look at whether a press came too late may take before the modal is opened anyway."""

DRAIN: Final = 5.0
"""Seconds at a stop for what was pressed before it."""

FAILED: Final = "The service failed at this; its log says why. Look at what stands before you try again."

_log = structlog.stdlib.get_logger(__name__)


class Desk:
    """Takes presses and modals.

    Args:
        store: to see what stands.
        operations: people's verbs.
        whose: tells people.
        answers: sends what one person is told.
        api: opens modals.
        planned: makes plans again.
        refused: called with `busy`, `person` or `role` for what is refused for that, for a metric.
    """

    def __init__(
        self,
        store: Store,
        operations: Operations,
        whose: Whose,
        answers: PrivateAnswers,
        api: Api,
        planned: Planned,
        refused: Callable[[str], None] = lambda _reason: None,
    ) -> None:
        self.store = store
        self.operations = operations
        self.whose = whose
        self.answers = answers
        self.api = api
        self._planned = planned
        self._refused = refused
        self._tasks: set[asyncio.Task[Any]] = set()

    async def interactive(self, payload: Mapping[str, Any]) -> Json | None:
        """Take an interaction and return what Slack is answered at once, None for a plain 200.

        Raises:
            TooBusy: too much is under way.
        """
        match payload.get("type"):
            case "block_actions":
                _ = self.begin(self._pressed(payload))
            case "view_submission":
                return await self._submitted(payload)
            case _:
                # Closed modals and whatever else an app can be told of: taken, nothing follows.
                pass
        return None

    def begin(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Begin to work on something beside the answer; raises TooBusy."""
        if len(self._tasks) >= MOST:
            work.close()
            self._refused("busy")
            raise TooBusy
        return self.follow(work)

    def follow(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Go on beside with what was begun."""
        task = asyncio.create_task(work, name="slack press")
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def refuse(self, who: SlackUser | None, person: Person | None, role: Role, *, what: str, of: str) -> str:
        """Count that somebody may not do something, and say why."""
        self._refused("person" if person is None else "role")
        return refused(who, person, role, what=what, of=of)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, StoreUnavailable):
            _log.error("slack.press_broken", exc_info=error)

    async def close(self) -> None:
        """Finish what was pressed, within seconds."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=DRAIN)
        for task in self._tasks:
            task.cancel()

    # --- buttons ----------------------------------------------------------------------------------------------------

    async def _pressed(self, payload: Mapping[str, Any]) -> None:
        action = first(payload.get("actions"))
        press = read(action.get("action_id"), action.get("value"))
        if press is None or press.verb is Verb.OPEN:
            return
        url, thread = payload.get("response_url"), text_of(inside(payload, "container").get("thread_ts"))
        work = self.follow(self._do(press, user_of(payload), text_of(payload.get("trigger_id"))))
        if told := await outcome(work):
            await self.answers.send(url, told, thread or None)

    async def _do(self, press: Press, who: SlackUser | None, trigger: str) -> str:
        """Do what a button asks for; returns what the person is told, empty when a modal tells them."""
        role, asks = ROLES[press.verb], press.verb in {Verb.DENY, Verb.APPROVE_SAYING_WHY}
        person = self.whose.known(who) if who is not None else None
        if person is None and who is not None and self.whose.asks:
            if asks:
                # The trigger id doesn't wait for Slack to say who they are; that is asked when the modal is sent.
                return await self._ask(press, trigger)
            person = await self.whose.person(who)
        if who is None or person is None or not person.may(role):
            return self.refuse(who, person, role, what=str(press.verb), of=press.incident)
        return await self._ask(press, trigger) if asks else await self._act(press, principal(person, who))

    async def _ask(self, press: Press, trigger: str) -> str:
        """Open the modal for a reason, unless the press came too late."""
        try:
            async with asyncio.timeout(LOOK):
                if late := await self.too_late(press):
                    return late
        except (TimeoutError, StoreUnavailable):
            _log.warning("slack.not_looked", incident=press.incident)
        return await open_modal(self.api, trigger, modals.ask_reason(press))

    async def _act(self, press: Press, by: Principal) -> str:
        match press.verb:
            case Verb.ACKNOWLEDGE:
                answer = await self.operations.acknowledge(press.incident, by=by)
            case Verb.TAKE_OVER:
                answer = await self.operations.take_over(press.incident, by=by)
            case Verb.PAUSE:
                answer = await self.operations.pause(press.incident, by=by)
            case Verb.RESUME:
                answer = await self.operations.resume(press.incident, by=by)
            case Verb.PLAN:
                return await self._planned.again(press.incident, press.approval or "")
            case _:
                return (await self._vote(press, by, ""))[1]
        return said(answer, press.incident, self.answers.safe)

    async def _vote(self, press: Press, by: Principal, reason: str) -> tuple[bool, str]:
        """Vote; returns whether it counts and what the person is told: when too late, the decision that stands."""
        approve = press.verb is not Verb.DENY
        answer = await self.operations.vote(
            press.incident, by=by, approve=approve, reason=reason, approval=press.approval
        )
        late = "" if answer.ok else await self.too_late(press)
        return answer.ok, late or said(answer, press.incident, self.answers.safe)

    async def too_late(self, press: Press) -> str:
        """Return how what a vote is about was decided, empty while it waits."""
        if press.verb not in VOTES or press.approval is None:
            return ""
        incident = await self.store.incident(press.incident)
        approval = incident.approval if incident is not None else None
        if approval is not None and approval.id == press.approval and approval.state == "pending":
            return ""
        card = self._card(await log_of(self.store, press.incident), press.approval)
        if card is None:
            return f"{code(press.incident)} asks for nothing of the kind; this button changed nothing."
        mark, word = DECISIONS.get(card.state, ("⏹️", "Over"))
        if card.state == "pending":
            word, mark = "Not open any more", "⏹️"
        decision = f": {escape(card.decision, 700)}" if card.decision else ""
        return f"{mark} Too late. Step {escape(card.step, 90)}: {word.lower()}{decision}. Your press changed nothing."

    def _card(self, log: Sequence[Recorded], approval: str) -> Card | None:
        card = card_of(log, approval, "")
        return Card(**self.answers.safe(asdict(card))) if card is not None else None

    # --- modals -----------------------------------------------------------------------------------------------------

    async def _submitted(self, payload: Mapping[str, Any]) -> Json | None:
        view = inside(payload, "view")
        sent = modals.submitted(view)
        if sent is None:
            return None
        if isinstance(sent.about, Press) and not sent.reason:
            return {"response_action": "errors", "errors": {modals.REASON: "A reason is needed."}}
        who = user_of(payload)
        task = self.begin(self._sent(sent, who))
        await asyncio.wait([task], timeout=SOON)
        if not task.done():
            _ = self.follow(self._say_later(task, text_of(view.get("id"))))
            return {"response_action": "update", "view": modals.told("Being recorded", "This window will say it.")}
        return _settled(task)

    async def _sent(self, sent: Submitted, who: SlackUser | None) -> tuple[bool, str]:
        """Do what a modal asks for; returns whether the modal may just close, and what became of it."""
        role = Role.ADMIN if isinstance(sent.about, Kill) else ROLES[sent.about.verb]
        person = await self.whose.person(who) if who is not None else None
        if who is None or person is None or not person.may(role):
            return False, self.refuse(who, person, role, what=type(sent.about).__name__.lower(), of=sent.about.value)
        by = principal(person, who)
        try:
            if isinstance(sent.about, Kill):
                answer = await self.operations.kill(on=sent.about.on, by=by, playbook=sent.about.playbook)
                _log.warning("the kill switch: %s", answer.text, person=by.person, via=VIA)
                return False, said(answer, "", self.answers.safe)
            return await self._vote(sent.about, by, sent.reason)
        except StoreUnavailable as error:
            return False, f"Nothing was recorded, the store does not answer: {escape(error)}. Try again."

    async def _say_later(self, task: asyncio.Task[tuple[bool, str]], view: str) -> None:
        await asyncio.wait([task])
        settled = _settled(task)
        shown = settled["view"] if "view" in settled else modals.told("Done", task.result()[1])
        try:
            await self.api.call("views.update", view_id=view, view=shown)
        except (ChatError, SlackRefused) as error:
            _log.warning("slack.modal_not_updated", error=str(error))


async def outcome(task: asyncio.Task[str]) -> str:
    """Return what a person is told of work that may fail; a defect is in the log already."""
    await asyncio.wait([task])
    if task.cancelled():
        return "The service stops; nothing is known of it. Look, and press again."
    error = task.exception()
    if isinstance(error, StoreUnavailable):
        return f"Nothing was recorded, the store does not answer: {escape(error)}. Try again."
    return FAILED if error is not None else task.result()


def _settled(task: asyncio.Task[tuple[bool, str]]) -> Json:
    """Return the answer to a modal whose work is done."""
    if task.cancelled() or task.exception() is not None:
        return {"response_action": "update", "view": modals.told("Not done", FAILED)}
    closes, text = task.result()
    return (
        {"response_action": "clear"} if closes else {"response_action": "update", "view": modals.told("Answer", text)}
    )
