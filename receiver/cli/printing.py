"""Lines for a person at a terminal, from the API's own shapes. Text from alerts is made harmless first."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any, TextIO

from receiver.core.phrases import clean

RESET = "\x1b[0m"
BOLD = "\x1b[1m"
DIM = "\x1b[2m"
TONES = {"good": "\x1b[32m", "bad": "\x1b[31m", "warn": "\x1b[33m"}
SEVERITIES = {"P1": "\x1b[1;31m", "P2": "\x1b[31m", "P3": "\x1b[33m", "P4": "\x1b[36m"}
MARKS = {"good": "✔", "bad": "✖", "warn": "▲", "info": "·"}


class Printer:
    """Writes lines, with colours when somebody looks."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream if stream is not None else sys.stdout
        self._colour = self._stream.isatty()
        encoding = (self._stream.encoding or "ascii").lower().replace("-", "")
        self._marks = MARKS if encoding == "utf8" else {"good": "+", "bad": "x", "warn": "!", "info": "-"}

    def line(self, text: str = "") -> None:
        """Write a line; what the stream's encoding lacks is replaced."""
        encoding = self._stream.encoding or "utf-8"
        self._stream.write(text.encode(encoding, "replace").decode(encoding) + "\n")

    def paint(self, colour: str, text: str) -> str:
        """Return the text in a colour, where there are colours."""
        return f"{colour}{text}{RESET}" if self._colour and colour else text

    def mark(self, tone: str) -> str:
        """Return the coloured mark of a tone."""
        return self.paint(TONES.get(tone, ""), self._marks.get(tone, self._marks["info"]))

    def table(self, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Write columns; the last one takes what it needs."""
        cells = [[clean(cell, 300) for cell in row] for row in rows]
        widths = [max(len(row[column]) for row in (heads, *cells)) for column in range(len(heads) - 1)]
        for number, row in enumerate((heads, *cells)):
            text = "  ".join([*(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=False)), row[-1]])
            self.line(self.paint(BOLD, text) if number == 0 else text)

    def incidents(self, items: Sequence[Mapping[str, Any]]) -> None:
        """Write a list of incidents."""
        if not items:
            self.line("no incidents")
            return
        heads = ("ID", "SEV", "STATE", "TARGET", "PLAYBOOK", "ALERTS", "OPENED", "ENDED")
        self.table(heads, [_incident_row(one) for one in items])

    def unmatched(self, items: Sequence[Mapping[str, Any]]) -> None:
        """Write a list of alerts that no playbook took."""
        if not items:
            self.line("no unmatched alerts")
            return
        rows = [
            (short(one["seen_at"]), one["status"], str(one["repeats"]), one["name"], labels(one), one["reason"] or "")
            for one in items
        ]
        self.table(("SEEN", "STATUS", "REPEATS", "ALERT", "LABELS", "REASON"), rows)

    def quarantine(self, items: Sequence[Mapping[str, Any]]) -> None:
        """Write a list of alerts that could not be read."""
        if not items:
            self.line("nothing in quarantine")
            return
        rows = [(short(one["at"]), one["where"], one["message"], one["raw"]) for one in items]
        self.table(("AT", "WHERE", "WHAT", "RAW"), rows)

    def incident(self, incident: Mapping[str, Any], timeline: Sequence[Mapping[str, Any]]) -> None:
        """Write an incident with its timeline."""
        severity = incident["severity"]
        self.line(f"{self.paint(BOLD, incident['id'])}  {self.paint(SEVERITIES.get(severity, ''), incident['title'])}")
        self.line(f"playbook {incident['playbook']}, mode {incident['mode']}, opened {short(incident['opened_at'])}")
        if incident["ended_at"] is not None:
            self.line(f"{incident['state']} {short(incident['ended_at'])}")
        if (approval := incident["approval"]) is not None and approval["state"] == "pending":
            self.line(f"waits for {approval['needed']} approval(s): {clean(approval['summary'])}")
            self.line(f"  remediator approve {incident['id']}   or   remediator deny {incident['id']} --reason ...")
        self.line()
        self.timeline(timeline)
        self.line()
        for alert in incident["alerts"]:
            self.line(f"  {alert['status']:<8} {clean(alert['name'], 100)}  {clean(labels(alert), 300)}")
        if (more := incident["alert_count"] - len(incident["alerts"])) > 0:
            self.line(f"  and {more} more")

    def timeline(self, entries: Sequence[Mapping[str, Any]]) -> None:
        """Write a timeline."""
        for entry in entries:
            tone = entry.get("tone", "info")
            text = self.paint(TONES.get(tone, ""), clean(entry["text"]))
            self.line(f"{self.paint(DIM, short(entry['at']))}  {self.mark(tone)} {text}")


def short(at: str) -> str:
    """Return an ISO time without its fraction."""
    return f"{at[:19].replace('T', ' ')}Z"


def labels(alert: Mapping[str, Any]) -> str:
    """Return an alert's labels on one line, without its name."""
    return " ".join(f"{name}={value}" for name, value in sorted(alert["labels"].items()) if name != "alertname")


def _incident_row(one: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        one["id"],
        one["severity"],
        one["state"],
        one["target"],
        one["playbook"],
        f"{one['firing']}/{one['alert_count']}",
        short(one["opened_at"]),
        short(one["ended_at"]) if one["ended_at"] is not None else "",
    )
