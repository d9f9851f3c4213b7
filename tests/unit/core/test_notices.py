"""What those hear who are no engineers."""

from __future__ import annotations

import pytest

from receiver.core import events as ev
from receiver.core.alert import AlertStatus
from receiver.core.declared import declared
from receiver.core.fold import evolve
from receiver.core.incident import Incident
from receiver.core.notices import RAISED, for_users
from receiver.core.outbox import OutboxRow
from receiver.core.principal import Principal
from receiver.core.severity import Severity
from tests.unit.core.life import Life, playbook, step
from tests.unit.core.test_telling import told

CHANNEL = "notices:C1"


def texts(found: list[OutboxRow]) -> list[str]:
    return [str(row.payload["text"]) for row in found]


def worse(severity: Severity = Severity.P1, fingerprint: str = "e" * 16) -> ev.AlertsChanged:
    change = ev.AlertChange(fingerprint, AlertStatus.FIRING, 1, "Worse", severity, "service-down", "v-service-down", 1)
    return ev.AlertsChanged((change,), 1, 0)


def test_a_repaired_incident_is_told_by_its_begin_its_repair_and_its_end() -> None:
    life = Life(playbook(step("restart")))
    life.diagnosed()
    life.run("restart")
    life.look(True, times=2)
    life.alerts(ended=1)
    life.look(True, times=8)
    assert texts(told(life.log, unit=1, lanes=(CHANNEL,))) == [
        "P2 (a major function is disturbed): api: ServiceDown. The automatic repair looks into it.",
        "Update on api: ServiceDown. It works again as far as can be measured; it is watched for a while.",
        "Solved: api: ServiceDown. It works again; this took 10 s.",
    ]


def test_a_failed_repair_says_that_engineers_are_called_and_who_took_it() -> None:
    life = Life(playbook(step("restart")))
    life.diagnosed()
    life.feed(ev.Escalated("no step is left", page_at=9e9))
    life.feed(ev.Acknowledged("ann", "cli"))
    life.feed(ev.Closed("ann", "a test", "cli"))
    found = texts(told(life.log, lanes=(CHANNEL,)))[1:]
    assert found == [
        "Update on api: ServiceDown. The automatic repair has ended; engineers are called.",
        "Update on api: ServiceDown. ann has seen it and looks into it.",
        "Over: api: ServiceDown. An engineer closed it after 1.5 s.",
    ]


def test_a_changed_severity_is_told_to_those_of_both() -> None:
    life = Life(playbook(step("restart")))
    life.feed(worse())
    life.feed(ev.SeverityChanged(Severity.P3, "ann", "cli", "a test system"))
    _, up, down = told(life.log, unit=1, lanes=(CHANNEL,))
    assert (up.payload["was"], up.payload["severity"]) == ("P2", "P1")
    assert up.payload["text"] == ("Update on api: ServiceDown. It is now P1 (complete outage) (before: P2).")
    assert (down.payload["was"], down.payload["severity"]) == ("P1", "P3")
    assert "hear no more of it" in str(down.payload["text"])


def test_only_a_worse_severity_is_told_to_its_own_channel() -> None:
    life = Life(playbook(step("restart")))
    life.feed(worse())
    life.feed(ev.SeverityChanged(Severity.P3, "ann", "cli", "a test system"))
    (raised,) = told(life.log, unit=1, lanes=(RAISED,))
    assert raised.payload["text"] == "api: P2 became P1 (complete outage). ServiceDown: incident i-1."


def test_nothing_is_told_of_what_changes_nothing_for_others() -> None:
    life = Life(playbook(step("restart")))
    life.diagnosed()
    life.feed(ev.Noted("a remark", "ann", "cli"))
    assert len(told(life.log, lanes=(CHANNEL,))) == 1


def test_a_credential_in_an_alert_reaches_nobody() -> None:
    opened = declared("i-1", Principal("ann", "cli"), Severity.P1, "login with password=hunter2 fails", "", "act")
    (row,) = told([ev.Recorded("i-1", 1, 1.0, opened)], lanes=(CHANNEL,))
    assert "hunter2" not in str(row.payload)


def an_incident(severity: Severity = Severity.P1) -> Incident:
    opened = declared("i-1", Principal("ann", "cli"), severity, "down", "shop", "act")
    return evolve(None, ev.Recorded("i-1", 1, 1_795_000_000.0, opened))


@pytest.mark.parametrize(
    ("severity", "words"),
    [
        (Severity.P1, "shop is not available"),
        (Severity.P2, "shop does not work as it should"),
        (Severity.P4, "may not"),
    ],
)
def test_users_are_told_how_bad_it_is_in_their_words(severity: Severity, words: str) -> None:
    text = for_users(an_incident(severity))
    assert text.startswith("Since 2026-11-18 ")
    assert words in text
    assert "ann" not in text


def test_users_are_told_when_it_is_over() -> None:
    closed = ev.Recorded("i-1", 2, 1_795_000_600.0, ev.Closed("ann", "a secret reason", "cli"))
    text = for_users(evolve(an_incident(), closed))
    assert "is solved" in text
    assert "secret" not in text
