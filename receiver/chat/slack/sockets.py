"""Socket Mode: interactions over a WebSocket that we open, for a service without a public URL.

Slack sends at least once: an envelope is acknowledged at once and worked on once. A connection lasts an hour or so;
Slack says before it ends one, and the next is opened while the old one is still read. Lost ones are opened again after
a pause that doubles. Needs the package `websockets`: `pip install 'remediator[socketmode]'`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, Final, Protocol

import structlog
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from receiver.chat.slack.api import Api, SlackRefused
from receiver.ports import ChatError, Clock, TooBusy

Json = dict[str, Any]

FIRST_PAUSE: Final = 1.0
LONGEST_PAUSE: Final = 60.0
"""Seconds before the first try after a lost connection, and before the later ones at most."""

REMEMBERED: Final = 600.0
MOST: Final = 10_000
"""Seconds and number of envelopes that are remembered, so that none counts twice."""

FRAME: Final = 1024 * 1024
OPENING: Final = 10.0
CLOSING: Final = 1.0
ALIVE: Final = 20.0
"""Bytes of a frame at most; seconds to open and to close; seconds between pings, and for their answers."""

AT_WORK: Final = 100
"""Envelopes that are worked on at once; one that isn't acknowledged is told to the person by Slack."""

_log = structlog.stdlib.get_logger(__name__)


class Incoming(Protocol):
    """What takes interactions; the same for HTTP."""

    async def interactive(self, payload: Mapping[str, Any]) -> Json | None:
        """Take a press or a modal."""
        ...

    async def command(self, form: Mapping[str, str]) -> Json | None:
        """Take a slash command."""
        ...


class Envelopes:
    """Which envelopes were seen: at least once is what Slack promises."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._seen: OrderedDict[str, float] = OrderedDict()

    def new(self, envelope: str) -> bool:
        """Whether it comes for the first time; from now on it doesn't."""
        now = self._clock.monotonic()
        while self._seen and (now - next(iter(self._seen.values())) > REMEMBERED or len(self._seen) >= MOST):
            self._seen.popitem(last=False)
        if envelope in self._seen:
            return False
        self._seen[envelope] = now
        return True

    def forget(self, envelope: str) -> None:
        """Let it count when it comes again: nothing was done."""
        self._seen.pop(envelope, None)


