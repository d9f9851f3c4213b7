"""The demo as a newcomer runs it: its story on real parts, and nothing left behind, whatever ends it."""

import hashlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.parts.engine import RUN

pytestmark = [
    pytest.mark.docker,
    pytest.mark.prometheus,
    pytest.mark.alertmanager,
    pytest.mark.acceptance,
    pytest.mark.slow,
]

LIMIT = 120.0
"""Seconds that a run may take; it takes half a minute, and what it promises is three."""


class Demo:
    """A run of the demo in a directory, in CI's manner: no part may be played."""

    def __init__(self, directory: Path) -> None:
        # A job in the background ignores Ctrl-C, and so would its children; a terminal's doesn't.
        command = ["env", "--default-signal=INT", sys.executable, "-m", "deploy.demo"]
        command += ["--story", "down", "--directory", str(directory)]
        self.told: list[str] = []
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=os.environ | {"CI": "true"}
        )
        # A demo that hangs ends with its limit, and so does whoever reads from it.
        self._limit = threading.Timer(LIMIT, self.process.kill)
        self._limit.start()

    def until(self, text: str) -> None:
        """Read until a line has this text."""
        for line in self._lines():
            if text in line:
                return
        pytest.fail(f"the demo ended without {text!r}:\n{self.text()}")

    def end(self) -> int:
        """Read to the end and return the exit status."""
        with self.process:
            for _ in self._lines():
                pass
        self._limit.cancel()
        return self.process.returncode

    def text(self) -> str:
        """Return what it has told."""
        return "".join(self.told)

    def _lines(self) -> Iterator[str]:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.told.append(line)
            yield line


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo")


def left(directory: Path) -> list[str]:
    """Return what is still there of a demo in this directory: processes, mounts, its network and its runtime files."""
    key = hashlib.sha256(str(directory / "engine").encode()).hexdigest()[:8]
    marks = (str(directory), str(RUN / key))
    found = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines() if any(m in line for m in marks)]
    for entry in Path("/proc").iterdir():
        try:
            words = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if entry.name.isdigit() and int(entry.name) != os.getpid() and any(mark in words for mark in marks):
            found.append(words)
    return found + [str(path) for path in (RUN / key, Path(f"/sys/class/net/rmd{key}")) if path.exists()]


def test_ctrl_c_ends_it_in_the_middle_and_leaves_nothing(directory: Path) -> None:
    demo = Demo(directory)
    demo.until("fires ServiceDown")
    assert left(directory) != []
    demo.process.send_signal(signal.SIGINT)
    assert demo.end() == 130, demo.text()
    assert left(directory) == []


def test_one_that_was_killed_is_cleaned_up_by_the_next_which_tells_the_whole_story(directory: Path) -> None:
    killed = Demo(directory)
    killed.until("Began step restart")
    killed.process.kill()
    killed.end()
    demo = Demo(directory)
    assert demo.end() == 0, demo.text()
    told = demo.text()
    for part in (
        "The containers are real",
        "Prometheus is real",
        "Alertmanager is real",
        "Prometheus: fires ServiceDown",
        "Alertmanager: tells remediator and people about ServiceDown",
        "Diagnosis: 0 of 1 instance",
        "Slack is PLAYED; read along at http://127.0.0.1:",
    ):
        assert part in told, f"{part!r} isn't told\n{told}"
    order = ["Now the service is stopped", "Began step restart", "Verified: step restart", "Timeline of", "Summary"]
    places = [told.find(part) for part in order]
    assert -1 not in places, told
    assert places == sorted(places), told
    conversation = (directory / "slack.html").read_text()
    assert "P1 RESOLVED" in conversation
    assert "data:image/png;base64," in conversation
    assert told.endswith("everything that the demo started is stopped.\n")
    assert left(directory) == []
