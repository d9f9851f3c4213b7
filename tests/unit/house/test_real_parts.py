"""A missing real part is never silent: a reason for a person, a failure in CI."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.house.sources import ROOT

TEST = """
import pytest
from tests import parts

@pytest.fixture(autouse=True)
def nothing() -> None: ...

@pytest.mark.prometheus
def test_real() -> None: ...

def test_plain() -> None: ...
"""

PLUGIN = """
from tests import parts
parts.PARTS["prometheus"] = lambda: "no such program on this machine"
"""


@pytest.fixture
def run(tmp_path: Path) -> "Run":
    return Run(tmp_path)


class Run:
    """A pytest of its own over two tests, on a machine without Prometheus, with this repository's conftest."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "test_given.py").write_text(TEST)
        (folder / "without.py").write_text(PLUGIN)

    def __call__(self, **environment: str) -> subprocess.CompletedProcess[str]:
        command: list[str | Path] = [
            sys.executable,
            "-m",
            "pytest",
            "-p",
            "without",
            "-p",
            "tests.conftest",
            "-c",
            ROOT / "pyproject.toml",
        ]
        command += ["-p", "no:cacheprovider", "--color=no", self.folder / "test_given.py"]
        bare = {name: value for name, value in os.environ.items() if name not in {"CI", "PYTEST_ADDOPTS"}}
        path = {"PYTHONPATH": f"{self.folder}{os.pathsep}{ROOT}"}
        return subprocess.run(
            command,
            cwd=self.folder,
            env=bare | path | environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


def test_a_person_is_told_what_was_not_tested_and_why(run: Run) -> None:
    done = run()
    assert done.returncode == 0, done.stdout
    assert "NOT TESTED on a real prometheus: 1 tests skipped: no such program on this machine" in done.stdout
    assert "1 passed, 1 skipped" in done.stdout


def test_in_ci_it_is_a_failure(run: Run) -> None:
    done = run(CI="true")
    assert done.returncode == 1, done.stdout
    assert "CI needs the real prometheus, and it can't be had: no such program on this machine" in done.stdout
    assert "1 failed, 1 passed" in done.stdout or "1 passed, 1 error" in done.stdout
