"""Signing in with a person's token, and out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import structlog
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from receiver.people import Person, hash_token
from receiver.web.pages.forms import read_form
from receiver.web.pages.frame import Frame
from receiver.web.problems import Problem
from receiver.web.signin import cookies
from receiver.web.signin.attempts import Attempts
from receiver.web.signin.visitors import Visitor

HOME: Final = "/incidents"

_log = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Unknown:
    """Somebody whom a provider vouches for, and people.yaml doesn't know: as what stands there in YAML.

    Args:
        entry: the line for `identities`.
        email: their address, when the provider verified it.
        unverified: the address that it didn't verify.
    """

    entry: str
    email: str = ""
    unverified: str = ""


class Signing:
    """The form to sign in, and its end."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._parts = frame.parts
        self._settings = frame.parts.settings
        self._attempts = Attempts(frame.parts.clock, "use the command line: it takes the same token")

    def routes(self) -> list[Route]:
        """Return the routes; everybody may use them."""
        return [
            self._frame.route("/signin", None, GET=self.form, POST=self.sign_in),
            self._frame.route("/signout", None, POST=self.sign_out),
        ]

    async def form(self, request: Request, visitor: Visitor) -> Response:
        """Show the form; who is signed in already goes on."""
        following = safe_next(request.query_params.get("next"))
        if visitor.person is not None:
            return RedirectResponse(following, 303)
        return await self.show(request, visitor, following)

    async def show(
        self,
        request: Request,
        visitor: Visitor,
        following: str,
        wrong: str = "",
        status: int = 200,
        *,
        unknown: Unknown | None = None,
    ) -> Response:
        """Return the page with every way to sign in.

        Args:
            following: the page to go on to.
            wrong: why the last try failed.
            unknown: whom the provider vouches for, and people.yaml doesn't know.
        """
        return await self._frame.page(
            request,
            visitor,
            "signin.html",
            status,
            here="signin",
            next=following,
            wrong=wrong,
            ways=self._settings.sign_in,
            private=visitor.door.private,
            outside=self._settings.external_url or "",
            oidc=self._parts.oidc,
            unknown=unknown,
        )

    async def sign_in(self, request: Request, visitor: Visitor) -> Response:
        """Take a token for a session."""
        if "local" not in self._settings.sign_in or not visitor.door.private:
            raise Problem(403, "Nobody signs in with a token here.")
        fields = await read_form(request, visitor, self._settings.body_timeout)
        following, address = safe_next(fields.get("next")), visitor.door.address
        self._attempts.check(address)
        token = fields.get("token", "").strip()
        person = self._parts.people().authenticate(token)
        if person is None:
            self._attempts.failed(address)
            self._parts.metrics.sign_ins.labels("token", "refused").inc()
            _log.warning("a sign-in failed", address=address, how="token")
            wrong = "This is nobody's token. It begins with rmd_ and stands nowhere but with its owner."
            return await self.show(request, visitor, following, wrong, 403)
        self._attempts.succeeded(address)
        return await self.enter(visitor, person, "token", hash_token(token), following)

    async def enter(self, visitor: Visitor, person: Person, how: str, rests_on: str, following: str) -> Response:
        """Begin a session, under a new id: one that was known before signing in is worth nothing afterwards."""
        sessions = self._frame.visitors.sessions
        if visitor.session is not None:
            await sessions.end(visitor.session)
        made = await sessions.begin(person, how, rests_on)
        self._parts.metrics.sign_ins.labels(how.partition(" ")[0], "done").inc()
        _log.info("signed in", person=person.id, how=how, address=visitor.door.address)
        response = RedirectResponse(following, 303)
        cookies.write(response, visitor.door, cookies.SESSION, made, seconds=sessions.limit)
        return response

    async def sign_out(self, request: Request, visitor: Visitor) -> Response:
        """End the session."""
        await read_form(request, visitor, self._settings.body_timeout)
        if visitor.session is not None:
            await self._frame.visitors.sessions.end(visitor.session)
            _log.info("signed out", person=visitor.id, address=visitor.door.address)
        response = RedirectResponse("/signin", 303)
        cookies.drop(response, visitor.door, cookies.SESSION)
        response.headers["clear-site-data"] = '"cache"'
        return response


def safe_next(wanted: str | None) -> str:
    """Return a path of this service to go on to; never another site's."""
    if wanted is None or len(wanted) > 500 or not wanted.isprintable() or not wanted.isascii():
        return HOME
    # A browser takes `//name` and `/\name` for another host; the way in leads nowhere.
    return wanted if wanted.startswith("/") and not wanted.startswith(("//", "/\\", "/signin")) else HOME
