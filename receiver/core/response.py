"""Response times: how soon somebody must have seen an incident, by its severity."""

from __future__ import annotations

from receiver.core import events as ev
from receiver.core.incident import Incident
from receiver.core.playbook import Playbook


def watched_only(incident: Incident, playbook: Playbook) -> str | None:
    """Say why an incident is nobody's to answer: it only shows what would be done."""
    if incident.mode == "observe":
        return "observing"
    return "a dry run" if playbook.dry_run or incident.observed else None


def missed(incident: Incident, playbook: Playbook, now: float) -> ev.ResponseMissed | None:
    """Return that nobody responded in time, once for each severity that it rises to."""
    at = wake(incident, playbook)
    if at is None or now < at:
        return None
    return ev.ResponseMissed(incident.severity, playbook.acknowledge_within[incident.severity])


def wake(incident: Incident, playbook: Playbook) -> float | None:
    """Return when the response is late; None when somebody responded, it was told already, or nobody need respond."""
    within = playbook.acknowledge_within.get(incident.severity)
    if within is None:
        return None
    if incident.acknowledged_by is not None or incident.owner is not None:
        return None
    if incident.late is not None and incident.late <= incident.severity:
        return None
    return (incident.severity_since or incident.opened_at) + within


def judged(incident: Incident, before: Incident, at: float, by: str = "") -> Incident:
    """Return the incident with what its new severity leads to: the worst that it ever had, and the time that it has.

    One that is worse than ever has not been seen by who acknowledged it before, unless they judged it themselves.

    Args:
        by: the person who judged it; empty: alerts did.
    """
    known = before.worst or before.severity
    worst = incident.severity.worst(known)
    if worst is not known and incident.acknowledged_by not in {None, by}:
        incident = incident.but(acknowledged_by=None, acknowledged_at=None)
    return incident.but(worst=worst, severity_since=at)


def told(incident: Incident, event: ev.ResponseMissed, at: float) -> Incident:
    """Return the incident of which people were told that nobody responded."""
    return incident.but(late=event.severity) if event.what == "acknowledge" else incident
