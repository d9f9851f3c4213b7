"""What is no longer kept. Deletes in small pieces, so that commits in between wait for milliseconds at most."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from receiver.store.batch import EVENTS_PER_INCIDENT, TEXTS_PER_BLOCK
from receiver.store.cache import Cache
from receiver.store.codec import fingerprint_text

DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class Keep:
    """How long and how much is kept; seconds and rows.

    Args:
        bodies: raw webhook bodies.
        closed, closed_rows: incidents that ended, with their log and their alerts.
        unmatched, unmatched_rows: alerts that no playbook took and that don't fire any more.
        quarantined, quarantined_rows: alerts that could not be read.
        told, told_rows: outbox rows that were sent or given up.
        actions: past actions, for guardrails and figures.
    """

    bodies: float = 7 * DAY
    closed: float = 365 * DAY
    closed_rows: int = 100_000
    unmatched: float = 30 * DAY
    unmatched_rows: int = 100_000
    quarantined: float = 30 * DAY
    quarantined_rows: int = 10_000
    told: float = 7 * DAY
    told_rows: int = 100_000
    actions: float = 365 * DAY


Piece = Callable[[sqlite3.Connection, Cache], int]
"""Deletes a little; returns how many things went, 0 when there is nothing left to delete."""

_PIECE = 200
_LOG_PIECE = 2000
_ALWAYS = float("inf")


def pieces(keep: Keep, now: float) -> Mapping[str, Piece]:
    """Return what is to be deleted, by kind; `now` in UNIX seconds."""
    return {
        "bodies": partial(_bodies, before=now - keep.bodies),
        "outbox": partial(_outbox, before=now - keep.told, most=keep.told_rows),
        "quarantined": partial(_quarantined, before=now - keep.quarantined, most=keep.quarantined_rows),
        "unmatched": partial(_unmatched, before=now - keep.unmatched, most=keep.unmatched_rows),
        "incidents": partial(_incidents, before=now - keep.closed, most=keep.closed_rows),
        "actions": partial(_actions, before=now - keep.actions),
        "texts": _Texts(),
        "pages": _vacuum,
    }


def make_room(connection: sqlite3.Connection, cache: Cache) -> int:
    """Delete a little before its time, as the size cap is near: the oldest bodies, then the oldest of what ended.

    Returns:
        how many things went; 0: nothing more may go.
    """
    return (
        _bodies(connection, cache, before=_ALWAYS)
        or _outbox(connection, cache, before=_ALWAYS, most=0)
        or _quarantined(connection, cache, before=_ALWAYS, most=0)
        or _unmatched(connection, cache, before=_ALWAYS, most=0)
        or _incidents(connection, cache, before=_ALWAYS, most=0)
    )


def _bodies(connection: sqlite3.Connection, _cache: Cache, *, before: float) -> int:
    return connection.execute(
        "DELETE FROM bodies WHERE n IN (SELECT n FROM bodies ORDER BY n LIMIT 16) AND last_at < ?", (before,)
    ).rowcount


def _outbox(connection: sqlite3.Connection, _cache: Cache, *, before: float, most: int) -> int:
    gone = 0
    for state in (1, 2):
        gone += connection.execute(
            "DELETE FROM outbox WHERE n IN (SELECT n FROM outbox WHERE state = ? AND at < ? ORDER BY at LIMIT ?)",
            (state, before, _PIECE),
        ).rowcount
    return gone or _above(connection, "outbox", "state > 0", most)


def _quarantined(connection: sqlite3.Connection, _cache: Cache, *, before: float, most: int) -> int:
    gone = connection.execute(
        "DELETE FROM quarantine WHERE n IN (SELECT n FROM quarantine ORDER BY n LIMIT ?) AND at < ?", (_PIECE, before)
    ).rowcount
    return gone or _above(connection, "quarantine", "1", most)


def _above(connection: sqlite3.Connection, table: str, where: str, most: int) -> int:
    """Delete the oldest rows above a number."""
    (rows,) = connection.execute(f"SELECT count(*) FROM {table} WHERE {where}").fetchone()  # noqa: S608 - constants
    if rows <= most:
        return 0
    return connection.execute(
        f"DELETE FROM {table} WHERE n IN (SELECT n FROM {table} WHERE {where} ORDER BY n LIMIT ?)",  # noqa: S608
        (min(rows - most, _PIECE),),
    ).rowcount


def _unmatched(connection: sqlite3.Connection, cache: Cache, *, before: float, most: int) -> int:
    """Delete alerts that nobody took and that ended; one that still fires is never forgotten."""
    (rows,) = connection.execute("SELECT count(*) FROM alerts WHERE status = 0 AND incident IS NULL").fetchone()
    found = connection.execute(
        "SELECT n, fingerprint FROM alerts WHERE status = 0 AND incident IS NULL AND (seen_at < ? OR ?)"
        " ORDER BY n LIMIT ?",
        (before, rows > most, _PIECE if rows <= most else min(_PIECE, rows - most)),
    ).fetchall()
    return _forget_alerts(connection, cache, found)


def _forget_alerts(connection: sqlite3.Connection, cache: Cache, found: list[tuple[int, int | str]]) -> int:
    for n, key in found:
        connection.execute("DELETE FROM alerts WHERE n = ?", (n,))
        cache.deleted_alert(fingerprint_text(key))
    # Rows of one time share a block: their texts, which are most of what they take, go with the last of them.
    for block in sorted({n // TEXTS_PER_BLOCK for n, _ in found}):
        first = block * TEXTS_PER_BLOCK
        connection.execute(
            "DELETE FROM texts WHERE n = ? AND NOT EXISTS (SELECT 1 FROM alerts WHERE n BETWEEN ? AND ?)",
            (block, first, first + TEXTS_PER_BLOCK - 1),
        )
    return len(found)


def _incidents(connection: sqlite3.Connection, cache: Cache, *, before: float, most: int) -> int:
    """Delete from the oldest incident that ended; one with alerts that still fire stays."""
    (rows,) = connection.execute("SELECT count(*) FROM incidents WHERE open = 0").fetchone()
    found = connection.execute(
        """
        SELECT n, id FROM incidents i WHERE open = 0 AND ended_at < ?
        AND NOT EXISTS (SELECT 1 FROM alerts a WHERE a.status = 1 AND a.incident = i.n)
        ORDER BY ended_at LIMIT 1
        """,
        (_ALWAYS if rows > most else before,),
    ).fetchone()
    if found is None:
        return 0
    n, name = found
    alerts = connection.execute(
        "SELECT n, fingerprint FROM alerts WHERE status = 0 AND incident = ? LIMIT ?", (n, _LOG_PIECE)
    ).fetchall()
    gone = _forget_alerts(connection, cache, alerts)
    first = n * EVENTS_PER_INCIDENT
    gone += connection.execute(
        "DELETE FROM events WHERE key IN (SELECT key FROM events WHERE key BETWEEN ? AND ? LIMIT ?)",
        (first, first + EVENTS_PER_INCIDENT - 1, _LOG_PIECE),
    ).rowcount
    if not gone:
        connection.execute("DELETE FROM posted WHERE incident = ?", (name,))
        connection.execute("DELETE FROM incidents WHERE n = ?", (n,))
        cache.deleted_incident(name)
    return gone + 1


def _actions(connection: sqlite3.Connection, _cache: Cache, *, before: float) -> int:
    return connection.execute(
        "DELETE FROM actions WHERE id IN"
        " (SELECT id FROM actions WHERE started_at < ? AND ended_at IS NOT NULL LIMIT ?)",
        (before, _PIECE),
    ).rowcount


class _Texts:
    """Blocks of texts of which no alert is left; goes through all blocks once, a few hundred at a time."""

    def __init__(self) -> None:
        self._after = 0

    def __call__(self, connection: sqlite3.Connection, _cache: Cache) -> int:
        """Delete the unused of the next blocks; returns how many blocks were looked at."""
        looked = [
            n for (n,) in connection.execute("SELECT n FROM texts WHERE n > ? ORDER BY n LIMIT 500", (self._after,))
        ]
        if not looked:
            return 0
        unused = connection.execute(
            "SELECT n FROM texts t WHERE n BETWEEN ? AND ?"
            " AND NOT EXISTS (SELECT 1 FROM alerts a WHERE a.n BETWEEN t.n * ? AND t.n * ? + ?)",
            (looked[0], looked[-1], TEXTS_PER_BLOCK, TEXTS_PER_BLOCK, TEXTS_PER_BLOCK - 1),
        ).fetchall()
        for (n,) in unused:
            connection.execute("DELETE FROM texts WHERE n = ?", (n,))
        self._after = looked[-1]
        return len(looked)


def _vacuum(connection: sqlite3.Connection, _cache: Cache) -> int:
    """Give free pages back to the file system, some at a time."""
    (free,) = connection.execute("PRAGMA freelist_count").fetchone()
    if free < _LOG_PIECE:
        return 0
    connection.execute("PRAGMA incremental_vacuum(1000)").fetchall()
    return 500
