"""Child processes of the harness: started with a log of their own, awaited until ready, stopped by pid."""

import fcntl
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

POLL: Final = 0.05
"""Seconds between two looks at whether a part is ready or gone."""

LOG_TAIL: Final = 15
"""Lines of a part's log that an error shows."""


class PartError(Exception):
    """A real part can't be had, didn't start or didn't become ready; the text says which, why and where to look."""


@dataclass(slots=True)
class Child:
    """A process that we started.

    Args:
        name: what people call it.
        process: the handle; its pid is the only thing that is ever signalled.
        log: the file that takes its standard error, and its standard output unless that is shown.
    """

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def pid(self) -> int:
        """The process id."""
        return self.process.pid

    def running(self) -> bool:
        """Whether it hasn't ended."""
        return self.process.poll() is None

    def tail(self) -> str:
        """Return the last lines of its log."""
        if not self.log.exists():
            return ""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-LOG_TAIL:])

    def stop(self, timeout: float = 15.0) -> None:
        """Ask it to end, wait up to `timeout` seconds, then kill it; harmless when it has ended."""
        if not self.running():
            return
        self.process.terminate()
        # A test may have suspended it: then SIGTERM waits until it is continued.
        self.process.send_signal(signal.SIGCONT)
        try:
            self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(timeout)


def start(
    name: str, command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None, *, show: bool = False
) -> Child:
    """Start a part in a session of its own, so that Ctrl-C in our terminal doesn't reach it before we do.

    Where util-linux' setpriv is there, a part started from the main thread is told to end when we die without having
    stopped it. (The kernel means the thread: from another one it would end with that.)

    Args:
        name: what people call it.
        command: the program and its arguments.
        log: takes what it prints; appended to.
        environment: all of its variables; ours if none are given.
        show: whether its standard output is ours instead, so that it sees a terminal where there is one.

    Raises:
        PartError: the program isn't there or may not be run.
    """
    if shutil.which(command[0]) is None:
        raise PartError(f"{name} can't be started: there is no program {command[0]}")
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as out:
        try:
            process = subprocess.Popen(
                [*_with_us(), *command],
                stdin=subprocess.DEVNULL,
                stdout=None if show else out,
                stderr=out,
                env=dict(environment) if environment is not None else None,
                start_new_session=True,
            )
        except OSError as error:
            raise PartError(f"{name} can't be started: {command[0]}: {error.strerror}") from error
    return Child(name, process, log)


def _with_us() -> list[str]:
    setpriv = shutil.which("setpriv")
    if setpriv is None or threading.current_thread() is not threading.main_thread():
        return []
    return [setpriv, "--pdeathsig", "TERM"]


def wait_until(ready: Callable[[], bool], child: Child, timeout: float) -> None:
    """Wait until `ready` says so.

    Raises:
        PartError: the child ended, or wasn't ready within `timeout` seconds; the text ends with its last log lines.
    """
    deadline = time.monotonic() + timeout
    while not ready():
        if not child.running():
            code = child.process.returncode
            raise PartError(f"{child.name} ended at once with status {code}; {child.log} ends with:\n{child.tail()}")
        if time.monotonic() > deadline:
            raise PartError(f"{child.name} wasn't ready within {timeout:.0f} s; {child.log} ends with:\n{child.tail()}")
        time.sleep(POLL)


def stop_stale(pid_file: Path, marker: str, timeout: float = 15.0) -> bool:
    """End the process that an earlier, killed run left behind; answers whether there was one.

    Args:
        pid_file: where that run stored the pid.
        marker: must occur in the process's command line, or the pid has been given to somebody else since.
        timeout: seconds until it is killed.
    """
    try:
        pid = int(pid_file.read_text())
        command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except (FileNotFoundError, ProcessLookupError, ValueError):
        pid_file.unlink(missing_ok=True)
        return False
    if marker in command:
        _end(pid, timeout)
    pid_file.unlink(missing_ok=True)
    return marker in command


def _end(pid: int, timeout: float) -> None:
    deadline = time.monotonic() + timeout
    number = signal.SIGTERM
    while True:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return
        if number is signal.SIGTERM and time.monotonic() > deadline:
            number = signal.SIGKILL
        time.sleep(POLL)


def poll_until(done: Callable[[], bool], timeout: float, complaint: str) -> None:
    """Wait until `done` says so.

    Raises:
        PartError: it wasn't within `timeout` seconds; the text begins with the complaint.
    """
    deadline = time.monotonic() + timeout
    while not done():
        if time.monotonic() > deadline:
            raise PartError(f"{complaint} after {timeout:.0f} s")
        time.sleep(POLL)


@contextmanager
def alone(lock: Path, complaint: str) -> Iterator[None]:
    """Hold a lock file, so that a second run is refused instead of ending the first; it is free once we are gone.

    Raises:
        PartError: somebody holds it; the text begins with the complaint.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise PartError(f"{complaint}: end what started it, or use another directory") from error
        yield
