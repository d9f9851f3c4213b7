"""The runtime on a real engine: finding, restart, scale and rollback, stopped after each of their calls."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import httpx
import pytest

from deploy.parts.engine import Engine
from deploy.parts.ports import free_port
from remediations.protocol import (
    ActionRefused,
    Health,
    Instance,
    KnownGood,
    Progress,
    TargetAmbiguous,
    TargetNotFound,
    TargetProtected,
)
from remediations.runtimes.container_find import OLD
from remediations.runtimes.containers import ContainersRuntime
from remediations.scale import NOISE, NOISE_PER_SECOND
from tests.acceptance.engine_events import EngineEvents
from tests.integration.docker.conftest import LABEL, Lab, target

pytestmark = [pytest.mark.docker, pytest.mark.anyio]

MUTATIONS = (
    "rename", "create_container_from_config", "update_container", "stop", "start", "remove_container",
    "connect_container_to_network",
)  # fmt: skip


class Crash(BaseException):
    """The process is gone."""


def crash_after(runtime: ContainersRuntime, call_number: int) -> None:
    """Let the client die right after its n-th mutating call."""
    api = runtime.client()
    count = 0

    def wrap(call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            nonlocal count
            result = call(*args, **kwargs)
            count += 1
            if count == call_number:
                raise Crash
            return result

        return wrapped

    for name in MUTATIONS:
        setattr(api, name, wrap(getattr(api, name)))


def healthy(lab: Lab, name: str) -> None:
    """Wait until a container is healthy."""
    for _ in range(100):
        if lab.inspect(name)["State"].get("Health", {}).get("Status") == "healthy":
            return
        time.sleep(0.1)
    raise AssertionError(f"{name} is not healthy")


async def only(runtime: ContainersRuntime) -> Instance:
    """Return the only instance of the service."""
    (found,) = await runtime.instances(target())
    return found


async def test_the_engine_is_described(runtime: ContainersRuntime) -> None:
    facts = await runtime.check()
    assert facts["version"]
    assert facts["own_container"] is None


async def test_an_instance_says_what_it_is(lab: Lab, runtime: ContainersRuntime) -> None:
    image = lab.image("api:good")
    lab.run("api-1", "api:good")
    healthy(lab, "api-1")
    found = await only(runtime)
    assert (found.name, found.running, found.health, found.image_id) == ("api-1", True, Health.HEALTHY, image)
    assert found.image == "api:good"
    assert found.started_at is not None
    assert abs(found.started_at - time.time()) < 30


async def test_a_target_that_is_not_there_says_what_is(lab: Lab, runtime: ContainersRuntime) -> None:
    lab.image("api:good")
    lab.run("db-1", "api:good", service="db")
    with pytest.raises(TargetNotFound, match=r"looked for com.docker.compose.service=api\); there is: db-1"):
        await runtime.instances(target())


async def test_two_projects_are_never_the_first_match(lab: Lab, runtime: ContainersRuntime) -> None:
    lab.image("api:good")
    lab.run("a-1", "api:good", project="a")
    lab.run("b-1", "api:good", project="b")
    with pytest.raises(TargetAmbiguous, match="a, b"):
        await runtime.instances(target())


async def test_a_protected_container_is_never_touched(lab: Lab, runtime: ContainersRuntime) -> None:
    lab.image("api:good", label="remediator.protected=true")
    lab.run("api-1", "api:good")
    before = lab.inspect("api-1")["State"]["StartedAt"]
    with pytest.raises(TargetProtected):
        await runtime.restart(target(), await only(runtime))
    assert lab.inspect("api-1")["State"]["StartedAt"] == before


async def test_we_are_never_our_own_target(lab: Lab, runtime: ContainersRuntime, engine: Any) -> None:
    lab.image("api:good")
    own = ContainersRuntime("own", engine.socket, own_id=lab.run("api-1", "api:good"))
    assert (await own.check())["own_container"] is not None
    with pytest.raises(TargetProtected, match="the remediator itself"):
        await own.restart(target(), await only(runtime))
    await own.close()


async def test_a_restart_starts_the_container_anew(lab: Lab, runtime: ContainersRuntime) -> None:
    lab.image("api:good")
    lab.run("api-1", "api:good")
    before = await only(runtime)
    await runtime.restart(target(), before)
    after = await only(runtime)
    assert after.id == before.id
    assert (after.started_at or 0) > (before.started_at or 0)


async def test_a_clone_is_stamped_found_and_removed(lab: Lab, runtime: ContainersRuntime) -> None:
    lab.image("api:good")
    lab.run("api-1", "api:good")
    wanted = target(traffic="proxy")
    original = await only(runtime)
    made = await runtime.add_instance(wanted, original, "api-r1", "a-1")
    again = await runtime.add_instance(wanted, original, "api-r1", "a-1")
    assert made.id == again.id
    assert made.stamps["remediator.action"] == "a-1"
    assert [one.name for one in await runtime.instances(wanted)] == ["api-1", "api-r1"]
    config = lab.inspect("api-r1")["Config"]
    assert config["Labels"]["com.docker.compose.container-number"] == "2"
    assert config["Hostname"] == made.id[:12]
    assert await runtime.remove_instance(wanted, "api-r1", "a-1")
    assert not await runtime.remove_instance(wanted, "api-r1", "a-1")
    assert lab.names() == ["api-1"]


async def test_a_name_that_somebody_else_has_is_left_alone(lab: Lab, runtime: ContainersRuntime) -> None:
    lab.image("api:good")
    lab.run("api-1", "api:good")
    lab.run("api-r1", "api:good", service="other")
    with pytest.raises(ActionRefused, match="not this action's"):
        await runtime.add_instance(target(traffic="dns"), await only(runtime), "api-r1", "a-1")
    with pytest.raises(ActionRefused, match="left alone"):
        await runtime.remove_instance(target(), "api-r1", "a-1")


@pytest.mark.parametrize(
    ("host", "why"),
    [
        ({"NetworkMode": "none"}, "would get no traffic"),
        ({"AutoRemove": True, "RestartPolicy": {"Name": "no"}}, "--rm"),
        ({"Binds": ["/tmp:/data"]}, "a clone would share"),
    ],
)
async def test_a_clone_that_would_be_theatre_or_harm_is_refused(
    lab: Lab, runtime: ContainersRuntime, host: dict[str, Any], why: str
) -> None:
    lab.image("api:good")
    lab.run("api-1", "api:good", **host)
    wanted = target(traffic="none" if "NetworkMode" in host else "dns")
    with pytest.raises(ActionRefused, match=why):
        await runtime.add_instance(wanted, await only(runtime), "api-r1", "a-1")
    assert lab.names() == ["api-1"]


def prepared(lab: Lab, name: str = "api-1", *, good_health: str = "true") -> KnownGood:
    """Run a bad version with data in an anonymous volume; returns the good one. The service has its name."""
    good = lab.image("api:good" if good_health == "true" else "api:sick", health=good_health, volume="/data")
    lab.image("api:bad", volume="/data", env="WHICH=bad")
    lab.run(name, "api:bad", service=name)
    lab.api.exec_start(lab.api.exec_create(name, ["/bin/busybox", "touch", "/data/kept"])["Id"])
    return KnownGood(good, "api:good", 0.0, {"tag": "api:good" if good_health == "true" else "api:sick"})


def in_order(lab: Lab, image_id: str, name: str = "api-1") -> None:
    """Hold the service to exactly one running container, its restart policy, and its data."""
    assert [one for one in lab.names() if one.startswith(name)] == [name]
    found = lab.inspect(name)
    assert found["Image"] == image_id
    assert found["State"]["Running"]
    assert found["HostConfig"]["RestartPolicy"]["Name"] == "unless-stopped"
    code = lab.api.exec_create(name, ["/bin/busybox", "test", "-e", "/data/kept"])["Id"]
    lab.api.exec_start(code)
    assert lab.api.exec_inspect(code)["ExitCode"] == 0


async def test_a_rollback_keeps_data_and_restart_policy_and_drops_the_bad_images_environment(
    lab: Lab, runtime: ContainersRuntime
) -> None:
    version = prepared(lab)
    one = target(selector={LABEL: "api-1"})
    (instance,) = await runtime.instances(one)
    await runtime.replace_instance(one, instance, version, "a-1", healthy_within=20)
    in_order(lab, version.image_id)
    assert "WHICH=bad" not in (lab.inspect("api-1")["Config"]["Env"] or [])
    assert await runtime.replaced(one, "api-1", "a-1") is Progress.DONE


class Dying:
    """A service of its own whose replacement dies after one of its calls; many stand side by side."""

    def __init__(self, lab: Lab, engine: Engine, call: int, good_health: str = "true") -> None:
        self.name = f"api-{call:02}"
        self.version = prepared(lab, self.name, good_health=good_health)
        self.target = target(service=self.name, selector={LABEL: self.name})
        self._engine = engine
        self._call = call

    async def cut(self, runtime: ContainersRuntime) -> Instance:
        """Begin and die; returns the instance as it was before."""
        (instance,) = await runtime.instances(self.target)
        dying = ContainersRuntime("dying", self._engine.socket)
        crash_after(dying, self._call)
        with pytest.raises((Crash, ActionRefused)):
            await self.replace(dying, instance)
        await dying.close()
        return instance

    async def replace(self, runtime: ContainersRuntime, instance: Instance) -> None:
        """Replace, from wherever it was left."""
        await runtime.replace_instance(self.target, instance, self.version, "a-1", healthy_within=20)


async def test_a_rollback_that_died_after_any_call_is_finished(
    lab: Lab, runtime: ContainersRuntime, engine: Engine
) -> None:
    async def run(call: int, dying: Dying) -> None:
        instance = await dying.cut(runtime)
        progress = await runtime.replaced(dying.target, dying.name, "a-1")
        assert progress is (Progress.DONE if call == 6 else Progress.PARTIAL)
        await dying.replace(runtime, instance)
        in_order(lab, dying.version.image_id, dying.name)

    await asyncio.gather(*(run(call, Dying(lab, engine, call)) for call in range(1, 7)))


async def test_a_version_that_does_not_become_healthy_is_taken_back(lab: Lab, runtime: ContainersRuntime) -> None:
    version = prepared(lab, good_health="false")
    one = target(selector={LABEL: "api-1"})
    (instance,) = await runtime.instances(one)
    with pytest.raises(ActionRefused, match="back in its place"):
        await runtime.replace_instance(one, instance, version, "a-1", healthy_within=20)
    in_order(lab, lab.images["api:bad"])
    assert await runtime.replaced(one, "api-1", "a-1") is Progress.NOT_STARTED


async def test_a_restore_that_died_after_any_call_is_finished_without_a_second_try(
    lab: Lab, runtime: ContainersRuntime, engine: Engine
) -> None:
    async def run(dying: Dying) -> None:
        instance = await dying.cut(runtime)
        assert await runtime.replaced(dying.target, dying.name, "a-1") is Progress.PARTIAL
        with pytest.raises(ActionRefused, match="back in its place"):
            await dying.replace(runtime, instance)
        in_order(lab, lab.images["api:bad"], dying.name)

    every = [Dying(lab, engine, call, "false") for call in range(1, 11)]
    with EngineEvents(engine) as events:
        await asyncio.gather(*map(run, every))
    tried = Counter(one.name for one in events.since(0) if one.action == "create")
    assert tried == {one.name: 1 for one in every}


async def test_a_missing_image_is_harmless(lab: Lab, runtime: ContainersRuntime) -> None:
    prepared(lab)
    one = target(selector={LABEL: "api-1"})
    (instance,) = await runtime.instances(one)
    before = lab.inspect("api-1")
    gone = KnownGood("sha256:" + "0" * 64, "api:gone", 0.0, {"tag": "api:gone"})
    assert not await runtime.version_exists(gone)
    with pytest.raises(ActionRefused, match="not there any more"):
        await runtime.replace_instance(one, instance, gone, "a-1", healthy_within=5)
    assert lab.inspect("api-1")["State"] == before["State"]


async def test_a_kept_version_survives_a_moved_tag(lab: Lab, runtime: ContainersRuntime) -> None:
    lab.image("api:latest")
    lab.run("api-1", "api:latest")
    kept = await runtime.keep_version(target(), await only(runtime), 1.0)
    lab.image("api:latest", env="NEW=1")
    lab.api.remove_container("api-1", force=True)
    lab.api.prune_images()  # type: ignore[no-untyped-call]
    assert await runtime.version_exists(kept)
    await runtime.forget_version(target(), kept)


async def test_what_was_set_aside_is_not_an_instance(lab: Lab, runtime: ContainersRuntime) -> None:
    lab.image("api:good")
    lab.run("api-1", "api:good")
    lab.run(f"api-1{OLD}", "api:good")
    assert (await only(runtime)).name == "api-1"


async def test_logs_and_stats_are_read(lab: Lab, runtime: ContainersRuntime) -> None:
    lab.image("api:good")
    lab.run("api-1", "api:good")
    instance = await only(runtime)
    assert await runtime.logs(target(), instance, 10) == ("begun",)
    assert (await runtime.stats(target(), instance))["memory_bytes"] > 0
    assert await runtime.received(target(), instance) is None, "it has no network"
    disk = await runtime.disk()
    assert disk["images"] > 1_000_000
    assert disk.keys() == {"images", "containers", "volumes", "cache"}


async def test_requests_to_a_container_stand_out_from_what_its_network_says_by_itself(
    lab: Lab, runtime: ContainersRuntime
) -> None:
    lab.image("api:web", command=["/bin/busybox", "httpd", "-f", "-p", "80"], health=None, expose="80")
    port = free_port()
    published = {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(port)}]}
    lab.run("api-1", "api:web", NetworkMode="bridge", PortBindings=published)
    instance = await only(runtime)
    await asyncio.sleep(2.0)
    before = await runtime.received(target(), instance)
    assert before is not None
    assert before <= NOISE
    answers: list[int] = []
    async with httpx.AsyncClient(trust_env=False, timeout=5.0) as http:
        for _ in range(60):
            with suppress(httpx.TransportError):
                answers.append((await http.get(f"http://127.0.0.1:{port}/")).status_code)
            if len(answers) == 10:
                break
            await asyncio.sleep(0.1)
    assert answers == [404] * 10
    after = await runtime.received(target(), instance)
    assert after is not None
    assert after > NOISE + NOISE_PER_SECOND * (time.time() - (instance.started_at or 0.0))
