"""What the service is measured against, on the same server: `python -m tests.benchmarks.yardsticks KIND PORT DIR`.

`bare`: a Starlette route that parses the same JSON with the same parser and keeps nothing. `durable`: the same, and one
durable SQLite commit a request.
"""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path

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


def application(keep: Callable[[bytes], None]) -> Starlette:
    """Return the application; `keep` is called with each body after it was parsed."""

    async def webhook(request: Request) -> Response:
        body = await request.body()
        decode(body)
        keep(body)
        return Response(b'{"ok":true}', media_type="application/json")

    return Starlette(routes=[Route("/", webhook, methods=["POST"])])


def durably(directory: Path) -> Callable[[bytes], None]:
    """Return what keeps a body in a commit of its own."""
    connection = connect(str(directory / "durable.db"), isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE IF NOT EXISTS bodies (n INTEGER PRIMARY KEY, body BLOB)")

    def keep(body: bytes) -> None:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("INSERT INTO bodies(body) VALUES (?)", (sqlite3.Binary(body),))
        connection.execute("COMMIT")

    return keep


def main() -> None:
    """Serve one of them."""
    kind, port, directory = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
    keep = durably(directory) if kind == "durable" else lambda _: None
    uvicorn.run(
        application(keep),
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
