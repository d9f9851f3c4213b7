"""What the service is measured against, on the same server: `python -m tests.benchmarks.yardsticks KIND PORT DIR`.

`bare`: a Starlette route that parses the same JSON with the same parser and keeps nothing. `durable`: the same, and one
durable SQLite commit a request. `fold`: the least that a receiver can do which decides before it answers: group commit,
the body, a row an alert with its duplicate looked up, an event and an incident a webhook; no routing, no timeline, no
limits. Where even that misses a bar, the machine can't reach it.
"""

from __future__ import annotations

import asyncio
import sqlite3
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.benchmarks.slow import connect


class Alert(msgspec.Struct, rename="camel", gc=False):
    """An alert, typed as the service types it."""

    status: str
    labels: dict[str, str]
    fingerprint: str
    starts_at: str
    annotations: dict[str, str] = {}
    ends_at: str = ""
    generator_url: str = msgspec.field(default="", name="generatorURL")


class Webhook(msgspec.Struct, rename="camel", gc=False):
    """The whole body."""

    version: str
    alerts: list[Alert]
    truncated_alerts: int = 0


decode = msgspec.json.Decoder(Webhook).decode
encode = msgspec.json.Encoder().encode


Keep = Callable[[bytes, Webhook], Awaitable[None]]


def application(keep: Keep) -> Starlette:
    """Return the application; `keep` is awaited with each body after it was parsed."""

    async def webhook(request: Request) -> Response:
        body = await request.body()
        await keep(body, decode(body))
        return Response(b'{"ok":true}', media_type="application/json")

    return Starlette(routes=[Route("/", webhook, methods=["POST"])])


def opened(file: Path) -> sqlite3.Connection:
    """Return a connection whose commits are durable."""
    connection = connect(str(file), isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE IF NOT EXISTS bodies (n INTEGER PRIMARY KEY, body BLOB)")
    return connection


def durably(directory: Path) -> Keep:
    """Return what keeps a body in a commit of its own."""
    connection = opened(directory / "durable.db")

    async def keep(body: bytes, _webhook: Webhook) -> None:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("INSERT INTO bodies(body) VALUES (?)", (sqlite3.Binary(body),))
        connection.execute("COMMIT")

    return keep


Job = tuple[bytes, Webhook, "asyncio.Future[None]"]


def _answered(jobs: list[Job]) -> None:
    for _, _, done in jobs:
        if not done.done():
            done.set_result(None)


class Folding:
    """Group commit on a thread: each webhook is folded into its incident before it is answered."""

    def __init__(self, directory: Path) -> None:
        self._connection = opened(directory / "fold.db")
        for table in (
            "alerts (fingerprint TEXT PRIMARY KEY, starts_at TEXT, status TEXT, incident TEXT, body BLOB)",
            "events (incident TEXT, seq INTEGER, at REAL, body BLOB, PRIMARY KEY (incident, seq)) WITHOUT ROWID",
            "incidents (id TEXT PRIMARY KEY, body BLOB)",
        ):
            self._connection.execute(f"CREATE TABLE IF NOT EXISTS {table}")
        self._latest: dict[str, tuple[str, str]] = {}
        self._incidents: dict[str, dict[str, Any]] = {}
        self._queue: SimpleQueue[Job] = SimpleQueue()
        threading.Thread(target=self._run, daemon=True).start()

    async def keep(self, body: bytes, webhook: Webhook) -> None:
        """Return when the webhook is folded and durable."""
        done = asyncio.get_running_loop().create_future()
        self._queue.put((body, webhook, done))
        await done

    def _run(self) -> None:
        while True:
            jobs = [self._queue.get()]
            try:
                while len(jobs) < 64:
                    jobs.append(self._queue.get_nowait())
            except Empty:
                pass
            self._commit(jobs)
            jobs[0][2].get_loop().call_soon_threadsafe(_answered, jobs)

    def _commit(self, jobs: list[Job]) -> None:
        now = time.time()
        alerts, events, touched = [], [], {}
        for _, webhook, _ in jobs:
            changed = []
            name = webhook.alerts[0].labels["service"]
            for one in webhook.alerts:
                if self._latest.get(one.fingerprint) != (one.starts_at, one.status):
                    self._latest[one.fingerprint] = (one.starts_at, one.status)
                    changed.append(one.fingerprint)
                    alerts.append((one.fingerprint, one.starts_at, one.status, name, encode(one)))
            incident = self._incidents.setdefault(name, {"id": name, "seq": 0, "firing": 0})
            incident["seq"] += 1
            incident["firing"] += len(changed)
            events.append((name, incident["seq"], now, encode(changed)))
            touched[name] = incident
        write = self._connection
        write.execute("BEGIN IMMEDIATE")
        write.executemany("INSERT INTO bodies(body) VALUES (?)", [(one[0],) for one in jobs])
        write.executemany("INSERT OR REPLACE INTO alerts VALUES (?, ?, ?, ?, ?)", alerts)
        write.executemany("INSERT INTO events VALUES (?, ?, ?, ?)", events)
        write.executemany(
            "INSERT OR REPLACE INTO incidents VALUES (?, ?)", [(name, encode(one)) for name, one in touched.items()]
        )
        write.execute("COMMIT")


async def dropped(_body: bytes, _webhook: Webhook) -> None:
    """Keep nothing."""


def keeping(kind: str, directory: Path) -> Keep:
    """Return what a kind of yardstick does with a body."""
    if kind == "durable":
        return durably(directory)
    return Folding(directory).keep if kind == "fold" else dropped


def main() -> None:
    """Serve one of them."""
    kind, port, directory = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
    uvicorn.run(
        application(keeping(kind, directory)),
        host="127.0.0.1",
        port=port,
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_level="warning",
        timeout_keep_alive=300,
    )


if __name__ == "__main__":
    main()
