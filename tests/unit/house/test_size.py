"""Modules and functions stay small enough to be read at once: lines of code, not blanks, comments and docstrings."""

from collections.abc import Mapping
from typing import Final

from tests.unit.house.sources import SHIPPED, code_lines, functions, name, python_files

MODULE_LIMIT: Final = 300
FUNCTION_LIMIT: Final = 50

LONGER_MODULES: Final[Mapping[str, str]] = {
    "receiver/core/fold.py": "what each event makes of an incident, in one table: nothing else changes one",
    "receiver/core/machine.py": "every phase's next event in one table: a split would hide which phase comes before",
}
"""Module to the reason why it isn't two."""

LONGER_FUNCTIONS: Final[Mapping[str, str]] = {
    "receiver/app.py:_join": "the composition root is one straight line: what is made of what, in order",
}
"""Function, as `path.py:name`, to the reason why it reads better in one piece."""


def test_modules_fit_their_limit() -> None:
    longer = {module: lines for module, lines in _modules().items() if module not in LONGER_MODULES}
    assert not longer, f"over {MODULE_LIMIT} lines of code: split by idea, or say in LONGER_MODULES why not"


def test_functions_fit_their_limit() -> None:
    longer = {function: lines for function, lines in _functions().items() if function not in LONGER_FUNCTIONS}
    assert not longer, f"over {FUNCTION_LIMIT} lines of code: split, or say in LONGER_FUNCTIONS why not"


def test_every_exception_is_still_needed() -> None:
    assert LONGER_MODULES.keys() <= _modules().keys()
    assert LONGER_FUNCTIONS.keys() <= _functions().keys()


def _modules() -> dict[str, int]:
    found = {name(path): len(code_lines(path)) for path in python_files(*SHIPPED, "deploy")}
    return {module: lines for module, lines in found.items() if lines > MODULE_LIMIT}


def _functions() -> dict[str, int]:
    found = {}
    for path in python_files(*SHIPPED, "deploy"):
        code = code_lines(path)
        for node in functions(path):
            lines = sum(line in code for line in range(node.lineno, (node.end_lineno or node.lineno) + 1))
            if lines > FUNCTION_LIMIT:
                found[f"{name(path)}:{node.name}"] = lines
    return found
