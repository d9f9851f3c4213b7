"""Bad days: lost answers, storms of 429, an hour's outage, deleted messages, refused blocks and channels."""

import contextlib
import random
import re
from pathlib import Path

import pytest

from receiver.core.fold import evolve
from receiver.core.incident import Phase
from receiver.core.principal import Principal
from receiver.core.telling import rows
from receiver.ports import StoreUnavailable
from tests.integration.slack.scene import Scene, scene, shown
from tests.integration.slack.test_incident import ASKS, RESTART
from tests.slack_double import Fault
from tests.slack_double.state import Message

pytestmark = pytest.mark.anyio


async def one_incident(one: Scene, *, seconds: float = 40.0) -> None:
    """Let a service stop, be repaired and resolve."""
    one.world.fails()
    await one.world.fire()
    await one.live(seconds)
    await one.world.fire(one.world.alert(status="resolved"))
    await one.live(seconds)
    assert (await one.world.incident()).phase is Phase.RESOLVED


def in_order(keys: list[str]) -> bool:
    numbers = [int(key.split("/")[1]) for key in keys]
    return numbers == sorted(numbers)


async def test_an_answer_that_is_lost_after_the_commit_posts_nothing_twice(tmp_path: Path) -> None:
    async with scene(tmp_path, RESTART, socket=True) as one:
        for _ in range(3):
            one.double.faults.add(Fault.answer_lost(), "chat.postMessage")
            await one.live(0.0)
        await one_incident(one, seconds=60.0)
        assert len(one.top()) == 1
        assert len(one.told()) == len(set(one.told()))
        assert in_order(one.told())
        assert one.told()[-1].endswith("/summary")
        assert "RESOLVED" in shown(one.top()[0])


@pytest.mark.parametrize("method", ["chat.postMessage", "chat.update", "*"])
async def test_every_second_answer_lost_posts_nothing_twice(tmp_path: Path, method: str) -> None:
    async with scene(tmp_path, ASKS) as one:
        one.world.fails()
        await one.world.fire()
        for _ in range(20):
            one.double.faults.add(Fault.answer_lost(), method)
            await one.live(7.0)
        incident = await one.world.incident()
        await one.world.operations.vote(incident.id, by=Principal("ann", "cli"), approve=True, reason="")
        for _ in range(20):
            one.double.faults.add(Fault.answer_lost(), method)
            await one.live(7.0)
        one.double.faults.clear()
        await one.world.fire(one.world.alert(status="resolved"))
        await one.live(300.0)
        assert (await one.world.incident()).phase is Phase.RESOLVED, await one.world.story()
        assert len(one.top()) == 1
        assert len(one.told()) == len(set(one.told()))
        assert in_order(one.told())
        assert "RESOLVED" in shown(one.top()[0])


