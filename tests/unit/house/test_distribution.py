"""The distribution is what its metadata says: its commands, actions and data files are there."""

import tomllib
from importlib import resources
from importlib.metadata import EntryPoint
from typing import Any, Final

import pytest

from tests.unit.house.sources import ROOT

PROJECT: Final[dict[str, Any]] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
ACTIONS: Final[dict[str, str]] = PROJECT["entry-points"]["remediator.actions"]


def test_the_command_is_there() -> None:
    command = EntryPoint("remediator", PROJECT["scripts"]["remediator"], "console_scripts").load()
    assert callable(command)


@pytest.mark.parametrize("action", sorted(ACTIONS))
def test_a_built_in_action_is_found_by_the_name_it_goes_by(action: str) -> None:
    found = EntryPoint(action, ACTIONS[action], "remediator.actions").load()
    assert found.name == action


@pytest.mark.parametrize("package", ["receiver", "remediations"])
def test_a_package_ships_its_types(package: str) -> None:
    assert resources.files(package).joinpath("py.typed").is_file()


def test_the_store_ships_its_migrations() -> None:
    versions = resources.files("receiver").joinpath("store/migrations/versions")
    assert any(entry.name.endswith(".py") for entry in versions.iterdir())
    assert resources.files("receiver").joinpath("store/schema.sql").is_file()


def test_the_schema_for_editors_is_shipped() -> None:
    assert resources.files("receiver").joinpath("schema/playbooks.schema.json").is_file()
