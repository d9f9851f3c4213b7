"""A real engine of our own: it keeps to itself, and nothing of it outlives it."""

import os
import signal
import subprocess
import time
from pathlib import Path

import httpx
import pytest

from deploy.demo import images, rootfs, stage
from deploy.parts.engine import Engine, running_engine
from deploy.parts.ports import free_port
from deploy.parts.process import PartError

pytestmark = pytest.mark.docker


def firewall() -> str:
    return subprocess.run(["iptables-save"], capture_output=True, text=True, timeout=30, check=False).stdout


def bridges() -> set[str]:
    return {path.parent.name for path in Path("/sys/class/net").glob("*/bridge")}


def started(engine: httpx.Client, name: str) -> str:
    images.build(engine)
    return stage.create(engine, name, {"Image": images.GOOD})


def test_two_engines_run_side_by_side_and_see_nothing_of_each_other(engine: Engine, tmp_path: Path) -> None:
    with engine.client() as first:
        identity = started(first, "only-in-the-first")
        with running_engine(tmp_path / "second") as second, second.client() as other:
            assert second.socket != engine.socket
            assert other.get("/containers/json", params={"all": "1"}).json() == []
        assert first.get(f"/containers/{identity}/json").json()["State"]["Running"]
        first.delete(f"/containers/{identity}", params={"force": "1"})


def test_an_engine_leaves_the_firewall_forwarding_and_other_bridges_alone(tmp_path: Path) -> None:
    forwarding = Path("/proc/sys/net/ipv4/ip_forward")
    before = (firewall(), forwarding.read_text(), bridges())
    with running_engine(tmp_path / "engine") as running, running.client() as http:
        http.post("/networks/create", json={"Name": "some"})
        assert (firewall(), forwarding.read_text()) == before[:2]
        assert len(bridges() - before[2]) == 2
    assert (firewall(), forwarding.read_text(), bridges()) == before


def test_a_published_port_is_bound_to_loopback_without_being_told(engine: Engine) -> None:
    port = free_port()
    with engine.client() as http:
        bindings = {"8000/tcp": [{"HostPort": str(port)}]}
        body = {"Image": images.GOOD, "ExposedPorts": {"8000/tcp": {}}, "HostConfig": {"PortBindings": bindings}}
        images.build(http)
        identity = stage.create(http, "published", body)
        facts = http.get(f"/containers/{identity}/json").json()
        assert facts["NetworkSettings"]["Ports"]["8000/tcp"] == [{"HostIp": "127.0.0.1", "HostPort": str(port)}]
        http.delete(f"/containers/{identity}", params={"force": "1"})


def test_somebody_elses_project_of_the_same_name_is_refused_and_left_alone(engine: Engine) -> None:
    labels = {"com.docker.compose.project": stage.PROJECT, "com.docker.compose.service": stage.SERVICE}
    with engine.client() as http:
        images.build(http)
        theirs = stage.create(http, "theirs", {"Image": images.GOOD, "Labels": labels})
        network = http.post("/networks/create", json={"Name": stage.NETWORK}).json()["Id"]
        try:
            with (
                pytest.raises(PartError, match="has the container theirs, the network smartresume_default that isn't"),
                stage.running_stage(engine, port=free_port()),
            ):
                pass
            assert http.get(f"/containers/{theirs}/json").json()["State"]["Running"]
            assert http.get(f"/networks/{network}").status_code == httpx.codes.OK
        finally:
            http.delete(f"/containers/{theirs}", params={"force": "1"})
            http.delete(f"/networks/{network}")


def test_somebody_elses_image_under_our_tag_is_refused_and_keeps_it(engine: Engine) -> None:
    with engine.client() as http:
        content = rootfs.archive(rootfs.interpreter())
        where = {"fromSrc": "-", "repo": "smartresume-api", "tag": "1.0"}
        http.delete(f"/images/{images.GOOD}", params={"force": "1"})
        http.post("/images/create", params=where, content=content).raise_for_status()
        before = http.get(f"/images/{images.GOOD}/json").json()["Id"]
        try:
            with (
                pytest.raises(PartError, match=r"has the image smartresume-api:1\.0 that isn't the demo's"),
                stage.running_stage(engine, port=free_port()),
            ):
                pass
            assert http.get(f"/images/{images.GOOD}/json").json()["Id"] == before
        finally:
            http.delete(f"/images/{images.GOOD}", params={"force": "1"})


def test_what_a_killed_engine_left_running_is_gone_afterwards(tmp_path: Path) -> None:
    with running_engine(tmp_path / "engine") as running, running.client() as http:
        identity = started(http, "orphan")
        pid = http.get(f"/containers/{identity}/json").json()["State"]["Pid"]
        os.kill(running.pid, signal.SIGKILL)
        time.sleep(0.2)
    assert not Path(f"/proc/{pid}/cmdline").exists() or not Path(f"/proc/{pid}/cmdline").read_bytes()
    assert str(tmp_path) not in Path("/proc/mounts").read_text()
    with running_engine(tmp_path / "engine") as again, again.client() as http:
        assert http.get("/containers/json", params={"all": "1"}).json() == []


def test_an_engine_that_hangs_is_stopped_all_the_same(tmp_path: Path) -> None:
    with running_engine(tmp_path / "engine") as running:
        os.kill(running.pid, signal.SIGSTOP)
    assert not Path(f"/proc/{running.pid}/exe").exists()


def test_a_second_start_in_the_same_directory_is_refused_and_harmless(engine: Engine) -> None:
    with pytest.raises(PartError, match=r"an engine runs in .* already"), running_engine(engine.directory):
        pass
    with engine.client() as http:
        assert http.get("/_ping").status_code == httpx.codes.OK


def test_images_survive_in_the_directory_and_aren_t_built_again(engine: Engine) -> None:
    with engine.client() as http:
        assert images.build(http) == images.build(http)


def test_a_missing_program_is_told_by_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("deploy.parts.engine.program", lambda name: None if name == "runc" else f"/usr/bin/{name}")
    with (
        pytest.raises(PartError, match=r"no Docker engine: not installed: runc .*docker\.io"),
        running_engine(tmp_path),
    ):
        pass
