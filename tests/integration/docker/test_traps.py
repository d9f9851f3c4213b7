"""The traps that a real engine holds for whoever copies, replaces and finds containers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from docker.types import IPAMConfig, IPAMPool

from deploy.parts.engine import Engine
from deploy.parts.ports import free_port
from deploy.parts.process import poll_until
from remediations.protocol import (
    STAMP_ACTION,
    STAMP_REPLACED_BY,
    ActionRefused,
    Instance,
    KnownGood,
    Progress,
    TargetNotFound,
)
from remediations.runtimes.container_find import OLD
from remediations.runtimes.containers import ContainersRuntime
from tests.integration.docker.conftest import Lab, target
from tests.integration.docker.test_containers import Crash, crash_after, healthy, only

pytestmark = [pytest.mark.docker, pytest.mark.anyio]

SCALABLE = target(traffic="dns")
DEAF = ["/bin/busybox", "sh", "-c", "trap '' TERM; while true; do sleep 1d; done"]


@pytest.fixture
def networks(lab: Lab) -> Iterator[tuple[str, str]]:
    """Make two networks, each with addresses that can be chosen."""
    names = {"front": "172.29.101.0/24", "back": "172.29.102.0/24"}
    for name, subnet in names.items():
        lab.api.create_network(name, ipam=IPAMConfig(pool_configs=[IPAMPool(subnet=subnet)]))
    yield "front", "back"
    lab.remove()
    for name in names:
        lab.api.remove_network(name)


def addresses(lab: Lab, name: str) -> dict[str, str]:
    joined = lab.inspect(name)["NetworkSettings"]["Networks"]
    return {network: endpoint["IPAddress"] for network, endpoint in joined.items()}


async def replaced(runtime: ContainersRuntime, lab: Lab, **image: Any) -> Instance:
    """Replace the only instance by the version `good`."""
    wanted = lab.image("api:good", **image)
    version = KnownGood(wanted, "api:good", 0.0, {"tag": "api:good"})
    return await runtime.replace_instance(target(), await only(runtime), version, "a-1", healthy_within=20)


async def test_a_copy_runs_what_its_original_runs_though_the_tag_has_moved(
    lab: Lab, runtime: ContainersRuntime
) -> None:
    runs = lab.image("api:latest")
    lab.run("api-1", "api:latest")
    assert lab.image("api:latest", env="NEW=1") != runs
    made = await runtime.add_instance(SCALABLE, await only(runtime), "api-2", "a-1")
    assert made.image_id == runs


async def test_a_replacement_keeps_static_addresses_on_every_network_and_a_copy_gets_its_own(
    lab: Lab, runtime: ContainersRuntime, networks: tuple[str, str]
) -> None:
    lab.image("api:bad", env="WHICH=bad")
    front, back = networks
    lab.run(
        "api-1", "api:bad", NetworkMode=front,
        networking={front: {"IPAMConfig": {"IPv4Address": "172.29.101.77"}, "Aliases": ["api"]}},
    )  # fmt: skip
    lab.api.connect_container_to_network("api-1", back, ipv4_address="172.29.102.77", aliases=["api-back"])
    fixed = {front: "172.29.101.77", back: "172.29.102.77"}
    assert addresses(lab, "api-1") == fixed
    await runtime.add_instance(SCALABLE, await only(runtime), "api-2", "a-1")
    assert addresses(lab, "api-2").keys() == fixed.keys()
    assert not set(addresses(lab, "api-2").values()) & set(fixed.values())
    assert "api" in lab.inspect("api-2")["NetworkSettings"]["Networks"][front]["Aliases"]
    await runtime.remove_instance(SCALABLE, "api-2", "a-1")
    await replaced(runtime, lab)
    assert addresses(lab, "api-1") == fixed
    assert "api-back" in lab.inspect("api-1")["NetworkSettings"]["Networks"][back]["Aliases"]


async def test_a_copy_that_was_cut_before_it_joined_every_network_joins_them_when_resumed(
    lab: Lab, runtime: ContainersRuntime, engine: Engine, networks: tuple[str, str]
) -> None:
    lab.image("api:good")
    lab.run("api-1", "api:good", NetworkMode=networks[0])
    lab.api.connect_container_to_network("api-1", networks[1])
    dying = ContainersRuntime("dying", engine.socket)
    crash_after(dying, 1)
    with pytest.raises(Crash):
        await dying.add_instance(SCALABLE, await only(runtime), "api-2", "a-1")
    await dying.close()
    original = next(one for one in await runtime.instances(SCALABLE) if one.name == "api-1")
    assert (await runtime.add_instance(SCALABLE, original, "api-2", "a-1")).running
    assert sorted(addresses(lab, "api-2")) == sorted(networks)


async def test_a_name_that_somebody_takes_meanwhile_is_left_alone_and_not_joined_to_our_networks(
    lab: Lab, runtime: ContainersRuntime, networks: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.image("api:good")
    lab.run("api-1", "api:good", NetworkMode=networks[0])
    original = await only(runtime)
    api = runtime.client()
    create = api.create_container_from_config

    def somebody_is_faster(*arguments: Any) -> Any:
        lab.run("api-2", "api:good", service="other")
        return create(*arguments)  # type: ignore[no-untyped-call]

    monkeypatch.setattr(api, "create_container_from_config", somebody_is_faster)
    with pytest.raises(ActionRefused, match="not this action's"):
        await runtime.add_instance(SCALABLE, original, "api-2", "a-1")
    assert list(addresses(lab, "api-2")) == ["none"]


async def test_a_copy_that_cannot_be_started_is_removed_again(lab: Lab, runtime: ContainersRuntime) -> None:
    lab.image("api:good")
    # Room for one: the bridge has the other of the two usable addresses.
    lab.api.create_network("full", ipam=IPAMConfig(pool_configs=[IPAMPool(subnet="172.29.103.0/30")]))
    try:
        lab.run("api-1", "api:good", NetworkMode="full")
        with pytest.raises(ActionRefused, match="api-2 can't be started"):
            await runtime.add_instance(SCALABLE, await only(runtime), "api-2", "a-1")
        assert lab.names() == ["api-1"]
    finally:
        lab.remove()
        lab.api.remove_network("full")


async def test_a_copy_of_a_replacement_does_not_look_replaced(lab: Lab, runtime: ContainersRuntime) -> None:
    lab.image("api:bad", env="WHICH=bad")
    lab.run("api-1", "api:bad")
    made = await replaced(runtime, lab)
    assert made.stamps[STAMP_REPLACED_BY] == "a-1"
    clone = await runtime.add_instance(SCALABLE, made, "api-2", "a-2")
    assert clone.stamps[STAMP_ACTION] == "a-2"
    assert STAMP_REPLACED_BY not in clone.stamps


async def test_a_replacement_keeps_a_volume_that_was_mounted_without_a_name(
    lab: Lab, runtime: ContainersRuntime
) -> None:
    lab.image("api:bad", env="WHICH=bad")
    lab.run("api-1", "api:bad", Mounts=[{"Type": "volume", "Target": "/data"}])
    volume = lab.inspect("api-1")["Mounts"][0]["Name"]
    await replaced(runtime, lab)
    assert [mount["Name"] for mount in lab.inspect("api-1")["Mounts"]] == [volume]


async def test_a_replacement_keeps_restart_policy_published_port_and_compose_labels(
    lab: Lab, runtime: ContainersRuntime
) -> None:
    lab.image("api:bad", expose="80")
    port = str(free_port())
    lab.run(
        "api-1", "api:bad", NetworkMode="bridge", RestartPolicy={"Name": "always"},
        PortBindings={"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": port}]},
        labels={"com.docker.compose.image": "sha256:bad"},
    )  # fmt: skip
    assert lab.inspect("api-1")["NetworkSettings"]["Ports"]["80/tcp"][0]["HostPort"] == port
    await replaced(runtime, lab)
    found = lab.inspect("api-1")
    assert found["HostConfig"]["RestartPolicy"]["Name"] == "always"
    assert found["NetworkSettings"]["Ports"]["80/tcp"][0]["HostPort"] == port
    assert found["Config"]["Labels"]["com.docker.compose.image"] == "sha256:bad"


@pytest.mark.parametrize("mode", ["host", "container:beside"])
async def test_a_container_without_a_network_of_its_own_can_be_replaced(
    lab: Lab, runtime: ContainersRuntime, mode: str
) -> None:
    lab.image("api:bad", env="WHICH=bad")
    lab.run("beside", "api:bad", service="other")
    lab.run("api-1", "api:bad", NetworkMode=mode)
    with pytest.raises(ActionRefused, match="no network of its own"):
        await runtime.add_instance(SCALABLE, await only(runtime), "api-2", "a-1")
    assert (await replaced(runtime, lab)).image_id == lab.images["api:good"]


async def test_what_removes_itself_when_stopped_is_not_replaced(lab: Lab, runtime: ContainersRuntime) -> None:
    lab.image("api:bad", env="WHICH=bad")
    lab.run("api-1", "api:bad", AutoRemove=True, RestartPolicy={"Name": "no"})
    before = await only(runtime)
    with pytest.raises(ActionRefused, match="--rm"):
        await replaced(runtime, lab)
    assert await only(runtime) == before


async def test_what_may_take_for_ever_to_stop_is_neither_replaced_nor_waited_for(
    lab: Lab, runtime: ContainersRuntime
) -> None:
    lab.image("api:bad", env="WHICH=bad")
    lab.run("api-1", "api:bad", stop_timeout=-1)
    before = await only(runtime)
    with pytest.raises(ActionRefused, match="for ever"):
        await replaced(runtime, lab)
    assert await only(runtime) == before


async def test_a_stop_may_take_longer_than_an_answer(lab: Lab, engine: Engine) -> None:
    lab.image("api:deaf", command=DEAF, health=None)
    lab.run("api-1", "api:deaf", stop_timeout=3)
    impatient = ContainersRuntime("impatient", engine.socket, timeout=1)
    before = await only(impatient)
    await impatient.restart(target(), before)
    after = await only(impatient)
    await impatient.close()
    assert after.running
    assert after.started_at != before.started_at


@pytest.mark.parametrize(
    ("image", "why"),
    [
        ({"command": ["/bin/false"], "health": None}, "does not stay up"),
        ({"health": "sleep 1d", "check": "--interval=1s --timeout=1h"}, "was not healthy within 2 s"),
    ],
)
async def test_a_version_that_exits_or_never_becomes_healthy_is_taken_back(
    lab: Lab, runtime: ContainersRuntime, image: dict[str, Any], why: str
) -> None:
    lab.image("api:bad", env="WHICH=bad")
    before = lab.run("api-1", "api:bad")
    version = KnownGood(lab.image("api:broken", **image), "api:broken", 0.0, {"tag": "api:broken"})
    with pytest.raises(ActionRefused, match=why):
        await runtime.replace_instance(target(), await only(runtime), version, "a-1", healthy_within=2)
    after = lab.inspect("api-1")
    assert (after["Id"], after["State"]["Running"]) == (before, True)
    assert after["HostConfig"]["RestartPolicy"]["Name"] == "unless-stopped"


async def test_a_release_that_the_engine_restarts_over_and_over_is_replaced(
    lab: Lab, runtime: ContainersRuntime
) -> None:
    lab.image("api:crashing", command=["/bin/false"], health=None)
    lab.run("api-1", "api:crashing")
    # Between its restarts the engine doesn't rename it, and by then it waits for seconds between two.
    poll_until(lambda: lab.inspect("api-1")["RestartCount"] >= 5, 30.0, "it doesn't crash over and over")
    version = KnownGood(lab.image("api:good"), "api:good", 0.0, {"tag": "api:good"})
    after = await runtime.replace_instance(target(), await only(runtime), version, "a-1", healthy_within=20)
    assert (after.serving, after.image_id, lab.names()) == (True, version.image_id, ["api-1"])
    assert lab.inspect("api-1")["HostConfig"]["RestartPolicy"]["Name"] == "unless-stopped"


async def test_a_place_that_somebody_took_during_a_replacement_is_left_to_them(
    lab: Lab, runtime: ContainersRuntime, engine: Engine
) -> None:
    good = lab.image("api:good")
    lab.image("api:bad", env="WHICH=bad")
    lab.run("api-1", "api:bad")
    version = KnownGood(good, "api:good", 0.0, {"tag": "api:good"})
    instance = await only(runtime)
    dying = ContainersRuntime("dying", engine.socket)
    crash_after(dying, 1)
    with pytest.raises(Crash):
        await dying.replace_instance(target(), instance, version, "a-1", healthy_within=20)
    await dying.close()
    lab.run("api-1", "api:bad")
    assert await runtime.replaced(target(), "api-1", "a-1") is Progress.SUPERSEDED
    with pytest.raises(ActionRefused, match=f"somebody else put a container api-1.*{OLD}"):
        await runtime.replace_instance(target(), instance, version, "a-1", healthy_within=20)
    assert all(lab.inspect(name)["State"]["Running"] for name in ("api-1", f"api-1{OLD}"))


async def test_a_container_that_vanishes_while_they_are_listed_is_left_out(
    lab: Lab, runtime: ContainersRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.image("api:good")
    lab.run("api-1", "api:good")
    lab.run("api-2", "api:good")
    api = runtime.client()
    listing: Callable[..., Any] = api.containers

    def vanishing(name: str) -> None:
        def listed(**arguments: Any) -> Any:
            rows = listing(**arguments)
            lab.api.remove_container(name, force=True)
            return rows

        monkeypatch.setattr(api, "containers", listed)

    vanishing("api-2")
    assert (await only(runtime)).name == "api-1"
    vanishing("api-1")
    with pytest.raises(TargetNotFound, match="vanished while it was looked at"):
        await only(runtime)


async def test_the_beginning_of_an_id_is_no_name(lab: Lab, runtime: ContainersRuntime) -> None:
    lab.image("api:good")
    identity = lab.run("api-1", "api:good")
    assert await runtime.inspect(identity[:12]) is not None
    assert await runtime.named(identity[:12]) is None


async def test_a_service_without_a_selector_never_means_every_container(lab: Lab, runtime: ContainersRuntime) -> None:
    lab.image("api:good")
    lab.run("api-1", "api:good")
    with pytest.raises(TargetNotFound, match="no selector"):
        await runtime.instances(target(selector={}))


async def test_a_copy_that_a_person_removed_while_it_was_stopped_is_gone(
    lab: Lab, runtime: ContainersRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.image("api:good")
    lab.run("api-1", "api:good")
    healthy(lab, "api-1")
    await runtime.add_instance(SCALABLE, await only(runtime), "api-2", "a-1")
    api = runtime.client()
    stop = api.stop

    def removed_meanwhile(*arguments: Any, **more: Any) -> None:
        lab.api.remove_container("api-2", force=True)
        stop(*arguments, **more)

    monkeypatch.setattr(api, "stop", removed_meanwhile)
    assert not await runtime.remove_instance(SCALABLE, "api-2", "a-1")


@pytest.mark.parametrize("service", ["Api", "api_v2", "-api..", "größe"])
async def test_any_name_of_a_service_can_keep_a_version(lab: Lab, runtime: ContainersRuntime, service: str) -> None:
    lab.image("api:good")
    lab.run("api-1", "api:good")
    named = target(service=service)
    kept = await runtime.keep_version(named, await only(runtime), 1.0)
    assert await runtime.version_exists(kept)
    await runtime.forget_version(named, kept)
