"""What a server says of itself while it is measured, and what its database holds."""

from __future__ import annotations

import http.client
import json
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Event
from random import Random

from tests.benchmarks.load import SERVICES, template
from tests.benchmarks.servers import Server

MB = 1_000_000


def metrics(port: int) -> dict[str, float]:
    """Return what `/metrics` says, by series."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    with closing(connection):
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
    series = (line.rsplit(" ", 1) for line in text.splitlines() if line and not line.startswith("#"))
    return {name: float(value) for name, value in series}


def total(found: dict[str, float], name: str) -> float:
    """Return the sum of a metric's series."""
    return sum(value for series, value in found.items() if series.split("{")[0] == name)


@dataclass(frozen=True, slots=True)
class Kept:
    """What a database holds: alert rows, those of them that belong to an incident, and what the incidents counted."""

    alerts: int
    decided: int
    folded: int
    incidents: int


def kept(server: Server) -> Kept:
    """Count what is durable now."""
    with closing(sqlite3.connect(f"file:{server.directory}/remediator.db?mode=ro", uri=True)) as connection:
        alerts, decided = connection.execute("SELECT count(*), count(incident) FROM alerts").fetchone()
        folded, incidents = connection.execute(
            "SELECT coalesce(sum(json_extract(CAST(body AS TEXT), '$.alerts')), 0), count(*) FROM incidents"
        ).fetchone()
    return Kept(alerts, decided, folded, incidents)


@dataclass(slots=True)
class Watched:
    """What was seen beside a run: units that waited for their commit."""

    waiting: list[float] = field(default_factory=list)


@contextmanager
def watching(server: Server, every: float = 0.5) -> Iterator[Watched]:
    """Look at the queue of units again and again."""
    seen, stop = Watched(), threading.Event()

    def look() -> None:
        while not stop.wait(every):
            seen.waiting.append(metrics(server.port)['remediator_queue_depth{queue="units"}'])

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        thread.join()


class Sender:
    """A small Alertmanager: one-alert webhooks over one connection, each about a new alert."""

    def __init__(self, server: Server, seed: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        self._path = server.path
        self._template = template(1)
        self._random = Random(seed)

    def send(self, service: int) -> float:
        """Post one; returns the milliseconds until its answer."""
        body = self._template.replace("@S", f"svc-{service:04d}")
        body = body.replace("@F", f"{self._random.getrandbits(64):016x}")
        body = body.replace("@N", f"{self._random.getrandbits(32):08x}")
        began = time.perf_counter()
        self._connection.request("POST", self._path, body.encode(), {"Content-Type": "application/json"})
        answer = self._connection.getresponse()
        told = json.loads(answer.read())
        if answer.status != 200:
            raise RuntimeError(f"answered {answer.status}: {told}")
        return (time.perf_counter() - began) * 1000


@contextmanager
def others(server: Server, seed: int, gap: float = 0.01) -> Iterator[list[float]]:
    """Post one-alert webhooks meanwhile, as other groups would; their milliseconds are in the list afterwards."""
    taken: list[float] = []
    context = get_context("spawn")
    stop = context.Event()
    answer, results = context.Pipe(duplex=False)
    # A process of its own: what this one does meanwhile must not look like the server's delay.
    process = context.Process(target=_post, args=(server, seed, gap, stop, results))
    process.start()
    try:
        yield taken
    finally:
        stop.set()
        taken += answer.recv()
        process.join()


def _post(server: Server, seed: int, gap: float, stop: Event, results: Connection) -> None:
    sender = Sender(server, seed)
    taken: list[float] = []
    while not stop.wait(gap):
        taken.append(sender.send(len(taken) % SERVICES))
    results.send(taken)


def until(done: Callable[[], bool], seconds: float, what: str, every: float = 0.1) -> float:
    """Wait for it; returns the seconds that it took."""
    began = time.perf_counter()
    while not done():
        if time.perf_counter() - began > seconds:
            raise RuntimeError(f"{what}: not within {seconds:g} s")
        time.sleep(every)
    return time.perf_counter() - began
