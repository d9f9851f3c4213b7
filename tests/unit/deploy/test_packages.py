"""What can be said about packages without installing any."""

import os
import shutil
from contextlib import nullcontext
from pathlib import Path

import pytest

from deploy.parts import packages


def test_a_program_that_is_there_is_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "dockerd"
    program.touch(mode=0o755)
    monkeypatch.setattr(packages, "PROGRAMS", {"docker.io": str(program)})
    assert packages.ensure(["docker.io"]) == packages.Provision(("docker.io",), (), {})


def test_without_root_it_says_what_root_would_have_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "PROGRAMS", {"docker.io": "/nowhere/no-such-dockerd"})
    monkeypatch.setattr(shutil, "which", lambda name: "/usr/bin/apt-get" if name == "apt-get" else None)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    provision = packages.ensure(["docker.io"])
    assert not provision
    assert "apt-get install --no-install-recommends docker.io" in provision.describe()


def test_a_machine_without_apt_get_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "PROGRAMS", {"docker.io": "/nowhere/no-such-dockerd"})
    monkeypatch.setattr(shutil, "which", lambda _: None)
    assert "not Debian" in packages.ensure(["docker.io"]).describe()


def test_each_installation_is_announced_before_it_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    happened: list[str] = []
    monkeypatch.setattr(packages, "PROGRAMS", {"docker.io": "/nowhere/no-such-dockerd"})
    monkeypatch.setattr(packages, "no_service_starts", nullcontext)
    monkeypatch.setattr(packages, "_apt", lambda *arguments: happened.append(arguments[0]))
    monkeypatch.setattr(shutil, "which", lambda name: "/usr/bin/apt-get" if name == "apt-get" else None)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    packages.ensure(["docker.io"], happened.append)
    assert happened == ["update", "Installing Debian's docker.io, without starting any service of it ...", "install"]


def test_services_are_kept_from_starting_and_allowed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    policy = tmp_path / "policy-rc.d"
    monkeypatch.setattr(packages, "POLICY_FILE", policy)
    with packages.no_service_starts():
        assert policy.read_text().endswith("exit 101\n")
        assert os.access(policy, os.X_OK)
    assert not policy.exists()


def test_a_machine_s_own_policy_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    policy = tmp_path / "policy-rc.d"
    policy.write_text("its own")
    monkeypatch.setattr(packages, "POLICY_FILE", policy)
    with packages.no_service_starts():
        assert policy.read_text() == "its own"
    assert policy.read_text() == "its own"
