"""Starting and stopping the process of a box, and telling a disk's failure in our own words."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from remediations.protocol import EngineUnavailable, OutcomeUnknown
from remediations.runtimes import process_keeper
from remediations.runtimes.process_box import Box, Run, alive, send

START_LIMIT = 10.0
"""Seconds that a keeper has to start its process."""

KILL_LIMIT = 5.0
"""Seconds after SIGKILL in which the process and its keeper must be gone."""

POLL = 0.05


async def start(box: Box) -> None:
    """Start the process of the box by a keeper that leaves us; raises OutcomeUnknown when it doesn't answer.

    A process that can't be started counts as one that was started and has exited: it shows in its state.
    """
    # -S -E: a keeper needs nothing but the standard library, and no variable may change what it runs.
    command = [sys.executable, "-S", "-E", process_keeper.__file__, str(box.directory)]
    try:
        code = await asyncio.to_thread(_run, command)
    except subprocess.TimeoutExpired as error:
        raise OutcomeUnknown(f"the keeper of {box.name} gave no answer within {START_LIMIT:g} s") from error
    except OSError as error:
        raise OutcomeUnknown(f"the keeper of {box.name} can't be started: {error}") from error
    # A keeper that holds the lock already keeps the process: what we asked for is the case.
    if code not in {0, process_keeper.LOCKED}:
        raise OutcomeUnknown(f"the keeper of {box.name} failed with status {code}")


async def stop(box: Box, timeout: float) -> None:
    """Stop the process of the box: SIGTERM, `timeout` seconds, SIGKILL; its keeper ends what it left behind.

    Raises OutcomeUnknown when it is still there afterwards.
    """
    run = box.run()
    if run is not None and alive(run):
        send(run, signal.SIGTERM)
        if not await _gone(box, run, timeout):
            send(run, signal.SIGKILL)
    if not await _gone(box, run, KILL_LIMIT):
        raise OutcomeUnknown(f"{box.name} (process {run.pid if run else '?'}) is still there after SIGKILL")


@contextmanager
def unless_disk_fails(root: Path, *, mutating: bool) -> Iterator[None]:
    """Turn a failure of the disk into EngineUnavailable, or into OutcomeUnknown while something is being changed."""
    try:
        yield
    except (OSError, EngineUnavailable) as error:
        kind = OutcomeUnknown if mutating else EngineUnavailable
        raise kind(
            f"the state of processes below {root} can't be {'written' if mutating else 'read'}: {error}"
        ) from error


def _run(command: list[str]) -> int:
    done = subprocess.run(  # noqa: S603 - our own interpreter and module
        command,
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        timeout=START_LIMIT,
        check=False,
    )
    return done.returncode


async def _gone(box: Box, run: Run | None, limit: float) -> bool:
    waited = 0.0
    while alive(run) or box.kept():
        if waited >= limit:
            return False
        await asyncio.sleep(POLL)
        waited += POLL
    return True
