"""The people who may use the service, what each may do, and their tokens, of which only hashes are kept."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

_PREFIX = "rmd_"
_HASH = re.compile(r"sha256:[0-9a-f]{64}", re.ASCII)
_MAX_TOKEN = 512


class Role(StrEnum):
    """What a person may do; each role includes the ones before it.

    VIEWER reads. RESPONDER acknowledges, takes over, pauses, resumes, adds notes and closes. APPROVER approves and
    denies. ADMIN turns the kill switch and reloads policy and people.
    """

    VIEWER = "viewer"
    RESPONDER = "responder"
    APPROVER = "approver"
    ADMIN = "admin"

    def includes(self, other: Role) -> bool:
        """Whether who has this role may do what the other allows."""
        order = tuple(Role)
        return order.index(self) >= order.index(other)


class SlackId(NamedTuple):
    """A user of one Slack workspace. Both ids count: names and e-mail addresses can be changed by their owner."""

    team: str
    user: str


class Identity(NamedTuple):
    """Who signs in by the web: a provider's issuer URL and the subject that it calls them.

    Behind a reverse proxy that signs people in, the provider is `PROXY` and the subject the user name.
    """

    provider: str
    subject: str


PROXY = "proxy"
"""The provider of identities that a trusted reverse proxy vouches for."""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody, as people.yaml tells it.

    Args:
        id: short and stable; stands in the timeline.
        name: for people.
        roles: what they may do.
        token_hashes: of their tokens; several while one is being replaced.
        slack: their Slack users.
        identities: with which they sign in by the web.
        email: their address, None when it isn't told.
    """

    id: str
    name: str
    roles: frozenset[Role]
    token_hashes: tuple[str, ...] = field(default=(), repr=False)
    slack: tuple[SlackId, ...] = ()
    identities: tuple[Identity, ...] = ()
    email: str | None = None

    def may(self, role: Role) -> bool:
        """Whether one of their roles includes this one."""
        return any(own.includes(role) for own in self.roles)


class SlackGroup(NamedTuple):
    """A user group of a Slack workspace, by ids."""

    team: str
    group: str


@dataclass(frozen=True, slots=True)
class Group:
    """People under one name, for playbooks to name as approvers.

    Args:
        name: no person has it as an id.
        members: people's ids; those of `slack` count instead while Slack says who they are.
        slack: the user group that it stands for.
    """

    name: str
    members: frozenset[str]
    slack: SlackGroup | None = None


@dataclass(frozen=True, slots=True)
class People:
    """Everybody; nobody by default, so that what asks for a person refuses when there is no people.yaml."""

    by_id: Mapping[str, Person] = field(default_factory=dict)
    groups: Mapping[str, Group] = field(default_factory=dict)

    def get(self, identity: str) -> Person | None:
        """Return the person of that id."""
        return self.by_id.get(identity)

    def authenticate(self, token: str) -> Person | None:
        """Return whose token it is, None when it is nobody's; takes the same time for right and wrong ones."""
        if not token or len(token) > _MAX_TOKEN:
            return None
        given = hash_token(token)
        found: Person | None = None
        for person in self.by_id.values():
            for known in person.token_hashes:
                if hmac.compare_digest(given, known):
                    found = person
        return found

    def by_slack(self, team: str, user: str) -> Person | None:
        """Return whose Slack user it is; None when it is nobody's, or not one person's alone."""
        wanted = SlackId(team, user)
        return _only(person for person in self.by_id.values() if wanted in person.slack)

    def by_identity(self, provider: str, subject: str) -> Person | None:
        """Return who signs in so; letter case counts. None when it is nobody, or not one person alone."""
        wanted = Identity(provider, subject)
        return _only(person for person in self.by_id.values() if wanted in person.identities)

    def by_email(self, email: str) -> Person | None:
        """Return whose address it is, whatever its letter case; None when it is nobody's, or not one person's alone.

        Ask it only with an address that somebody else has verified.
        """
        wanted = email.strip().lower()
        return _only(person for person in self.by_id.values() if person.email and person.email.lower() == wanted)

    def who_may(self, role: Role) -> tuple[Person, ...]:
        """Return everybody whose roles include this one."""
        return tuple(person for person in self.by_id.values() if person.may(role))


def _only(found: Iterable[Person]) -> Person | None:
    """Return the only one: of two, nobody is known to be the one who asks."""
    people = tuple(found)
    return people[0] if len(people) == 1 else None


def make_token() -> tuple[str, str]:
    """Return a new token to hand to a person, and its hash for people.yaml.

    The token has 256 random bits, so that a plain SHA-256 of it can't be guessed back; it is shown once and kept
    nowhere.
    """
    token = _PREFIX + secrets.token_urlsafe(32)
    return token, hash_token(token)


def hash_token(token: str) -> str:
    """Return what people.yaml holds of a token: `sha256:` and 64 hex digits."""
    return "sha256:" + hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def is_token_hash(text: str) -> bool:
    """Whether a text is what `hash_token` returns."""
    return _HASH.fullmatch(text) is not None
