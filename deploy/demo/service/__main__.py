"""Serve smartresume-api: `python -m deploy.demo.service [--host 127.0.0.1] [--port 8000]`.

Endpoints: /health, /health/{detailed,database,models,apis}, /metrics, /fault (POST) and work at /api/v1/resumes; the
first ones also under the paths that the runbook uses (/api/v1/health..., /api/v1/monitoring/metrics).
"""

import argparse
import json
import os
import signal
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import FrameType
from typing import Any, Final

from deploy.demo.service.meters import CONTENT_TYPE, Meters
from deploy.demo.service.work import RELEASE, Worker, release

MAX_BODY: Final = 10_000
"""Bytes that a request's body may have."""

WORK: Final = "/api/v1/resumes"


class Server(ThreadingHTTPServer):
    """The listening socket with what its handlers share."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, address: tuple[str, int], worker: Worker, meters: Meters) -> None:
        super().__init__(address, Handler)
        self.worker = worker
        self.meters = meters


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    server: Server
    timeout = 30.0

    def do_GET(self) -> None:
        """Answer work, health and metrics."""
        self.server.worker.hang()
        path = self.path.split("?")[0]
        if path == WORK:
            self._work()
        elif path in {"/metrics", "/api/v1/monitoring/metrics"}:
            self._send(200, self.server.meters.render(), CONTENT_TYPE)
        elif path.removeprefix("/api/v1").startswith("/health"):
            self._health(path.removeprefix("/api/v1"))
        else:
            self._json(404, {"error": f"nothing at {path}"})

    def do_POST(self) -> None:
        """Answer work, and set the fault."""
        path = self.path.split("?")[0]
        length = int(self.headers.get("Content-Length") or 0)
        if length > MAX_BODY:
            self._json(413, {"error": f"the body may have {MAX_BODY} bytes"})
            return
        body = self.rfile.read(length)
        if path == "/fault":
            self._fault(body)
            return
        self.server.worker.hang()
        if path == WORK:
            self._work()
        else:
            self._json(404, {"error": f"nothing at {path}"})

    def _work(self) -> None:
        begun = time.monotonic()
        status = self.server.worker.run()
        self.server.meters.observe(WORK, status, time.monotonic() - begun)
        if status >= 500:
            version = self.server.worker.release.version
            print(f"ERROR scoring failed: embedding has the wrong shape (release {version})", file=sys.stderr)
        self._json(status, {"status": status, "release": self.server.worker.release.version})

    def _health(self, path: str) -> None:
        checks = self.server.worker.health()
        part = path.removeprefix("/health").strip("/")
        if part in checks:
            self._json(200, {"status": checks[part]})
        elif part == "detailed":
            worst = "degraded" if "degraded" in checks.values() else "healthy"
            self._json(200, {"status": worst, "checks": checks})
        elif part == "":
            self._json(200, {"status": "degraded" if self.server.worker.mode == "degraded" else "healthy"})
        else:
            self._json(404, {"error": f"no health check named {part}"})

    def _fault(self, body: bytes) -> None:
        try:
            wish = json.loads(body)
            mode = str(wish["mode"])
            self.server.worker.set_fault(mode, float(wish.get("share", 0.5)))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            self._json(400, {"error": str(error), "example": {"mode": "errors", "share": 0.5}})
            return
        print(f"WARNING fault is now: {mode}", file=sys.stderr)
        self._json(200, {"mode": mode})
        if mode == "crash":
            os._exit(70)

    def _json(self, status: int, answer: dict[str, Any]) -> None:
        self._send(status, json.dumps(answer), "application/json")

    def _send(self, status: int, text: str, content_type: str) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def log_message(self, *_: object) -> None:
        """Keep the log for what matters: one line a request would bury the errors."""


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="smartresume-api", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--slots", type=int, default=int(os.environ.get("SMARTRESUME_SLOTS", "2")))
    parser.add_argument("--seconds", type=float, default=float(os.environ.get("SMARTRESUME_SECONDS", "0.2")))
    parser.add_argument("--release", type=Path, default=RELEASE, help="file that says what build this is")
    settings = parser.parse_args()
    build = release(settings.release)
    meters = Meters(build.version, (WORK,), (200, 500, 503))
    server = Server((settings.host, settings.port), Worker(build, meters, settings.slots, settings.seconds), meters)

    def end(_number: int, _frame: FrameType | None) -> None:
        # As process 1 of a container the default for SIGTERM is to ignore it; shutdown() would block this thread.
        threading.Thread(target=server.shutdown).start()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    print(f"INFO smartresume-api {build.version} listens on {settings.host}:{server.server_port}", file=sys.stderr)
    server.serve_forever(poll_interval=0.1)
    # At its own end the interpreter would cut short the threads that still answer, and may crash on one of them.
    os._exit(0)


if __name__ == "__main__":
    main()
