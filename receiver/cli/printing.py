"""Lines for a person at a terminal, from the API's own shapes. Text from alerts is made harmless first."""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any, TextIO

from receiver.chat.render import BOLD, DIM, SEVERITY_COLOURS, TONE_COLOURS, style_of
from receiver.core.phrases import clean

WIDEST = 100
"""Characters of a cell, unless it is a row's last."""


class Printer:
    """Writes lines, with colours when somebody looks."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream if stream is not None else sys.stdout
        self._style = style_of(self._stream)

    def line(self, text: str = "") -> None:
        """Write a line; what the stream's encoding lacks is replaced."""
        encoding = self._stream.encoding or "utf-8"
        self._stream.write(text.encode(encoding, "replace").decode(encoding) + "\n")

    def paint(self, colour: str, text: str) -> str:
        """Return the text in a colour, where there are colours."""
        return self._style.paint(colour, text)

    def mark(self, tone: str) -> str:
        """Return the coloured mark of a tone."""
        return self.paint(TONE_COLOURS.get(tone, ""), self._style.mark(tone))

    def table(self, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Write columns; the last one takes what it needs."""
        cells = [[*(clean(cell, WIDEST) for cell in row[:-1]), clean(row[-1], 300)] for row in rows]
        widths = [max(width_of(row[column]) for row in (heads, *cells)) for column in range(len(heads) - 1)]
        for number, row in enumerate((heads, *cells)):
            padded = [cell + " " * (width - width_of(cell)) for cell, width in zip(row, widths, strict=False)]
            text = "  ".join([*padded, row[-1]]).rstrip()
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
            (short(one["seen_at"]), one["status"], str(one["repeats"]), one["name"], one["reason"] or "", labels(one))
            for one in items
        ]
        self.table(("SEEN", "STATUS", "REPEATS", "ALERT", "REASON", "LABELS"), rows)

    def quarantine(self, items: Sequence[Mapping[str, Any]]) -> None:
        """Write a list of alerts that could not be read."""
        if not items:
            self.line("nothing in quarantine")
            return
        rows = [(short(one["at"]), one["where"], one["message"], one["raw"]) for one in items]
        self.table(("AT", "WHERE", "WHAT", "RAW"), rows)

    def letters(self, items: Sequence[Mapping[str, Any]]) -> None:
        """Write a list of messages that were not sent."""
        if not items:
            self.line("every message was sent")
            return
        rows = [
            (one["id"], one["state"], short(one["at"]), one["lane"], one["incident"], str(one["attempts"]), one["kind"],
             f"{one['error']}: {one['text']}" if one["error"] else one["text"])
            for one in items
        ]  # fmt: skip
        self.table(("ID", "STATE", "AT", "LANE", "INCIDENT", "TRIES", "KIND", "WHAT"), rows)

    def incident(self, incident: Mapping[str, Any], timeline: Sequence[Mapping[str, Any]]) -> None:
        """Write an incident with its timeline."""
        self.title(incident)
        self.line(f"playbook {incident['playbook']}, mode {incident['mode']}, opened {short(incident['opened_at'])}")
        if incident["ended_at"] is not None:
            self.line(f"{incident['state']} {short(incident['ended_at'])}")
        if (approval := incident["approval"]) is not None and approval["state"] == "pending":
            self._waits(incident["id"], approval)
        self.line()
        self.timeline(timeline)
        self.line()
        for alert in incident["alerts"]:
            self.line(f"  {alert['status']:<8} {clean(alert['name'], 100)}  {clean(labels(alert), 300)}")
        if (more := incident["alert_count"] - len(incident["alerts"])) > 0:
            self.line(f"  and {more} more")

    def title(self, incident: Mapping[str, Any]) -> None:
        """Write an incident's id and state."""
        title = self.paint(SEVERITY_COLOURS.get(incident["severity"], ""), clean(incident["title"]))
        self.line(f"{self.paint(BOLD, incident['id'])}  {title}")

    def _waits(self, incident: str, approval: Mapping[str, Any]) -> None:
        """Write what people are asked, and how they answer."""
        yes = sum(1 for vote in approval["votes"] if vote["approve"])
        self.line(f"asks for step {approval['step']}: {clean(approval['summary'])}")
        self.line(f"{yes} of {approval['needed']} approvals; open until {short(approval['expires_at'])}")
        if approval["approvers"]:
            self.line(f"may approve: {clean(', '.join(approval['approvers']), 300)}")
        reason = ' --reason "..."' if approval["reason_required"] else ""
        self.line(f"  remediator approve {incident}{reason}")
        self.line(f'  remediator deny {incident} --reason "..."')

    def timeline(self, entries: Sequence[Mapping[str, Any]]) -> None:
        """Write a timeline."""
        for entry in entries:
            self.entry(entry)

    def entry(self, entry: Mapping[str, Any], front: str = "") -> None:
        """Write one line of a timeline; `front` stands behind its time."""
        tone = entry.get("tone", "info")
        text = self.paint(TONE_COLOURS.get(tone, ""), clean(entry["text"]))
        front = f"{self.paint(BOLD, clean(front, WIDEST))} " if front else ""
        how = self.paint(DIM, audit(entry.get("data", {})))
        self.line(f"{self.paint(DIM, short(entry['at']))}  {front}{self.mark(tone)} {text}{how}")

    def flush(self) -> None:
        """Let what was written be seen at once, also through a pipe."""
        self._stream.flush()


def audit(data: Mapping[str, Any]) -> str:
    """Say how who decided something had signed in, and from where."""
    how = [f"by {data['signed_in']}"] if data.get("signed_in") else []
    where = [f"from {data['address']}"] if data.get("address") else []
    return f"  [signed in {clean(' '.join(how + where), 200)}]" if how else ""


def short(at: str) -> str:
    """Return an ISO time without its fraction."""
    return f"{at[:19].replace('T', ' ')}Z"


def width_of(text: str) -> int:
    """Return the columns that a text takes on a terminal: wide characters take two, combining ones none."""
    if text.isascii():
        return len(text)
    wide = sum(unicodedata.east_asian_width(one) in {"W", "F"} for one in text)
    return len(text) + wide - sum(unicodedata.combining(one) != 0 for one in text)


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
