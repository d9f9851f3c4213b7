"""A network bridge of our own for an engine of our own, on a subnet that nothing on this machine uses."""

import ipaddress
import json
import subprocess
from typing import Final

from deploy.parts.process import PartError

POOL: Final = ipaddress.ip_network("10.213.0.0/16")
"""Bridges take a /24 from its lower half, user-defined networks from its upper half (see NETWORK_POOL)."""

BRIDGE_POOL, NETWORK_POOL = POOL.subnets(prefixlen_diff=1)


def create(name: str) -> str:
    """Create a bridge (at most 15 characters) on a free /24 and return its address with prefix length.

    Raises:
        PartError: we may not, or every subnet is taken.
    """
    remove(name)
    for subnet in BRIDGE_POOL.subnets(new_prefix=24):
        if any(subnet.overlaps(used) for used in _used()):
            continue
        address = f"{subnet.network_address + 1}/24"
        _ip("link", "add", name, "type", "bridge")
        _ip("address", "add", address, "dev", name)
        _ip("link", "set", name, "up")
        return address
    raise PartError(f"no free subnet in {BRIDGE_POOL} for a bridge; `ip route` shows what uses them")


def remove(name: str) -> None:
    """Remove a bridge; harmless when it isn't there."""
    subprocess.run(["ip", "link", "delete", name], capture_output=True, timeout=30, check=False)


def _used() -> list[ipaddress.IPv4Network]:
    routes = json.loads(_ip("-json", "-4", "route", "show", "table", "all") or "[]")
    destinations = [str(route.get("dst", "")) for route in routes]
    networks = [text for text in destinations if text and text[0].isdigit()]
    return [ipaddress.IPv4Network(text, strict=False) for text in networks]


def _ip(*arguments: str) -> str:
    command = ["ip", *arguments]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    except FileNotFoundError as error:
        raise PartError("`ip` isn't there: install the Debian package iproute2") from error
    if answer.returncode:
        raise PartError(f"`{' '.join(command)}` failed: {answer.stderr.strip()}")
    return answer.stdout
