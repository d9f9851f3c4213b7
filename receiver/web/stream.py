"""Server-sent events: news of incidents for pages, programs and terminals (docs/api.md).

https://html.spec.whatwg.org/multipage/server-sent-events.html. A reader that comes again with `Last-Event-ID` goes on
where it was; `Feed` sees to it.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from typing import Final, NamedTuple

import msgspec
import structlog
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from receiver.core.redaction import Secrets
from receiver.ports import Store, StoreUnavailable
from receiver.web import models
from receiver.web.describing import CURSOR, Parameter
from receiver.web.feed import Feed, FeedEnded, Gap, Listener, News, TooManyListeners
from receiver.web.problems import Problem
from receiver.web.requests import Query

BEAT: Final = 15.0
"""Seconds of silence after which a line is sent that says nothing: proxies close what is silent for 30 to 60."""

STUCK: Final = 30.0
"""Seconds that a reader may take none of what is sent; then it is cut off, and comes again."""

RETRY: Final = 2000
"""Milliseconds after which a browser comes again."""

HEADERS: Final = {"x-accel-buffering": "no"}
"""nginx would keep the stream until its buffer is full."""

POSITION: Final = (
    Parameter("after", "The position to go on from, where no Last-Event-ID says it.", CURSOR),
    Parameter("Last-Event-ID", "The `id` that came last: what follows it is sent.", CURSOR, place="header"),
)

_LONGEST: Final = 18
"""Digits of a position."""

_LINES = re.compile(r"\r\n|\r|\n")
_log = structlog.stdlib.get_logger(__name__)


class Frame(NamedTuple):
    """What is sent of some news: the event's name, and its data, which may have several lines."""

    event: str
    data: str


Render = Callable[[News], Frame | None]
"""How news is sent; None: not at all."""


def position(request: Request, query: Query) -> int | None:
    """Return where the reader goes on: its Last-Event-ID, else `?after`; None when it gives neither.

    Raises:
        Problem: it is no position (400).
    """
    text = query.cursor("after")
    given = request.headers.get("last-event-id")
    if given is None:
        return None if text is None else int(text)
    if not (given.isascii() and given.isdigit() and len(given) <= _LONGEST):
        raise Problem(400, "Last-Event-ID is none that this stream gave.", errors=[{"where": "Last-Event-ID"}])
    return int(given)


class EventStream(StreamingResponse):
    """Sends a listener's news until the reader goes away, the service stops, or the reader may not read any more.

    Args:
        listener: is closed in the end.
        render: see `Render`.
        allowed: asked at each beat; raises Problem when the reader may not read any more.
    """

    media_type = "text/event-stream"

    def __init__(self, listener: Listener, render: Render, allowed: Callable[[], object]) -> None:
        super().__init__(_frames(listener, render, allowed), headers=HEADERS)
        self._listener = listener

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._listener.close()

    async def stream_response(self, send: Send) -> None:
        """Send; a reader that takes nothing is left."""

        async def timely(message: dict[str, object]) -> None:
            async with asyncio.timeout(STUCK):
                await send(message)

        try:
            await super().stream_response(timely)  # type: ignore[arg-type] # Starlette's messages are such mappings
        except TimeoutError:
            _log.warning("a reader of a stream takes nothing; it is cut off", seconds=STUCK)


async def _frames(listener: Listener, render: Render, allowed: Callable[[], object]) -> AsyncIterator[bytes]:
    loop = asyncio.get_running_loop()
    # A reader that hears nothing before it is cut off knows where it was, too.
    yield f"id: {listener.began}\nretry: {RETRY}\n\n".encode()
    checked = loop.time()
    try:
        while True:
            news = await listener.next(BEAT)
            if loop.time() - checked >= BEAT:
                allowed()
                checked = loop.time()
            frame = None if news is None else render(news)
            if frame is not None and news is not None:
                yield _frame(frame, news.id)
            elif news is None:
                yield b": still here\n\n"
    except (FeedEnded, Problem):
        return
    except StoreUnavailable as error:
        _log.warning("a stream ends: the store can't be read", reason=str(error))


def _frame(frame: Frame, position: int) -> bytes:
    data = "\n".join(f"data: {line}" for line in _LINES.split(frame.data))
    return f"id: {position}\nevent: {frame.event}\n{data}\n\n".encode()


def as_json(secrets: Secrets) -> Render:
    """Return what sends the API's shapes: `entry` with the incident, or `gap`."""

    def render(news: News) -> Frame:
        if isinstance(news, Gap):
            return Frame("gap", "{}")
        shown = secrets.value(models.NewsModel.told(news.incident, news.entry).model_dump(mode="json"))
        return Frame("entry", msgspec.json.encode(shown).decode())

    return render


class Streams:
    """The API's two streams."""

    def __init__(self, feed: Feed, store: Store, secrets: Secrets) -> None:
        self._feed = feed
        self._store = store
        self._render = as_json(secrets)

    async def everything(self, request: Request, allowed: Callable[[], object]) -> Response:
        """Answer the news of all incidents."""
        return await self._answer(request, None, allowed)

    async def one(self, request: Request, allowed: Callable[[], object]) -> Response:
        """Answer the news of one incident, from its beginning."""
        wanted = request.path_params["id"]
        if await self._store.incident(wanted) is None:
            raise Problem(404, f"There is no incident {wanted[:100]}.")
        return await self._answer(request, wanted, allowed)

    async def _answer(self, request: Request, incident: str | None, allowed: Callable[[], object]) -> Response:
        after = position(request, Query(request, ("after",)))
        if request.method == "HEAD":
            return Response(media_type=EventStream.media_type, headers=HEADERS)
        return EventStream(await listen(self._feed, incident, after), self._render, allowed)


async def listen(feed: Feed, incident: str | None, after: int | None) -> Listener:
    """Begin to listen, for a request.

    Raises:
        Problem: there is no room, or the service stops (503).
    """
    again = [(b"retry-after", b"5")]
    try:
        return await feed.listen(incident, after)
    except TooManyListeners as error:
        raise Problem(503, f"No room for another stream: {error}; try again later.", headers=again) from None
    except FeedEnded:
        raise Problem(503, "Not ready: stopping.", headers=again) from None