@pytest.mark.parametrize("point", [1, 2, 3, 4])
async def test_a_crash_between_the_post_and_its_note_posts_nothing_twice(
    tmp_path: Path, point: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Crash(BaseException):
        """Not an error that anything handles."""

    async with scene(tmp_path, RESTART) as one:
        one.world.fails()
        await one.world.fire()
        real = one.chat.post
        left = point

        async def post(*arguments: object, **more: object) -> object:
            nonlocal left
            posted = await real(*arguments, **more)  # type: ignore[arg-type]
            left -= 1
            if left == 0:
                raise Crash
            return posted

        monkeypatch.setattr(one.chat, "post", post)
        with pytest.raises(Crash):
            await one.live(300.0)
        one.restart()
        await one.live(40.0)
        await one.world.fire(one.world.alert(status="resolved"))
        await one.live(40.0)
        assert one.told()[-1].endswith("/summary")
        assert len(one.top()) == 1
        assert len(one.told()) == len(set(one.told()))
        assert in_order(one.told())


async def test_a_storm_of_429_is_waited_out_as_asked(tmp_path: Path) -> None:
    async with scene(tmp_path, RESTART) as one:
        one.double.faults.add(Fault.too_fast(30), times=None, seconds=100.0)
        await one_incident(one, seconds=200.0)
        refused = [error for error in one.called("chat.postMessage") if error is not None]
        assert 1 <= len(refused) <= 5
        assert len(one.top()) == 1
        assert in_order(one.told())
        assert one.told()[-1].endswith("/summary")


@pytest.mark.parametrize("fault", [Fault.too_many_messages(), Fault.rate_limited(), Fault.too_fast(None)])
async def test_the_other_ways_to_say_too_fast_pause_as_well(tmp_path: Path, fault: Fault) -> None:
    async with scene(tmp_path, RESTART) as one:
        one.double.faults.add(fault, "chat.postMessage")
        one.world.fails()
        await one.world.fire()
        await one.live(29.0)
        assert one.messages() == []
        await one.live(5.0)
        assert len(one.top()) == 1


async def test_after_an_hours_outage_there_is_one_header_and_one_collapsed_catch_up(tmp_path: Path) -> None:
    async with scene(tmp_path, RESTART) as one:
        one.double.faults.outage(3600.0)
        began = one.world.clock.now()
        await one_incident(one, seconds=900.0)
        # Remediation went on; nothing was said.
        assert one.messages() == []
        assert len(one.double.calls) < 120
        await one.live(began + 3600.0 + 120.0 - one.world.clock.now())
        (header,) = one.top()
        (caught_up,) = one.thread()
        assert "✅ P1 RESOLVED" in shown(header)
        told = re.search(r"\*(\d+) events, <!date\^(\d+)\^\{time\}\|[^>]+> to <!date\^(\d+)\^", shown(caught_up))
        assert told is not None
        log = await one.world.store.events((await one.world.incident()).id)
        assert int(told[2]) == int(log[0].at)
        assert int(told[1]) == len(one.told()) - 1
        assert shown(caught_up).count("<!date^") >= int(told[1])
        assert in_order(one.told())
        assert "What ended it" in shown(caught_up)
        assert caught_up.broadcast
        assert one.states[-1] == "ok"
        assert "unreachable" in one.states


async def test_an_approval_that_was_decided_during_an_outage_asks_nobody_any_more(tmp_path: Path) -> None:
    async with scene(tmp_path, ASKS) as one:
        one.double.faults.outage(1000.0)
        one.world.fails()
        await one.world.fire()
        await one.live(100.0)
        incident = await one.world.incident()
        await one.world.operations.vote(incident.id, by=Principal("ann", "cli"), approve=True, reason="")
        await one.live(1100.0)
        texts = "\n".join(shown(message) for message in one.messages())
        assert "To answer" not in texts
        assert "approved by ann" in texts


@pytest.mark.parametrize("after", [0.5, 5.0])
async def test_a_deleted_header_is_noticed_and_posted_anew(tmp_path: Path, after: float) -> None:
    async with scene(tmp_path, RESTART) as one:
        one.world.fails()
        await one.world.fire()
        await one.live(after)
        (first,) = one.top()
        one.double.team.delete(one.ops, first)
        await one.live(30.0)
        await one.world.fire(one.world.alert(status="resolved"))
        await one.live(60.0)
        headers = [message for message in one.top() if message.metadata is not None and keys_of(message) == ["header"]]
        (header,) = headers
        later = [message for message in one.thread() if message.ts > header.ts]
        assert later
        assert {message.thread_ts for message in later} == {header.ts}
        strays = [message for message in one.top() if not message.tombstone and message is not header]
        assert len(strays) <= 1
        told = [key for message in strays for key in keys_of(message)]
        assert not set(told) & set(one.told())


def keys_of(message: Message) -> list[str]:
    keys: list[str] = (message.metadata or {})["event_payload"]["keys"]
    return keys


async def test_blocks_that_slack_refuses_are_sent_once_as_plain_text(tmp_path: Path) -> None:
    async with scene(tmp_path, RESTART) as one:
        one.double.faults.add(Fault.error("invalid_blocks"), "chat.postMessage")
        one.world.fails()
        await one.world.fire()
        await one.live(0.5)
        assert one.called("chat.postMessage") == ["invalid_blocks", None]
        (header,) = one.top()
        assert header.blocks == []
        assert "P1 OPEN · api" in header.text
        assert not (await one.world.store.letters(dead=True)).items


async def test_what_is_refused_as_text_too_is_a_dead_letter_that_can_be_sent_again(tmp_path: Path) -> None:
    async with scene(tmp_path, RESTART) as one:
        one.world.fails()
        await one.world.fire()
        await one.live(0.5)
        one.double.faults.add(Fault.error("msg_too_long"), "chat.postMessage", times=2)
        await one.live(60.0)
        letters = (await one.world.store.letters(dead=True)).items
        assert letters
        assert "msg_too_long" in letters[0].error
        assert ("slack", "dead") in one.seen
        for letter in letters:
            assert await one.world.store.resend(letter.id)
        await one.live(20.0)
        assert {letter.row.key for letter in letters} <= set(one.told())
        assert len(one.told()) == len(set(one.told()))


@pytest.mark.parametrize(("code", "words"), [("not_in_channel", "not_in_channel"), ("invalid_auth", "invalid_auth")])
async def test_what_slack_refuses_for_its_settings_waits_until_somebody_puts_it_right(
    tmp_path: Path, code: str, words: str
) -> None:
    async with scene(tmp_path, RESTART) as one:
        one.double.faults.add(Fault.error(code), "chat.*", times=None)
        await one_incident(one, seconds=300.0)
        waiting = (await one.world.store.letters(dead=False)).items
        assert any(words in letter.error and "slack check" in letter.error for letter in waiting)
        assert len(one.double.calls) < 20
        one.double.faults.clear()
        await one.live(100.0)
        assert len(one.top()) == 1
        assert not (await one.world.store.letters(dead=True)).items


async def test_a_refusal_that_nobody_knows_is_given_up_in_the_end_and_holds_nobody_else(tmp_path: Path) -> None:
    async with scene(tmp_path, RESTART) as one:
        one.double.faults.add(Fault.error("never_seen_before"), "chat.postMessage", times=None)
        one.world.fails()
        await one.world.fire()
        await one.live(1200.0)
        assert (await one.world.store.letters(dead=True)).items


FAULTS = (
    Fault.answer_lost(),
    Fault.dropped(),
    Fault.too_fast(7),
    Fault.too_fast(None),
    Fault.too_many_messages(),
    Fault.server_error(500),
    Fault("http", after_commit=True, status=502),
    Fault.error("internal_error"),
    Fault.error("fatal_error", after_commit=True),
    Fault.error("not_in_channel"),
)


@pytest.mark.parametrize("seed", range(12))
async def test_whatever_fails_everything_is_told_once_and_in_order(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    async with scene(tmp_path, ASKS) as one:
        one.world.fails()
        await one.world.fire()
        for number in range(40):
            for _ in range(chance.randrange(3)):
                method = chance.choice(["chat.postMessage", "chat.update", "conversations.*", "*"])
                one.double.faults.add(chance.choice(FAULTS), method, times=chance.randrange(1, 4))
            incident = await one.world.incident()
            if chance.random() < 0.3 and incident.open:
                await one.world.operations.note(incident.id, by=Principal("ann", "cli"), text=f"note {number}")
            if number == 12:
                await one.world.operations.vote(incident.id, by=Principal("ann", "cli"), approve=True, reason="")
            if chance.random() < 0.15:
                one.restart()
            await one.live(chance.random() * 20.0)
        one.double.faults.clear()
        await one.world.fire(one.world.alert(status="resolved"))
        await one.live(400.0)
        incident = await one.world.incident()
        assert not incident.open, await one.world.story()
        assert len(one.top()) == 1
        assert "RESOLVED" in shown(one.top()[0])
        assert len(one.told()) == len(set(one.told()))
        assert in_order(one.told())
        assert await should_be_told(one) == [key for key in one.told() if not key.endswith("/alerts_changed")]


async def should_be_told(one: Scene) -> list[str]:
    """Return the keys of what was written for Slack, but headers, and alerts, which depend on what came together."""
    found: list[str] = []
    log = await one.world.store.events((await one.world.incident()).id)
    before = None
    for recorded in log:
        after = evolve(before, recorded)
        found += [row.key for row in rows(before, after, [recorded], ("slack",)) if row.kind != "header"]
        before = after
    return [key for key in found if not key.endswith("/alerts_changed")]


async def test_who_may_not_read_threads_back_gets_a_message_twice_rather_than_not_at_all(tmp_path: Path) -> None:
    async with scene(tmp_path, RESTART) as one:
        one.double.allow("chat:write")
        one.world.fails()
        await one.world.fire()
        await one.live(0.5)
        one.double.faults.add(Fault.answer_lost(), "chat.postMessage")
        await one.live(20.0)
        assert "missing_scope" in one.called("conversations.replies")
        told = one.told()
        assert len(told) > len(set(told))
        assert [key for key in await should_be_told(one) if key not in told] == []


async def test_a_reply_that_lands_in_the_channel_brings_the_header_back_at_once(tmp_path: Path) -> None:
    async with scene(tmp_path, RESTART) as one:
        one.world.fails()
        await one.world.fire()
        await one.live(60.0)
        one.double.team.delete(one.ops, one.top()[0])
        incident = await one.world.incident()
        await one.world.operations.note(incident.id, by=Principal("ann", "cli"), text="still there?")
        await one.live(1.0)
        stray, header = one.top()[-2:]
        assert "still there?" in shown(stray)
        assert keys_of(header) == ["header"]
        await one.world.operations.note(incident.id, by=Principal("ann", "cli"), text="and now?")
        await one.live(3.0)
        assert one.thread()[-1].thread_ts == header.ts


@pytest.mark.parametrize("method", ["sent", "refer"])
async def test_a_post_that_the_store_could_not_note_is_not_repeated(
    tmp_path: Path, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with scene(tmp_path, RESTART) as one:
        real, left = getattr(one.world.store, method), 3

        async def fails(*arguments: object) -> None:
            nonlocal left
            left -= 1
            if left >= 0:
                raise StoreUnavailable("disk")
            await real(*arguments)

        monkeypatch.setattr(one.world.store, method, fails)
        one.world.fails()
        await one.world.fire()
        for _ in range(20):
            with contextlib.suppress(StoreUnavailable):
                await one.live(3.0)
        assert left < 0
        assert len(one.top()) == 1
        assert len(one.told()) == len(set(one.told())) > 3


async def test_more_than_a_message_holds_goes_out_in_several_and_the_header_does_not_wait_for_it(
    tmp_path: Path,
) -> None:
    async with scene(tmp_path, RESTART, mode="observe") as one:
        one.world.fails()
        await one.world.fire()
        await one.live(30.0)
        one.double.faults.outage(600.0)
        incident = await one.world.incident()
        for number in range(130):
            await one.world.operations.note(incident.id, by=Principal("ann", "cli"), text=f"note {number}")
        await one.live(120.0)
        await one.world.operations.close_incident(incident.id, by=Principal("ann", "cli"), reason="enough")
        before = len(one.thread())
        await one.live(700.0)
        assert "CLOSED" in shown(one.top()[0])
        assert len(one.thread()) - before == 3
        assert len(one.told()) == len(set(one.told()))
        assert in_order(one.told())
        text = "\n".join(map(shown, one.thread()))
        assert all(f": note {number}\n" in f"{text}\n" for number in range(130))
        assert not (await one.world.store.letters(dead=True)).items
