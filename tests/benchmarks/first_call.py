"""From a webhook to the first read-only call: how soon the diagnosis asks the target's engine."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import median
from urllib.parse import parse_qs, urlsplit

from tests.benchmarks import servers
from tests.benchmarks.looking import Sender, until
from tests.benchmarks.report import Figure, Section, number

VERSION = {"Version": "20.10.24", "ApiVersion": "1.41", "MinAPIVersion": "1.12", "Os": "linux", "Arch": "amd64"}


class PlayedEngine:
    """Notes when it is first asked about each service; knows of no container."""

    def __init__(self) -> None:
        self.asked: dict[str, float] = {}

    def note(self, path: str) -> object:
        """Note a question and answer it."""
        at = time.perf_counter()
        query = parse_qs(urlsplit(path).query)
        for label in json.loads(query.get("filters", ["{}"])[0]).get("label", []):
            self.asked.setdefault(label.removeprefix("app="), at)
        return VERSION if urlsplit(path).path.endswith("/version") else []


@contextmanager
def played(engine: PlayedEngine) -> Iterator[str]:
    """Serve it; yields its URL."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = json.dumps(engine.note(self.path)).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"tcp://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def first_call(work: Path, *, webhooks: int) -> Section:
    """Post so many webhooks, each about a service of its own, one after the other."""
    directory = work / "first-call"
    directory.mkdir()
    engine = PlayedEngine()
    taken: list[float] = []
    with played(engine) as url, servers.remediator(directory, services=webhooks, engine=url) as server:
        # The watch for known-good versions asks about every service, too: first at the start, then at an interval.
        until(lambda: len(engine.asked) >= webhooks, 60, "the first round of the known-good watch")
        sender = Sender(server, seed=3)
        for number_of in range(webhooks):
            name = f"svc-{number_of:04d}"
            engine.asked.pop(name, None)
            began = time.perf_counter()
            sender.send(number_of)
            until(lambda one=name: one in engine.asked, 10, f"a question about {name}", every=0.0005)  # type: ignore[misc]
            taken.append((engine.asked[name] - began) * 1000)
            time.sleep(0.02)
    ordered = sorted(taken)
    return Section(
        "First read-only call",
        f"From a webhook's first byte to the first question of its diagnosis that reaches the engine (a played one, as"
        f" only the moment counts): {webhooks} incidents, one after the other. p90"
        f" {number(ordered[int(0.9 * len(ordered))])} ms, slowest {number(ordered[-1])} ms.",
        figures=[Figure("webhook to first read-only call, p50", median(taken), "ms", 20.0, most=True)],
    )
