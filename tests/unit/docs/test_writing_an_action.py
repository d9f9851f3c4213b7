"""The page about writing an action is a package that works: it is installed, found, checked and put to the suite."""

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pytest

from tests.unit.house.sources import ROOT

PAGE: Final = (ROOT / "docs" / "writing-an-action.md").read_text()
FILE: Final = re.compile(r"^`([\w.]+)`:\n\n```\w+\n(.*?)^```$", re.DOTALL | re.MULTILINE)
POLICY: Final = re.compile(r"^```yaml\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def run(command: Sequence[str | Path], folder: Path, site: Path | None = None) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("REMEDIATOR_", "PYTEST_"))}
    path = {"PYTHONPATH": f"{site}:{ROOT}" if site else str(ROOT)}
    answer = subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env=environment | path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return answer.stdout


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return where the page's files are; what they install is in `site` below it."""
    folder = tmp_path_factory.mktemp("recycle")
    for name, text in FILE.findall(PAGE):
        (folder / name).write_text(text)
    offline = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--target", str(folder / "site")]
    run(["-m", "pip", "install", *offline, "."], folder)
    return folder


def test_the_page_holds_the_package_its_module_and_its_test() -> None:
    assert [name for name, _ in FILE.findall(PAGE)] == ["pyproject.toml", "remediator_recycle.py", "test_recycle.py"]


def test_its_action_passes_the_conformance_suite(package: Path) -> None:
    told = run(["-m", "pytest", "-q", "-p", "no:cacheprovider", "test_recycle.py"], package, package / "site")
    assert re.search(r"^1\d passed", told, re.MULTILINE), told


def test_its_action_is_found_by_its_entry_point_and_a_playbook_may_use_it(package: Path) -> None:
    (policy,) = POLICY.findall(PAGE)
    (package / "mine.yaml").write_text(policy)
    run(["-m", "receiver.cli", "check", "mine.yaml"], package, package / "site")


def test_without_the_package_the_same_playbook_is_a_mistake_that_names_the_action(tmp_path: Path) -> None:
    (policy,) = POLICY.findall(PAGE)
    elsewhere = tmp_path / "mine.yaml"
    elsewhere.write_text(policy)
    with pytest.raises(AssertionError, match="recycle"):
        run(["-m", "receiver.cli", "check", "mine.yaml"], tmp_path)
