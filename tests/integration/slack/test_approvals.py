"""Approvals by Slack's buttons and modals: who decides, once, about what they saw."""

from dataclasses import replace
from pathlib import Path

import pytest

from receiver.chat.slack.buttons import Verb
from receiver.core import events as ev
from receiver.core.incident import Phase
from receiver.core.playbook import ApprovalPolicy, Step
from receiver.core.principal import Principal
from receiver.people import People, Role
from tests.integration.slack.hands import Office, office
from tests.integration.slack.scene import shown
from tests.simulation.world import playbook, policy, step

pytestmark = pytest.mark.anyio


def asks(approvals: int = 1, *, reason: bool = False, expires: float = 600.0, on_timeout: str = "escalate") -> Step:
    rules = ApprovalPolicy(approvals=approvals, expires=expires, reason_required=reason)
    return step("restart", approval=replace(rules, on_timeout=type(rules.on_timeout)(on_timeout)))


ONE = policy(playbook(asks()))
TWO = policy(playbook(asks(2)))


async def events(one: Office) -> list[ev.Event]:
    incident = await one.scene.world.incident()
    return [recorded.event for recorded in await one.scene.world.store.events(incident.id)]


async def started(one: Office) -> int:
    return sum(isinstance(event, ev.StepStarted) for event in await events(one))


async def test_one_press_runs_the_step_and_takes_the_buttons_away(tmp_path: Path) -> None:
    async with office(tmp_path, ONE) as one:
        incident = await one.asked()
        card = one.card()
        assert one.buttons(card) == ["Approve", "Deny...", "Dry run again", "Open"]
        told = await one.press("ann", Verb.APPROVE, card)
        assert told == f"✔ approved; step restart begins as soon as the guardrails let it (`{incident}`)"
        await one.scene.live(30.0)
        assert await started(one) == 1
        assert one.buttons(one.card()) == []
        assert "approved by ann" in shown(one.card())
        (vote,) = [event for event in await events(one) if isinstance(event, ev.Voted)]
        address = f"slack:{one.scene.double.team.id}/{one.id('ann')}"
        assert vote == ev.Voted(vote.approval, "ann", True, "", "slack", "slack", address)


async def test_of_two_who_race_one_decides_and_the_other_is_told_who_did(tmp_path: Path) -> None:
    async with office(tmp_path, ONE) as one:
        await one.asked()
        seen = one.seen(one.card())
        assert (await one.press("ann", Verb.APPROVE, one.card(), seen=seen)).startswith("✔ approved")
        told = await one.press("bob", Verb.APPROVE, one.card(), seen=seen)
        assert told == "✅ Too late. Step restart: approved: approved by ann. Your press changed nothing."
        await one.scene.live(30.0)
        assert await started(one) == 1
        late = await one.press("bob", Verb.DENY, one.card(), seen=seen)
        assert "approved by ann" in late
        assert one.hands.modal_of(one.id("bob")) is None, "who comes too late is asked for no reason"


async def test_a_quorum_counts_people_and_not_presses(tmp_path: Path) -> None:
    async with office(tmp_path, TWO) as one:
        incident = await one.asked()
        await one.press("ann", Verb.APPROVE, one.card())
        assert "ann has already approved restart" in await one.press("ann", Verb.APPROVE, one.card())
        by = Principal("ann", "cli", "token")
        assert not (await one.scene.world.operations.vote(incident, by=by, approve=True, reason="")).ok
        await one.scene.live(10.0)
        assert "Agreed*\n1 of 2" in shown(one.card())
        assert await started(one) == 0
        await one.press("bob", Verb.APPROVE, one.card())
        await one.scene.live(30.0)
        assert await started(one) == 1


