"""Write a batch: a few statements for all of its units, within the transaction that the caller holds."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from itertools import chain
from typing import Any

from receiver.ports import Body
from receiver.store.batch import Batch
from receiver.store.cache import Cache, Kept
from receiver.store.codec import encode, encode_block, encode_bodies, encode_incident, encode_playbook, pack
from receiver.store.sql import for_rows, insert

_INCIDENT = "INSERT INTO incidents(n, id, target, state, severity, open, opened_at, ended_at, seq, wake_at, body)"
_INCIDENT_AGAIN = """
    ON CONFLICT(n) DO UPDATE SET state = excluded.state, severity = excluded.severity, open = excluded.open,
    ended_at = excluded.ended_at, seq = excluded.seq, wake_at = excluded.wake_at, body = excluded.body
"""
_REPEATS = """
    UPDATE alerts SET repeats = repeats + column2, seen_at = column3 FROM (VALUES {rows}) WHERE n = column1
"""
_OUTBOX = "INSERT INTO outbox(lane, kind, key, incident, payload, at)"
_OUTBOX_AGAIN = """
    ON CONFLICT(key) DO NOTHING
    ON CONFLICT(lane, incident) WHERE kind = 'header' AND state = 0
    DO UPDATE SET key = excluded.key, payload = excluded.payload, at = excluded.at, revision = revision + 1
"""
_BODY = "INSERT INTO bodies(first_at, last_at, body) VALUES (?, ?, ?)"
_ACTION = "INSERT INTO actions(id, target, playbook, incident, step, kind, started_at)"


def write(connection: sqlite3.Connection, batch: Batch, cache: Cache) -> None:
    """Write everything that the batch's units decided."""
    _alerts(connection, batch)
    _incidents(connection, batch)
    insert(connection, "INSERT INTO events(key, at, type, version, body)", 5, batch.events)
    _outbox(connection, batch)
    _actions(connection, batch)
    for version, playbook in batch.playbooks.items():
        if version not in cache.versions:
            connection.execute("INSERT OR IGNORE INTO playbooks VALUES (?, ?)", (version, encode_playbook(playbook)))
    insert(
        connection,
        "INSERT INTO counters(name, value)",
        2,
        _flat(batch.counters.items()),
        "ON CONFLICT(name) DO UPDATE SET value = value + excluded.value",
    )
    _bodies(connection, batch.bodies)
    for body, packed in batch.packed:
        connection.execute(_BODY, (body.received_at, body.received_at, packed))
    insert(
        connection,
        "INSERT INTO quarantine(at, place, message, raw)",
        4,
        _flat((one.at, one.where, one.message, one.raw) for one in batch.quarantined),
    )


def remember(batch: Batch, cache: Cache) -> None:
    """Bring a batch that is durable into the cache."""
    alerts = batch.seen.alerts
    for fingerprint in batch.alerts:
        cache.alerts.put(fingerprint, alerts[fingerprint])
    if batch.repeats:
        for fingerprint, latest in alerts.items():
            if latest.n in batch.repeats:
                cache.alerts.put(fingerprint, latest)
    for name in batch.touched:
        cache.keep(batch.seen.incidents[name])
    cache.versions.update(batch.playbooks)


def _flat(rows: Iterable[tuple[Any, ...]]) -> list[Any]:
    return list(chain.from_iterable(rows))


def _alerts(connection: sqlite3.Connection, batch: Batch) -> None:
    for_rows(connection, "DELETE FROM alerts WHERE n IN (VALUES {rows})", 1, batch.replaced)
    insert(
        connection,
        "INSERT INTO alerts(n, fingerprint, starts_at, status, incident, repeats, seen_at)",
        7,
        _flat(batch.alerts.values()),
    )
    blocks = [(n, encode_block(texts)) for n, texts in batch.blocks.items()]
    insert(connection, "INSERT INTO texts(n, body)", 2, _flat(blocks))
    for_rows(connection, _REPEATS, 3, _flat((n, count, at) for n, (count, at) in batch.repeats.items()))


def _incidents(connection: sqlite3.Connection, batch: Batch) -> None:
    """Write those that were there first: one that ends makes room for a new one on the same target."""
    found = batch.seen.incidents
    for names in (
        [name for name in batch.touched if name not in batch.created],
        [name for name in batch.touched if name in batch.created],
    ):
        values = _flat(_incident_row(found[name]) for name in names)
        insert(connection, _INCIDENT, 11, values, _INCIDENT_AGAIN)


def _incident_row(kept: Kept) -> tuple[Any, ...]:
    state = kept.state
    return (
        kept.n,
        state.id,
        state.target,
        state.phase.value,
        state.severity.value,
        int(state.open),
        state.opened_at,
        state.ended_at,
        state.seq,
        kept.wake,
        encode_incident(state),
    )


def _outbox(connection: sqlite3.Connection, batch: Batch) -> None:
    values: list[Any] = []
    for row in batch.outbox:
        values += (row.lane, row.kind, row.key, row.incident, pack(encode(row.payload)), row.at)
    insert(connection, _OUTBOX, 6, values, _OUTBOX_AGAIN)


def _actions(connection: sqlite3.Connection, batch: Batch) -> None:
    for action_id, one in batch.started:
        values = (action_id, one.target, one.playbook, one.incident, one.step, one.kind, one.started_at)
        insert(connection, _ACTION, 7, values)
    for ended_at, ok, action_id in batch.finished:
        connection.execute("UPDATE actions SET ended_at = ?, ok = ? WHERE id = ?", (ended_at, int(ok), action_id))
    for action_id in batch.withdrawn:
        connection.execute("DELETE FROM actions WHERE id = ?", (action_id,))


def _bodies(connection: sqlite3.Connection, bodies: list[Body]) -> None:
    """Keep the raw bodies of a commit as one compressed row: bodies of one time are much alike."""
    if bodies:
        times = [body.received_at for body in bodies]
        connection.execute(_BODY, (min(times), max(times), encode_bodies(bodies)))
