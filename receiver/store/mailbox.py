"""The outbox of the store in memory: what receiver.store.outbox does in SQL."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from receiver.ports import DeadLetter, OutboxRow

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
                if letter.state == "waiting" and (letter.row.kind, letter.row.lane, letter.row.incident) == (
                    "header",
                    row.lane,
                    row.incident,
                ):
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

    def dead(self) -> list[tuple[int, DeadLetter]]:
        """Return what was given up, newest first."""
        return [
            (n, DeadLetter(letter.row, letter.attempts, letter.error))
            for n, letter in reversed(self._letters.items())
            if letter.state == "dead"
        ]

    def counts(self) -> Mapping[str, int]:
        """Return how many wait and how many were given up."""
        states = [letter.state for letter in self._letters.values()]
        return {"waiting": states.count("waiting"), "dead": states.count("dead")}
