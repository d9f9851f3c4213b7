"""The stage: smartresume-api in containers behind its proxy, on a real engine, and the ways to break it."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final

import httpx

from deploy.demo import images
from deploy.parts.engine import Engine
from deploy.parts.process import PartError, poll_until

SERVICE: Final = "smartresume-api"
PROJECT: Final = "smartresume"
NETWORK: Final = "smartresume_default"

STAMP: Final = "deploy.demo"
"""Label on each container and network of ours: an engine that was there before may have a project of that name."""

HEALTHY_WITHIN: Final = 30.0
"""Seconds that a container has to become healthy; it takes about 1.5."""

STOP_TIMEOUT: Final = 3
"""Seconds that a container has to stop before it is killed."""

GONE_WITHIN: Final = 20.0
"""Seconds in which what is removed must be gone."""

GONE: Final = frozenset({httpx.codes.NO_CONTENT, httpx.codes.NOT_FOUND})


@dataclass(frozen=True, slots=True)
class Stage:
    """The running demo service.

    Args:
        engine: an HTTP client to the engine's API.
        url: the service through its proxy, without a slash at its end.
        images: image IDs by tag.
    """

    engine: httpx.Client
    url: str
    images: dict[str, str]

    @property
    def address(self) -> str:
        """The proxy's `host:port`."""
        return self.url.removeprefix("http://")

    def containers(self) -> list[dict[str, Any]]:
        """Return every container of the service as `inspect` shows it, ordered by name; its clones too."""
        label = f'{{"label": ["com.docker.compose.service={SERVICE}"]}}'
        rows = self.engine.get("/containers/json", params={"all": "1", "filters": label}).json()
        found = [self.engine.get(f"/containers/{row['Id']}/json") for row in rows]
        present = [answer.json() for answer in found if answer.status_code == httpx.codes.OK]
        return sorted(present, key=lambda facts: str(facts["Name"]))

    def deploy(self, tag: str, replicas: int = 1) -> None:
        """Put containers of this image in the place of those that run, as a careful deployment does: no gap.

        Raises:
            PartError: a container didn't become healthy; the old ones are still there then.
        """
        old = self.containers()
        new: dict[str, str] = {}
        for number in range(1, replicas + 1):
            name = f"{PROJECT}-{SERVICE}-{number}"
            new[create(self.engine, f"{name}-new", body(SERVICE, tag, number=number))] = name
        poll_until(lambda: all(map(self._is_healthy, new)), HEALTHY_WITHIN, f"{tag} isn't healthy")
        for facts in old:
            _expect(self.engine.delete(f"/containers/{facts['Id']}", params={"force": "1"}))
        for identity, name in new.items():
            _expect(self.engine.post(f"/containers/{identity}/rename", params={"name": name}))
        self.await_healthy()

    def _is_healthy(self, identity: str) -> bool:
        state: dict[str, Any] = self.engine.get(f"/containers/{identity}/json").json()["State"]
        return bool(state["Health"]["Status"] == "healthy")

    def await_healthy(self, timeout: float = HEALTHY_WITHIN) -> None:
        """Wait until every container of the service is healthy, and so is the service through its proxy."""

        def healthy() -> bool:
            states = [facts["State"].get("Health", {}).get("Status") for facts in self.containers()]
            return bool(states) and set(states) == {"healthy"} and self.healthy()

        poll_until(healthy, timeout, f"{SERVICE} isn't healthy")

    def healthy(self) -> bool:
        """Whether the service's health endpoint says so through the proxy."""
        return is_healthy(self.url)

    def fault(self, mode: str, share: float = 0.5) -> None:
        """Give a fault to one process of the service; a restart of its container cures it."""
        give_fault(self.url, mode, share)

    def stop(self) -> None:
        """Stop the service's first container, as somebody's `docker stop` does."""
        name = self.containers()[0]["Id"]
        _expect(self.engine.post(f"/containers/{name}/stop", params={"t": str(STOP_TIMEOUT)}))


@contextmanager
def running_stage(engine: Engine, *, port: int, tag: str = images.GOOD, replicas: int = 1) -> Iterator[Stage]:
    """Build the images if need be, start the service and its proxy, and remove all of it afterwards.

    Args:
        engine: where the containers run.
        port: of the proxy on 127.0.0.1.
        tag: the image that the service begins with.
        replicas: how many containers it begins with.

    Raises:
        PartError: an image couldn't be built, a container didn't become healthy, or the engine has things of those
            names that aren't ours.
    """
    with engine.client() as http:
        if theirs := somebody_elses(http):
            raise PartError(
                f"the engine at {engine.socket} has {', '.join(theirs)} that isn't the demo's: it stays as it is;"
                " without containers: .venv/bin/python -m deploy.demo --runtime process"
            )
        ids = images.build(http)
        _remove(http)
        labels = {"com.docker.compose.project": PROJECT, STAMP: "1"}
        network = {"Name": NETWORK, "Labels": labels, "CheckDuplicate": True}
        _expect(http.post("/networks/create", json=network))
        try:
            create(http, f"{PROJECT}-proxy-1", body("proxy", images.PROXY, publish={"8080/tcp": port}))
            stage = Stage(http, f"http://127.0.0.1:{port}", ids)
            stage.deploy(tag, replicas)
            yield stage
        finally:
            # An engine that has died took its containers with it.
            with suppress(httpx.TransportError):
                _remove(http)