async def test_one_denial_ends_it_and_says_why(tmp_path: Path) -> None:
    async with office(tmp_path, TWO) as one:
        await one.asked()
        await one.press("ann", Verb.APPROVE, one.card())
        assert await one.press("bob", Verb.DENY, one.card()) == ""
        assert await one.submit("bob", "the backup runs") == ""
        await one.scene.live(10.0)
        assert "denied by bob: the backup runs" in shown(one.card())
        assert one.buttons(one.card()) == []
        assert await started(one) == 0
        assert (await one.scene.world.incident()).phase is Phase.ESCALATED


async def test_no_reason_is_no_denial(tmp_path: Path) -> None:
    async with office(tmp_path, ONE) as one:
        await one.asked()
        await one.press("bob", Verb.DENY, one.card())
        assert "A reason is needed." in await one.submit("bob", "  \n ")
        assert await one.submit("bob", "not now") == ""
        assert [event.reason for event in await events(one) if isinstance(event, ev.Voted)] == ["not now"]


async def test_approving_asks_for_a_reason_where_one_is_required(tmp_path: Path) -> None:
    async with office(tmp_path, policy(playbook(asks(reason=True)))) as one:
        await one.asked()
        assert one.buttons(one.card())[0] == "Approve..."
        assert await one.press("ann", Verb.APPROVE_SAYING_WHY, one.card()) == ""
        assert await started(one) == 0
        assert await one.submit("ann", "1.0 was good") == ""
        await one.scene.live(30.0)
        assert await started(one) == 1
        assert "1.0 was good" in shown(one.card())


async def test_a_button_without_the_reason_that_is_needed_does_not_get_around_it(tmp_path: Path) -> None:
    async with office(tmp_path, policy(playbook(asks(reason=True)))) as one:
        await one.asked()
        seen = one.seen(one.card())
        for block in seen["blocks"]:
            for element in block.get("elements", ()):
                element["action_id"] = str(element.get("action_id", "")).replace("approve-why", "approve")
        told = await one.press("ann", Verb.APPROVE, one.card(), seen=seen)
        assert "a reason is needed to approve restart" in told
        assert await started(one) == 0


async def test_a_window_counts_only_while_its_sender_has_the_role(tmp_path: Path) -> None:
    async with office(tmp_path, ONE) as one:
        await one.asked()
        await one.press("bob", Verb.DENY, one.card())
        bob, ann = one.people.by_id["bob"], one.people.by_id["ann"]
        one.people = People({"bob": replace(bob, roles=frozenset({Role.VIEWER}))})
        assert "this needs the role `approver`" in await one.submit("bob", "not now")
        one.people = People({"bob": bob, "ann": ann})
        await one.press("bob", Verb.DENY, one.card())
        await one.press("ann", Verb.APPROVE, one.card())
        one.people = People({"bob": replace(bob, roles=frozenset({Role.VIEWER}))})
        refused = await one.submit("bob", "not now")
        assert "this needs the role `approver`" in refused
        assert "approved by ann" in refused
        assert [event.person for event in await events(one) if isinstance(event, ev.Voted)] == ["ann"]


async def test_a_modal_that_was_sent_too_late_names_the_decision(tmp_path: Path) -> None:
    async with office(tmp_path, ONE) as one:
        await one.asked()
        await one.press("bob", Verb.DENY, one.card())
        await one.press("ann", Verb.APPROVE, one.card())
        assert "approved by ann" in await one.submit("bob", "no")
        await one.scene.live(30.0)
        assert await started(one) == 1


@pytest.mark.parametrize("name", ["eve", "vic", "rik"])
async def test_who_may_not_approve_is_told_so_privately_and_changes_nothing(tmp_path: Path, name: str) -> None:
    async with office(tmp_path, ONE) as one:
        await one.asked()
        before = len(await events(one))
        approve = await one.press(name, Verb.APPROVE, one.card())
        deny = await one.press(name, Verb.DENY, one.card())
        why = "Nobody in people.yaml has the Slack user" if name == "eve" else "this needs the role `approver`"
        assert why in approve
        assert why in deny
        assert one.hands.modal_of(one.id(name)) is None
        assert one.refused("person" if name == "eve" else "role") == 2
        assert len(await events(one)) == before
        assert all(one.told(other) == "" for other in ("ann", "bob"))
        seen = one.seen(one.card())
        await one.press("ann", Verb.APPROVE, one.card())
        late = await one.press(name, Verb.DENY, one.card(), seen=seen)
        assert why in late
        assert "approved by ann" in late, "the decision that stands is named to whoever presses"


