"""`/remediator` in Slack."""

import re
from pathlib import Path

import pytest

from receiver.chat.slack.buttons import Verb
from receiver.core.playbook import ApprovalPolicy
from receiver.people import People
from receiver.ports import StoreUnavailable
from tests.integration.slack.hands import Office, office
from tests.integration.slack.test_approvals import ONE, started
from tests.simulation.world import playbook, policy, step

pytestmark = pytest.mark.anyio


async def test_help_and_what_there_is_not(tmp_path: Path) -> None:
    async with office(tmp_path, ONE) as one:
        for text in ("help", "", "  HELP  "):
            assert (await one.type("eve", text)).startswith("`/remediator status`")
        assert (await one.type("eve", "reboot <!channel>")).startswith("There is no command `reboot`.")


async def test_status_and_list_show_what_is_open_and_what_waits(tmp_path: Path) -> None:
    async with office(tmp_path, ONE) as one:
        assert await one.type("vic", "list") == "Nothing is open."
        incident = await one.asked()
        link = f"<https://remediator.example/incidents/{incident}|{incident}> P1 WAITS FOR APPROVAL · api"
        status = await one.type("vic", "status")
        assert "*Kill switch*: off" in status
        assert "*Mode*: act" in status
        assert "*Open*: 1 (1 P1)" in status
        assert f"*Waiting for an approval*: 1\n{link}" in status
        assert "*You*: Vic (viewer)" in status
        assert (await one.type("vic", "list")).startswith(link)


async def test_who_is_not_in_people_yaml_is_told_nothing(tmp_path: Path) -> None:
    async with office(tmp_path, ONE) as one:
        incident = await one.asked()
        for text in ("status", "list", f"approve {incident}", f"deny {incident} no", "kill on"):
            told = await one.type("eve", text)
            assert told.startswith("Nobody in people.yaml has the Slack user")
        assert await started(one) == 0
        one.people = People()
        assert (await one.type("ada", "status")).startswith("Nobody in people.yaml")


async def test_approve_and_deny_are_the_same_votes(tmp_path: Path) -> None:
    async with office(tmp_path, policy(playbook(step("restart", approval=ApprovalPolicy(approvals=2))))) as one:
        incident = await one.asked()
        assert "Which incident?" in await one.type("ann", "approve")
        assert "there is no incident i-404" in await one.type("ann", "approve i-404")
        assert "this needs the role `approver`" in await one.type("rik", f"approve {incident}")
        assert "approved; 1 of 2 approvals for restart" in await one.type("ann", f"approve `{incident}`")
        assert "already approved" in await one.type("ann", f"approve {incident}")
        assert "a reason is needed to deny" in await one.type("bob", f"deny {incident}")
        assert "✔ denied" in await one.type("bob", f"deny {incident} the backup   runs")
        assert "denied by bob: the backup runs" in await one.scene.world.story()
        assert "asks for no approval now" in await one.type("ada", f"approve {incident}")


async def test_responders_declare_and_judge_and_anybody_reads_the_draft_for_users(tmp_path: Path) -> None:
    async with office(tmp_path, ONE) as one:
        assert "this needs the role `responder`" in await one.type("vic", "declare P2 checkout is slow")
        assert "How bad, and what?" in await one.type("rik", "declare P5 checkout is slow")
        told = await one.type("rik", "declare p2 checkout is <!channel> slow")
        assert re.fullmatch(r"✔ declared i-[0-9a-z]{8} as P2", told)
        name = told.split()[2]
        assert "this needs the role `responder`" in await one.type("vic", f"severity {name} P1 worse")
        assert "a reason is needed" in await one.type("rik", f"severity {name} P1")
        assert "it is P1 now" in await one.type("rik", f"severity `{name}` P1 nobody can pay")
        story = await one.scene.world.story()
        assert "P2 declared by rik (via slack): checkout is <!channel> slow" in story
        assert "rik (via slack) made it P1: nobody can pay" in story
        assert "our service is not available" in await one.type("vic", f"notice {name}")
        assert "Which incident?" in await one.type("vic", "notice i-404")


async def test_the_kill_switch_asks_once_more(tmp_path: Path) -> None:
    async with office(tmp_path, ONE) as one:
        assert "this needs the role `admin`" in await one.type("ann", "kill on")
        assert one.hands.modal_of(one.id("ann")) is None
        assert "The kill switch is off" in await one.type("ada", "kill")
        assert "no name of a playbook" in await one.type("ada", "kill on <!channel>")
        assert await one.type("ada", "kill on") == ""
        assert not one.scene.world.kill.state().everything, "nobody has confirmed it yet"
        assert "the kill switch is on" in await one.submit("ada")
        state = one.scene.world.kill.state()
        assert (state.everything, state.by) == (True, "ada")
        assert "*Kill switch*: *on* for everything, by ada" in await one.type("vic", "status")
        await one.type("ada", "kill off")
        assert "the kill switch is off" in await one.submit("ada")
        assert not one.scene.world.kill.state().everything


async def test_one_playbook_is_stopped_by_its_name(tmp_path: Path) -> None:
    async with office(tmp_path, ONE) as one:
        await one.type("ada", "kill on nothing-of-the-kind")
        assert "there is no playbook nothing-of-the-kind" in await one.submit("ada")
        await one.type("ada", "kill on service-down")
        assert "the kill switch of service-down is on" in await one.submit("ada")
        assert "*on* for service-down" in await one.type("vic", "status")


async def test_a_confirmation_counts_only_while_its_sender_may(tmp_path: Path) -> None:
    async with office(tmp_path, ONE) as one:
        await one.type("ada", "kill on")
        one.people = People({name: who for name, who in one.people.by_id.items() if name != "ada"})
        assert "Nobody in people.yaml" in await one.submit("ada")
        assert not one.scene.world.kill.state().everything


async def test_a_store_that_does_not_answer_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with office(tmp_path, ONE) as one:
        incident = await one.asked()
        card = one.card()
        await one.press("bob", Verb.DENY, card)
        _breaks(one, monkeypatch)
        assert "the store does not answer: the disk is gone" in await one.type("ann", f"approve {incident}")
        assert "the store does not answer: the disk is gone" in await one.press("ann", Verb.APPROVE, card)
        assert "the store does not answer: the disk is gone" in await one.submit("bob", "no")


def _breaks(one: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: object, **__: object) -> object:
        raise StoreUnavailable("the disk is gone")

    monkeypatch.setattr(one.scene.world.engine, "record", broken)
