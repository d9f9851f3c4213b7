"""The API's exact shapes: what docs/api.md promises."""

import re
from dataclasses import replace
from typing import Any

import httpx
import pytest

from receiver.core import events as ev
from receiver.core.alert import Alert, AlertStatus
from receiver.core.events import Recorded
from receiver.core.outbox import OutboxRow
from receiver.core.principal import Principal
from receiver.core.severity import Severity
from receiver.ports import AlertRow, Letter, Quarantined
from receiver.web.ports import Reloaded
from tests.unit.house.sources import ROOT
from tests.unit.web.fakes import NOW, Edge, Said, payload

pytestmark = pytest.mark.anyio

LABELS = {"alertname": "ServiceDown", "service": "api"}
ROW = AlertRow(
    Alert("4465f977f130b79a", AlertStatus.FIRING, LABELS, {"summary": "gone"}, 1_790_000_000_500_000_000),
    "i-1",
    playbook="service-down",
    seen_at=NOW,
    repeats=3,
)


def edge() -> Edge:
    one = Edge()
    one.store.add("i-1", ROW)
    return one


async def get(one: Edge, path: str) -> httpx.Response:
    async with one.client() as client:
        return await client.get(path)


async def post(one: Edge, path: str, value: Any = None, **headers: str) -> httpx.Response:
    async with one.client() as client:
        return await client.post(path, json=value, headers=headers)


async def test_an_incident_has_what_is_promised() -> None:
    found = (await get(edge(), "/api/v1/incidents/i-1")).json()
    assert {
        name: found[name] for name in ("id", "state", "severity", "playbook", "target", "opened_at", "resolved_at")
    } == {
        "id": "i-1",
        "state": "triage",
        "severity": "P1",
        "playbook": "service-down",
        "target": "api",
        "opened_at": "2026-09-21T14:13:20.000Z",
        "resolved_at": None,
    }
    (alert,) = found["alerts"]
    assert alert["fingerprint"] == "4465f977f130b79a"
    assert alert["status"] == "firing"
    assert alert["starts_at"] == "2026-09-21T14:13:20.500Z"
    assert (alert["name"], alert["labels"], alert["repeats"]) == ("ServiceDown", LABELS, 3)


async def test_a_list_answers_items_and_a_cursor() -> None:
    found = (await get(edge(), "/api/v1/incidents")).json()
    assert set(found) == {"items", "next"}
    assert found["next"] == "7"
    assert [one["id"] for one in found["items"]] == ["i-1"]
    assert found["items"][0]["alerts"][0]["fingerprint"] == "4465f977f130b79a"


async def test_filters_reach_the_store() -> None:
    one = edge()
    await get(one, "/api/v1/incidents?open=true&state=escalated&severity=P2&target=api&limit=7&after=9")
    (wanted,) = one.store.wanted
    assert (wanted.open_only, wanted.state, wanted.severity) == (True, "escalated", "P2")
    assert (wanted.target, wanted.limit, wanted.after) == ("api", 7, "9")


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("limt=5", "did you mean limit"),
        ("limit=0", "from 1 to 200"),
        ("limit=201", "from 1 to 200"),
        ("limit=x", "whole number"),
        ("limit=٣", "whole number"),
        ("limit=1&limit=2", "twice"),
        ("state=broken", "must be one of triage"),
        ("severity=P9", "P1, P2, P3, P4"),
        ("open=yes", "true, false"),
        ("target=", "1 to 200"),
        ("zzz=1", "known are open, state"),
        ("after=x", "`next` of an earlier page"),
        ("after=-1", "`next` of an earlier page"),
        ("after=9999999999999999999", "`next` of an earlier page"),
    ],
)
async def test_a_wrong_parameter_is_a_400_that_names_it(query: str, words: str) -> None:
    answer = await get(edge(), f"/api/v1/incidents?{query}")
    assert answer.status_code == 400
    assert words in answer.json()["detail"]
    assert not answer.json()["detail"].endswith("?.")


@pytest.mark.parametrize("path", ["unmatched", "quarantine"])
async def test_a_cursor_that_is_none_is_not_the_end_of_a_list(path: str) -> None:
    assert (await get(edge(), f"/api/v1/{path}?after=garbage")).status_code == 400


async def test_a_timeline_entry_has_time_kind_text_and_data() -> None:
    found = (await get(edge(), "/api/v1/incidents/i-1/timeline")).json()
    assert found["next"] is None
    (entry,) = found["items"]
    assert (entry["at"], entry["kind"]) == ("2026-09-21T14:13:20.000Z", "opened")
    assert "service-down" in entry["text"]
    assert entry["data"]["target"] == "api"


