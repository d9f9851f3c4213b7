"""Parts as child processes: started, awaited, stopped by pid, gone with us."""

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from deploy.parts.ports import port_for
from deploy.parts.process import PartError, poll_until, start, stop_stale, wait_until


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def command_of(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


def test_a_part_is_stopped_by_its_pid_and_stopping_twice_is_harmless(tmp_path: Path) -> None:
    child = start("sleeper", ["sleep", "60"], tmp_path / "log")
    assert child.running()
    child.stop()
    child.stop()
    assert not alive(child.pid)


def test_a_suspended_part_is_stopped_too(tmp_path: Path) -> None:
    child = start("sleeper", ["sleep", "60"], tmp_path / "log")
    os.kill(child.pid, signal.SIGSTOP)
    child.stop(timeout=5.0)
    assert not alive(child.pid)


def test_a_part_that_ends_at_once_is_told_with_its_last_words(tmp_path: Path) -> None:
    child = start("talker", ["sh", "-c", "echo no such flag; exit 3"], tmp_path / "log")
    with pytest.raises(PartError, match=r"talker ended at once with status 3(?s:.)*no such flag"):
        wait_until(lambda: False, child, 10.0)


def test_a_part_that_isn_t_ready_in_time_is_told(tmp_path: Path) -> None:
    child = start("sleeper", ["sleep", "60"], tmp_path / "log")
    with pytest.raises(PartError, match="sleeper wasn't ready within 0 s"):
        wait_until(lambda: False, child, 0.1)
    child.stop()


def test_a_missing_program_is_told_by_name(tmp_path: Path) -> None:
    with pytest.raises(PartError, match="there is no program no-such-program"):
        start("part", ["no-such-program"], tmp_path / "log")


def test_a_part_ends_when_we_are_killed(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from deploy.parts.process import start\n"
        f"print(start('sleeper', ['sleep', '60'], Path({str(tmp_path / 'log')!r})).pid, flush=True); sys.stdin.read()"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        # setpriv asks the kernel to be told of our death and only then becomes the part: before that nobody is told.
        poll_until(lambda: command_of(pid).startswith(b"sleep"), 10.0, "the part hasn't begun")
        parent.kill()
    poll_until(lambda: not alive(pid), 5.0, "the part is still there")


def test_a_stale_process_is_ended_only_if_it_is_still_the_same(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    with subprocess.Popen(["sleep", "60"]) as other:
        pid_file.write_text(str(other.pid))
        assert not stop_stale(pid_file, "marker-of-ours")
        assert other.poll() is None
        assert not pid_file.exists()
        other.kill()


def test_a_pid_file_without_a_process_is_removed(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    for text in ("", "not a number", "999999999"):
        pid_file.write_text(text)
        assert not stop_stale(pid_file, "marker")
        assert not pid_file.exists()


def test_a_taken_port_is_refused_before_its_owner_is_mistaken_for_the_part() -> None:
    with closing(socket.socket()) as owner:
        owner.bind(("127.0.0.1", 0))
        owner.listen()
        port = owner.getsockname()[1]
        with pytest.raises(PartError, match=f"Prometheus can't have port {port}"):
            port_for("Prometheus", port)


def test_waiting_in_vain_is_told_with_its_complaint() -> None:
    begun = time.monotonic()
    with pytest.raises(PartError, match="it isn't there after 0 s"):
        poll_until(lambda: False, 0.1, "it isn't there")
    assert time.monotonic() - begun < 5.0
