"""Write or check the schema of a new database: `python -m receiver.store.schema_file --check|--write`."""

from __future__ import annotations

import argparse
import sqlite3
import sys
from collections.abc import Sequence
from contextlib import closing

from receiver.store.schema import SNAPSHOT, upgrade

_HEAD = "-- What the migrations add up to; written by `make docs`, and run on a new database instead of them.\n"
_VERSION = "INSERT INTO alembic_version SELECT "
_OBJECTS = "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%' ORDER BY rowid"


def text() -> str:
    """Return the schema that the migrations make."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        upgrade(connection)
        statements = [row[0] for row in connection.execute(_OBJECTS)]
        (version,) = connection.execute("SELECT quote(version_num) FROM alembic_version").fetchone()
    return _HEAD + "".join(f"{one};\n" for one in [*statements, _VERSION + version])


def main(arguments: Sequence[str] | None = None) -> int:
    """Write or check; returns the exit status, 1 when it is not current."""
    parser = argparse.ArgumentParser(prog="python -m receiver.store.schema_file", description=__doc__)
    chosen = parser.add_mutually_exclusive_group(required=True)
    chosen.add_argument("--check", action="store_true", help="exit 1 when the file is not current")
    chosen.add_argument("--write", action="store_true", help="write the file")
    if parser.parse_args(arguments).write:
        SNAPSHOT.write_text(text(), "utf-8")
    elif not SNAPSHOT.is_file() or SNAPSHOT.read_text("utf-8") != text():
        sys.stderr.write("receiver/store/schema.sql is not current; run: make docs\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
