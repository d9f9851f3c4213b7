"""The double on a port of loopback, served by uvicorn: in a thread, or inside a running event loop."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from types import TracebackType
from typing import Any, Self

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from tests.slack_double.double import SlackDouble
from tests.slack_double.web import ABORT, make_app

TICK = 0.01
"""Seconds between looks at whether to end."""

PATIENCE = 10.0
"""Seconds for the server to start or to end."""


class _Protocol(H11Protocol):
    """uvicorn's protocol that lets the app close a connection without an answer."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.app = _with_abort(self.app, transport)


def _with_abort(app: Any, transport: asyncio.Transport) -> ASGIApp:
    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        extended = {**scope, "extensions": {**scope.get("extensions", {}), ABORT: transport.close}}
        await app(extended, receive, send)

    return wrapped


class _Server(uvicorn.Server):
    """A server that leaves the process's signals to whoever runs it, and ends soon when told to."""

    async def main_loop(self) -> None:
        await self.on_tick(0)
        while not self.should_exit:
            await asyncio.sleep(TICK)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _server(current: Callable[[], SlackDouble]) -> _Server:
    config = uvicorn.Config(
        make_app(current),
        http=_Protocol,
        ws="websockets-sansio",
        lifespan="off",
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=1,
    )
    return _Server(config)


def _listening(port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("127.0.0.1", port))
    return sock


class Running:
    """A context manager that serves a double from a thread of its own.

    Args:
        double: what to serve.
        port: where on 127.0.0.1; 0 for any free one.
    """

    def __init__(self, double: SlackDouble, port: int = 0) -> None:
        self._double = double
        self._port = port
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """Where it is, without a path; slack_sdk wants `url + "/api/"` as its `base_url`."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def double(self) -> SlackDouble:
        """What is served; another one may take its place, so that tests can share a server."""
        return self._double

    @double.setter
    def double(self, double: SlackDouble) -> None:
        self._double = double
        double.base_url = self.url

    def __enter__(self) -> Self:
        self.accept()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.refuse()

    def accept(self) -> None:
        """Listen, if it doesn't already; always on the same port."""
        if self._thread is not None:
            return
        sock = _listening(self._port)
        self._port = sock.getsockname()[1]
        self._double.base_url = self.url
        self._server = server = _server(lambda: self._double)
        self._thread = threading.Thread(target=server.run, args=([sock],), name="slack-double", daemon=True)
        self._thread.start()
        started = threading.Event()
        for _ in range(int(PATIENCE / TICK)):
            if server.started or started.wait(TICK):
                return
        raise RuntimeError("the Slack double did not start")

    def refuse(self) -> None:
        """Refuse connections until `accept`; what it knows stays."""
        if self._server is None or self._thread is None:
            return
        self._server.should_exit = True
        self._thread.join(PATIENCE)
        if self._thread.is_alive():
            raise RuntimeError("the Slack double did not end")
        self._server = self._thread = None


@contextlib.asynccontextmanager
async def serving(double: SlackDouble, port: int = 0) -> AsyncIterator[str]:
    """Serve a double inside the running event loop until the block ends; yields its URL without a path."""
    sock = _listening(port)
    double.base_url = url = f"http://127.0.0.1:{sock.getsockname()[1]}"
    server = _server(lambda: double)
    task = asyncio.create_task(server.serve(sockets=[sock]))
    try:
        async with asyncio.timeout(PATIENCE):
            while not server.started:
                await asyncio.sleep(TICK)
        yield url
    finally:
        server.should_exit = True
        await task
