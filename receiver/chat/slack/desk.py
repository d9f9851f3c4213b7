"""What people do in Slack, however it reached us: buttons and modals. One handler for HTTP and Socket Mode.

Slack wants an answer within three seconds, and a modal opened while its trigger id lasts. What is asked for is done
first, and Slack is answered then: whom Slack told that it was taken finds it stored, whatever happens to this process.
What takes more than two seconds is answered before it is done, and the person is told so (ADR 0018).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, Final, TypeVar

import structlog

from receiver.chat.slack.api import Api
from receiver.chat.slack.buttons import VOTES, Press, Verb, pressed
from receiver.chat.slack.modals import Submitted, submitted
from receiver.chat.slack.private import PrivateAnswers
from receiver.chat.slack.text import escape
from receiver.chat.slack.verbs import (
    ROLES,
    Planned,
    first,
    inside,
    principal,
    refused,
    said,
    text_of,
    user_of,
)
from receiver.chat.slack.votes import Votes
from receiver.chat.slack.whose import SlackUser, Whose
from receiver.chat.slack.windows import ASKS, FAILED, WAITS, Taken, Windows, of, role_of, settled
from receiver.core.principal import Principal
from receiver.people import Person, Role
from receiver.ports import Store, StoreUnavailable, TooBusy
from receiver.verbs import Operations

Json = dict[str, Any]
T = TypeVar("T")

MOST: Final = 100
"""Presses that are worked on at once; Slack tells who pressed more that it went wrong."""

SOON: Final = 2.0
"""Seconds within which an answer is given; Slack waits for three."""

DRAIN: Final = 5.0
"""Seconds at a stop for what was pressed before it."""

WAIT: Final = "⏳ Still being recorded; what became of it will stand here. If nothing follows, look, and do it again."

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
        services: returns the names of the policy's services.
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
        *,
        services: Callable[[], Sequence[str]] = tuple,
        refused: Callable[[str], None] = lambda _reason: None,
    ) -> None:
        self.store = store
        self.operations = operations
        self.whose = whose
        self.answers = answers
        self.votes = Votes(store, operations, answers)
        self.windows = Windows(store, operations, answers, api, self.votes, services)
        self._planned = planned
        self._refused = refused
        self._tasks: set[asyncio.Task[Any]] = set()

    async def interactive(self, payload: Mapping[str, Any]) -> Json | None:
        """Take an interaction and return what Slack is answered, None for a plain 200.

        Raises:
            TooBusy: too much is under way.
        """
        match payload.get("type"):
            case "block_actions":
                await self._pressed(payload)
            case "view_submission":
                return await self._submitted(payload)
            case _:
                # Closed modals and whatever else an app can be told of: taken, nothing follows.
                pass
        return None

    # --- what is worked on ------------------------------------------------------------------------------------------

    def begin(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Begin to work on something; raises TooBusy."""
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

    def refuse(self, who: SlackUser | None, person: Person | None, role: Role, *, what: str, of: str) -> str:
        """Count that somebody may not do something, and say why."""
        self._refused("person" if person is None else "role")
        return refused(who, person, role, what=what, of=of)

    # --- buttons ----------------------------------------------------------------------------------------------------

    async def _pressed(self, payload: Mapping[str, Any]) -> None:
        """Do what a button asks for; returns when it is done, or has taken so long that Slack must be answered."""
        press = pressed(first(payload.get("actions")))
        if press is None or press.verb is Verb.OPEN:
            return
        work = self.begin(self._do(press, user_of(payload), text_of(payload.get("trigger_id"))))
        thread = text_of(inside(payload, "container").get("thread_ts"))
        _ = self.follow(self._tell(work, payload.get("response_url"), thread or None))
        await asyncio.wait([work], timeout=SOON)

    async def _tell(self, work: asyncio.Task[str], url: object, thread: str | None) -> None:
        """Tell a person what became of a press; when Slack must be answered before it is known, that it isn't."""
        done, _ = await asyncio.wait([work], timeout=SOON)
        if not done:
            await self.answers.send(url, WAIT, thread)
        if told := await outcome(work):
            await self.answers.send(url, told, thread)

    async def _do(self, press: Press, who: SlackUser | None, trigger: str) -> str:
        """Do what a button asks for; returns what the person is told, empty when a modal tells them."""
        role, asks = ROLES[press.verb], press.verb in ASKS
        person = self.whose.known(who) if who is not None else None
        if person is None and who is not None and self.whose.asks:
            if asks:
                # The trigger id doesn't wait for Slack to say who they are; that is asked when the modal is sent.
                return await self.windows.ask(press, trigger)
            person = await self.whose.person(who)
        if who is None or person is None or not person.may(role):
            why = self.refuse(who, person, role, what=str(press.verb), of=press.incident)
            return f"{why} {await self.votes.too_late(press)}".rstrip()
        return await self.windows.ask(press, trigger) if asks else await self._act(press, principal(person, who))

    async def _act(self, press: Press, by: Principal) -> str:
        if press.verb in VOTES:
            return (await self.votes.vote(press, by, ""))[1]
        match press.verb:
            case Verb.ACKNOWLEDGE:
                answer = await self.operations.acknowledge(press.incident, by=by)
            case Verb.TAKE_OVER:
                answer = await self.operations.take_over(press.incident, by=by)
            case Verb.PAUSE:
                answer = await self.operations.pause(press.incident, by=by)
            case Verb.RESUME:
                answer = await self.operations.resume(press.incident, by=by)
            case _:
                return await self._planned.again(press.incident, press.approval or "")
        return said(answer, press.incident, self.answers.safe)

    # --- modals -----------------------------------------------------------------------------------------------------

    async def _submitted(self, payload: Mapping[str, Any]) -> Json | None:
        view = inside(payload, "view")
        sent = submitted(view)
        if sent is None:
            return None
        if sent.missing:
            return {"response_action": "errors", "errors": sent.missing}
        identity = text_of(view.get("id"))
        task = self.begin(self._sent(sent, user_of(payload), identity))
        await asyncio.wait([task], timeout=SOON)
        if not task.done():
            _ = self.follow(self.windows.say_later(task, identity))
            return WAITS.answer
        return settled(task).answer

    async def _sent(self, sent: Submitted, who: SlackUser | None, view: str) -> Taken:
        """Do what a modal asks for; returns what became of it."""
        role = role_of(sent)
        person = await self.whose.person(who) if who is not None else None
        if who is None or person is None or not person.may(role):
            why = self.refuse(who, person, role, what=type(sent.about).__name__.lower(), of=of(sent))
            late = await self.votes.too_late(sent.about) if isinstance(sent.about, Press) else ""
            return Taken(f"{why} {late}".rstrip())
        by = principal(person, who)
        return await self.windows.take(sent, by, once=f"{by.address}/{view}" if view else "")


async def outcome(task: asyncio.Task[str]) -> str:
    """Return what a person is told of work that may fail; a defect is in the log already."""
    await asyncio.wait([task])
    if task.cancelled():
        return "The service stops; nothing is known of it. Look, and press again."
    error = task.exception()
    if isinstance(error, StoreUnavailable):
        return f"Nothing was recorded, the store does not answer: {escape(error)}. Try again."
    return FAILED if error is not None else task.result()
