"""The lock files pin everything by version and hash, and leave it to the machine where it comes from."""

import re
import tomllib
from typing import Final

import pytest

from tests.unit.house.sources import ROOT

LOCKS: Final = ("requirements.lock", "requirements-dev.lock")

HOST: Final = re.compile(r"://|\s@\s|--(?:extra-)?index-url|--find-links|--trusted-host|^-[fie]\s", re.MULTILINE)
"""Anything that would send pip to one place rather than to the index that the machine is set up for."""

REQUIREMENT: Final = re.compile(r"^(?P<name>[a-z0-9][a-z0-9.-]*)(?P<extras>\[[^\]]*\])?==(?P<version>\S+)")


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_names_no_package_host(lock: str) -> None:
    found = HOST.findall((ROOT / lock).read_text())
    assert not found


@pytest.mark.parametrize("lock", LOCKS)
def test_every_requirement_is_pinned_with_hashes(lock: str) -> None:
    for block in _blocks(lock):
        assert REQUIREMENT.match(block), block
        assert "--hash=sha256:" in block, block


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_has_every_direct_dependency(lock: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    direct = [*project["dependencies"]]
    if lock == "requirements-dev.lock":
        # The tests are of the extras, too.
        direct += [one for extra in project["optional-dependencies"].values() for one in extra]
    wanted = {_normal(re.split(r"[<>=!~\[; ]", requirement)[0]) for requirement in direct}
    assert wanted <= _pins(lock).keys()


def test_both_locks_agree_on_what_the_service_runs_with() -> None:
    runtime, development = (_pins(lock) for lock in LOCKS)
    assert runtime.items() <= development.items()


def _blocks(lock: str) -> list[str]:
    lines = [line for line in (ROOT / lock).read_text().splitlines() if not line.lstrip().startswith("#")]
    return [block for block in re.split(r"\n(?=\S)", "\n".join(lines)) if block.strip()]


def _pins(lock: str) -> dict[str, str]:
    matches = [REQUIREMENT.match(block) for block in _blocks(lock)]
    return {_normal(match["name"]): match["version"] for match in matches if match}


def _normal(package: str) -> str:
    return re.sub(r"[-_.]+", "-", package).lower()
