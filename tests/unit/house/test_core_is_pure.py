"""The core decides and does nothing else: what it could reach the world with isn't there."""

import ast
import builtins
import sys
from typing import Final

from tests.unit.house.sources import imported, name, python_files, tree

WORLDLY: Final = frozenset(
    {
        "asyncio", "concurrent", "contextvars", "ctypes", "getpass", "http", "importlib", "io", "logging",
        "multiprocessing", "os", "pathlib", "platform", "queue", "random", "secrets", "select", "selectors", "shutil",
        "signal", "socket", "sqlite3", "ssl", "subprocess", "sys", "tempfile", "threading", "time", "urllib", "uuid",
        "warnings", "zoneinfo",
    }
)  # fmt: skip
"""Standard modules that read a clock, a disk, a network, chance or the process's own state."""

PURE_PARTS: Final = frozenset({"urllib.parse"})
"""Modules of worldly packages that only compute."""

WORLDLY_CALLS: Final = frozenset({"open", "print", "input", "exec", "eval", "compile", "breakpoint", "__import__"})

CLOCKS: Final = frozenset({"now", "utcnow", "today"})
"""Methods of datetime that read the clock."""


def test_the_core_imports_only_itself_and_what_is_pure_in_the_standard_library() -> None:
    wrong = [
        f"{name(path)}:{line} imports {module}"
        for path in python_files("receiver/core")
        for line, module in imported(path)
        if not _is_pure(module)
    ]
    assert not wrong


def test_the_core_calls_no_builtin_that_reaches_outside() -> None:
    assert all(hasattr(builtins, call) for call in WORLDLY_CALLS)
    wrong = [
        f"{name(path)}:{node.lineno} calls {node.func.id}"
        for path in python_files("receiver/core")
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in WORLDLY_CALLS
    ]
    assert not wrong


def test_the_core_reads_no_clock() -> None:
    wrong = [
        f"{name(path)}:{node.lineno} calls {node.func.attr}"
        for path in python_files("receiver/core")
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in CLOCKS
    ]
    assert not wrong


def test_the_core_is_not_asynchronous() -> None:
    asynchronous = (ast.AsyncFunctionDef, ast.AsyncFor, ast.AsyncWith, ast.Await)
    wrong = [
        f"{name(path)}:{getattr(node, 'lineno', 0)}"
        for path in python_files("receiver/core")
        for node in ast.walk(tree(path))
        if isinstance(node, asynchronous)
    ]
    assert not wrong


def test_the_core_keeps_no_state_between_calls() -> None:
    wrong = [
        f"{name(path)}:{node.lineno}"
        for path in python_files("receiver/core")
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Global | ast.Nonlocal)
    ]
    assert not wrong


def _is_pure(module: str) -> bool:
    top = module.partition(".")[0]
    if top == "receiver":
        return module == "receiver.core" or module.startswith("receiver.core.")
    return module in PURE_PARTS or (top in sys.stdlib_module_names and top not in WORLDLY)
