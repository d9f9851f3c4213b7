"""Which containers are never acted on."""

from __future__ import annotations

from typing import Any

import pytest

from remediations.protocol import TargetProtected
from remediations.runtimes.container_guard import Guard

OWN = "a" * 64


def container(name: str = "monitoring-prometheus-1", **changes: Any) -> dict[str, Any]:
    """Return an inspection of a container that others reach as `prometheus`, at 172.20.0.5 and on port 9090."""
    found: dict[str, Any] = {
        "Id": "b" * 64,
        "Name": f"/{name}",
        "Config": {"Hostname": "b" * 12, "Labels": {}, "ExposedPorts": {"9090/tcp": {}}},
        "HostConfig": {
            "NetworkMode": "monitoring",
            "PortBindings": {"9090/tcp": [{"HostIp": "127.0.0.1", "HostPort": "19090"}]},
        },
        "NetworkSettings": {
            "Ports": {"9090/tcp": [{"HostIp": "127.0.0.1", "HostPort": "19090"}], "9091/tcp": None},
            "Networks": {"monitoring": {"Aliases": ["prometheus", "b" * 12], "IPAddress": "172.20.0.5"}},
        },
    }
    return {**found, **changes}


@pytest.mark.parametrize(
    "url",
    [
        "http://prometheus:9090",
        "http://monitoring-prometheus-1:9090/prefix",
        "http://172.20.0.5:9090",
        "http://127.0.0.1:19090",
        "http://localhost:19090/",
        "http://someone:secret@[::1]:19090",
    ],
)
def test_a_part_that_we_depend_on_is_known_by_however_it_is_reached(url: str) -> None:
    guard = Guard(None, "unix:///var/run/docker.sock", [url])
    with pytest.raises(TargetProtected, match="monitoring-prometheus-1 is what the remediator depends on") as told:
        guard.hold(container())
    assert "secret" not in str(told.value)


@pytest.mark.parametrize(
    "url", ["http://alertmanager:9093", "http://127.0.0.1:9090", "http://prometheus.example.com:19090", "http://b:9090"]
)
def test_what_is_reached_otherwise_is_not_taken_for_it(url: str) -> None:
    assert Guard(None, "unix:///var/run/docker.sock", [url]).why(container()) == ""


def test_an_engine_proxy_on_its_own_engine_is_known() -> None:
    proxy = container("engine-proxy")
    assert "depends on at engine-proxy:2375" in Guard(None, "tcp://engine-proxy:2375", []).why(proxy)
    assert "depends on at 10.0.0.7:19090" in Guard(None, "tcp://10.0.0.7:19090", []).why(proxy)


def test_a_container_on_the_hosts_network_is_known_by_the_ports_that_it_exposes() -> None:
    on_host = container(HostConfig={"NetworkMode": "host"}, NetworkSettings={"Ports": {}, "Networks": {"host": None}})
    assert Guard(None, "unix:///s", ["http://127.0.0.1:9090"]).why(on_host)
    assert not Guard(None, "unix:///s", ["http://127.0.0.1:9093"]).why(on_host)


def test_we_and_what_a_person_marked_are_known() -> None:
    assert "is the remediator itself" in Guard(OWN, "unix:///s", []).why(container(Id=OWN))
    marked = container(Config={"Labels": {"remediator.protected": "true"}})
    assert "carries remediator.protected=true" in Guard(OWN, "unix:///s", []).why(marked)
    assert Guard(None, "unix:///s", []).why(container()) == ""