async def test_a_timeline_comes_in_pages() -> None:
    one = edge()
    one.store.logs["i-1"] += [Recorded("i-1", n, NOW + n, ev.Noted(f"note {n}")) for n in range(2, 8)]
    first = (await get(one, "/api/v1/incidents/i-1/timeline?limit=3")).json()
    assert [entry["seq"] for entry in first["items"]] == [1, 2, 3]
    second = (await get(one, f"/api/v1/incidents/i-1/timeline?limit=3&after={first['next']}")).json()
    third = (await get(one, f"/api/v1/incidents/i-1/timeline?limit=3&after={second['next']}")).json()
    assert [entry["seq"] for entry in second["items"] + third["items"]] == [4, 5, 6, 7]
    assert third["next"] is None


async def test_a_resolved_incident_says_when() -> None:
    one = edge()
    one.store.logs["i-1"].append(Recorded("i-1", 2, NOW + 60, ev.Resolved("healthy again")))
    found = (await get(one, "/api/v1/incidents/i-1")).json()
    assert (found["state"], found["resolved_at"]) == ("resolved", "2026-09-21T14:14:20.000Z")


async def test_a_closed_incident_ended_but_was_not_resolved() -> None:
    one = edge()
    one.store.logs["i-1"].append(Recorded("i-1", 2, NOW + 60, ev.Closed("jane", "false alarm", "cli")))
    found = (await get(one, "/api/v1/incidents/i-1")).json()
    assert (found["resolved_at"], found["ended_at"]) == (None, "2026-09-21T14:14:20.000Z")


async def test_a_pending_approval_is_shown_with_its_votes() -> None:
    one = edge()
    asked = ev.ApprovalAsked("a-1", "rollback", "roll back api", "hash", 2, NOW + 900, NOW + 1200, "escalate", True)
    one.store.logs["i-1"] += [
        Recorded("i-1", 2, NOW, asked),
        Recorded("i-1", 3, NOW, ev.Voted("a-1", "jane", True, "looks right", "cli")),
    ]
    approval = (await get(one, "/api/v1/incidents/i-1")).json()["approval"]
    assert (approval["step"], approval["state"], approval["needed"]) == ("rollback", "pending", 2)
    assert approval["votes"][0]["person"] == "jane"


async def test_unmatched_alerts_say_why() -> None:
    one = edge()
    one.store.unmatched_rows = [ROW._replace(incident=None, playbook=None, reason="none of the 4 playbooks matches")]
    (found,) = (await get(one, "/api/v1/unmatched")).json()["items"]
    assert (found["reason"], found["repeats"]) == ("none of the 4 playbooks matches", 3)


async def test_quarantined_alerts_say_where() -> None:
    one = edge()
    one.store.quarantined_rows = [Quarantined(NOW, "$.alerts[3].labels", "Expected `object`", "{}")]
    (found,) = (await get(one, "/api/v1/quarantine")).json()["items"]
    assert found == {
        "at": "2026-09-21T14:13:20.000Z",
        "where": "$.alerts[3].labels",
        "message": "Expected `object`",
        "raw": "{}",
    }


@pytest.mark.parametrize("path", ["", "/timeline"])
async def test_an_unknown_incident_is_a_404(path: str) -> None:
    answer = await get(edge(), f"/api/v1/incidents/i-9{path}")
    assert answer.status_code == 404
    assert "i-9" in answer.json()["detail"]


BY = Principal("local", "api", "loopback", "127.0.0.1")
VERBS = [
    ("ack", {}, "acknowledge", {}),
    ("takeover", {"reason": "mine"}, "take_over", {"reason": "mine"}),
    ("pause", {"reason": "a deploy"}, "pause", {"reason": "a deploy"}),
    ("resume", {}, "resume", {"reason": ""}),
    ("severity", {"severity": "P1", "reason": "worse"}, "severity", {"severity": Severity.P1, "reason": "worse"}),
    ("close", {"reason": "false alarm"}, "close", {"reason": "false alarm"}),
    ("note", {"text": "a note"}, "note", {"text": "a note", "phase": ""}),
    ("note", {"text": "full", "phase": "assessed"}, "note", {"text": "full", "phase": "assessed"}),
]


@pytest.mark.parametrize(("verb", "body", "asked", "how"), VERBS)
async def test_a_verb_reaches_the_operations_with_who_acts_and_how_they_came(
    verb: str, body: dict[str, str], asked: str, how: dict[str, str]
) -> None:
    one = edge()
    answer = await post(one, f"/api/v1/incidents/i-1/{verb}", body)
    assert answer.json() == {"ok": True, "text": "done so"}
    assert one.operations.asked == [(asked, {"id": "i-1", "by": BY, **how})]


