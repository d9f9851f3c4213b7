"""The load: wrk in a process of its own, with every alert new."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LUA = Path(__file__).parent / "load.lua"
PAYLOADS = Path(__file__).parents[1] / "payloads"
SERVICES = 50
"""Targets that the alerts are about, each with its incident."""


@dataclass(frozen=True, slots=True)
class Load:
    """What one run measured; times in milliseconds. `refused`: answers that were no 2xx."""

    requests: int
    seconds: float
    p50: float
    p99: float
    max: float
    refused: int
    failed: int

    @property
    def rate(self) -> float:
        """Good answers a second."""
        return (self.requests - self.refused) / self.seconds


def template(alerts: int) -> str:
    """Return a webhook of so many alerts, modelled on a captured one, with places for what differs.

    `@F`: fingerprint, `@N`: eight hex digits, `@S`: service; see load.lua.
    """
    webhook = json.loads((PAYLOADS / f"bench-{alerts}.json").read_text())
    for alert in webhook["alerts"]:
        _open(alert["labels"])
        alert["fingerprint"] = "@F"
    _open(webhook["commonLabels"])
    return json.dumps(webhook, ensure_ascii=False, separators=(",", ":"))


def _open(labels: dict[str, Any]) -> None:
    if "service" in labels:
        labels["service"] = "@S"
    if "pod" in labels:
        labels["pod"] = "payments-api-@N"
    if "uid" in labels:
        labels["uid"] = "@N-7f0c-4a4f-9d7e-000000000000"


def run(
    port: int,
    path: str,
    *,
    alerts: int,
    connections: int,
    seconds: float,
    seed: int,
    work: Path,
    repeat: bool = False,
    services: int = SERVICES,
    first: int = 0,
) -> Load:
    """Post webhooks for some seconds, each connection one after the other; each about the next service."""
    file = work / f"template-{alerts}.json"
    file.write_text(template(alerts))
    done = subprocess.run(
        [
            *("wrk", "-t1", f"-c{connections}", f"-d{seconds:g}s", "--timeout", "20s", "-s", str(LUA)),
            f"http://127.0.0.1:{port}{path}",
            *("--", str(file), str(seed), str(services), str(int(repeat)), str(first)),
        ],
        check=True,
        capture_output=True,
        text=True,
    )
    for line in done.stdout.splitlines():
        if line.startswith("RESULT "):
            return Load(**json.loads(line.removeprefix("RESULT ")))
    raise RuntimeError(f"wrk gave no result:\n{done.stdout}\n{done.stderr}")
