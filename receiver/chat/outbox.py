"""The pump: sends what the outbox holds, each lane in order, no lane waiting for another.

A row leaves the outbox when its sending succeeded; what may have been sent before (a crash, a lost answer) is looked
for first. What fails is tried again later and holds its own lane only; what can never succeed goes to the dead letters.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Coroutine, Mapping
from functools import partial
from typing import Any, Protocol

import structlog

from receiver.core.outbox import OutboxRow
from receiver.core.redaction import Secrets
from receiver.ports import Chat, ChatError, Clock, Store, StoreUnavailable

POLL = 1.0
"""Seconds between looks at the outbox when nobody nudges: the grain of retries."""

GAP = 0.05
"""Seconds between looks at the outbox when it is nudged without end, as in a storm of alerts."""

HEADS = 64
"""Lanes looked at in one go."""

LONGEST_WAIT = 300.0
"""Seconds between two tries at most, unless the other side asks for more."""

SEND_LIMIT = 60.0
"""Seconds one sending may take; after that it is unknown whether it happened."""

_log = structlog.stdlib.get_logger(__name__)


class Sender(Protocol):
    """Sends the rows of one lane."""

    async def send(self, row: OutboxRow, attempts: int, *, again: bool) -> str | None:
        """Send a row and return its reference; `again`: it may have been sent before. Raises ChatError."""
        ...


class ChatSender:
    """Sends a lane's rows through a chat, without `secrets`."""

    def __init__(self, lane: str, chat: Chat, store: Store, secrets: Secrets | None = None) -> None:
        self._secrets = secrets or Secrets()
        self._lane = lane
        self._chat = chat
        self._store = store

    async def send(self, row: OutboxRow, attempts: int, *, again: bool) -> str | None:
        """Post or edit a header, or append to the thread, unless it turns out to be there already."""
        reference = await self._store.reference(self._lane, row.incident)
        payload = self._secrets.value(row.payload)
        if row.kind == "header":
            if again and reference is None:
                reference = await self._chat.find(row.incident, row.key, None)
            return await self._chat.header(row.incident, payload, reference)
        if again and (found := await self._chat.find(row.incident, row.key, reference)) is not None:
            return found
        return await self._chat.thread(row.incident, payload, reference, row.key)


