"""Statements that write many rows in one step.

Each step of a statement gives Python's global lock away and must win it back from the event loop's thread, which may
hold it for milliseconds: 100 rows one by one could wait 100 times. So rows go in by the hundred, in statements of fixed
sizes, which the connection keeps prepared. A commit mostly holds some thirty webhooks or less: up to there every size
has a statement, as one for all rows instead of three takes a tenth more webhooks a second.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

SIZES = (256, 64, *range(32, 0, -1))


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Commit what is done within, or roll it back when it fails."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


@cache
def _rows(width: int, count: int) -> str:
    row = "(" + ",".join("?" * width) + ")"
    return ",".join([row] * count)


@cache
def _insert(head: str, width: int, count: int, tail: str) -> str:
    return f"{head} VALUES {_rows(width, count)} {tail}"


def insert(connection: sqlite3.Connection, head: str, width: int, values: Sequence[Any], tail: str = "") -> None:
    """Insert rows.

    Args:
        connection: within a transaction.
        head: `INSERT INTO table(columns)`.
        width: columns of a row.
        values: the rows' values, one row after the other.
        tail: what follows the rows, e.g. `ON CONFLICT ...`.
    """
    at, rows = 0, len(values) // width
    for size in SIZES:
        while rows >= size:
            end = at + size * width
            connection.execute(_insert(head, width, size, tail), values[at:end])
            at, rows = end, rows - size


@cache
def _with_rows(statement: str, width: int, count: int) -> str:
    return statement.replace("{rows}", _rows(width, count))


def for_rows(connection: sqlite3.Connection, statement: str, width: int, values: Sequence[Any]) -> None:
    """Run a statement that has `{rows}` for rows of placeholders, for all of the values."""
    at, rows = 0, len(values) // width
    for size in SIZES:
        while rows >= size:
            end = at + size * width
            connection.execute(_with_rows(statement, width, size), values[at:end])
            at, rows = end, rows - size


@cache
def _with_list(statement: str, count: int) -> str:
    return statement.replace("{list}", ",".join("?" * count))


def select_in(connection: sqlite3.Connection, statement: str, keys: Sequence[Any]) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of a statement that has `{list}` for a list of keys, any number of them."""
    at, left = 0, len(keys)
    for size in SIZES:
        while left >= size:
            end = at + size
            yield from connection.execute(_with_list(statement, size), keys[at:end])
            at, left = end, left - size
