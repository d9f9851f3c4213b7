"""Status lines: while a bad incident is open and nothing else is said, how it stands."""

from __future__ import annotations

from receiver.core import events as ev
from receiver.core.incident import Incident
from receiver.core.phrases import clean, span
from receiver.core.playbook import Playbook
from receiver.core.timeline import header, state_words


def due(incident: Incident, playbook: Playbook, now: float) -> ev.StatusReported | None:
    """Return the line that has become due; after an absence it is one."""
    at = wake(incident, playbook)
    return ev.StatusReported(_status(incident, now)) if at is not None and now >= at else None


def wake(incident: Incident, playbook: Playbook) -> float | None:
    """Return when people are told how it stands, unless something else is told before."""
    every = playbook.update_every.get(incident.severity)
    return None if every is None else max(incident.opened_at, incident.said_at) + every


def _status(incident: Incident, now: float) -> str:
    firing = f"{incident.firing} of {incident.alerts} alerts firing, " if incident.alerts else ""
    return clean(f"{state_words(incident)} for {span(now - incident.opened_at)}: {firing}{header(incident).acting}")
