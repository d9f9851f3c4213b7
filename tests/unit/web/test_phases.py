"""What the incident's page shows of a P1's phases."""

from dataclasses import replace

from receiver.core import events as ev
from receiver.core.declared import DECLARED, declared
from receiver.core.events import Recorded
from receiver.core.playbook import COMPLETE_FAILURE
from receiver.core.principal import Principal
from receiver.core.severity import Severity
from receiver.web.pages.phases import PhaseView, phases
from tests.unit.web.fakes import folded

START = 1000.0
WORST = replace(DECLARED, deadlines=COMPLETE_FAILURE)
DUE = {"assessed": START + 300.0, "tried to repair": START + 900.0, "mitigated": START + 1800.0}
STARTED = ev.StepStarted("restart", "a-1", "restart", "step", "restart api")
FINISHED = ev.StepFinished("a-1", ok=True, text="done")
PASSED = ev.Verified("restart", "step", "passed", "ok", hold_until=1e9, resolve_by=1e9)
ASSESSED = ev.Noted("the disk is full", "ana", "slack", phase="assessed")
MITIGATED = ev.Noted("we serve from the other site", "ben", "web", phase="mitigated")


def shown(*happened: tuple[float, ev.Event], now: float = START + 60) -> list[PhaseView]:
    first = declared("i-1", Principal("ana", "cli"), Severity.P1, "Checkout is slow", "api", "act")
    log = [Recorded("i-1", 1, START, first)]
    log += [Recorded("i-1", seq, START + after, event) for seq, (after, event) in enumerate(happened, 2)]
    return list(phases(folded(log), log, WORST, now))


def test_a_phase_that_is_not_reached_is_due_and_then_late() -> None:
    assert shown() == [PhaseView(words, "due", due) for words, due in DUE.items()]
    assert [one.state for one in shown(now=START + 300.0)] == ["late", "due", "due"]
    missed = (30.0, ev.ResponseMissed(Severity.P1, 300.0, "recover"))
    assert [one.state for one in shown(missed)] == ["due", "late", "due"]


def test_a_phase_that_a_person_marked_says_who_and_when() -> None:
    assert shown((30.0, ASSESSED))[0] == PhaseView("assessed", "done", START + 300, START + 30, "ana, by a note")
    slow = shown((400.0, ASSESSED), (500.0, MITIGATED))
    assert [(one.by, one.slow) for one in slow] == [("ana, by a note", True), ("ben", False), ("ben, by a note", False)]


def test_what_the_service_reached_is_said_to_be_its() -> None:
    by = [one.by for one in shown((5.0, STARTED), (9.0, FINISHED), (20.0, PASSED))]
    assert by == ["the service, which chose a step", "the first attempt, which ended", "a verification"]


def test_what_was_not_reached_by_the_end_is_no_longer_due() -> None:
    closed = (40.0, ev.Closed("ana", "no trouble", "cli"))
    assert {one.state for one in shown(closed, now=START + 1e5)} == {"over"}


def test_without_a_playbook_no_deadline_is_known() -> None:
    first = declared("i-1", Principal("ana", "cli"), Severity.P1, "slow", "", "act")
    log = [Recorded("i-1", 1, START, first)]
    assert phases(folded(log), log, None, START) == ()
