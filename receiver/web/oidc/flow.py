"""A sign-in at the provider from our button to a person of people.yaml, and what its session rests on."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import httpx

from receiver.people import People, Person
from receiver.ports import Clock
from receiver.settings import Settings
from receiver.web.oidc.errors import Refused, Unavailable, UnknownKey
from receiver.web.oidc.pending import LASTS, Begun, Pending
from receiver.web.oidc.provider import Provider
from receiver.web.oidc.tokens import Client, Identity, Keys, authorization_url, read_token, token_request

CALLBACK: Final = "/signin/oidc/callback"
LONGEST_CODE: Final = 4096
AGAIN: Final = "Press the button again."


class Oidc:
    """The sign-in at one provider.

    Args:
        settings: with issuer, client and the service's public address.
    """

    def __init__(self, settings: Settings, http: httpx.AsyncClient, clock: Clock) -> None:
        outside = urlsplit(settings.external_url or "")
        self.origin = f"{outside.scheme}://{outside.netloc.rpartition('@')[2].lower()}"
        self.issuer = settings.oidc_issuer or ""
        self.name = settings.oidc_name or urlsplit(self.issuer).netloc
        self.how = f"oidc {self.issuer}"
        self.lasts = LASTS
        self._client = Client(settings.oidc_client_id, settings.oidc_client_secret, f"{self.origin}{CALLBACK}")
        self._scopes = tuple(dict.fromkeys(("openid", *settings.oidc_scopes)))
        self._clock = clock
        self._pending = Pending()
        self._provider = Provider(self.issuer, http, clock)

    async def begin(self, following: str) -> tuple[str, str]:
        """Return where the browser goes to, and the cookie that it comes back with.

        Args:
            following: our own page to go on to afterwards.

        Raises:
            Unavailable: the provider can't be asked how.
        """
        configuration = await self._provider.configuration()
        begun = self._pending.begin(following, self._clock.now())
        url = authorization_url(
            configuration.authorization,
            self._client,
            scopes=self._scopes,
            state=begun.state,
            nonce=begun.nonce,
            verifier=begun.verifier,
        )
        return url, begun.cookie

    async def finish(self, cookie: str | None, answer: Mapping[str, str]) -> tuple[Identity, str]:
        """Return whom the provider vouches for, and the page to go on to.

        Args:
            cookie: that the browser came back with.
            answer: what the provider gave the browser to bring: `code` and `state`, or `error`.

        Raises:
            Refused: it isn't believed.
            Unavailable: the provider can't be asked.
        """
        begun = self._pending.find(cookie, self._clock.now()) if cookie is not None else None
        if begun is None:
            raise Refused(f"This sign-in was not begun in this browser, more than ten minutes ago, or is used. {AGAIN}")
        if not hmac.compare_digest(answer.get("state", "").encode(), begun.state.encode()):
            raise Refused(f"The answer belongs to another sign-in than the one begun last in this browser. {AGAIN}")
        self._pending.use(begun)
        configuration = await self._provider.configuration()
        if answer.get("iss", None if configuration.named else self.issuer) != self.issuer:
            raise Refused("The answer comes from another provider than the one that was asked.")
        if "error" in answer:
            raise Refused(f"The provider did not sign you in: {_told(answer)}.")
        code = answer.get("code", "")
        if not 0 < len(code) <= LONGEST_CODE:
            raise Refused("The provider's answer has no code.")
        headers, body = token_request(configuration.token, self._client, code, begun.verifier, post=configuration.post)
        status, given = await self._provider.trade(headers, body)
        return await self._identity(status, given, begun), begun.following

    async def _identity(self, status: int, given: Mapping[str, Any], begun: Begun) -> Identity:
        if status >= 500:
            raise Unavailable(f"The provider answers {status} when it is asked for the token.")
        token, access = given.get("id_token"), given.get("access_token", "")
        if status != 200 or not isinstance(token, str) or not isinstance(access, str):
            raise Refused(f"The provider gave no token ({status}): {_told(given)}.")
        try:
            return self._read(token, access, begun, await self._provider.keys())
        except UnknownKey:
            return self._read(token, access, begun, await self._provider.keys(newer=True))

    def _read(self, token: str, access: str, begun: Begun, keys: Keys) -> Identity:
        now = self._clock.now()
        return read_token(token, keys, self._client, issuer=self.issuer, nonce=begun.nonce, access=access, now=now)

    def person(self, people: People, identity: Identity) -> tuple[Person, str] | None:
        """Return who that is by people.yaml, with what their session then rests on; None: nobody.

        The identity counts first. By an address that the provider verified is known only who has no identity of this
        provider: with one, the address may be somebody else's by now.
        """
        person = people.by_identity(self.issuer, identity.subject)
        if person is not None:
            return person, self._rest("sub", identity.subject)
        if identity.email is None or not identity.verified:
            return None
        person = people.by_email(identity.email)
        if person is None or self._bound(person):
            return None
        return person, self._rest("email", identity.email.lower())

    def stands(self, person: Person, rests_on: str) -> bool:
        """Whether what a session rests on is still that person's, at this provider."""
        own = [self._rest("sub", one.subject) for one in person.identities if one.provider == self.issuer]
        if person.email is not None and not self._bound(person):
            own.append(self._rest("email", person.email.lower()))
        return rests_on in own

    def _bound(self, person: Person) -> bool:
        return any(one.provider == self.issuer for one in person.identities)

    def _rest(self, kind: str, value: str) -> str:
        return "oidc:" + hashlib.sha256(f"{self.issuer}\0{kind}\0{value}".encode()).hexdigest()


def _told(answer: Mapping[str, Any]) -> str:
    """Return a provider's error code and its words; whoever shows them escapes them."""
    words = [str(answer[name])[:200] for name in ("error", "error_description") if answer.get(name)]
    return ": ".join("".join(one if one.isprintable() else " " for one in text) for text in words) or "it says no more"
