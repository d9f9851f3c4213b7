"""How a story is watched until its end, and what is said about it afterwards."""

import time
from collections import Counter
from collections.abc import Callable, Container, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any, Final

import httpx

from deploy.demo.console import head, paint, say
from deploy.demo.remediator import Remediator
from deploy.parts.process import PartError, poll_until

LIMIT: Final = 150.0
"""Seconds from the break until the incident must be over: the demo stays well under three minutes."""

TOLD_WITHIN: Final = 10.0
"""Seconds until what has happened stands on the remediator's console; it takes well under one."""

SLACK_WITHIN: Final = 20.0
"""Seconds that are waited for Slack at most."""

POLL: Final = 0.25
"""Seconds between two looks at the incident."""

TONES: Final[Mapping[str, str]] = {"good": "green", "bad": "red", "warn": "yellow"}


def newest(remediator: Remediator, since: float) -> dict[str, Any] | None:
    """Return the newest incident that was opened after a moment (UNIX seconds), or nothing."""
    rows = [row for row in remediator.incidents() if seconds(row["opened_at"]) >= since]
    return max(rows, key=lambda row: str(row["opened_at"]), default=None)


def watch(
    remediator: Remediator, since: float, states: Container[str], look: Callable[[], None] = lambda: None
) -> dict[str, Any]:
    """Wait until the newest incident since a moment (UNIX seconds) is in one of these states, and return it.

    Args:
        remediator: whom to ask.
        since: UNIX seconds of the break.
        states: in which the wait ends.
        look: called at each look, to tell of what others see meanwhile.

    Raises:
        PartError: none came, or it isn't there within LIMIT seconds, or it was escalated to people.
    """
    deadline = time.monotonic() + LIMIT
    incident: dict[str, Any] | None = None
    while time.monotonic() < deadline:
        if not remediator.child.running():
            raise PartError(f"the remediator ended; {remediator.child.log} ends with:\n{remediator.child.tail()}")
        look()
        try:
            incident = newest(remediator, since)
        except httpx.TransportError as error:
            raise PartError(f"the remediator doesn't answer: {error}") from error
        if incident is not None and incident["state"] in states:
            poll_until(lambda: remediator.has_told("console"), TOLD_WITHIN, "the remediator has more to tell")
            with suppress(PartError):
                # Slack takes one message a second, and a chart takes its time; the story doesn't depend on it.
                poll_until(remediator.has_told, SLACK_WITHIN, "Slack has not been told everything")
            return incident
        if incident is not None and incident["state"] in {"escalated", "closed"}:
            raise PartError(f"incident {incident['id']} is {incident['state']}: a person would have to take over here")
        time.sleep(POLL)
    if incident is None:
        raise PartError(f"no incident within {LIMIT:.0f} s")
    raise PartError(f"incident {incident['id']} is still {incident['state']} after {LIMIT:.0f} s")


def seconds(stamp: str) -> float:
    """Return UNIX seconds of an ISO-8601 time."""
    return datetime.fromisoformat(stamp).timestamp()


def timeline(remediator: Remediator, identity: str) -> None:
    """Print the whole timeline of an incident, as the API tells it."""
    head(f"Timeline of {identity}")
    for entry in remediator.timeline(identity):
        text = paint(entry["text"], TONES[entry["tone"]]) if entry.get("tone") in TONES else entry["text"]
        say(f"  {paint(entry['at'][11:23], 'dim')}  {text}")


def summary(incident: Mapping[str, Any], broken: float, answers: Counter[str], changes: list[str]) -> None:
    """Print what it came to: how long each part took since it broke (UNIX seconds), what changed, what users saw."""
    head("Summary")
    opened, resolved = seconds(incident["opened_at"]), seconds(incident["resolved_at"])
    steps = ", ".join(f"{step['action']}: {step['result']}" for step in incident.get("steps", ()))
    alerts = Counter(f"{alert['labels'].get('alertname', '?')} ({alert['status']})" for alert in incident["alerts"])
    rows = {
        "incident": f"{incident['id']}  {incident['severity']}  {incident['playbook']} on {incident['target']}",
        "alerts": ", ".join(f"{name}" for name in sorted(alerts)),
        "noticed": f"{opened - broken:.1f} s after the break, by the webhook",
        "actions": steps or "none",
        "resolved": f"{resolved - broken:.1f} s after the break, with evidence",
        "changed": "; ".join(changes) or "nothing",
        "users saw": ", ".join(f"{count} x {status}" for status, count in sorted(answers.items())),
    }
    for name, text in rows.items():
        say(f"  {paint(f'{name:<10}', 'bold')} {text}")
