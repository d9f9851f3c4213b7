"""What is wrong with a file, where, and how it is printed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum

MAX_TOLD = 1000
"""Mistakes that one run tells; nobody reads more."""


class Level(StrEnum):
    """An error refuses the file; a warning does not."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A position in a file; lines and columns count from 1."""

    file: str
    line: int = 1
    column: int = 1

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake: where it is, and words that a person can act on."""

    place: Place
    message: str
    level: Level = Level.ERROR

    def __str__(self) -> str:
        label = "" if self.level is Level.ERROR else f"{self.level}: "
        return f"{self.place}: {label}{_one_line(self.message)}"


class PolicyError(ValueError):
    """A file that can't be used; `problems` holds every mistake of it, its text shows them one a line."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)


def errors_of(problems: Iterable[Problem]) -> list[Problem]:
    """Return what refuses the file, without the warnings."""
    return [problem for problem in problems if problem.level is Level.ERROR]


def in_order(problems: Iterable[Problem], files: Sequence[str]) -> list[Problem]:
    """Sort by file as given, then position; the same mistake at the same place is told once, and not too many."""
    rank = {file: number for number, file in enumerate(files)}
    unique = dict.fromkeys(problems)

    def key(problem: Problem) -> tuple[int, Place, str]:
        return rank.get(problem.place.file, len(rank)), problem.place, problem.message

    found = sorted(unique, key=key)
    kept, rest = found[:MAX_TOLD], found[MAX_TOLD:]
    if rest:
        level = Level.ERROR if errors_of(rest) else Level.WARNING
        kept.append(Problem(rest[0].place, f"and {len(rest)} more from here on", level))
    return kept


def format_problems(problems: Iterable[Problem], style: str = "text") -> str:
    """Print problems as `text` (file:line:col: message), `json` (an array) or `github` (workflow annotations).

    Raises:
        ValueError: an unknown style.
    """
    if style == "text":
        return "\n".join(str(problem) for problem in problems)
    if style == "json":
        return json.dumps([_flat(problem) for problem in problems], indent=2, ensure_ascii=False)
    if style == "github":
        return "\n".join(_annotation(problem) for problem in problems)
    raise ValueError(f"unknown format {style!r}; one of text, json, github")


def _one_line(text: str) -> str:
    """Escape what would break a line in two: a name in the file may hold anything."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def _flat(problem: Problem) -> dict[str, object]:
    return {"level": str(problem.level), **asdict(problem.place), "message": problem.message}


def _annotation(problem: Problem) -> str:
    place = problem.place
    file = _escape(place.file).replace(":", "%3A").replace(",", "%2C")
    return f"::{problem.level} file={file},line={place.line},col={place.column}::{_escape(problem.message)}"


def _escape(text: str) -> str:
    # The three that GitHub's workflow commands decode in a message.
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
