"""The pump on a real store: in order, each lane for itself, nothing lost, nothing sent twice that can be looked up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from receiver.chat import outbox as module
from receiver.chat.outbox import ChatSender, Outbox, Sender
from receiver.core.outbox import OutboxRow
from receiver.ports import Changes, ChatError, StoreUnavailable, Unit
from receiver.store.sqlite import SqliteStore

pytestmark = pytest.mark.anyio


class Clock:
    """Time that the test sets."""

    def __init__(self) -> None:
        self.time = 1000.0

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)


class Recorder:
    """A sender that keeps what it sent and fails as told."""

    def __init__(self, *failures: Exception | None) -> None:
        self.sent: list[str] = []
        self.again: list[bool] = []
        self.failures = list(failures)
        self.gate = asyncio.Event()
        self.gate.set()

    async def send(self, row: OutboxRow, attempts: int, *, again: bool) -> str | None:
        await self.gate.wait()
        self.again.append(again)
        failure = self.failures.pop(0) if self.failures else None
        if failure is not None:
            raise failure
        self.sent.append(row.key)
        return None


class FakeChat:
    """A chat that keeps messages by key; an answer can get lost after the message was taken."""

    def __init__(self) -> None:
        self.headers: list[tuple[str | None, str]] = []
        self.messages: dict[str, str | None] = {}
        self.lose_answers = 0

    async def header(self, incident: str, payload: Mapping[str, Any], reference: str | None) -> str:
        self.headers.append((reference, payload["title"]))
        return reference or f"ts-{incident}"

    async def thread(self, incident: str, payload: Mapping[str, Any], reference: str | None, key: str) -> str:
        assert key not in self.messages, "sent twice"
        self.messages[key] = reference
        if self.lose_answers:
            self.lose_answers -= 1
            raise ChatError("no answer", retry_after=0.0, unknown=True)
        return key

    async def find(self, incident: str, key: str, reference: str | None) -> str | None:
        return key if key in self.messages else None


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def store(tmp_path: Path, clock: Clock) -> AsyncIterator[SqliteStore]:
    opened = SqliteStore.open(tmp_path / "test.db", clock)
    yield opened
    await opened.close()


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "POLL", 0.01)
    monkeypatch.setattr(module, "GAP", 0.001)


async def write(store: SqliteStore, *rows: OutboxRow) -> None:
    await store.submit(Unit(lambda _: Changes(outbox=rows)))


def entry(lane: str, number: int, incident: str = "i-1") -> OutboxRow:
    return OutboxRow(lane, "thread", f"{incident}/{number}/{lane}", incident, {"text": f"{number}"}, 1.0)


def header(title: str, number: int, incident: str = "i-1") -> OutboxRow:
    return OutboxRow("chat", "header", f"{incident}/{number}/header", incident, {"title": title}, 1.0)


async def pump(store: SqliteStore, clock: Clock, until: Callable[[], bool], **senders: Sender) -> list[tuple[str, str]]:
    """Run the pump until something is so; returns what it observed."""
    seen: list[tuple[str, str]] = []
    outbox = Outbox(store, clock, senders, lambda lane, outcome: seen.append((lane, outcome)))
    running = asyncio.create_task(outbox.run())
    async with asyncio.timeout(10):
        while not until():
            assert not running.done(), running.exception()
            await asyncio.sleep(0.002)
        outbox.stop()
        await running
    return seen


async def test_a_lane_goes_out_in_order_and_each_row_once(store: SqliteStore, clock: Clock) -> None:
    await write(store, *(entry("a", number) for number in range(30)))
    recorder = Recorder()
    seen = await pump(store, clock, lambda: len(recorder.sent) == 30, a=recorder)
    assert recorder.sent == [f"i-1/{number}/a" for number in range(30)]
    assert seen == [("a", "sent")] * 30
    assert await store.outbox(10) == []


async def test_a_lane_that_hangs_or_fails_holds_only_itself(store: SqliteStore, clock: Clock) -> None:
    hanging, failing, fine = Recorder(), Recorder(*[ChatError("down", retry_after=60.0)] * 9), Recorder()
    hanging.gate.clear()
    await write(store, *(entry(lane, number) for number in range(5) for lane in ("hangs", "fails", "fine")))
    seen: list[tuple[str, str]] = []
    senders: dict[str, Sender] = {"hangs": hanging, "fails": failing, "fine": fine}
    outbox = Outbox(store, clock, senders, lambda lane, outcome: seen.append((lane, outcome)))
    running = asyncio.create_task(outbox.run())
    async with asyncio.timeout(10):
        while seen.count(("fine", "sent")) < 5:
            await asyncio.sleep(0.002)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert (hanging.sent, failing.sent) == ([], [])
    assert [row.lane for _, row, _ in await store.outbox(10)] == ["hangs"]


async def test_a_failure_waits_as_long_as_the_other_side_asks_and_longer_each_time(
    store: SqliteStore, clock: Clock
) -> None:
    await write(store, entry("a", 1))
    recorder = Recorder(ChatError("rate limited", retry_after=30.0), ChatError("down", retry_after=0.0))
    await pump(store, clock, lambda: len(recorder.again) == 1, a=recorder)
    clock.time += 29.0
    assert await store.outbox(10) == []
    clock.time += 2.0
    await pump(store, clock, lambda: len(recorder.again) == 2, a=recorder)
    clock.time += 1.9
    assert await store.outbox(10) == []
    clock.time += 0.2
    seen = await pump(store, clock, lambda: recorder.sent != [], a=recorder)
    assert seen == [("a", "sent")]


async def test_what_can_never_succeed_is_a_dead_letter_and_the_next_row_goes_out(
    store: SqliteStore, clock: Clock
) -> None:
    await write(store, entry("a", 1), entry("a", 2))
    recorder = Recorder(ChatError("bad blocks"))
    seen = await pump(store, clock, lambda: recorder.sent == ["i-1/2/a"], a=recorder)
    assert seen == [("a", "dead"), ("a", "sent")]
    (letter,) = (await store.letters(dead=True)).items
    assert (letter.row.key, letter.error) == ("i-1/1/a", "bad blocks")


async def test_a_row_of_a_lane_that_is_not_configured_is_a_dead_letter(store: SqliteStore, clock: Clock) -> None:
    await write(store, entry("gone", 1), entry("a", 1))
    recorder = Recorder()
    await pump(store, clock, lambda: recorder.sent != [], a=recorder)
    (letter,) = (await store.letters(dead=True)).items
    assert letter.error == "no lane gone is configured"


async def test_a_sender_that_breaks_is_seen_and_blocks_nothing(store: SqliteStore, clock: Clock) -> None:
    await write(store, entry("a", 1), entry("a", 2))
    recorder = Recorder(KeyError("defect"))
    await pump(store, clock, lambda: recorder.sent == ["i-1/2/a"], a=recorder)
    (letter,) = (await store.letters(dead=True)).items
    assert "a defect of the sender: KeyError" in letter.error


async def test_the_first_row_of_a_lane_may_have_been_sent_before_a_crash_the_next_was_not(
    store: SqliteStore, clock: Clock
) -> None:
    await write(store, entry("a", 1), entry("a", 2))
    recorder = Recorder()
    await pump(store, clock, lambda: len(recorder.sent) == 2, a=recorder)
    assert recorder.again == [True, False]


async def test_a_message_whose_answer_was_lost_is_found_and_not_sent_twice(store: SqliteStore, clock: Clock) -> None:
    chat = FakeChat()
    chat.lose_answers = 1
    await write(store, entry("chat", 1), entry("chat", 2))
    sender = ChatSender("chat", chat, store)
    await pump(store, clock, lambda: len(chat.messages) == 1, chat=sender)
    clock.time += 10.0
    await pump(store, clock, lambda: len(chat.messages) == 2, chat=sender)
    assert list(chat.messages) == ["i-1/1/chat", "i-1/2/chat"]
    assert await store.outbox(10) == []


async def test_a_header_is_posted_once_and_then_edited_and_the_thread_hangs_under_it(
    store: SqliteStore, clock: Clock
) -> None:
    chat = FakeChat()
    sender = ChatSender("chat", chat, store)
    await write(store, header("open", 1), entry("chat", 2))
    await pump(store, clock, lambda: len(chat.messages) == 1, chat=sender)
    await write(store, header("acting", 3))
    await pump(store, clock, lambda: len(chat.headers) == 2, chat=sender)
    assert chat.headers == [(None, "open"), ("ts-i-1", "acting")]
    assert chat.messages == {"i-1/2/chat": "ts-i-1"}


async def test_a_store_that_fails_for_a_while_is_asked_again(
    store: SqliteStore, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await write(store, entry("a", 1))
    real, failures = store.outbox, [StoreUnavailable("disk"), StoreUnavailable("disk")]

    async def outbox(limit: int) -> Any:
        if failures:
            raise failures.pop()
        return await real(limit)

    monkeypatch.setattr(store, "outbox", outbox)
    recorder = Recorder()
    await pump(store, clock, lambda: recorder.sent != [], a=recorder)


async def test_what_was_sent_and_could_not_be_noted_is_looked_for_before_it_is_sent_again(
    store: SqliteStore, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    chat = FakeChat()
    await write(store, entry("chat", 0), entry("chat", 1))
    real, failures = store.sent, {"left": 2}

    async def sent(row: int, reference: str | None) -> None:
        if len(chat.messages) == 2 and failures["left"]:
            failures["left"] -= 1
            raise StoreUnavailable("disk")
        await real(row, reference)

    monkeypatch.setattr(store, "sent", sent)
    await pump(store, clock, lambda: not failures["left"], chat=ChatSender("chat", chat, store))
    assert len(chat.messages) == 2


async def test_stopping_sends_what_is_there_and_leaves_the_rest_in_the_store(store: SqliteStore, clock: Clock) -> None:
    recorder, later = Recorder(), Recorder(ChatError("down", retry_after=60.0))
    await write(store, *(entry("a", number) for number in range(10)), entry("b", 1))
    outbox = Outbox(store, clock, {"a": recorder, "b": later})
    outbox.stop()
    async with asyncio.timeout(60):
        await outbox.run()
    assert len(recorder.sent) == 10
    clock.time += 61.0
    assert [row.lane for _, row, _ in await store.outbox(10)] == ["b"]


async def test_stopping_goes_on_with_a_lane_that_became_free_while_the_store_was_read(
    store: SqliteStore, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = Recorder()
    recorder.gate.clear()
    await write(store, *(entry("a", number) for number in range(3)))
    real = store.outbox

    async def outbox(limit: int) -> Any:
        heads = await real(limit)
        for task in asyncio.all_tasks():
            if task.get_name() == "outbox a":
                recorder.gate.set()
                await task
                recorder.gate.clear()
        return heads

    monkeypatch.setattr(store, "outbox", outbox)
    pumped = Outbox(store, clock, {"a": recorder})
    pumped.stop()
    async with asyncio.timeout(60):
        await pumped.run()
    assert len(recorder.sent) == 3
