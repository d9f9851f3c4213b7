"""Notices for those who are no engineers: in plain words, when an incident begins, changes, and ends.

Also the draft of a notice for users, which a responder reads, changes and publishes; the service never does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Final

from receiver.core import events as ev
from receiver.core.declared import DECLARED
from receiver.core.events import Recorded
from receiver.core.incident import Incident, Phase
from receiver.core.outbox import OutboxRow
from receiver.core.phrases import clean, sentences, span
from receiver.core.redaction import hide
from receiver.core.severity import Severity

LANES: Final = "notices:"
"""Lanes that are sent notices."""

RAISED: Final = "notices:raised"
"""The lane that tells a worse severity's channel of an incident that is followed in another one."""

MEANING: Final = {
    Severity.P1: "complete outage",
    Severity.P2: "a major function is disturbed",
    Severity.P3: "a minor function is disturbed",
    Severity.P4: "a cosmetic problem",
}


def notices(
    lane: str, before: Incident | None, incident: Incident, recorded: Sequence[Recorded]
) -> Iterator[OutboxRow]:
    """Yield the notice that a unit's events lead to, if any; `was` is the severity before them."""
    was = before.severity if before is not None else incident.severity
    if lane == RAISED:
        text = _raised(incident, was) if incident.severity < was else ""
    else:
        text = _told(before, incident, recorded)
    if text and recorded:
        last = recorded[-1]
        payload = {
            "at": last.at,
            "kind": "notice",
            "text": clean(hide(text)),
            "severity": incident.severity.value,
            "was": was.value,
        }
        yield OutboxRow(lane, "notice", f"{incident.id}/{last.seq}/{lane}", incident.id, payload, last.at)


def _raised(incident: Incident, was: Severity) -> str:
    return sentences(
        f"{incident.target}: {was.value} became {incident.severity.value} ({MEANING[incident.severity]})",
        f"{incident.alert}: incident {incident.id}",
    )


def _told(before: Incident | None, incident: Incident, recorded: Sequence[Recorded]) -> str:
    if before is None:
        return sentences(f"{_bad(incident)}: {_what(incident)}", _begun(incident))
    if not incident.open:
        return _over(incident) if before.open else ""
    news = [text for one in recorded if (text := _news(one.event))]
    if incident.severity is not before.severity:
        lower = incident.severity > before.severity
        end = "; those who follow worse ones only hear no more of it" if lower else ""
        news.insert(0, f"It is now {_bad(incident)} (before: {before.severity.value}){end}")
    return sentences(f"Update on {_what(incident)}", *news) if news else ""


def _news(event: ev.Event) -> str:
    match event:
        case ev.TakenOver():
            return f"{event.person} has taken it on"
        case ev.Acknowledged():
            return f"{event.person} has seen it and looks into it"
        case ev.Escalated(page=True):
            return "The automatic repair has ended; engineers are called"
        case ev.Verified(verdict="passed", purpose="step" | "gone" | "escalated"):
            return "It works again as far as can be measured; it is watched for a while"
        case ev.Verified(verdict="failed", purpose="hold"):
            return "It did not hold: it is disturbed again"
        case _:
            return ""


def _bad(incident: Incident) -> str:
    return f"{incident.severity.value} ({MEANING[incident.severity]})"


def _what(incident: Incident) -> str:
    service = _service(incident)
    told = incident.annotations.get("summary") or incident.alert
    return f"{service}: {told}" if service else told


def _service(incident: Incident) -> str:
    return incident.labels.get("service", "") if incident.playbook == DECLARED.name else incident.target


def _begun(incident: Incident) -> str:
    if incident.playbook == DECLARED.name:
        return f"Declared by {incident.started_by}; engineers look into it"
    if incident.mode == "observe":
        return "It is being observed; engineers decide what is done"
    return "The automatic repair looks into it"


def _over(incident: Incident) -> str:
    lasted = span((incident.ended_at or incident.updated_at) - incident.opened_at)
    if incident.phase is Phase.RESOLVED:
        return f"Solved: {_what(incident)}. It works again; this took {lasted}."
    return f"Over: {_what(incident)}. An engineer closed it after {lasted}."


def for_users(incident: Incident) -> str:
    """Return the draft of a notice for users, as the incident stands: no names, no inner workings, times in UTC."""
    service = _service(incident) or "our service"
    began = _clock(incident.opened_at)
    if not incident.open:
        ended = _clock(incident.ended_at or incident.updated_at)
        return (
            f"The problem with {service} is solved. It lasted from {began} to {ended} UTC."
            " We apologise for the inconvenience."
        )
    if incident.phase in {Phase.HOLDING, Phase.CLEANUP}:
        return f"{service} works again since the problem that began at {began} UTC. We keep watching it closely."
    how = {Severity.P1: "is not available", Severity.P2: "does not work as it should"}
    bad = how.get(incident.severity, "may not work as it should in some places")
    return f"Since {began} UTC {service} {bad}. We are working on it, and will tell you when there is news."


def _clock(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M}"
