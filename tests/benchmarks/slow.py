"""A disk that is slower than the one at hand: `python -m tests.benchmarks.slow` is the command line of remediator, each
of whose commits takes `SLOW_COMMIT_MS` longer.
"""

from __future__ import annotations

import os
import sqlite3
import sys
import time
from collections.abc import Callable
from typing import Any

SECONDS = float(os.environ.get("SLOW_COMMIT_MS", "0")) / 1000

_connect = sqlite3.connect


class Slow(sqlite3.Connection):
    """A connection whose commits take longer; as a disk does it, other threads run meanwhile."""

    def execute(self, sql: str, *arguments: Any) -> sqlite3.Cursor:
        """Run a statement."""
        if sql == "COMMIT":
            time.sleep(SECONDS)
        return super().execute(sql, *arguments)


def connect(*arguments: Any, **options: Any) -> sqlite3.Connection:
    """Connect to a database, slowly when asked to."""
    if SECONDS:
        options["factory"] = Slow
    connection: sqlite3.Connection = _connect(*arguments, **options)
    return connection


def main() -> int:
    """Run the service on a slow disk."""
    patched: Callable[..., sqlite3.Connection] = connect
    sqlite3.connect = patched  # type: ignore[assignment]
    from receiver.cli import main as cli  # noqa: PLC0415 - the slow disk must be there first

    return int(cli() or 0)


if __name__ == "__main__":
    sys.exit(main())
