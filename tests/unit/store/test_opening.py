"""Opening a database: the lock, the schema, and what is said when it can't be had."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from alembic.script import ScriptDirectory

from receiver.ports import IncidentFilter, StoreLocked, StoreUnavailable, StoreUnusable
from receiver.store import schema, schema_file
from receiver.store.lock import Lock
from receiver.store.sqlite import SqliteReader, SqliteStore
from tests.contract.folding import alert, webhook
from tests.contract.store import NOW, Clock, closed, opened, recorded

pytestmark = pytest.mark.anyio

OTHER_PROCESS = """
import sys
from pathlib import Path
from receiver.clock import SystemClock
from receiver.ports import StoreLocked
from receiver.store.sqlite import SqliteStore
try:
    SqliteStore.open(Path(sys.argv[1]), SystemClock())
except StoreLocked as error:
    sys.exit(str(error))
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


def made(path: Path) -> None:
    schema.open_writer(path).close()


async def test_a_second_process_is_refused_and_told_who_has_it(path: Path) -> None:
    store = SqliteStore.open(path, Clock())
    other = subprocess.run(
        [sys.executable, "-c", OTHER_PROCESS, str(path)], capture_output=True, text=True, timeout=60, check=False
    )
    await store.close()
    assert other.returncode == 1
    assert f"{path} is in use by another process (pid " in other.stderr
    assert "stop that one first" in other.stderr


async def test_nobody_else_on_the_machine_can_read_what_alerts_and_playbooks_say(path: Path) -> None:
    store = SqliteStore.open(path, Clock())
    await store.put("kill", {"everything": False})
    files = [path, *path.parent.glob("store.db-*")]
    assert len(files) >= 3
    assert {file.name: oct(file.stat().st_mode & 0o077) for file in files} == {file.name: "0o0" for file in files}
    await store.close()


async def test_a_database_can_be_had_again_after_it_was_closed(path: Path) -> None:
    for _ in range(2):
        store = SqliteStore.open(path, Clock())
        with pytest.raises(StoreLocked):
            Lock(path)
        await store.close()


@pytest.mark.parametrize("page", range(1, 9))
async def test_damage_is_told_in_words_wherever_it_is(path: Path, page: int) -> None:
    store = SqliteStore.open(path, Clock())
    await store.submit(webhook([alert(f"{number:016x}") for number in range(50)], NOW))
    await store.close()
    raw = bytearray(path.read_bytes())
    raw[4096 * page : 4096 * (page + 3)] = b"\xff" * 3 * 4096
    path.write_bytes(raw)
    said = ""
    try:
        await SqliteStore.open(path, Clock()).close()
    except StoreUnusable as error:
        said = str(error)
    assert said == "" or "is damaged" in said
    Lock(path).release()


async def test_another_name_of_the_same_file_is_the_same_database(path: Path) -> None:
    store = SqliteStore.open(path, Clock())
    (link := path.with_name("link.db")).symlink_to(path)
    with pytest.raises(StoreLocked):
        SqliteStore.open(link, Clock())
    await store.close()


async def test_a_failed_opening_lets_go_of_the_lock(path: Path) -> None:
    path.write_bytes(b"not a database at all" * 1000)
    with pytest.raises(StoreUnusable, match="damaged or not a database"):
        SqliteStore.open(path, Clock())
    Lock(path).release()


async def test_what_was_stored_is_there_after_a_start(path: Path) -> None:
    store = SqliteStore.open(path, Clock())
    changes = await store.submit(webhook([alert("a"), alert("b", None)], NOW))
    await store.close()
    store = SqliteStore.open(path, Clock())
    assert await store.incident(changes.incidents[0].id) == changes.incidents[0]
    assert (await store.counts())["alerts"] == {"firing": 2, "resolved": 0}
    await store.submit(webhook([alert("a"), alert("c")], NOW + 1))
    (incident,) = (await store.incidents(IncidentFilter())).items
    assert (incident.seq, incident.firing) == (3, 2)
    await store.close()


async def test_a_reader_needs_no_lock_and_sees_what_is_committed(path: Path) -> None:
    store = SqliteStore.open(path, Clock())
    reader = SqliteReader(path, Clock())
    await store.submit(webhook([alert("a")], NOW))
    assert len((await reader.incidents(IncidentFilter())).items) == 1
    await reader.close()
    await store.close()


async def test_a_reader_works_when_the_service_is_down(path: Path) -> None:
    store = SqliteStore.open(path, Clock())
    await store.submit(webhook([alert("a")], NOW))
    await store.close()
    reader = SqliteReader(path, Clock())
    assert len(await reader.firing()) == 1
    await reader.close()


async def test_a_reader_can_not_write(path: Path) -> None:
    made(path)
    reader = SqliteReader(path, Clock())
    with pytest.raises(StoreUnavailable, match="readonly"):
        await reader._read(lambda connection: connection.execute("DELETE FROM incidents"))
    await reader.close()


async def test_reading_without_a_database_says_how_one_is_made(path: Path) -> None:
    with pytest.raises(StoreUnusable, match="no such database"):
        SqliteReader(path, Clock())
    assert not path.exists()


async def test_a_missing_directory_is_told(tmp_path: Path) -> None:
    with pytest.raises(StoreUnusable, match="directory of the database must exist"):
        SqliteStore.open(tmp_path / "nowhere" / "store.db", Clock())


