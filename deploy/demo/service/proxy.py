"""A small load balancer with a stable address before the instances of a service: `python -m deploy.demo.service.proxy`.

Its backends are all addresses that the service's name has (the engine's DNS knows every instance with that alias), or a
list from a file; each is asked for its health every second. It shows at /-/metrics what went where, and at /-/probe
whether the service's health endpoint answers through it, as a blackbox prober would (`probe_success`).
"""

import argparse
import http.client
import json
import os
import signal
import socket
import sys
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import FrameType
from typing import Final

CHECK_INTERVAL: Final = 0.5
"""Seconds between two looks at the backends."""

CHECK_TIMEOUT: Final = 1.0
"""Seconds that a backend's health answer may take."""

CONNECT_TIMEOUT: Final = 1.0
"""Seconds that a connection to a backend may take."""

MAX_BODY: Final = 1_000_000
"""Bytes that a request's body may have."""

Address = tuple[str, int]


@dataclass(slots=True)
class Backends:
    """Who gets requests, and who got how many.

    Args:
        name: the DNS name of the service.
        port: on which its instances listen.
        file: JSON list of `host:port`, instead of DNS.
    """

    name: str
    port: int
    file: Path | None
    healthy: list[Address] = field(default_factory=list)
    known: list[Address] = field(default_factory=list)
    counts: dict[tuple[str, int], int] = field(default_factory=dict)
    under_way: dict[Address, int] = field(default_factory=dict)
    turn: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def watch(self) -> None:
        """Look for backends and their health, for ever."""
        while True:
            known = self.resolve()
            healthy = [address for address in known if is_healthy(address)]
            with self.lock:
                self.known, self.healthy = known, healthy
            time.sleep(CHECK_INTERVAL)

    def resolve(self) -> list[Address]:
        """Return the addresses of all instances; none while they can't be told."""
        if self.file is not None:
            try:
                entries: list[str] = json.loads(self.file.read_text())
            except (OSError, ValueError):
                return []
            return [(host, int(port)) for host, _, port in (entry.rpartition(":") for entry in entries)]
        try:
            found = socket.getaddrinfo(self.name, self.port, socket.AF_INET, socket.SOCK_STREAM)
        except OSError:
            return []
        return sorted({(str(entry[4][0]), self.port) for entry in found})

    def order(self) -> list[Address]:
        """Return whom to try for the next request: who has the least under way, in turn among equals.

        Only healthy backends are given requests, unless none is.
        """
        with self.lock:
            candidates = self.healthy or self.known
            self.turn += 1
            start = self.turn % len(candidates) if candidates else 0
            rotated = candidates[start:] + candidates[:start]
            return sorted(rotated, key=lambda address: self.under_way.get(address, 0))

    def begin(self, address: Address) -> None:
        """Note that a backend has a request more."""
        with self.lock:
            self.under_way[address] = self.under_way.get(address, 0) + 1

    def end(self, address: Address) -> None:
        """Note that a backend has a request less."""
        with self.lock:
            self.under_way[address] -= 1
            if not self.under_way[address]:
                del self.under_way[address]

    def count(self, backend: str, status: int) -> None:
        """Count one answered request."""
        with self.lock:
            self.counts[backend, status] = self.counts.get((backend, status), 0) + 1

    def render(self) -> str:
        """Return the counts in Prometheus' text format."""
        with self.lock:
            lines = ["# TYPE proxy_backend_healthy gauge"]
            for host, port in self.known:
                value = int((host, port) in self.healthy)
                lines.append(f'proxy_backend_healthy{{backend="{host}:{port}"}} {value}')
            lines.append("# TYPE proxy_requests_total counter")
            for (backend, status), count in sorted(self.counts.items()):
                lines.append(f'proxy_requests_total{{backend="{backend}",status="{status}"}} {count}')
        return "\n".join(lines) + "\n"


