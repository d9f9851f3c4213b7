"""How often one address may fail to sign in."""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from typing import Final

from receiver.ports import Clock
from receiver.web.problems import Problem

FAILURES: Final = 10
WINDOW: Final = 300.0
"""Seconds within which so many failures of one address are too many."""

ADDRESSES: Final = 10_000
"""Addresses that are remembered; the one heard of longest ago is forgotten first."""


class Attempts:
    """Failures by address; of IPv6 by /64, as one machine has a whole one.

    Args:
        instead: what else a person can do meanwhile.
    """

    def __init__(self, clock: Clock, instead: str) -> None:
        self._clock = clock
        self._instead = instead
        self._failed: OrderedDict[str, list[float]] = OrderedDict()

    def check(self, address: str) -> None:
        """Let an attempt pass.

        Raises:
            Problem: there were too many (429), with when to come back.
        """
        now = self._clock.monotonic()
        recent = [at for at in self._failed.get(_place(address), ()) if now - at < WINDOW]
        if len(recent) >= FAILURES:
            wait = max(1, round(recent[0] + WINDOW - now))
            detail = f"Too many failed attempts to sign in from {address}. Try again in {wait} s, or {self._instead}."
            raise Problem(429, detail, headers=[(b"retry-after", str(wait).encode())])

    def failed(self, address: str) -> None:
        """Count a failure."""
        now = self._clock.monotonic()
        recent = [at for at in self._failed.pop(_place(address), ()) if now - at < WINDOW]
        self._failed[_place(address)] = [*recent, now][-FAILURES:]
        while len(self._failed) > ADDRESSES:
            self._failed.popitem(last=False)

    def succeeded(self, address: str) -> None:
        """Forget an address's failures."""
        self._failed.pop(_place(address), None)


def _place(address: str) -> str:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is None:
        return str(ipaddress.ip_network((found, 64), strict=False))
    return address
