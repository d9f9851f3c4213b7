"""The real `remediator` as a process that a test starts, kills and asks: its console and log go to one file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from deploy.parts.ports import free_port
from deploy.parts.process import Child, start, wait_until
from deploy.parts.prometheus import is_ready

PROGRAM = str(Path(sys.executable).parent / "remediator")
PAYLOADS = Path(__file__).parents[1] / "payloads"
WEBHOOK = "/webhooks/alertmanager"
JSON = {"content-type": "application/json"}
START_TIMEOUT = 30.0
LIMIT = 20.0
"""Seconds that a test waits for something to become true."""


def environment(settings: Mapping[str, str]) -> dict[str, str]:
    """Return our environment with these settings and no other of the product's."""
    return {name: value for name, value in os.environ.items() if not name.startswith("REMEDIATOR_")} | dict(settings)


def until(done: Callable[[], Any], complaint: str, limit: float = LIMIT) -> Any:
    """Return the first true answer; fails the test when there is none in time."""
    deadline = time.monotonic() + limit
    while True:
        answer = done()
        if answer:
            return answer
        assert time.monotonic() < deadline, f"{complaint} within {limit:.0f} s"
        time.sleep(0.05)


class Service:
    """A remediator in a directory of its own, always on the same port.

    Args:
        directory: for its database and log.
        playbooks: policy files.
        mode: `observe` or `act`.
        settings: further `REMEDIATOR_*` variables.
    """

    def __init__(
        self,
        directory: Path,
        playbooks: Sequence[Path],
        mode: str = "observe",
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self.directory = directory
        self.database = directory / "remediator.db"
        self.log = directory / "remediator.log"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.http = httpx.Client(base_url=self.url, timeout=20.0, trust_env=False)
        self._mode = mode
        self._settings = {
            "REMEDIATOR_PLAYBOOKS": ",".join(map(str, playbooks)),
            "REMEDIATOR_DATABASE": f"sqlite:///{self.database}",
            **(settings or {}),
        }
        self._child: Child | None = None

    @property
    def child(self) -> Child:
        """The process that runs now, or ran last."""
        assert self._child is not None, "it was never started"
        return self._child

    def start(self, *, wait: bool = True) -> None:
        """Start it, and wait until it is ready if asked to."""
        command = [PROGRAM, "serve", "--mode", self._mode, "--listen", f"127.0.0.1:{self.port}"]
        self._child = start("remediator", command, self.log, environment(self._settings))
        if wait:
            wait_until(lambda: is_ready(f"{self.url}/readyz"), self._child, START_TIMEOUT)

    def kill(self) -> None:
        """Kill -9: it gets no chance to say or store anything."""
        self.child.process.kill()
        self.child.process.wait(START_TIMEOUT)

    def stop(self) -> int:
        """Ask it to end and return its exit status."""
        self.child.process.terminate()
        return self.child.process.wait(START_TIMEOUT)

    def close(self) -> None:
        """End it in whatever state it is."""
        self.http.close()
        if self._child is not None:
            self._child.stop()

    def command(self, *arguments: str, token: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run another `remediator` with the same settings, as the person whose token it is."""
        who = {"REMEDIATOR_TOKEN": token} if token is not None else {}
        settings = environment({**self._settings, "REMEDIATOR_URL": self.url, **who})
        command = [PROGRAM, *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=settings)

    def get(self, path: str) -> Any:
        """Return the JSON at a path of the API."""
        return self.http.get(path).raise_for_status().json()

    def post(self, body: bytes) -> httpx.Response:
        """Post a webhook as Alertmanager does."""
        return self.http.post(WEBHOOK, content=body, headers=JSON)

    def capture(self, name: str) -> httpx.Response:
        """Post a recorded webhook."""
        return self.post((PAYLOADS / f"{name}.json").read_bytes())

    def incidents(self) -> list[dict[str, Any]]:
        """Return every incident, page by page."""
        found: list[dict[str, Any]] = []
        page = self.get("/api/v1/incidents?limit=200")
        while True:
            found += page["items"]
            if page["next"] is None:
                return found
            page = self.get(f"/api/v1/incidents?limit=200&after={page['next']}")

    def incident(self) -> dict[str, Any]:
        """Return the one and only incident."""
        (one,) = self.incidents()
        return one

    def timeline(self, identity: str) -> list[dict[str, Any]]:
        """Return an incident's timeline."""
        items: list[dict[str, Any]] = self.get(f"/api/v1/incidents/{identity}/timeline?limit=5000")["items"]
        return items

    def metric(self, series: str) -> float | None:
        """Return a figure of `/metrics` by its whole name with labels, None when it isn't there."""
        for line in self.http.get("/metrics").raise_for_status().text.splitlines():
            if line.startswith(f"{series} "):
                return float(line.rpartition(" ")[2])
        return None

    def logged(self, text: str) -> list[dict[str, Any]]:
        """Return the structured log lines that hold a text."""
        lines = self.log.read_text(errors="replace").splitlines()
        return [json.loads(line) for line in lines if line.startswith("{") and text in line]


@contextmanager
def running(
    directory: Path, playbooks: Sequence[Path], mode: str = "observe", settings: Mapping[str, str] | None = None
) -> Iterator[Service]:
    """Start a service, yield it, and end it whatever happened meanwhile."""
    directory.mkdir(parents=True, exist_ok=True)
    service = Service(directory, playbooks, mode, settings)
    try:
        service.start()
        yield service
    finally:
        service.close()


def alert(
    name: str, service: str, *, status: str = "firing", starts: float | None = None, **labels: str
) -> dict[str, Any]:
    """Return an alert as Alertmanager sends it, begun now unless told otherwise."""
    begun = time.time() if starts is None else starts
    return {
        "status": status,
        "labels": {"alertname": name, "service": service, "severity": "critical", **labels},
        "annotations": {"summary": f"{name} on {service}"},
        "startsAt": stamp(begun),
        "endsAt": "0001-01-01T00:00:00Z" if status == "firing" else stamp(time.time()),
        "generatorURL": "",
        "fingerprint": f"{abs(hash_of(name, service)):016x}",
    }


def hash_of(*words: str) -> int:
    """Return a number that is the same in every run."""
    value = 14695981039346656037
    for byte in "\0".join(words).encode():
        value = (value ^ byte) * 1099511628211 % 2**64
    return value


def stamp(seconds: float) -> str:
    """Return UNIX seconds as ISO 8601."""
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return f"{whole}.{int(seconds % 1 * 1000):03d}Z"


def group(*alerts: dict[str, Any], truncated: int = 0) -> bytes:
    """Return a webhook's body."""
    status = "firing" if any(one["status"] == "firing" for one in alerts) else "resolved"
    common = {"groupLabels": {}, "commonLabels": {}, "commonAnnotations": {}, "externalURL": "http://127.0.0.1:9093"}
    whole = {"receiver": "remediator", "version": "4", "groupKey": "{}:{}", "truncatedAlerts": truncated, **common}
    return json.dumps({**whole, "status": status, "alerts": list(alerts)}).encode()
