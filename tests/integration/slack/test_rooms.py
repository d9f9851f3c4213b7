"""A channel of its own for each incident: made once, told in, led to, and archived; never in anybody's way."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from receiver.chat.slack.check import ROOM_SCOPES, SCOPES
from receiver.chat.slack.chores import Plan
from receiver.chat.slack.creating import room_name
from receiver.chat.slack.lane import SlackLane
from receiver.chat.slack.rooms import A_MINUTE, ROOMS
from receiver.core.principal import Principal
from receiver.core.severity import Severity
from receiver.ports import ChatError
from tests.integration.slack.scene import Scene, policy_of, scene, shown
from tests.integration.slack.test_incident import ASKS, RESTART
from tests.integration.slack.test_storm import Flood, drain
from tests.slack_double import Fault
from tests.slack_double.state import Channel, Message, User

pytestmark = pytest.mark.anyio

DAY = 86_400.0


@dataclass
class Hall:
    """A scene whose P1 incidents get rooms."""

    one: Scene
    ada: User
    ben: User
    responders: Sequence[tuple[str, str]] = ()

    def restart(self, severities: Sequence[str] = ("P1",)) -> None:
        """Begin anew with the lane, as after a crash."""
        called = {"P1": [self.ada.id]} if not self.responders else {}
        plan = Plan(frozenset(severities), called, DAY, lambda: self.responders)
        world = self.one.world
        self.one.lane = SlackLane(world.store, world.clock, self.one.chat, rooms=plan)

    def rooms(self) -> list[Channel]:
        return [channel for channel in self.one.double.team.channels.values() if channel.name.startswith("inc-")]

    def room(self) -> Channel:
        (room,) = self.rooms()
        return room

    def pointer(self) -> Message:
        """Return the one message in the main channel."""
        (message,) = self.one.messages()
        return message

    async def resolves(self, seconds: float = 60.0) -> None:
        """Let an incident begin and resolve."""
        world = self.one.world
        world.fails()
        await world.fire()
        await self.one.live(seconds)
        await world.fire(world.alert(status="resolved"))
        await self.one.live(seconds)
        assert not (await world.incident()).open


@asynccontextmanager
async def hall(directory: Path, rules: Any = RESTART, *, memory: bool = True) -> AsyncIterator[Hall]:
    async with scene(directory, rules, memory=memory) as one:
        place = Hall(one, one.double.team.add_user("ada"), one.double.team.add_user("ben"))
        place.restart()
        yield place


async def test_an_incident_is_told_in_its_own_channel_to_which_the_main_one_leads(tmp_path: Path) -> None:
    async with hall(tmp_path) as place:
        await place.resolves()
        room = place.room()
        assert room.name == "inc-1-api"
        (header, *_) = [message for message in place.one.messages(room) if not message.is_reply]
        assert "✅ P1 RESOLVED" in shown(header)
        assert place.one.told(room)[-1].endswith("/summary")
        assert [pin.ts for pin in room.pins] == [header.ts]
        assert place.ada.id in room.members
        assert room.topic["value"] == "P1 ServiceDown on api · i-1 · https://remediator.example"
        (bookmark,) = room.bookmarks
        assert bookmark["link"] == "https://remediator.example/incidents/i-1"
        pointer = place.pointer()
        assert f"<#{room.id}>" in shown(pointer)
        assert "✅ P1 RESOLVED · api" in shown(pointer)
        assert len(pointer.blocks) == 2
        assert set(place.one.called("conversations.create")) == {None}


async def test_the_message_that_leads_there_calls_people_while_it_is_open(tmp_path: Path) -> None:
    async with hall(tmp_path, ASKS) as place:
        place.one.world.fails()
        await place.one.world.fire()
        await place.one.live(40.0)
        assert "WAITS FOR APPROVAL" in shown(place.pointer())
        assert "<!subteam^S0123456>" in shown(place.pointer())


async def test_the_channel_is_archived_a_day_after_the_end_and_later_words_go_to_the_main_one(tmp_path: Path) -> None:
    async with hall(tmp_path) as place:
        await place.resolves()
        await place.one.live(DAY - 600.0)
        assert not place.room().archived
        await place.one.live(700.0)
        assert place.room().archived
        assert await place.one.world.store.get(ROOMS) == {}
        incident = await place.one.world.incident()
        await place.one.world.operations.note(incident.id, by=Principal("ann", "cli"), text="one thing more")
        await place.one.live(30.0)
        assert any("one thing more" in shown(message) for message in place.one.thread())
        assert set(place.one.called("conversations.archive")) == {None}


async def test_other_severities_are_told_where_they_always_were(tmp_path: Path) -> None:
    async with hall(tmp_path, policy_of(RESTART, "P3")) as place:
        await place.resolves()
        assert not place.rooms()
        assert len(place.one.top()) == 1
        assert place.one.told()[-1].endswith("/summary")


METHODS = ("conversations.create", "chat.postMessage", "conversations.invite", "pins.add", "conversations.setTopic",
           "bookmarks.add", "chat.update", "conversations.archive")  # fmt: skip


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("fault", [Fault.answer_lost(), Fault.too_fast(5), Fault.server_error(503)])
async def test_whatever_fails_everything_is_done_once(tmp_path: Path, method: str, fault: Fault) -> None:
    async with hall(tmp_path) as place:
        place.one.double.faults.add(fault, method, times=2)
        await place.resolves(120.0)
        await place.one.live(DAY + 600.0)
        if method == "conversations.create" and fault.status == 429:
            # Too fast to create channels: told at once in the main one, rather than later in its own.
            assert not place.rooms()
            return
        room = place.room()
        assert room.archived
        assert len(room.pins) == 1
        assert len(room.bookmarks) <= 1
        assert place.ada.id in room.members
        assert len([message for message in place.one.messages(room) if not message.is_reply]) == 1
        told = place.one.told(room)
        assert len(told) == len(set(told))
        assert told[-1].endswith("/summary")
        assert "RESOLVED" in shown(place.pointer())


@pytest.mark.parametrize("point", METHODS[:6])
async def test_a_crash_after_any_of_it_does_nothing_twice(
    tmp_path: Path, point: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Crash(BaseException):
        """Not an error that anything handles."""

    async with hall(tmp_path) as place:
        real, crashed = place.one.chat.api.call, False

        async def call(method: str, **arguments: Any) -> dict[str, Any]:
            nonlocal crashed
            answer = await real(method, **arguments)
            if method == point and not crashed:
                crashed = True
                raise Crash
            return answer

        monkeypatch.setattr(place.one.chat.api, "call", call)
        place.one.world.fails()
        await place.one.world.fire()
        with pytest.raises(Crash):
            await place.one.live(300.0)
        place.restart()
        await place.one.live(60.0)
        await place.one.world.fire(place.one.world.alert(status="resolved"))
        await place.one.live(60.0)
        room = place.room()
        assert len(room.pins) == 1
        assert len(room.bookmarks) <= 1
        assert len([message for message in place.one.messages(room) if not message.is_reply]) == 1
        assert "RESOLVED" in shown(place.pointer())


@pytest.mark.parametrize("crashes", [True, False])
async def test_the_message_that_leads_there_is_not_posted_twice_when_its_answer_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, crashes: bool
) -> None:
    async with hall(tmp_path) as place:
        real, lost = place.one.chat.api.call, 0

        async def call(method: str, **arguments: Any) -> dict[str, Any]:
            nonlocal lost
            answer = await real(method, **arguments)
            if "pointer" in str(arguments.get("metadata")) and lost < 1:
                lost += 1
                raise ChatError("lost", retry_after=0.0, unknown=True)
            return answer

        monkeypatch.setattr(place.one.chat.api, "call", call)
        place.one.world.fails()
        await place.one.world.fire()
        while not lost:
            await place.one.live(0.5)
        if crashes:
            place.restart()
        await place.one.live(60.0)
        assert lost == 1
        assert "api" in shown(place.pointer())
        assert len(place.room().bookmarks) == 1


async def test_a_name_that_somebody_else_took_gets_a_number(tmp_path: Path) -> None:
    async with hall(tmp_path) as place:
        place.one.double.team.add_channel("inc-1-api", place.ben.id)
        await place.resolves()
        assert sorted(room.name for room in place.rooms()) == ["inc-1-api", "inc-1-api-2"]
        theirs, ours = sorted(place.rooms(), key=lambda room: room.name)
        assert not theirs.messages
        assert place.one.told(ours)


async def test_without_the_right_to_create_channels_it_is_said_once_and_told_in_the_main_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with hall(tmp_path) as place:
        place.one.double.allow(*SCOPES)
        await place.resolves()
        place.one.world.clock.time += 400.0
        await place.resolves()
        assert not place.rooms()
        assert len(place.one.top()) >= 2
        assert place.one.called("conversations.create") == ["missing_scope"]
        out = capsys.readouterr()
        assert (out.out + out.err).count("incidents are told in the main channel") == 1


@pytest.mark.parametrize("scope", sorted(ROOM_SCOPES.keys() - {"channels:manage"}))
async def test_without_another_scope_only_that_is_left_out(tmp_path: Path, scope: str) -> None:
    async with hall(tmp_path) as place:
        group = place.one.double.team.add_group("oncall", [place.ben])
        place.one.double.allow(*((SCOPES.keys() | ROOM_SCOPES.keys()) - {scope}))
        plan = Plan(frozenset({"P1"}), {"P1": [place.ada.id, group.id]}, DAY)
        place.one.lane = SlackLane(place.one.world.store, place.one.world.clock, place.one.chat, rooms=plan)
        await place.resolves()
        room = place.room()
        assert (len(room.pins), len(room.bookmarks)) == (scope != "pins:write", scope != "bookmarks:write")
        assert place.ada.id in room.members
        assert (place.ben.id in room.members) == (scope != "usergroups:read")
        assert place.one.told(room)[-1].endswith("/summary")


async def test_where_nobody_is_named_those_who_respond_in_this_workspace_are_invited(tmp_path: Path) -> None:
    async with hall(tmp_path) as place:
        place.responders = [(place.one.double.team.id, place.ben.id), ("T0ELSEWHERE", place.ada.id)]
        place.restart()
        await place.resolves()
        assert place.ben.id in place.room().members
        assert place.ada.id not in place.room().members


async def test_one_who_cannot_be_invited_keeps_nobody_else_out(tmp_path: Path) -> None:
    async with hall(tmp_path) as place:
        me = place.one.double.app.bot_user
        place.responders = [(place.one.double.team.id, one) for one in (me, "U0GONE0001", place.ben.id)]
        place.restart()
        await place.resolves()
        assert place.ben.id in place.room().members


async def test_a_channel_that_somebody_archives_is_given_up_for_the_main_one(tmp_path: Path) -> None:
    async with hall(tmp_path) as place:
        place.one.world.fails()
        await place.one.world.fire()
        await place.one.live(30.0)
        place.room().archived = True
        await place.one.world.fire(place.one.world.alert(status="resolved"))
        await place.one.live(60.0)
        assert any(key.endswith("/summary") for key in place.one.told())
        assert len(place.one.top()) - len([m for m in place.one.top() if m.is_reply]) == 1
        assert "RESOLVED" in shown(place.one.top()[0])
        assert len(place.rooms()) == 1


async def test_a_decision_is_told_in_the_main_one_when_its_card_was_archived_with_the_channel(tmp_path: Path) -> None:
    async with hall(tmp_path, ASKS) as place:
        world = place.one.world
        world.fails()
        await world.fire()
        await place.one.live(40.0)
        assert (await world.incident()).approval is not None
        place.room().archived = True
        await world.operations.close_incident((await world.incident()).id, by=Principal("ann", "cli"), reason="enough")
        await place.one.live(120.0)
        assert any(key.endswith("/summary") for key in place.one.told())
        assert not (await world.store.letters(dead=False)).items


async def test_a_deleted_pointer_is_posted_anew(tmp_path: Path) -> None:
    async with hall(tmp_path) as place:
        place.one.world.fails()
        await place.one.world.fire()
        await place.one.live(10.0)
        place.one.double.team.delete(place.one.ops, place.pointer())
        await place.one.live(60.0)
        await place.one.world.fire(place.one.world.alert(status="resolved"))
        await place.one.live(60.0)
        assert "RESOLVED" in shown(place.pointer())


async def test_a_pointer_that_slack_refuses_is_left_out_and_nothing_turns_without_end(tmp_path: Path) -> None:
    async with hall(tmp_path) as place:
        place.one.world.fails()
        await place.one.world.fire()
        for _ in range(40):
            if place.rooms() and place.one.messages(place.room()):
                break
            await place.one.world.settle()
            await place.one.lane.step()
        place.one.double.faults.add(Fault.error("restricted_action"), "chat.postMessage")
        for _ in range(200):
            if await place.one.lane._rooms.step() != 0.0:
                break
        else:
            raise AssertionError("there is always something to do")
        assert place.one.messages() == []
        await place.one.world.fire(place.one.world.alert(status="resolved"))
        await place.one.live(2 * DAY)
        assert place.room().archived


async def test_a_storm_makes_no_hundred_channels_and_waits_for_none(tmp_path: Path) -> None:
    async with hall(tmp_path) as place:
        flood = Flood(place.one)
        for number in range(30):
            await flood.open(number, Severity.P1)
        await drain(place.one, 300.0)
        assert len(place.rooms()) == A_MINUTE
        elsewhere = [message for message in place.one.top() if "Since" in shown(message)]
        assert len(elsewhere) == 30 - A_MINUTE
        asked = [one.error for one in place.one.double.calls]
        assert set(asked) == {None}, "Slack's rates were exceeded"


@pytest.mark.parametrize(
    ("incident", "target", "name"),
    [
        ("i-k3f9x2qd", "smartresume-api", "inc-k3f9x2qd-smartresume-api"),
        ("i-1", "Ünï/Cødé <!channel>", "inc-1-n-c-d-channel"),
        ("i-1", "x" * 300, "inc-1-" + "x" * 74),
        ("i-1", "", "inc-1"),
    ],
)
def test_a_name_is_one_that_slack_takes(incident: str, target: str, name: str) -> None:
    assert room_name(incident, target) == name
