"""Events in the order in which they became durable, found by incident through an index.

Kept in the order of their keys, each commit wrote into the middle of the table for each of its incidents, and split
pages there. The number of a row is the place that live readers go on from, so `feed` is not needed any more; events of
before are numbered in the order of their times.
"""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

STATEMENTS = (
    "ALTER TABLE events RENAME TO events_by_key",
    """
    CREATE TABLE events (
        n INTEGER PRIMARY KEY AUTOINCREMENT,
        key INTEGER NOT NULL,
        at REAL NOT NULL,
        type TEXT NOT NULL,
        version INTEGER NOT NULL,
        body BLOB NOT NULL
    )
    """,
    """
    INSERT INTO events(key, at, type, version, body)
    SELECT key, at, type, version, body FROM events_by_key ORDER BY at, key
    """,
    "DROP TABLE events_by_key",
    "CREATE UNIQUE INDEX events_by_key ON events(key)",
    "DROP TABLE feed",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
