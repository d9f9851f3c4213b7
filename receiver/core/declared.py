"""An incident that a person declares, without an alert."""

from __future__ import annotations

from typing import Final

from receiver.core import events as ev
from receiver.core.playbook import DEADLINES, UPDATE_EVERY, Playbook
from receiver.core.principal import Principal
from receiver.core.severity import Severity

TITLE_LIMIT: Final = 100
"""Characters of a title: it stands where an alert's name does."""

DECLARED: Final = Playbook(
    "declared",
    "declared-1",
    0,
    (),
    diagnose=False,
    update_every=UPDATE_EVERY,
    deadlines=DEADLINES,
    description="Declared by a person; it is theirs to close.",
)
"""What leads a declared incident: nothing is done."""


def declared(
    identity: str, by: Principal, severity: Severity, title: str, service: str, mode: str, playbook: Playbook = DECLARED
) -> ev.Opened:
    """Return the beginning of a declared incident.

    It is its own target: alerts of the service that it is about have incidents of their own, acted on as ever.

    Args:
        identity: the incident's id.
        service: that it is about; empty: none that is known here.
        mode: `observe` or `act`, as everything's.
        playbook: what leads it, by today's policy.
    """
    return ev.Opened(
        target=identity,
        playbook=playbook.name,
        version=playbook.version,
        rank=playbook.rank,
        severity=severity,
        mode=mode,
        reason=f"declared by {by.person}",
        alert=title,
        labels={"service": service} if service else {},
        description=DECLARED.description,
        started_by=by.person,
        via=by.via,
        signed_in=by.signed_in,
        address=by.address,
    )
