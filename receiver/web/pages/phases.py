"""What the incident's page shows of a P1's phases: due when, or reached when and by whom. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from receiver.core import events as ev
from receiver.core.deadlines import WORDS, Standing, late, standing
from receiver.core.events import Recorded
from receiver.core.incident import Incident
from receiver.core.playbook import Playbook

UNSEEN: Final = "acknowledge"


@dataclass(frozen=True, slots=True)
class PhaseView:
    """A phase for people.

    Args:
        words: the phase, as in "assessed".
        state: `done`, `due`, `late`, or `over`: the incident ended without it.
        due: until when it must be reached, `at` when it was; UNIX seconds, None: unknown.
        by: who or what reached it; empty when it isn't.
        slow: whether it was reached behind its deadline.
    """

    words: str
    state: str
    due: float | None = None
    at: float | None = None
    by: str = ""
    slow: bool = False


def phases(
    incident: Incident, events: Sequence[Recorded], playbook: Playbook | None, now: float
) -> tuple[PhaseView, ...]:
    """Return how the phases of a P1 stand, and first that nobody acknowledged it in time.

    Args:
        events: its whole log.
        playbook: its version; None: it isn't kept, so no deadline is known.
        now: UNIX seconds.
    """
    unseen = (PhaseView(WORDS[UNSEEN], "late"),) if UNSEEN in late(incident) else ()
    if playbook is None:
        return unseen
    return (*unseen, *(_view(one, incident, events, now) for one in standing(incident, playbook)))


def _view(one: Standing, incident: Incident, events: Sequence[Recorded], now: float) -> PhaseView:
    words = WORDS[one.phase]
    if one.at is not None:
        return PhaseView(words, "done", one.due, one.at, _by(one, events), one.at > one.due)
    if not incident.open:
        return PhaseView(words, "over", one.due)
    return PhaseView(words, "late" if one.missed or now >= one.due else "due", one.due)


def _by(one: Standing, events: Sequence[Recorded]) -> str:
    """Say who reached a phase: what happened at that moment tells."""
    here = [each.event for each in events if each.at == one.at]
    noted = [event.person for event in here if isinstance(event, ev.Noted) and event.phase and event.person]
    if noted and one.phase != "recover":
        return f"{noted[-1]}, by a note"
    if one.phase == "assess":
        return "the service, which chose a step" if not _verified(here) else "a verification"
    if one.phase == "recover" and not _verified(here):
        return noted[-1] if noted else "the first attempt, which ended"
    return "a verification"


def _verified(events: Sequence[ev.Event]) -> bool:
    return any(isinstance(event, ev.Verified) and event.verdict == "passed" for event in events)
