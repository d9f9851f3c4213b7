"""A sign-in between its begin here and its return from the provider: bound to one browser, to be used once.

The browser keeps a signed cookie; what the provider and its token must repeat is derived from the cookie's random id,
so that neither tells the other. The key lives as long as the process: after a restart people press the button again.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

LASTS: Final = 600.0
"""Seconds to sign in at the provider."""

USED: Final = 10_000
"""Sign-ins that are remembered as used; the oldest is forgotten first. Its code is used up at the provider as well."""

_MAC: Final = hashlib.sha256().digest_size


@dataclass(frozen=True, slots=True)
class Begun:
    """A sign-in that was begun.

    Args:
        cookie: what the browser keeps meanwhile.
        following: the page to go on to.
        state: what the provider gives back to the browser.
        nonce: what the provider's token repeats.
        verifier: what proves to the provider that the same one asks for the token (PKCE).
    """

    cookie: str
    following: str
    state: str
    nonce: str
    verifier: str


class Pending:
    """Makes them and knows them again."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)
        self._used: OrderedDict[str, None] = OrderedDict()

    def begin(self, following: str, now: float) -> Begun:
        """Return a new one; `now` is UNIX seconds."""
        identity = secrets.token_urlsafe(32)
        body = json.dumps([identity, now, following]).encode()
        cookie = base64.urlsafe_b64encode(self._mac("cookie", body) + body).decode().rstrip("=")
        return self._begun(cookie, identity, following)

    def find(self, cookie: str, now: float) -> Begun | None:
        """Return the one that a browser's cookie stands for; None: it isn't ours, too old, or used."""
        try:
            given = base64.urlsafe_b64decode(cookie + "=" * (-len(cookie) % 4))
        except ValueError:
            return None
        mac, body = given[:_MAC], given[_MAC:]
        if not hmac.compare_digest(mac, self._mac("cookie", body)):
            return None
        identity, at, following = json.loads(body)
        begun = self._begun(cookie, identity, following)
        return begun if 0 <= now - at < LASTS and begun.state not in self._used else None

    def use(self, begun: Begun) -> None:
        """Let it never be found again."""
        self._used[begun.state] = None
        while len(self._used) > USED:
            self._used.popitem(last=False)

    def _begun(self, cookie: str, identity: str, following: str) -> Begun:
        state, nonce, verifier = (self._derived(what, identity) for what in ("state", "nonce", "verifier"))
        return Begun(cookie, following, state, nonce, verifier)

    def _derived(self, what: str, identity: str) -> str:
        return base64.urlsafe_b64encode(self._mac(what, identity.encode())).decode().rstrip("=")

    def _mac(self, what: str, data: bytes) -> bytes:
        return hmac.new(self._key, what.encode() + b"\0" + data, hashlib.sha256).digest()
