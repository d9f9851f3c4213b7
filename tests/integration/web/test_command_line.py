"""The command line against the running server, and against the database when nobody answers."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from receiver.cli import main
from receiver.people import People, Person, Role, make_token
from tests.integration.web.service import Running, running
from tests.unit.web.test_parsing import alert, webhook

pytestmark = pytest.mark.anyio

LABELS = {"alertname": "ServiceDown", "service": "api", "evil": "a\x1b[2Jb"}
Command = Callable[..., "asyncio.Future[tuple[int, str, str]]"]


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Command:
    monkeypatch.chdir(tmp_path)

    async def run(*arguments: str, one: Running | None = None, token: str = "") -> tuple[int, str, str]:
        monkeypatch.setenv("REMEDIATOR_URL", one.url if one else "http://127.0.0.1:1")
        monkeypatch.setenv("REMEDIATOR_TOKEN", token)
        capsys.readouterr()
        code = await asyncio.to_thread(main, arguments)
        told = capsys.readouterr()
        return code, told.out, told.err

    return run  # type: ignore[return-value]


async def opened(one: Running) -> str:
    async with one.client() as client:
        await client.post("/webhooks/alertmanager", content=webhook(alert(labels=LABELS)))
        incident: str = (await client.get("/api/v1/incidents")).json()["items"][0]["id"]
        return incident


async def test_incidents_are_listed_and_shown(tmp_path: Path, command: Command) -> None:
    async with running(tmp_path) as one:
        incident = await opened(one)
        code, out, _ = await command("incidents", one=one)
        assert (code, incident in out, "P1" in out) == (0, True, True)
        code, out, _ = await command("incidents", "show", incident, one=one)
        assert code == 0
        assert "service-down" in out
        assert "ServiceDown" in out
        assert "\x1b" not in out
        code, out, _ = await command("incidents", "show", incident, "--json", one=one)
        assert json.loads(out)["timeline"][0]["kind"] == "opened"
        code, out, _ = await command("incidents", "export", one=one)
        assert [json.loads(line)["id"] for line in out.splitlines()] == [incident]
        code, out, _ = await command("incidents", "--state", "resolved", one=one)
        assert out == "no incidents\n"


async def test_unmatched_alerts_are_listed_with_the_reason(tmp_path: Path, command: Command) -> None:
    async with running(tmp_path) as one:
        async with one.client() as client:
            await client.post("/webhooks/alertmanager", content=webhook(alert(labels={"alertname": "Strange"})))
            await client.post("/webhooks/alertmanager", content=webhook(alert(), {"labels": 1}))
        _, out, _ = await command("incidents", "--unmatched", one=one)
        assert "Strange" in out
        assert "playbook" in out
        _, out, _ = await command("incidents", "--quarantine", one=one)
        assert "$.alerts[1]" in out


async def test_people_work_on_an_incident(tmp_path: Path, command: Command) -> None:
    token, hashed = make_token()
    people = People({"jane": Person("jane", "Jane", frozenset({Role.APPROVER}), (hashed,))})
    async with running(tmp_path, people=people) as one:
        incident = await opened(one)
        code, _, err = await command("ack", incident, one=one)
        assert (code, "REMEDIATOR_TOKEN" in err) == (4, True)
        code, _, err = await command("ack", incident, one=one, token="rmd_wrong")
        assert (code, "people.yaml" in err) == (4, True)
        code, out, _ = await command("ack", incident, one=one, token=token)
        assert (code, "acknowledged" in out) == (0, True)
        code, _, err = await command("ack", incident, one=one, token=token)
        assert (code, "jane has acknowledged it already" in err) == (1, True)
        code, _, err = await command("approve", incident, one=one, token=token)
        assert (code, "asks for no approval" in err) == (1, True)
        code, out, _ = await command("note", incident, "--phase", "assessed", "it", "is", "full", one=one, token=token)
        assert (code, out) == (0, "assessed\n")
        code, out, _ = await command("note", incident, "looking", "at", "it", one=one, token=token)
        assert code == 0
        code, out, _ = await command("pause", incident, "--reason", "a deploy", one=one, token=token)
        assert (code, out) == (0, f"paused; {incident} is triage\n")
        code, _, err = await command("pause", incident, one=one, token=token)
        assert (code, "jane has paused it already" in err) == (1, True)
        code, out, _ = await command("resume", incident, one=one, token=token)
        assert (code, out) == (0, f"goes on; {incident} is triage\n")
        code, out, _ = await command("severity", incident, "P4", "--reason", "a test system", one=one, token=token)
        assert (code, out) == (0, f"it is P4 now; {incident} is triage\n")
        code, out, _ = await command("declare", "P2", "Checkout", "is", "slow", one=one, token=token)
        assert (code, out.startswith("declared i-")) == (0, True)
        code, out, _ = await command("takeover", incident, one=one, token=token)
        assert code == 0
        code, _, err = await command("resume", incident, one=one, token=token)
        assert (code, "jane took" in err) == (1, True)
        code, out, _ = await command("close", incident, "--reason", "done by hand", one=one, token=token)
        assert (code, out) == (0, "closed\n")
        code, _, err = await command("kill", "on", one=one, token=token)
        assert (code, "role admin" in err) == (4, True)
        _, out, _ = await command("incidents", "show", incident, one=one, token=token)
        assert "looking at it" in out
        assert "Seen by jane (via cli).  [signed in by token from 127.0.0.1]" in out
        assert "jane" in out


async def test_an_unknown_incident_has_its_own_exit_code(tmp_path: Path, command: Command) -> None:
    async with running(tmp_path) as one:
        assert (await command("incidents", "show", "i-none", one=one))[0] == 5
        assert (await command("ack", "../../kill", one=one))[0] == 5


async def test_the_kill_switch_is_turned(tmp_path: Path, command: Command) -> None:
    async with running(tmp_path) as one:
        assert (await command("kill", one=one))[1] == "off\n"
        assert (await command("kill", "on", one=one))[0] == 0
        assert "on: everything is stopped; last turned by local" in (await command("kill", one=one))[1]
        assert (await command("kill", "on", "--playbook", "service-down", one=one))[0] == 0
        code, out, _ = await command("kill", "off", one=one)
        assert (code, "but service-down is still stopped: remediator kill off --playbook" in out) == (0, True)
        assert (await command("kill", one=one))[1].startswith("on for service-down; last turned by local")
        assert "  off by local (via cli)  [signed in by loopback from 127.0.0.1]" in (await command("kill", one=one))[1]
        assert (await command("kill", "--playbook", "other", one=one))[1].startswith("off for other")
        assert (await command("kill", "off", "--playbook", "service-down", one=one))[1].endswith(
            "service-down is off\n"
        )
        assert (await command("kill", "on", "--playbook", "nothing", one=one))[0] == 5


async def test_simulate_tells_match_plan_and_guardrails_and_changes_nothing(tmp_path: Path, command: Command) -> None:
    payload = tmp_path / "payload.json"
    payload.write_bytes(webhook(alert(labels=LABELS), alert(labels={"alertname": "Strange"}), {"labels": 1}))
    async with running(tmp_path) as one:
        code, out, _ = await command("simulate", str(payload), one=one)
        assert code == 0
        assert "service-down on api, P1" in out
        assert "1. restart: it would be refused" in out, "nothing runs in this world"
        for guardrail in ("kill_switch", "cooldown", "max_runs", "fleet_cap", "confirmation", "max_alert_age"):
            assert f" {guardrail}: " in out
        assert "confirmation: Prometheus says that it fires" in out
        assert "no playbook" in out
        assert "$.alerts[2]" in out
        assert "nothing was changed" in out
        assert (await one.world.store.counts())["alerts"].get("firing", 0) == 0


async def test_simulate_says_what_is_left_out_and_that_an_alert_which_ended_opens_nothing(
    tmp_path: Path, command: Command
) -> None:
    payload = tmp_path / "payload.json"
    ended = {**alert(labels=LABELS), "status": "resolved", "endsAt": "2026-11-24T02:13:09Z"}
    payload.write_bytes(webhook(ended, *(alert(labels={"alertname": f"N{number}"}) for number in range(22))))
    async with running(tmp_path) as one:
        code, out, _ = await command("simulate", str(payload), one=one)
    assert code == 0
    assert "it has ended, so it would open no incident" in out
    assert "and 3 more alerts, which are not explained" in out


async def test_simulate_with_other_files_matches_with_those_and_not_with_the_service_s(
    tmp_path: Path, command: Command
) -> None:
    payload, file = tmp_path / "payload.json", tmp_path / "other.yaml"
    payload.write_bytes(webhook(alert(labels=LABELS)))
    file.write_text(
        "engines: {e: {url: 'unix:///x'}}\nservices: {api: {engine: e, selector: {a: b}}}\n"
        "playbooks: [{name: other, description: For this test., match: alertname=ServiceDown, severity: P4}]\n"
    )
    async with running(tmp_path) as one:
        code, out, err = await command("simulate", str(payload), "--playbooks", str(file), one=one)
    assert code == 0
    assert "=> other on api, P4\n     For this test." in out
    assert f"matched with {file}; plans and guardrails need the running service" in err


async def test_reload_tells_what_came_of_it(tmp_path: Path, command: Command) -> None:
    async with running(tmp_path) as one:
        code, out, _ = await command("reload", one=one)
        assert (code, out.splitlines()[-1]) == (0, "reloaded: unchanged")


async def test_when_nobody_answers_the_database_is_read(tmp_path: Path, command: Command) -> None:
    async with running(tmp_path) as one:
        incident = await opened(one)
    database = ("--database", f"sqlite:///{tmp_path}/r.db")
    code, out, err = await command("incidents", *database)
    assert (code, incident in out) == (0, True)
    assert "nobody answers" in err
    code, out, err = await command("incidents", "show", incident, "--offline", *database)
    assert (code, "service-down" in out, err) == (0, True, "")
    code, out, _ = await command("incidents", "export", "--offline", *database)
    assert json.loads(out)["timeline"][0]["kind"] == "opened"
    assert (await command("incidents", "show", "i-none", "--offline", *database))[0] == 5


async def test_while_it_runs_the_database_can_be_read_too(tmp_path: Path, command: Command) -> None:
    async with running(tmp_path) as one:
        incident = await opened(one)
        code, out, _ = await command("incidents", "--offline", "--database", f"sqlite:///{tmp_path}/r.db")
        assert (code, incident in out) == (0, True)


async def test_when_nobody_answers_and_there_is_no_database_that_is_said(tmp_path: Path, command: Command) -> None:
    code, out, err = await command("incidents")
    assert (code, out) == (3, "")
    assert "is the service running?" in err
    assert (await command("incidents", "--offline"))[0] == 1


async def test_a_verb_without_the_service_is_told_apart_from_a_no(tmp_path: Path, command: Command) -> None:
    assert (await command("ack", "i-1"))[0] == 3
    code, _, err = await command("kill", "on")
    assert (code, "--offline" in err) == (3, True)


async def test_what_answers_but_is_no_remediator_is_said(tmp_path: Path, command: Command) -> None:
    async def web_page(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\n<html>")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(web_page, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        fake = Running(None, None, None, port)  # type: ignore[arg-type] # only its address is asked for
        code, _, err = await command("kill", one=fake)
    assert (code, "no remediator" in err) == (3, True)
