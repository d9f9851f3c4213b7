"""Reading: plain functions of a connection. What they see was committed."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from receiver.core.events import Recorded
from receiver.core.incident import Incident
from receiver.core.playbook import Playbook
from receiver.ports import ActionRecord, AlertRow, Body, IncidentFilter, Page, Quarantined
from receiver.store.batch import EVENTS_PER_INCIDENT, TEXTS_PER_BLOCK
from receiver.store.codec import (
    AlertText,
    alert_of,
    decode,
    decode_block,
    decode_event,
    decode_incident,
    decode_playbook,
    fingerprint_text,
    unpack,
)
from receiver.store.loading import ACTIONS, STATUS, action_record
from receiver.store.sql import select_in

_ALERT_COLUMNS = "a.n, a.fingerprint, a.starts_at, a.status, i.id, a.repeats, a.seen_at"
_ALERTS = f"SELECT {_ALERT_COLUMNS} FROM alerts a LEFT JOIN incidents i ON i.n = a.incident"  # noqa: S608 - constants
_bodies = msgspec.msgpack.Decoder(list[tuple[float, int, str, bytes]])


def due(connection: sqlite3.Connection, now: float, limit: int) -> list[tuple[str, str]]:
    """Return (incident, target) of wake-ups that are due, earliest first."""
    return connection.execute(
        "SELECT id, target FROM incidents WHERE wake_at <= ? ORDER BY wake_at LIMIT ?", (now, limit)
    ).fetchall()


def next_wake(connection: sqlite3.Connection, after: float | None) -> float | None:
    """Return when the earliest wake-up is due, or the earliest one later than `after`."""
    row = connection.execute(
        "SELECT min(wake_at) FROM incidents WHERE wake_at > ?", (float("-inf") if after is None else after,)
    ).fetchone()
    at: float | None = row[0]
    return at


def incident(connection: sqlite3.Connection, incident_id: str) -> Incident | None:
    """Return one incident."""
    row = connection.execute("SELECT body FROM incidents WHERE id = ?", (incident_id,)).fetchone()
    return None if row is None else decode_incident(row[0])


def incidents(connection: sqlite3.Connection, wanted: IncidentFilter) -> Page:
    """Return incidents, newest first."""
    conditions = {
        "open = 1": () if wanted.open_only else None,
        "state = ?": _given(wanted.state),
        "target = ?": _given(wanted.target),
        "severity = ?": _given(wanted.severity),
        "n < ?": None if wanted.after is None else (_cursor(wanted.after),),
    }
    used = {text: values for text, values in conditions.items() if values is not None}
    where = " AND ".join(used) or "1"
    rows = connection.execute(
        f"SELECT n, body FROM incidents WHERE {where} ORDER BY n DESC LIMIT ?",  # noqa: S608 - texts from above
        (*(value for values in used.values() for value in values), wanted.limit + 1),
    ).fetchall()
    return _page([(n, decode_incident(body)) for n, body in rows[: wanted.limit]], more=len(rows) > wanted.limit)


def _given(value: str | None) -> tuple[str] | None:
    return None if value is None else (value,)


def _cursor(after: str) -> int:
    """Return the row number in a cursor; one that is none of ours begins at the end, as an empty page."""
    return int(after) if after.isascii() and after.isdigit() and len(after) < 19 else 0


def _page(items: Sequence[tuple[int, Any]], *, more: bool) -> Page:
    return Page([item for _, item in items], str(items[-1][0]) if more and items else None)


def events(connection: sqlite3.Connection, incident_id: str, after: int, limit: int) -> list[Recorded]:
    """Return the log of an incident from `seq > after`."""
    row = connection.execute("SELECT n FROM incidents WHERE id = ?", (incident_id,)).fetchone()
    if row is None:
        return []
    first = row[0] * EVENTS_PER_INCIDENT
    found = connection.execute(
        "SELECT key, at, type, version, body FROM events WHERE key > ? AND key < ? ORDER BY key LIMIT ?",
        (first + max(0, after), first + EVENTS_PER_INCIDENT, limit),
    )
    return [
        Recorded(incident_id, key - first, at, decode_event(name, version, body))
        for key, at, name, version, body in found
    ]


def alerts(connection: sqlite3.Connection, incident_id: str, limit: int) -> list[AlertRow]:
    """Return the alerts of an incident, those that fire first."""
    found: list[tuple[Any, ...]] = []
    for status in (1, 0):
        found += connection.execute(
            f"{_ALERTS} WHERE a.status = ? AND i.id = ? ORDER BY a.n LIMIT ?",
            (status, incident_id, limit - len(found)),
        )
    return _alert_rows(connection, found)


def firing(connection: sqlite3.Connection, limit: int) -> Mapping[str, AlertRow]:
    """Return the alerts that fire, by fingerprint."""
    found = connection.execute(f"{_ALERTS} WHERE a.status = 1 LIMIT ?", (limit,)).fetchall()
    return {row.alert.fingerprint: row for row in _alert_rows(connection, found)}


def unmatched(connection: sqlite3.Connection, limit: int, after: str | None) -> Page:
    """Return alerts that no playbook took, newest first."""
    found = connection.execute(
        f"{_ALERTS} WHERE a.status IN (0, 1) AND a.incident IS NULL AND a.n < ? ORDER BY a.n DESC LIMIT ?",
        (_before(after), limit + 1),
    ).fetchall()
    rows = _alert_rows(connection, found[:limit])
    return _page([(one[0], row) for one, row in zip(found, rows, strict=False)], more=len(found) > limit)


def _before(after: str | None) -> int:
    return (1 << 63) - 1 if after is None else _cursor(after)


def _alert_rows(connection: sqlite3.Connection, found: Sequence[tuple[Any, ...]]) -> list[AlertRow]:
    """Return alerts with their texts; each block is read once."""
    blocks: dict[int, list[AlertText]] = {}
    wanted = sorted({row[0] // TEXTS_PER_BLOCK for row in found})
    for n, body in select_in(connection, "SELECT n, body FROM texts WHERE n IN ({list})", wanted):
        blocks[n] = decode_block(body)
    rows = []
    for n, key, starts_at, status, incident_id, repeats, seen_at in found:
        text = blocks[n // TEXTS_PER_BLOCK][n % TEXTS_PER_BLOCK]
        alert = alert_of(fingerprint_text(key), starts_at, STATUS[status], text)
        rows.append(AlertRow(alert, incident_id, text[4], text[5], seen_at, repeats))
    return rows


def quarantined(connection: sqlite3.Connection, limit: int, after: str | None) -> Page:
    """Return alerts that could not be read, newest first."""
    found = connection.execute(
        "SELECT n, at, place, message, raw FROM quarantine WHERE n < ? ORDER BY n DESC LIMIT ?",
        (_before(after), limit + 1),
    ).fetchall()
    return _page([(row[0], Quarantined(*row[1:])) for row in found[:limit]], more=len(found) > limit)


def bodies(connection: sqlite3.Connection, since: float, until: float, limit: int) -> list[Body]:
    """Return raw bodies that were received in that time, oldest first."""
    found: list[Body] = []
    for (packed,) in connection.execute(
        "SELECT body FROM bodies WHERE last_at >= ? AND first_at <= ? ORDER BY n", (since, until)
    ):
        for received_at, count, sender, raw in _bodies.decode(unpack(packed)):
            if since <= received_at <= until:
                found.append(Body(received_at, raw, count, sender))
                if len(found) == limit:
                    return found
    return found


def playbook(connection: sqlite3.Connection, version: str) -> Playbook | None:
    """Return a stored playbook version."""
    row = connection.execute("SELECT body FROM playbooks WHERE version = ?", (version,)).fetchone()
    return None if row is None else decode_playbook(row[0])


def actions(connection: sqlite3.Connection, since: float) -> list[ActionRecord]:
    """Return actions started since then, and all that are under way, earliest first."""
    return [action_record(row) for row in connection.execute(ACTIONS, (since,))]


def get(connection: sqlite3.Connection, key: str) -> Any:
    """Return a named value; None when unset."""
    row = connection.execute("SELECT value FROM named WHERE key = ?", (key,)).fetchone()
    return None if row is None else decode(row[0])


def counts(connection: sqlite3.Connection) -> dict[str, Any]:
    """Return what can be counted in the database without reading much of it."""
    by_state = connection.execute("SELECT state, severity, count(*) FROM incidents GROUP BY state, severity")
    outbox = dict(connection.execute("SELECT state, count(*) FROM outbox WHERE state IN (0, 2) GROUP BY state"))
    wakes = connection.execute("SELECT count(*) FROM incidents WHERE wake_at IS NOT NULL").fetchone()[0]
    # Of other states no body is read. What nobody is called about (observing, for example) is left open quietly.
    paged = connection.execute(
        "SELECT count(*) FROM incidents WHERE state = 'escalated'"
        """ AND instr(body, CAST('"page_at":null' AS BLOB)) = 0"""
    ).fetchone()[0]
    return {
        "incidents": {(state, severity): n for state, severity, n in by_state},
        "outbox": {"waiting": outbox.get(0, 0), "dead": outbox.get(2, 0)},
        "paged": paged,
        "wakes": wakes,
        "counters": dict(connection.execute("SELECT name, value FROM counters")),
    }


def statuses(connection: sqlite3.Connection) -> Mapping[int, int]:
    """Return how many alerts are resolved (0) and firing (1); reads an index of all of them."""
    return dict(connection.execute("SELECT status, count(*) FROM alerts GROUP BY status"))
