from __future__ import annotations

from pathlib import Path

import pytest

from receiver.playbooks import PolicyError, check_files, load_policy
from receiver.playbooks.positions import overlay, plain
from receiver.playbooks.reader import read_bytes
from tests.unit.playbooks.samples import ACTIONS, GOOD


def merged(base: str, over: str) -> object:
    nodes = [read_bytes(text.encode(), "f")[0] for text in (base, over)]
    assert nodes[0] is not None
    assert nodes[1] is not None
    return plain(overlay(nodes[0], nodes[1]))


@pytest.mark.parametrize(
    ("base", "over", "expected"),
    [
        ("{a: 1, b: 2}", "{b: 3, c: 4}", {"a": 1, "b": 3, "c": 4}),
        ("{a: {b: 1, c: 2}}", "{a: {c: 3}}", {"a": {"b": 1, "c": 3}}),
        ("{a: [1, 2]}", "{a: [3]}", {"a": [3]}),
        ("{a: [1, 2]}", "{a: []}", {"a": []}),
        ("{a: 1}", "{a: {b: 2}}", {"a": {"b": 2}}),
        ("{a: 1, b: 2}", "{a: }", {"b": 2}),
        ("{a: 1}", "{c: }", {"a": 1, "c": None}),
        (
            "{p: [{name: x, v: 1, w: 2}, {name: y, v: 3}]}",
            "{p: [{name: z, v: 5}, {name: x, v: 4}]}",
            {"p": [{"name": "x", "v": 4, "w": 2}, {"name": "y", "v": 3}, {"name": "z", "v": 5}]},
        ),
        ("{p: [{name: x}]}", "{p: [{v: 1}]}", {"p": [{"v": 1}]}),
        (
            "{p: [{name: x, s: [{name: t, v: 1, w: 1}]}]}",
            "{p: [{name: x, s: [{name: t, v: 2}]}]}",
            {"p": [{"name": "x", "s": [{"name": "t", "v": 2, "w": 1}]}]},
        ),
    ],
)
def test_a_later_file_changes_single_values(base: str, over: str, expected: object) -> None:
    assert merged(base, over) == expected


def files(tmp_path: Path, *texts: str) -> list[Path]:
    paths = [tmp_path / f"{number}.yaml" for number in range(len(texts))]
    for path, text in zip(paths, texts, strict=True):
        path.write_text(text)
    return paths


def test_a_policy_of_several_files_is_their_sum(tmp_path: Path) -> None:
    over = """\
defaults: {settle: 1s, approval: {rollback: none}}
services: {api: {known_good: {recent: 5m}}}
playbooks: [{name: down, steps: [{name: restart, timeout: 7s}]}, {name: other, match: a=b, severity: P4}]
"""
    paths = files(tmp_path, GOOD, over)
    policy = load_policy(paths, ACTIONS)
    down, other = policy.playbooks
    assert (down.settle, down.steps[0].timeout, down.steps[1].timeout) == (1.0, 7.0, 120.0)
    assert [step.approval.approvals for step in down.steps] == [0, 0]
    assert (other.name, other.rank, other.settle) == ("other", 1, 1.0)
    assert (policy.services["api"].good_after, policy.services["api"].recent) == (1800.0, 300.0)
    assert policy.loaded_from == ", ".join(map(str, paths))


def test_a_mistake_is_told_in_the_file_that_makes_it(tmp_path: Path) -> None:
    over = "defaults: {settle: 1x}\nplaybooks:\n  - {name: down, stps: []}\n"
    paths = files(tmp_path, GOOD.replace("severity: P1", "severity: P8"), over)
    found = [str(problem).removeprefix(f"{tmp_path}/").split(": ")[0] for problem in check_files(paths, ACTIONS)]
    assert found == ["0.yaml:13:15", "1.yaml:1:20", "1.yaml:3:18"]


def test_a_new_name_in_a_later_file_must_be_whole(tmp_path: Path) -> None:
    paths = files(tmp_path, GOOD, "playbooks:\n  - {name: dwon, hold: 1s}\n")
    with pytest.raises(PolicyError, match=r"1.yaml:2:5: playbooks.dwon lacks the required field `match`"):
        load_policy(paths, ACTIONS)


def test_a_playbook_of_a_later_file_that_comes_too_late_is_not_told_to_move_up_there(tmp_path: Path) -> None:
    over = "playbooks: [{name: mine, match: [alertname=ServiceDown, service=db], severity: P1}]"
    (problem,) = check_files(files(tmp_path, GOOD, over), ACTIONS)
    assert problem.place.file.endswith("1.yaml")
    assert "put it above that in the first file: a later file's own playbooks come last" in problem.message


def test_a_later_file_may_change_the_runtime(tmp_path: Path) -> None:
    over = "services: {api: {runtime: process, engine: , selector: , command: [run, it]}}"
    policy = load_policy(files(tmp_path, GOOD, over), ACTIONS)
    assert (policy.services["api"].runtime, policy.services["api"].command) == ("process", ("run", "it"))


def test_all_files_are_read_before_a_refusal(tmp_path: Path) -> None:
    paths = files(tmp_path, "a: [", "b: 'x")
    assert [problem.place.file for problem in check_files(paths, ACTIONS)] == [str(path) for path in paths]


def test_no_files_are_a_mistake() -> None:
    with pytest.raises(PolicyError, match="no playbooks file is given"):
        load_policy([], ACTIONS)
