"""Errors are caught by type: what nobody expected must be seen."""

import ast
from collections.abc import Mapping
from typing import Final

import pytest

from tests.unit.house.sources import SHIPPED, name, python_files, tree

EVERYTHING: Final = frozenset({"Exception", "BaseException"})

SUPERVISORS: Final[Mapping[str, str]] = {
    "receiver/store/writer.py": "a unit that fails in any way must fail alone; its own caller gets the very exception",
    "receiver/performing.py": "an action's defect leaves its outcome in doubt: logged, and its target is asked",
    "receiver/jobs/embedded.py": "one incident's failure must not end the queue of all others; logged, tried again",
    "receiver/web/ingest.py": "a defect is logged and answered as a problem, so that the sender keeps what it has",
}
"""Module to the reason why it may catch everything: to hand it on or to log it, never to drop it."""

STUBS: Final = frozenset({"NotImplementedError", "NotImplementedError()"})


def test_nothing_catches_everything() -> None:
    wrong = [
        f"{name(path)}:{node.lineno}"
        for path in python_files(*SHIPPED, "deploy")
        if name(path) not in SUPERVISORS
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ExceptHandler) and _catches_everything(node) and not _raises_again(node)
    ]
    assert not wrong, "catch the types that can happen there; catching everything is for cleaning up and raising again"


def test_nothing_suppresses_everything() -> None:
    wrong = [
        f"{name(path)}:{node.lineno}"
        for path in python_files(*SHIPPED, "deploy")
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("suppress") and _names(node.args) & EVERYTHING
    ]
    assert not wrong


def test_nothing_is_left_unwritten() -> None:
    # With a text it is a codec's answer to a type that it doesn't know (msgspec's hooks); without one it is a stub.
    wrong = [
        f"{name(path)}:{node.lineno}"
        for path in python_files(*SHIPPED, "deploy")
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Raise) and node.exc is not None and ast.unparse(node.exc) in STUBS
    ]
    assert not wrong


@pytest.mark.parametrize(
    ("code", "caught"),
    [
        ("try: f()\nexcept: pass", True),
        ("try: f()\nexcept Exception: pass", True),
        ("try: f()\nexcept (OSError, BaseException) as error: log(error)", True),
        ("try: f()\nexcept OSError: pass", False),
        ("try: f()\nexcept BaseException:\n    undo()\n    raise", False),
    ],
)
def test_the_rule_knows_its_cases(code: str, *, caught: bool) -> None:
    (handler,) = (node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.ExceptHandler))
    assert (_catches_everything(handler) and not _raises_again(handler)) is caught


def _catches_everything(handler: ast.ExceptHandler) -> bool:
    if handler.type is None:
        return True
    types = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return bool(_names(types) & EVERYTHING)


def _names(nodes: list[ast.expr]) -> set[str]:
    return {ast.unparse(node).rpartition(".")[2] for node in nodes}


def _raises_again(handler: ast.ExceptHandler) -> bool:
    last = handler.body[-1]
    return isinstance(last, ast.Raise) and last.exc is None
