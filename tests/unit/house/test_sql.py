"""SQL that every supported Python takes."""

import re
from typing import Final

from tests.unit.house.sources import name, python_files

NUMBERED: Final = re.compile(r"\?\d")


def test_no_parameter_is_numbered() -> None:
    # With a sequence of values sqlite3 warns about them since Python 3.12 and refuses them from 3.14 on.
    wrong = [
        f"{name(path)}:{number}"
        for path in python_files("receiver/store")
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        if NUMBERED.search(line)
    ]
    assert not wrong
