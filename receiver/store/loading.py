"""Fetch what the units of a commit name: from the cache, the rest in a few statements for all of them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from receiver.core.alert import AlertStatus
from receiver.ports import ActionRecord, Unit
from receiver.store.cache import Cache, Kept, Latest
from receiver.store.codec import decode_incident, fingerprint_key, fingerprint_text
from receiver.store.sql import select_in

STATUS = {0: AlertStatus.RESOLVED, 1: AlertStatus.FIRING}

_ALERTS = """
    SELECT a.fingerprint, a.n, a.starts_at, a.status, i.id, a.repeats
    FROM alerts a LEFT JOIN incidents i ON i.n = a.incident WHERE a.fingerprint IN ({list})
"""
_INCIDENTS = "SELECT n, body, wake_at FROM incidents WHERE id IN ({list})"
_OPEN = "SELECT n, body, wake_at FROM incidents WHERE open = 1 AND target IN ({list})"
ACTIONS = """
    SELECT id, target, playbook, incident, step, kind, started_at, ended_at, ok FROM actions
    WHERE started_at >= ? OR ended_at IS NULL ORDER BY started_at
"""


@dataclass(slots=True)
class Seen:
    """What the units of a commit look at, kept up to date while they decide one after the other.

    Args:
        alerts: the latest of each named fingerprint that is known.
        incidents: by id: the named ones, those of `alerts`, and those of `open`.
        open: the open incident of each named target; None when it has none.
        keys: fingerprints as the database keeps them, of those that were looked up there.
        actions: by id: what the units asked for, and what they begin.
    """

    alerts: dict[str, Latest] = field(default_factory=dict)
    incidents: dict[str, Kept] = field(default_factory=dict)
    open: dict[str, str | None] = field(default_factory=dict)
    keys: dict[str, int | str] = field(default_factory=dict)
    actions: dict[str, ActionRecord] = field(default_factory=dict)


def load(connection: sqlite3.Connection, cache: Cache, units: Iterable[Unit]) -> Seen:
    """Return what the units name, as far as it exists."""
    seen = Seen()
    fingerprints: set[str] = set()
    incidents: set[str] = set()
    since: list[float] = []
    for unit in units:
        fingerprints.update(unit.fingerprints)
        incidents.update(unit.incidents)
        seen.open.update(dict.fromkeys(unit.targets))
        if unit.actions_since is not None:
            since.append(unit.actions_since)
    _alerts(connection, cache, seen, fingerprints)
    incidents.update(known.incident for known in seen.alerts.values() if known.incident is not None)
    _open(connection, cache, seen)
    _named(connection, cache, seen, incidents)
    if since:
        seen.actions.update((row[0], action_record(row)) for row in connection.execute(ACTIONS, (min(since),)))
    return seen


def _alerts(connection: sqlite3.Connection, cache: Cache, seen: Seen, fingerprints: set[str]) -> None:
    known = cache.alerts.get
    for fingerprint in fingerprints:
        latest = known(fingerprint)
        if latest is None:
            seen.keys[fingerprint] = fingerprint_key(fingerprint)
        else:
            seen.alerts[fingerprint] = latest
    for key, n, starts_at, status, incident, repeats in select_in(connection, _ALERTS, list(seen.keys.values())):
        fingerprint = fingerprint_text(key)
        seen.alerts[fingerprint] = latest = Latest(n, starts_at, STATUS[status], incident, repeats)
        cache.alerts.put(fingerprint, latest)


def _open(connection: sqlite3.Connection, cache: Cache, seen: Seen) -> None:
    missing: list[str] = []
    for target in seen.open:
        incident = cache.open.get(target)
        kept = None if incident is None else cache.incidents.get(incident)
        if kept is None:
            missing.append(target)
        else:
            seen.incidents[kept.state.id] = kept
            seen.open[target] = kept.state.id
    for kept in _fetch(connection, cache, seen, _OPEN, missing):
        seen.open[kept.state.target] = kept.state.id


def _named(connection: sqlite3.Connection, cache: Cache, seen: Seen, incidents: set[str]) -> None:
    missing: list[str] = []
    for incident in incidents - seen.incidents.keys():
        kept = cache.incidents.get(incident)
        if kept is None:
            missing.append(incident)
        else:
            seen.incidents[incident] = kept
    _fetch(connection, cache, seen, _INCIDENTS, missing)


def _fetch(connection: sqlite3.Connection, cache: Cache, seen: Seen, statement: str, keys: list[str]) -> list[Kept]:
    found: list[Kept] = []
    for n, body, wake in select_in(connection, statement, keys):
        kept = Kept(n, decode_incident(body), wake)
        seen.incidents[kept.state.id] = kept
        cache.keep(kept)
        found.append(kept)
    return found


def action_record(row: tuple[Any, ...]) -> ActionRecord:
    """Return a row of `ACTIONS`."""
    _, target, playbook, name, step, kind, started_at, ended_at, ok = row
    return ActionRecord(target, playbook, name, step, kind, started_at, ended_at, None if ok is None else bool(ok))
