"""Policy and people are loaded together: every mistake of both in one run, and nothing changes by half."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import structlog

from receiver.core.playbook import Policy
from receiver.metrics import Metrics
from receiver.people import hash_token
from receiver.playbooks import PolicyError
from receiver.policies import Policies
from receiver.ports import StoreUnavailable
from receiver.settings import load
from remediations.registry import load_actions
from tests.unit.web.fakes import FixedClock

GOOD = """\
engines: {local: {url: "unix:///x"}}
services: {api: {engine: local, selector: {a: b}}}
playbooks: [{name: down, match: alertname=Down, severity: P1, steps: [{name: restart, action: restart}]}]
"""
JANE = f"people: [{{id: jane, name: Jane, roles: [admin], tokens: ['{hash_token('x' * 32)}']}}]\n"
SUCCESS = "remediator_policy_last_reload_successful"


class Files:
    """Two files in a directory, and what is loaded from them."""

    def __init__(self, directory: Path, environment: Mapping[str, str] | None = None) -> None:
        self.playbooks = directory / "playbooks.yaml"
        self.people = directory / "people.yaml"
        self.playbooks.write_text(GOOD)
        self.people.write_text(JANE)
        self.metrics = Metrics()
        settings = load({"playbooks": str(self.playbooks)}, {})
        self.policies = Policies(settings, load_actions().actions, environment or {}, self.metrics, FixedClock())
        self.in_force: list[Policy] = []
        self.policies.in_force = self._take

    async def _take(self, policy: Policy) -> None:
        self.in_force.append(policy)

    def success(self) -> float | None:
        return self.metrics.registry.get_sample_value(SUCCESS)


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Files:
    monkeypatch.chdir(tmp_path)
    return Files(tmp_path)


def test_mistakes_of_both_files_are_told_in_one_run(files: Files) -> None:
    files.playbooks.write_text(GOOD.replace("severity: P1", "severity: P9"))
    files.people.write_text("people: [{id: jane}]\n")
    with pytest.raises(PolicyError) as caught:
        files.policies.load()
    assert [Path(one.place.file).name for one in caught.value.problems] == ["playbooks.yaml", *["people.yaml"] * 2]


def test_a_bad_file_of_either_kind_changes_neither_and_the_metric_says_so(files: Files) -> None:
    files.policies.load()
    for file, text in ((files.people, "people: 5\n"), (files.playbooks, "playbooks: 5\n")):
        good = file.read_text()
        file.write_text(text)
        done = asyncio.run(files.policies.reload())
        assert (done.ok, files.success(), files.in_force) == (False, 0.0, [])
        assert any(file.name in one for one in done.problems)
        assert files.policies.people.get("jane") is not None
        file.write_text(good)
    assert asyncio.run(files.policies.reload()).ok
    assert (files.success(), len(files.in_force)) == (1.0, 1)


def test_people_that_vanish_stay_because_without_any_everybody_here_could_turn_the_kill_switch(files: Files) -> None:
    files.policies.load()
    files.people.unlink()
    done = asyncio.run(files.policies.reload())
    assert not done.ok
    assert "people.yaml:1:1: is gone; it named 1 people, who stay" in done.problems[0]
    assert files.policies.people.get("jane") is not None
    files.people.write_text("people: []\n")
    assert asyncio.run(files.policies.reload()).ok
    assert files.policies.people.get("jane") is None


def test_a_store_that_fails_leaves_the_people_as_they_are_too(files: Files) -> None:
    async def fails(_policy: Policy) -> None:
        raise StoreUnavailable("the disk is full")

    files.policies.load()
    files.policies.in_force = fails
    files.people.write_text(JANE.replace("jane", "joan"))
    done = asyncio.run(files.policies.reload())
    assert (done.ok, done.problems) == (False, ["the store does not answer: the disk is full"])
    assert files.policies.people.get("jane") is not None
    assert files.success() == 0.0


def test_what_changed_is_told_also_when_only_people_did(files: Files) -> None:
    files.policies.load()
    assert asyncio.run(files.policies.reload()).text == "reloaded: unchanged (1 playbooks, 1 people)"
    files.people.write_text(JANE.replace("jane", "joan"))
    assert asyncio.run(files.policies.reload()).text == "reloaded: 1 playbooks, 1 people"


@pytest.mark.parametrize(
    ("environment", "policy", "words"),
    [
        ({"REMEDIATOR_ENGINE_LOCL": "tcp://x:1"}, GOOD, "names no engine of the file and does nothing; did you mean"),
        ({}, GOOD, "only one way to reach a person is configured"),
        ({}, GOOD.replace("action: restart", "action: restart, approval: {approvals: 2}"), "only 1 may (people.yaml)"),
    ],
)
def test_warnings_of_the_policy_are_logged_at_the_start(
    environment: Mapping[str, str], policy: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    files = Files(tmp_path, environment)
    files.playbooks.write_text(policy)
    with structlog.testing.capture_logs() as logs:
        files.policies.load()
    told: list[Any] = [one["problem"] for one in logs if one["log_level"] == "warning"]
    assert sum(words in one for one in told) == 1, told
