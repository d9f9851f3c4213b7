"""Calls under way: none is cancelled, and what nobody asks about any more isn't kept for ever."""

from __future__ import annotations

import asyncio

import pytest

from receiver.calls import MOST, Calls
from remediations.protocol import Outcome
from tests.simulation.world import FakeClock

pytestmark = pytest.mark.anyio


async def outcome(after: asyncio.Event | None = None) -> Outcome:
    if after is not None:
        await after.wait()
    return Outcome(ok=True, text="done")


async def test_who_stops_waiting_has_not_stopped_the_call() -> None:
    calls, go = Calls(FakeClock()), asyncio.Event()
    calls.start("a-1", outcome(go))
    assert not await calls.ended("a-1", 0.0)
    waiting = asyncio.create_task(calls.ended("a-1", 60.0))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    go.set()
    assert await calls.ended("a-1", 60.0)
    assert calls.outcome("a-1")[0].ok
    calls.forget("a-1")
    assert not calls.knows("a-1")


async def test_what_ended_and_nobody_asked_about_is_dropped_and_what_runs_is_not() -> None:
    calls, go = Calls(FakeClock()), asyncio.Event()
    calls.start("a-slow", outcome(go))
    for number in range(3 * MOST):
        calls.start(f"a-{number}", outcome())
        await asyncio.sleep(0)
    assert calls.knows("a-slow")
    assert sum(calls.knows(f"a-{number}") for number in range(3 * MOST)) <= MOST
    await calls.close()


async def test_closing_waits_for_nothing() -> None:
    calls = Calls(FakeClock())
    calls.start("a-1", outcome(asyncio.Event()))
    async with asyncio.timeout(5):
        await calls.close()
    assert not calls.knows("a-1")
