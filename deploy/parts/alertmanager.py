"""A real Alertmanager on loopback, in a directory of its own."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx

from deploy.parts.ports import port_for
from deploy.parts.process import Child, PartError, start, wait_until
from deploy.parts.prometheus import is_ready

PROGRAMS: Final = ("prometheus-alertmanager", "alertmanager")
"""Debian's name and everybody else's."""

START_TIMEOUT: Final = 30.0
"""Seconds until it must be ready."""


@dataclass(frozen=True, slots=True)
class Alertmanager:
    """A running Alertmanager.

    Args:
        url: without a slash at its end.
        child: its process.
    """

    url: str
    child: Child

    def alerts(self, **query: str) -> list[dict[str, Any]]:
        """Return `GET /api/v2/alerts` with these parameters."""
        rows: list[dict[str, Any]] = httpx.get(f"{self.url}/api/v2/alerts", params=query, timeout=10.0).json()
        return rows

    def post(self, *alerts: dict[str, Any]) -> None:
        """Push alerts, as Prometheus does: each with `labels`, perhaps `annotations`, `startsAt`, `endsAt`."""
        httpx.post(f"{self.url}/api/v2/alerts", json=list(alerts), timeout=10.0).raise_for_status()


def unavailable() -> str | None:
    """Say why no Alertmanager can be started here, or nothing when one can."""
    if not any(shutil.which(name) for name in PROGRAMS):
        return "not installed (Debian: apt-get install prometheus-alertmanager)"
    return None


@contextmanager
def running_alertmanager(directory: Path, config: str, port: int | None = None) -> Iterator[Alertmanager]:
    """Start Alertmanager with this configuration text, wait until it is ready, and stop it afterwards.

    It is not a member of a cluster: it opens no other port than its own.

    Args:
        directory: for its data, configuration and log.
        config: the configuration.
        port: on 127.0.0.1; a free one if none is given.

    Raises:
        PartError: not installed, its port is taken, or it didn't start; the text has its last log lines.
    """
    reason = unavailable()
    if reason is not None:
        raise PartError(f"no Alertmanager: {reason}")
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "alertmanager.yml").write_text(config)
    program = next(name for name in PROGRAMS if shutil.which(name))
    address = f"127.0.0.1:{port_for('Alertmanager', port)}"
    command = [program, f"--config.file={directory / 'alertmanager.yml'}", f"--web.listen-address={address}"]
    command += [f"--storage.path={directory / 'data'}", "--cluster.listen-address=", "--log.level=warn"]
    command += [f"--web.external-url=http://{address}"]
    child = start("alertmanager", command, directory / "alertmanager.log")
    try:
        wait_until(lambda: is_ready(f"http://{address}/-/ready"), child, START_TIMEOUT)
        yield Alertmanager(f"http://{address}", child)
    finally:
        child.stop()
