"""From a broken container to the webhook, on the real engine, Prometheus and Alertmanager."""

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from deploy.demo import images, monitoring
from deploy.demo.stage import Stage
from deploy.demo.traffic import SURGE, Traffic
from deploy.parts.alertmanager import running_alertmanager
from deploy.parts.engine import Engine
from deploy.parts.ports import free_port
from deploy.parts.process import poll_until
from deploy.parts.prometheus import Prometheus, running_prometheus

pytestmark = [pytest.mark.docker, pytest.mark.prometheus, pytest.mark.alertmanager, pytest.mark.slow]

NOTICED_WITHIN = 30.0
"""Seconds from the break to the webhook; measured: 4 s for an outage, 8 s for what needs a window of 10 s."""


class Sink(ThreadingHTTPServer):
    """Takes webhooks as the remediator would."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), SinkHandler)
        self.alerts: list[tuple[str, str, str]] = []

    def has(self, *alert: str) -> bool:
        return alert in self.alerts


class SinkHandler(BaseHTTPRequestHandler):
    server: Sink

    def do_POST(self) -> None:
        payload: dict[str, Any] = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        for alert in payload["alerts"]:
            labels = alert["labels"]
            self.server.alerts.append((alert["status"], labels["alertname"], labels["severity"]))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def sink() -> Iterator[Sink]:
    server = Sink()
    thread = threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def prometheus(
    engine: Engine, stage: Stage, sink: Sink, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Prometheus]:
    directory: Path = tmp_path_factory.mktemp("monitoring")
    port = free_port()
    webhook = f"http://127.0.0.1:{sink.server_port}/webhooks/alertmanager"
    config = monitoring.prometheus_config(
        monitoring.containers(engine.socket),
        alertmanager=f"127.0.0.1:{port}",
        proxy=stage.address,
        remediator=f"127.0.0.1:{sink.server_port}",
    )
    with (
        running_alertmanager(directory / "alertmanager", monitoring.alertmanager_config(webhook), port),
        running_prometheus(directory / "prometheus", config) as running,
    ):
        yield running


@pytest.fixture(autouse=True)
def quiet(stage: Stage, prometheus: Prometheus, sink: Sink) -> None:
    stage.deploy(images.GOOD)
    poll_until(lambda: not prometheus.alerts(), NOTICED_WITHIN, "alerts of an earlier test still fire")
    poll_until(lambda: prometheus.value("service:up:max") == 1, NOTICED_WITHIN, "the service isn't scraped")
    sink.alerts.clear()


def noticed(sink: Sink, name: str) -> None:
    poll_until(lambda: sink.has("firing", name, "critical"), NOTICED_WITHIN, f"no webhook about {name}")


def over(sink: Sink, name: str) -> None:
    poll_until(lambda: sink.has("resolved", name, "critical"), NOTICED_WITHIN, f"no webhook that {name} is over")


def test_a_stopped_container_is_told_and_so_is_its_return(stage: Stage, sink: Sink) -> None:
    stage.stop()
    noticed(sink, "ServiceDown")
    stage.deploy(images.GOOD)
    over(sink, "ServiceDown")


def test_a_hung_container_is_told(stage: Stage, sink: Sink) -> None:
    stage.fault("hang")
    noticed(sink, "ServiceDown")


def test_a_bad_release_is_told_and_its_rollback_ends_it(stage: Stage, sink: Sink) -> None:
    with Traffic(f"{stage.url}/api/v1/resumes"):
        stage.deploy(images.BAD)
        noticed(sink, "HighErrorRate")
        stage.deploy(images.GOOD)
        over(sink, "HighErrorRate")


def test_a_surge_is_told_and_a_second_instance_ends_it(stage: Stage, sink: Sink) -> None:
    with Traffic(f"{stage.url}/api/v1/resumes", rate=SURGE):
        noticed(sink, "HighResponseTime")
        stage.deploy(images.GOOD, replicas=2)
        over(sink, "HighResponseTime")


def test_a_service_at_rest_fires_nothing(stage: Stage, sink: Sink) -> None:
    with Traffic(f"{stage.url}/api/v1/resumes"):
        time.sleep(6.0)
    assert sink.alerts == []
