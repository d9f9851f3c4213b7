"""How soon somebody must have seen an incident, and what follows when nobody has."""

from __future__ import annotations

from dataclasses import replace

import pytest

from receiver.chat.slack.blocks import broadcasts, calls
from receiver.core import events as ev
from receiver.core.alert import AlertStatus
from receiver.core.declared import DECLARED, declared
from receiver.core.events import Recorded
from receiver.core.fold import evolve, replay
from receiver.core.incident import Incident
from receiver.core.machine import next_event, wake
from receiver.core.playbook import ACKNOWLEDGE_WITHIN, Deadlines
from receiver.core.principal import Principal
from receiver.core.severity import Severity
from receiver.core.telling import rows
from receiver.counting import count
from receiver.metrics import Metrics
from tests.unit.core.life import Life, playbook, step

ANA = Principal("ana", "cli")
START = 1000.0


def opened(severity: Severity) -> Recorded:
    return Recorded("i-1", 1, START, declared("i-1", ANA, severity, "Checkout is slow", "api", "act"))


def add(incident: Incident, event: ev.Event, at: float) -> Incident:
    return evolve(incident, Recorded(incident.id, incident.seq + 1, at, event))


SILENT = replace(DECLARED, update_every={}, deadlines=Deadlines())
"""Without status lines, which are another matter."""


def late(incident: Incident, at: float) -> ev.Event | None:
    return next_event(incident, SILENT, at)


@pytest.mark.parametrize(("severity", "seconds"), [("P1", 900), ("P2", 3600), ("P3", 14_400), ("P4", 86_400)])
def test_each_severity_has_its_own_time_to_respond(severity: str, seconds: float) -> None:
    incident = evolve(None, opened(Severity(severity)))
    assert late(incident, START + seconds - 0.1) is None
    assert late(incident, START + seconds) == ev.ResponseMissed(Severity(severity), seconds)


def test_it_wakes_when_the_response_is_late() -> None:
    incident = evolve(None, opened(Severity.P1))
    assert wake(incident, DECLARED, START + 600) == START + 900


def test_a_missed_response_is_told_once_however_long_the_service_was_away() -> None:
    incident = evolve(None, opened(Severity.P1))
    away = START + 100_000
    event = late(incident, away)
    assert event is not None
    incident = add(incident, event, away)
    assert late(incident, away + 100_000) is None


def test_whoever_acknowledges_or_takes_over_stops_the_clock() -> None:
    incident = evolve(None, opened(Severity.P1))
    assert late(add(incident, ev.Acknowledged("ana", "cli"), START + 1), START + 10_000) is None
    owned = add(incident, ev.TakenOver("ana", "cli"), START + 1)
    assert not isinstance(late(owned, START + 10_000), ev.ResponseMissed)


def test_a_severity_that_rises_has_its_time_from_then_on() -> None:
    incident = evolve(None, opened(Severity.P4))
    incident = add(incident, ev.SeverityChanged(Severity.P1, "ana", "cli", "worse"), START + 7000)
    assert late(incident, START + 7000 + 899) is None
    assert late(incident, START + 7000 + 900) == ev.ResponseMissed(Severity.P1, 900.0)


def test_a_severity_that_falls_is_not_told_a_second_time_and_one_that_rises_is() -> None:
    incident = evolve(None, opened(Severity.P2))
    incident = add(incident, ev.ResponseMissed(Severity.P2, ACKNOWLEDGE_WITHIN[Severity.P2]), START + 3600)
    lower = add(incident, ev.SeverityChanged(Severity.P3, "ana", "cli", "less"), START + 3700)
    assert late(lower, START + 1_000_000) is None
    higher = add(incident, ev.SeverityChanged(Severity.P1, "ana", "cli", "worse"), START + 3700)
    assert late(higher, START + 3700 + 900) == ev.ResponseMissed(Severity.P1, 900.0)


def test_a_missed_response_calls_people_and_leaves_automation_on() -> None:
    life = Life(playbook(step("restart")))
    life.diagnosed()
    before = life.incident
    missed = Recorded(before.id, before.seq + 1, life.now, ev.ResponseMissed(Severity.P2, 3600.0))
    after = evolve(before, missed)
    assert after.automatic
    told = rows(before, after, [missed], ["slack", "escalation:webhook"])
    assert [(row.lane, row.kind, row.payload.get("kind")) for row in told] == [
        ("slack", "header", None),
        ("slack", "thread", "response_missed"),
        ("escalation:webhook", "page", "response_missed"),
    ]
    assert told[0].payload["late"] == ("acknowledged",)
    assert {row.payload["text"] for row in told[1:]} == {"Nobody acknowledged this P2 within 1 h. People are called."}


