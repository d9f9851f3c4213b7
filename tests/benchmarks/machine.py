"""The machine that was measured on, in neutral words."""

from __future__ import annotations

import os
import platform
import sqlite3
import tempfile
import time
from contextlib import closing
from pathlib import Path
from statistics import median

COMMITS = 100


def described() -> str:
    """Return one sentence."""
    return (
        f"Measured on {os.cpu_count()} cores shared by load and service, {_gigabytes():.0f} GB of memory, Linux, Python"
        f" {platform.python_version()}, SQLite {sqlite3.sqlite_version}; a durable commit of one small row takes"
        f" {commit_ms():.2f} ms."
    )


def _gigabytes() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9


def commit_ms() -> float:
    """Return the median of some commits."""
    taken = []
    with (
        tempfile.TemporaryDirectory() as directory,
        closing(sqlite3.connect(Path(directory) / "probe.db", isolation_level=None)) as connection,
    ):
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("CREATE TABLE probe (n INTEGER PRIMARY KEY)")
        for _ in range(COMMITS):
            began = time.perf_counter()
            connection.execute("INSERT INTO probe DEFAULT VALUES")
            taken.append((time.perf_counter() - began) * 1000)
    return median(taken)
