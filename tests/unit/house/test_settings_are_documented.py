"""A setting that no page mentions doesn't exist for whoever needs it at night; one that is only in a page misleads."""

import re
from typing import Final

import pytest

from receiver.settings import CLIENT, ENGINES, SETTINGS, variable
from tests.unit.house.sources import ROOT

NAME: Final = re.compile(r"\bREMEDIATOR_[A-Z0-9_]*[A-Z0-9]\b")
READ: Final = {variable(one.name) for one in SETTINGS} | set(CLIENT)
READ_FROM_FILES: Final = {f"{variable(one.name)}_FILE" for one in SETTINGS if one.metadata["by_file"]}


def _told() -> set[str]:
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return {found for page in pages if page.exists() for found in NAME.findall(page.read_text())}


@pytest.mark.parametrize("name", sorted(READ | READ_FROM_FILES))
def test_a_setting_is_documented(name: str) -> None:
    assert name in _told()


def test_the_pages_name_no_setting_that_nothing_reads() -> None:
    unread = _told() - READ - READ_FROM_FILES
    assert {name for name in unread if not f"{name}_".startswith(ENGINES)} == set()
