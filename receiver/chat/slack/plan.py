"""What goes first, and what goes together: pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from receiver.chat.slack import blocks
from receiver.core.incident import Incident
from receiver.core.outbox import OutboxRow
from receiver.ports import Waiting

Row: TypeAlias = tuple[int, OutboxRow, int]
"""Handle, row, tries."""


def urgency(one: Waiting) -> tuple[str, bool, bool, int]:
    """Return by what incidents are sorted: severity, an approval, nobody knows of it yet, age."""
    return one.severity or "P9", not one.asks, one.reference is not None, one.first


def asks(row: OutboxRow, incident: Incident | None) -> bool:
    """Whether a row is a request for approval that still waits for an answer."""
    approval = incident.approval if incident is not None else None
    return row.kind == "approval" and approval is not None and approval.id == row.payload.get("approval")


def run_of(rows: Sequence[Row], incident: Incident | None, now: float) -> Sequence[Row]:
    """Return the rows that go out as one message: a request and, unless told late, a summary stand alone."""
    if asks(rows[0][1], incident):
        return rows[:1]
    late = now - rows[0][1].at >= blocks.LATE
    run: list[Row] = []
    for row in rows[: blocks.MANY]:
        alone = asks(row[1], incident) or (row[1].payload.get("kind") == "summary" and not late)
        if alone and run:
            break
        run.append(row)
    return run
