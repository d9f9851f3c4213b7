"""Keeps one process: starts it, writes its log within bounds, and notes how it ended. Runs as a program of its own.

Started as `python process_keeper.py DIRECTORY` by the process runtime, it leaves its parent at once, so that what it
keeps outlives the remediator. Standard library only, so that it starts fast. In DIRECTORY it reads `instance.json`,
and writes `run.json` (once a start), `exit.json` (at the end) and `log`, `log.1`. It holds `lock` while it lives:
two keepers never keep one instance.

It exits with 0 when the process was started (or was tried to: `exit.json` says why it couldn't be), and with 3 when
another keeper holds the lock.
"""

import ctypes
import fcntl
import json
import os
import select
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

LOCKED = 3
PR_SET_PDEATHSIG = 1
CHUNK = 65536
POLL = 0.1
BOOT = Path("/proc/sys/kernel/random/boot_id")


def main(directory: Path) -> int:
    """Fork: the child keeps the process, the parent returns once it has started it."""
    reader, writer = os.pipe()
    if os.fork() != 0:
        os.close(writer)
        answer = os.read(reader, 1)
        return answer[0] if answer else 1
    os.close(reader)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)
    lock = os.open(directory / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.write(writer, bytes([LOCKED]))
        return LOCKED
    _keep(directory, writer)
    return 0


def _keep(directory: Path, writer: int) -> None:
    record = json.loads((directory / "instance.json").read_text())
    try:
        child = _start(record)
    except (OSError, ValueError) as error:
        _write(directory / "exit.json", {"error": str(error)})
        _write(directory / "run.json", {"record": record["id"], "pid": 0, "ticks": 0, "boot": ""})
        os.write(writer, b"\0")
        return
    (directory / "exit.json").unlink(missing_ok=True)
    run = {"record": record["id"], "pid": child.pid, "ticks": _ticks(child.pid), "boot": BOOT.read_text().strip()}
    _write(directory / "run.json", run)
    os.write(writer, b"\0")
    os.close(writer)
    _pump(child, directory / "log", record["log_bytes"])
    _end_session(child.pid)
    _write(directory / "exit.json", {"code": child.wait()})


def _start(record: dict[str, Any]) -> "subprocess.Popen[bytes]":
    libc = ctypes.CDLL(None)
    # The remediator's own settings may hold its secrets.
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("REMEDIATOR_")}

    def die_with_keeper() -> None:
        # Without its keeper nobody would read its output or note its end: it must not linger beside a new one.
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGPIPE):
            signal.signal(number, signal.SIG_DFL)

    return subprocess.Popen(  # noqa: S603 - the command is the playbook's own
        record["arguments"],
        cwd=record["cwd"],
        env={**inherited, **record["env"]},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        preexec_fn=die_with_keeper,  # noqa: PLW1509 - this process has one thread
    )


def _pump(child: "subprocess.Popen[bytes]", log: Path, limit: int) -> None:
    """Copy output to the log, in two files of half the limit, until the process is gone and its output read."""
    if child.stdout is None:
        return
    source = child.stdout.fileno()
    os.set_blocking(source, False)
    while True:
        ended = _ended(child.pid)
        select.select([source], [], [], 0 if ended else POLL)
        try:
            chunk = os.read(source, CHUNK)
        except BlockingIOError:
            chunk = None
        if chunk:
            _append(log, chunk, limit)
        elif ended:
            return
        elif chunk == b"":
            # It closed its output and runs on: there is nothing left to copy.
            os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
            return


def _ended(pid: int) -> bool:
    """Whether the process has ended; it isn't reaped yet, so that its number stays its own."""
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _end_session(pid: int) -> None:
    """Kill what the process left behind: the members of its session, which has its number."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal() or int(entry.name) == pid:
            continue
        try:
            session = int((entry / "stat").read_text(errors="replace").rpartition(")")[2].split()[3])
            if session == pid:
                os.kill(int(entry.name), signal.SIGKILL)
        except OSError:
            continue


def _append(log: Path, chunk: bytes, limit: int) -> None:
    """Append; a full disk costs log lines, never the process."""
    try:
        if log.exists() and log.stat().st_size + len(chunk) > limit // 2:
            log.replace(log.with_suffix(".1"))
        with log.open("ab") as file:
            file.write(chunk[-(limit // 2) :])
    except OSError:
        return


def _ticks(pid: int) -> int:
    """Return the process's time of start in clock ticks since boot: field 22 of /proc/PID/stat."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])


def _write(path: Path, content: dict[str, Any]) -> None:
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps(content))
    fresh.replace(path)


if __name__ == "__main__":
    # No clean-up of what was inherited: `os._exit` ends each half of the fork at once.
    os._exit(main(Path(sys.argv[1])))
