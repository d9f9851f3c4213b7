from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from receiver.clock import SystemClock
from receiver.core.events import Recorded
from receiver.core.fold import replay
from receiver.ports import IncidentFilter
from receiver.store.sqlite import SqliteStore
from tests.unit.store.crashing import SERVICES

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

KILLS = 12
SEED = 20_261_124


def killed(path: Path, first: int, after: float) -> list[str]:
    """Run the process, kill it -9 after some seconds of work; return what it said was stored."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.unit.store.crashing", str(path), str(first)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    time.sleep(after)
    process.kill()
    said = process.stdout.read().split("\n")
    process.wait()
    process.stdout.close()
    return said[:-1]  # the last line may be cut


async def test_nothing_that_was_acknowledged_is_lost_by_kill_9(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    chance = random.Random(SEED)
    said: list[str] = []
    for round_ in range(KILLS):
        said += killed(path, round_ * 1_000_000, chance.uniform(0.0, 0.6))
    store = SqliteStore.open(path, SystemClock())
    kept = await store.firing(1_000_000)
    assert said
    assert not set(said) - kept.keys()
    incidents = (await store.incidents(IncidentFilter(limit=100))).items
    assert len(incidents) == SERVICES
    for incident in incidents:
        log: list[Recorded] = []
        while page := await store.events(incident.id, len(log)):
            log += page
        assert replay(log) == incident
        assert incident.firing == sum(row.incident == incident.id for row in kept.values())
    assert await store._read(lambda connection: connection.execute("PRAGMA integrity_check").fetchone()) == ("ok",)
    await store.close()
