"""A real Prometheus on loopback, in a directory of its own."""

import math
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx

from deploy.parts.ports import port_for
from deploy.parts.process import Child, PartError, start, wait_until

START_TIMEOUT: Final = 30.0
"""Seconds until it must be ready; on an empty directory it takes well under one."""


@dataclass(frozen=True, slots=True)
class Prometheus:
    """A running Prometheus.

    Args:
        url: without a slash at its end.
        child: its process.
    """

    url: str
    child: Child

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Return the samples of an instant query, as the HTTP API gives them.

        Raises:
            PartError: Prometheus refused the expression.
        """
        answer = httpx.get(f"{self.url}/api/v1/query", params={"query": expression}, timeout=10.0).json()
        if answer["status"] != "success":
            raise PartError(f"Prometheus refused {expression!r}: {answer.get('error')}")
        samples: list[dict[str, Any]] = answer["data"]["result"]
        return samples

    def value(self, expression: str) -> float:
        """Return the first sample's value, NaN when there is none."""
        samples = self.query(expression)
        return float(samples[0]["value"][1]) if samples else math.nan

    def alerts(self) -> dict[str, str]:
        """Return the state (`pending`, `firing`) of each active alert by `name/severity`."""
        rows = httpx.get(f"{self.url}/api/v1/alerts", timeout=10.0).json()["data"]["alerts"]
        return {f"{row['labels']['alertname']}/{row['labels'].get('severity', '')}": row["state"] for row in rows}


def unavailable() -> str | None:
    """Say why no Prometheus can be started here, or nothing when one can."""
    if shutil.which("prometheus") is None:
        return "not installed (Debian: apt-get install prometheus)"
    return None


@contextmanager
def running_prometheus(directory: Path, config: str, port: int | None = None) -> Iterator[Prometheus]:
    """Start Prometheus with this configuration text, wait until it is ready, and stop it afterwards.

    Args:
        directory: for its data, configuration and log.
        config: the configuration; relative rule files count from `directory`.
        port: on 127.0.0.1; a free one if none is given.

    Raises:
        PartError: not installed, its port is taken, or it didn't start; the text has its last log lines.
    """
    reason = unavailable()
    if reason is not None:
        raise PartError(f"no Prometheus: {reason}")
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "prometheus.yml").write_text(config)
    address = f"127.0.0.1:{port_for('Prometheus', port)}"
    command = ["prometheus", f"--config.file={directory / 'prometheus.yml'}", f"--web.listen-address={address}"]
    command += [f"--storage.tsdb.path={directory / 'data'}", "--web.enable-lifecycle", "--log.level=warn"]
    child = start("prometheus", command, directory / "prometheus.log")
    try:
        wait_until(lambda: is_ready(f"http://{address}/-/ready"), child, START_TIMEOUT)
        yield Prometheus(f"http://{address}", child)
    finally:
        child.stop()


def is_ready(url: str) -> bool:
    """Whether a readiness endpoint answers 200."""
    try:
        return httpx.get(url, timeout=2.0).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False
