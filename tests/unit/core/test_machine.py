"""The ladder, verification, hold, approvals, escalation and cleanup, as the pure machine decides them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from receiver.core import events as ev
from receiver.core.commands import Diagnose, Look, ResumeAction, RunStep, TakeBack
from receiver.core.fold import evolve
from receiver.core.incident import FoldError, Phase
from receiver.core.machine import verification, wake
from receiver.core.playbook import OnFailure, Verification
from receiver.core.severity import Severity
from tests.unit.core.life import Life, playbook, step


def test_the_first_thing_due_is_the_diagnosis() -> None:
    assert Life(playbook(step("restart"))).due() == Diagnose()


def test_nothing_is_changed_before_the_settle_time_is_over() -> None:
    life = Life(playbook(step("restart")))
    life.feed(ev.Diagnosed(confirmed=True))
    assert life.due() is None
    assert wake(life.incident, life.book, life.now) == life.incident.settle_until
    life.advance(1.5)
    assert isinstance(life.due(), RunStep)


def test_a_verified_step_holds_and_resolves_once_the_alert_has_resolved() -> None:
    life = Life(playbook(step("restart")))
    life.diagnosed()
    life.run("restart")
    assert life.phase() is Phase.VERIFYING
    life.look(True, times=2)
    assert life.phase() is Phase.HOLDING
    life.look(True, times=7)
    assert life.phase() is Phase.HOLDING, "the alert still fires"
    life.alerts(ended=1)
    assert life.phase() is Phase.RESOLVED


def test_healthy_must_hold_before_it_is_resolved() -> None:
    life = Life(playbook(step("restart"), step("rollback")))
    life.diagnosed()
    life.run("restart")
    life.look(True, times=2)
    life.alerts(ended=1)
    assert life.phase() is Phase.HOLDING
    life.look(False, times=2)
    assert life.phase() is Phase.VERIFYING, "the alert is gone but it does not hold: looked at before the next step"
    assert life.incident.done[0].result == "failed"


def test_a_failed_step_leads_to_the_next_one_and_the_last_to_people() -> None:
    life = Life(playbook(step("restart"), step("rollback")))
    life.diagnosed()
    life.run("restart")
    life.look(False, times=2)
    command = life.due()
    assert isinstance(command, RunStep)
    assert command.step.name == "rollback"
    life.run("rollback", ok=False, restored=True)
    assert life.phase() is Phase.ESCALATED
    assert life.incident.escalation == "the ladder is at its end (restart: failed, rollback: failed)"


def test_an_inconclusive_verification_is_never_a_pass_and_calls_people() -> None:
    life = Life(playbook(step("restart"), step("rollback")))
    life.diagnosed()
    life.run("restart")
    life.look(None, times=25)
    assert life.phase() is Phase.ESCALATED
    assert life.incident.done[0].result == "inconclusive"


def test_one_good_look_is_not_enough() -> None:
    life = Life(playbook(step("restart")))
    life.diagnosed()
    life.run("restart")
    life.look(True)
    life.look(None)
    life.look(True)
    assert life.phase() is Phase.VERIFYING


def test_a_failed_step_that_declares_undo_is_undone_before_the_next() -> None:
    life = Life(playbook(step("scale", undo=True), step("restart")))
    life.diagnosed()
    action_id = life.run("scale")
    life.look(False, times=2)
    command = life.due()
    assert isinstance(command, TakeBack)
    assert (command.kind, command.done.action_id) == ("undo", action_id)
    undo = life.start("scale", kind="undo", cause=action_id)
    life.feed(ev.StepFinished(undo, ok=True, text="gone"))
    command = life.due()
    assert isinstance(command, RunStep)
    assert command.step.name == "restart"


def test_an_undo_that_failed_calls_people() -> None:
    life = Life(playbook(step("scale", undo=True), step("restart")))
    life.diagnosed()
    action_id = life.run("scale")
    life.look(False, times=2)
    undo = life.start("scale", kind="undo", cause=action_id)
    life.feed(ev.StepFinished(undo, ok=False, text="somebody else changed it"))
    assert life.phase() is Phase.ESCALATED


def test_what_was_added_is_taken_back_after_a_quiet_time() -> None:
    life = Life(playbook(step("scale", cleanup_after=30.0)))
    life.diagnosed()
    action_id = life.run("scale")
    life.look(True, times=2)
    life.alerts(ended=1)
    life.look(True, times=6)
    assert life.phase() is Phase.CLEANUP
    assert life.due() is None
    life.advance(31.0)
    command = life.due()
    assert isinstance(command, TakeBack)
    assert command.kind == "cleanup"
    cleanup = life.start("scale", kind="cleanup", cause=action_id)
    life.feed(ev.StepFinished(cleanup, ok=True, text="removed"))
    assert life.phase() is Phase.CLEANUP
    life.look(True, times=2)
    assert life.phase() is Phase.RESOLVED
    assert life.incident.done[0].taken_back
    resolved = life.log[-1].event
    assert isinstance(resolved, ev.Resolved)
    assert [one["at"] for one in resolved.evidence] == [life.now], "the evidence is of after the taking back"


def test_an_alert_that_comes_back_during_cleanup_goes_on_with_the_ladder() -> None:
    life = Life(playbook(step("scale", cleanup_after=30.0), step("restart")))
    life.diagnosed()
    life.run("scale")
    life.look(True, times=2)
    life.alerts(ended=1)
    life.look(True, times=6)
    life.alerts(started=1)
    command = life.due()
    assert isinstance(command, RunStep)
    assert command.step.name == "restart", "executed steps aren't repeated"


def test_a_resolve_before_the_first_step_is_verified_before_it_counts() -> None:
    life = Life(playbook(step("restart")))
    life.alerts(ended=1)
    assert life.phase() is Phase.VERIFYING
    life.look(True, times=2)
    life.look(True, times=6)
    assert life.phase() is Phase.RESOLVED
    assert "StepStarted" not in life.kinds()


def test_a_resolve_that_is_not_true_goes_on_with_the_ladder_when_the_alert_was_confirmed() -> None:
    life = Life(playbook(step("restart")))
    life.diagnosed()
    life.alerts(ended=1)
    life.look(False, times=2)
    assert isinstance(life.due(), RunStep)


def test_a_resolve_that_is_not_true_calls_people_when_the_alert_was_never_confirmed() -> None:
    life = Life(playbook(step("restart")))
    life.diagnosed(confirmed=None)
    life.alerts(ended=1)
    life.look(False, times=2)
    assert life.phase() is Phase.ESCALATED


def ask(life: Life, needed: int = 1) -> str:
    """Ask for an approval of the next step."""
    life.feed(ev.ApprovalAsked("p-1", "rollback", "roll back", "h", needed, life.now + 60, 30.0, "escalate", False))
    return "p-1"


def test_an_approved_step_becomes_due_and_a_quorum_counts_distinct_people() -> None:
    life = Life(playbook(step("rollback", approvals=2)))
    life.diagnosed()
    asked = ask(life, needed=2)
    life.feed(ev.Voted(asked, "ann", approve=True, reason="", via="cli"))
    life.feed(ev.Voted(asked, "ann", approve=True, reason="again", via="web"))
    assert life.due() is None
    life.feed(ev.Voted(asked, "bob", approve=True, reason="", via="cli"))
    command = life.due()
    assert isinstance(command, RunStep)
    assert command.approval is not None
    assert command.approval.id == asked


def test_one_deny_ends_an_approval() -> None:
    life = Life(playbook(step("rollback", approvals=2)))
    life.diagnosed()
    asked = ask(life, needed=2)
    life.feed(ev.Voted(asked, "ann", approve=True, reason="", via="cli"))
    life.feed(ev.Voted(asked, "bob", approve=False, reason="not now", via="cli"))
    assert life.phase() is Phase.ESCALATED
    assert life.incident.approval is None
    assert life.incident.done[0].result == "denied"


def test_an_approval_that_nobody_decided_escalates_and_never_approves() -> None:
    life = Life(playbook(step("rollback", approvals=1)))
    life.diagnosed()
    ask(life)
    life.advance(61.0)
    assert life.phase() is Phase.ESCALATED
    assert "StepStarted" not in life.kinds()


def test_an_approval_that_was_not_used_in_time_is_void() -> None:
    life = Life(playbook(step("rollback", approvals=1)))
    life.diagnosed()
    asked = ask(life)
    life.feed(ev.Voted(asked, "ann", approve=True, reason="", via="cli"))
    life.advance(31.0)
    assert life.due() is None
    assert life.phase() is Phase.ESCALATED


def test_a_resolve_suspends_an_approval_and_a_pass_cancels_it() -> None:
    life = Life(playbook(step("rollback", approvals=1)))
    life.diagnosed()
    ask(life)
    life.alerts(ended=1)
    assert life.phase() is Phase.VERIFYING
    life.look(True, times=2)
    assert life.incident.approval is None
    assert life.phase() is Phase.HOLDING


def test_a_resolve_that_does_not_hold_restores_the_approval() -> None:
    life = Life(playbook(step("rollback", approvals=1)))
    life.diagnosed()
    asked = ask(life)
    life.alerts(ended=1)
    life.feed(ev.Voted(asked, "ann", approve=True, reason="", via="cli"))
    assert not isinstance(life.due(), RunStep), "votes meanwhile count but don't execute"
    life.look(False, times=2)
    assert life.phase() is Phase.AWAITING_APPROVAL
    assert isinstance(life.due(), RunStep)


def test_a_superseded_approval_is_asked_again() -> None:
    life = Life(playbook(step("rollback", approvals=1)))
    life.diagnosed()
    asked = ask(life)
    life.feed(ev.Voted(asked, "ann", approve=True, reason="", via="cli"))
    life.feed(ev.ApprovalEnded(asked, "superseded", "the plan changed"))
    command = life.due()
    assert isinstance(command, RunStep)
    assert command.approval is None


def test_taking_over_during_a_step_lets_it_finish_and_nothing_follows() -> None:
    life = Life(playbook(step("restart"), step("rollback")))
    life.diagnosed()
    action_id = life.start("restart")
    life.feed(ev.TakenOver("ann", "cli"))
    assert life.phase() is Phase.ACTING
    life.feed(ev.StepFinished(action_id, ok=True, text="done"))
    life.look(False, times=2)
    assert life.phase() is Phase.ESCALATED
    assert life.due() is None


def test_an_intent_in_doubt_is_asked_about_at_its_time_and_pages_when_a_person_must_decide() -> None:
    life = Life(playbook(step("restart")))
    life.diagnosed()
    action_id = life.start("restart")
    assert isinstance(life.due(), ResumeAction)
    life.feed(ev.StepInDoubt(action_id, "no answer", person=False, ask_at=life.now + 15))
    assert life.due() is None
    life.advance(15.0)
    assert isinstance(life.due(), ResumeAction)
    life.feed(ev.StepInDoubt(action_id, "no answer", person=True, ask_at=life.now + 15))
    assert life.incident.escalation is not None
    assert life.phase() is Phase.ESCALATED
    assert life.incident.action is not None, "the target stays locked"
    life.alerts(ended=1)
    assert life.incident.check is None, "nothing is verified while it is not known what is done"
    life.advance(15.0)
    assert isinstance(life.due(), ResumeAction), "the asking goes on"
    life.feed(ev.StepFinished(action_id, ok=True, text="it was done"))
    assert life.phase() is Phase.VERIFYING


def test_an_escalated_incident_pages_again_and_ends_when_verified() -> None:
    life = Life(playbook(step("restart")))
    life.diagnosed()
    life.run("restart", ok=False)
    assert life.phase() is Phase.ESCALATED
    life.advance(101.0)
    assert life.kinds()[-1] == "Paged"
    life.alerts(ended=1)
    assert isinstance(life.incident.check, object)
    life.look(True, times=2)
    life.look(True, times=7)
    assert life.phase() is Phase.RESOLVED


def test_a_refusal_that_does_not_pass_calls_people_and_one_that_passes_waits() -> None:
    life = Life(playbook(step("restart")))
    life.diagnosed()
    life.feed(ev.StepRefused("restart", "fleet_cap", "too many", retry_at=life.now + 15, give_up_at=life.now + 40))
    assert life.phase() is Phase.TRIAGE
    assert life.due() is None
    life.advance(15.0)
    assert isinstance(life.due(), RunStep)
    life.advance(30.0)
    assert life.phase() is Phase.ESCALATED
    other = Life(playbook(step("restart")))
    other.diagnosed()
    other.feed(ev.StepRefused("restart", "cooldown", "acted 3 s ago"))
    assert other.phase() is Phase.ESCALATED


def test_a_skipped_step_leads_to_the_next() -> None:
    life = Life(playbook(step("rollback"), step("restart")))
    life.diagnosed()
    life.feed(ev.StepSkipped("rollback", "the running image is known good"))
    command = life.due()
    assert isinstance(command, RunStep)
    assert command.step.name == "restart"


def test_a_step_that_says_escalate_ends_the_ladder() -> None:
    book = playbook(replace(step("restart"), on_failure=OnFailure.ESCALATE), step("rollback"))
    life = Life(book)
    life.diagnosed()
    life.run("restart")
    life.look(False, times=2)
    assert life.phase() is Phase.ESCALATED


def test_observing_says_what_it_would_have_done_and_follows_the_alert_to_its_end() -> None:
    life = Life(playbook(step("restart")), mode="observe")
    life.diagnosed()
    life.feed(ev.WouldHave("restart", "restart api", "observe mode"))
    assert life.due() is None
    assert life.phase() is Phase.TRIAGE
    life.alerts(ended=1)
    life.look(True, times=2)
    life.look(True, times=6)
    assert life.phase() is Phase.RESOLVED


def test_a_higher_playbook_takes_over_at_the_step_boundary_only() -> None:
    life = Life(playbook(step("restart"), step("rollback"), name="high-error-rate", rank=5))
    life.diagnosed()
    action_id = life.start("restart")
    life.higher(playbook(step("restart"), step("scale"), name="service-down", rank=0))
    assert life.incident.playbook == "high-error-rate"
    assert life.incident.severity is Severity.P1, "the severity rises at once"
    life.feed(ev.StepFinished(action_id, ok=True, text="done"))
    life.look(False, times=2)
    assert life.incident.playbook == "service-down"
    command = life.due()
    assert isinstance(command, RunStep)
    assert command.step.name == "scale", "executed steps aren't repeated"


def test_a_verified_step_whose_alert_keeps_firing_calls_people_in_the_end() -> None:
    life = Life(playbook(step("restart")))
    life.diagnosed()
    life.run("restart")
    life.look(True, times=2)
    life.look(True, times=70)
    assert life.phase() is Phase.ESCALATED


def test_a_look_is_due_only_at_its_time() -> None:
    life = Life(playbook(step("restart")))
    life.diagnosed()
    life.run("restart")
    assert life.due() is None
    life.advance(1.0)
    assert isinstance(life.due(), Look)


def test_nothing_follows_the_end() -> None:
    life = Life(playbook(step("restart")))
    life.feed(ev.Closed("ann", "false alarm", "cli"))
    assert life.phase() is Phase.CLOSED
    assert life.due() is None
    with pytest.raises(FoldError, match="after the end"):
        life.alerts(started=1)


def test_a_gap_in_the_log_is_refused() -> None:
    life = Life(playbook(step("restart")))
    with pytest.raises(FoldError, match="follows"):
        evolve(life.incident, ev.Recorded("i-1", 99, life.now, ev.Noted("x")))


def test_an_observed_incident_whose_end_can_t_be_shown_is_left_open_and_calls_nobody() -> None:
    life = Life(playbook(step("restart")), mode="observe")
    life.diagnosed(confirmed=None)
    life.feed(ev.WouldHave("restart", "restart api", "observe mode"))
    life.alerts(ended=1)
    life.look(None, times=400)
    assert life.phase() is Phase.ESCALATED
    assert life.incident.quiet
    assert "observing: nobody is called" in str(life.incident.escalation)
    life.advance(100_000.0)
    assert "Paged" not in life.kinds()
    for _ in range(3):
        life.advance(61.0)
        life.look(True, times=8)
    assert life.phase() is Phase.RESOLVED


def test_an_alert_that_fires_for_days_is_followed_to_its_end_where_nothing_is_to_be_done() -> None:
    for book, mode in ((playbook(), "act"), (playbook(step("restart")), "observe")):
        life = Life(book, mode=mode)
        life.diagnosed()
        if book.steps:
            life.feed(ev.WouldHave("restart", "restart api", "observe mode"))
        life.advance(3 * 86_400.0)
        assert life.phase() is Phase.TRIAGE
        life.alerts(ended=1)
        life.look(True, times=8)
        assert life.phase() is Phase.RESOLVED


def test_a_playbook_that_only_tells_hands_over_to_one_that_acts_also_when_it_was_left_open() -> None:
    life = Life(playbook(name="warnings", rank=2))
    life.diagnosed(confirmed=None)
    life.alerts(ended=1)
    life.look(None, times=400)
    assert life.phase() is Phase.ESCALATED
    assert life.incident.quiet
    life.higher(playbook(step("restart"), name="errors", rank=0))
    assert life.phase() is Phase.TRIAGE
    assert (life.incident.playbook, life.incident.escalation) == ("errors", None)
    life.advance(1.0)
    assert life.due() is not None


def test_a_playbook_that_acts_and_is_given_up_still_calls_people() -> None:
    life = Life(playbook(step("restart")))
    life.diagnosed()
    life.run("restart", ok=False)
    assert life.phase() is Phase.ESCALATED
    assert not life.incident.quiet
    life.advance(101.0)
    assert "Paged" in life.kinds()


def test_what_the_playbook_that_only_tells_says_of_verifying_is_how_its_end_is_shown() -> None:
    how = Verification(interval=7.0, consecutive=4, initial_delay=0.0)
    assert verification(replace(playbook(), verify=how), None) == how
    assert verification(replace(playbook(step("restart")), verify=how), None) == step("restart").verify


@pytest.mark.parametrize(("asked", "phase"), [("escalate", Phase.ESCALATED), ("next", Phase.TRIAGE)])
def test_what_was_asked_says_what_follows_when_nobody_answers(asked: str, phase: Phase) -> None:
    life = Life(playbook(step("restart", approvals=1), step("rollback")))
    life.diagnosed()
    life.feed(
        ev.ApprovalAsked("p-1", "restart", "restart api", "h", 1, life.now + 60.0, 30.0, asked, reason_required=False)
    )
    life.advance(61.0)
    assert life.phase() is phase


def test_why_a_guardrail_refused_is_told_to_whoever_is_called() -> None:
    life = Life(playbook(step("restart")))
    life.diagnosed()
    life.feed(ev.StepRefused("restart", "target", "there is no such socket"))
    assert life.incident.escalation == "nothing can plan the next step: there is no such socket"


def test_what_could_not_be_taken_back_is_tried_again_later_and_then_left_to_people() -> None:
    life = Life(playbook(step("scale", cleanup_after=10.0)))
    life.diagnosed()
    life.run("scale")
    life.look(True, times=2)
    life.alerts(ended=1)
    life.look(True, times=8)
    assert life.phase() is Phase.CLEANUP
    cause = str(life.incident.done[0].action_id)
    life.advance(10.0)
    for tries in range(1, 4):
        assert isinstance(life.due(), TakeBack)
        life.feed(ev.StepFinished(life.start("scale", kind="cleanup", cause=cause), ok=False, text="busy"))
        assert life.due() is None, "not again within the same second"
        assert (life.phase() is Phase.ESCALATED) is (tries == 3)
        life.advance(60.0)


def test_what_was_refused_before_does_not_hold_up_the_cleanup() -> None:
    life = Life(playbook(step("scale", cleanup_after=30.0)))
    life.diagnosed()
    life.run("scale")
    life.alerts(ended=1)
    life.look(True, times=2)
    life.feed(ev.StepRefused("scale", "kill_switch", "it is on", retry_at=life.now + 15, give_up_at=life.now + 900))
    life.look(True, times=6)
    assert life.phase() is Phase.CLEANUP
    life.advance(31.0)
    assert isinstance(life.due(), TakeBack)


def test_an_alert_that_came_back_and_ended_again_while_it_was_looked_into_is_looked_into_again() -> None:
    life = Life(playbook())
    life.diagnosed()
    life.alerts(ended=1)
    assert life.phase() is Phase.VERIFYING
    life.alerts(started=1)
    assert life.phase() is Phase.TRIAGE
    life.alerts(ended=1)
    assert life.phase() is Phase.VERIFYING


def test_an_alert_that_is_only_told_of_and_ends_without_proof_does_not_stay_open_for_ever() -> None:
    life = Life(playbook())
    life.diagnosed()
    life.alerts(ended=1)
    life.look(False, times=6)
    assert life.phase() is Phase.ESCALATED
    assert life.incident.page_at is None, "nobody is called about what automation was never to touch"
    life.advance(60.0)
    life.look(True, times=8)
    assert life.phase() is Phase.RESOLVED


def test_the_worst_severity_is_kept_though_it_was_lowered_since() -> None:
    life = Life(playbook(step("restart")))
    kept = [life.incident.worst]
    life.alerts(started=1, severity=Severity.P1)
    assert [*kept, life.incident.worst] == [Severity.P2, Severity.P1]
    life.incident = replace(life.incident, severity=Severity.P4)
    life.alerts(started=1, severity=Severity.P3)
    assert (life.incident.severity, life.incident.worst) == (Severity.P4, Severity.P1)
