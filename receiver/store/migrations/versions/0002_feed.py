"""The order of events over all incidents, one row a commit; see `receiver.store.feed`.

What was stored before has no place in it: a live reader can't have seen it live.
"""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE TABLE feed (n INTEGER PRIMARY KEY, keys BLOB NOT NULL)")
