"""Of which incidents a post may be in Slack without our knowing: a lost answer, or a crash before it was noted."""

from __future__ import annotations

from typing import Final

from receiver.ports import Store

SENDING: Final = "slack/sending"
"""The named value that says it across a crash: those, and the one whose post may be under way."""


class Unsure:
    """Remembers them. What is in it is looked for before anything more is told of it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._incidents: set[str] = set()
        self._stored: set[str] = set()

    async def load(self) -> None:
        """Read what a crash left."""
        left = await self._store.get(SENDING)
        self._incidents.update(left if isinstance(left, list) else ())

    def __contains__(self, incident: str) -> bool:
        return incident in self._incidents

    def add(self, incident: str) -> None:
        """Take note that a post may be there."""
        self._incidents.add(incident)

    def discard(self, incident: str) -> None:
        """Take note that what is there is known."""
        self._incidents.discard(incident)

    async def intend(self, incident: str) -> None:
        """Store that a post of an incident is under way, before it is."""
        if not (wanted := self._incidents | {incident}) <= self._stored:
            await self._store.put(SENDING, sorted(wanted))
            self._stored = wanted