def is_healthy(url: str) -> bool:
    """Whether the health endpoint of the service at this URL says `healthy`, in time."""
    try:
        answer = httpx.get(f"{url}/health", timeout=2.0)
        return answer.status_code == httpx.codes.OK and answer.json()["status"] == "healthy"
    except (httpx.TransportError, ValueError):
        return False


def give_fault(url: str, mode: str, share: float) -> None:
    """Give a fault to one process of the service at this URL; `share` (0 to 1) is for mode `errors`."""
    httpx.post(f"{url}/fault", json={"mode": mode, "share": share}, timeout=5.0).raise_for_status()


def body(service: str, tag: str, number: int = 1, publish: dict[str, int] | None = None) -> dict[str, Any]:
    """Return what creates a container as compose would: its labels, its network, its alias there."""
    ports = publish or {}
    bindings = {port: [{"HostIp": "127.0.0.1", "HostPort": str(host)}] for port, host in ports.items()}
    labels = {"project": PROJECT, "service": service, "container-number": str(number), "oneoff": "False"}
    return {
        "Image": tag,
        "Labels": {STAMP: "1", **{f"com.docker.compose.{name}": value for name, value in labels.items()}},
        "ExposedPorts": {port: {} for port in ports},
        "StopTimeout": STOP_TIMEOUT,
        "HostConfig": {
            "NetworkMode": NETWORK,
            "PortBindings": bindings,
            "RestartPolicy": {"Name": "unless-stopped"},
            "Memory": 128 * 1024 * 1024,
            # Only names that the engine knows are asked for; a stopped service's name isn't known, and the default is
            # to wait 5 s for the world to answer.
            "Dns": ["127.0.0.1"],
            "DnsOptions": ["timeout:1", "attempts:1"],
        },
        "NetworkingConfig": {"EndpointsConfig": {NETWORK: {"Aliases": [service]}}},
    }


def create(engine: httpx.Client, name: str, settings: dict[str, Any]) -> str:
    """Create and start a container and return its ID.

    Raises:
        PartError: the engine refused; the text is its own.
    """
    identity = str(_expect(engine.post("/containers/create", params={"name": name}, json=settings)).json()["Id"])
    _expect(engine.post(f"/containers/{identity}/start"))
    return identity


def somebody_elses(engine: httpx.Client) -> list[str]:
    """Return what the demo would be mixed up with: containers, a network and images of our names without our labels."""
    project = json.dumps({"label": [f"com.docker.compose.project={PROJECT}"]})
    rows = engine.get("/containers/json", params={"all": "1", "filters": project}).json()
    found = [f"the container {row['Names'][0].lstrip('/')}" for row in rows if STAMP not in row["Labels"]]
    networks = engine.get("/networks", params={"filters": json.dumps({"name": [NETWORK]})}).json()
    found += [f"the network {one['Name']}" for one in networks if one["Name"] == NETWORK and STAMP not in one["Labels"]]
    return found + [f"the image {tag}" for tag in images.foreign(engine)]


def _remove(engine: httpx.Client) -> None:
    """Remove what is ours, clones and leftovers of a killed run included; nothing else.

    Raises:
        PartError: something of it stays; the text has the engine's own words.
    """
    deadline = time.monotonic() + GONE_WITHIN
    # A busy engine lets go of a removed container's name and endpoint a moment after it said that it is removed.
    while left := _left(engine):
        if time.monotonic() > deadline:
            raise PartError(f"of the demo's things some can't be removed in {GONE_WITHIN:.0f} s: {'; '.join(left)}")
        time.sleep(0.1)


def _left(engine: httpx.Client) -> list[str]:
    """Ask the engine to remove all of it, and return what it said about whatever didn't go at once."""
    query = {"all": "1", "filters": json.dumps({"label": [STAMP]})}
    paths = [f"/containers/{row['Id']}" for row in engine.get("/containers/json", params=query).json()]
    networks = [row["Id"] for row in engine.get("/networks", params={"filters": query["filters"]}).json()]
    for network in networks:
        _release(engine, network)
    paths += [f"/networks/{network}" for network in networks]
    answers = {path: engine.delete(path, params={"force": "1", "v": "1"}) for path in paths}
    return [f"{path[:24]}: {answer.text.strip()}" for path, answer in answers.items() if answer.status_code not in GONE]


def _release(engine: httpx.Client, network: str) -> None:
    """Free a network from the endpoints of containers that are gone.

    A container that is removed while it starts again leaves one behind; the network could never be removed then.
    """
    for holder, endpoint in (engine.get(f"/networks/{network}").json().get("Containers") or {}).items():
        if engine.get(f"/containers/{holder}/json").status_code == httpx.codes.NOT_FOUND:
            engine.post(f"/networks/{network}/disconnect", json={"Container": endpoint["Name"], "Force": True})


def _expect(answer: httpx.Response) -> httpx.Response:
    if answer.status_code >= httpx.codes.BAD_REQUEST:
        request = answer.request
        raise PartError(f"{request.method} {request.url.path}: {answer.status_code}: {answer.text.strip()}")
    return answer
