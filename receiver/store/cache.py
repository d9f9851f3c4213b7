"""What the writer remembers of the database. It is the only one who writes, so what it remembers is true.

Both parts are bounded. Nothing is remembered before it is durable, and everything is forgotten after a rollback.
"""

from __future__ import annotations

from typing import Generic, NamedTuple, TypeVar

from receiver.core.alert import AlertStatus, Known
from receiver.core.incident import Incident

K = TypeVar("K")
V = TypeVar("V")


class Latest(NamedTuple):
    """A fingerprint's latest; `n` is its row's number."""

    n: int
    starts_at: int
    status: AlertStatus
    incident: str | None
    repeats: int

    def known(self) -> Known:
        """Return what a unit sees of it."""
        return Known(self.starts_at, self.status, self.incident, self.repeats)


class Kept(NamedTuple):
    """An incident's state, its row's number and its wake-up."""

    n: int
    state: Incident
    wake: float | None


class TwoGenerations(Generic[K, V]):
    """A map that forgets what wasn't used for long: at most twice `size` entries, and no list to reorder on each use.

    A full young half becomes the old one and the old one is dropped; whatever is used in the old half is young again.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._young: dict[K, V] = {}
        self._old: dict[K, V] = {}

    def get(self, key: K) -> V | None:
        """Return what is remembered."""
        found = self._young.get(key)
        if found is None:
            found = self._old.pop(key, None)
            if found is not None:
                self.put(key, found)
        return found

    def put(self, key: K, value: V) -> None:
        """Remember it."""
        if len(self._young) >= self._size and key not in self._young:
            self._old, self._young = self._young, {}
        self._young[key] = value

    def drop(self, key: K) -> None:
        """Forget it."""
        self._young.pop(key, None)
        self._old.pop(key, None)

    def clear(self) -> None:
        """Forget everything."""
        self._young, self._old = {}, {}

    def __len__(self) -> int:
        return len(self._young) + len(self._old)


class Cache:
    """The latest alerts by fingerprint and incidents by id, with the open one of each target among them.

    Args:
        alerts, incidents: how many of each are remembered at least; at most twice as many. An alert takes some 300
            bytes, an incident 4 to 5 kB.
    """

    def __init__(self, alerts: int = 10_000, incidents: int = 1_000) -> None:
        self.alerts: TwoGenerations[str, Latest] = TwoGenerations(alerts)
        self.incidents: TwoGenerations[str, Kept] = TwoGenerations(incidents)
        self.open: TwoGenerations[str, str] = TwoGenerations(incidents)
        self.versions: set[str] = set()
        self._deleted: list[tuple[TwoGenerations[str, Latest] | TwoGenerations[str, Kept], str]] = []

    def deleted_alert(self, fingerprint: str) -> None:
        """Note that the commit under way deletes it."""
        self._deleted.append((self.alerts, fingerprint))

    def deleted_incident(self, incident: str) -> None:
        """Note that the commit under way deletes it."""
        self._deleted.append((self.incidents, incident))

    def settle(self) -> int:
        """Forget what was deleted; called when a commit is done, as its units may have remembered it meanwhile.

        Returns:
            how many alerts were among it.
        """
        alerts = 0
        for part, key in self._deleted:
            part.drop(key)
            alerts += part is self.alerts
        self._deleted.clear()
        return alerts

    def keep(self, kept: Kept) -> None:
        """Remember an incident."""
        state = kept.state
        self.incidents.put(state.id, kept)
        if state.open:
            self.open.put(state.target, state.id)
        elif self.open.get(state.target) == state.id:
            self.open.drop(state.target)

    def clear(self) -> None:
        """Forget everything: the database and this may differ."""
        self.alerts.clear()
        self.incidents.clear()
        self.open.clear()
        self.versions.clear()
        self._deleted.clear()
