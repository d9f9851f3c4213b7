"""Severity of an incident, P1 (worst) to P4."""

from __future__ import annotations

from enum import StrEnum


class Severity(StrEnum):
    """P1 complete outage or data loss, P2 major function, P3 minor, P4 cosmetic (the runbook's classification)."""

    P1 = "P1"
    P2 = "P2"
    P3 = "P3"
    P4 = "P4"

    def worst(self, other: Severity) -> Severity:
        """Return the worse of the two; "P1" sorts before "P4"."""
        return min(self, other)
