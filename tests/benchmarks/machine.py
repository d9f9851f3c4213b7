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


def others(before: float, seconds: float) -> str:
    """Say how much others used of the machine, who spoil the figures.

    Args:
        before: what `others_used` returned at the start.
        seconds: since then.
    """
    cores = max(0.0, others_used() - before) / seconds
    return f"Other processes used {cores:.1f} of the {os.cpu_count()} cores meanwhile."


def others_used() -> float:
    """Return the seconds of processor that everybody but this process and its ended children used since the start."""
    user, nice, system, _, _, interrupts, soft = map(int, Path("/proc/stat").read_text().split(maxsplit=8)[1:8])
    ours = os.times()
    busy = (user + nice + system + interrupts + soft) / os.sysconf("SC_CLK_TCK")
    return busy - ours.user - ours.system - ours.children_user - ours.children_system


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