async def test_somebody_elses_database_is_left_alone(path: Path) -> None:
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE theirs (x)")
    other.close()
    with pytest.raises(StoreUnusable, match="not one of remediator"):
        SqliteStore.open(path, Clock())
    with pytest.raises(StoreUnusable, match="no schema"):
        SqliteReader(path, Clock())


async def test_a_database_that_is_refused_is_closed_again(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path.write_bytes(b"not a database at all" * 1000)
    opened: list[sqlite3.Connection] = []
    real = schema._connect

    def remembered(path: Path, mode: str) -> sqlite3.Connection:
        opened.append(real(path, mode))
        return opened[-1]

    monkeypatch.setattr(schema, "_connect", remembered)
    for opening in (schema.open_writer, schema.open_reader):
        with pytest.raises(StoreUnusable):
            opening(path)
        with pytest.raises(sqlite3.ProgrammingError, match="closed database"):
            opened[-1].execute("SELECT 1")
    assert len(opened) == 2


async def test_a_newer_schema_is_refused_with_what_to_do(path: Path) -> None:
    made(path)
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    for opening in (SqliteStore.open, SqliteReader):
        with pytest.raises(StoreUnusable, match="was written by a newer release"):
            opening(path, Clock())


async def test_a_damaged_page_is_told_when_it_is_read(path: Path) -> None:
    store = SqliteStore.open(path, Clock())
    for number in range(50):
        await store.submit(webhook([alert(f"{number:016x}", f"svc-{number}")], NOW))
    await store.close()
    raw = bytearray(path.read_bytes())
    raw[4096:] = b"\xaa" * (len(raw) - 4096)
    path.write_bytes(raw)
    with pytest.raises(StoreUnusable, match="damaged"):
        SqliteStore.open(path, Clock())


def test_the_newest_migration_is_the_one_that_this_release_writes() -> None:
    assert ScriptDirectory.from_config(schema._config()).get_current_head() == schema.HEAD


def test_a_new_database_holds_exactly_what_the_migrations_make(path: Path) -> None:
    def dumped(connection: sqlite3.Connection) -> list[str]:
        # A migration that copied no row leaves a 0 there, which says the same as nothing.
        return [line for line in connection.iterdump() if 'INTO "sqlite_sequence"' not in line]

    made(path)
    with closing(sqlite3.connect(path)) as new, closing(sqlite3.connect(":memory:", isolation_level=None)) as migrated:
        schema.upgrade(migrated)
        assert dumped(new) == dumped(migrated)
    assert schema_file.main(["--check"]) == 0


@pytest.mark.parametrize("new", [True, False])
def test_a_schema_that_is_new_or_current_needs_no_alembic(path: Path, *, new: bool) -> None:
    if not new:
        made(path)
    code = f"""
import sys
from pathlib import Path
from receiver.store.schema import open_writer
open_writer(Path({str(path)!r}))
sys.exit("alembic" in sys.modules or "sqlalchemy" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == 0


def test_a_migration_that_fails_leaves_nothing_behind(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(config: object, _: str) -> None:
        connection = config.attributes["connection"]  # type: ignore[attr-defined]
        connection.exec_driver_sql("CREATE TABLE half (x)")
        connection.exec_driver_sql("CREATE TABLE half (x)")

    made(path)
    monkeypatch.setattr("alembic.command.upgrade", broken)
    monkeypatch.setattr(schema, "HEAD", "newer")
    with pytest.raises(Exception, match="half"):
        schema.open_writer(path)
    monkeypatch.undo()
    connection = schema.open_writer(path)
    assert not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'half'").fetchall()
    connection.close()


def test_the_writer_is_durable_and_checkpoints_beside_the_commits(path: Path) -> None:
    connection = schema.open_writer(path)

    def pragma(name: str) -> object:
        return connection.execute(f"PRAGMA {name}").fetchone()[0]

    assert (pragma("journal_mode"), pragma("synchronous")) == ("wal", 2)
    assert (pragma("wal_autocheckpoint"), pragma("auto_vacuum")) == (0, 2)
    connection.close()


FIRST = """
    CREATE TABLE first (
        key INTEGER PRIMARY KEY, at REAL NOT NULL, type TEXT NOT NULL, version INTEGER NOT NULL, body BLOB NOT NULL
    );
    INSERT INTO first SELECT key, at, type, version, body FROM events;
    DROP TABLE events;
    ALTER TABLE first RENAME TO events;
    UPDATE alembic_version SET version_num = '0001';
"""
"""Makes the first schema of today's."""


async def test_a_database_of_the_first_schema_is_brought_up_and_keeps_what_it_holds(path: Path) -> None:
    store = SqliteStore.open(path, Clock())
    incidents = [await opened(store, f"svc-{number}", f"{number:016x}") for number in range(3)]
    logs = [await store.events(incident.id) for incident in incidents]
    await store.close()
    connection = schema._connect(path, "rw")
    connection.executescript(FIRST)
    connection.close()
    store = SqliteStore.open(path, Clock())
    assert [await store.incident(incident.id) for incident in incidents] == incidents
    assert [await store.events(incident.id) for incident in incidents] == logs
    end = await store.feed_end()
    assert end == sum(map(len, logs))
    await recorded(store, incidents[0].id, closed())
    assert [one.seq for _, one in (await store.feed(end)).events] == [3]
    assert len((await store.feed(0)).events) == end + 1
    await store.close()