async def test_the_same_user_id_in_another_workspace_is_nobody(tmp_path: Path) -> None:
    async with office(tmp_path, ONE) as one:
        await one.asked()
        pressed = one.hands.press(one.id("ann"), one.scene.ops, one.card().ts, "remediator/approve")
        pressed.payload["user"]["team_id"] = "T0STRANGER"
        await one.send(pressed, "/slack/interactivity")
        assert "Nobody in people.yaml has the Slack user `T0STRANGER/" in one.told("ann")
        assert await started(one) == 0


@pytest.mark.parametrize("spoil", ["team", "user", "ids"])
async def test_when_slack_does_not_say_who_it_is_nobody_is(tmp_path: Path, spoil: str) -> None:
    async with office(tmp_path, ONE) as one:
        await one.asked()
        pressed = one.hands.press(one.id("ann"), one.scene.ops, one.card().ts, "remediator/approve")
        if spoil == "team":
            pressed.payload["team"] = None
            del pressed.payload["user"]["team_id"]
        elif spoil == "user":
            pressed.payload["user"] = None
        else:
            pressed.payload["user"] = {"id": ["U1"], "team_id": 7}
        await one.send(pressed, "/slack/interactivity")
        assert "Slack didn't say who you are" in one.told("ann")
        assert await started(one) == 0


async def test_a_press_on_an_old_card_does_not_answer_what_is_asked_by_now(tmp_path: Path) -> None:
    rules = policy(playbook(asks(), replace(asks(), name="again", parameters={"instances": "unhealthy"})))
    async with office(tmp_path, rules) as one:
        incident = await one.asked()
        old, seen = one.card(), one.seen(one.card())
        by = Principal("bob", "cli", "token")
        await one.scene.world.operations.vote(incident, by=by, approve=False, reason="not this one")
        await one.scene.live(10.0)
        asked = (await one.scene.world.incident()).approval
        assert asked is not None, await one.scene.world.story()
        assert asked.step == "again"
        told = await one.press("ann", Verb.APPROVE, old, seen=seen)
        assert told == "⛔ Too late. Step restart: denied: denied by bob: not this one. Your press changed nothing."
        approval = (await one.scene.world.incident()).approval
        assert approval is not None
        assert approval.votes == ()
        answer = await one.scene.world.operations.vote(
            incident, by=by, approve=True, reason="", approval=old.blocks[-1]["elements"][0]["text"].strip("`")
        )
        assert not answer.ok


async def test_what_changed_since_it_was_approved_is_asked_again(tmp_path: Path) -> None:
    async with office(tmp_path, ONE) as one:
        await one.asked()
        first = one.card()
        one.scene.world.runtime.create("api", "api-2", "good")
        assert "*It differs from what people were asked about.*" in await one.press("ann", Verb.PLAN, first)
        seen = one.seen(first)
        await one.press("ann", Verb.APPROVE, first)
        await one.scene.live(10.0)
        assert await started(one) == 0
        assert "🔁 Superseded" in shown(one.card(0))
        assert one.buttons(one.card(0)) == []
        assert one.buttons(one.card())[:2] == ["Approve", "Deny..."]
        assert "the plan changed" in await one.press("bob", Verb.APPROVE, first, seen=seen)


async def test_the_plan_is_shown_again_to_whoever_asks(tmp_path: Path) -> None:
    async with office(tmp_path, ONE) as one:
        await one.asked()
        told = await one.press("vic", Verb.PLAN, one.card())
        assert "*Dry run of step restart, made now; nothing was changed.*" in told
        assert "restart api (1 instance)" in told
        assert "It is what people were asked about." in told
        assert await started(one) == 0


