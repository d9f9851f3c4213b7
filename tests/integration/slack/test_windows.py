"""Windows that declare an incident, change a severity, add a note or mark a phase."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from receiver.chat.slack.buttons import Verb
from receiver.chat.slack.commands import Commands
from receiver.core import events as ev
from receiver.core.incident import Incident
from receiver.core.principal import Principal
from receiver.core.severity import Severity
from receiver.people import People, Role
from receiver.ports import IncidentFilter, StoreUnavailable
from tests.integration.slack.hands import Office, office, said
from tests.integration.slack.scene import shown
from tests.integration.slack.test_approvals import ONE
from tests.slack_double import Fault

pytestmark = pytest.mark.anyio


async def incidents(one: Office) -> list[Incident]:
    return list((await one.scene.world.store.incidents(IncidentFilter(limit=100))).items)


async def log(one: Office, incident: str) -> list[ev.Event]:
    return [recorded.event for recorded in await one.scene.world.store.events(incident)]


async def declared(one: Office, severity: str = "P1", **values: str) -> Incident:
    """Declare by a window; returns the incident, told in Slack."""
    assert await one.type("rik", "declare") == ""
    told = await one.fill("rik", severity=severity, reason="nobody can pay", **values)
    assert re.search(rf"✔ declared i-[0-9a-z]{{8}} as {severity}", told), told
    await one.scene.live(5.0)
    (found,) = await incidents(one)
    return found


async def test_declare_without_more_opens_a_window_and_what_is_sent_is_an_incident(tmp_path: Path) -> None:
    async with office(tmp_path, ONE) as one:
        found = await declared(one, service="api")
        assert (found.severity, found.alert, found.started_by) == (Severity.P1, "nobody can pay", "rik")
        (opened,) = [event for event in await log(one, found.id) if isinstance(event, ev.Opened)]
        assert opened.labels == {"service": "api"}
        assert (opened.via, opened.address) == ("slack", f"slack:{one.scene.double.team.id}/{one.id('rik')}")
        assert "nobody can pay" in shown(one.scene.top()[0])


async def test_the_same_window_sent_again_declares_nothing_more(tmp_path: Path) -> None:
    async with office(tmp_path, ONE) as one:
        await one.type("rik", "declare")
        sent = one.hands.submit(one.view("rik"), {"severity": "P2", "reason": "slow"})
        first = await one.post(one.hands.signed(sent))
        # Another process, as after a kill before the answer, remembers nothing of it.
        second = await one.again().interactive(sent.payload)
        assert "declared" in first.body
        assert "declared" in str(second)
        (found,) = await incidents(one)
        assert found.alert == "slow"
        await one.type("rik", "declare")
        await one.fill("rik", severity="P2", reason="slow")
        assert len(await incidents(one)) == 2, "another window is another wish"


async def test_a_typed_declaration_that_is_told_twice_counts_once(tmp_path: Path) -> None:
    async with office(tmp_path, ONE) as one:
        typed = one.hands.command(one.id("rik"), one.scene.ops, "/remediator", "declare P3 it is slow")
        for _ in range(2):
            await Commands(one.again(), "", "act").command(typed.payload)
        assert len(await incidents(one)) == 1
        await one.type("rik", "declare P3 it is slow")
        assert len(await incidents(one)) == 2


async def test_what_is_wrong_stands_beside_its_field_and_what_was_written_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with office(tmp_path, ONE) as one:
        await one.type("rik", "declare")
        await one.fill("rik", severity="P2", reason="  \n ")
        assert one.view("rik").errors == {"reason": "Say what is wrong."}

        async def broken(*_: object, **__: object) -> object:
            raise StoreUnavailable("the disk is gone")

        with monkeypatch.context() as patch:
            patch.setattr(one.scene.world.operations, "declare", broken)
            await one.fill("rik", severity="P2", reason="slow")
        assert "the store does not answer: the disk is gone" in one.view("rik").errors["reason"]
        assert await incidents(one) == []
        assert "declared" in await one.fill("rik", severity="P2", reason="slow")
        assert len(await incidents(one)) == 1


async def test_a_service_that_is_no_longer_there_is_named_beside_its_field(tmp_path: Path) -> None:
    async with office(tmp_path, ONE) as one:
        await one.type("rik", "declare")
        sent = one.hands.submit(one.view("rik"), {"severity": "P2", "service": "api", "reason": "slow"})
        sent.payload["view"]["state"]["values"]["service"]["service"]["selected_option"]["value"] = "gone"
        await one.send(sent, "/slack/interactivity")
        assert "there is no service gone" in one.view("rik").errors["service"]
        assert await incidents(one) == []


async def test_who_may_not_declare_is_told_when_typing_and_when_sending(tmp_path: Path) -> None:
    async with office(tmp_path, ONE) as one:
        for name, why in (("vic", "this needs the role `responder`"), ("eve", "Nobody in people.yaml")):
            assert why in await one.type(name, "declare")
            assert one.hands.modal_of(one.id(name)) is None
        await one.type("rik", "declare")
        rik = one.people.by_id["rik"]
        one.people = People({"rik": replace(rik, roles=frozenset({Role.VIEWER}))})
        assert "this needs the role `responder`" in await one.fill("rik", severity="P1", reason="x")
        assert await incidents(one) == []
        assert one.refused("role") == 2


async def test_a_severity_is_changed_by_the_menu_of_the_header(tmp_path: Path) -> None:
    async with office(tmp_path, ONE) as one:
        found = await declared(one, "P2")
        header = one.scene.top(one.scene.major)[0]
        assert list(one.menu(header)) == ["Change severity...", "Add a note..."]
        one.scene.ops, ops = one.scene.major, one.scene.ops
        assert await one.choose("rik", Verb.SEVERITY, header) == ""
        assert f"`{found.id}`, P2 now" in said(one.view("rik"))
        await one.fill("rik", severity="P2", reason="same")
        assert f"{found.id} is P2 already" in one.view("rik").errors["severity"]
        assert "it is P1 now" in await one.fill("rik", severity="P1", reason="nobody <!channel> can pay")
        one.scene.ops = ops
        await one.scene.live(10.0)
        assert (await incidents(one))[0].severity is Severity.P1
        assert "nobody &lt;!channel&gt; can pay" in "".join(shown(each) for each in one.scene.thread(one.scene.major))
        assert "*P2 → P1*" in "".join(shown(each) for each in one.scene.thread(one.scene.major))


async def test_severity_with_an_incident_alone_opens_the_window(tmp_path: Path) -> None:
    async with office(tmp_path, ONE) as one:
        found = await declared(one)
        assert await one.type("rik", f"severity `{found.id}`") == ""
        assert "it is P3 now" in await one.fill("rik", severity="P3", reason="a few only")
        assert "There is no incident `i-404`" in await one.type("rik", "severity i-404")
        assert "Which incident, and how bad?" in await one.type("rik", "severity")


async def test_a_p1_that_waits_for_its_mark_is_marked_by_the_menu(tmp_path: Path) -> None:
    async with office(tmp_path, ONE) as one:
        found = await declared(one)
        header = one.scene.top()[0]
        assert list(one.menu(header))[:2] == ["It is assessed...", "It is mitigated..."]
        assert await one.choose("rik", Verb.ASSESSED, header) == ""
        assert "✔ assessed" in await one.fill("rik", reason="the disk of the database is full")
        await one.scene.live(10.0)
        assert list(one.menu(one.scene.top()[0]))[:2] == ["It is mitigated...", "Change severity..."]
        assert await one.choose("rik", Verb.MITIGATED, one.scene.top()[0]) == ""
        assert "✔ mitigated" in await one.fill("rik", reason="room was made")
        await one.scene.live(10.0)
        assert list(one.menu(one.scene.top()[0])) == ["Change severity...", "Add a note..."]
        notes = [event for event in await log(one, found.id) if isinstance(event, ev.Noted)]
        assert [(event.phase, event.text) for event in notes] == [
            ("assessed", "the disk of the database is full"), ("mitigated", "room was made"),
        ]  # fmt: skip
        await one.scene.live(7200.0)
        assert not [event for event in await log(one, found.id) if getattr(event, "what", "") in {"assess", "mitigate"}]


@pytest.mark.parametrize("option", ["--phase assessed", "\N{EM DASH}phase assessed", "--phase=Assessed"])
async def test_a_phase_is_marked_by_typing(tmp_path: Path, option: str) -> None:
    async with office(tmp_path, ONE) as one:
        found = await declared(one)
        assert "✔ assessed" in await one.type("rik", f"note {found.id} {option} the disk is full")
        assert "✔ noted" in await one.type("rik", f"note {found.id} the disk is --phase 2")
        assert "Which incident?" in await one.type("rik", f"note {found.id} --phase solved it")
        assert "Which incident?" in await one.type("rik", "note")
        assert "this needs the role `responder`" in await one.type("vic", f"note {found.id} x")
        assert await one.type("rik", f"note {found.id} --phase mitigated") == ""
        assert "✔ mitigated" in await one.fill("rik", reason="room was made")
        notes = [event for event in await log(one, found.id) if isinstance(event, ev.Noted)]
        assert [(event.phase, event.text) for event in notes] == [
            ("assessed", "the disk is full"), ("", "the disk is --phase 2"), ("mitigated", "room was made"),
        ]  # fmt: skip


async def test_a_note_that_is_blank_is_asked_for_beside_its_field(tmp_path: Path) -> None:
    async with office(tmp_path, ONE) as one:
        await declared(one)
        await one.choose("rik", Verb.NOTE, one.scene.top()[0])
        await one.fill("rik", reason=" \n ")
        assert one.view("rik").errors == {"reason": "A note needs a text."}
        assert "✔ noted" in await one.fill("rik", reason="looking at it")


async def test_an_incident_that_is_over_has_no_menu_and_a_late_choice_changes_nothing(tmp_path: Path) -> None:
    async with office(tmp_path, ONE) as one:
        found = await declared(one)
        header = one.scene.top()[0]
        seen = one.seen(header)
        await one.choose("rik", Verb.SEVERITY, header)
        by = Principal("ada", "cli", "token")
        await one.scene.world.operations.close_incident(found.id, by=by, reason="done")
        await one.scene.live(10.0)
        assert one.menu(one.scene.top()[0]) == {}
        await one.fill("rik", severity="P3", reason="late")
        assert "is closed already" in one.view("rik").errors["severity"]
        chosen = one.hands.press(
            one.id("ann"), one.scene.ops, header.ts, "remediator/more", option=f"severity {found.id}", seen=seen
        )
        await one.send(chosen, "/slack/interactivity")
        assert f"`{found.id}` is closed already" in one.told("ann")
        assert one.hands.modal_of(one.id("ann")) is None


async def test_a_trigger_id_opens_one_window(tmp_path: Path) -> None:
    async with office(tmp_path, ONE) as one:
        await declared(one)
        chosen = one.hands.press(
            one.id("rik"), one.scene.ops, one.scene.top()[0].ts, "remediator/more",
            option=one.menu(one.scene.top()[0])["Change severity..."],
        )  # fmt: skip
        await one.send(chosen, "/slack/interactivity")
        assert one.told("rik") == ""
        one.scene.world.clock.time += 1
        await one.send(chosen, "/slack/interactivity")
        assert "Slack didn't open the window for it" in one.told("rik")
        assert one.scene.called("views.open")[-2:] == [None, "exchanged_trigger_id"]


async def test_when_slack_opens_no_window_to_declare_the_person_is_told(tmp_path: Path) -> None:
    async with office(tmp_path, ONE) as one:
        one.scene.double.faults.add(Fault.error("internal_error"), "views.open")
        assert "Slack didn't open the window for it" in await one.type("rik", "declare")
