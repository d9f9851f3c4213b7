"""A severity that becomes worse, and stakeholders, on Slack's double."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from receiver.chat.outbox import Sender
from receiver.chat.slack.lane import LANE
from receiver.chat.slack.notices import CallSender, NoticeSender, RaisedSender
from receiver.core.notices import RAISED
from receiver.core.playbook import ApprovalPolicy
from receiver.core.principal import Principal
from receiver.core.severity import Severity
from receiver.core.telling import SECOND_CHANNEL
from receiver.ports import ChatError
from tests.integration.slack.scene import Scene, policy_of, scene, shown
from tests.simulation.world import playbook, policy, step

pytestmark = pytest.mark.anyio

ANN = Principal("ann", "cli", "token", "192.0.2.7")
P2 = policy_of(policy(playbook(step("restart"))), "P2")


async def pump(one: Scene, senders: Mapping[str, Sender], *, lost: bool = False) -> int:
    """Send what waits in these lanes; with `lost` as if the answer had never come. Returns how many rows were sent."""
    sent = 0
    while rows := [row for row in await one.world.store.outbox(64) if row[1].lane in senders]:
        for handle, row, attempts in rows:
            await senders[row.lane].send(row, attempts, again=lost)
            await one.world.store.sent(handle, None)
            sent += 1
    return sent


async def raise_to_p1(one: Scene) -> None:
    incident = await one.world.incident()
    answer = await one.world.operations.change_severity(
        incident.id, by=ANN, severity=Severity.P1, reason="<!channel> nobody can pay"
    )
    assert answer.ok, answer.text


async def test_a_severity_that_a_person_raises_calls_its_people_in_the_thread_and_points_its_channel_there(
    tmp_path: Path,
) -> None:
    async with scene(tmp_path, P2) as one:
        one.world.engine.lanes = (LANE, RAISED)
        senders = {RAISED: RaisedSender(one.chat, one.world.clock, one.lane.budget, one.world.store)}
        await one.world.fire()
        await one.live(5.0)
        await raise_to_p1(one)
        await one.live(10.0)
        (told,) = [message for message in one.thread(one.major) if "P2 → P1" in shown(message)]
        assert told.broadcast
        assert "<!subteam^S0123456>" in shown(told)
        assert "&lt;!channel&gt; nobody can pay" in shown(told)
        assert await pump(one, senders) == 1
        (pointer,) = one.top(one.ops)
        assert f"<#{one.major.id}>" in shown(pointer)
        assert "<!subteam^S0123456>" in shown(pointer)
        assert "P2 became P1" in shown(pointer)


async def test_an_incident_that_is_told_in_that_channel_already_is_not_pointed_at(tmp_path: Path) -> None:
    async with scene(tmp_path, policy_of(policy(playbook(step("restart"))), "P3")) as one:
        one.world.engine.lanes = (LANE, RAISED)
        await one.world.fire()
        await one.live(5.0)
        await raise_to_p1(one)
        await one.live(10.0)
        assert (
            await pump(one, {RAISED: RaisedSender(one.chat, one.world.clock, one.lane.budget, one.world.store)})
        ) == 1
        assert len(one.top(one.ops)) == 1


async def test_stakeholders_hear_of_their_severities_only_and_once_after_a_lost_answer(tmp_path: Path) -> None:
    async with scene(tmp_path, P2) as one:
        board, shop = one.double.channel("board"), one.double.channel("shop")
        one.world.engine.lanes = (LANE, f"notices:{board.id}", f"notices:{shop.id}")
        senders: dict[str, Sender] = {
            f"notices:{channel.id}": NoticeSender(one.chat, one.world.clock, one.lane.budget, channel.id, severities)
            for channel, severities in ((board, ["P1"]), (shop, ["P1", "P2"]))
        }
        await one.world.fire()
        await pump(one, senders)
        assert (len(one.top(board)), len(one.top(shop))) == (0, 1)
        await raise_to_p1(one)
        (row,) = [row for row in await one.world.store.outbox(64) if row[1].lane == f"notices:{board.id}"]
        await senders[row[1].lane].send(row[1], 0, again=False)
        await pump(one, senders, lost=True)
        (told,) = one.top(board)
        assert "P1 (complete outage)" in shown(told)
        assert len(one.top(shop)) == 2
        assert not [message for message in one.top(shop) if "<!subteam" in shown(message)], "nobody is called by it"


async def test_a_channel_that_is_not_there_for_a_while_is_tried_again(tmp_path: Path) -> None:
    async with scene(tmp_path, P2) as one:
        board = one.double.channel("board")
        lane = f"notices:{board.id}"
        one.world.engine.lanes = (lane,)
        sender = NoticeSender(one.chat, one.world.clock, one.lane.budget, board.id, ["P2"])
        await one.world.fire()
        ((_, row, _),) = await one.world.store.outbox(64)
        board.archived = True
        with pytest.raises(ChatError, match="archived") as caught:
            await sender.send(row, 0, again=False)
        assert caught.value.retry_after == 60.0


async def test_a_second_channel_is_called_with_its_mention_when_nobody_answers_and_when_automation_gives_up(
    tmp_path: Path,
) -> None:
    async with scene(tmp_path, policy(playbook(step("restart", approval=ApprovalPolicy(approvals=1))))) as one:
        duty = one.double.channel("duty")
        one.world.engine.lanes = (LANE, SECOND_CHANNEL)
        senders = {SECOND_CHANNEL: CallSender(one.chat, one.world.clock, one.lane.budget, duty.id, one.world.store)}
        one.world.fails()
        await one.world.fire()
        await one.live(30.0)
        assert await pump(one, senders) == 0, "a request for approval is shown in its own channel only"
        await one.live(900.0)
        await pump(one, senders)
        late, given_up = sorted(one.top(duty), key=lambda message: "Needs a person" in shown(message))
        assert "Nobody acknowledged this P1 within 15 min" in shown(late)
        assert "nobody approved step restart in time" in shown(given_up)
        for message in (late, given_up):
            assert "<!subteam^S0123456>" in shown(message)
            assert f"<#{one.ops.id}>" in shown(message)
            assert "api, ServiceDown" in shown(message)
        await pump(one, senders, lost=True)
        assert len(one.top(duty)) == 2


async def test_a_late_phase_is_told_aloud_in_the_thread_and_the_second_channel_and_shown_in_the_header(
    tmp_path: Path,
) -> None:
    async with scene(tmp_path, P2, buttons=True) as one:
        duty = one.double.channel("duty")
        one.world.engine.lanes = (LANE, SECOND_CHANNEL)
        sender = CallSender(one.chat, one.world.clock, one.lane.budget, duty.id, one.world.store)
        declared = await one.world.operations.declare(by=ANN, severity=Severity.P1, title="nobody <!here> can pay")
        assert (await one.world.operations.acknowledge(declared.incident, by=ANN)).ok
        await one.live(1900.0)
        assert await pump(one, {SECOND_CHANNEL: sender}) == 1
        (called,) = one.top(duty)
        for message in (called, next(each for each in one.thread() if "was not assessed" in shown(each))):
            assert "This P1 was not assessed (nobody said what to do) within 30 min. People are called" in shown(
                message
            )
            assert "<!subteam^S0123456>" in shown(message)
        assert [each.broadcast for each in one.thread() if "was not assessed" in shown(each)] == [True]
        assert "*Late*\n⏰ not assessed in time" in shown(one.top()[0])
        await one.live(1800.0)
        assert "*Late*\n⏰ not assessed, nor mitigated in time" in shown(one.top()[0])
        note = await one.world.operations.note(declared.incident, by=ANN, text="another site", phase="mitigated")
        assert note.ok
        await one.live(10.0)
        assert "Late" not in shown(one.top()[0])
        assert await pump(one, {SECOND_CHANNEL: sender}) == 1
        assert len(one.top(duty)) == 1, "what is done by now calls nobody"


async def test_after_an_outage_a_second_channel_is_not_called_about_what_somebody_has_or_is_over(
    tmp_path: Path,
) -> None:
    async with scene(tmp_path, policy(playbook(step("restart", approval=ApprovalPolicy(approvals=1))))) as one:
        duty = one.double.channel("duty")
        one.world.engine.lanes = (LANE, SECOND_CHANNEL)
        sender = CallSender(one.chat, one.world.clock, one.lane.budget, duty.id, one.world.store)
        one.world.fails()
        await one.world.fire()
        await one.live(2000.0)
        rows = [row for _, row, _ in await one.world.store.outbox(64) if row.lane == SECOND_CHANNEL]
        name = (await one.world.incident()).id
        assert rows[0].payload["kind"] == "response_missed"
        assert (await one.world.operations.acknowledge(name, by=ANN)).ok
        assert await sender.send(rows[0], 0, again=False) is None
        assert (await one.world.operations.close_incident(name, by=ANN, reason="done")).ok
        escalated = replace(rows[0], payload={**rows[0].payload, "kind": "escalated"})
        assert await sender.send(escalated, 0, again=False) is None
        assert one.top(duty) == []
