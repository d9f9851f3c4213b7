"""Which rows an event leads to: people are told what changed, once."""

from __future__ import annotations

import json

from receiver.core import events as ev
from receiver.core.alert import AlertStatus
from receiver.core.fold import evolve
from receiver.core.incident import Incident
from receiver.core.outbox import OutboxRow
from receiver.core.severity import Severity
from receiver.core.telling import rows
from tests.unit.core.life import Life, playbook, step

LANES = ("console", "escalation:webhook")


def told(log: list[ev.Recorded], *, unit: int = 1, lanes: tuple[str, ...] = LANES) -> list[OutboxRow]:
    """Return the rows of a log whose units hold `unit` events each."""
    found: list[OutboxRow] = []
    incident: Incident | None = None
    for start in range(0, len(log), unit):
        before, events = incident, log[start : start + unit]
        for one in events:
            incident = evolve(incident, one)
        assert incident is not None
        found.extend(rows(before, incident, events, lanes))
    return found


def kinds(found: list[OutboxRow], kind: str = "thread") -> list[str]:
    return [row.payload["kind"] for row in found if row.kind == kind]


def storm(life: Life, alerts: int, each: int = 1) -> None:
    for n in range(0, alerts, each):
        change = ev.AlertChange(f"{n:016x}", AlertStatus.FIRING, 1, "Down", Severity.P2, "service-down", "v", 1)
        life.feed(ev.AlertsChanged((change,) * each, each, 0))


def test_an_incident_begins_with_its_header_and_one_line() -> None:
    life = Life(playbook(step("restart")))
    found = told(life.log, unit=2, lanes=("console",))
    assert [(row.kind, row.payload.get("kind")) for row in found] == [("header", None), ("thread", "opened")]
    assert found[0].payload["title"].endswith("1 of 1 alert firing · remediator")


def test_a_chart_is_asked_for_when_people_are_called_and_at_the_end_only() -> None:
    life = Life(playbook(step("restart")))
    life.diagnosed()
    life.feed(ev.Escalated("no step is left", page_at=9e9))
    seq = life.log[-1].seq
    life.feed(ev.Noted("on it", "ann", "cli"))
    life.feed(ev.Closed("ann", "enough", "cli"))
    life.feed(ev.Noted("later", "ann", "cli"))
    found = told(life.log, lanes=("charts:slack",))
    assert [(row.kind, row.payload["seq"]) for row in found] == [("chart", seq), ("chart", seq + 2)]
    assert len({row.key for row in found}) == 2
    quiet = Life(playbook(step("restart")))
    quiet.feed(ev.Escalated("ann took over", page=False))
    assert not told(quiet.log, lanes=("charts:slack",))


def test_keys_are_unique_and_payloads_are_json() -> None:
    life = Life(playbook(step("restart")))
    life.diagnosed()
    life.run("restart")
    life.look(True, times=9)
    life.alerts(ended=1)
    found = told(life.log, lanes=("console", "slack:ops", "escalation:webhook"))
    assert len({row.key for row in found}) == len(found)
    for row in found:
        json.dumps(row.payload)
        assert row.incident == "i-1"


def test_a_state_that_did_not_change_needs_no_new_header() -> None:
    life = Life(playbook(step("restart")))
    life.diagnosed()
    start = len(life.log)
    life.feed(ev.Noted("a remark", "alice", "web"))
    found = told(life.log)
    later = [row for row in found if int(row.key.split("/")[1]) > start]
    assert [(row.kind, row.payload["text"]) for row in later] == [("thread", "alice (via web): a remark")]


def test_a_storm_on_one_incident_is_told_at_its_first_ten_alerts_and_at_each_doubling() -> None:
    life = Life(playbook(step("restart")))
    storm(life, 5000)
    found = told(life.log, lanes=("console",))
    assert kinds(found).count("alerts_changed") == 10 + 9
    assert len(found) < 45


def test_more_of_the_same_writes_nothing() -> None:
    life = Life(playbook(step("restart")))
    storm(life, 40)
    before = life.incident
    after = evolve(before, (recorded := ev.Recorded("i-1", before.seq + 1, 1.0, life.log[-1].event)))
    assert rows(before, after, [recorded], LANES) == ()


def test_a_worse_alert_in_a_storm_is_told() -> None:
    life = Life(playbook(step("restart")))
    storm(life, 40)
    start = len(life.log)
    life.alerts(started=1, severity=Severity.P1)
    found = [row for row in told(life.log, lanes=("console",)) if int(row.key.split("/")[1]) > start]
    assert [row.kind for row in found] == ["header", "thread"]
    assert found[0].payload["severity"] == "P1"
    assert found[1].payload["raised"] == "P2 → P1"


