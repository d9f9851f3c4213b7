"""Through which name a browser reached the service, and from where; what an attacker could choose is refused."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias
from urllib.parse import urlsplit

from starlette.requests import Request

from receiver.settings import Settings
from receiver.settings_values import is_loopback
from receiver.web.auth import head_of
from receiver.web.problems import Problem

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

LONGEST_CHAIN: Final = 20
"""Addresses of a forwarded request that are looked at."""


@dataclass(frozen=True, slots=True)
class Door:
    """How a browser sees the service.

    Args:
        origin: scheme, name and port, as the browser's Origin header has it.
        secure: whether that is https.
        local: whether it is this machine's own loopback, with no proxy between.
        address: of who asks; what proxies say of it counts only when they are trusted.
        trusted: whether a trusted proxy passed it on.
    """

    origin: str
    secure: bool
    local: bool
    address: str
    trusted: bool

    @property
    def private(self) -> bool:
        """Whether nobody on the way can read what is sent: where not, a token must not be typed in."""
        return self.secure or self.local


class Doors:
    """Tells doors apart by the settings."""

    def __init__(self, settings: Settings) -> None:
        outside = urlsplit(settings.external_url or "")
        self._name = outside.netloc.rpartition("@")[2].lower()
        self._origin = f"{outside.scheme}://{self._name}" if self._name else ""
        self._trusted: Sequence[Network] = settings.trusted_proxies

    def of(self, request: Request) -> Door:
        """Return the door that a request came through.

        Raises:
            Problem: its Host is none of this service's names (403).
        """
        head = head_of(dict(request.scope["headers"]))
        peer = request.client.host if request.client is not None else ""
        host = (head.host or b"").decode("latin-1").lower()
        trusted = self.trusts(peer)
        address = self._address(request, peer) if trusted else peer
        secure = self._origin.startswith("https:")
        outside = bool(self._name) and (host == self._name or head.forwarded)
        if not head.forwarded and _is_loopback_host(host) and not (outside and secure):
            return Door(f"http://{host}", secure=False, local=True, address=address, trusted=trusted)
        if outside:
            return Door(self._origin, secure=secure, local=False, address=address, trusted=trusted)
        raise Problem(
            403,
            "The service answers to loopback names and to that of REMEDIATOR_EXTERNAL_URL. Set it to the address that "
            "people use, such as https://remediator.example.com.",
            errors=[{"where": "Host", "message": "is not this service's name"}],
        )

    def trusts(self, address: str) -> bool:
        """Whether an address is a trusted proxy's."""
        try:
            found = ipaddress.ip_address(address)
        except ValueError:
            return False
        if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
            found = found.ipv4_mapped
        return any(found in network for network in self._trusted)

    def _address(self, request: Request, peer: str) -> str:
        """Walk X-Forwarded-For from its end: the first that isn't a trusted proxy's is who asks."""
        chain = [one.strip() for one in ",".join(request.headers.getlist("x-forwarded-for")).split(",") if one.strip()]
        current = peer
        for one in reversed(chain[-LONGEST_CHAIN:]):
            try:
                current = str(ipaddress.ip_address(one))
            except ValueError:
                break
            if not self.trusts(current):
                break
        return current


def _is_loopback_host(host: str) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname
    except ValueError:
        return False
    return name is not None and is_loopback(name)
