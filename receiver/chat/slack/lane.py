"""Slack's lane of the outbox: decides what is sent next, within the budgets, and what a failure means.

One thing at a time: of all incidents that have something to tell, the worst severity first, then what asks for an
approval, then what nobody knows of yet, then the oldest. What piles up meanwhile collapses: a header is painted from
the incident as it is when its turn comes, entries go together in one message.

Before a post the intent is stored, so that after a crash, as after a lost answer, the thread is read back first: what
is found there is taken as sent.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, Final

import structlog

from receiver.chat.slack import blocks
from receiver.chat.slack.api import ACCESS, PLACE, SlackRefused, TooFast
from receiver.chat.slack.blocks import Card
from receiver.chat.slack.budget import ALL, REMEMBERED, Budget
from receiver.chat.slack.chat import Posted, SlackChat
from receiver.chat.slack.chores import Plan
from receiver.chat.slack.plan import Row, asks, run_of, urgency
from receiver.chat.slack.pump import apart
from receiver.chat.slack.rooms import Rooms
from receiver.chat.slack.story import CHANGES_CARD, card_of, ending, log_of
from receiver.chat.slack.unsure import Unsure
from receiver.core.incident import Incident
from receiver.core.timeline import header
from receiver.ports import ChatError, Clock, Store, StoreUnavailable, Waiting

LANE: Final = "slack"
MOST: Final = 5000
"""Incidents that are looked at in one go."""

POLL: Final = 2.0
GAP: Final = 0.25
"""Seconds between two looks at the lane when it is nudged without end, as in a storm of alerts."""

REFUSAL: Final = 60.0
"""Seconds until what Slack refused for its settings' sake is tried again."""

TRIES: Final = 10
"""Tries of what is refused for a reason that we don't know."""

Act = Callable[[Waiting], Awaitable[None]]

_log = structlog.stdlib.get_logger(__name__)


