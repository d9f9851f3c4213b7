"""Webhooks and alerts a second, beside the yardsticks, which run at the same time: one after the other, in rounds.

All servers are up together; an idle one costs nothing. A figure is the median of its rounds, a ratio the median of the
rounds' ratios.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from statistics import median

from tests.benchmarks import load, servers
from tests.benchmarks.load import Load
from tests.benchmarks.report import Figure, Section, number
from tests.benchmarks.servers import Server

SIZES = (1, 10, 100)
"""Alerts a webhook."""

CONNECTIONS = (64, 16, 1)
SLOW_MS = 5.0

OURS, BARE, DURABLE, HOOK, FOLD = "remediator", "(a) bare", "(b) durable", "(c) webhook", "minimal fold"
OURS_SLOW, DURABLE_SLOW, FOLD_SLOW = (f"{name}, +{SLOW_MS:g} ms" for name in (OURS, DURABLE, FOLD))
EVERYWHERE = (BARE, DURABLE, OURS)
AT_64 = (*EVERYWHERE, FOLD, HOOK, DURABLE_SLOW, OURS_SLOW, FOLD_SLOW)

SHARE_OF_BARE = {1: (30.0, 45.0), 10: (12.0, 20.0), 100: (6.0, 10.0)}
"""Percent: bar and goal by alerts a webhook."""

seeds = count(1)
"""Each run's alerts are new ones."""


@dataclass(slots=True)
class Measured:
    """The rounds of every server, by its name, connections and alerts a webhook."""

    loads: dict[tuple[str, int, int], list[Load]] = field(default_factory=dict)
    repeats: dict[int, list[tuple[float, float]]] = field(default_factory=dict)
    """By alerts a webhook: microseconds of processor for a new webhook and for a repeated one, a pair a round."""

    def typical(self, name: str, connections: int, alerts: int, what: Callable[[Load], float]) -> float:
        """Return the median of a figure."""
        return median(what(one) for one in self.loads[name, connections, alerts])

    def times(self, name: str, other: str, alerts: int) -> float:
        """Return how many times the other's rate one reaches at 64 connections."""
        pairs = zip(self.loads[name, 64, alerts], self.loads[other, 64, alerts], strict=True)
        return median(one.rate / two.rate for one, two in pairs)


def measure(work: Path, *, seconds: float, rounds: int) -> Measured:
    """Run everything."""
    found = Measured()
    with ExitStack() as stack:
        running = {name: stack.enter_context(start) for name, start in _servers(work)}
        for name, server in running.items():
            _post(server, 10, 16, min(seconds, 1.0 if name != OURS else 3.0))
        for _ in range(rounds):
            for alerts in SIZES:
                for connections in CONNECTIONS:
                    for name in AT_64 if connections == 64 else EVERYWHERE:
                        one = _post(running[name], alerts, connections, seconds)
                        found.loads.setdefault((name, connections, alerts), []).append(one)
                pair = (_cost(running[OURS], alerts, seconds), _cost(running[OURS], alerts, seconds, repeat=True))
                found.repeats.setdefault(alerts, []).append(pair)
    return found


def _servers(work: Path) -> Iterator[tuple[str, servers.Running]]:
    def place(name: str) -> Path:
        directory = work / name
        directory.mkdir()
        return directory

    yield BARE, servers.yardstick("bare", place("bare"))
    yield DURABLE, servers.yardstick("durable", place("durable"))
    yield FOLD, servers.yardstick("fold", place("fold"))
    yield HOOK, servers.hook_runner(place("hook"))
    yield OURS, servers.remediator(place("ours"))
    yield DURABLE_SLOW, servers.yardstick("durable", place("durable-slow"), slow_ms=SLOW_MS)
    yield OURS_SLOW, servers.remediator(place("ours-slow"), slow_ms=SLOW_MS)
    yield FOLD_SLOW, servers.yardstick("fold", place("fold-slow"), slow_ms=SLOW_MS)


def _post(server: Server, alerts: int, connections: int, seconds: float, *, repeat: bool = False) -> Load:
    return load.run(
        server.port,
        server.path,
        alerts=alerts,
        connections=connections,
        seconds=seconds,
        seed=next(seeds),
        work=server.directory,
        repeat=repeat,
    )


