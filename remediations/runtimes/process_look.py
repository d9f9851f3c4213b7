"""Looking at a process: whether it lives, its health check's word, what it uses."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import httpx

from remediations.health import probe
from remediations.protocol import Health, Instance, Json, Target
from remediations.runtimes.process_box import Box, Record, Run, alive, version_id, version_name

SAMPLE = 0.5
"""Seconds over which the use of CPU is measured."""


async def look(http: httpx.AsyncClient, now: Callable[[], float], target: Target, box: Box, record: Record) -> Instance:
    """Return an instance as it is now; its health check is asked when it runs."""
    run = box.run()
    running = run is not None and alive(run)
    health = Health.NONE
    if run is not None and running and record.health_url:
        answer = await probe(http, record.health_url, word=target.health_word, timeout=target.health_timeout)
        starting = now() - run.started_at < record.start_grace
        health = Health.HEALTHY if answer.ok else Health.STARTING if starting else Health.UNHEALTHY
    return Instance(
        id=record.id,
        name=record.name,
        running=running,
        health=health,
        image_id=version_id(record.command),
        image=version_name(record.command),
        started_at=run.started_at if run is not None else None,
        created_at=record.created_at,
        status="running" if running else box.ending() if run is not None else "created",
        stamps=dict(record.stamps),
    )


async def sample(run: Run | None) -> Json:
    """Measure the main process of a run over half a second; empty when it doesn't run."""
    if run is None or not alive(run):
        return {}
    try:
        before = _cpu_seconds(run.pid)
        await asyncio.sleep(SAMPLE)
        used = _cpu_seconds(run.pid) - before
        return {"cpu_ratio": round(used / SAMPLE, 3), "memory_bytes": _memory_bytes(run.pid)}
    except (FileNotFoundError, ProcessLookupError):
        return {}


def _cpu_seconds(pid: int) -> float:
    """Return user and system time so far: fields 14 and 15 of /proc/PID/stat."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _memory_bytes(pid: int) -> int:
    """Return the resident set: field 2 of /proc/PID/statm, in pages."""
    return int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
