"""What is to be told: rows in lanes, each lane in order.

A row's handle is its number << 16 | its revision: a header that is overwritten while it is on its way has a new
revision, so that the old one's success doesn't count for what was never sent.
"""

from __future__ import annotations

import sqlite3

from receiver.ports import Letter, OutboxRow, Page, Waiting
from receiver.store.codec import decode, unpack

_REVISIONS = 1 << 16
WAITING, _SENT, DEAD = 0, 1, 2

_HEADS = """
    WITH RECURSIVE lanes(lane) AS (
        SELECT min(lane) FROM outbox WHERE state = 0
        UNION ALL
        SELECT (SELECT min(lane) FROM outbox WHERE state = 0 AND lane > lanes.lane) FROM lanes WHERE lane IS NOT NULL
    )
    SELECT n, revision, lane, kind, key, incident, payload, at, attempts FROM outbox
    WHERE n IN (
        SELECT (SELECT min(n) FROM outbox WHERE state = 0 AND outbox.lane = lanes.lane) FROM lanes
        WHERE lane IS NOT NULL
    ) AND again_at <= ?
    ORDER BY n LIMIT ?
"""


def heads(connection: sqlite3.Connection, now: float, limit: int) -> list[tuple[int, OutboxRow, int]]:
    """Return (handle, row, attempts) of each lane's first waiting row, unless it is to be tried again only later."""
    return [
        (
            n * _REVISIONS + revision % _REVISIONS,
            OutboxRow(lane, kind, key, incident, decode(unpack(payload)), at),
            tries,
        )
        for n, revision, lane, kind, key, incident, payload, at, tries in connection.execute(_HEADS, (now, limit))
    ]


def next_try(connection: sqlite3.Connection) -> float | None:
    """Return the earliest time at which a waiting row may be sent."""
    row = connection.execute("SELECT min(again_at) FROM outbox WHERE state = 0").fetchone()
    at: float | None = row[0]
    return at


def sent(connection: sqlite3.Connection, handle: int, reference: str | None) -> None:
    """Mark a row as sent, unless it changed meanwhile; keep a header's reference either way."""
    n, revision = divmod(handle, _REVISIONS)
    row = connection.execute(
        "SELECT lane, incident, kind, at, revision, state FROM outbox WHERE n = ?", (n,)
    ).fetchone()
    if row is None:
        return
    lane, incident, kind, at, current, state = row
    if reference is not None and kind == "header":
        connection.execute("INSERT OR REPLACE INTO posted VALUES (?, ?, ?, ?)", (lane, incident, reference, at))
    if state == WAITING and current % _REVISIONS == revision:
        connection.execute("UPDATE outbox SET state = ?, error = '' WHERE n = ?", (_SENT, n))


def unsent(connection: sqlite3.Connection, handle: int, error: str, again_at: float | None) -> None:
    """Count a failed attempt."""
    n, revision = divmod(handle, _REVISIONS)
    if again_at is not None:
        connection.execute(
            "UPDATE outbox SET attempts = attempts + 1, error = ?, again_at = ? WHERE n = ? AND state = 0",
            (error, again_at, n),
        )
        return
    # Newer content of a header deserves its own try: only what was really tried is given up.
    connection.execute(
        "UPDATE outbox SET attempts = attempts + 1, error = ?, state = CASE revision % 65536 WHEN ? THEN 2 ELSE 0 END"
        " WHERE n = ? AND state = 0",
        (error, revision, n),
    )


def reference(connection: sqlite3.Connection, lane: str, incident: str) -> str | None:
    """Return the reference of an incident's header in a lane."""
    row = connection.execute(
        "SELECT reference FROM posted WHERE lane = ? AND incident = ?", (lane, incident)
    ).fetchone()
    return None if row is None else str(row[0])


def refer(connection: sqlite3.Connection, lane: str, incident: str, reference: str | None) -> None:
    """Keep another reference of an incident's header, or none."""
    if reference is None:
        connection.execute("DELETE FROM posted WHERE lane = ? AND incident = ?", (lane, incident))
        return
    connection.execute(
        "INSERT INTO posted VALUES (?, ?, ?, 0)"
        " ON CONFLICT(lane, incident) DO UPDATE SET reference = excluded.reference",
        (lane, incident, reference),
    )


_LANE = """
    WITH waiting(incident, first, headers, entries, asks) AS (
        SELECT incident, min(n), sum(kind = 'header'), sum(kind <> 'header'), sum(kind = 'approval')
        FROM outbox WHERE state = 0 AND lane = ? GROUP BY incident
    )
    SELECT waiting.incident, coalesce(severity, ''), coalesce(state, ''), reference, first, headers, entries, asks
    FROM waiting
    LEFT JOIN incidents ON incidents.id = waiting.incident
    LEFT JOIN posted ON posted.lane = ? AND posted.incident = waiting.incident
    ORDER BY coalesce(severity, 'P9'), first LIMIT ?
"""


def lane(connection: sqlite3.Connection, name: str, limit: int) -> list[Waiting]:
    """Return what waits in a lane by incident, the worst severity first."""
    return [
        Waiting(incident, severity, state, posted, first, bool(headers), entries, bool(asks))
        for incident, severity, state, posted, first, headers, entries, asks in connection.execute(
            _LANE, (name, name, limit)
        )
    ]


def lane_rows(
    connection: sqlite3.Connection,
    name: str,
    incident: str,
    limit: int,
    header: bool,  # noqa: FBT001 - for a thread
) -> list[tuple[int, OutboxRow, int]]:
    """Return (handle, row, attempts) of an incident's entries that wait in a lane, in order; or of its header."""
    return [
        (
            n * _REVISIONS + revision % _REVISIONS,
            OutboxRow(name, kind, key, incident, decode(unpack(payload)), at),
            tries,
        )
        for n, revision, kind, key, payload, at, tries in connection.execute(
            "SELECT n, revision, kind, key, payload, at, attempts FROM outbox"
            " WHERE state = 0 AND lane = ? AND incident = ? AND (kind = 'header') = ? ORDER BY n LIMIT ?",
            (name, incident, header, limit),
        )
    ]


def letters(connection: sqlite3.Connection, state: int, limit: int, after: str | None) -> Page:
    """Return what waits or was given up, newest first."""
    before = _number(after) if after is not None else None
    found = connection.execute(
        "SELECT n, lane, kind, key, incident, payload, at, attempts, error FROM outbox"
        " WHERE state = ? AND n < ifnull(?, n + 1) ORDER BY n DESC LIMIT ?",
        (state, before, limit + 1),
    ).fetchall()
    items = [
        Letter(OutboxRow(lane, kind, key, incident, decode(unpack(payload)), at), attempts, error, str(n))
        for n, lane, kind, key, incident, payload, at, attempts, error in found[:limit]
    ]
    return Page(items, str(found[limit - 1][0]) if len(found) > limit else None)


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


def resend(connection: sqlite3.Connection, letter: str) -> bool:
    """Let a dead letter wait again; a header whose newer content waits already is done."""
    n = _number(letter)
    row = connection.execute("SELECT lane, incident, kind FROM outbox WHERE n = ? AND state = 2", (n,)).fetchone()
    if row is None:
        return False
    lane_name, incident, kind = row
    newer = (
        kind == "header"
        and connection.execute(
            "SELECT 1 FROM outbox WHERE lane = ? AND incident = ? AND kind = 'header' AND n > ?",
            (lane_name, incident, n),
        ).fetchone()
    )
    connection.execute(
        "UPDATE outbox SET state = ?, again_at = 0, error = '' WHERE n = ?", (_SENT if newer else WAITING, n)
    )
    return True