def _cost(server: Server, alerts: int, seconds: float, *, repeat: bool = False) -> float:
    """Return the microseconds of processor that a webhook costs the server."""
    before = server.seconds
    done = _post(server, alerts, 64, seconds, repeat=repeat)
    return (server.seconds - before) / done.requests * 1e6


def sections(found: Measured) -> list[Section]:
    """Return the report's part."""
    return [_rates(found), _yardsticks(found), _repeats(found)]


def _rates(found: Measured) -> Section:
    rows = []
    for connections in CONNECTIONS:
        for alerts in SIZES:
            at = (connections, alerts)
            ours = found.typical(OURS, *at, lambda one: one.rate)
            bare, durable = (found.typical(name, *at, lambda one: one.rate) for name in (BARE, DURABLE))
            p50, p99 = (found.typical(OURS, *at, what) for what in (lambda one: one.p50, lambda one: one.p99))
            rows.append(
                [
                    *map(str, at),
                    *map(number, (ours, ours * alerts, p50, p99, bare, durable)),
                    f"{ours / bare:.0%}",
                    f"{ours / durable:.1f} x",
                ]
            )
    return Section(
        "Rates",
        "Every alert is new, durable and folded into its incident before the answer. One process, wrk on loopback.",
        [
            *("connections", "alerts a webhook", "webhooks/s", "alerts/s", "p50 ms", "p99 ms"),
            *("(a) webhooks/s", "(b) webhooks/s", "of (a)", "of (b)"),
        ],
        rows,
        [
            Figure(
                f"p99 at 16 connections, {alerts} alert{'s' if alerts > 1 else ''} a webhook",
                found.typical(OURS, 16, alerts, lambda one: one.p99),
                "ms",
                25.0,
                most=True,
            )
            for alerts in (1, 10)
        ],
    )


def _yardsticks(found: Measured) -> Section:
    figures = []
    for alerts in SIZES:
        bar, goal = SHARE_OF_BARE[alerts]
        of_bare, minimal = (100 * found.times(name, BARE, alerts) for name in (OURS, FOLD))
        figures.append(Figure(f"of (a), {alerts} a webhook", of_bare, "%", bar, goal, minimal=minimal))
    for name, ours, minimal_program, other, bar in (
        ("(b)", OURS, FOLD, DURABLE, 2.0),
        ("(b), 5 ms more a commit on both sides", OURS_SLOW, FOLD_SLOW, DURABLE_SLOW, 12.0),
        ("(c)", OURS, FOLD, HOOK, 3.0),
    ):
        for alerts in SIZES:
            times, minimal = (found.times(one, other, alerts) for one in (ours, minimal_program))
            figures.append(Figure(f"times {name}, {alerts} a webhook", times, "x", bar, minimal=minimal))
    rows = [
        [name, *(number(found.typical(name, 64, alerts, lambda one: one.rate)) for alerts in SIZES)] for name in AT_64
    ]
    return Section(
        "Beside the yardsticks",
        "At 64 connections. (a): a bare Starlette route that parses the same JSON with the same parser. (b): the same,"
        " with one durable SQLite commit a request. (c): Debian's `webhook`, which waits for /bin/true. The minimal"
        " program is the least that decides before it answers (tests/benchmarks/yardsticks.py, `fold`): group commit,"
        " body, a row an alert, an event and an incident a webhook; no routing, timeline or limits.",
        ["webhooks/s", *(f"{alerts} a webhook" for alerts in SIZES)],
        rows,
        figures,
    )


def _repeats(found: Measured) -> Section:
    figures = []
    for alerts, pairs in found.repeats.items():
        cost = 100 * median(repeated / new for new, repeated in pairs)
        figures.append(Figure(f"cost of a repeat, {alerts} a webhook", cost, "% of new", 100.0, most=True))
    return Section(
        "Repeats",
        "The same webhook again and again, as repeats and a second Alertmanager send it; processor time a webhook.",
        figures=figures,
    )