class SlackLane:
    """Pumps the lane.

    Args:
        store: the outbox.
        clock: for budgets and pauses.
        chat: Slack.
        observe: called with `slack` and `sent`, `retry` or `dead` for each try, for metrics.
        noted: called with Slack's state in a word or two, after each try.
        rooms: which incidents get a channel of their own; by default none.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        chat: SlackChat,
        observe: Callable[[str, str], None] = lambda _lane, _outcome: None,
        noted: Callable[[str], None] = lambda _state: None,
        rooms: Plan | None = None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._chat = self.chat = chat
        self._observe = observe
        self._noted = noted
        self._budget = self.budget = Budget()
        self._rooms = Rooms(chat.api, chat, store, clock, self._budget, rooms)
        self._nudged = asyncio.Event()
        self._unsure = Unsure(store)
        self._began = False
        self._painted: OrderedDict[str, str] = OrderedDict()
        self._trying: list[int] = []
        self._tries = 0
        self._at_work: str | None = None

    def nudge(self) -> None:
        """Say that rows were written."""
        self._nudged.set()

    async def run(self) -> None:
        """Send until cancelled."""
        while True:
            self._nudged.clear()
            wait = await self._guarded()
            if wait == 0.0:
                continue
            try:
                async with asyncio.timeout(POLL if wait is None else min(wait, POLL)):
                    await self._nudged.wait()
                await self._clock.sleep(GAP)
            except TimeoutError:
                pass

    async def _guarded(self) -> float | None:
        """Take a step; a defect is seen and costs the rows that led to it, not the service."""
        result, error = await apart(self.step, "slack lane")
        if error is None:
            return result
        if isinstance(error, StoreUnavailable):
            _log.warning("slack.store_unavailable", error=str(error))
            return POLL
        _log.error("slack.broken", incident=self._at_work, exc_info=error)
        with contextlib.suppress(StoreUnavailable):
            await self._note(f"a defect of the sender: {type(error).__name__}: {error}", None)
        return POLL

    async def step(self) -> float | None:
        """Do the one thing that is due, if any; returns seconds until more may be, None when nothing waits."""
        if not self._began:
            await self._unsure.load()
            await self._rooms.load()
            self._began = True
        waiting = await self._store.lane(LANE, MOST)
        now, soonest = self._clock.now(), math.inf
        for one in sorted(waiting, key=urgency):
            at, act = self._next(one, now)
            if at <= now:
                await self._do(one, act)
                return 0.0
            soonest = min(soonest, at)
        later = await self._rooms.step()
        soonest = min(soonest, math.inf if later is None else now + later)
        return soonest - now if soonest < math.inf else None

    # --- what is due ------------------------------------------------------------------------------------------------

    def _next(self, one: Waiting, now: float) -> tuple[float, Act]:
        """Return what an incident needs next, and when it may be done."""
        held = max(self._budget.held_until(one.incident), self._budget.held_until(self._channel(one)))
        if one.incident in self._unsure:
            return max(held, self._budget.look_at(now)), self._look
        post_at = max(held, self._budget.post_at(self._channel(one), now))
        if self._rooms.wanted(one):
            return max(now, self._budget.held_until(ALL)), self._rooms.open
        if one.reference is None:
            return post_at, self._open
        edit_at = max(held, self._budget.edit_at(one.incident, one.severity, one.state, now))
        if one.header and (edit_at <= post_at or not one.entries):
            return edit_at, self._edit
        return post_at, self._tell

    def _channel(self, one: Waiting) -> str:
        return self._chat.channel_of(one.severity, one.reference or self._rooms.place(one.incident))

    async def _do(self, one: Waiting, act: Act) -> None:
        self._at_work, self._trying = one.incident, []
        key = "looks" if act == self._look else "edits" if act == self._edit else self._channel(one)
        try:
            await act(one)
        except SlackRefused as error:
            await self._refused(one, error)
        except ChatError as error:
            await self._failed(one, key, error, posted=act not in {self._edit, self._rooms.open})
        else:
            self._budget.worked(key, self._channel(one), one.incident)
            self._noted("ok")

    # --- the header -------------------------------------------------------------------------------------------------

    async def _open(self, one: Waiting) -> None:
        """Post the header: the first one, or another where it is gone."""
        rows = await self._rows(one, 1, header=one.header)
        message = await self._header(one, rows)
        await self._unsure.intend(one.incident)
        channel = self._channel(one)
        posted = await self._post(one, message, channel, None, ["header"])
        row = next((row for row in rows if row[1].kind == "header"), None)
        # Whatever waits: the reference is what everything hangs on.
        await self._store.refer(LANE, one.incident, posted.reference)
        if row is not None:
            await self._store.sent(row[0], posted.reference)
        self._unsure.discard(one.incident)
        self._paint(one, message, counts=False)

    async def _edit(self, one: Waiting) -> None:
        """Paint the header anew, unless it looks as it should."""
        rows = await self._rows(one, 1, header=True)
        if not rows:
            return
        message = await self._header(one, rows)
        changed = self._painted.get(one.incident) != message.digest
        if changed and not await self._chat.edit(message, one.reference or ""):
            _log.warning("slack.header_gone", incident=one.incident, reference=one.reference)
            await self._store.refer(LANE, one.incident, None)
            return
        self._paint(one, message, counts=changed)
        await self._store.sent(rows[0][0], one.reference)
        self._observe(LANE, "sent")

    async def _header(self, one: Waiting, rows: Sequence[Row]) -> blocks.Message:
        """Render the incident as it is now; of one that is no longer kept, what the outbox knows."""
        incident = await self._store.incident(one.incident)
        shown: Mapping[str, Any] = header(incident).as_json() if incident is not None else rows[0][1].payload
        return blocks.header(one.incident, self._chat.safe(shown), self._chat.look)

    def _paint(self, one: Waiting, message: blocks.Message, *, counts: bool) -> None:
        self._budget.edited(one.incident, one.severity, one.state, self._clock.now(), counts=counts)
        self._rooms.touched(one.incident)
        self._painted[one.incident] = message.digest
        self._painted.move_to_end(one.incident)
        if len(self._painted) > REMEMBERED:
            self._painted.popitem(last=False)

    # --- the thread -------------------------------------------------------------------------------------------------

    async def _tell(self, one: Waiting) -> None:
        """Append what waits, in order: as much as goes together in one message."""
        rows = await self._rows(one, blocks.MANY + 1)
        if not rows:
            return
        incident = await self._store.incident(one.incident)
        run = run_of(rows, incident, self._clock.now())
        self._trying = [handle for handle, _, _ in run]
        payloads = [self._chat.safe(row.payload) for _, row, _ in run]
        await self._repaint_card(one, payloads)
        if asks(run[0][1], incident):
            message = await self._card(one, str(payloads[0]["approval"]))
        else:
            message = await self._entries(one, payloads, incident)
        await self._unsure.intend(one.incident)
        keys = [row.key for _, row, _ in run]
        loud = any(blocks.broadcasts(one) for one in payloads)
        posted = await self._post(one, message, self._channel(one), one.reference, keys, broadcast=loud)
        if asks(run[0][1], incident):
            await self._keep_card(one.incident, posted.reference, str(payloads[0]["approval"]))
        await asyncio.gather(*(self._store.sent(handle, None) for handle, _, _ in run))
        self._unsure.discard(one.incident)
        if not posted.in_thread:
            # Slack takes a reply to a parent that was deleted, and puts it in the channel.
            _log.warning("slack.header_gone", incident=one.incident, reference=one.reference)
            await self._store.refer(LANE, one.incident, None)
            await self._open(replace(one, reference=None))

    async def _entries(
        self, one: Waiting, payloads: Sequence[Mapping[str, Any]], incident: Incident | None
    ) -> blocks.Message:
        last = payloads[-1]
        if last.get("kind") != "summary":
            return blocks.entries(payloads, self._clock.now(), self._chat.look)
        told = self._chat.safe(ending(incident, await log_of(self._store, one.incident)))
        end = blocks.summary(one.incident, last, told, self._chat.look)
        if len(payloads) == 1:
            return end
        caught_up = blocks.entries(payloads[:-1], self._clock.now(), self._chat.look)
        return blocks.Message(end.text, [*caught_up.blocks, *end.blocks])

    async def _card(self, one: Waiting, approval: str) -> blocks.Message:
        card = card_of(await log_of(self._store, one.incident), approval, one.severity)
        if card is None:
            raise ChatError(f"the log of {one.incident} holds no request {approval}")
        return blocks.card(one.incident, Card(**self._chat.safe(asdict(card))), self._chat.look)

    async def _keep_card(self, incident: str, reference: str, approval: str) -> None:
        await self._store.refer(f"{LANE}/approval", incident, f"{reference}/{approval}")

    async def _repaint_card(self, one: Waiting, payloads: Sequence[Mapping[str, Any]]) -> None:
        """Paint the card anew before its vote or decision is told: then both are there or will be."""
        if not any(payload.get("kind") in CHANGES_CARD for payload in payloads):
            return
        kept = await self._store.reference(f"{LANE}/approval", one.incident)
        reference, _, approval = (kept or "").rpartition("/")
        if not any(payload.get("approval") == approval for payload in payloads):
            return
        message = await self._card(one, approval)
        if self._painted.get(kept or "") == message.digest:
            return
        self._budget.repainted(self._clock.now())
        if not await self._chat.edit(message, reference):
            _log.warning("slack.card_gone", incident=one.incident, reference=reference)
        self._painted[kept or ""] = message.digest

    # --- what was sent ----------------------------------------------------------------------------------------------

    async def _rows(self, one: Waiting, most: int, *, header: bool = False) -> Sequence[Row]:
        rows = await self._store.lane_rows(LANE, one.incident, most, header=header)
        self._trying = [handle for handle, _, _ in rows[:1]]
        self._tries = rows[0][2] if rows else 0
        return rows

    async def _post(
        self,
        one: Waiting,
        message: blocks.Message,
        channel: str,
        reference: str | None,
        keys: Sequence[str],
        *,
        broadcast: bool = False,
    ) -> Posted:
        # From here until it is noted nobody knows: a store that fails in between must not lead to a second post.
        self._unsure.add(one.incident)
        try:
            posted = await self._chat.post(one.incident, message, channel, reference, keys, broadcast=broadcast)
        except (ChatError, SlackRefused) as error:
            if not getattr(error, "unknown", False):
                self._unsure.discard(one.incident)
            raise
        finally:
            self._budget.posted(channel, self._clock.now())
        self._observe(LANE, "sent")
        return posted

    async def _look(self, one: Waiting) -> None:
        """Read back whether what may have been sent is there, and take it as sent."""
        self._budget.looked(self._clock.now())
        rows = await self._rows(one, blocks.MANY)
        try:
            if one.reference is None:
                await self._look_for_header(one)
            elif rows:
                await self._look_for_entries(one, rows)
        except SlackRefused as error:
            if error.code != "missing_scope":
                raise
            # Who may post but not read gets some message twice rather than not at all.
            _log.error("slack.cannot_look", incident=one.incident, error=str(error))
        self._unsure.discard(one.incident)

    async def _look_for_header(self, one: Waiting) -> None:
        incident = await self._store.incident(one.incident)
        since = incident.opened_at if incident is not None else 0.0
        found = await self._chat.find_header(one.incident, self._channel(one), since)
        if found is not None:
            await self._store.refer(LANE, one.incident, found)

    async def _look_for_entries(self, one: Waiting, rows: Sequence[Row]) -> None:
        found = await self._chat.told(one.incident, one.reference or "", min(row.at for _, row, _ in rows))
        for handle, row, _ in rows:
            reference = found.get(row.key.removeprefix(f"{one.incident}/"))
            if reference is None:
                continue
            if row.kind == "approval":
                await self._keep_card(one.incident, reference, str(row.payload.get("approval", "")))
            await self._store.sent(handle, None)

    # --- what failed ------------------------------------------------------------------------------------------------

    async def _failed(self, one: Waiting, key: str, error: ChatError, *, posted: bool) -> None:
        if error.unknown and posted:
            self._unsure.add(one.incident)
        if error.retry_after is None:
            await self._note(str(error), None)
            return
        where = key if isinstance(error, TooFast) else ALL
        until = self._budget.failed(where, self._clock.now(), error.retry_after)
        _log.warning("slack.failed", incident=one.incident, error=str(error), held=where, until=until)
        if where == ALL:
            self._noted("unreachable")
        await self._note(str(error), until)

    async def _refused(self, one: Waiting, error: SlackRefused) -> None:
        """Hold what Slack refuses until somebody puts it right; give up what is refused for a reason of its own."""
        if error.code in PLACE and await self._rooms.gone(one.incident):
            return
        where = ALL if error.code in ACCESS else self._channel(one) if error.code in PLACE else one.incident
        until = self._budget.failed(where, self._clock.now(), REFUSAL)
        told = f"{error}; remediator slack check says what is missing"
        _log.error("slack.refused", incident=one.incident, channel=self._channel(one), error=told)
        if where == ALL:
            self._noted("refuses the token")
        await self._note(told, None if where == one.incident and self._tries + 1 >= TRIES else until)

    async def _note(self, error: str, until: float | None) -> None:
        """Count a failed try of the rows that were tried; None gives them up."""
        self._observe(LANE, "retry" if until is not None else "dead")
        if until is None:
            _log.error("slack.given_up", incident=self._at_work, error=error)
        for handle in self._trying:
            await self._store.unsent(handle, error[:500], until)
