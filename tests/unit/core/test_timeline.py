"""Events in words, the header and the summary."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import MISSING, fields, replace
from typing import Any, get_type_hints

import pytest

from receiver.core import events as ev
from receiver.core.alert import AlertStatus
from receiver.core.phrases import TEXT_LIMIT, before_and_after, clean, listed, moment, sentences, span
from receiver.core.severity import Severity
from receiver.core.timeline import Entry, entries, header, kind_of, summary
from receiver.core.words import Names, say
from tests.unit.core.life import Life, playbook, step


def made(kind: type[ev.Event]) -> ev.Event:
    """Return an event of a kind, with something in each field that has no default."""
    samples: dict[Any, Any] = {
        str: "word",
        int: 2,
        float: 1000.0,
        bool: True,
        Severity: Severity.P1,
        bool | None: None,
        str | None: None,
        tuple[str, ...]: ("one",),
        tuple[ev.AlertChange, ...]: (
            ev.AlertChange("f" * 16, AlertStatus.FIRING, 1, "Down", Severity.P1, "book", "v", 0),
        ),
    }
    hints = get_type_hints(kind)
    needed = [one.name for one in fields(kind) if one.default is MISSING and one.default_factory is MISSING]
    return kind(**{name: samples[hints[name]] for name in needed})


def texts(found: Sequence[Entry]) -> list[str]:
    return [one.text for one in found]


@pytest.mark.parametrize("kind", list(ev.VERSIONS), ids=lambda kind: kind.__name__)
def test_every_event_has_words_and_json_data(kind: type[ev.Event]) -> None:
    event = made(kind)
    (entry,) = entries([ev.Recorded("i-1", 1, 1000.0, event)])
    assert entry.text.strip()
    assert entry.text[-1] in ".!?…)" or kind is ev.Noted
    assert entry.kind == kind_of(event)
    assert entry.tone in {"good", "bad", "warn", "info"}
    json.dumps(entry.data)


def test_kinds_are_in_snake_case() -> None:
    assert [kind_of(made(kind)) for kind in (ev.Opened, ev.AlertsChanged, ev.StepInDoubt)] == [
        "opened",
        "alerts_changed",
        "step_in_doubt",
    ]


def test_a_refusal_says_what_why_and_what_would_release_it() -> None:
    event = ev.StepRefused("restart", "cooldown", "acted 2 min ago", "the cooldown ends at 03:00", retry_at=3600.0)
    assert say(event, Names()) == (
        "Not done: step restart. Guardrail cooldown refused: acted 2 min ago."
        " What would release it: the cooldown ends at 03:00. Asked again at 01:00:00Z."
    )


def test_a_verification_shows_the_numbers_before_and_after() -> None:
    before = ({"name": "errors", "value": 0.41, "unit": ""}, {"name": "health", "value": None})
    after = ({"name": "errors", "value": 0.01, "unit": ""}, {"name": "latency", "value": 2, "unit": "s"})
    event = ev.Verified("restart", "step", "passed", "all good", hold_until=60.0, before=before, after=after)
    assert say(event, Names()) == (
        "Verified: step restart helped (all good). Before -> after: errors 0.41 -> 0.01; latency unknown -> 2 s."
        " Must stay so until 00:01:00Z."
    )


def test_inconclusive_is_neither_fixed_nor_broken() -> None:
    event = ev.Verified("restart", "step", "inconclusive", "errors: the query returned nothing")
    assert say(event, Names()).startswith("Can't tell whether step restart helped (errors: the query returned nothing)")


def test_looks_are_told_first_changed_and_last() -> None:
    life = Life(playbook(step("restart")))
    life.diagnosed()
    life.run("restart")
    start = len(life.log)
    for verdict in (None, None, None, False, True):
        life.look(verdict)
    told = [one for one in entries(life.log) if one.kind == "sampled" and one.seq > start]
    assert [one.text for one in told] == [
        "Can't tell: seen None.",
        "Can't tell: seen None. (3 looks alike)",
        "Bad: seen False.",
        "Good: seen True.",
    ]


def test_what_ends_a_step_is_named_by_the_step() -> None:
    life = Life(playbook(step("restart")))
    life.diagnosed()
    life.run("restart", ok=False)
    assert "Failed step restart: broke." in texts(entries(life.log))


def test_votes_are_counted_against_what_is_needed() -> None:
    asked = ev.ApprovalAsked("ap-1", "rollback", "back to 1.2", "h", 2, 1000.0, 30.0, "next", reason_required=False)
    log: list[ev.Event] = [
        asked,
        ev.Voted("ap-1", "alice", True, "", "cli"),
        ev.Voted("ap-1", "bob", True, "ok", "web"),
    ]
    found = texts(entries([ev.Recorded("i-1", seq, 0.0, event) for seq, event in enumerate(log, 1)]))
    assert found[1:] == [
        "alice (via cli) approved step rollback (1 of 2).",
        "bob (via web) approved step rollback (2 of 2): ok.",
    ]


def test_a_long_list_of_alerts_is_cut_and_its_counts_are_not() -> None:
    changes = tuple(
        ev.AlertChange(f"{n:016x}", AlertStatus.FIRING, 1, f"Alert{n}", Severity.P2, "book", "v", 0) for n in range(500)
    )
    (entry,) = entries([ev.Recorded("i-1", 1, 0.0, ev.AlertsChanged(changes, 500, 0))])
    assert entry.text == "500 alerts fire: Alert0, Alert1, Alert2, Alert3, Alert4 and 495 more."
    assert entry.data["started"] == 500
    assert len(entry.data["alerts"]) == 20


def test_text_from_outside_can_neither_move_a_cursor_nor_reorder_a_line() -> None:
    assert clean("a\x1b[31mb\u202ec\u2028d\x00e\u200bf\ng\ud800") == "a[31mbc defg".replace("defg", "def g")
    assert clean("é ü 日本") == "é ü 日本"
    assert len(clean("x" * 5000)) == TEXT_LIMIT
    assert len(clean("ü" * 5000)) == TEXT_LIMIT


def test_a_text_that_fills_its_limit_is_cut_with_an_ellipsis() -> None:
    found = say(ev.Noted("n" * 5000), Names())
    assert (len(found), found[-1]) == (TEXT_LIMIT, "…")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-1, "0 s"),
        (0.44, "0.4 s"),
        (9.96, "10 s"),
        (59.6, "1 min"),
        (200, "3 min 20 s"),
        (7500, "2 h 5 min"),
        (86400 * 3 + 3600 * 4, "3 d 4 h"),
    ],
)
def test_durations_are_for_people(seconds: float, words: str) -> None:
    assert span(seconds) == words


def test_moments_that_no_calendar_holds_are_said_in_words() -> None:
    assert [moment(at) for at in (0.0, None, 1e30, 86399.0)] == ["some time", "some time", "some time", "23:59:59Z"]


def test_small_phrases() -> None:
    assert listed(["a", "b", "a"]) == "a, b"
    assert sentences("a", "", "b!") == "a. b!"
    assert before_and_after([], [{"name": "x", "value": True}]) == ""


def test_a_header_says_who_acts() -> None:
    life = Life(playbook(step("restart"), step("rollback", approvals=1)))
    assert header(life.incident).acting == "remediator"
    life.diagnosed()
    life.start("restart")
    assert (
        header(life.incident).title == "P2 ACTING · api · ServiceDown · 1 of 1 alert firing · remediator: step restart"
    )
    life.feed(ev.StepFinished(str(life.incident.action and life.incident.action.action_id), ok=False, text="broke"))
    life.feed(ev.ApprovalAsked("ap", "rollback", "x", "h", 1, life.now + 60, 30.0, "escalate", reason_required=False))
    assert header(life.incident).acting == "people (0 of 1 approved step rollback)"
    life.feed(ev.TakenOver("alice", "cli"))
    assert header(life.incident).acting == "alice (took over)"


def test_a_header_says_that_nobody_acts_while_observing() -> None:
    assert header(Life(playbook(step("restart")), mode="observe").incident).acting == "nobody (observing)"


def test_a_header_of_an_escalated_incident_says_what_people_are_needed_for() -> None:
    life = Life(playbook(step("restart")))
    life.diagnosed()
    life.feed(ev.Escalated("the ladder is at its end", page_at=life.now + 100))
    life.feed(ev.Acknowledged("bob", "web"))
    assert header(life.incident).acting == "people (needed: the ladder is at its end, seen by bob)"


def test_a_summary_tells_the_duration_the_actions_the_approvers_and_the_end() -> None:
    life = Life(playbook(step("restart"), step("rollback", approvals=1)))
    life.diagnosed()
    life.run("restart", ok=False)
    life.feed(ev.ApprovalAsked("ap", "rollback", "x", "h", 1, life.now + 60, 30.0, "escalate", reason_required=False))
    life.feed(ev.Voted("ap", "alice", approve=True, reason="yes", via="cli"))
    life.run("rollback")
    life.look(True, times=9)
    life.alerts(ended=1)
    found = summary(life.incident, life.log)
    assert (found.outcome, found.approvers, found.seconds) == ("resolved", ("alice",), life.now - 1000.0)
    assert found.actions == ("step restart failed", "step rollback done")
    assert found.text.startswith("P2 ServiceDown on api: resolved after ")
    assert "What ended it: rollback helped" in found.text
    assert "Approved by alice." in found.text


def test_a_summary_of_an_open_incident_says_so() -> None:
    life = Life(playbook(step("restart")))
    assert summary(life.incident, life.log).text == "P2 ServiceDown on api: open after 0 s. Actions: none."


def test_what_the_playbook_is_for_and_the_day_on_which_it_began_stand_at_the_beginning() -> None:
    opened = ev.Opened("api", "down", "v", 0, Severity.P1, "act", "down: x", "Down", description="Nobody\n  answers.")
    text = say(replace(opened, starts_at=1_700_000_000.0), Names())
    assert "Nobody answers." in text
    assert "began 2023-11-14 22:13:20Z" in text
