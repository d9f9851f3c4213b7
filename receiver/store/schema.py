"""Opening the database: pragmas, and the schema brought up to date."""

from __future__ import annotations

import os
import sqlite3
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from receiver.ports import StoreUnusable

if TYPE_CHECKING:
    from alembic.config import Config

HEAD = "0003"
"""The migration that this release writes; a test holds it to the newest one."""

SNAPSHOT = Path(__file__).parent / "schema.sql"
"""What all migrations add up to, for a new database; `python -m receiver.store.schema_file --write` writes it."""

_MIGRATIONS = Path(__file__).parent / "migrations"
_BUSY_SECONDS = 5.0
_STATEMENTS = 256
"""Prepared statements that a connection keeps: each kind of row has one for each of a few sizes."""


def open_writer(path: Path, *, cache_kib: int = 8192) -> sqlite3.Connection:
    """Open the database for the one writer, making it and its schema when needed.

    Args:
        path: the file.
        cache_kib: its page cache, KiB.

    Raises:
        StoreUnusable: it can't be opened, is damaged, is no database of ours, or is of a newer release.
    """
    with suppress(OSError):
        # It holds what alerts and playbooks say, credentials among it. Its journals get the same mode from SQLite.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    with ExitStack() as failing:
        try:
            connection = failing.enter_context(closing(_connect(path, "rwc")))
            # These two only before the first table. A new alert changes a page of each index, wherever its fingerprint
            # leads: whole pages go to the log, and half as large ones are half as much to write and to sum up.
            connection.execute("PRAGMA page_size = 2048")
            # Freed pages can be given back to the file system a few at a time.
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute(f"PRAGMA cache_size = -{cache_kib}")
            connection.execute("PRAGMA temp_store = MEMORY")
            # Checkpoints run beside the commits, not within them: receiver.store.checkpoint.
            connection.execute("PRAGMA wal_autocheckpoint = 0")
            _migrate(connection, path)
        except sqlite3.DatabaseError as error:
            raise unusable(path, error) from error
        # It is the caller's to close now.
        failing.pop_all()
    return connection


def open_reader(path: Path, *, cache_kib: int = 2048) -> sqlite3.Connection:
    """Open the database for reading only; no lock is needed, and what is read was committed.

    Raises:
        StoreUnusable: there is none, or it can't be read.
    """
    if not path.exists():
        raise StoreUnusable(f"{path}: there is no such database; it is made when the service first starts")
    with suppress(OSError):
        # It holds what alerts and playbooks say, credentials among it. Its journals get the same mode from SQLite.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    with ExitStack() as failing:
        try:
            connection = failing.enter_context(closing(_connect(path, "ro")))
            connection.execute(f"PRAGMA cache_size = -{cache_kib}")
            found = _version(connection)
        except sqlite3.DatabaseError as error:
            raise unusable(path, error) from error
        if found != HEAD:
            raise StoreUnusable(_other_release(path, found))
        failing.pop_all()
    return connection


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    return sqlite3.connect(
        f"file:{quote(str(path))}?mode={mode}",
        uri=True,
        timeout=_BUSY_SECONDS,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=_STATEMENTS,
    )


def _version(connection: sqlite3.Connection) -> str | None:
    """Return the schema's version; None for an empty database."""
    known = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'").fetchone()
    if known is None:
        return None
    row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    return None if row is None else str(row[0])


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    found = _version(connection)
    if found == HEAD:
        return
    if found is None and connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        raise StoreUnusable(f"{path} is a SQLite database, but not one of remediator; name another file")
    if found is None:
        _create(connection)
        return
    if found not in _known():
        raise StoreUnusable(_other_release(path, found))
    upgrade(connection)


def _create(connection: sqlite3.Connection) -> None:
    """Make the schema of an empty database, all of it in one transaction."""
    try:
        connection.executescript(f"BEGIN EXCLUSIVE;\n{SNAPSHOT.read_text('utf-8')}COMMIT;")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def upgrade(connection: sqlite3.Connection) -> None:
    """Run the missing migrations, all of them in one transaction."""
    # Alembic and SQLAlchemy take 0.3 s and 21 MB to import; a start that has nothing to migrate goes without.
    from alembic import command  # noqa: PLC0415
    from sqlalchemy import create_engine  # noqa: PLC0415
    from sqlalchemy.pool import StaticPool  # noqa: PLC0415

    engine = create_engine("sqlite://", creator=lambda: connection, poolclass=StaticPool)
    try:
        config = _config()
        with engine.connect() as wrapped:
            # Only now: SQLAlchemy's first look at a database ends with a rollback.
            connection.execute("BEGIN EXCLUSIVE")
            config.attributes["connection"] = wrapped
            command.upgrade(config, "head")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _config() -> Config:
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    return config


def _known() -> set[str]:
    """Return the versions that this release can migrate from."""
    from alembic.script import ScriptDirectory  # noqa: PLC0415

    return {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}


def _other_release(path: Path, found: str | None) -> str:
    if found is None:
        return f"{path} holds no schema of remediator yet; start the service once"
    if found > HEAD:
        return (
            f"{path} was written by a newer release (schema {found}, this one knows {HEAD}); start that release again,"
            " or name another file"
        )
    return (
        f"{path} is of an older release (schema {found}, this one reads {HEAD}); start the service once to bring it up"
    )


def unusable(path: Path, error: sqlite3.Error) -> StoreUnusable:
    """Return what to tell a person about a database that failed while it was opened."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}:
        return StoreUnusable(
            f"{path} is damaged or not a database ({error}); keep a copy, then restore a backup, or try"
            f" `sqlite3 {path} .recover | sqlite3 recovered.db`"
        )
    if code in {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM}:
        return StoreUnusable(f"{path} can't be opened ({error}); its directory must exist and be writable by this user")
    return StoreUnusable(f"{path} can't be used: {error}")
