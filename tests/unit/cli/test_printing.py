"""What a person sees at a terminal: aligned columns, colours where they are wanted, how to answer a request."""

import io
from typing import Any

import pytest

from receiver.cli.printing import Printer, width_of


class Terminal(io.TextIOWrapper):
    """A stream that somebody looks at."""

    def __init__(self) -> None:
        super().__init__(io.BytesIO(), encoding="utf-8", write_through=True)

    def isatty(self) -> bool:
        return True

    def text(self) -> str:
        buffer = self.buffer
        assert isinstance(buffer, io.BytesIO)
        return buffer.getvalue().decode()


def printed(write: Any) -> list[str]:
    stream = io.StringIO()
    write(Printer(stream))
    return stream.getvalue().splitlines()


def unmatched(name: str, reason: str, **labels: str) -> dict[str, Any]:
    return {"seen_at": "2026-11-25T02:00:00Z", "status": "firing", "repeats": 2, "name": name, "reason": reason,
            "labels": {"alertname": name, **labels}}  # fmt: skip


def test_columns_are_aligned_also_behind_wide_and_combining_characters() -> None:
    rows = [("a", "x"), ("告警", "x"), ("u\u0308ber", "x")]
    lines = printed(lambda printer: printer.table(("NAME", "END"), rows))
    assert {width_of(line) - 1 for line in lines[1:]} == {width_of(lines[0]) - 3}


def test_the_reason_stands_before_the_labels_which_may_be_long() -> None:
    head, row = printed(lambda printer: printer.unmatched([unmatched("Down", "no playbook", pod="x" * 500)]))
    assert head.split() == ["SEEN", "STATUS", "REPEATS", "ALERT", "REASON", "LABELS"]
    assert row.index("no playbook") == head.index("REASON")
    assert len(row) < 500


def test_no_line_ends_in_blanks() -> None:
    assert all(line == line.rstrip() for line in printed(lambda printer: printer.table(("A", "B"), [("long", "")])))


def test_colours_are_for_terminals_that_want_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    terminal = Terminal()
    Printer(terminal).table(("A",), [])
    assert "\x1b[" in terminal.text()
    for name, value in (("NO_COLOR", "1"), ("TERM", "dumb")):
        with monkeypatch.context() as changed:
            changed.setenv(name, value)
            terminal = Terminal()
            Printer(terminal).table(("A",), [])
            assert "\x1b[" not in terminal.text()


@pytest.mark.parametrize("needed", [True, False])
def test_a_request_for_approval_says_how_to_answer_and_whether_a_reason_is_needed(*, needed: bool) -> None:
    approval = {"state": "pending", "step": "rollback", "summary": "roll api back", "needed": 2, "votes": [],
                "approvers": ["ann", "bob"], "expires_at": "2026-11-25T02:15:00Z",
                "reason_required": needed}  # fmt: skip
    incident: dict[str, Any] = {"id": "i-1", "severity": "P1", "title": "P1 WAITS", "playbook": "down", "mode": "act",
                "opened_at": "2026-11-25T02:00:00Z", "ended_at": None, "approval": approval, "alerts": [],
                "alert_count": 0}  # fmt: skip
    lines = printed(lambda printer: printer.incident(incident, []))
    assert "asks for step rollback: roll api back" in lines
    assert "0 of 2 approvals; open until 2026-11-25 02:15:00Z" in lines
    assert "may approve: ann, bob" in lines
    reason = ' --reason "..."' if needed else ""
    assert f"  remediator approve i-1{reason}" in lines


def test_a_decision_is_shown_with_how_its_person_had_signed_in_and_from_where() -> None:
    data = {"person": "ann", "via": "cli", "signed_in": "token", "address": "192.0.2.7"}
    entry = {"at": "2026-11-24T02:13:14.418Z", "text": "Seen by ann (via cli).", "data": data}
    (line,) = printed(lambda to: to.entry(entry))
    assert line.endswith("Seen by ann (via cli).  [signed in by token from 192.0.2.7]")
    (line,) = printed(lambda to: to.entry({**entry, "data": {"signed_in": "", "address": ""}}))
    assert line.endswith("Seen by ann (via cli).")
