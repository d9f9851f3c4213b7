"""When the writer is woken: once for all that the event loop brings turn after turn, and never in vain."""

from __future__ import annotations

import asyncio
from collections import deque

import pytest

from receiver.store.gathering import QUIET, Gathering

pytestmark = pytest.mark.anyio

ENOUGH = 50


class Writer:
    """Notes what waited each time that it was woken."""

    def __init__(self) -> None:
        self.queue: deque[int] = deque()
        self.took: list[int] = []
        self.gathering = Gathering(self.queue, self.ring, ENOUGH)

    def ring(self) -> None:
        self.took.append(len(self.queue))
        self.queue.clear()

    def add(self, weight: int = 1) -> None:
        self.queue.append(weight)
        self.gathering.add(asyncio.get_running_loop(), weight)

    def done(self) -> None:
        self.gathering.done(asyncio.get_running_loop())


async def turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def settled() -> None:
    await turns(QUIET + 5)


async def test_what_comes_alone_is_taken_after_two_turns_that_bring_nothing() -> None:
    writer = Writer()
    writer.add()
    await turns(QUIET)
    assert writer.took == []
    await turns(2)
    assert writer.took == [1]


async def test_what_comes_turn_after_turn_is_taken_at_once() -> None:
    writer = Writer()
    for _ in range(20):
        writer.add()
        await turns(1)
    assert writer.took == []
    await settled()
    assert writer.took == [20]


async def test_enough_is_waited_for_at_most() -> None:
    writer = Writer()
    for _ in range(4):
        writer.add(ENOUGH // 2)
        await turns(1)
    assert writer.took == [2]


async def test_nobody_is_woken_who_is_at_work_and_what_came_meanwhile_is_next() -> None:
    writer = Writer()
    writer.add()
    await settled()
    for _ in range(3):
        writer.add(ENOUGH)
        await settled()
    assert writer.took == [1]
    writer.done()
    await settled()
    assert writer.took == [1, 3]
    writer.done()
    await settled()
    assert writer.took == [1, 3]


async def test_what_the_writer_took_by_itself_is_not_rung_for_and_the_next_is() -> None:
    writer = Writer()
    writer.add()
    writer.queue.clear()
    writer.done()
    await settled()
    assert writer.took == []
    writer.add()
    await settled()
    assert writer.took == [1]


async def test_a_loop_that_ended_holds_up_nobody() -> None:
    writer = Writer()
    ended = asyncio.new_event_loop()
    writer.queue.append(1)
    writer.gathering.add(ended, 1)
    ended.close()
    writer.add()
    await settled()
    assert writer.took == [2]
    # Nobody says that it is done, as nobody waits for it any more.
    writer.gathering.forget()
    writer.add()
    await settled()
    assert writer.took == [2, 1]
