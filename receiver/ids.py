"""Unique names, made of the operating system's randomness."""

from __future__ import annotations

import hashlib
import os

_LETTERS = "23456789abcdefghjkmnpqrstuvwxyz"
"""Letters and digits that are not mistaken for each other at night: no 0 and o, no 1, l and i."""


def _random(length: int) -> str:
    """Return that many letters, each equally likely."""
    found = ""
    while len(found) < length:
        # Five bits name one of 32; the ones beyond the alphabet are thrown away, a remainder would favour some.
        found += "".join(_LETTERS[byte & 31] for byte in os.urandom(length) if byte & 31 < len(_LETTERS))
    return found[:length]


def incident_once(wish: str) -> str:
    """Return the id of the incident that a wish begins: the same wish, the same id; as rarely met as a random one."""
    number = int.from_bytes(hashlib.blake2s(wish.encode()).digest())
    found = ""
    for _ in range(8):
        number, rest = divmod(number, len(_LETTERS))
        found += _LETTERS[rest]
    return f"i-{found}"


class RandomIds:
    """`receiver.ports.Ids`: short enough to type at 3 a.m., long enough hardly ever to meet in one database.

    Eight letters of 31 make 8.5e11 names: among 100,000 incidents two are the same with a chance of 0.6 %, and then
    the unique index refuses the second and its webhook comes again. Actions are named for good, on targets too: 16.
    """

    def incident(self) -> str:
        """Return a new incident's id, e.g. `i-k3f9x2qd`."""
        return "i-" + _random(8)

    def action(self) -> str:
        """Return a new action id: `a-` and 16 letters."""
        return "a-" + _random(16)

    def approval(self) -> str:
        """Return a new approval's id, e.g. `p-k3f9x2qdm4`."""
        return "p-" + _random(10)
