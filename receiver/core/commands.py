"""What an incident's state still requires of the world. Derived, never stored: asked again, the answer is the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from receiver.core.incident import Action, Approval, Check, Done
from receiver.core.playbook import Step


@dataclass(frozen=True, slots=True)
class Diagnose:
    """Look at the target, and ask Prometheus whether the alert fires; changes nothing."""


@dataclass(frozen=True, slots=True)
class RunStep:
    """Plan a step under the target's lock, ask the guardrails, then ask people, refuse, skip or start it.

    `approval` is the approved request, whose plan must still be the same.
    """

    step: Step
    approval: Approval | None = None


@dataclass(frozen=True, slots=True)
class TakeBack:
    """Undo a step that failed (`undo`), or take back one that is no longer needed (`cleanup`)."""

    done: Done
    kind: str


@dataclass(frozen=True, slots=True)
class ResumeAction:
    """Find out what became of an intent, and finish it."""

    action: Action


@dataclass(frozen=True, slots=True)
class Look:
    """One look of a verification."""

    check: Check


Command: TypeAlias = Diagnose | RunStep | TakeBack | ResumeAction | Look
