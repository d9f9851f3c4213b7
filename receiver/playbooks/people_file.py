"""people.yaml: from text to `receiver.people.People`, every mistake at its line and column, no token ever repeated."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterator
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from receiver.people import PROXY, Group, Identity, People, Person, Role, SlackGroup, SlackId, is_token_hash
from receiver.playbooks.fields import Name, Word, check_url
from receiver.playbooks.positions import Loc, Node, place_of
from receiver.playbooks.problems import PolicyError, Problem, errors_of, in_order
from receiver.playbooks.reader import read_file
from receiver.playbooks.schema import Model
from receiver.playbooks.validate import validate
from receiver.playbooks.wording import suggest


def _token_hash(value: object) -> object:
    # The message never repeats the value: it may be the token itself.
    if not isinstance(value, str) or not is_token_hash(value):
        text = "is no hash of a token (sha256: and 64 hex digits); `remediator token` makes a token and its hash"
        raise PydanticCustomError("policy", "{message}", {"message": text})
    return value


def _list_of_hashes(value: object) -> object:
    if not isinstance(value, list):
        raise PydanticCustomError("policy", "{message}", {"message": "needs a list of hashes of tokens"})
    return value


TokenHash = Annotated[
    str, BeforeValidator(_token_hash), WithJsonSchema({"type": "string", "pattern": "^sha256:[0-9a-f]{64}$"})
]
"""The hash of a token."""


def _slack_team(value: str) -> str:
    if not _SLACK_TEAM.fullmatch(value):
        raise _wrong(f"{value[:40]!r} is no id of a Slack workspace: T and capital letters and digits, never its name")
    return value


def _slack_user(value: str) -> str:
    if not _SLACK_USER.fullmatch(value):
        raise _wrong(f"{value[:40]!r} is no id of a Slack user: U or W and capital letters and digits, never a name")
    return value


def _email(value: str) -> str:
    if not _EMAIL.fullmatch(value) or len(value) > 254:
        raise _wrong(f"{value[:80]!r} is no e-mail address")
    return value


def _provider(value: str) -> str:
    return value if value == PROXY else check_url(value, ("https", "http"))


def _wrong(message: str) -> PydanticCustomError:
    return PydanticCustomError("policy", "{message}", {"message": message})


_SLACK_TEAM = re.compile(r"[TE][A-Z0-9]{2,30}", re.ASCII)
_SLACK_USER = re.compile(r"[UW][A-Z0-9]{2,30}", re.ASCII)
_EMAIL = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?", re.ASCII)


def _text_like(pattern: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "pattern": pattern})


class SlackIdModel(Model):
    """A user of a Slack workspace, by ids: a name can be taken by somebody else."""

    team: Annotated[str, AfterValidator(_slack_team), _text_like(f"^{_SLACK_TEAM.pattern}$")] = Field(
        description="The workspace's id; `remediator slack check` prints it."
    )
    user: Annotated[str, AfterValidator(_slack_user), _text_like(f"^{_SLACK_USER.pattern}$")] = Field(
        description="The user's id: in Slack's profile, `Copy member ID`."
    )


class IdentityModel(Model):
    """With what somebody signs in by the web."""

    provider: Annotated[str, AfterValidator(_provider), _text_like("^(proxy|https?://.*)$")] = Field(
        description="The issuer's URL, exactly as it names itself, or `proxy` for the trusted reverse proxy."
    )
    subject: Word = Field(description="Its `sub` for the person, or the proxy's user name; letter case counts.")


class PersonModel(Model):
    """Somebody who may use the service."""

    id: Name = Field(description="Short and stable; stands in the timeline.")
    name: Word = Field(description="For people.")
    roles: list[Literal["viewer", "responder", "approver", "admin"]] = Field(
        min_length=1,
        max_length=4,
        description="`viewer` reads; `responder` acknowledges, takes over, pauses and closes; `approver` approves and "
        "denies; `admin` turns the kill switch and reloads. Each includes the ones before it.",
    )
    tokens: Annotated[list[TokenHash], BeforeValidator(_list_of_hashes)] = Field(
        [],
        max_length=10,
        description="Hashes of their tokens, made by `remediator token`; several while one is replaced.",
    )
    slack: list[SlackIdModel] = Field([], max_length=20, description="Their Slack users, one a workspace.")
    identities: list[IdentityModel] = Field([], max_length=20, description="With what they sign in by the web.")
    email: Annotated[str, AfterValidator(_email), _text_like(f"^{_EMAIL.pattern}$")] | None = Field(
        None, description="Their address; by it a sign-in whose provider verified it may be known."
    )


def _slack_group(value: str) -> str:
    if not _SLACK_GROUP.fullmatch(value):
        raise _wrong(f"{value[:40]!r} is no id of a Slack user group: S and capital letters and digits, never its name")
    return value


_SLACK_GROUP = re.compile(r"S[A-Z0-9]{2,30}", re.ASCII)


class SlackGroupModel(Model):
    """A user group of a Slack workspace, by ids."""

    team: Annotated[str, AfterValidator(_slack_team), _text_like(f"^{_SLACK_TEAM.pattern}$")] = Field(
        description="The workspace's id."
    )
    group: Annotated[str, AfterValidator(_slack_group), _text_like(f"^{_SLACK_GROUP.pattern}$")] = Field(
        description="The user group's id."
    )


class GroupModel(Model):
    """People under one name, for `approvers` in playbooks.yaml. Being in it gives nobody a role."""

    name: Name = Field(description="For `approvers`; no person has it as an id.")
    members: list[Name] = Field(
        [], max_length=1000, description="People's ids. With `slack` they count only while Slack can't say who is in."
    )
    slack: SlackGroupModel | None = Field(None, description="The user group whose members count, as Slack says.")


class PeopleFileModel(Model):
    """people.yaml: who may do what."""

    people: list[PersonModel] = Field(max_length=10_000, description="Everybody.")
    groups: list[GroupModel] = Field([], max_length=1000, description="People under one name, for `approvers`.")


def load_people(path: Path) -> People:
    """Load people.yaml.

    Raises:
        PolicyError: with every mistake; also when the file is missing: who may approve is never guessed.
    """
    file, problems = _examine(path)
    if file is None or errors_of(problems):
        raise PolicyError(errors_of(problems))
    people = {person.id: _person(person) for person in file.people}
    return People(people, {group.name: _group(group) for group in file.groups})


def _person(person: PersonModel) -> Person:
    return Person(
        id=person.id,
        name=person.name,
        roles=frozenset(map(Role, person.roles)),
        token_hashes=tuple(person.tokens),
        slack=tuple(SlackId(one.team, one.user) for one in person.slack),
        identities=tuple(Identity(one.provider, one.subject) for one in person.identities),
        email=person.email,
    )


def _group(group: GroupModel) -> Group:
    slack = SlackGroup(group.slack.team, group.slack.group) if group.slack is not None else None
    return Group(group.name, frozenset(group.members), slack)


def check_people_file(path: Path) -> list[Problem]:
    """Return every mistake of people.yaml, in the order of their places."""
    return _examine(path)[1]


def _examine(path: Path) -> tuple[PeopleFileModel | None, list[Problem]]:
    node, problems = read_file(path)
    if node is None:
        return None, problems
    validated = validate(PeopleFileModel, node, {"id": "unnamed-{line}-{column}"})
    problems += validated.problems
    if validated.model is not None:
        problems += _duplicates(validated.model, validated.node)
        problems += _groups(validated.model, validated.node)
    return validated.model, in_order(problems, [str(path)])


def _duplicates(file: PeopleFileModel, node: Node) -> Iterator[Problem]:
    seen: set[tuple[str, Hashable]] = set()
    for index, person in enumerate(file.people):
        for what, value, place, owned in _keys(person):
            if (what, value) in seen:
                text = f"person `{person.id}` is here a second time"
                if owned:
                    text = f"this {what} of `{person.id}` is here a second time; {owned} belongs to one person"
                yield Problem(place_of(node, ("people", index, *place)), text)
            seen.add((what, value))


def _groups(file: PeopleFileModel, node: Node) -> Iterator[Problem]:
    ids = {person.id for person in file.people}
    names: set[str] = set()
    for index, group in enumerate(file.groups):
        loc: Loc = ("groups", index)
        if group.name in names:
            yield Problem(place_of(node, (*loc, "name")), f"group `{group.name}` is here a second time")
        if group.name in ids:
            text = f"`{group.name}` is a person's id already; `approvers` could mean either"
            yield Problem(place_of(node, (*loc, "name")), text)
        names.add(group.name)
        for number, member in enumerate(group.members):
            if member not in ids:
                text = f"group `{group.name}`: there is no person `{member}`{suggest(member, sorted(ids))}"
                yield Problem(place_of(node, (*loc, "members", number)), text)


def _keys(person: PersonModel) -> Iterator[tuple[str, Hashable, Loc, str]]:
    """Yield what means this person and nobody else: what it is, the value, its place, and its name in a sentence."""
    yield "id", person.id, ("id",), ""
    for number, token in enumerate(person.tokens):
        yield "token", token, ("tokens", number), "a token"
    for number, user in enumerate(person.slack):
        yield "Slack user", (user.team, user.user), ("slack", number), "a Slack user"
    for number, one in enumerate(person.identities):
        yield "identity", (one.provider, one.subject), ("identities", number), "an identity"
    if person.email is not None:
        yield "e-mail address", person.email.lower(), ("email",), "an address"
