"""The repository's own files, as the house's tests look at them."""

import ast
import gc
import io
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[3]

SHIPPED: Final = ("receiver", "remediations")
"""The packages of the distribution."""

WRITTEN: Final = (*SHIPPED, "deploy", "tests", "scripts")
"""Every folder with Python of ours."""

SILENT: Final = frozenset(
    {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
)
"""Tokens that make no line a line of code."""


def python_files(*folders: str) -> Iterator[Path]:
    """Yield the Python files below the folders, in a stable order."""
    for folder in folders:
        yield from sorted((ROOT / folder).rglob("*.py"))


def name(path: Path) -> str:
    """Return a file's name as people write it: from the repository's root."""
    return path.relative_to(ROOT).as_posix()


@cache
def tree(path: Path) -> ast.Module:
    """Return a file's syntax tree."""
    # A collection in its middle may let another thread parse, which Python 3.11 takes for a defect (gh-106905).
    gc.disable()
    try:
        return ast.parse(path.read_text(), filename=str(path))
    finally:
        gc.enable()


def imported(path: Path) -> Iterator[tuple[int, str]]:
    """Yield line and full name of every module that a file imports, at whatever depth."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.lineno, node.module or "."


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Yield every function and method of a file."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


@cache
def code_lines(path: Path) -> frozenset[int]:
    """Return the numbers of the lines that hold code: blank lines, comments and docstrings aren't counted."""
    tokens = tokenize.generate_tokens(io.StringIO(path.read_text()).readline)
    code = {line for token in tokens if token.type not in SILENT for line in range(token.start[0], token.end[0] + 1)}
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            code -= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return frozenset(code)
