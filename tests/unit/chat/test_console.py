"""Lines on a console."""

from __future__ import annotations

import io
from typing import Any, TextIO

import pytest

from receiver.chat.console import ConsoleChat
from receiver.chat.render import Style, header_line, style_of, thread_line
from receiver.ports import ChatError

pytestmark = pytest.mark.anyio

ENTRY = {"at": 3600.5, "severity": "P1", "kind": "resolved", "text": "Resolved: it works.", "tone": "good"}
HEADER = {"at": 3600.0, "severity": "P1", "title": "P1 RESOLVED · api · over after 24 s"}


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


class Broken(io.StringIO):
    """A stream whose reader went away."""

    encoding = "ascii"

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self._error = error

    def write(self, text: str) -> int:
        raise self._error


def test_an_entry_is_one_line_with_time_severity_incident_and_mark() -> None:
    assert thread_line("i-k3f9x2qd", ENTRY, Style()) == "01:00:00Z P1 i-k3f9x2qd ✔ Resolved: it works."
    assert header_line("i-k3f9x2qd", HEADER, Style()) == "01:00:00Z P1 i-k3f9x2qd ● RESOLVED · api · over after 24 s"


def test_where_only_ascii_is_shown_marks_are_ascii() -> None:
    assert thread_line("i-1", ENTRY, Style(marks=False)) == "01:00:00Z P1 i-1 + Resolved: it works."


def test_colours_are_only_where_they_are_wanted() -> None:
    assert "\x1b[32m✔" in thread_line("i-1", ENTRY, Style(colour=True))
    assert "\x1b" not in thread_line("i-1", ENTRY, Style())


def test_text_from_outside_cannot_leave_its_line() -> None:
    line = thread_line("i-1", ENTRY | {"text": "a\nb\x1b[2Jc"}, Style())
    assert line.endswith("✔ a b[2Jc")


def test_a_payload_that_lacks_something_is_still_shown() -> None:
    assert thread_line("i-1", {"text": "x", "at": "soon", "tone": "odd"}, Style()) == "--:--:--Z    i-1 · x"


def test_a_terminal_has_colours_unless_it_is_told_not_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert style_of(Terminal()) == Style(colour=True, marks=True)
    monkeypatch.setenv("NO_COLOR", "1")
    assert not style_of(Terminal()).colour
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "dumb")
    assert not style_of(Terminal()).colour


async def test_entries_and_changes_of_state_are_printed_and_an_unchanged_state_is_not() -> None:
    stream = io.TextIOWrapper(raw := io.BytesIO(), encoding="utf-8")
    chat = ConsoleChat(stream)
    await chat.header("i-1", HEADER, None)
    await chat.header("i-1", HEADER | {"at": 3700.0}, "i-1")
    await chat.thread("i-1", ENTRY, "i-1", "key")
    await chat.header("i-2", HEADER, None)
    assert [line.split()[2:4] for line in raw.getvalue().decode().splitlines()] == [
        ["i-1", "●"],
        ["i-1", "✔"],
        ["i-2", "●"],
    ]
    assert await chat.find("i-1", "key", "i-1") is None


async def test_what_an_encoding_does_not_know_is_replaced() -> None:
    stream = io.TextIOWrapper(raw := io.BytesIO(), encoding="ascii")
    await ConsoleChat(stream).thread("i-1", ENTRY | {"text": "größer"}, None, "key")
    assert raw.getvalue().decode("ascii").endswith("+ gr??er\n")


@pytest.mark.parametrize(("error", "again"), [(BrokenPipeError("gone"), 30.0), (ValueError("closed file"), None)])
async def test_a_console_that_is_gone_is_a_failed_message(error: Exception, again: float | None) -> None:
    stream: TextIO | Any = Broken(error)
    with pytest.raises(ChatError) as caught:
        await ConsoleChat(stream).thread("i-1", ENTRY, None, "key")
    assert caught.value.retry_after == again
