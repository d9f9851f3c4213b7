"""Which containers nobody may act on: ourselves, what we depend on, and what a person marked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from remediations.protocol import TargetProtected
from remediations.runtimes.container_spec import name_of

PROTECTED = "remediator.protected"
"""A container with this label set to `true` is never acted on."""

PORTS = {"http": 80, "https": 443, "tcp": 2375}
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class Guard:
    """Knows what is not to be touched.

    Args:
        own_id: of the container that we run in, None outside of one.
        engine: the engine's URL: what answers there may be a proxy in a container of that very engine.
        depends: URLs of what else we depend on: Prometheus, Alertmanager.
    """

    def __init__(self, own_id: str | None, engine: str, depends: Iterable[str]) -> None:
        self._own_id = own_id
        self._addresses = tuple(found for url in (engine, *depends) if (found := _address(url)) is not None)
        host = urlsplit(engine).hostname
        self._here = LOOPBACK | ({host} if host else set())

    def why(self, container: Mapping[str, Any]) -> str:
        """Say why nobody may act on an inspected container; empty: one may."""
        name = name_of(container)
        if container["Id"] == self._own_id:
            return f"{name} is the remediator itself"
        if (container["Config"].get("Labels") or {}).get(PROTECTED) == "true":
            return f"{name} carries {PROTECTED}=true"
        for host, port in self._addresses:
            if host in set(_names(container)) or (host in self._here and port in set(_ports(container))):
                return f"{name} is what the remediator depends on at {host}:{port}"
        return ""

    def hold(self, container: Mapping[str, Any]) -> None:
        """Raise TargetProtected for a container that is not to be touched."""
        if why := self.why(container):
            raise TargetProtected(why)


def _address(url: str) -> tuple[str, int] | None:
    parts = urlsplit(url)
    if parts.hostname is None or parts.scheme not in PORTS:
        return None
    return parts.hostname, parts.port or PORTS[parts.scheme]


def _names(container: Mapping[str, Any]) -> Iterator[str]:
    """Yield by what other containers, and the host, reach a container."""
    yield name_of(container)
    yield container["Id"][:12]
    yield str(container["Config"].get("Hostname") or "")
    for endpoint in (container["NetworkSettings"].get("Networks") or {}).values():
        yield from (endpoint or {}).get("Aliases") or ()
        yield from ((endpoint or {}).get("IPAddress") or "", (endpoint or {}).get("GlobalIPv6Address") or "")


def _ports(container: Mapping[str, Any]) -> Iterator[int]:
    """Yield the host's ports at which a container is reached, as far as the engine knows."""
    host = container["HostConfig"]
    published = [
        *(host.get("PortBindings") or {}).values(),
        *(container["NetworkSettings"].get("Ports") or {}).values(),
    ]
    yield from (int(one["HostPort"]) for bound in published for one in bound or () if one.get("HostPort", "").isdigit())
    if host.get("NetworkMode") == "host":
        yield from (int(port.partition("/")[0]) for port in container["Config"].get("ExposedPorts") or {})