async def test_an_approval_that_is_being_looked_into_counts_votes_and_waits(tmp_path: Path) -> None:
    async with office(tmp_path, ONE) as one:
        await one.asked()
        await one.scene.world.fire(one.scene.world.alert(status="resolved"))
        await one.scene.live(1.0)
        assert "looked into first" in shown(one.card())
        await one.press("ann", Verb.APPROVE, one.card())
        assert await started(one) == 0
        one.scene.world.runtime.create("api", "api-1", "good")
        await one.scene.live(60.0)
        assert await started(one) == 0
        assert one.buttons(one.card()) == []


async def test_what_nobody_decides_goes_to_people_and_the_late_are_told(tmp_path: Path) -> None:
    async with office(tmp_path, policy(playbook(asks(expires=60.0)))) as one:
        await one.asked()
        seen = one.seen(one.card())
        await one.scene.live(90.0)
        assert (await one.scene.world.incident()).phase is Phase.ESCALATED
        assert one.buttons(one.card()) == []
        assert "⌛ Too late. Step restart: expired" in await one.press("ann", Verb.APPROVE, one.card(), seen=seen)
        assert await started(one) == 0


async def test_a_header_offers_what_is_left_to_do(tmp_path: Path) -> None:
    async with office(tmp_path, ONE) as one:
        incident = await one.asked()

        def offered() -> list[str]:
            return one.buttons(one.scene.top()[0])

        assert offered() == ["Acknowledge", "Take over", "Stop automation", "Open"]
        assert (await one.press("rik", Verb.ACKNOWLEDGE, one.scene.top()[0])).startswith("✔ acknowledged")
        await one.scene.live(10.0)
        assert offered() == ["Take over", "Stop automation", "Open"]
        assert (await one.press("rik", Verb.PAUSE, one.scene.top()[0])).startswith("✔ paused")
        await one.scene.live(10.0)
        assert offered() == ["Take over", "Let it go on", "Open"]
        assert "paused by rik" in shown(one.scene.top()[0])
        assert (await one.press("rik", Verb.RESUME, one.scene.top()[0])).startswith("✔ goes on")
        await one.scene.live(10.0)
        assert offered() == ["Take over", "Stop automation", "Open"]
        assert (await one.press("rik", Verb.TAKE_OVER, one.scene.top()[0])).startswith("✔ yours now")
        await one.scene.live(10.0)
        assert offered() == ["Open"]
        assert one.buttons(one.card()) == [], "a take-over cancels what is asked"
        assert "this needs the role `responder`" in await one.press(
            "vic", Verb.TAKE_OVER, one.scene.top()[0], seen=_with_button(one, "takeover", incident)
        )
        by = Principal("rik", "cli", "token")
        await one.scene.world.operations.close_incident(incident, by=by, reason="done by hand")
        await one.scene.live(10.0)
        assert offered() == ["Open"]
        late = await one.press("ann", Verb.ACKNOWLEDGE, one.scene.top()[0], seen=_with_button(one, "ack", incident))
        assert "is closed already" in late


def _with_button(one: Office, verb: str, incident: str) -> dict[str, object]:
    seen = one.seen(one.scene.top()[0])
    text = {"type": "plain_text", "text": "x"}
    button = {"type": "button", "text": text, "action_id": f"remediator/{verb}", "value": incident}
    seen["blocks"].append({"type": "actions", "block_id": "old", "elements": [button]})
    return seen


async def test_open_is_taken_and_nothing_follows(tmp_path: Path) -> None:
    async with office(tmp_path, ONE) as one:
        incident = await one.asked()
        row = next(block for block in one.card().blocks if block["type"] == "actions")
        assert row["elements"][-1]["url"] == f"https://remediator.example/incidents/{incident}"
        assert await one.press("eve", Verb.OPEN, one.card()) == ""
