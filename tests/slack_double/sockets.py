"""Socket Mode: tickets, hello, envelopes with their acknowledgements, refreshes; at least once.

From the reference: a ticket's URL is good for one connection; up to ten connections; an envelope goes to any one of
them; `disconnect` announces a refresh. Uncertain: when Slack sends an unacknowledged envelope again. Here it comes
again when its connection ends before the acknowledgement, and whenever a test asks (`repeat`).
"""

import asyncio
import itertools
import json
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Final

from starlette.websockets import WebSocket, WebSocketDisconnect

from tests.slack_double.state import Json, Token

MOST_CONNECTIONS: Final = 10
CONNECTION_SECONDS: Final = 3600
HOST: Final = "applink-double-1"


@dataclass(slots=True)
class Envelope:
    """Something for the app: `acknowledged` gives the payload of its answer, `sent` counts the deliveries."""

    id: str
    kind: str
    payload: Json
    accepts_response: bool
    acknowledged: Future[Json | None] = field(default_factory=Future)
    sent: int = 0
    acks: int = 0

    def text(self) -> str:
        """Return the frame."""
        parts = {"envelope_id": self.id, "payload": self.payload, "type": self.kind}
        return json.dumps(parts | {"accepts_response_payload": self.accepts_response})


@dataclass(slots=True, eq=False)
class Connection:
    """One open WebSocket of an app."""

    socket: WebSocket
    app: str
    loop: asyncio.AbstractEventLoop
    pending: dict[str, Envelope] = field(default_factory=dict)


class Sockets:
    """The connections of all apps. The public methods may be called from any thread, but not under the double's lock.

    Args:
        secret: makes what looks random.
    """

    def __init__(self, secret: Callable[[str], str]) -> None:
        self._secret = secret
        self._tickets: dict[str, Token] = {}
        self._connections: list[Connection] = []
        self._waiting: list[tuple[str, Envelope]] = []
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self.envelopes: dict[str, Envelope] = {}

    @property
    def connected(self) -> int:
        """How many connections are open."""
        return len(self._connections)

    def ticket(self, token: Token) -> str:
        """Return a ticket for one connection."""
        ticket = self._secret(f"ticket {next(self._numbers)}")
        self._tickets[ticket] = token
        return ticket

    def deliver(self, app: str, kind: str, payload: Json, *, accepts_response: bool) -> Envelope:
        """Send something to an app, now or when it connects next."""
        number = next(self._numbers)
        envelope = Envelope(f"double-{number:08d}", kind, payload, accepts_response)
        self.envelopes[envelope.id] = envelope
        self._send(app, envelope)
        return envelope

    def repeat(self, app: str, envelope: Envelope) -> None:
        """Send an envelope once more, acknowledged or not."""
        self._send(app, envelope)

    def disconnect(self, reason: str = "refresh_requested") -> None:
        """Announce a disconnect to every connection: `warning` leaves it open, all other reasons close it."""
        for connection in list(self._connections):
            asyncio.run_coroutine_threadsafe(self._end(connection, reason), connection.loop)

    def break_off(self) -> None:
        """Close every connection without a word."""
        for connection in list(self._connections):
            asyncio.run_coroutine_threadsafe(connection.socket.close(1001), connection.loop)

    async def serve(self, socket: WebSocket) -> None:
        """Serve one connection until it ends."""
        token = self._tickets.pop(socket.query_params.get("ticket", ""), None)
        if token is None or token.revoked:
            await socket.close()
            return
        await socket.accept()
        connection = Connection(socket, token.app.id, asyncio.get_running_loop())
        others = sum(one.app == connection.app for one in self._connections)
        if others >= MOST_CONNECTIONS:
            await self._end(connection, "too_many_websockets")
            return
        await socket.send_text(_hello(connection.app, others + 1))
        try:
            for envelope in self._join(connection):
                await self._transmit(connection, envelope)
            while True:
                self._acknowledge(connection, await socket.receive_text())
        except WebSocketDisconnect:
            pass
        finally:
            with self._lock:
                self._connections.remove(connection)
            for envelope in connection.pending.values():
                self._send(connection.app, envelope)

    def _join(self, connection: Connection) -> list[Envelope]:
        """Take a connection into use; returns what waited for one."""
        with self._lock:
            self._connections.append(connection)
            due = [envelope for app, envelope in self._waiting if app == connection.app]
            self._waiting = [(app, envelope) for app, envelope in self._waiting if app != connection.app]
            return due

    def _send(self, app: str, envelope: Envelope) -> None:
        """Hand an envelope to the connections in turn, or keep it until there is one."""
        with self._lock:
            mine = [connection for connection in self._connections if connection.app == app]
            if not mine:
                self._waiting.append((app, envelope))
                return
            connection = mine[next(self._numbers) % len(mine)]
        asyncio.run_coroutine_threadsafe(self._transmit(connection, envelope), connection.loop)

    async def _transmit(self, connection: Connection, envelope: Envelope) -> None:
        if connection not in self._connections:
            self._send(connection.app, envelope)
            return
        envelope.sent += 1
        if not envelope.acknowledged.done():
            connection.pending[envelope.id] = envelope
        await connection.socket.send_text(envelope.text())

    def _acknowledge(self, connection: Connection, text: str) -> None:
        try:
            frame: Any = json.loads(text)
        except ValueError:
            return
        envelope = self.envelopes.get(frame.get("envelope_id", "")) if isinstance(frame, dict) else None
        if envelope is None:
            return
        envelope.acks += 1
        connection.pending.pop(envelope.id, None)
        if not envelope.acknowledged.done():
            envelope.acknowledged.set_result(frame.get("payload") if envelope.accepts_response else None)

    async def _end(self, connection: Connection, reason: str) -> None:
        text = json.dumps({"type": "disconnect", "reason": reason, "debug_info": {"host": HOST}})
        await connection.socket.send_text(text)
        if reason != "warning":
            await connection.socket.close()


def _hello(app: str, number: int) -> str:
    """Return the first frame of a connection."""
    debug = {"host": HOST, "build_number": 1, "approximate_connection_time": CONNECTION_SECONDS}
    parts = {"type": "hello", "num_connections": number, "debug_info": debug}
    return json.dumps(parts | {"connection_info": {"app_id": app}})
