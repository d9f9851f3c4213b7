"""The desk when something is slow, broken or too much: Slack is answered in time, and the person is told."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from receiver.chat.slack import commands, desk
from receiver.chat.slack.buttons import PREFIX, Verb
from receiver.chat.slack.desk import MOST
from receiver.core import events as ev
from receiver.ports import TooBusy
from tests.integration.slack.hands import Office, office, said
from tests.integration.slack.test_approvals import ONE, asks, events, started
from tests.simulation.world import playbook, policy
from tests.slack_double import Fault

pytestmark = pytest.mark.anyio


class Held:
    """Holds a verb until it is let go."""

    def __init__(self, one: Office, monkeypatch: pytest.MonkeyPatch, verb: str = "vote") -> None:
        self.go = asyncio.Event()
        inner: Any = getattr(one.scene.world.operations, verb)

        async def held(*given: Any, **named: Any) -> Any:
            await self.go.wait()
            return await inner(*given, **named)

        monkeypatch.setattr(one.scene.world.operations, verb, held)
        monkeypatch.setattr(desk, "SOON", 0.05)
        monkeypatch.setattr(commands, "SOON", 0.05)


async def test_a_window_whose_vote_takes_long_says_wait_and_then_what_became_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with office(tmp_path, ONE) as one:
        await one.asked()
        await one.press("bob", Verb.DENY, one.card())
        held = Held(one, monkeypatch)
        view = one.hands.modal_of(one.id("bob"))
        assert view is not None
        sent = one.hands.submit(view, {"reason": "not now"})
        answer = await one.post(one.hands.signed(sent))
        one.hands.settle(sent, answer)
        assert "This window will say it." in said(view)
        held.go.set()
        await one.idle()
        assert "✔ denied" in said(view)
        assert "denied by bob: not now" in await one.scene.world.story()


async def test_a_command_that_takes_long_is_answered_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with office(tmp_path, ONE) as one:
        incident = await one.asked()
        held = Held(one, monkeypatch)
        typed = one.hands.command(one.id("ann"), one.scene.ops, "/remediator", f"approve {incident}")
        answer = await one.post(one.hands.signed(typed), "/slack/command")
        assert answer.status == 200
        one.hands.settle(typed, answer)
        assert one.told("ann").startswith("⏳ Still being recorded")
        held.go.set()
        await one.idle()
        assert "✔ approved" in one.told("ann")


async def test_a_press_is_stored_before_slack_is_answered(tmp_path: Path) -> None:
    async with office(tmp_path, ONE) as one:
        await one.asked()
        for verb, name, stored in ((Verb.ACKNOWLEDGE, "rik", ev.Acknowledged), (Verb.APPROVE, "ann", ev.Voted)):
            message = one.scene.top()[0] if verb is Verb.ACKNOWLEDGE else one.card()
            pressed = one.hands.press(one.id(name), one.scene.ops, message.ts, f"{PREFIX}{verb}")
            assert (await one.post(one.hands.signed(pressed))).status == 200
            # From here on a kill -9 loses nothing that somebody was told was taken.
            assert any(isinstance(event, stored) for event in await events(one))
            await one.idle()


async def test_a_press_that_comes_again_after_a_kill_before_its_answer_counts_once(tmp_path: Path) -> None:
    async with office(tmp_path, policy(playbook(asks(2)))) as one:
        await one.asked()
        pressed = one.hands.press(one.id("ann"), one.scene.ops, one.card().ts, f"{PREFIX}approve")
        for _ in range(2):
            desk = one.again()
            assert await desk.interactive(pressed.payload) is None
            await desk.close()
        assert sum(isinstance(event, ev.Voted) for event in await events(one)) == 1
        assert "ann has already approved restart" in one.told("ann")


async def test_a_press_that_takes_long_is_answered_in_time_and_its_sender_knows_that_it_is_not_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with office(tmp_path, ONE) as one:
        await one.asked()
        held = Held(one, monkeypatch)
        pressed = one.hands.press(one.id("ann"), one.scene.ops, one.card().ts, f"{PREFIX}approve")
        assert (await one.post(one.hands.signed(pressed))).status == 200
        for _ in range(100):
            await asyncio.sleep(0)
        assert one.told("ann").startswith("⏳ Still being recorded")
        assert not any(isinstance(event, ev.Voted) for event in await events(one))
        held.go.set()
        await one.idle()
        assert one.told("ann").startswith("✔ approved")


async def test_more_presses_than_can_be_worked_on_are_refused_and_do_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with office(tmp_path, ONE) as one:
        await one.asked()
        held = Held(one, monkeypatch)
        presses = [one.hands.press(one.id("ann"), one.scene.ops, one.card().ts, f"{PREFIX}approve") for _ in range(3)]
        monkeypatch.setattr(desk, "MOST", 3)
        assert await one.desk.interactive(presses[0].payload) is None
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert await one.desk.interactive(presses[1].payload) is None
        with pytest.raises(TooBusy):
            await one.desk.interactive(presses[2].payload)
        assert one.refused("busy") == 1
        held.go.set()
        await one.idle()
        assert MOST == 100


@pytest.mark.parametrize("how", ["late", "refused", "away"])
async def test_when_slack_opens_no_window_the_person_is_told(tmp_path: Path, how: str) -> None:
    async with office(tmp_path, ONE) as one:
        await one.asked()
        pressed = one.hands.press(one.id("bob"), one.scene.ops, one.card().ts, f"{PREFIX}deny")
        if how == "late":
            one.scene.world.clock.time += 4
        elif how == "refused":
            one.scene.double.faults.add(Fault.error("internal_error"), "views.open")
        else:
            one.scene.double.faults.add(Fault.server_error(503), "views.open")
        await one.send(pressed, "/slack/interactivity")
        assert "Slack didn't open the window for it" in one.told("bob")
        assert await started(one) == 0


async def test_a_defect_is_told_and_costs_that_press_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async with office(tmp_path, ONE) as one:
        await one.asked()

        async def broken(*_: object, **__: object) -> object:
            raise RuntimeError("a defect")

        with monkeypatch.context() as patch:
            patch.setattr(one.scene.world.operations, "vote", broken)
            assert "The service failed at this" in await one.press("ann", Verb.APPROVE, one.card())
            assert "The service failed at this" in await one.type("ann", f"approve {(await incident(one))}")
            await one.press("bob", Verb.DENY, one.card())
            assert "The service failed at this" in await one.submit("bob")
        assert "a defect" in capsys.readouterr().out
        assert (await one.press("ann", Verb.APPROVE, one.card())).startswith("✔ approved")


async def incident(one: Office) -> str:
    return (await one.scene.world.incident()).id


async def test_a_private_answer_stands_in_the_thread_of_its_card(tmp_path: Path) -> None:
    async with office(tmp_path, ONE) as one:
        await one.asked()
        await one.press("ann", Verb.APPROVE, one.card())
        (private,) = one.scene.ops.ephemeral
        assert private.thread_ts == one.scene.top()[0].ts
        assert private.only_for == one.id("ann")


async def test_what_is_no_button_or_window_of_ours_is_taken_and_nothing_follows(tmp_path: Path) -> None:
    async with office(tmp_path, ONE) as one:
        incident = await one.asked()
        before = len(await one.scene.world.store.events(incident))
        odd: list[Any] = [
            {},
            {"type": "block_actions"},
            {"type": "block_actions", "actions": "x"},
            {"type": "block_actions", "actions": [7]},
            {"type": "block_actions", "actions": [{"action_id": "remediator/approve", "value": "i-1"}]},
            {"type": "block_actions", "actions": [{"action_id": "remediator/format", "value": "i-1 p-1"}]},
            {"type": "block_actions", "actions": [{"action_id": ["remediator/ack"], "value": {}}]},
            {"type": "block_actions", "actions": [{"action_id": "remediator/ack", "value": "i-1'; drop"}]},
            {"type": "view_submission"},
            {"type": "view_submission", "view": {"callback_id": "remediator/kill", "private_metadata": "on; off"}},
            {"type": "view_submission", "view": {"callback_id": "remediator/vote", "private_metadata": "approve i-1"}},
            {"type": "view_submission", "view": {"callback_id": "others", "private_metadata": "on"}},
            {"type": "view_closed", "view": {}},
            {"type": 7},
        ]
        for payload in odd:
            assert await one.desk.interactive(payload) is None
            await one.idle()
        states: list[Any] = [None, {}, {"values": []}, {"values": {"reason": 1}}, {"values": {"reason": {"reason": 1}}}]
        for state in states:
            view = {"callback_id": "remediator/vote", "private_metadata": "deny i-1 p-2", "state": state}
            answer = await one.desk.interactive({"type": "view_submission", "view": view})
            assert answer == {"response_action": "errors", "errors": {"reason": "A reason is needed."}}
        assert len(await one.scene.world.store.events(incident)) == before


async def test_a_known_secret_in_a_reason_is_shown_to_nobody(tmp_path: Path) -> None:
    async with office(tmp_path, policy(playbook(asks(2)))) as one:
        await one.asked()
        one.desk.answers._redact = lambda text: text.replace("known-by-value", "***")
        card, seen = one.card(), one.seen(one.card())
        await one.press("bob", Verb.DENY, card)
        # Where it is cut, half of the secret would be left.
        long = "x" * 678 + " known-by-value"
        await one.press("ann", Verb.DENY, card)
        assert await one.submit("bob", long) == ""
        late = await one.submit("ann", "no")
        late += await one.press("ann", Verb.APPROVE, card, seen=seen)
        assert "xxx" in late
        assert "known" not in late
        assert "known" not in json.dumps([message.text for message in one.scene.ops.ephemeral])


async def test_what_is_pressed_before_a_stop_is_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with office(tmp_path, ONE) as one:
        await one.asked()
        held = Held(one, monkeypatch)
        pressed = one.hands.press(one.id("ann"), one.scene.ops, one.card().ts, f"{PREFIX}approve")
        assert await one.desk.interactive(pressed.payload) is None
        await asyncio.sleep(0.01)
        asyncio.get_running_loop().call_later(0.05, held.go.set)
        await one.desk.close()
        assert "approved by ann" in await one.scene.world.story()
        assert "✔ approved" in one.told("ann")
