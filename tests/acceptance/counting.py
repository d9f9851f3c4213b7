"""A target that counts what is done to it, so that a call that came twice is seen whoever made it."""

from __future__ import annotations

import json
import threading
import time
from collections import defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

SLOWLY = 0.3
"""Seconds between a call's arrival and its answer: a kill often falls in between."""

VERSION = {"Version": "20.10.24", "ApiVersion": "1.41", "MinAPIVersion": "1.12", "Os": "linux", "Arch": "amd64"}


class Counting:
    """An HTTP server: `/act/NAME` counts and heals, `/calls/KEY` says if a call arrived, `/health/NAME` how it is.

    It also answers as an engine without containers, since every service has an engine.
    """

    def __init__(self) -> None:
        self.calls: dict[str, list[str]] = defaultdict(list)
        self.asked = 0
        self._keys: set[str] = set()
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, name="counting", daemon=True)

    @property
    def address(self) -> str:
        """Its `host:port`."""
        return f"127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def acted_on(self, name: str) -> bool:
        """Whether a call for this service has come."""
        with self._lock:
            return name in self.calls

    def act(self, name: str, key: str) -> None:
        """Count a call the moment it arrives, then take some time."""
        with self._lock:
            self.calls[name].append(key)
            self._keys.add(key)
        time.sleep(SLOWLY)

    def answer(self, path: str) -> tuple[int, Any]:
        """Answer a GET."""
        _, kind, name, *_ = f"{path.partition('?')[0]}//".split("/")
        if kind == "calls":
            with self._lock:
                self.asked += 1
                return (200 if name in self._keys else 404), {}
        if kind == "health":
            return 200, {"status": "healthy" if self.acted_on(name) else "broken"}
        if path.endswith("/version"):
            return 200, VERSION
        return (200, []) if "/containers/json" in path else (404, {"message": f"no {path}"})

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        counting = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self._send(*counting.answer(self.path))

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers.get("content-length", 0)))
                counting.act(self.path.rpartition("/")[2], self.headers["Idempotency-Key"])
                self._send(200, {"done": True})

            def _send(self, status: int, value: Any) -> None:
                body = json.dumps(value).encode()
                try:
                    self.send_response(status)
                    self.send_header("content-type", "application/json")
                    self.send_header("content-length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)
                except (BrokenPipeError, ConnectionResetError):
                    self.close_connection = True

            def handle(self) -> None:
                try:
                    super().handle()
                except ConnectionResetError:
                    self.close_connection = True

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it so
                pass

        return Handler
