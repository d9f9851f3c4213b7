"""Actions are found by entry point, and a broken one says what is wrong with it."""

import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from pydantic import BaseModel

from remediations.registry import GROUP, ActionBroken, ActionUnknown, load_actions, problems
from remediations.restart import RestartAction

MODULE = """
from pydantic import BaseModel
from remediations.restart import RestartAction


class Reboot(RestartAction):
    name = "reboot"


class Misnamed(RestartAction):
    name = "something_else"


class Unfinished:
    name = "unfinished"
    parameters = BaseModel
    read_only = "no"


class Exploding:
    def __init__(self):
        raise RuntimeError("no licence")
"""


class Distribution:
    def __init__(self, name: str) -> None:
        self.name = name


def point(name: str, value: str, distribution: str = "third-party") -> EntryPoint:
    made = EntryPoint(name, value, GROUP)
    vars(made)["dist"] = Distribution(distribution)
    return made


@pytest.fixture(autouse=True)
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "third_party_actions.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop("third_party_actions", None)


def test_our_own_actions_are_installed_and_whole() -> None:
    registry = load_actions()
    assert registry.broken == ()
    assert {"restart", "scale", "rollback", "diagnose", "http"} <= set(registry.actions)


def test_a_third_party_action_is_found() -> None:
    registry = load_actions([point("reboot", "third_party_actions:Reboot")])
    assert registry.get("reboot").name == "reboot"


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("gone", "no_such_module:Action", "ModuleNotFoundError"),
        ("missing", "third_party_actions:Nothing", "AttributeError"),
        ("exploding", "third_party_actions:Exploding", "no licence"),
        ("misnamed", "third_party_actions:Misnamed", "'something_else'"),
        ("unfinished", "third_party_actions:Unfinished", "`plan` must be an async method"),
        ("unfinished", "third_party_actions:Unfinished", "`read_only` must be True or False"),
        ("unfinished", "third_party_actions:Unfinished", "must forbid unknown fields"),
    ],
)
def test_a_broken_action_is_set_aside_with_its_reason(name: str, value: str, expected: str) -> None:
    registry = load_actions([point(name, value), point("reboot", "third_party_actions:Reboot")])
    assert list(registry.actions) == ["reboot"], "the others can be used"
    with pytest.raises(ActionBroken, match=expected) as raised:
        registry.get(name)
    assert "third-party" in str(raised.value), "the distribution to repair is named"


def test_our_names_cannot_be_taken() -> None:
    ours = point("restart", "remediations.restart:RestartAction", "remediator")
    registry = load_actions([point("restart", "third_party_actions:Reboot"), ours])
    assert type(registry.get("restart")) is RestartAction
    assert [str(one) for one in registry.broken] == [
        "action restart of third-party: the name is taken by our own action"
    ]


def test_of_two_third_party_actions_with_one_name_neither_is_used() -> None:
    value = "third_party_actions:Reboot"
    registry = load_actions([point("reboot", value, "one"), point("reboot", value, "two")])
    with pytest.raises(ActionBroken, match="offered by one, two"):
        registry.get("reboot")


def test_an_unknown_action_is_told_with_the_nearest_known_one() -> None:
    with pytest.raises(ActionUnknown, match="did you mean restart"):
        load_actions().get("restat")


def test_lenient_parameters_are_a_problem() -> None:
    class Lenient(BaseModel):
        pass

    class Action(RestartAction):
        parameters = Lenient

    assert any("forbid" in problem for problem in problems(Action()))
