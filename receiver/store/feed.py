"""The order in which events became durable, over all incidents: what live readers go on from, also after a restart.

A place in it is the number of an event's row. It only grows, and means the same for ever.
"""

from __future__ import annotations

import sqlite3

from receiver.core.events import Recorded
from receiver.ports import FeedPage
from receiver.store.batch import EVENTS_PER_INCIDENT
from receiver.store.codec import decode_event

MOST_BEHIND = 100_000
"""Events; a reader that missed more begins anew."""

_PAGE = """
    SELECT e.n, i.id, e.key, e.at, e.type, e.version, e.body FROM events e JOIN incidents i ON i.n = e.key / ?
    WHERE e.n > ? AND e.n <= ? ORDER BY e.n LIMIT ?
"""


def end(connection: sqlite3.Connection) -> int:
    """Return the place of the latest event, kept or not; 0 when there was none."""
    row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'events'").fetchone()
    return 0 if row is None else int(row[0])


def page(connection: sqlite3.Connection, after: int, limit: int) -> FeedPage:
    """Return the events behind a place, in order; those of incidents that are no longer kept are left out."""
    last = end(connection)
    if not last - MOST_BEHIND <= after <= last:
        # It missed too much, or comes with a place of another database.
        return FeedPage((), last, complete=False)
    rows = connection.execute(_PAGE, (EVENTS_PER_INCIDENT, after, last, limit)).fetchall()
    events = [
        (n, Recorded(incident, key % EVENTS_PER_INCIDENT, at, decode_event(name, version, body)))
        for n, incident, key, at, name, version, body in rows
    ]
    return FeedPage(events, events[-1][0] if len(events) == limit else last, complete=True)
