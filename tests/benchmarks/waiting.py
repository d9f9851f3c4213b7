"""What open incidents cost while they wait."""

from __future__ import annotations

import time
from pathlib import Path

from tests.benchmarks import load, servers
from tests.benchmarks.looking import MB, kept, until
from tests.benchmarks.report import Figure, Section, number
from tests.benchmarks.servers import Server

CALM = 0.2
"""Cores below which the work that the webhooks left is taken to be done."""


def idle(work: Path, *, incidents: int, seconds: float) -> Section:
    """Open so many incidents, let them wait, and watch; then the same after a new start."""
    directory = work / "idle"
    directory.mkdir()
    with servers.remediator(directory, services=incidents, watch=True) as server:
        sent = 0
        while sent < incidents:
            sent += _open(server, sent, incidents)
        settled = until(lambda: _cores(server, 5.0) < CALM, 300, "the work that the webhooks left", every=0.0)
        warm = _watched(server, seconds)
    with servers.remediator(directory, services=incidents, watch=True) as server:
        until(lambda: _cores(server, 5.0) < CALM, 300, "the start", every=0.0)
        fresh = _watched(server, seconds)
        opened = kept(server).incidents
    return Section(
        "Idle",
        f"{opened:,} open incidents, one a service, all diagnosed, watching their alerts; {number(settled)} s after the"
        f" webhooks that opened them, and after a new start, each watched for {seconds:g} s.",
        ["", "resident MB", "% of a core"],
        [
            ["after the webhooks", *map(number, warm)],
            ["after a new start", *map(number, fresh)],
        ],
        [
            Figure("memory, the more of both", max(warm[0], fresh[0]), "MB", 150.0, most=True),
            Figure("processor, the more of both", max(warm[1], fresh[1]), "% of a core", 3.0, most=True),
        ],
    )


def _open(server: Server, sent: int, incidents: int) -> int:
    """Post webhooks for a second, each about the next service; returns how many."""
    done = load.run(
        server.port,
        server.path,
        alerts=1,
        connections=16,
        seconds=1,
        seed=sent + 1,
        work=server.directory,
        services=incidents,
        first=sent,
    )
    return done.requests - done.refused


def _cores(server: Server, seconds: float) -> float:
    before = server.seconds
    time.sleep(seconds)
    return (server.seconds - before) / seconds


def _watched(server: Server, seconds: float) -> tuple[float, float]:
    """Return megabytes and percent of a core."""
    share = 100 * _cores(server, seconds)
    return server.resident / MB, share
