"""The provider's side of a sign-in over HTTP: its configuration, its keys and its tokens, each answer within limits."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
import msgspec

from receiver.ports import Clock
from receiver.settings_values import is_loopback
from receiver.web.oidc.errors import Unavailable
from receiver.web.oidc.tokens import Keys, read_keys

TIMEOUT: Final = 5.0
"""Seconds for one answer, the wait for a free place included."""

LARGEST: Final = 256 * 1024
"""Bytes of an answer."""

AT_ONCE: Final = 4
"""Requests at once: a slow provider must not take the connections that incidents need."""

KEPT: Final = 3600.0
"""Seconds for which configuration and keys are kept."""

PAUSE: Final = 5.0
"""Seconds after a failure in which nothing is asked again."""

KEYS_PAUSE: Final = 30.0
"""Seconds between two looks for newer keys."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """What the discovery document says.

    Args:
        authorization, token, keys: URLs.
        post: whether the client's secret goes into the body: HTTP basic authentication isn't taken.
        named: whether each answer to a browser names the issuer (RFC 9207).
    """

    authorization: str
    token: str
    keys: str
    post: bool
    named: bool


class Provider:
    """One provider. It is asked when somebody signs in, never before."""

    def __init__(self, issuer: str, http: httpx.AsyncClient, clock: Clock) -> None:
        self._issuer = issuer
        self._http = http
        self._clock = clock
        self._places = asyncio.Semaphore(AT_ONCE)
        self._turn = asyncio.Lock()
        self._known: tuple[float, Configuration] | None = None
        self._keys: tuple[float, Keys] | None = None
        self._failed: tuple[float, str] | None = None

    async def configuration(self) -> Configuration:
        """Return the provider's configuration, at most an hour old.

        Raises:
            Unavailable: it can't be had.
        """
        async with self._turn:
            now = self._clock.monotonic()
            if self._known is not None and now - self._known[0] < KEPT:
                return self._known[1]
            if self._failed is not None and now - self._failed[0] < PAUSE:
                raise Unavailable(self._failed[1])
            try:
                found = self._read(await self._get(f"{self._issuer.rstrip('/')}/.well-known/openid-configuration"))
            except Unavailable as error:
                self._failed = (now, str(error))
                raise
            self._known, self._failed = (now, found), None
            return found

    async def keys(self, *, newer: bool = False) -> Keys:
        """Return the provider's keys, at most an hour old.

        Args:
            newer: a key is missing: look again, but not more often than every half a minute.

        Raises:
            Unavailable: they can't be had.
        """
        url = (await self.configuration()).keys
        async with self._turn:
            now = self._clock.monotonic()
            if self._keys is not None and now - self._keys[0] < (KEYS_PAUSE if newer else KEPT):
                return self._keys[1]
            found = read_keys(await self._get(url))
            if not found:
                raise Unavailable("The provider publishes no key that can be used.")
            self._keys = (now, found)
            return found

    async def trade(self, headers: Mapping[str, str], body: str) -> tuple[int, Mapping[str, Any]]:
        """Return status and JSON of the token endpoint's answer.

        Raises:
            Unavailable: there is none that can be used.
        """
        return await self._ask("POST", (await self.configuration()).token, headers, body)

    async def _get(self, url: str) -> Mapping[str, Any]:
        status, found = await self._ask("GET", url, {}, None)
        if status != 200:
            raise Unavailable(f"The provider answers {status} at {_shown(url)}.")
        return found

    async def _ask(
        self, method: str, url: str, headers: Mapping[str, str], body: str | None
    ) -> tuple[int, Mapping[str, Any]]:
        # Compressed, few bytes could become many.
        asked = {"Accept": "application/json", "Accept-Encoding": "identity", **headers}
        where = _shown(url)
        try:
            async with asyncio.timeout(TIMEOUT), self._places:
                request = self._http.build_request(method, url, headers=asked, content=body, timeout=TIMEOUT)
                answer = await self._http.send(request, stream=True, follow_redirects=False, auth=None)
                try:
                    data = await _read(answer, where)
                finally:
                    await answer.aclose()
        except (TimeoutError, httpx.TimeoutException):
            raise Unavailable(f"The provider gave no answer within {TIMEOUT:g} s at {where}.") from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            reason = str(error) or type(error).__name__
            raise Unavailable(f"The provider can't be reached at {where}: {reason}.") from None
        try:
            return answer.status_code, msgspec.json.decode(data, type=dict[str, Any])
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            raise Unavailable(f"The provider answers {answer.status_code} and no JSON object at {where}.") from None

    def _read(self, document: Mapping[str, Any]) -> Configuration:
        issuer = document.get("issuer")
        if issuer != self._issuer:
            said = f"{issuer[:200]!r}" if isinstance(issuer, str) else "nothing"
            raise Unavailable(f"The provider calls itself {said}, and REMEDIATOR_OIDC_ISSUER is {self._issuer!r}.")
        methods = document.get("token_endpoint_auth_methods_supported")
        taken = methods if isinstance(methods, list) else ["client_secret_basic"]
        return Configuration(
            authorization=self._endpoint(document, "authorization_endpoint"),
            token=self._endpoint(document, "token_endpoint"),
            keys=self._endpoint(document, "jwks_uri"),
            post="client_secret_basic" not in taken and "client_secret_post" in taken,
            named=document.get("authorization_response_iss_parameter_supported") is True,
        )

    def _endpoint(self, document: Mapping[str, Any], name: str) -> str:
        url = document.get(name)
        if not isinstance(url, str) or not is_safe(url, local=self._issuer.startswith("http:")):
            raise Unavailable(f"The provider's configuration has no usable `{name}`: it must be an https URL.")
        return url


def is_safe(url: str, *, local: bool) -> bool:
    """Whether a URL is https, or may be plain http because everything is on this machine's loopback."""
    try:
        parts = urlsplit(url)
        host, usable = parts.hostname, (parts.port or 1) > 0
    except ValueError:
        return False
    if not host or not usable or parts.username is not None or parts.fragment or not url.isascii():
        return False
    if any(character.isspace() or not character.isprintable() for character in url):
        return False
    return parts.scheme == "https" or (local and parts.scheme == "http" and is_loopback(host))


async def _read(answer: httpx.Response, where: str) -> bytes:
    if answer.headers.get("content-encoding", "identity") != "identity":
        raise Unavailable(f"The provider answers compressed, though it was asked not to, at {where}.")
    data = bytearray()
    async for chunk in answer.aiter_raw():
        data += chunk
        if len(data) > LARGEST:
            raise Unavailable(f"The provider gave more than {LARGEST // 1024} KiB at {where}.")
    return bytes(data)


def _shown(url: str) -> str:
    return url.partition("?")[0][:200]
