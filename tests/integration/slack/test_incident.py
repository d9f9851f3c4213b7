"""An incident in Slack from its header to its summary, on a faithful double with Slack's rates."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from receiver.core.incident import Phase
from receiver.core.playbook import ApprovalPolicy
from receiver.core.principal import Principal
from tests.integration.slack.scene import policy_of, scene, shown
from tests.simulation.world import playbook, policy, step

pytestmark = pytest.mark.anyio

RESTART = policy(playbook(step("restart")))
ASKS = policy(playbook(step("restart", approval=ApprovalPolicy(approvals=1, expires=600.0))))


async def test_an_incident_is_told_from_its_header_to_its_summary(tmp_path: Path) -> None:
    async with scene(tmp_path, RESTART, socket=True) as one:
        one.world.fails()
        await one.world.fire()
        await one.live(4.0)
        (header,) = one.top()
        assert "🛑 P1" in shown(header)
        assert "<!subteam^S0123456>" in shown(header)
        assert "▲ 1 firing, ✔ 0 resolved" in shown(header)
        await one.live(30.0)
        await one.world.fire(one.world.alert(status="resolved"))
        await one.live(40.0)
        assert (await one.world.incident()).phase is Phase.RESOLVED, await one.world.story()
        (header,) = one.top()
        assert "✅ P1 RESOLVED · api" in shown(header)
        assert "✔ 1 resolved" in shown(header)
        assert header.blocks[0]["text"]["text"].startswith("✅")
        assert "<!subteam" not in shown(header)
        kinds = [key.rpartition("/")[2] for key in one.told()]
        assert kinds[0] == "opened"
        assert kinds[-2:] == ["resolved", "summary"]
        assert {"step_started", "step_finished", "verified"} <= set(kinds)
        assert len(kinds) == len(set(one.told()))
        last = one.thread()[-1]
        assert "What ended it" in shown(last)
        assert "step restart done" in shown(last)
        story = "\n".join(shown(message) for message in one.thread())
        assert "until <!date^" in story
        assert not re.search(r"\d\d:\d\d:\d\dZ", re.sub(r"<!date[^>]+>", "", story)), "a time in nobody's zone"
        assert [message.broadcast for message in one.thread()] == [False] * (len(one.thread()) - 1) + [True]
        assert set(one.called("chat.postMessage") + one.called("chat.update")) == {None}
        assert await one.world.store.lane("slack", 10) == []


async def test_a_request_for_approval_is_a_card_that_shows_its_decision(tmp_path: Path) -> None:
    async with scene(tmp_path, ASKS) as one:
        one.world.fails()
        await one.world.fire()
        await one.live(10.0)
        incident = await one.world.incident()
        (card,) = [message for message in one.thread() if "Approval needed" in shown(message)]
        assert card.broadcast
        assert f"`remediator approve {incident.id}`" in shown(card)
        assert "<!subteam^S0123456>" in shown(card)
        await one.world.operations.vote(incident.id, by=Principal("ann", "cli"), approve=True, reason="")
        await one.live(10.0)
        assert "✅ Approved: step restart" in shown(card)
        assert "approved by ann" in shown(card)
        assert "remediator approve" not in shown(card)
        assert "<!subteam" not in shown(card)
        await one.live(200.0)
        await one.world.fire(one.world.alert(status="resolved"))
        await one.live(60.0)
        assert "Approved by*\nann" in shown(one.thread()[-1])


async def test_a_failure_is_broadcast_and_calls_those_of_its_severity(tmp_path: Path) -> None:
    async with scene(tmp_path, ASKS) as one:
        one.world.fails()
        await one.world.fire()
        await one.live(10.0)
        incident = await one.world.incident()
        await one.world.operations.vote(incident.id, by=Principal("ann", "cli"), approve=False, reason="not now")
        await one.live(900.0)
        (failed,) = [message for message in one.thread() if "Needs a person" in shown(message)]
        assert failed.broadcast
        assert "<!subteam^S0123456>" in shown(failed)
        assert "⛔ Denied: step restart" in "\n".join(shown(message) for message in one.thread())
        assert "NEEDS A PERSON" in shown(one.top()[0])


async def test_a_severity_has_its_own_channel(tmp_path: Path) -> None:
    async with scene(tmp_path, policy_of(RESTART, "P2")) as one:
        one.world.fails()
        await one.world.fire()
        await one.live(10.0)
        assert one.messages() == []
        assert "🔶 P2" in shown(one.top(one.major)[0])


async def test_observing_says_so_and_touches_nothing(tmp_path: Path) -> None:
    async with scene(tmp_path, RESTART, mode="observe") as one:
        one.world.fails()
        await one.world.fire()
        await one.live(30.0)
        assert "observes only" in shown(one.top()[0])
        assert any("Would have run step restart" in shown(message) for message in one.thread())


async def test_more_than_one_entry_a_second_is_one_message(tmp_path: Path) -> None:
    async with scene(tmp_path, RESTART, mode="observe") as one:
        one.world.fails()
        await one.world.fire()
        await one.live(30.0)
        before = len(one.thread())
        incident = await one.world.incident()
        for number in range(10):
            await one.world.operations.note(incident.id, by=Principal("ann", "cli"), text=f"note {number}")
            await one.live(0.1)
        await one.live(2.0)
        added = one.thread()[before:]
        assert len(added) == 2
        assert [f"note {number}" in "\n".join(map(shown, added)) for number in range(10)] == [True] * 10


async def test_a_header_is_edited_every_five_seconds_at_most_and_at_once_when_its_state_changes(tmp_path: Path) -> None:
    async with scene(tmp_path, RESTART, mode="observe") as one:
        one.world.fails()
        await one.world.fire()
        await one.live(30.0)
        edits = len(one.called("chat.update"))
        for number in range(9):
            await one.world.fire(replace(one.world.alert(), fingerprint=f"{number:016x}"))
            await one.live(1.0)
        await one.live(6.0)
        assert len(one.called("chat.update")) - edits <= 3
        assert "▲ 10 firing" in shown(one.top()[0])
        incident = await one.world.incident()
        await one.world.fire(replace(one.world.alert(), fingerprint="a" * 16))
        await one.live(0.2)
        await one.world.operations.close_incident(incident.id, by=Principal("ann", "cli"), reason="enough")
        await one.live(0.2)
        assert "CLOSED" in shown(one.top()[0])
