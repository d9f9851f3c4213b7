"""A setting that no page mentions doesn't exist for whoever needs it at night."""

import re
from typing import Final

from tests.unit.house.sources import ROOT, SHIPPED, python_files

SETTING: Final = re.compile(r"\bREMEDIATOR_[A-Z0-9_]*[A-Z0-9]\b")


def test_every_setting_is_documented() -> None:
    used = {found for path in python_files(*SHIPPED) for found in SETTING.findall(path.read_text())}
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    told = {found for page in pages if page.exists() for found in SETTING.findall(page.read_text())}
    assert used <= told, f"in no page of docs/: {', '.join(sorted(used - told))}"
