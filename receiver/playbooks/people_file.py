"""people.yaml: from text to `receiver.people.People`, every mistake at its line and column, no token ever repeated."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from receiver.people import People, Person, Role, is_token_hash
from receiver.playbooks.fields import Name, Word
from receiver.playbooks.positions import Loc, Node, place_of
from receiver.playbooks.problems import PolicyError, Problem, errors_of, in_order
from receiver.playbooks.reader import read_file
from receiver.playbooks.schema import Model
from receiver.playbooks.validate import validate


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


class PersonModel(Model):
    """Somebody who may use the service."""

    id: Name = Field(description="Short and stable; stands in the timeline.")
    name: Word = Field(description="For people.")
    roles: list[Literal["viewer", "responder", "approver", "admin"]] = Field(
        min_length=1,
        max_length=4,
        description="`viewer` reads; `responder` acknowledges, takes over and closes; `approver` approves and denies; "
        "`admin` turns the kill switch and reloads. Each includes the ones before it.",
    )
    tokens: Annotated[list[TokenHash], BeforeValidator(_list_of_hashes)] = Field(
        [],
        max_length=10,
        description="Hashes of their tokens, made by `remediator token`; several while one is replaced.",
    )


class PeopleFileModel(Model):
    """people.yaml: who may do what."""

    people: list[PersonModel] = Field(max_length=10_000, description="Everybody.")


def load_people(path: Path) -> People:
    """Load people.yaml.

    Raises:
        PolicyError: with every mistake; also when the file is missing: who may approve is never guessed.
    """
    file, problems = _examine(path)
    if file is None or errors_of(problems):
        raise PolicyError(errors_of(problems))
    found = {
        person.id: Person(person.id, person.name, frozenset(map(Role, person.roles)), tuple(person.tokens))
        for person in file.people
    }
    return People(found)


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
    return validated.model, in_order(problems, [str(path)])


def _duplicates(file: PeopleFileModel, node: Node) -> Iterator[Problem]:
    ids: set[str] = set()
    owners: dict[str, str] = {}
    for index, person in enumerate(file.people):
        loc: Loc = ("people", index)
        if person.id in ids:
            yield Problem(place_of(node, (*loc, "id")), f"person `{person.id}` is here a second time")
        ids.add(person.id)
        for number, token in enumerate(person.tokens):
            owner = owners.setdefault(token, f"{index}")
            if owner != f"{index}" or token in person.tokens[:number]:
                text = f"this token of `{person.id}` is here a second time; a token belongs to one person"
                yield Problem(place_of(node, (*loc, "tokens", number)), text)
