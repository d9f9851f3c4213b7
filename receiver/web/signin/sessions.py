"""Sessions of browsers: kept by the server, so that they end when they should and outlive a restart.

A browser holds a random id; the store holds its hash, whose session it is and what it rests on. Each use asks today's
people.yaml again.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from receiver.people import People, Person
from receiver.ports import Clock, Store
from receiver.settings import Settings
from receiver.web.signin import cookies

KEY: Final = "web.sessions"
MOST: Final = 1000
"""Sessions at once; the one that was not used for longest makes room."""

TOUCH_EVERY: Final = 60.0
"""Seconds between two writes of when a session was last used, unless its idle limit is shorter than ten of them."""


@dataclass(frozen=True, slots=True)
class Session:
    """Somebody who signed in.

    Args:
        person: their id in people.yaml.
        how: `token`, or `oidc` and the issuer.
        rests_on: what must still be in people.yaml: the hash of the token, or of the identity or address.
        began, used: UNIX seconds.
    """

    person: str
    how: str
    rests_on: str
    began: float
    used: float


class Sessions:
    """All of them.

    Args:
        stands: whether what a session rests on still belongs to that person.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        settings: Settings,
        people: Callable[[], People],
        stands: Callable[[Person, Session], bool],
    ) -> None:
        self._store = store
        self._clock = clock
        self._idle, self.limit = settings.session_idle, settings.session_limit
        self._people = people
        self._stands = stands
        self._turn = asyncio.Lock()
        self._kept: dict[str, Session] | None = None

    async def begin(self, person: Person, how: str, rests_on: str) -> str:
        """Return the id of a new session, to be the cookie's value; it stands in the store when this returns."""
        made, now = cookies.make(), self._clock.now()
        async with self._turn:
            kept = await self._all()
            kept[_hash(made)] = Session(person.id, how, rests_on, now, now)
            while len(kept) > MOST:
                del kept[min(kept, key=lambda one: kept[one].used)]
            await self._write(kept)
        return made

    async def find(self, value: str, *, used: bool = True) -> tuple[Person, Session] | None:
        """Return whose session it is, None when it has ended or never was.

        Args:
            used: whether a person did something; what an open page asks by itself doesn't keep its session alive.
        """
        name, now = _hash(value), self._clock.now()
        async with self._turn:
            kept = await self._all()
            session = kept.get(name)
            if session is None:
                return None
            person = self._people().get(session.person)
            if person is None or not self._valid(session, person, now):
                del kept[name]
                await self._write(kept)
                return None
            if used and now - session.used >= min(TOUCH_EVERY, self._idle / 10):
                kept[name] = session = replace(session, used=now)
                await self._write(kept)
            return person, session

    async def end(self, value: str) -> None:
        """End one, whatever its state."""
        async with self._turn:
            kept = await self._all()
            if kept.pop(_hash(value), None) is not None:
                await self._write(kept)

    def lasts(self, value: str, person: Person) -> bool:
        """Whether a session that was found goes on; does not count as a use of it."""
        session = (self._kept or {}).get(_hash(value))
        return session is not None and self._valid(session, person, self._clock.now())

    def _valid(self, session: Session, person: Person, now: float) -> bool:
        return self._lasts(session, now) and self._stands(person, session)

    def _lasts(self, session: Session, now: float) -> bool:
        return now - session.used < self._idle and now - session.began < self.limit

    async def _all(self) -> dict[str, Session]:
        if self._kept is None:
            stored: dict[str, Any] = await self._store.get(KEY) or {}
            self._kept = {name: Session(**one) for name, one in stored.items()}
        return self._kept

    async def _write(self, kept: dict[str, Session]) -> None:
        now = self._clock.now()
        self._kept = {name: one for name, one in kept.items() if self._lasts(one, now)}
        await self._store.put(KEY, {name: asdict(one) for name, one in self._kept.items()})


def _hash(value: str) -> str:
    """Return what the store knows a session by: whoever reads the database can't take a session over."""
    return hashlib.sha256(value.encode()).hexdigest()
