"""What happens to incidents, live: one reader of the store's feed for everybody who listens.

The store is the truth and the buffer. A listener says where it left off, reads from the store until nothing is left,
and is then told what the one reader finds; one that falls behind reads from the store again. So nothing is lost or told
twice, also over a restart of the service, and memory is bounded. While nobody listens, nothing is read.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

import structlog

from receiver.core.events import Recorded
from receiver.core.timeline import Entry, Teller
from receiver.ports import Changes, Clock, Store, StoreUnavailable

MOST_LISTENERS: Final = 200
"""Connections of pages and terminals at once; each may hold `WAITING` entries."""

WAITING: Final = 500
"""Entries that wait for a listener before it is sent back to the store."""

PAGE: Final = 200
"""Events read at once."""

PAUSE: Final = 0.05
"""Seconds from one look at the store to the next: a storm of commits doesn't become one of reads."""

REMEMBERED: Final = 256
"""Incidents whose story so far is kept at hand, to tell their next event."""

_log = structlog.stdlib.get_logger(__name__)


class TooManyListeners(Exception):
    """As many listen already as may; one can come again later."""


class FeedEnded(Exception):
    """The service stops; whoever listens comes again with its position."""


@dataclass(frozen=True, slots=True)
class Told:
    """Something that happened to an incident.

    Args:
        id: the position to come back with: of one incident's feed its `seq`, of all incidents' a place in the feed.
        incident: its id.
        recorded: the event.
        entry: the same as a line of the timeline; see `Entry.replaces`.
    """

    id: int
    incident: str
    recorded: Recorded
    entry: Entry


@dataclass(frozen=True, slots=True)
class Gap:
    """Something is missing here that is no longer kept: read the incidents anew, and go on from `id`."""

    id: int


News: TypeAlias = Told | Gap


class Feed:
    """Tells listeners what becomes durable.

    Args:
        counted: called with the number of listeners when it changes.
    """

    def __init__(self, store: Store, clock: Clock, counted: Callable[[int], None] = lambda _: None) -> None:
        self._store = store
        self._clock = clock
        self._counted = counted
        self._listeners: set[Listener] = set()
        self._wanted = asyncio.Event()
        self._at = 0
        self.ended = False

    def stored(self, changes: Changes) -> None:
        """Take note that a unit is durable; costs nothing while nobody listens."""
        if self._listeners and changes.events:
            self._wanted.set()

    async def listen(self, incident: str | None = None, after: int | None = None) -> Listener:
        """Begin to listen; `close` the listener in the end.

        Args:
            incident: one incident's id; None: all of them.
            after: the position to go on from; None: what happens from now on, for one incident from its beginning.

        Raises:
            TooManyListeners: there is no room.
            FeedEnded: the service stops.
            StoreUnavailable: it can't be read.
        """
        end = await self._store.feed_end()
        if self.ended:
            raise FeedEnded
        if len(self._listeners) >= MOST_LISTENERS:
            raise TooManyListeners(f"{MOST_LISTENERS} listen already")
        if not self._listeners:
            self._at = end
        default = 0 if incident is not None else end
        listener = Listener(self, self._store, incident, default if after is None else after)
        self._listeners.add(listener)
        self._counted(len(self._listeners))
        # What became durable since `end` was read may have been stored while nobody was there to take note.
        self._wanted.set()
        return listener

    def leave(self, listener: Listener) -> None:
        """Forget a listener."""
        self._listeners.discard(listener)
        self._counted(len(self._listeners))

    def end(self) -> None:
        """Let all listeners end, for the service stops."""
        self.ended = True
        for listener in self._listeners:
            listener.wake()

    async def run(self) -> None:
        """Read what is new while somebody listens, until cancelled."""
        tellers = Tellers(self._store)
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            try:
                while self._listeners and await self._read(tellers):
                    pass
            except StoreUnavailable as error:
                _log.warning("the live feed can't be read", reason=str(error))
                self._wanted.set()
                await self._clock.sleep(1.0)
            await self._clock.sleep(PAUSE)

    async def _read(self, tellers: Tellers) -> bool:
        """Tell the next stretch; returns whether there may be more."""
        page = await self._store.feed(self._at, PAGE)
        if not page.complete:
            for listener in self._listeners:
                listener.fall_behind()
        for place, recorded in page.events:
            wanting = [one for one in self._listeners if one.incident in {None, recorded.incident}]
            if wanting:
                told = Told(place, recorded.incident, recorded, await tellers.tell(recorded))
                for listener in wanting:
                    listener.offer(told)
        more, self._at = page.last != self._at, page.last
        return more


