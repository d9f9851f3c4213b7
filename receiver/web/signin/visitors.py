"""Who looks at a page: by a session, by a trusted proxy's word, or as whoever is on this machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from starlette.requests import Request

from receiver.core.principal import LOCAL, Principal
from receiver.people import Person, Role
from receiver.settings import Settings
from receiver.web.ports import Parts
from receiver.web.problems import Problem
from receiver.web.signin import cookies
from receiver.web.signin.door import Door, Doors
from receiver.web.signin.sessions import Session, Sessions

LONGEST_IDENTITY: Final = 320


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who looks at a page, and what they may do there.

    Args:
        id: what stands in timelines; empty when it is nobody.
        name: for people.
        how: as `Principal.signed_in`: `token`, `proxy`, `oidc ISSUER` or `loopback`; empty for nobody.
        door: through which they came.
        secret: what the tokens of their forms are made of.
        person: None when people.yaml doesn't name them.
        alone: whether people.yaml names nobody at all.
        session: the session's cookie, None without one.
        fresh: whether the browser has to be given `secret` in its form cookie.
    """

    id: str
    name: str
    how: str
    door: Door
    secret: str
    person: Person | None = None
    alone: bool = False
    session: str | None = None
    fresh: bool = False

    @property
    def form_token(self) -> str:
        """What each of their forms has to carry."""
        return cookies.form_token(self.secret)

    @property
    def principal(self) -> Principal:
        """Who acts, for what they decide."""
        return Principal(self.id, "web", self.how, self.door.address)

    def may(self, role: Role) -> bool:
        """Whether they may do what needs this role; as on the API, nobody approves before people.yaml names them."""
        if self.person is not None:
            return self.person.may(role)
        if self.id != LOCAL:
            return False
        return role is Role.VIEWER or (self.alone and role is not Role.APPROVER)


class Visitors:
    """Tells them by their requests."""

    def __init__(self, parts: Parts, settings: Settings) -> None:
        self.doors = Doors(settings)
        self.sessions = Sessions(parts.store, parts.clock, settings, parts.people, self._stands)
        self._people = parts.people
        self._oidc = parts.oidc
        self._ways = settings.sign_in
        self._header = settings.proxy_user_header
        self._open = settings.listen.loopback or settings.webhook_is_open

    async def of(self, request: Request) -> Visitor:
        """Return who asks; nobody is a visitor too, who may do nothing.

        Raises:
            Problem: the Host is foreign, or a trusted proxy names somebody whom people.yaml doesn't (403).
        """
        door = self.doors.of(request)
        people = self._people()
        kept = cookies.read(request, door, cookies.FORM)
        secret, fresh = kept or cookies.make(), kept is None
        cookie = cookies.read(request, door, cookies.SESSION)
        if cookie is not None and (found := await self.sessions.find(cookie, used=not _by_itself(request))) is not None:
            person, session = found
            return Visitor(person.id, person.name, session.how, door, cookie, person, session=cookie)
        if door.trusted and "proxy" in self._ways and (named := self._named(request)) is not None:
            return Visitor(named.id, named.name, "proxy", door, secret, named, fresh=fresh)
        if self._open and door.local and not door.trusted:
            alone = not people.by_id
            return Visitor(LOCAL, "this machine", "loopback", door, secret, alone=alone, fresh=fresh)
        return Visitor("", "", "", door, secret, fresh=fresh)

    def _named(self, request: Request) -> Person | None:
        """Return whom a trusted proxy names, None when it names nobody."""
        given = request.headers.getlist(self._header)
        if not given or not any(given):
            return None
        # Two headers: one may be what the visitor sent themselves, and nobody can tell which.
        identity = given[0].strip()
        person = self._people().by_identity("proxy", identity) if len(given) == 1 else None
        if person is None:
            raise Problem(403, f"The proxy names {identity[:LONGEST_IDENTITY]}, whom people.yaml doesn't know so.")
        return person

    def still(self, visitor: Visitor) -> bool:
        """Whether a visitor whose request goes on may still read, by today's people.yaml and their session."""
        if visitor.person is None:
            return visitor.id == LOCAL
        person = self._people().get(visitor.id)
        return person is not None and (visitor.session is None or self.sessions.lasts(visitor.session, person))

    def _stands(self, person: Person, session: Session) -> bool:
        """Whether what a session rests on is still that person's, and still a way to sign in."""
        if session.rests_on in person.token_hashes:
            return True
        return self._oidc is not None and self._oidc.stands(person, session.rests_on)


def _by_itself(request: Request) -> bool:
    """Whether a page asks on its own: its live feed, a part of it, or a list that looks again."""
    if request.method not in {"GET", "HEAD"}:
        return False
    asked = request.headers
    return "x-part" in asked or "hx-request" in asked or "text/event-stream" in asked.get("accept", "")
