"""What of an incident's log a message shows that is more than one event: its approval as it stands, its end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from receiver.chat.slack.blocks import Card
from receiver.core import events as ev
from receiver.core.events import Recorded
from receiver.core.incident import Incident
from receiver.core.redaction import hide, hide_deep
from receiver.core.timeline import summary
from receiver.ports import Store

CHANGES_CARD = frozenset({"voted", "approval_ended", "approval_suspended"})
"""Kinds of entries after which a card looks different."""


LOG = 5000
"""Events of an incident that are read at most."""


async def log_of(store: Store, incident: str) -> list[Recorded]:
    """Return an incident's log from its start."""
    found: list[Recorded] = []
    while len(found) < LOG:
        page = await store.events(incident, found[-1].seq if found else 0)
        if not page:
            break
        found += page
    return found


def card_of(log: Sequence[Recorded], approval: str, severity: str) -> Card | None:
    """Return a request for approval as the log leaves it; None when it was never asked."""
    found: Card | None = None
    for recorded in log:
        event = recorded.event
        if isinstance(event, ev.ApprovalAsked) and event.approval == approval:
            found = Card(
                approval=approval,
                step=event.step,
                summary=hide(event.summary),
                needed=event.needed,
                expires_at=event.expires_at,
                reason_required=event.reason_required,
                severity=severity,
            )
        elif found is not None:
            found = _after(found, event)
    return found


def _after(one: Card, event: ev.Event) -> Card:
    match event:
        case ev.Voted(approval=one.approval):
            others = [vote for vote in one.votes if vote[0] != event.person]
            return replace(one, votes=(*others, (event.person, event.approve, hide(event.reason))))
        case ev.ApprovalEnded(approval=one.approval):
            return replace(one, state=event.state, decision=hide(event.text), suspended=False)
        case ev.ApprovalSuspended(approval=one.approval):
            return replace(one, suspended=not event.resumed)
        case _:
            return one


def ending(incident: Incident | None, log: Sequence[Recorded]) -> Mapping[str, Any]:
    """Return what a log adds up to, credentials hidden; nothing when it is no longer kept."""
    if incident is None or not log:
        return {}
    shown: Mapping[str, Any] = hide_deep(asdict(summary(incident, log)))
    return shown