async def test_a_declared_incident_is_named_in_the_answer() -> None:
    one = edge()
    one.operations.says = Said("done", "declared i-7 as P2", "i-7")
    answer = await post(one, "/api/v1/incidents", {"severity": "P2", "title": "Checkout is slow"})
    assert answer.json() == {"ok": True, "text": "declared i-7 as P2", "incident": "i-7"}
    told = {"by": BY, "severity": Severity.P2, "title": "Checkout is slow", "service": "", "once": ""}
    assert one.operations.asked == [("declare", told)]


async def test_the_command_line_is_told_apart() -> None:
    one = edge()
    await post(one, "/api/v1/incidents/i-1/ack", {}, **{"user-agent": "remediator-cli"})
    assert one.operations.asked[0][1]["by"] == replace(BY, via="cli")


@pytest.mark.parametrize(("status", "code"), [("conflict", 409), ("not_found", 404), ("forbidden", 403)])
async def test_a_no_is_a_problem_with_the_words_of_the_decision(status: str, code: int) -> None:
    one = edge()
    one.operations.says = Said(status, "jane has it already")
    answer = await post(one, "/api/v1/incidents/i-1/takeover", {})
    assert (answer.status_code, answer.json()["detail"]) == (code, "jane has it already")


@pytest.mark.parametrize(
    ("path", "body", "where", "words"),
    [
        ("incidents/i-1/note", {}, "$.text", "is missing"),
        ("incidents/i-1/note", {"text": ""}, "$.text", "must not be empty"),
        ("incidents/i-1/note", {"text": "x", "phase": "over"}, "$.phase", "mitigated"),
        ("incidents/i-1/note", {"text": "x" * 4001}, "$.text", "is longer than 4000 characters"),
        ("incidents", {"severity": "P5", "title": "x"}, "$.severity", "P4"),
        ("incidents/i-1/severity", {"severity": "P1"}, "$.reason", "is missing"),
        ("incidents/i-1/close", {"raeson": "x"}, "$.raeson", "unknown field; did you mean reason?"),
        ("incidents/i-1/close", {"xyz": "x"}, "$.xyz", "unknown field; known are reason"),
        ("incidents/i-1/close", {"reason": 5}, "$.reason", "string"),
        ("incidents/i-1/close", [], "$", ""),
        ("kill", {}, "$.on", "is missing"),
        ("kill", {"on": "perhaps"}, "$.on", "boolean"),
        ("kill", {"on": "off"}, "$.on", "boolean"),
    ],
)
async def test_a_wrong_body_is_a_422_that_names_the_place(path: str, body: Any, where: str, words: str) -> None:
    one = edge()
    answer = await post(one, f"/api/v1/{path}", body)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["where"] == where
    assert words in answer.json()["errors"][0]["message"]
    assert one.operations.asked == []


async def test_a_body_over_the_limit_is_a_413() -> None:
    answer = await post(edge(), "/api/v1/incidents/i-1/close", {"reason": "x" * 70_000})
    assert answer.status_code == 413


async def test_a_body_may_be_missing_where_nothing_is_needed() -> None:
    one = edge()
    async with one.client() as client:
        assert (await client.post("/api/v1/incidents/i-1/ack")).status_code == 200


async def test_the_kill_switch_is_shown_and_turned() -> None:
    one = edge()
    assert (await get(one, "/api/v1/kill")).json()["on"] is False
    await post(one, "/api/v1/kill", {"on": True, "playbook": "service-down"})
    assert one.operations.asked == [("kill", {"on": True, "by": BY, "playbook": "service-down"})]
    one.operations.state |= {"file": "/var/lib/remediator.kill"}
    assert (await get(one, "/api/v1/kill")).json()["on"] is True


async def test_simulating_changes_nothing() -> None:
    one = edge()
    async with one.client() as client:
        headers = {"content-type": "application/json"}
        answer = await client.post("/api/v1/simulate", content=payload("01-single-firing"), headers=headers)
    alert = {"alert": "Single", "playbook": None, "reason": "none takes it"}
    assert answer.json() == {"mode": "observe", "alerts": [alert], "unread": []}
    assert (one.engine.calls, one.operations.asked) == ([], [])


async def test_dead_letters_are_listed_and_sent_again_once() -> None:
    one = edge()
    row = OutboxRow("slack", "thread", "i-1/7/slack/noted", "i-1", {"text": "see x", "kind": "noted"}, NOW)
    one.store.dead = [Letter(row, 2, "Slack answers invalid_blocks", "118")]
    (found,) = (await get(one, "/api/v1/outbox")).json()["items"]
    assert found == {
        "id": "118", "state": "dead", "at": "2026-09-21T14:13:20.000Z", "lane": "slack", "kind": "noted",
        "incident": "i-1", "text": "see x", "attempts": 2, "error": "Slack answers invalid_blocks",
    }  # fmt: skip
    assert (await get(one, "/api/v1/outbox?state=waiting")).json()["items"] == []
    assert (await get(one, "/api/v1/outbox?state=lost")).status_code == 400
    assert (await post(one, "/api/v1/outbox/118/resend")).json()["ok"] is True
    assert (await post(one, "/api/v1/outbox/118/resend")).status_code == 404


