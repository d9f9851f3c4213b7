"""Deadlines of a P1's phases: until when it must be known what to do, be tried, and work again.

What meets one is taken from what happened where that is honest, and from a person's note where only a person can tell:
docs/decisions/0017-phase-deadlines.md. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from receiver.core import events as ev
from receiver.core.incident import Incident, Phases
from receiver.core.playbook import Playbook
from receiver.core.response import watched_only
from receiver.core.severity import Severity

UNMET: Final = Phases()


def begun(incident: Incident) -> Incident:
    """Return an incident whose severity has changed: what was reached before it became a P1 was not reached as one.

    What was told as late stays told.
    """
    if incident.severity is not Severity.P1 or incident.phases is None:
        return incident
    return incident.but(phases=Phases(missed=incident.phases.missed))


def missed(incident: Incident, playbook: Playbook, now: float) -> ev.ResponseMissed | None:
    """Return the first deadline that was missed and is not told yet."""
    for phase, since, within in _running(incident, playbook):
        if now >= since + within:
            return ev.ResponseMissed(incident.severity, within, phase)
    return None


def wake(incident: Incident, playbook: Playbook) -> float | None:
    """Return when the next deadline is missed."""
    return min((since + within for _, since, within in _running(incident, playbook)), default=None)


def _running(incident: Incident, playbook: Playbook) -> Iterator[tuple[str, float, float]]:
    """Yield what is still to be reached: the phase, since when its time runs, and how many seconds."""
    phases = incident.phases or UNMET
    if incident.severity is not Severity.P1 or phases.mitigated_at is not None:
        return
    since, asked = incident.severity_since or incident.opened_at, playbook.deadlines
    for phase, within, met in (
        ("assess", asked.assess, _assessed(phases, since + (asked.assess or 0.0))),
        ("recover", asked.recover, phases.tried_at is not None),
        ("mitigate", asked.mitigate, False),
    ):
        if within is not None and not met and phase not in phases.missed:
            yield phase, since, within


def _assessed(phases: Phases, due: float) -> bool:
    """Whether it is known what to do: a person says so, or the service chose and did not give up before it was due."""
    if phases.assessed_at is not None:
        return True
    gave_up = phases.gave_up_at
    return phases.chosen_at is not None and (gave_up is None or gave_up >= due)


@dataclass(frozen=True, slots=True)
class Standing:
    """How a phase stands: until when it is due, since when it is reached (UNIX seconds), whether a miss was told."""

    phase: str
    due: float
    at: float | None
    missed: bool


def standing(incident: Incident, playbook: Playbook) -> tuple[Standing, ...]:
    """Return the phases of a P1 that have a deadline, in their order; empty for what has none and calls nobody."""
    if incident.severity is not Severity.P1 or watched_only(incident, playbook) is not None:
        return ()
    phases, asked = incident.phases or UNMET, playbook.deadlines
    since, works = incident.severity_since or incident.opened_at, phases.mitigated_at
    chosen = phases.chosen_at if _assessed(phases, since + (asked.assess or 0.0)) else None
    times = (
        ("assess", asked.assess, phases.assessed_at or chosen or works),
        ("recover", asked.recover, phases.tried_at or works),
        ("mitigate", asked.mitigate, works),
    )
    return tuple(
        Standing(phase, since + within, at, phase in phases.missed) for phase, within, at in times if within is not None
    )


def unmarked(incident: Incident) -> tuple[str, ...]:
    """Return the phases of an open P1 that only a person's word, or what is yet to happen, marks as reached."""
    phases = incident.phases or UNMET
    if not incident.open or incident.severity is not Severity.P1 or phases.mitigated_at is not None:
        return ()
    chosen = phases.chosen_at is not None and phases.gave_up_at is None
    return ("mitigated",) if chosen or phases.assessed_at is not None else ("assessed", "mitigated")


WORDS: Final[Mapping[str, str]] = {
    "acknowledge": "acknowledged", "assess": "assessed", "recover": "tried to repair", "mitigate": "mitigated"
}  # fmt: skip
"""What is late, by the event's `what`, in words behind "not"."""


def late(incident: Incident) -> tuple[str, ...]:
    """Return what people were told is late and still isn't done: of `WORDS`, in their order."""
    phases = (incident.phases if incident.severity is Severity.P1 else None) or UNMET
    told = {*phases.missed, *(("acknowledge",) if incident.late is not None else ())}
    done = {
        "acknowledge": incident.acknowledged_by is not None or incident.owner is not None,
        "assess": phases.assessed_at is not None or phases.mitigated_at is not None,
        "recover": phases.tried_at is not None or phases.mitigated_at is not None,
        "mitigate": phases.mitigated_at is not None,
    }
    return tuple(one for one in WORDS if one in told and not done[one]) if incident.open else ()


# --- what an event does to them -------------------------------------------------------------------------------------


def marked(incident: Incident, event: ev.Event, at: float) -> Incident:
    """Return the incident with its phases as an event leaves them."""
    mark = _MARKS.get(type(event))
    if mark is None:
        return incident
    phases = incident.phases or UNMET
    new = mark(phases, event, at)
    return incident if new == phases else incident.but(phases=new)


def _chosen(phases: Phases, event: ev.StepStarted | ev.ApprovalAsked, at: float) -> Phases:
    return phases if phases.chosen_at is not None else replace(phases, chosen_at=at)


def _tried(phases: Phases, event: ev.StepFinished, at: float) -> Phases:
    return phases if phases.tried_at is not None else replace(phases, tried_at=at)


def _verified(phases: Phases, event: ev.Verified, at: float) -> Phases:
    if event.verdict == "failed":
        return _back(phases, event, at)
    works = event.verdict == "passed" and phases.mitigated_at is None
    return replace(phases, mitigated_at=at) if works else phases


def _back(phases: Phases, event: ev.Event, at: float) -> Phases:
    """Take back that it works again."""
    return replace(phases, mitigated_at=None)


def _gave_up(phases: Phases, event: ev.Escalated, at: float) -> Phases:
    return replace(phases, gave_up_at=at, mitigated_at=None)


def _noted(phases: Phases, event: ev.Noted, at: float) -> Phases:
    if event.phase == "mitigated":
        return replace(phases, assessed_at=phases.assessed_at or at, mitigated_at=at)
    return replace(phases, assessed_at=at) if event.phase == "assessed" else phases


def _late(phases: Phases, event: ev.ResponseMissed, at: float) -> Phases:
    return phases if event.what == "acknowledge" else replace(phases, missed=(*phases.missed, event.what))


_MARKS: Final[Mapping[type[ev.Event], Callable[[Phases, Any, float], Phases]]] = {
    ev.StepStarted: _chosen,
    ev.ApprovalAsked: _chosen,
    ev.StepFinished: _tried,
    ev.Verified: _verified,
    ev.CleanupInterrupted: _back,
    ev.Escalated: _gave_up,
    ev.Noted: _noted,
    ev.ResponseMissed: _late,
}
