"""The outbox of the store in memory: what receiver.store.outbox does in SQL."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from receiver.core.incident import Incident
from receiver.ports import Letter, OutboxRow, Waiting

_REVISIONS = 1 << 16


@dataclass(slots=True)
class _Letter:
    row: OutboxRow
    revision: int = 0
    attempts: int = 0
    again_at: float = 0.0
    state: str = "waiting"
    error: str = ""


class Mailbox:
    """Rows in lanes, each lane in order. `references`: of headers, by (lane, incident)."""

    def __init__(self) -> None:
        self._letters: dict[int, _Letter] = {}
        self._keys: set[str] = set()
        self.references: dict[tuple[str, str], str] = {}

    def add(self, row: OutboxRow) -> None:
        """Add a row; a header replaces the waiting one of its incident, a key that was seen changes nothing."""
        if row.key in self._keys:
            return
        self._keys.add(row.key)
        if row.kind == "header":
            for letter in self._letters.values():
                if letter.state == "waiting" and _place(letter.row) == _place(row):
                    letter.row = row
                    letter.revision += 1
                    return
        self._letters[len(self._letters) + 1] = _Letter(row)

    def heads(self, now: float, limit: int) -> list[tuple[int, OutboxRow, int]]:
        """Return (handle, row, attempts) of each lane's first waiting row, unless it may be sent only later."""
        first: dict[str, tuple[int, _Letter]] = {}
        for n, letter in self._letters.items():
            if letter.state == "waiting":
                first.setdefault(letter.row.lane, (n, letter))
        return [
            (n * _REVISIONS + letter.revision, letter.row, letter.attempts)
            for n, letter in sorted(first.values(), key=lambda one: one[0])
            if letter.again_at <= now
        ][:limit]

    def sent(self, handle: int, reference: str | None) -> None:
        """Mark a row as sent, unless it changed meanwhile; keep a header's reference either way."""
        n, revision = divmod(handle, _REVISIONS)
        if (letter := self._letters.get(n)) is None:
            return
        if reference is not None and letter.row.kind == "header":
            self.references[letter.row.lane, letter.row.incident] = reference
        if letter.state == "waiting" and letter.revision == revision:
            letter.state = "sent"

    def unsent(self, handle: int, error: str, again_at: float | None) -> None:
        """Count a failed attempt."""
        n, revision = divmod(handle, _REVISIONS)
        letter = self._letters.get(n)
        if letter is None or letter.state != "waiting":
            return
        letter.attempts += 1
        letter.error = error
        if again_at is not None:
            letter.again_at = again_at
        elif letter.revision == revision:
            letter.state = "dead"

    def letters(self, state: str) -> list[tuple[int, Letter]]:
        """Return what is in a state, `waiting` or `dead`, newest first."""
        return [
            (n, Letter(letter.row, letter.attempts, letter.error, str(n)))
            for n, letter in reversed(self._letters.items())
            if letter.state == state
        ]

    def resend(self, name: str) -> bool:
        """Let a dead letter wait again; a header whose newer content is there already is done."""
        found = self._letters.get(int(name)) if name.isascii() and name.isdigit() else None
        if found is None or found.state != "dead":
            return False
        newer = found.row.kind == "header" and any(
            n > int(name) and _place(other.row) == _place(found.row) for n, other in self._letters.items()
        )
        found.state, found.again_at, found.error = "sent" if newer else "waiting", 0.0, ""
        return True

    def refer(self, lane: str, incident: str, reference: str | None) -> None:
        """Keep another reference of an incident's header, or none."""
        if reference is None:
            self.references.pop((lane, incident), None)
        else:
            self.references[lane, incident] = reference

    def lane(self, lane: str, states: Mapping[str, Incident]) -> list[Waiting]:
        """Return what waits in a lane by incident, the worst severity first, then the oldest."""
        found: dict[str, list[tuple[int, str]]] = {}
        for n, letter in self._letters.items():
            if letter.state == "waiting" and letter.row.lane == lane:
                found.setdefault(letter.row.incident, []).append((n, letter.row.kind))
        waiting = [
            Waiting(
                incident,
                states[incident].severity.value if incident in states else "",
                states[incident].phase.value if incident in states else "",
                self.references.get((lane, incident)),
                rows[0][0],
                any(kind == "header" for _, kind in rows),
                sum(kind != "header" for _, kind in rows),
                any(kind == "approval" for _, kind in rows),
            )
            for incident, rows in found.items()
        ]
        return sorted(waiting, key=lambda one: (one.severity or "P9", one.first))

    def lane_rows(self, lane: str, incident: str, *, header: bool) -> list[tuple[int, OutboxRow, int]]:
        """Return (handle, row, attempts) of an incident's entries that wait in a lane, in order; or of its header."""
        return [
            (n * _REVISIONS + letter.revision, letter.row, letter.attempts)
            for n, letter in self._letters.items()
            if letter.state == "waiting"
            and (letter.row.lane, letter.row.incident) == (lane, incident)
            and (letter.row.kind == "header") is header
        ]

    def counts(self) -> Mapping[str, int]:
        """Return how many wait and how many were given up."""
        states = [letter.state for letter in self._letters.values()]
        return {"waiting": states.count("waiting"), "dead": states.count("dead")}


def _place(row: OutboxRow) -> tuple[str, str, str]:
    return row.kind, row.lane, row.incident