class Outbox:
    """Pumps rows from the store to the senders.

    Args:
        senders: by lane; a row of a lane that has none goes to the dead letters.
        observe: called with lane and `sent`, `retry` or `dead` for each try, for metrics.
        others: lanes that somebody else pumps.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        senders: Mapping[str, Sender],
        observe: Callable[[str, str], None] = lambda _lane, _outcome: None,
        others: Collection[str] = (),
    ) -> None:
        self._store = store
        self._clock = clock
        self._senders = senders
        self._others = others
        self._observe = observe
        self._nudged = asyncio.Event()
        self._freed = asyncio.Event()
        self._stop_by: float | None = None
        self._sure: set[str] = set()
        self._busy: dict[str, asyncio.Task[None]] = {}

    def nudge(self) -> None:
        """Say that rows were written."""
        self._nudged.set()

    def stop(self, within: float = 3.0) -> None:
        """Send what can be sent within that many seconds, then let `run` return; what is left stays in the store."""
        self._stop_by = self._clock.monotonic() + within
        self._nudged.set()

    async def run(self) -> None:
        """Send until stopped or cancelled."""
        try:
            while not await self._round():
                await self._wait()
        finally:
            for task in self._busy.values():
                task.cancel()
            await asyncio.gather(*self._busy.values(), return_exceptions=True)

    async def _round(self) -> bool:
        """Begin to send the head of each idle lane; True when stopping and nothing is left to do in time."""
        self._nudged.clear()
        self._freed.clear()
        # A lane that becomes free while the store is read may be shown there with the row that it has just sent.
        busy = {*self._busy, *self._others}
        try:
            heads = await self._store.outbox(HEADS)
        except StoreUnavailable as error:
            _log.warning("outbox.unreadable", error=str(error))
            heads = ()
        for handle, row, attempts in heads:
            if row.lane not in busy:
                self._begin(row.lane, self._deliver(handle, row, attempts), partial(self._idle, handle, row, attempts))
        if self._stop_by is None:
            return False
        # What became free meanwhile was passed over, and may have more rows.
        idle = not self._busy and not self._freed.is_set()
        return idle or self._clock.monotonic() >= self._stop_by

    def _begin(self, lane: str, work: Coroutine[Any, Any, None], then: Callable[[asyncio.Task[None]], None]) -> None:
        self._busy[lane] = asyncio.create_task(work, name=f"outbox {lane}")
        self._busy[lane].add_done_callback(then)

    def _idle(self, handle: int, row: OutboxRow, attempts: int, task: asyncio.Task[None]) -> None:
        """Free the lane; a sender that broke (a defect, not a failure) must be seen and must not block it."""
        self._free(row.lane)
        if task.cancelled() or (error := task.exception()) is None:
            return
        _log.error("outbox.broken", lane=row.lane, key=row.key, exc_info=error)
        defect = ChatError(f"a defect of the sender: {type(error).__name__}: {error}")
        self._begin(row.lane, self._failed(handle, row, attempts, defect), partial(self._noted, row.lane))

    def _noted(self, lane: str, task: asyncio.Task[None]) -> None:
        """Free the lane; when not even the failure can be noted it stays held, or it would send without end."""
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("outbox.held", lane=lane, exc_info=error)
            return
        self._free(lane)

    def _free(self, lane: str) -> None:
        del self._busy[lane]
        self._freed.set()
        self._nudged.set()

    async def _wait(self) -> None:
        """Wait until a lane is free, rows were written (and a moment has passed), or it is time to look again."""
        if not await _within(POLL, self._nudged):
            return
        await _within(GAP, self._freed)

    async def _deliver(self, handle: int, row: OutboxRow, attempts: int) -> None:
        sender = self._senders.get(row.lane)
        if sender is None:
            await self._failed(handle, row, attempts, ChatError(f"no lane {row.lane} is configured"))
            return
        again = attempts > 0 or row.lane not in self._sure
        try:
            async with asyncio.timeout(SEND_LIMIT):
                reference = await sender.send(row, attempts, again=again)
            await self._store.sent(handle, reference)
            self._sure.add(row.lane)
            self._observe(row.lane, "sent")
        except ChatError as error:
            await self._failed(handle, row, attempts, error)
        except TimeoutError:
            lost = ChatError(f"no answer within {SEND_LIMIT:.0f} s", retry_after=0.0, unknown=True)
            await self._failed(handle, row, attempts, lost)
        except StoreUnavailable as error:
            # Perhaps sent, and not noted: looked for before it is sent again.
            self._sure.discard(row.lane)
            _log.warning("outbox.not_noted", lane=row.lane, key=row.key, error=str(error))
            await self._clock.sleep(POLL)

    async def _failed(self, handle: int, row: OutboxRow, attempts: int, error: ChatError) -> None:
        again_at = None
        if error.retry_after is not None:
            again_at = self._clock.now() + max(error.retry_after, min(LONGEST_WAIT, 2.0 ** min(attempts, 10)))
        _log.warning("outbox.failed", lane=row.lane, key=row.key, attempts=attempts + 1, error=str(error))
        self._observe(row.lane, "dead" if again_at is None else "retry")
        try:
            await self._store.unsent(handle, str(error)[:500], again_at)
        except StoreUnavailable as unavailable:
            self._sure.discard(row.lane)
            _log.warning("outbox.not_noted", lane=row.lane, key=row.key, error=str(unavailable))
            await self._clock.sleep(POLL)


async def _within(seconds: float, event: asyncio.Event) -> bool:
    """Wait for an event; False when it did not come in time."""
    try:
        async with asyncio.timeout(seconds):
            return await event.wait()
    except TimeoutError:
        return False
