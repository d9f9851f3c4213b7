"""Socket Mode against the double: acknowledged at once, worked on once, connected again."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from receiver.chat.slack import sockets
from receiver.chat.slack.api import SlackApi
from receiver.chat.slack.sockets import FIRST_PAUSE, LONGEST_PAUSE, REMEMBERED, Envelopes, SocketMode
from receiver.ports import TooBusy
from tests.simulation.world import FakeClock
from tests.slack_double import Fault, SlackDouble
from tests.slack_double.double import APP_TOKEN
from tests.slack_double.running import serving
from tests.slack_double.sockets import Envelope

pytestmark = pytest.mark.anyio

PATIENCE = 5.0


class SlowClock(FakeClock):
    """A fake clock whose pauses are noted, and let others work."""

    def __init__(self) -> None:
        super().__init__()
        self.pauses: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.time += seconds
        await asyncio.sleep(0.01)


class Desk:
    """Takes what comes, and answers as it is told."""

    def __init__(self) -> None:
        self.got: list[Mapping[str, Any]] = []
        self.answers: dict[str, Any] | None = None
        self.busy = False

    async def interactive(self, payload: Mapping[str, Any]) -> dict[str, Any] | None:
        if self.busy:
            raise TooBusy
        self.got.append(payload)
        return self.answers

    async def command(self, form: Mapping[str, str]) -> dict[str, Any] | None:
        return await self.interactive(form)


class Line:
    """The double, Socket Mode, and who is behind it."""

    def __init__(self, double: SlackDouble, url: str, http: httpx.AsyncClient) -> None:
        self.double = double
        self.clock = SlowClock()
        self.desk = Desk()
        self.states: list[str] = []
        self.refused: list[str] = []
        api = SlackApi(f"{url}/api", APP_TOKEN, http)
        self.mode = SocketMode(api, self.desk, self.clock, self.states.append, self.refused.append)

    async def deliver(self, kind: str = "interactive", payload: dict[str, Any] | None = None) -> Envelope:
        app = self.double.app.id
        return self.double.sockets.deliver(app, kind, payload or {"type": "block_actions"}, accepts_response=True)

    async def answered(self, envelope: Envelope) -> Any:
        return await asyncio.wait_for(asyncio.wrap_future(envelope.acknowledged), PATIENCE)

    async def until(self, connected: int, opened: int = 1) -> None:
        async with asyncio.timeout(PATIENCE):
            while self.double.sockets.connected != connected or self.opened() < opened:
                await asyncio.sleep(0.01)

    def opened(self) -> int:
        return sum(one.method == "apps.connections.open" and one.error is None for one in self.double.calls)


@asynccontextmanager
async def line(*, connected: bool = True) -> AsyncIterator[Line]:
    double = SlackDouble()
    async with serving(double) as url, httpx.AsyncClient(trust_env=False) as http:
        one = Line(double, url, http)
        task = asyncio.create_task(one.mode.run())
        try:
            if connected:
                await one.until(1)
            yield one
            assert not task.done(), task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
    await asyncio.sleep(0)


async def test_a_press_is_acknowledged_and_handed_on() -> None:
    async with line() as one:
        envelope = await one.deliver()
        assert await one.answered(envelope) is None
        assert one.desk.got == [{"type": "block_actions"}]
        assert one.states[-1] == "ok"


async def test_an_answer_goes_back_with_the_acknowledgement() -> None:
    async with line() as one:
        one.desk.answers = {"response_action": "clear"}
        assert await one.answered(await one.deliver()) == {"response_action": "clear"}
        one.desk.answers = {"text": "three are open"}
        command = await one.deliver("slash_commands", {"command": "/remediator", "text": "list", "odd": 7})
        assert await one.answered(command) == {"text": "three are open"}
        assert one.desk.got[-1] == {"command": "/remediator", "text": "list"}


async def test_what_slack_sends_twice_is_acknowledged_twice_and_done_once() -> None:
    async with line() as one:
        envelope = await one.deliver()
        await one.answered(envelope)
        one.double.sockets.repeat(one.double.app.id, envelope)
        async with asyncio.timeout(PATIENCE):
            while envelope.acks < 2:
                await asyncio.sleep(0.01)
        assert len(one.desk.got) == 1


async def test_what_was_too_much_and_comes_again_on_another_connection_is_done_then() -> None:
    async with line() as one:
        one.desk.busy = True
        envelope = await one.deliver()
        async with asyncio.timeout(PATIENCE):
            while not envelope.sent:
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        one.desk.busy = False
        one.double.sockets.break_off()
        await one.answered(envelope)
        assert (envelope.sent, len(one.desk.got)) == (2, 1)


async def test_what_was_done_and_comes_again_on_another_connection_is_not_done_again() -> None:
    async with line() as one:
        envelope = await one.deliver()
        await one.answered(envelope)
        one.double.sockets.break_off()
        await one.until(1, opened=2)
        one.double.sockets.repeat(one.double.app.id, envelope)
        async with asyncio.timeout(PATIENCE):
            while envelope.acks < 2:
                await asyncio.sleep(0.01)
        assert (envelope.sent, len(one.desk.got)) == (2, 1)


async def test_what_is_too_much_is_not_acknowledged_so_that_slack_tells_the_person() -> None:
    async with line() as one:
        one.desk.busy = True
        envelope = await one.deliver()
        other = await one.deliver("slash_commands", {"command": "/remediator"})
        await asyncio.sleep(0.1)
        assert (envelope.acks, other.acks, one.desk.got) == (0, 0, [])


async def test_what_there_is_no_room_for_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    async with line() as one:
        monkeypatch.setattr(sockets, "AT_WORK", 1)
        envelope = await one.deliver()
        async with asyncio.timeout(PATIENCE):
            while not one.refused:
                await asyncio.sleep(0.01)
        assert (envelope.acks, one.refused) == (0, ["busy"])


async def test_a_connection_that_breaks_is_opened_again_after_a_pause() -> None:
    async with line() as one:
        one.double.sockets.break_off()
        await one.until(1, opened=2)
        assert one.clock.pauses == [FIRST_PAUSE]
        await one.answered(await one.deliver())
        assert "not connected" in one.states
        assert one.states[-1] == "ok"


async def test_a_connection_is_replaced_before_slack_ends_it() -> None:
    async with line() as one:
        # Slack sees a connection before we do: what was answered shows that its time has begun.
        await one.answered(await one.deliver())
        one.clock.time += 100
        one.double.sockets.disconnect("warning")
        await one.until(2, opened=2)
        envelopes = [await one.deliver() for _ in range(4)]
        for envelope in envelopes:
            await one.answered(envelope)
        assert len(one.desk.got) == 5, "both are read"
        assert one.clock.pauses == []


async def test_refreshes_without_end_are_not_followed_without_a_pause() -> None:
    async with line() as one:
        for opened in range(2, 5):
            one.double.sockets.disconnect("refresh_requested")
            await one.until(1, opened=opened)
        assert one.clock.pauses == [FIRST_PAUSE] * 3


async def test_pauses_double_up_to_a_minute_while_slack_is_away() -> None:
    async with line(connected=False) as one:
        one.double.faults.outage(100_000.0)
        async with asyncio.timeout(PATIENCE):
            while len(one.clock.pauses) < 9:
                await asyncio.sleep(0.01)
        assert one.clock.pauses[:8] == sorted(one.clock.pauses[:8])
        assert max(one.clock.pauses) == LONGEST_PAUSE
        assert one.states[-1] == "not connected"


async def test_a_token_that_is_refused_is_tried_once_a_minute_and_said() -> None:
    async with line(connected=False) as one:
        one.double.tokens[APP_TOKEN].revoked = True
        async with asyncio.timeout(PATIENCE):
            while len(one.clock.pauses) < 3:
                await asyncio.sleep(0.01)
        assert set(one.clock.pauses[1:]) == {LONGEST_PAUSE}


async def test_slacks_time_to_wait_is_kept() -> None:
    async with line(connected=False) as one:
        one.double.faults.add(Fault.too_fast(37), "apps.connections.open")
        async with asyncio.timeout(PATIENCE):
            while 37.0 not in one.clock.pauses:
                await asyncio.sleep(0.01)
        await one.until(1)


async def test_a_frame_that_means_nothing_ends_nothing() -> None:
    async with line() as one:
        (connection,) = one.double.sockets._connections
        for frame in ("nonsense", "[]", '{"type": "new_kind", "envelope_id": "e-1"}', "[" * 100_000):
            await connection.socket.send_text(frame)
        await one.answered(await one.deliver())
        assert len(one.desk.got) == 1


def test_envelopes_are_remembered_for_ten_minutes() -> None:
    clock = FakeClock()
    envelopes = Envelopes(clock)
    assert [envelopes.new("a"), envelopes.new("a"), envelopes.new("b")] == [True, False, True]
    clock.time += REMEMBERED + 1
    assert envelopes.new("a")
