"""Who asks, and what they may do.

Three kinds of credentials, none of which grants what another does: the webhook's, the metrics', and people's. On
loopback, without credentials, a request must not come from a web page (its Host and Origin are looked at), or any page
that a browser of this machine shows could drive the service.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from receiver.core.principal import LOCAL
from receiver.people import People, Person, Role
from receiver.settings import Settings
from receiver.settings_values import is_loopback
from receiver.web.problems import Problem

CHALLENGE: Final = (b"www-authenticate", b'Bearer realm="remediator"')
BASIC: Final = (b"www-authenticate", b'Basic realm="remediator", charset="UTF-8"')
MAX_CREDENTIAL: Final = 4096


def _digest(value: bytes) -> bytes:
    return hashlib.sha256(value).digest()


def _among(value: bytes, digests: Sequence[bytes]) -> bool:
    """Compare with every one, whichever fits: time tells neither which nor how much of it."""
    given = _digest(value)
    found = False
    for digest in digests:
        found |= hmac.compare_digest(given, digest)
    return found


def bearer(header: bytes | None) -> bytes | None:
    """Return the token of an Authorization header, None when it holds none."""
    if header is None or len(header) > MAX_CREDENTIAL or header[:7].lower() != b"bearer ":
        return None
    return header[7:].strip()


class Head(NamedTuple):
    """What of a request's headers says who asks and from where.

    Args:
        authorization, host, origin: the headers' values, None without them.
        forwarded: whether a proxy passed the request on; it then doesn't come from this machine, however it arrived.
    """

    authorization: bytes | None = None
    host: bytes | None = None
    origin: bytes | None = None
    forwarded: bool = False


FORWARDED: Final = frozenset({b"forwarded", b"x-forwarded-for", b"x-forwarded-host", b"x-real-ip", b"via"})
"""Headers that proxies add."""


def head_of(headers: Mapping[bytes, bytes]) -> Head:
    """Return what matters of a request's headers."""
    get = headers.get
    return Head(get(b"authorization"), get(b"host"), get(b"origin"), not FORWARDED.isdisjoint(headers))


class WebhookAuth:
    """The webhook's own credentials: bearer tokens, or one user with passwords; several valid for rotation."""

    def __init__(self, settings: Settings) -> None:
        self._tokens = [_digest(one.encode()) for one in settings.webhook_tokens]
        users = [f"{settings.webhook_user}:{one}".encode() for one in settings.webhook_password]
        self._users = [_digest(one) for one in users]
        self.open = not (self._tokens or self._users)
        self._guard = BrowserGuard(settings)

    def check(self, head: Head) -> None:
        """Let the request pass.

        Raises:
            Problem: credentials are missing or wrong (401), or it comes from a web page or through a proxy (403).
        """
        authorization = head.authorization
        if self.open:
            self._guard.check(head)
        elif authorization is None or len(authorization) > MAX_CREDENTIAL or not self._known(authorization):
            what = "None was sent" if authorization is None else "The one that was sent is not valid"
            detail = f"The webhook needs a credential. {what}: see `http_config` in Alertmanager's webhook_configs."
            raise Problem(401, detail, headers=[CHALLENGE, *([BASIC] if self._users else [])])

    def _known(self, authorization: bytes) -> bool:
        token = bearer(authorization)
        if token is not None:
            return _among(token, self._tokens)
        if authorization[:6].lower() != b"basic ":
            return False
        try:
            return _among(base64.b64decode(authorization[6:].strip(), validate=True), self._users)
        except binascii.Error:
            return False


class BrowserGuard:
    """Refuses what a web page could make a browser on this machine send: a foreign Origin, or a name rebound to us."""

    def __init__(self, settings: Settings) -> None:
        self._own = {urlsplit(settings.external_url).netloc.lower()} if settings.external_url else set()
        # The same few names come with every request; what an attacker sends pushes out at most as many.
        self._ours = lru_cache(maxsize=64)(self._is_ours)

    def check(self, head: Head) -> None:
        """Let the request pass.

        Raises:
            Problem: it is refused (403).
        """
        host, origin = head.host, head.origin
        if head.forwarded:
            detail = "It came through a proxy, so not from this machine: configure a token for it."
            raise Problem(403, detail, errors=[{"where": "Forwarded", "message": "needs a credential"}])
        if host is not None and not self._ours(host):
            detail = (
                "Without credentials the service answers to loopback names only. "
                "Set REMEDIATOR_EXTERNAL_URL to the name that is used, or configure a token."
            )
            raise Problem(403, detail, errors=[{"where": "Host", "message": "is not this service's name"}])
        if origin is not None and not self._ours(origin.partition(b"://")[2]):
            detail = "The request comes from a web page of another site."
            raise Problem(403, detail, errors=[{"where": "Origin", "message": "is not this service"}])

    def _is_ours(self, header: bytes) -> bool:
        lowered = header.decode("latin-1").lower()
        try:
            name = urlsplit(f"//{lowered}").hostname
        except ValueError:
            return False
        return lowered in self._own or (name is not None and is_loopback(name))


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: the id that stands in timelines, and how it is known, as in `Principal`."""

    id: str
    signed_in: str


class ApiAuth:
    """People's tokens for API and controls; loopback reads are open."""

    def __init__(self, settings: Settings) -> None:
        self._metrics = [_digest(one.encode()) for one in settings.metrics_tokens]
        self._local = settings.listen.loopback or settings.webhook_is_open
        self._guard = BrowserGuard(settings)

    def check_metrics(self, people: People, head: Head) -> None:
        """Let a scrape pass: a metrics token, a person's, or loopback.

        Raises:
            Problem: 401 or 403.
        """
        token = bearer(head.authorization)
        if token is None or not _among(token, self._metrics):
            self.check(people, Role.VIEWER, head)

    def check(self, people: People, role: Role, head: Head) -> Caller:
        """Return who asks, when they may.

        Args:
            role: that is needed for it.

        Raises:
            Problem: no or an unknown token (401), or the role is missing (403).
        """
        if head.authorization is not None:
            person = self._person(people, head.authorization)
            if not person.may(role):
                raise Problem(403, f"{person.name} may not do this: it needs the role {role} in people.yaml.")
            return Caller(person.id, "token")
        if not self._local or head.forwarded:
            raise Problem(401, "A person's token is needed: Authorization: Bearer ...", headers=[CHALLENGE])
        self._guard.check(head)
        if role is Role.VIEWER:
            return Caller(LOCAL, "loopback")
        if people.by_id:
            raise Problem(401, "This needs a person's token, also on this machine.", headers=[CHALLENGE])
        if role is Role.APPROVER:
            detail = (
                "Nobody can approve yet: people.yaml names nobody. "
                "Make a token and an entry with `remediator token NAME`, then reload."
            )
            raise Problem(403, detail)
        return Caller(LOCAL, "loopback")

    def _person(self, people: People, authorization: bytes) -> Person:
        token = bearer(authorization)
        person = None
        if token is not None:
            try:
                person = people.authenticate(token.decode("ascii"))
            except UnicodeDecodeError:
                person = None
        if person is None:
            raise Problem(401, "The token is not one of people.yaml's.", headers=[CHALLENGE])
        return person
