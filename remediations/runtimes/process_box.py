"""One process instance on disk: what it is (`instance.json`), its current run, a replacement under way, its log.

Every file is written whole under another name and renamed, so that a crash leaves the old one or the new one.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shlex
import shutil
import signal
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from remediations.protocol import ActionRefused, EngineUnavailable

SAFE_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,100}$")
TAIL_BYTES = 262144
BOOT = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class Record:
    """What an instance is.

    Args:
        id: changes whenever it is created anew or replaced.
        name: unique within the service.
        index: from 1; also decides its port.
        port: its port, 0 without `base_port`.
        command: as it is configured, with placeholders; what the version's hash is made of.
        cwd, env: of the process.
        health_url: with its port filled in; empty: no health check.
        stop_timeout: seconds between SIGTERM and SIGKILL.
        start_grace: seconds after a start in which a failing health check means "starting".
        log_bytes: what its log may take on disk.
        created_at: UNIX seconds.
        stamps: ours.
    """

    id: str
    name: str
    index: int
    port: int
    command: tuple[str, ...]
    cwd: str
    env: Mapping[str, str]
    health_url: str
    stop_timeout: float
    start_grace: float
    log_bytes: int
    created_at: float
    stamps: Mapping[str, str] = field(default_factory=dict)

    @property
    def arguments(self) -> list[str]:
        """The command with its placeholders filled in."""
        return [fill(part, self) for part in self.command]


@dataclass(frozen=True, slots=True)
class Run:
    """The last start of an instance: which record, which process (0: it couldn't be started), and when."""

    record: str
    pid: int
    ticks: int
    boot: str
    started_at: float


@dataclass(frozen=True, slots=True)
class Journal:
    """A replacement under way; `failed` says why the old one is being restored."""

    action_id: str
    old: Record
    new: Record
    failed: str | None = None


def fill(text: str, record: Record) -> str:
    """Fill in `{port}`, `{index}` and `{name}`; nothing else is a placeholder."""
    values = {"{port}": str(record.port), "{index}": str(record.index), "{name}": record.name}
    for placeholder, value in values.items():
        text = text.replace(placeholder, value)
    return text


def version_id(command: Sequence[str]) -> str:
    """Return the version of a command: a hash of its words."""
    return "sha256:" + hashlib.sha256(json.dumps(list(command)).encode()).hexdigest()


def version_name(command: Sequence[str]) -> str:
    """Return the command for people, at most 200 characters."""
    return shlex.join(command)[:200]


def checked(name: str) -> str:
    """Return a name that may become a file name, or raise ActionRefused."""
    if not SAFE_NAME.match(name):
        raise ActionRefused(f"{name!r} can't be the name of a process: letters, digits, `.`, `_`, `-` only")
    return name


class Box:
    """The directory of one instance."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.name = directory.name

    def record(self) -> Record | None:
        """Return what the instance is, None when there is none."""
        stored = _read(self.directory / "instance.json")
        return _record(stored) if stored is not None else None

    def write(self, record: Record) -> None:
        """Create the instance or change what it is."""
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_json(self.directory / "instance.json", {**asdict(record), "arguments": record.arguments})

    def run(self) -> Run | None:
        """Return the last start, None when it never started."""
        path = self.directory / "run.json"
        stored = _read(path)
        if stored is None:
            return None
        # Written once at each start: the time of the file is the time of the start.
        return Run(**stored, started_at=path.stat().st_mtime)

    def ending(self) -> str:
        """Return how the last run ended, for people."""
        stored = _read(self.directory / "exit.json") or {}
        if "error" in stored:
            return f"exited (couldn't be started: {stored['error']})"
        code = stored.get("code")
        if isinstance(code, int) and code < 0:
            return f"exited (by {signal.Signals(-code).name})"
        return f"exited ({code})" if code is not None else "exited"

    def journal(self) -> Journal | None:
        """Return the replacement under way, None when there is none."""
        stored = _read(self.directory / "replace.json")
        if stored is None:
            return None
        return Journal(stored["action_id"], _record(stored["old"]), _record(stored["new"]), stored["failed"])

    def write_journal(self, journal: Journal) -> None:
        """Note a replacement before it begins, or that it failed before it is taken back."""
        write_json(self.directory / "replace.json", asdict(journal))

    def close_journal(self) -> None:
        """The replacement is finished, or taken back."""
        (self.directory / "replace.json").unlink(missing_ok=True)

    def delete(self) -> None:
        """Forget the instance: first what it is, so that half a deletion isn't half an instance."""
        (self.directory / "instance.json").unlink(missing_ok=True)
        shutil.rmtree(self.directory, ignore_errors=True)

    def kept(self) -> bool:
        """Whether a keeper lives: it holds the lock."""
        try:
            lock = os.open(self.directory / "lock", os.O_RDWR)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(lock)
        return False

    def log_lines(self, count: int) -> tuple[str, ...]:
        """Return the last lines of the log."""
        text = b"".join(_tail(self.directory / name) for name in ("log.1", "log"))
        lines = text[-TAIL_BYTES:].decode("utf-8", errors="replace").splitlines()
        return tuple(lines[-count:]) if count > 0 else ()


def alive(run: Run | None) -> bool:
    """Whether the process of a run still lives: same boot, same process ID, same time of start, and no zombie."""
    if run is None or run.pid == 0:
        return False
    try:
        state, ticks = stat_of(run.pid)
        return ticks == run.ticks and state not in {"Z", "X"} and BOOT.read_text(encoding="ascii").strip() == run.boot
    except (FileNotFoundError, ProcessLookupError):
        return False


def stat_of(pid: int) -> tuple[str, int]:
    """Return a process's state and its time of start in clock ticks since boot (fields 3 and 22)."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
    return fields[0], int(fields[19])


def send(run: Run, number: signal.Signals) -> None:
    """Send a signal to the process of a run, never to another one that got its ID: the handle is checked first."""
    try:
        handle = os.pidfd_open(run.pid)
    except ProcessLookupError:
        return
    try:
        if alive(run):
            signal.pidfd_send_signal(handle, number)
    except ProcessLookupError:
        return
    finally:
        os.close(handle)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a file so that a crash leaves the old one or the new one; readable by its owner only."""
    fresh = path.with_name(path.name + ".new")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        json.dump(content, file)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


def _read(path: Path) -> dict[str, Any] | None:
    """Return a file's content, None when it isn't there; raises EngineUnavailable when it can't be understood."""
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise EngineUnavailable(f"{path} can't be read: {error}") from error
    return content


def _record(stored: Mapping[str, Any]) -> Record:
    known = {name: value for name, value in stored.items() if name != "arguments"}
    return Record(**{**known, "command": tuple(stored["command"])})


def _tail(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - TAIL_BYTES))
            return file.read(TAIL_BYTES)
    except FileNotFoundError:
        return b""
