"""Until when a P1's phases must be reached, what meets each, and that a miss is told once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from receiver.core import events as ev
from receiver.core.deadlines import Standing, late, standing, unmarked
from receiver.core.declared import DECLARED, declared
from receiver.core.events import Recorded
from receiver.core.fold import evolve
from receiver.core.incident import Incident
from receiver.core.machine import next_event, wake
from receiver.core.playbook import COMPLETE_FAILURE, DEADLINES
from receiver.core.principal import Principal
from receiver.core.severity import Severity
from receiver.core.words import Names, say
from tests.unit.core.life import Life, playbook, step

START = 1000.0
QUIET = replace(DECLARED, update_every={})
WORST = replace(QUIET, deadlines=COMPLETE_FAILURE)
MINUTE = 60.0


def opened(severity: Severity = Severity.P1) -> Incident:
    """Return a declared incident that somebody has seen: no response is awaited."""
    by = Principal("ana", "cli")
    first = declared("i-1", by, severity, "Checkout is slow", "api", "act")
    return add(evolve(None, Recorded("i-1", 1, START, first)), ev.Acknowledged("ana", "cli"))


def add(incident: Incident, *events: ev.Event, at: float = START) -> Incident:
    for event in events:
        incident = evolve(incident, Recorded(incident.id, incident.seq + 1, at, event))
    return incident


def missed(incident: Incident, at: float) -> list[tuple[str, float]]:
    """Return what is told as late at a moment, all of it."""
    found = []
    while isinstance(event := next_event(incident, QUIET, at), ev.ResponseMissed):
        found.append((event.what, event.within))
        incident = add(incident, event, at=at)
    return found


ESCALATED = ev.Escalated("it could not be repaired", page_at=1e9)
STARTED = ev.StepStarted("restart", "a-1", "restart", "step", "restart api")
FINISHED = ev.StepFinished("a-1", ok=True, text="done")
PASSED = ev.Verified("restart", "step", "passed", "ok", hold_until=1e9, resolve_by=1e9)
FAILED = ev.Verified("restart", "hold", "failed", "it did not hold")
ASSESSED = ev.Noted("the disk is full", "ana", "cli", phase="assessed")
MITIGATED = ev.Noted("we serve from the other site", "ana", "cli", phase="mitigated")


def test_a_p1_is_to_be_assessed_in_half_an_hour_and_mitigated_in_one() -> None:
    assert missed(opened(), START + 30 * MINUTE - 0.1) == []
    assert missed(opened(), START + 30 * MINUTE) == [("assess", 1800.0)]
    assert missed(opened(), START + 60 * MINUTE) == [("assess", 1800.0), ("mitigate", 3600.0)]


def test_a_complete_failure_has_five_fifteen_and_thirty_minutes() -> None:
    incident, found = opened(), []
    for minute in range(1, 61):
        at = START + minute * MINUTE
        while isinstance(event := next_event(incident, WORST, at), ev.ResponseMissed):
            found.append((event.what, minute))
            incident = add(incident, event, at=at)
    assert found == [("assess", 5), ("recover", 15), ("mitigate", 30)]


@pytest.mark.parametrize("severity", [Severity.P2, Severity.P3, Severity.P4])
def test_other_severities_have_no_phases(severity: Severity) -> None:
    assert missed(opened(severity), START + 1e6) == []


def test_it_wakes_when_a_phase_is_late() -> None:
    assert wake(add(opened(), ESCALATED), QUIET, START) == START + 1800.0


def test_each_is_told_once_also_after_a_severity_that_fell_and_rose() -> None:
    incident = add(opened(), ev.ResponseMissed(Severity.P1, 1800.0, "assess"), at=START + 1800.0)
    assert missed(incident, START + 1900.0) == []
    for severity in (Severity.P2, Severity.P1):
        incident = add(incident, ev.SeverityChanged(severity, "ana", "cli", "so"), at=START + 2000.0)
    assert missed(incident, START + 4000.0) == []
    assert missed(incident, START + 5600.0) == [("mitigate", 3600.0)]


def test_a_severity_that_rises_has_its_time_from_then_on() -> None:
    incident = add(opened(Severity.P3), ev.SeverityChanged(Severity.P1, "ana", "cli", "worse"), at=START + 9000.0)
    assert missed(incident, START + 9000.0 + 1799.0) == []
    assert missed(incident, START + 9000.0 + 1800.0) == [("assess", 1800.0)]


def test_a_persons_note_meets_a_phase_and_acknowledging_does_not() -> None:
    assert missed(add(opened(), ASSESSED), START + 1e5) == [("mitigate", 3600.0)]
    assert missed(add(opened(), MITIGATED), START + 1e5) == []
    assert missed(add(opened(), ev.Noted("looking", "ana", "cli")), START + 1800.0) == [("assess", 1800.0)]


def test_a_step_that_the_service_chose_counts_as_assessed_unless_it_gives_up_before_the_deadline() -> None:
    chosen = add(opened(), STARTED, FINISHED)
    assert missed(chosen, START + 1800.0) == []
    assert missed(add(chosen, ESCALATED, at=START + 600.0), START + 1800.0) == [("assess", 1800.0)]
    assert missed(add(chosen, ESCALATED, at=START + 2400.0), START + 2500.0) == []


def test_what_was_verified_is_mitigated_until_it_breaks_again() -> None:
    works = add(opened(), STARTED, FINISHED, PASSED)
    assert missed(works, START + 1e5) == []
    assert missed(add(works, FAILED), START + 1e5) == [("mitigate", 3600.0)]
    assert missed(add(works, ev.CleanupInterrupted("the alert came back")), START + 1e5) == [("mitigate", 3600.0)]


def test_what_cannot_be_told_mitigates_nothing_and_takes_no_word_back() -> None:
    unclear = ev.Verified(None, "escalated", "inconclusive", "no data")
    assert missed(add(opened(), ASSESSED, unclear), START + 1e5) == [("mitigate", 3600.0)]
    assert missed(add(opened(), MITIGATED, unclear), START + 1e5) == []


def test_what_is_only_observed_calls_nobody() -> None:
    life = Life(replace(playbook(step("restart")), deadlines=DEADLINES), mode="observe")
    life.alerts(started=1, severity=Severity.P1)
    life.diagnosed()
    life.advance(1e5)
    assert "ResponseMissed" not in life.kinds()


@pytest.mark.parametrize(
    ("what", "within", "words"),
    [
        ("assess", 1800.0, "This P1 was not assessed (nobody said what to do) within 30 min. People are called."),
        ("recover", 900.0, "No attempt to repair this P1 was made within 15 min. People are called."),
        (
            "mitigate",
            3600.0,
            "This P1 was not mitigated (nothing shows that it works) within 1 h. People are called.",
        ),
    ],
)
def test_a_miss_is_told_in_words(what: str, within: float, words: str) -> None:
    assert say(ev.ResponseMissed(Severity.P1, within, what), Names()) == words


def test_a_note_tells_its_phase() -> None:
    assert say(ASSESSED, Names()) == "ana (via cli) (assessed): the disk is full"


def test_what_is_late_is_shown_until_it_is_done_or_is_no_p1s_any_more() -> None:
    seen = opened()
    assert late(seen) == ()
    both = add(seen, *(ev.ResponseMissed(Severity.P1, 60.0, what) for what in ("assess", "mitigate")), at=START + 3600)
    assert late(both) == ("assess", "mitigate")
    assert late(add(both, ASSESSED)) == ("mitigate",)
    assert late(add(both, MITIGATED)) == ()
    assert late(add(both, ev.SeverityChanged(Severity.P3, "ana", "cli", reason="a few"))) == ()
    assert late(add(both, ev.Closed("ana", "done", "cli"))) == ()
    unseen = evolve(
        None, Recorded("i-1", 1, START, declared("i-1", Principal("ana", "cli"), Severity.P2, "x", "", "act"))
    )
    unseen = add(unseen, ev.ResponseMissed(Severity.P2, 3600.0))
    assert late(unseen) == ("acknowledge",)
    assert late(add(unseen, ev.TakenOver("ana", "cli"))) == ()


def test_a_person_may_mark_the_phases_of_a_p1_that_are_not_reached() -> None:
    assert unmarked(opened()) == ("assessed", "mitigated")
    assert unmarked(opened(Severity.P2)) == ()
    assert unmarked(add(opened(), ASSESSED)) == ("mitigated",)
    assert unmarked(add(opened(), STARTED)) == ("mitigated",), "the service chose what to do"
    assert unmarked(add(opened(), STARTED, ESCALATED)) == ("assessed", "mitigated")
    assert unmarked(add(opened(), MITIGATED)) == ()
    assert unmarked(add(opened(), ev.Closed("ana", "done", "cli"))) == ()


def test_a_phase_stands_with_its_deadline_and_since_when_it_is_reached() -> None:
    due = {"assess": START + 30 * MINUTE, "mitigate": START + 60 * MINUTE}
    new = opened()
    assert standing(new, QUIET) == tuple(Standing(one, at, None, missed=False) for one, at in due.items())
    told = add(new, ev.ResponseMissed(Severity.P1, 1800.0, "assess"), at=due["assess"])
    assert [(one.phase, one.missed) for one in standing(told, QUIET)] == [("assess", True), ("mitigate", False)]
    assert [one.at for one in standing(add(told, ASSESSED, at=START + 9), QUIET)] == [START + 9, None]
    assert [one.at for one in standing(add(told, MITIGATED, at=START + 9), QUIET)] == [START + 9, START + 9]
    gave_up = add(add(new, STARTED, at=START + 1), ESCALATED, at=START + 2)
    assert [one.at for one in standing(gave_up, QUIET)] == [None, None], "what it gave up is no assessment"
    tried = add(add(new, STARTED, at=START + 1), FINISHED, at=START + 5)
    assert [one.at for one in standing(tried, WORST)] == [START + 1, START + 5, None]


@pytest.mark.parametrize("severity", [Severity.P2, Severity.P3, Severity.P4])
def test_only_a_p1_that_is_acted_on_has_phases_to_stand(severity: Severity) -> None:
    assert standing(opened(severity), QUIET) == ()
    assert standing(replace(opened(), mode="observe"), QUIET) == ()
    assert standing(opened(), replace(QUIET, dry_run=True)) == ()


def test_what_was_reached_before_it_became_a_p1_was_not_reached_as_one() -> None:
    minor = add(opened(Severity.P3), ASSESSED, MITIGATED)
    raised = add(minor, ev.SeverityChanged(Severity.P1, "ana", "cli", "worse"), at=START + 100)
    assert missed(raised, START + 100 + 60 * MINUTE) == [("assess", 1800.0), ("mitigate", 3600.0)]


def test_a_deadline_is_told_as_late_once_however_often_it_becomes_a_p1() -> None:
    incident = opened()
    incident = add(incident, ev.ResponseMissed(Severity.P1, 1800.0, "assess"), at=START + 1800)
    for severity in (Severity.P3, Severity.P1):
        incident = add(incident, ev.SeverityChanged(severity, "ana", "cli", "judged"), at=START + 2000)
    assert missed(incident, START + 2000 + 60 * MINUTE) == [("mitigate", 3600.0)]