class Listener:
    """One who listens; an asynchronous iterator of news. `next` lets it wait for a limited time.

    Args:
        incident: whose news it gets; None: everybody's.
        at: the position behind which it begins.
    """

    def __init__(self, feed: Feed, store: Store, incident: str | None, at: int) -> None:
        self.incident = incident
        self.began = at
        self._feed = feed
        self._store = store
        self._tellers = Tellers(store)
        self._at = at
        self._behind = True
        self._reading = False
        self._read: deque[News] = deque()
        self._queue: deque[Told] = deque()
        self._ready = asyncio.Event()

    def __aiter__(self) -> AsyncIterator[News]:
        return self

    async def __anext__(self) -> News:
        try:
            return await self._next()
        except FeedEnded:
            raise StopAsyncIteration from None

    async def next(self, within: float) -> News | None:
        """Return the next news, None when there is none within so many seconds.

        Raises:
            FeedEnded: the service stops.
            StoreUnavailable: it can't be read; what was not told yet comes when it is asked again.
        """
        try:
            async with asyncio.timeout(within):
                return await self._next()
        except TimeoutError:
            return None

    def close(self) -> None:
        """Listen no more."""
        self._feed.leave(self)

    # --- for the feed -------------------------------------------------------------------------------------------------

    def offer(self, told: Told) -> None:
        """Queue what the feed read, or read it from the store later when too much waits."""
        if len(self._queue) >= WAITING:
            self.fall_behind()
        elif not self._behind:
            self._queue.append(told)
        self._ready.set()

    def fall_behind(self) -> None:
        """Read from the store from where it is now."""
        self._queue.clear()
        self._behind = True
        self._ready.set()

    def wake(self) -> None:
        """Look whether the feed has ended."""
        self._ready.set()

    # --- where it is --------------------------------------------------------------------------------------------------

    async def _next(self) -> News:
        while not self._feed.ended:
            if self._read:
                return self._read.popleft()
            if self._behind:
                # From here on what is new is queued; what is read as well is left out below.
                self._behind, self._reading = False, True
            if self._reading:
                self._reading = await self._read_on()
            elif self._queue:
                told = self._queue.popleft()
                position = told.id if self.incident is None else told.entry.seq
                if position > self._at:
                    self._at = position
                    return replace(told, id=position)
            else:
                self._ready.clear()
                await self._ready.wait()
        raise FeedEnded

    async def _read_on(self) -> bool:
        """Read the next stretch from the store; returns whether there may be more. Safe to be cancelled."""
        news: list[News] = []
        events: Sequence[tuple[int, Recorded]]
        if self.incident is None:
            page = await self._store.feed(self._at, PAGE)
            events, last = page.events, page.last
            if not page.complete:
                news.append(Gap(self._at if events else last))
        else:
            events = [(one.seq, one) for one in await self._store.events(self.incident, self._at, PAGE)]
            last = events[-1][0] if events else self._at
        for position, recorded in events:
            news.append(Told(position, recorded.incident, recorded, await self._tellers.tell(recorded)))
        more, self._at = last != self._at, last
        self._read.extend(news)
        return more


class Tellers:
    """Tells events of many incidents; what came before in an incident's log is read where it isn't at hand."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._tellers: OrderedDict[str, Teller] = OrderedDict()

    async def tell(self, recorded: Recorded) -> Entry:
        """Return an event's entry."""
        teller = self._tellers.pop(recorded.incident, None)
        if teller is None or teller.seq >= recorded.seq:
            teller = Teller()
        while teller.seq < recorded.seq - 1:
            before = await self._store.events(recorded.incident, teller.seq, min(1000, recorded.seq - 1 - teller.seq))
            for one in before:
                teller.learn(one)
            if not before:
                break
        entry = teller.tell(recorded)
        self._tellers[recorded.incident] = teller
        if len(self._tellers) > REMEMBERED:
            self._tellers.popitem(last=False)
        return entry
