"""Signing in at the provider: the way there, and the way back."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import structlog
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from receiver.web.oidc.errors import Refused, Unavailable
from receiver.web.pages.frame import Frame
from receiver.web.pages.signing import HOME, Signing, Unknown, safe_next
from receiver.web.problems import Problem
from receiver.web.signin import cookies
from receiver.web.signin.attempts import Attempts
from receiver.web.signin.visitors import Visitor

if TYPE_CHECKING:
    from receiver.web.oidc.flow import Oidc
    from receiver.web.oidc.tokens import Identity

_log = structlog.stdlib.get_logger(__name__)


class OidcSigning:
    """The two routes.

    Args:
        signing: the page that they lead back to, and how a session begins.
    """

    def __init__(self, frame: Frame, signing: Signing, oidc: Oidc) -> None:
        self._frame = frame
        self._signing = signing
        self._oidc = oidc
        self._people = frame.parts.people
        local = "local" in frame.parts.settings.sign_in
        self._instead = "a token" if local else "the command line, which takes a token"
        self._attempts = Attempts(frame.parts.clock, f"use {self._instead}")
        self._count = frame.parts.metrics.sign_ins

    def routes(self) -> list[Route]:
        """Return the routes; everybody may use them."""
        return [
            self._frame.route("/signin/oidc", None, GET=self.leave),
            self._frame.route("/signin/oidc/callback", None, GET=self.come_back),
        ]

    async def leave(self, request: Request, visitor: Visitor) -> Response:
        """Send the browser to the provider."""
        self._public(visitor)
        following = safe_next(request.query_params.get("next"))
        if visitor.session is not None:
            return RedirectResponse(following, 303)
        try:
            where, cookie = await self._oidc.begin(following)
        except Unavailable as error:
            return await self._away(request, visitor, following, error)
        response = RedirectResponse(where, 303)
        cookies.write(response, visitor.door, cookies.OIDC, cookie, seconds=self._oidc.lasts)
        return response

    async def come_back(self, request: Request, visitor: Visitor) -> Response:
        """Take what the provider says for a session; the sign-in is used up by it, however it ends."""
        self._public(visitor)
        address = visitor.door.address
        self._attempts.check(address)
        try:
            response = await self._enter(request, visitor)
        except Refused as error:
            self._refused(address, str(error))
            response = await self._signing.show(request, visitor, HOME, str(error), 403)
        except Unavailable as error:
            response = await self._away(request, visitor, HOME, error)
        cookies.drop(response, visitor.door, cookies.OIDC)
        return response

    async def _enter(self, request: Request, visitor: Visitor) -> Response:
        pairs = request.query_params.multi_items()
        answer = dict(pairs)
        if len(answer) < len(pairs):
            raise Refused("The provider's answer says one thing twice.")
        cookie = cookies.read(request, visitor.door, cookies.OIDC)
        identity, following = await self._oidc.finish(cookie, answer)
        found = self._oidc.person(self._people(), identity)
        if found is None:
            return await self._nobody(request, visitor, identity)
        person, rests_on = found
        self._attempts.succeeded(visitor.door.address)
        return await self._signing.enter(visitor, person, self._oidc.how, rests_on, following)

    async def _nobody(self, request: Request, visitor: Visitor, identity: Identity) -> Response:
        self._refused(visitor.door.address, f"people.yaml doesn't know the subject {identity.subject}")
        issuer, subject = (json.dumps(one, ensure_ascii=False) for one in (self._oidc.issuer, identity.subject))
        email = identity.email or ""
        unknown = Unknown(
            f"{{provider: {issuer}, subject: {subject}}}",
            email if identity.verified else "",
            "" if identity.verified else email,
        )
        wrong = f"{self._oidc.name} signed you in as {identity.subject}, whom people.yaml doesn't know."
        return await self._signing.show(request, visitor, HOME, wrong, 403, unknown=unknown)

    def _public(self, visitor: Visitor) -> None:
        """Let pass who came by the address that the provider sends people back to, and no other."""
        if visitor.door.origin != self._oidc.origin:
            raise Problem(403, f"{self._oidc.name} signs people in at {self._oidc.origin}/signin only.")

    def _refused(self, address: str, why: str) -> None:
        self._attempts.failed(address)
        self._count.labels("oidc", "refused").inc()
        _log.warning("a sign-in failed", address=address, how=self._oidc.how, reason=why)

    async def _away(self, request: Request, visitor: Visitor, following: str, error: Unavailable) -> Response:
        self._count.labels("oidc", "unavailable").inc()
        _log.warning("the sign-in's provider can't be used", how=self._oidc.how, reason=str(error))
        wrong = f"{self._oidc.name} can't sign anybody in now. {error} Try again, or use {self._instead}."
        return await self._signing.show(request, visitor, following, wrong, 503)
