"""Outbox payloads as lines of text for a terminal or a log, and what such a place can show."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, TextIO

from receiver.core.phrases import clean

RESET: Final = "\x1b[0m"
DIM: Final = "\x1b[2m"
BOLD: Final = "\x1b[1m"

SEVERITY_COLOURS: Final[Mapping[str, str]] = {"P1": "\x1b[1;31m", "P2": "\x1b[31m", "P3": "\x1b[33m", "P4": "\x1b[36m"}
TONE_COLOURS: Final[Mapping[str, str]] = {"good": "\x1b[32m", "bad": "\x1b[31m", "warn": "\x1b[33m", "info": ""}
MARKS: Final[Mapping[str, str]] = {"good": "✔", "bad": "✖", "warn": "▲", "info": "·", "state": "●"}
PLAIN_MARKS: Final[Mapping[str, str]] = {"good": "+", "bad": "x", "warn": "!", "info": "-", "state": "*"}


@dataclass(frozen=True, slots=True)
class Style:
    """What the place that the lines go to can show: colours, and marks beyond ASCII."""

    colour: bool = False
    marks: bool = True

    def paint(self, colour: str, text: str) -> str:
        """Return the text in a colour, where there are colours."""
        return f"{colour}{text}{RESET}" if self.colour and colour else text

    def mark(self, tone: str) -> str:
        """Return the mark of a tone, or of a state line."""
        marks = MARKS if self.marks else PLAIN_MARKS
        return marks.get(tone, marks["info"])


def style_of(stream: TextIO) -> Style:
    """Return what a stream can show."""
    colour = stream.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"
    return Style(colour=colour, marks=(stream.encoding or "").lower().replace("-", "") == "utf8")


def thread_line(incident: str, payload: Mapping[str, Any], style: Style) -> str:
    """Return a timeline entry as one line: time, severity, incident, mark, text."""
    tone = str(payload.get("tone", "info"))
    text = clean(str(payload.get("text", "")))
    return f"{_front(incident, payload, style)} {style.paint(TONE_COLOURS.get(tone, ''), f'{style.mark(tone)} {text}')}"


def header_line(incident: str, payload: Mapping[str, Any], style: Style) -> str:
    """Return an incident's state as one line."""
    state = f"{style.mark('state')} {headline(payload)}"
    return f"{_front(incident, payload, style)} {style.paint(BOLD, state)}"


def headline(payload: Mapping[str, Any]) -> str:
    """Return a header's title without the severity, which stands at the front of every line."""
    severity = str(payload.get("severity", ""))
    return clean(str(payload.get("title", ""))).removeprefix(severity).strip()


def time_of_day(at: object) -> str:
    """Return UTC as `03:12:40Z`."""
    if not isinstance(at, int | float) or not 0 <= at < 253_402_300_800:
        return "--:--:--Z"
    return f"{datetime.fromtimestamp(at, UTC):%H:%M:%S}Z"


def _front(incident: str, payload: Mapping[str, Any], style: Style) -> str:
    severity = str(payload.get("severity", "  "))
    time = style.paint(DIM, time_of_day(payload.get("at")))
    return f"{time} {style.paint(SEVERITY_COLOURS.get(severity, ''), severity)} {style.paint(DIM, clean(incident, 40))}"