async def test_a_reload_with_mistakes_is_a_422_that_lists_them() -> None:
    one = edge()
    assert (await post(one, "/-/reload")).json()["text"] == "reloaded: unchanged"
    one.reloaded = Reloaded(ok=False, text="not reloaded", problems=["playbooks.yaml:1:1: is empty"])
    answer = await post(one, "/-/reload")
    assert answer.status_code == 422
    assert answer.json()["errors"] == [{"message": "playbooks.yaml:1:1: is empty"}]


async def test_a_store_that_is_down_is_a_503_and_shown_in_the_metrics() -> None:
    one = edge()
    one.store.down = True
    assert (await get(one, "/api/v1/incidents")).status_code == 503
    metrics = await get(one, "/metrics")
    assert metrics.status_code == 200
    assert "remediator_store_up 0.0" in metrics.text


async def test_metrics_show_what_the_store_counts() -> None:
    text = (await get(edge(), "/metrics")).text
    for line in (
        'remediator_incidents{severity="P1",state="escalated"} 2.0',
        "remediator_escalations_open 2.0",
        'remediator_outbox_rows{state="waiting"} 1.0',
        'remediator_queue_depth{queue="wakes"} 5.0',
        "remediator_store_size_bytes 1000.0",
        "remediator_store_up 1.0",
    ):
        assert line in text


async def test_what_can_be_counted_is_there_before_the_first_time() -> None:
    text = (await get(edge(), "/metrics")).text
    for series in ('verifications_total{verdict="inconclusive"}', 'votes_total{decision="denied"}'):
        assert f"remediator_{series} 0.0" in text


async def test_metric_names_follow_the_conventions() -> None:
    text = (await get(edge(), "/metrics")).text
    ours = re.findall(r"^# TYPE (remediator_\w+) (\w+)$", text, re.MULTILINE)
    assert len(ours) > 20
    assert all(name.endswith("_total") for name, kind in ours if kind == "counter")
    reserved = ("_total", "_count", "_sum", "_bucket", "_info")
    wrong = [name for name, kind in ours if kind == "gauge" and name.endswith(reserved)]
    assert wrong == ["remediator_build_info"]


async def test_every_metric_is_documented_and_no_other() -> None:
    text = (await get(edge(), "/metrics")).text
    page = (ROOT / "docs" / "api.md").read_text()
    ours = re.findall(r"^# TYPE (remediator_\w+) ", text, re.MULTILINE)
    assert sorted(ours) == sorted(re.findall(r"^\| `(remediator_\w+)`", page, re.MULTILINE))


async def test_readiness_is_about_webhooks_and_other_parts_are_states() -> None:
    one = edge()
    one.health.part("prometheus", "unreachable")
    assert 'remediator_part_up{part="prometheus"} 0.0' in (await get(one, "/metrics")).text
    answer = await get(one, "/readyz")
    assert (answer.status_code, answer.json()["parts"]) == (200, {"prometheus": "unreachable"})
    one.health.unready("stopping")
    answer = await get(one, "/readyz")
    assert (answer.status_code, answer.json()["reason"]) == (503, "stopping")
    assert (await get(one, "/healthz")).status_code == 200


async def test_a_store_without_room_is_not_ready_but_each_webhook_still_asks_it() -> None:
    one = edge()
    one.health.store("the disk has 3 MiB left")
    answer = await get(one, "/readyz")
    assert (answer.status_code, answer.json()["reason"]) == (503, "the disk has 3 MiB left")
    assert (await one.post(payload("01-single-firing"))).status_code == 200
    one.health.store(None)
    assert (await get(one, "/readyz")).status_code == 200


@pytest.mark.parametrize("path", ["/api/v1/incidents", "/healthz", "/nowhere"])
async def test_every_answer_forbids_sniffing_framing_and_caching(path: str) -> None:
    headers = (await get(edge(), path)).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"
    assert "frame-ancestors 'none'" in headers["content-security-policy"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("DELETE", "/api/v1/incidents", 405),
        ("GET", "/-/reload", 405),
        ("GET", "/api/v1/nothing", 404),
        ("GET", "/incident", 404),
    ],
)
async def test_what_is_not_there_is_a_problem_too(method: str, path: str, status: int) -> None:
    async with edge().client() as client:
        answer = await client.request(method, path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_defect_is_a_problem_without_its_insides() -> None:
    one = edge()
    one.operations.state = {}
    answer = await get(one, "/api/v1/kill")
    assert answer.status_code == 500
    assert "everything" not in answer.text
