"""A minute at full speed: whether deciding keeps up with receiving; and memory over a million alerts."""

from __future__ import annotations

from itertools import count
from pathlib import Path

from tests.benchmarks import load, servers
from tests.benchmarks.looking import MB, kept, until, watching
from tests.benchmarks.report import Figure, Section, number
from tests.benchmarks.servers import Server

CHUNK = 5.0
"""Seconds of load between two looks at the memory."""

FIRST = 0.2
"""Share of the alerts after which memory must not grow any more."""


def backlog(work: Path, *, seconds: float) -> Section:
    """Load it for so long, once for each size of webhooks."""
    rows, figures = [], []
    for alerts in (1, 10):
        directory = work / f"sustained-{alerts}"
        directory.mkdir()
        with servers.remediator(directory) as server, watching(server) as seen:
            done = load.run(
                server.port,
                server.path,
                alerts=alerts,
                connections=64,
                seconds=seconds,
                seed=1,
                work=directory,
            )
            answered = done.requests * alerts
            # The load has ended: what is decided now was decided before its answer, or within this look.
            found = kept(server)
            until(lambda one=server, least=answered: kept(one).folded >= least, 30, "all alerts folded")  # type: ignore[misc]
        waited = max(seen.waiting, default=0.0) / done.rate
        rows.append(
            [
                str(alerts),
                *map(number, (done.rate, done.rate * alerts, found.folded / done.seconds, answered)),
                *map(number, (found.alerts, found.decided, found.folded, done.p50, done.p99, waited)),
            ]
        )
        name = f"{alerts} a webhook"
        figures += [
            Figure(f"backlog, {name}", waited, "s", 1.0, most=True),
            Figure(
                f"answered alerts that are in incidents when the load ends, {name}",
                100 * min(1.0, found.folded / answered),
                "%",
                100.0,
            ),
        ]
    return Section(
        "Receipt and decision",
        f"{seconds:g} s at 64 connections. Receipt: answered alerts. Decided: alerts that their incidents count, read"
        " from the database at once after the load. The two coincide, as the fold is part of the unit that is durable"
        " before the 200; the backlog is the most units that were seen waiting, in seconds of work.",
        [
            *("alerts a webhook", "webhooks/s", "received alerts/s", "decided alerts/s", "answered", "rows"),
            *("rows of incidents", "folded", "p50 ms", "p99 ms", "backlog s"),
        ],
        rows,
        figures,
    )


def memory(work: Path, *, alerts: int) -> Section:
    """Send so many alerts, a hundred a webhook."""
    directory = work / "memory"
    directory.mkdir()
    seen: list[tuple[int, int]] = []
    with servers.remediator(directory) as server:
        for seed in count(1):
            _chunk(server, seed)
            seen.append((kept(server).alerts, server.resident))
            if seen[-1][0] >= alerts or seed > 60:
                break
        peak = server.peak
    first = next(one for one in seen if one[0] >= FIRST * alerts)
    last = seen[-1]
    steps = seen[:: max(1, len(seen) // 8)]
    if steps[-1] != last:
        steps.append(last)
    growth = 100 * (last[1] / first[1] - 1)
    return Section(
        f"Memory over {alerts:,} alerts",
        f"A hundred a webhook at 16 connections. Flat: at the end at most 10 % more than after the first"
        f" {FIRST * alerts:,.0f}, which fill the caches. Peak: {number(peak / MB)} MB.",
        ["alerts", "resident MB"],
        [[f"{number_of:,}", number(resident / MB)] for number_of, resident in steps],
        [Figure(f"growth from {first[0]:,} to {last[0]:,} alerts", growth, "%", 10.0, most=True)],
    )


def _chunk(server: Server, seed: int) -> None:
    load.run(server.port, server.path, alerts=100, connections=16, seconds=CHUNK, seed=seed, work=server.directory)
