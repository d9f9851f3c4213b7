"""A real Prometheus that scrapes an exporter which a test can write, stop and let answer again."""

from __future__ import annotations

import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from deploy.parts.prometheus import Prometheus as Part
from deploy.parts.prometheus import running_prometheus
from receiver.clock import SystemClock
from receiver.prometheus import Prometheus

RULES = """
groups:
  - name: test
    interval: 1s
    rules:
      - alert: Broken
        expr: broken > 0
        labels: {severity: critical}
      - alert: Slow
        expr: broken > 0
        for: 1h
"""

CONFIG = """
global:
  scrape_interval: 1s
  evaluation_interval: 1s
  external_labels: {{cluster: eu-1, replica: a}}
rule_files: [rules.yml]
scrape_configs:
  - job_name: exporter
    static_configs: [{{targets: ["{exporter}"], labels: {{service: 'odd "name" \\ x'}}}}]
"""


@dataclass
class Exporter:
    """What is scraped: its text, or a failure while there is none."""

    address: str = ""
    text: str | None = ""


@pytest.fixture(scope="session")
def exporter() -> Iterator[Exporter]:
    exporter = Exporter()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            page = exporter.text
            self.send_response(200 if page is not None else 500)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.end_headers()
            # A scrape that is given up leaves before its answer.
            with suppress(ConnectionError):
                self.wfile.write((page or "").encode())

        def log_message(self, *_: object) -> None:
            """Stay silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    exporter.address = f"127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield exporter
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="session")
def part(exporter: Exporter, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Part]:
    directory: Path = tmp_path_factory.mktemp("prometheus")
    (directory / "rules.yml").write_text(RULES)
    exporter.text = "broken 1\n"
    with running_prometheus(directory, CONFIG.format(exporter=exporter.address)) as running:
        yield running


@pytest.fixture
async def prometheus(part: Part) -> AsyncIterator[Prometheus]:
    async with httpx.AsyncClient(trust_env=False) as client:
        yield Prometheus(part.url, client, SystemClock())


@pytest.fixture
def until(part: Part) -> Callable[[str, Callable[[list[float]], bool]], list[float]]:
    """Wait until the values of an expression are as wanted."""

    def wait(expr: str, wanted: Callable[[list[float]], bool], timeout: float = 15.0) -> list[float]:
        deadline = time.monotonic() + timeout
        while not wanted(values := [float(one["value"][1]) for one in part.query(expr)]):
            assert time.monotonic() < deadline, f"{expr} is {values}"
            time.sleep(0.1)
        return values

    return wait
