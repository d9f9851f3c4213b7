"""An engine's API played on a socket, for what a healthy engine never answers."""

from __future__ import annotations

import json
import socketserver
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

Answer = tuple[int, Any]
"""Status, and what is sent as JSON; bytes are sent as they are."""

VERSION = {"Version": "20.10.24", "ApiVersion": "1.41"}


class FakeEngine:
    """Answers each request by `answer(method, path)`, the path without the API version; remembers them.

    `/version` is answered by `version` unless the API version asked for is newer than that.
    """

    def __init__(self, answer: Callable[[str, str], Answer]) -> None:
        self.asked: list[str] = []
        self.version: Answer = (200, VERSION)
        self.answer = answer

    def newest(self) -> str | None:
        """Return the newest API version that it speaks."""
        facts = self.version[1]
        found: str | None = facts.get("ApiVersion") if isinstance(facts, dict) else None
        return found


class _OnSocket(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True

    def __init__(self, path: Path, engine: FakeEngine) -> None:
        self.engine = engine
        super().__init__(str(path), _Handler)


class _OnTls(socketserver.ThreadingMixIn, socketserver.TCPServer):
    daemon_threads = True

    def __init__(self, tls: ssl.SSLContext, engine: FakeEngine) -> None:
        self.engine = engine
        self._tls = tls
        super().__init__(("127.0.0.1", 0), _Handler)

    def finish_request(self, request: Any, client_address: Any) -> None:
        # Clients that don't trust us, or that we don't trust, go away during the handshake.
        with suppress(OSError), self._tls.wrap_socket(request, server_side=True) as wrapped:
            super().finish_request(wrapped, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: Any
    protocol_version = "HTTP/1.1"

    def _reply(self) -> None:
        engine: FakeEngine = self.server.engine
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        content: Any
        asked, path = _split(self.path.split("?")[0])
        engine.asked.append(f"{self.command} {path}")
        newest = engine.newest()
        if asked is not None and newest is not None and _number(asked) > _number(newest):
            text = f"client version {asked} is too new. Maximum supported API version is {newest}"
            code, content = 400, {"message": text}
        else:
            code, content = engine.version if path == "/version" else engine.answer(self.command, path)
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_DELETE = _reply  # noqa: N815 - the base class' own names

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def _number(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def _split(path: str) -> tuple[str | None, str]:
    if not path.startswith("/v1."):
        return None, path
    version, _, rest = path.removeprefix("/v").partition("/")
    return version, f"/{rest}"


@contextmanager
def fake_engine(path: Path, answer: Callable[[str, str], Answer] = lambda *_: (200, [])) -> Iterator[FakeEngine]:
    """Serve on a UNIX socket."""
    engine = FakeEngine(answer)
    with _OnSocket(path, engine) as server, _serving(server):
        yield engine


@contextmanager
def fake_tls_engine(tls: ssl.SSLContext) -> Iterator[str]:
    """Serve with TLS on a port of its own; yields the URL."""
    with _OnTls(tls, FakeEngine(lambda *_: (200, []))) as server, _serving(server):
        yield f"tcp://127.0.0.1:{server.server_address[1]}"


@contextmanager
def _serving(server: socketserver.BaseServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