def test_the_last_alert_that_ends_is_told() -> None:
    life = Life(playbook(step("restart")))
    storm(life, 40)
    life.diagnosed()
    start = len(life.log)
    life.alerts(ended=41)
    found = [row for row in told(life.log, lanes=("console",)) if int(row.key.split("/")[1]) > start]
    assert "alerts_changed" in kinds(found)


def test_the_same_refusal_is_told_once() -> None:
    life = Life(playbook(step("restart")))
    life.diagnosed()
    for _ in range(3):
        life.feed(ev.StepRefused("restart", "cooldown", "too soon", retry_at=life.now + 5, give_up_at=life.now + 900))
        life.advance(6)
    life.feed(ev.StepRefused("restart", "kill switch", "it is on", retry_at=life.now + 5, give_up_at=life.now + 900))
    assert kinds(told(life.log)).count("step_refused") == 2


def test_looks_are_told_when_their_verdict_changes() -> None:
    life = Life(playbook(step("restart")))
    life.diagnosed()
    life.run("restart")
    for verdict in (None, None, False, None, True, True):
        life.look(verdict)
    looks = [row.payload["text"] for row in told(life.log) if row.payload.get("kind") == "sampled"]
    assert looks[:4] == ["Can't tell: seen None.", "Bad: seen False.", "Can't tell: seen None.", "Good: seen True."]


def test_the_unit_makes_no_difference_to_what_is_told() -> None:
    life = Life(playbook(step("restart")))
    life.diagnosed()
    life.run("restart")
    life.look(True, times=9)
    life.alerts(ended=1)
    one, all_at_once = told(life.log), told(life.log, unit=1000)
    assert set(kinds(all_at_once)) <= set(kinds(one))
    assert kinds(all_at_once).count("step_finished") == 1


def test_an_escalation_its_repeats_and_a_question_call_people() -> None:
    life = Life(playbook(step("restart", approvals=1)))
    life.diagnosed()
    life.feed(ev.ApprovalAsked("ap", "restart", "x", "h", 1, life.now + 60, 30.0, "escalate", reason_required=False))
    life.feed(ev.Escalated("nobody answered", page_at=life.now + 10))
    life.advance(11)
    pages = [row for row in told(life.log) if row.lane == "escalation:webhook"]
    assert [(row.kind, row.payload["kind"], row.payload["number"]) for row in pages] == [
        ("page", "approval_asked", 1),
        ("page", "escalated", 1),
        ("page", "paged", 2),
    ]
    assert pages[0].payload["answer"] == ["remediator approve i-1", 'remediator deny i-1 --reason "..."']
    assert "answer" not in pages[1].payload
    assert pages[1].payload["text"].startswith("Needs a person: nobody answered.")
    assert pages[1].payload["incident"]["target"] == "api"


def test_whoever_took_it_over_is_not_paged_about_it() -> None:
    life = Life(playbook(step("restart")))
    life.diagnosed()
    life.feed(ev.TakenOver("alice", "cli"))
    assert [row for row in told(life.log) if row.kind == "page"] == []


def test_a_question_is_a_row_of_its_own_kind_with_what_is_asked() -> None:
    life = Life(playbook(step("restart", approvals=2)))
    life.diagnosed()
    life.feed(ev.ApprovalAsked("ap", "restart", "x", "h", 2, life.now + 60, 30.0, "escalate", reason_required=True))
    (asked,) = [row for row in told(life.log) if row.kind == "approval"]
    assert (asked.payload["approval"], asked.payload["needed"], asked.payload["reason_required"]) == ("ap", 2, True)


def test_the_end_is_summed_up() -> None:
    life = Life(playbook(step("restart")))
    life.diagnosed()
    life.run("restart")
    life.look(True, times=9)
    life.alerts(ended=1)
    last = told(life.log, lanes=("console",))[-1]
    assert (last.payload["kind"], last.kind) == ("summary", "thread")
    assert last.payload["text"].endswith("Steps: restart helped.")


def test_what_is_said_after_the_end_does_not_sum_up_again() -> None:
    life = Life(playbook(step("restart")))
    life.feed(ev.Closed("alice", "not real", "cli"))
    life.feed(ev.Noted("it was a test", "alice", "cli"))
    assert kinds(told(life.log)).count("summary") == 1


def test_checks_of_an_escalated_incident_are_told_only_when_they_pass() -> None:
    life = Life(playbook(step("restart")))
    life.diagnosed()
    life.feed(ev.Escalated("broken", page_at=life.now + 1000))
    life.alerts(ended=1)
    start = len(life.log)
    life.look(False, times=2)
    found = [row for row in told(life.log) if int(row.key.split("/")[1]) > start]
    assert kinds(found) == []
