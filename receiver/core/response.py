"""Response times: how soon somebody must have seen an incident, by its severity."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from receiver.core import events as ev
from receiver.core.incident import Incident
from receiver.core.severity import Severity

WITHIN: Final[Mapping[Severity, float]] = {
    Severity.P1: 900.0,
    Severity.P2: 3600.0,
    Severity.P3: 14_400.0,
    Severity.P4: 86_400.0,
}
"""Seconds from when an incident has its severity until somebody must have acknowledged it or taken it over."""


def missed(incident: Incident, now: float) -> ev.ResponseMissed | None:
    """Return that nobody responded in time, once for each severity that it rises to."""
    at = wake(incident)
    if at is None or now < at:
        return None
    return ev.ResponseMissed(incident.severity, WITHIN[incident.severity])


def wake(incident: Incident) -> float | None:
    """Return when the response is late; None when somebody responded or it was told already."""
    if incident.acknowledged_by is not None or incident.owner is not None:
        return None
    if incident.late is not None and incident.late <= incident.severity:
        return None
    return (incident.severity_since or incident.opened_at) + WITHIN[incident.severity]


def judged(incident: Incident, before: Incident, at: float) -> Incident:
    """Return the incident with what its new severity leads to: the worst that it ever had, and the time that it has."""
    worst = incident.severity.worst(before.worst or before.severity)
    return incident.but(worst=worst, severity_since=at)


def told(incident: Incident, event: ev.ResponseMissed, at: float) -> Incident:
    """Return the incident of which people were told that nobody responded."""
    return incident.but(late=event.severity) if event.what == "acknowledge" else incident