class SocketMode:
    """Keeps a connection to Slack.

    Args:
        api: with the app's token, to ask where to connect.
        incoming: takes what comes.
        clock: for pauses.
        noted: called with the state in a few words.
        refused: called with `busy` for what there is no room for.
    """

    def __init__(
        self,
        api: Api,
        incoming: Incoming,
        clock: Clock,
        noted: Callable[[str], None],
        refused: Callable[[str], None] = lambda _reason: None,
    ) -> None:
        self._api = api
        self._incoming = incoming
        self._clock = clock
        self._noted = noted
        self._refused = refused
        self._envelopes = Envelopes(clock)
        self._pause = FIRST_PAUSE
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Stay connected until cancelled."""
        try:
            while True:
                wait = await self._connected()
                if wait:
                    await self._clock.sleep(wait)
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _connected(self) -> float:
        """Connect and read until the connection ends or is to be replaced; returns seconds to wait before the next."""
        least = 0.0
        try:
            socket, renew = await self._open(), asyncio.Event()
            began = self._clock.monotonic()
            reading = asyncio.create_task(self._read(socket, renew), name="slack socket")
            self._keep(reading)
            asking = asyncio.create_task(renew.wait())
            try:
                await asyncio.wait([reading, asking], return_when=asyncio.FIRST_COMPLETED)
            finally:
                asking.cancel()
            if renew.is_set():
                return 0.0 if self._clock.monotonic() - began >= FIRST_PAUSE else FIRST_PAUSE
            why = "the connection ended"
        except (ChatError, SlackRefused, WebSocketException, OSError, TimeoutError) as error:
            why = str(error) or type(error).__name__
            least = getattr(error, "retry_after", None) or 0.0
            if isinstance(error, SlackRefused):
                # Nothing but a person's doing changes this.
                why, least = f"{error}; remediator slack check says what is missing", LONGEST_PAUSE
        wait = max(self._pause, least)
        self._pause = min(self._pause * 2, LONGEST_PAUSE)
        self._noted("not connected")
        _log.warning("slack.socket_lost", reason=why, again_in=wait)
        return wait

    async def _open(self) -> ClientConnection:
        url = (await self._api.call("apps.connections.open")).get("url")
        if not isinstance(url, str):
            raise ChatError("Slack's answer doesn't say where to connect", retry_after=LONGEST_PAUSE)
        # Not through a proxy of the environment's, as all that we ask isn't.
        return await connect(
            url, max_size=FRAME, open_timeout=OPENING, close_timeout=CLOSING, ping_interval=ALIVE, ping_timeout=ALIVE,
            proxy=None, user_agent_header=None, compression=None,
        )  # fmt: skip

    async def _read(self, socket: ClientConnection, renew: asyncio.Event) -> None:
        """Take what comes until the connection ends; `renew` is set when another one should take its place."""
        async with _closing(socket):
            async for frame in socket:
                message = _object(frame)
                match message.get("type"):
                    case "hello":
                        self._pause = FIRST_PAUSE
                        self._noted("ok")
                    case "disconnect":
                        self._ending(message, renew)
                    case "interactive" | "slash_commands":
                        self._take(socket, message)
                    case _:
                        await self._acknowledge(socket, message, None)

    def _ending(self, message: Json, renew: asyncio.Event) -> None:
        reason = message.get("reason")
        _log.info("slack.socket_ends", reason=reason)
        if reason in {"warning", "refresh_requested"}:
            renew.set()

    def _take(self, socket: ClientConnection, message: Json) -> None:
        envelope = str(message.get("envelope_id", ""))[:100]
        if len(self._tasks) >= AT_WORK:
            self._refused("busy")
            _log.warning("slack.busy")
        elif self._envelopes.new(envelope):
            self._keep(asyncio.create_task(self._guarded(envelope, self._work(socket, message))))
        else:
            self._keep(asyncio.create_task(self._guarded(envelope, self._acknowledge(socket, message, None))))

    async def _guarded(self, envelope: str, work: Awaitable[None]) -> None:
        try:
            await work
        except TooBusy:
            self._envelopes.forget(envelope)
            _log.warning("slack.busy")
        except WebSocketException as error:
            # What was asked is done; Slack sends it again on another connection, and it is known there.
            _log.info("slack.socket_not_acknowledged", reason=str(error))

    async def _work(self, socket: ClientConnection, message: Json) -> None:
        payload = message.get("payload")
        given: Json = payload if isinstance(payload, dict) else {}
        if message.get("type") == "interactive":
            answer = await self._incoming.interactive(given)
        else:
            answer = await self._incoming.command({name: one for name, one in given.items() if isinstance(one, str)})
        await self._acknowledge(socket, message, answer if message.get("accepts_response_payload") else None)

    async def _acknowledge(self, socket: ClientConnection, message: Json, answer: Json | None) -> None:
        envelope = message.get("envelope_id")
        if isinstance(envelope, str):
            await socket.send(json.dumps({"envelope_id": envelope} | ({"payload": answer} if answer else {})))

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("slack.socket_broken", exc_info=error)


@contextlib.asynccontextmanager
async def _closing(socket: ClientConnection) -> AsyncIterator[None]:
    try:
        yield
    except (WebSocketException, OSError) as error:
        _log.info("slack.socket_broke", reason=str(error) or type(error).__name__)
    finally:
        await socket.close()


def _object(frame: str | bytes) -> Json:
    try:
        message = json.loads(frame)
    except (ValueError, RecursionError):
        return {}
    return message if isinstance(message, dict) else {}
