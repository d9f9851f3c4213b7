"""Each guardrail's yes and no, with the figures that decide."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from receiver.core.guardrails import (
    ActionRecord,
    Facts,
    Figures,
    Kill,
    Word,
    asks,
    check,
    longest_window,
    min_healthy,
    refusal,
)
from receiver.core.playbook import FleetLimits, Guardrails
from tests.unit.core.life import Life, playbook, step
from tests.unit.house.sources import ROOT

NOW = 2000.0


def facts(**changes: Any) -> Facts:
    """Return facts under which everything is allowed, with changes."""
    book = playbook(step("restart"))
    life = Life(book)
    incident = replace(life.incident, confirmed=True, starts_at=NOW - 10, opened_at=NOW - 5)
    base = Facts(
        incident=incident,
        step=book.steps[0],
        kind="step",
        playbook=book,
        today=book,
        fleet=FleetLimits(),
        kill=Kill(),
        figures=Figures(lowest_healthy=1, healthy_now=2, instances=2, takes_down=False),
    )
    return replace(base, **changes)


def past(**changes: Any) -> ActionRecord:
    """Return an action of another incident on the same target that ended a while ago."""
    base = ActionRecord("api", "service-down", "i-0", "restart", "step", NOW - 60, NOW - 50, ok=True)
    return replace(base, **changes)


def refused_by(given: Facts) -> str | None:
    """Return the guardrail that refuses."""
    found = refusal(check(given, NOW))
    return found.guardrail if found else None


def asked_by(given: Facts) -> str | None:
    """Return the guardrail that wants an approval."""
    found = asks(check(given, NOW))
    return found[0].guardrail if found else None


def with_rails(**changes: Any) -> Facts:
    """Return facts whose playbook has other guardrails."""
    base = facts()
    book = replace(base.playbook, guardrails=replace(Guardrails(), **changes))
    return replace(base, playbook=book, today=book)


def test_everything_in_order_is_allowed_and_every_guardrail_answers() -> None:
    answers = check(facts(), NOW)
    assert refusal(answers) is None
    assert asks(answers) == ()
    assert len({one.guardrail for one in answers}) == 13
    assert all(one.reason for one in answers)


@pytest.mark.parametrize(
    "kill",
    [Kill(everything=True, by="ann"), Kill(playbooks=("service-down",), by="ann"), Kill(file="/run/kill")],
    ids=["everything", "playbook", "file"],
)
@pytest.mark.parametrize("kind", ["step", "undo", "cleanup"])
def test_the_kill_switch_stops_every_new_action_and_says_how_to_release_it(kill: Kill, kind: str) -> None:
    found = refusal(check(facts(kill=kill, kind=kind), NOW))
    assert found is not None
    assert found.guardrail == "kill_switch"
    assert found.release


def test_the_kill_switch_of_another_playbook_stops_nothing() -> None:
    assert refused_by(facts(kill=Kill(playbooks=("other",)))) is None


def test_a_deleted_playbook_stops_before_its_next_step_but_still_undoes() -> None:
    assert refused_by(facts(today=None)) == "playbook_deleted"
    assert refused_by(facts(today=None, kind="undo")) is None


def test_a_playbook_that_was_paused_meanwhile_starts_nothing() -> None:
    base = facts()
    assert refused_by(replace(base, today=replace(base.playbook, paused=True))) == "paused"


def test_nothing_starts_for_an_incident_that_people_have() -> None:
    base = facts()
    assert refused_by(replace(base, incident=replace(base.incident, owner="ann"))) == "taken_over"
    assert refused_by(replace(base, incident=replace(base.incident, escalation="x"))) == "taken_over"
    paused = replace(base, incident=replace(base.incident, paused_by="ann"))
    assert (refused_by(paused), refused_by(replace(paused, kind="undo"))) == ("taken_over", "taken_over")
    assert refused_by(replace(paused, kind="cleanup")) is None


def test_cleanup_is_allowed_with_automation_off() -> None:
    base = facts(kind="cleanup")
    assert refused_by(replace(base, incident=replace(base.incident, escalation="x"))) is None


def test_an_old_alert_is_never_acted_on_without_people() -> None:
    base = facts()
    old = replace(base, incident=replace(base.incident, starts_at=NOW - 3601))
    assert asked_by(old) == "max_alert_age"
    assert asked_by(replace(old, approved=True)) is None
    assert asked_by(replace(base, incident=replace(base.incident, starts_at=NOW - 3599))) is None
    assert asked_by(replace(with_rails(max_alert_age=9.0), incident=base.incident)) == "max_alert_age"


@pytest.mark.parametrize("confirmed", [False, None])
def test_an_alert_that_prometheus_does_not_confirm_needs_people(confirmed: bool | None) -> None:
    base = facts()
    doubtful = replace(base, incident=replace(base.incident, confirmed=confirmed))
    assert asked_by(doubtful) == "confirmation"
    assert asked_by(replace(doubtful, approved=True)) is None
    unasked = replace(with_rails(require_confirmation=False), incident=doubtful.incident)
    assert asked_by(unasked) is None
    told = next(one.reason for one in check(unasked, NOW) if one.guardrail == "confirmation")
    assert told == "the playbook does not ask Prometheus to confirm the alert"


def test_another_action_on_the_target_is_waited_for() -> None:
    found = refusal(check(facts(actions=[past(ended_at=None)]), NOW))
    assert found is not None
    assert found.guardrail == "one_per_target"
    assert found.retry_at is not None
    assert refused_by(facts(actions=[past(ended_at=None, target="db")])) is None


def test_only_so_many_actions_are_under_way_at_once() -> None:
    busy = [past(ended_at=None, target=name, incident=name) for name in ("a", "b")]
    assert refused_by(facts(actions=busy)) == "max_under_way"
    assert refused_by(facts(actions=busy[:1])) is None


def test_the_fleet_cap_counts_steps_of_all_targets_and_says_when_it_frees() -> None:
    three = [past(target=name, incident=name, started_at=NOW - age) for name, age in (("a", 500), ("b", 300), ("c", 9))]
    found = refusal(check(facts(actions=three), NOW))
    assert found is not None
    assert (found.guardrail, found.retry_at) == ("fleet_cap", NOW - 500 + 600)
    assert refused_by(facts(actions=three, approved=True)) is None
    assert refused_by(facts(actions=three, asks=True)) is None
    assert asked_by(facts(actions=three, asks=True)) == "fleet_cap", "whoever is asked should know"
    assert refused_by(facts(actions=[*three[1:], past(target="a", started_at=NOW - 601)])) is None


def test_a_cap_of_nothing_lets_nothing_run_by_itself() -> None:
    found = refusal(check(facts(fleet=FleetLimits(max_actions=0)), NOW))
    assert found is not None
    assert found.guardrail == "fleet_cap"


def test_the_fleet_s_window_and_limits_are_those_of_the_file() -> None:
    one = [past(target="a", incident="a", started_at=NOW - 60)]
    assert refused_by(facts(actions=one, fleet=FleetLimits(max_actions=1))) == "fleet_cap"
    assert refused_by(facts(actions=one, fleet=FleetLimits(max_actions=1, window=59.0))) is None
    busy = [past(ended_at=None, target="a", incident="a")]
    assert refused_by(facts(actions=busy, fleet=FleetLimits(max_under_way=1))) == "max_under_way"


def test_a_target_cools_down_after_a_run_of_the_same_playbook_unless_people_agree() -> None:
    assert asked_by(facts(actions=[past()])) == "cooldown"
    assert asked_by(facts(actions=[past()], approved=True)) is None
    assert asked_by(facts(actions=[past(ended_at=NOW - 301)])) is None
    assert asked_by(facts(actions=[past(incident="i-1")])) is None, "steps of one incident follow each other"
    assert asked_by(facts(actions=[past(playbook="other")])) is None
    assert asked_by(replace(with_rails(cooldown=49.0), actions=[past()])) is None


def test_a_target_is_not_acted_on_for_ever_without_people() -> None:
    runs = [past(playbook="other", started_at=NOW - 700 - n, ended_at=NOW - 690 - n) for n in range(5)]
    assert asked_by(facts(actions=runs)) == "max_runs"
    assert asked_by(facts(actions=runs, approved=True)) is None
    assert asked_by(facts(actions=runs[:4])) is None
    assert asked_by(replace(with_rails(max_runs=4), actions=runs[:4])) == "max_runs"
    assert asked_by(replace(with_rails(max_runs_window=600.0), actions=runs)) is None


def test_the_past_is_looked_at_as_far_as_the_longest_window_reaches() -> None:
    book = with_rails(cooldown=5 * 86_400.0).playbook
    longer = with_rails(max_runs_window=9 * 86_400.0).playbook
    assert longest_window(book, None, FleetLimits()) >= 5 * 86_400.0
    assert longest_window(book, longer, FleetLimits()) >= 9 * 86_400.0
    assert longest_window(book, longer, FleetLimits(window=30 * 86_400.0)) >= 30 * 86_400.0


def test_healthy_instances_stay_above_min_healthy() -> None:
    two = Figures(lowest_healthy=0, healthy_now=2, instances=2, takes_down=False)
    assert refused_by(facts(figures=two)) == "min_healthy"
    assert refused_by(with_rails(min_healthy=0)) is None
    assert refused_by(replace(with_rails(min_healthy=2), figures=replace(two, lowest_healthy=1))) == "min_healthy"


def test_an_instance_that_already_fails_is_not_counted_as_lost() -> None:
    failing = Figures(lowest_healthy=0, healthy_now=0, instances=2, takes_down=False)
    assert refused_by(facts(figures=failing)) is None


def test_taking_the_only_healthy_instance_down_needs_leave() -> None:
    single = Figures(lowest_healthy=0, healthy_now=1, instances=1, takes_down=True)
    assert asked_by(facts(figures=single)) == "gap"
    assert asked_by(facts(figures=single, approved=True)) is None
    base = facts(figures=single)
    allowed = replace(base.step, allow_gap=True)
    lax = replace(base.playbook, steps=(allowed,))
    assert asked_by(replace(base, step=allowed, playbook=lax, today=lax)) is None
    assert asked_by(replace(base, step=allowed, playbook=lax)) == "gap", "today's file takes the leave back"
    assert asked_by(replace(base, step=allowed, playbook=lax, today=replace(lax, steps=()))) is None


def test_of_then_and_today_the_stricter_limit_wins() -> None:
    base = facts(actions=[past()])
    lax = replace(base.playbook, guardrails=replace(Guardrails(), cooldown=1.0))
    assert asked_by(replace(base, today=lax)) == "cooldown"
    assert asked_by(replace(base, playbook=lax, today=base.playbook)) == "cooldown"
    assert asked_by(replace(base, playbook=lax, today=lax)) is None


def test_min_healthy_is_one_less_than_there_are_unless_declared() -> None:
    book = playbook()
    assert [min_healthy(book, book, count) for count in (1, 2, 5)] == [0, 1, 4]
    declared = replace(book, guardrails=replace(Guardrails(), min_healthy=3))
    assert min_healthy(book, declared, 1) == 3


def test_an_answer_that_allows_says_so() -> None:
    assert {one.word for one in check(facts(), NOW)} == {Word.ALLOWED}


def test_every_guardrail_is_explained_to_whoever_reads_its_name_at_night() -> None:
    page = (ROOT / "docs" / "operations.md").read_text("utf-8")
    assert [one.guardrail for one in check(facts(), NOW) if f"| `{one.guardrail}` |" not in page] == []