def is_healthy(address: Address) -> bool:
    """Whether an instance's health endpoint answers 200 and says `healthy`, in time."""
    connection = http.client.HTTPConnection(*address, timeout=CHECK_TIMEOUT)
    try:
        connection.request("GET", "/health")
        answer = connection.getresponse()
        return answer.status == 200 and json.loads(answer.read(MAX_BODY)).get("status") == "healthy"
    except (OSError, http.client.HTTPException, ValueError, AttributeError):
        return False
    finally:
        connection.close()


class Proxy(ThreadingHTTPServer):
    """The listening socket with what its handlers share; `patience` is how many seconds a backend may take."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, address: Address, backends: Backends, patience: float) -> None:
        super().__init__(address, Handler)
        self.backends = backends
        self.patience = patience


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    server: Proxy
    timeout = 30.0

    def do_GET(self) -> None:
        """Pass a request on, or answer the proxy's own paths."""
        if self.path == "/-/metrics":
            self._send(200, self.server.backends.render().encode(), "text/plain; version=0.0.4")
        elif self.path == "/-/probe":
            up = any(is_healthy(address) for address in self.server.backends.order())
            self._send(200, f"# TYPE probe_success gauge\nprobe_success {int(up)}\n".encode(), "text/plain")
        else:
            self._forward(b"")

    def do_POST(self) -> None:
        """Pass a request on."""
        length = int(self.headers.get("Content-Length") or 0)
        if length > MAX_BODY:
            self._send(413, b"too large", "text/plain")
            return
        self._forward(self.rfile.read(length))

    def _forward(self, body: bytes) -> None:
        for address in self.server.backends.order():
            connection = http.client.HTTPConnection(*address, timeout=CONNECT_TIMEOUT)
            try:
                connection.connect()
            except OSError:
                connection.close()
                continue
            # Once a backend has the request it isn't given to another one: it may have been acted upon.
            self.server.backends.begin(address)
            try:
                self._exchange(connection, f"{address[0]}:{address[1]}", body)
            finally:
                self.server.backends.end(address)
            return
        self.server.backends.count("none", 503)
        self._send(503, b'{"error": "no instance answers"}', "application/json")

    def _exchange(self, connection: http.client.HTTPConnection, backend: str, body: bytes) -> None:
        connection.sock.settimeout(self.server.patience)
        try:
            connection.request(self.command, self.path, body or None)
            answer = connection.getresponse()
            status, content = answer.status, answer.read(MAX_BODY)
            kind = answer.getheader("Content-Type") or "application/octet-stream"
        except TimeoutError:
            status, content, kind = 504, b'{"error": "the instance did not answer in time"}', "application/json"
        except (OSError, http.client.HTTPException):
            status, content, kind = 502, b'{"error": "the instance broke off"}', "application/json"
        finally:
            connection.close()
        self.server.backends.count(backend, status)
        self._send(status, content, kind)

    def _send(self, status: int, body: bytes, content_type: str) -> None:
        try:
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Keep quiet: requests are counted, not listed."""


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="proxy", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--name", default="smartresume-api", help="DNS name of the service")
    parser.add_argument("--backend-port", type=int, default=8000)
    parser.add_argument("--file", type=Path, help="JSON list of host:port, instead of DNS")
    parser.add_argument("--patience", type=float, default=10.0, help="seconds that a backend may take")
    settings = parser.parse_args()
    backends = Backends(settings.name, settings.backend_port, settings.file)
    threading.Thread(target=backends.watch, daemon=True).start()
    server = Proxy((settings.host, settings.port), backends, settings.patience)

    def end(_number: int, _frame: FrameType | None) -> None:
        # As process 1 of a container the default for SIGTERM is to ignore it; shutdown() would block this thread.
        threading.Thread(target=server.shutdown).start()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    print(f"INFO proxy for {settings.name} listens on {settings.host}:{server.server_port}", file=sys.stderr)
    server.serve_forever(poll_interval=0.1)
    # At its own end the interpreter would cut short the threads that still answer, and may crash on one of them.
    os._exit(0)


if __name__ == "__main__":
    main()
