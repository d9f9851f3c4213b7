"""Who acts: what each decision's audit keeps, whichever channel it came through."""

from __future__ import annotations

from dataclasses import dataclass

LOCAL = "local"
"""The person of whoever acts on loopback as long as people.yaml names nobody."""


@dataclass(frozen=True, slots=True)
class Principal:
    """A person who was told by their credential, and the way that they came.

    Args:
        person: their id in people.yaml, or `local`.
        via: `slack`, `web`, `cli` or `api`.
        signed_in: how it is known who they are: `token`, `oidc` and the provider's issuer, `proxy`, `slack` (its
            signature), or `loopback` when nobody had to sign in.
        address: from where the request came, an IP address where there is one; empty when that isn't known.
    """

    person: str
    via: str
    signed_in: str = ""
    address: str = ""
