"""Whatever the bytes: mistakes with places, never an exception."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from receiver.playbooks import PolicyError, Problem, check_files, load_policy
from receiver.playbooks.people_file import check_people_file
from receiver.playbooks.reader import read_bytes
from tests.unit.playbooks.samples import ACTIONS, GOOD, people_of
from tests.unit.playbooks.test_load import FULL

FILES = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)


def are_well_placed(problems: list[Problem], text: str) -> bool:
    lines = len(text.splitlines()) + 1
    return all(
        1 <= problem.place.line <= lines and problem.place.column >= 1 and problem.message and "\n" not in str(problem)
        for problem in problems
    )


def judge(path: Path, data: bytes) -> list[Problem]:
    path.write_bytes(data)
    problems = check_files(
        path, ACTIONS, {"REMEDIATOR_ENGINE_LOCAL": "unix:///x"}, escalation_paths=2, people=people_of(2)
    )
    has_errors = any(problem.level == "error" for problem in problems)
    try:
        load_policy(path, ACTIONS)
    except PolicyError:
        assert has_errors
    else:
        assert not has_errors
    check_people_file(path)
    return problems


@settings(deadline=None, max_examples=300)
@given(st.binary(max_size=80) | st.text(alphabet="ab:-[]{}\n\t '\"&*!|>%@`#?,~<=0.\\xU", max_size=60).map(str.encode))
def test_no_bytes_break_the_reader(data: bytes) -> None:
    node, problems = read_bytes(data, "f")
    assert node is not None or problems
    assert are_well_placed(problems, data.decode("utf-8", "replace"))


@FILES
@given(st.integers(0, len(GOOD) - 1), st.integers(0, 6), st.text(alphabet="ab:-[]{}\n '\"&*!0$<>=~", max_size=4))
def test_no_slip_of_the_hand_breaks_the_check(tmp_path: Path, start: int, cut: int, put: str) -> None:
    text = GOOD[:start] + put + GOOD[start + cut :]
    assert are_well_placed(judge(tmp_path / "p.yaml", text.encode()), text)


def places(data: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path]
    if isinstance(data, dict):
        for key, value in data.items():
            found += places(value, (*path, key))
    elif isinstance(data, list):
        for index, value in enumerate(data):
            found += places(value, (*path, index))
    return found


def replaced(data: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    if isinstance(data, dict):
        return {key: replaced(item, path[1:], value) if key == path[0] else item for key, item in data.items()}
    return [replaced(item, path[1:], value) if index == path[0] else item for index, item in enumerate(data)]


_odd: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats()
    | st.sampled_from(
        ["", "none", "5s", "P1", "{{ labels.x }}", "{{", "=", 'a="', "$service", "~", "a" * 5000, "{", "}%s"]
    )
    | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["name", "match", "x", "url"]), inner, max_size=3)
    ),
    max_leaves=6,
)


@FILES
@given(st.lists(st.tuples(st.sampled_from(places(FULL)), _odd), min_size=1, max_size=4))
def test_no_value_anywhere_breaks_the_check(tmp_path: Path, changes: list[tuple[tuple[Any, ...], Any]]) -> None:
    data: Any = FULL
    for place, value in changes:
        try:
            data = replaced(data, place, value)
        except (KeyError, TypeError):
            assume(False)  # an earlier change took away what this one would change
    path = tmp_path / "p.yaml"
    YAML(typ="safe", pure=True).dump(data, path)
    judge(path, path.read_bytes())


@pytest.mark.parametrize(
    "text", ["5", "a", "[]", "[1]", "{}", "{playbooks: 1}", "{playbooks: []}", "{playbooks: [[]]}", "{defaults: []}"]
)
def test_a_file_of_another_shape_is_a_mistake(tmp_path: Path, text: str) -> None:
    assert judge(tmp_path / "p.yaml", text.encode())