def test_a_missed_response_is_loud_in_slack_with_its_mention_and_counted_by_severity() -> None:
    entry = {"kind": "response_missed", "tone": "bad", "text": "late"}
    assert calls(entry)
    assert broadcasts(entry)
    metrics = Metrics()
    count(metrics, [Recorded("i-1", 2, START, ev.ResponseMissed(Severity.P1, 900.0))])
    count(metrics, [Recorded("i-1", 3, START, ev.ResponseMissed(Severity.P1, 900.0, "recover"))])
    found = [
        metrics.registry.get_sample_value("remediator_responses_missed_total", {"severity": severity, "what": what})
        for severity, what in (("P1", "acknowledge"), ("P4", "acknowledge"), ("P1", "recover"), ("P1", "mitigate"))
    ]
    assert found == [1.0, 0.0, 1.0, 0.0]


@pytest.mark.parametrize("mode", ["observe", "act"])
def test_what_is_only_observed_calls_nobody(mode: str) -> None:
    life = Life(playbook(step("restart")), mode=mode)
    life.diagnosed()
    life.advance(ACKNOWLEDGE_WITHIN[Severity.P2])
    assert ("ResponseMissed" in life.kinds()) is (mode == "act")


def test_a_log_from_before_these_times_counts_from_its_opening() -> None:
    incident = replay([opened(Severity.P1)])
    assert incident is not None
    assert incident.severity_since == 0.0
    assert wake(incident, DECLARED, START) == START + 900


def test_a_playbook_that_only_tells_has_a_response_time_too() -> None:
    life = Life(playbook())
    life.advance(ACKNOWLEDGE_WITHIN[Severity.P2])
    assert "ResponseMissed" in life.kinds()
    assert life.incident.open


def test_of_a_severity_without_a_time_nobody_need_respond() -> None:
    incident = evolve(None, opened(Severity.P3))
    never = replace(SILENT, acknowledge_within={Severity.P1: 60.0})
    assert next_event(incident, never, START + 1_000_000) is None
    raised = add(incident, ev.SeverityChanged(Severity.P1, "ana", "cli", "worse"), START + 100)
    assert next_event(raised, never, START + 160) == ev.ResponseMissed(Severity.P1, 60.0)


def test_who_acknowledged_a_minor_incident_has_not_seen_what_it_became() -> None:
    incident = add(evolve(None, opened(Severity.P3)), ev.Acknowledged("ana", "cli"), START + 1)
    raised = add(incident, ev.SeverityChanged(Severity.P1, "ben", "cli", "worse"), START + 100)
    assert raised.acknowledged_by is None
    assert late(raised, START + 100 + 900) == ev.ResponseMissed(Severity.P1, 900.0)
    seen = add(raised, ev.Acknowledged("ana", "cli"), START + 200)
    assert seen.acknowledged_by == "ana"
    assert late(seen, START + 10_000) is None


def test_who_acknowledged_it_and_judged_it_worse_need_not_say_so_again() -> None:
    incident = add(evolve(None, opened(Severity.P3)), ev.Acknowledged("ana", "cli"), START + 1)
    raised = add(incident, ev.SeverityChanged(Severity.P1, "ana", "cli", "worse"), START + 100)
    assert raised.acknowledged_by == "ana"
    assert late(raised, START + 10_000) is None


def test_a_severity_that_is_no_worse_than_it_was_before_asks_for_no_new_acknowledgement() -> None:
    incident = add(evolve(None, opened(Severity.P1)), ev.Acknowledged("ana", "cli"), START + 1)
    for severity in (Severity.P3, Severity.P1):
        incident = add(incident, ev.SeverityChanged(severity, "ben", "cli", "judged"), START + 100)
    assert incident.acknowledged_by == "ana"


def test_alerts_that_make_it_worse_ask_for_a_new_acknowledgement() -> None:
    incident = add(evolve(None, opened(Severity.P3)), ev.Acknowledged("ana", "cli"), START + 1)
    worse = ev.AlertChange("f-1", AlertStatus.FIRING, 1, "Down", Severity.P1, DECLARED.name, DECLARED.version, 0)
    raised = add(incident, ev.AlertsChanged((worse,), 1, 0, "webhook"), START + 100)
    assert (raised.severity, raised.acknowledged_by) == (Severity.P1, None)
    assert late(raised, START + 100 + 900) == ev.ResponseMissed(Severity.P1, 900.0)


@pytest.mark.parametrize(
    "event",
    [
        ev.Escalated("it could not be repaired", page_at=1e9),
        ev.Verified("restart", "step", "passed", "ok", hold_until=1e9, resolve_by=1e9),
    ],
)
def test_what_is_escalated_or_repaired_but_not_resolved_still_waits_for_an_answer(event: ev.Event) -> None:
    incident = add(evolve(None, opened(Severity.P1)), event, START + 60)
    assert not isinstance(late(incident, START + 899.9), ev.ResponseMissed)
    assert late(incident, START + 900) == ev.ResponseMissed(Severity.P1, 900.0)
