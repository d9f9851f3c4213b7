"""Which parts of the demo are real on this machine, and why the others aren't."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from deploy.demo.console import say
from deploy.parts import alertmanager, engine, packages, prometheus

PACKAGES: Final = ("iproute2", "docker.io", "prometheus", "prometheus-alertmanager")

EXISTING: Final = Path("/var/run/docker.sock")
"""The socket of an engine that runs already; used when we may, and can't start one of our own."""


@dataclass(frozen=True, slots=True)
class Cast:
    """For each part nothing when it is real, else why its role is played.

    Args:
        engine: processes instead of containers.
        existing: the engine that runs already and is used instead of one of our own.
    """

    engine: str | None
    prometheus: str | None
    alertmanager: str | None
    existing: Path | None = None

    @property
    def real(self) -> bool:
        """Whether nothing is played."""
        return self.engine is None and self.prometheus is None and self.alertmanager is None

    def describe(self) -> list[str]:
        """Say of each part whether it is real."""
        where = f"the one at {self.existing}" if self.existing else "one of our own"
        return [
            "The remediator is real.",
            "The service is real: a small HTTP server with users of its own.",
            f"The containers are real: Docker, {where}."
            if self.engine is None
            else f"There are NO containers, the service runs as local processes: {self.engine}.",
            "Prometheus is real."
            if self.prometheus is None
            else f"Prometheus is PLAYED, so only health endpoints verify: {self.prometheus}.",
            "Alertmanager is real."
            if self.alertmanager is None
            else f"Alertmanager is PLAYED from recorded webhooks: {self.alertmanager}.",
        ]


def choose(*, processes_only: bool = False) -> Cast:
    """Install what is missing where we may, and say what can be had.

    Args:
        processes_only: whether to do without containers although they could be had.
    """
    missing = packages.ensure(PACKAGES, lambda line: say(line, "dim")).missing
    reason = "asked for" if processes_only else _why(engine.unavailable(), missing, "iproute2", "docker.io")
    existing = None
    if reason is not None and not processes_only and os.access(EXISTING, os.R_OK | os.W_OK):
        reason, existing = None, EXISTING
    heard = _why(alertmanager.unavailable(), missing, "prometheus-alertmanager")
    seen = _why(prometheus.unavailable(), missing, "prometheus")
    # Without a Prometheus nobody would tell a real Alertmanager anything.
    if seen is not None and heard is None:
        heard = "there is no Prometheus to tell it anything"
    return Cast(reason, seen, heard, existing)


def _why(unavailable: str | None, missing: Mapping[str, str], *names: str) -> str | None:
    """Return why a part can't be had, and why its packages couldn't be installed where that was tried."""
    reasons = [f"{name}: {missing[name]}" for name in names if name in missing and os.geteuid() == 0]
    return unavailable and "; ".join([unavailable, *reasons])
