"""What is to be told to people, as the outbox keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """Something to be told, written with the event that it tells.

    Args:
        lane: rows of a lane go out in order (`console`, `escalation:webhook`, a chat channel, ...).
        kind: `header` (collapses to the latest of its incident), `thread`, `approval`, `page`, `answer` (ends a page),
            `notice`, `chart`.
        key: unique; the receiver of it can tell a repeat by it.
        payload: JSON.
    """

    lane: str
    kind: str
    key: str
    incident: str
    payload: Mapping[str, Any]
    at: float
