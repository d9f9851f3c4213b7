"""No key of playbooks.yaml is ignored: for each, another value in the file makes the service do another thing.

Every case goes the whole way: text, loader, engine, executor, actions on instances in memory, timeline. A key without
an entry in one of the tables fails.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, get_args, get_origin

import pytest
from pydantic import BaseModel

from receiver.playbooks import PolicyError, load_policy
from receiver.playbooks.people_file import PeopleFileModel
from receiver.playbooks.schema import FileModel
from remediations.registry import load_actions
from tests.simulation.keys import BASE, CASES, ELSEWHERE, NEVER, Case
from tests.simulation.lab import Lab
from tests.simulation.world import World

pytestmark = pytest.mark.anyio

ROOT: Final = Path(__file__).parents[2]


def with_value(data: Any, path: Sequence[str], value: Any) -> Any:
    """Return a file with another value at a path; None takes the key away."""
    first, *rest = path
    if isinstance(data, list):
        items = list(data)
        items[int(first)] = with_value(items[int(first)], rest, value) if rest else value
        return items
    if not rest:
        return {
            **{key: item for key, item in data.items() if key != first},
            **({} if value is None else {first: value}),
        }
    return {**data, first: with_value(data.get(first, {}), rest, value)}


async def result_of(case: Case, value: Any, directory: Path) -> Any:
    """Return what the case's scenario gives with this value in the file."""
    data: Any = BASE
    for path, more in {**(case.also or {}), case.path: value}.items():
        data = with_value(data, path.split("."), more)
    file = directory / "playbooks.yaml"
    file.write_text(json.dumps(data))
    try:
        rules = load_policy(file, load_actions().actions)
    except PolicyError:
        return NEVER
    lab = Lab(World(directory / "world.db", rules))
    await lab.world.open()
    try:
        lab.instances()
        return await case.scenario(lab)
    finally:
        await lab.world.close()


def trials() -> Iterator[Any]:
    """Yield every case with each of its values."""
    for case in CASES:
        for value, wanted in case.results:
            yield pytest.param(case, value, wanted, id=f"{case.path}={json.dumps(value)[:40]}")


@pytest.mark.parametrize(("case", "value", "wanted"), list(trials()))
async def test_a_value_does_what_it_says(case: Case, value: Any, wanted: Any, tmp_path: Path) -> None:
    assert await result_of(case, value, tmp_path) == wanted


def test_every_case_tells_two_values_apart() -> None:
    assert [case.key for case in CASES if len({str(wanted) for _, wanted in case.results}) < 2] == []


def models(first: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """Yield a model and all that its fields lead to."""
    waiting: list[Any] = [first]
    seen: set[type[BaseModel]] = set()
    while waiting:
        one = waiting.pop()
        if isinstance(one, type) and issubclass(one, BaseModel):
            if one not in seen:
                seen.add(one)
                yield one
                waiting += [field.annotation for field in one.model_fields.values()]
        elif get_origin(one) is not None:
            waiting += get_args(one)


def test_every_key_of_the_files_is_in_one_of_the_tables() -> None:
    known = {
        f"{model.__name__}.{name}"
        for file in (FileModel, PeopleFileModel)
        for model in models(file)
        for name in model.model_fields
    }
    told = {case.key for case in CASES} | ELSEWHERE.keys()
    assert sorted(known - told) == [], "a new key needs a case that shows what it does"
    assert sorted(told - known) == [], "these keys are gone"


@pytest.mark.parametrize(("path", "name"), sorted(set(ELSEWHERE.values())))
def test_what_is_shown_elsewhere_is_there(path: str, name: str) -> None:
    tree = ast.parse((ROOT / path).read_text("utf-8"))
    names = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    assert name in names
