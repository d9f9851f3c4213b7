"""uvicorn, set up for Alertmanager: long keep-alive, limits on headers, and no signal handlers of its own."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import socket
from collections.abc import Iterator
from typing import Any, cast

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from receiver.errors import RemediatorError
from receiver.settings import Settings
from receiver.settings_values import Address
from receiver.web.body import WHOLE

MAX_HEADERS = 64 * 1024
"""Bytes of a request's head; Alertmanager's has some 300."""

BACKLOG = 4096
"""Connections that wait to be accepted: 5,000 one-alert groups arrive in about a second."""

SPARE_FILES = 256
"""File descriptors left for everything that isn't a connection."""


def listen_address(settings: Settings) -> tuple[Address, str | None]:
    """Return where to listen, and what to tell about it: without a webhook credential only on loopback."""
    wanted = settings.listen
    if not settings.webhook_is_open:
        return wanted, None
    how = "set REMEDIATOR_WEBHOOK_TOKENS (or _FILE), or REMEDIATOR_WEBHOOK_USER and REMEDIATOR_WEBHOOK_PASSWORD"
    if wanted.loopback:
        return wanted, f"no webhook credential is configured: whoever is on this machine may post webhooks; {how}"
    safe = Address("::1" if ":" in wanted.host else "127.0.0.1", wanted.port)
    return safe, f"no webhook credential is configured, so the service listens on {safe} instead of {wanted}; {how}"


def bind(address: Address) -> socket.socket:
    """Return a listening socket.

    Raises:
        RemediatorError: the address can't be had; says why.
    """
    host = "127.0.0.1" if address.host == "localhost" else address.host
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, address.port))
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        hint = "; is it running already? --listen chooses another port" if error.errno == 98 else ""
        raise RemediatorError(f"cannot listen on {address}: {error.strerror or error}{hint}") from None
    sock.setblocking(False)
    return sock


def raise_file_limit(connections: int) -> int:
    """Allow as many descriptors as connections need, as far as the system lets us; returns the connections possible."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + SPARE_FILES
    if soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return max(1, min(connections, soft - SPARE_FILES))


class Joining:
    """A transport that sends the head of an answer together with what follows it.

    uvicorn writes the two one after the other; each write is a call of the kernel that wakes the other side, and costs
    as much as everything else that it does for an answer.
    """

    def __init__(self, transport: Any) -> None:
        self._transport = transport
        self._head = b""
        self.is_closing = transport.is_closing

    def __getattr__(self, name: str) -> Any:
        """Be the transport in everything else."""
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Keep a head until more comes; an interim answer, such as 100 Continue, is awaited by the other side."""
        if self._head:
            data, self._head = self._head + data, b""
        elif data.startswith(b"HTTP/1.1 ") and not data.startswith(b"HTTP/1.1 1"):
            self._head = data
            return
        self._transport.write(data)

    def flush(self) -> None:
        """Send what was kept: the answer to a HEAD has nothing that follows it."""
        if self._head:
            self._transport.write(self._head)
            self._head = b""

    def close(self) -> None:
        """Send what was kept, and close."""
        self.flush()
        self._transport.close()


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's protocol with limits that it lacks: the size of a request's head, and the time for it to arrive."""

    header_timeout = 10.0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head_bytes = 0
        self._in_head = True
        self._begun = False
        self._head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for a first request."""
        self._joining = Joining(transport)
        super().connection_made(self._joining)  # type: ignore[arg-type] # it is one in all that is used
        self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._stop_waiting()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        """Send the head of an answer that has no body."""
        self._joining.flush()
        super().on_response_complete()

    def data_received(self, data: bytes) -> None:
        """Count what belongs to a head before it is parsed."""
        if self._in_head:
            self._head_bytes += len(data)
            # A first packet may hold head and body; only what never completes a head grows over the limit.
            if self._head_bytes - len(data) > MAX_HEADERS:
                self._refuse(b"431 Request Header Fields Too Large")
                return
        super().data_received(data)
        if self._begun:
            self._wait_for_head()

    def on_message_begin(self) -> None:
        """A head begins; most are whole before the packet ends, and need no timer."""
        super().on_message_begin()
        self._in_head = self._begun = True

    def on_headers_complete(self) -> None:
        """Stop waiting, the head is there."""
        self._in_head = self._begun = False
        self._head_bytes = 0
        self._stop_waiting()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Count again from here: what follows is the next head."""
        cast("dict[str, Any]", self.scope)[WHOLE] = True
        super().on_message_complete()
        self._in_head = True

    def _wait_for_head(self) -> None:
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(self.header_timeout, self._too_slow)

    def _stop_waiting(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _too_slow(self) -> None:
        self._head_timer = None
        if self._head_bytes:
            self._refuse(b"408 Request Timeout")
        elif not self.transport.is_closing():
            # Nothing was asked, so nothing is answered: a client would take it for the answer to its first request.
            self.transport.close()

    def _refuse(self, status: bytes) -> None:
        self._stop_waiting()
        if not self.transport.is_closing():
            self.transport.write(b"HTTP/1.1 " + status + b"\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
            self.transport.close()


class Server(uvicorn.Server):
    """uvicorn's server; the composition root decides when it stops, so it catches no signals."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the process's signal handlers alone."""
        yield

    def stop(self) -> None:
        """Take no new connections; requests under way get their answers."""
        self.should_exit = True


def make_server(app: Any, settings: Settings) -> Server:
    """Return the server, to be run with `serve(sockets=[...])`."""
    protocol = type("Protocol", (BoundedProtocol,), {"header_timeout": settings.header_timeout})
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http=protocol,
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        backlog=BACKLOG,
        limit_concurrency=raise_file_limit(settings.max_connections),
        timeout_keep_alive=round(settings.keep_alive),
        timeout_graceful_shutdown=max(1, round(settings.shutdown_grace)),
    )
    return Server(config)
