"""The order in which events became durable, over all incidents: what live readers go on from, also after a restart.

One row a commit that has events, with their keys in order. A place in it is the commit's number times
`EVENTS_PER_COMMIT`, plus the event's place in the commit, from 1: it only grows, and means the same for ever.
"""

from __future__ import annotations

import sqlite3

import msgspec

from receiver.core.events import Recorded
from receiver.ports import FeedPage
from receiver.store.batch import EVENTS_PER_INCIDENT, Batch
from receiver.store.cache import Cache
from receiver.store.codec import decode_event
from receiver.store.sql import select_in

EVENTS_PER_COMMIT = 1 << 20
"""A commit takes some thousand events; this many never fit."""

KEPT_COMMITS = 50_000
"""A reader that was away for longer begins anew."""

_PIECE = 500
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[int]).decode


def write(connection: sqlite3.Connection, batch: Batch) -> None:
    """Note the events of a commit, within its transaction."""
    if batch.events:
        connection.execute("INSERT INTO feed(n, keys) VALUES (?, ?)", (batch.next.commit, _encode(batch.events[::5])))
        batch.next.commit += 1


def end(connection: sqlite3.Connection) -> int:
    """Return the place of the latest event, 0 when there is none."""
    row = connection.execute("SELECT n, keys FROM feed ORDER BY n DESC LIMIT 1").fetchone()
    return 0 if row is None else row[0] * EVENTS_PER_COMMIT + len(_decode(row[1]))


def page(connection: sqlite3.Connection, after: int, limit: int) -> FeedPage:
    """Return the events behind a place, in order; those of incidents that are no longer kept are left out."""
    first = after // EVENTS_PER_COMMIT
    places: list[int] = []
    keys: list[int] = []
    complete: bool | None = None
    for n, body in connection.execute("SELECT n, keys FROM feed WHERE n >= ? ORDER BY n", (first,)):
        if complete is None:
            complete = n <= first + 1
        for place, key in enumerate(_decode(body), n * EVENTS_PER_COMMIT + 1):
            if place > after:
                places.append(place)
                keys.append(key)
        if len(places) >= limit:
            break
    if complete is None:
        # Nothing from there on: the reader has seen all, or comes with a place of another database.
        last = end(connection)
        return FeedPage((), last, after == last)
    del places[limit:], keys[limit:]
    found = _events(connection, keys)
    events = [(place, found[key]) for place, key in zip(places, keys, strict=True) if key in found]
    return FeedPage(events, places[-1] if places else after, complete)


def _events(connection: sqlite3.Connection, keys: list[int]) -> dict[int, Recorded]:
    numbers = sorted({key // EVENTS_PER_INCIDENT for key in keys})
    ids = dict(select_in(connection, "SELECT n, id FROM incidents WHERE n IN ({list})", numbers))
    rows = select_in(connection, "SELECT key, at, type, version, body FROM events WHERE key IN ({list})", keys)
    return {
        key: Recorded(ids[n], key % EVENTS_PER_INCIDENT, at, decode_event(name, version, body))
        for key, at, name, version, body in rows
        if (n := key // EVENTS_PER_INCIDENT) in ids
    }


def prune(connection: sqlite3.Connection, _cache: Cache, *, most: int = KEPT_COMMITS) -> int:
    """Forget the oldest commits above a number; the latest stays, so that places go on growing."""
    return connection.execute(
        "DELETE FROM feed WHERE n IN (SELECT n FROM feed WHERE n <= (SELECT max(n) FROM feed) - ? ORDER BY n LIMIT ?)",
        (max(1, most), _PIECE),
    ).rowcount
