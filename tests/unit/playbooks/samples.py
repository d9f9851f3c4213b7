"""A small right file, stand-ins for actions, and ways to change the one and to check it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from receiver.people import People, Person, Role
from receiver.playbooks import ActionFacts, Problem, check_files


class NoParameters(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ScaleParameters(NoParameters):
    by: int | None = Field(None, ge=1)
    to: int | None = Field(None, ge=1)

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.by is None) == (self.to is None):
            raise ValueError("give exactly one of `by` and `to`")
        return self


class HttpParameters(NoParameters):
    url: str
    method: str = "POST"
    retries: int = 0
    headers: dict[str, str] = {}
    body: Any = None
    image: str = ""
    token_file: str = ""


@dataclass
class Facts:
    name: str
    parameters: type[BaseModel] = NoParameters
    read_only: bool = False
    destroys_state: bool = False
    needs_known_good: bool = False
    needs_bounds: bool = False
    undoable: bool = False
    temporary: bool = False


ACTIONS: Mapping[str, ActionFacts] = {
    facts.name: facts
    for facts in (
        Facts("restart"),
        Facts("scale", ScaleParameters, needs_bounds=True, undoable=True, temporary=True),
        Facts("rollback", needs_known_good=True, undoable=True),
        Facts("diagnose", read_only=True),
        Facts("http", HttpParameters),
    )
}

GOOD = """\
engines:
  local: {url: "unix:///var/run/docker.sock"}
services:
  api:
    engine: local
    selector: {com.docker.compose.service: api}
    replicas: {min: 1, max: 3}
    traffic: dns
    known_good: {good_after: 30m}
playbooks:
  - name: down
    match: alertname="ServiceDown"
    severity: P1
    steps:
      - {name: restart, action: restart}
      - {name: rollback, action: rollback}
"""


def check(tmp_path: Path, text: str, **options: Any) -> list[Problem]:
    path = tmp_path / "playbooks.yaml"
    path.write_text(text, "utf-8")
    return check_files(path, ACTIONS, **options)


def told(problems: list[Problem]) -> list[str]:
    """Return problems as `line:column [warning] message`."""
    return [str(problem).partition("playbooks.yaml:")[2] for problem in problems]


def changed(old: str, new: str) -> str:
    """Return the good file with a change."""
    assert GOOD.count(old) == 1, f"{old!r} must be there once"
    return GOOD.replace(old, new)


def people_of(approvers: int) -> People:
    """Return so many people who may approve, and one who may not."""
    names = [f"approver-{number}" for number in range(1, approvers + 1)]
    people = {name: Person(name, name, frozenset({Role.APPROVER})) for name in names}
    return People({**people, "viewer": Person("viewer", "Viewer", frozenset({Role.VIEWER}))})
