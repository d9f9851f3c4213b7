"""The report: what was measured, beside its bar and its goal, as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure that is judged.

    Args:
        what: what it is, in words.
        value: the figure.
        unit: `%`, `x`, `ms` and so on.
        bar: what it must reach.
        goal: what is worth trying for beyond that.
        most: whether the bar is the most that it may be; else it is the least.
        minimal: the same figure of the minimal program, where there is one.
    """

    what: str
    value: float
    unit: str
    bar: float
    goal: float | None = None
    most: bool = False
    minimal: float | None = None

    @property
    def met(self) -> bool:
        """Whether the bar is reached."""
        return self._reaches(self.value, self.bar)

    @property
    def possible(self) -> bool:
        """Whether the minimal program reaches the bar; True where there is none to compare with."""
        return self.minimal is None or self._reaches(self.minimal, self.bar)

    @property
    def verdict(self) -> str:
        """The judgement in words."""
        if self.met and self.goal is not None:
            return "met, and the goal too" if self._reaches(self.value, self.goal) else "met, the goal not yet"
        if self.met:
            return "met"
        return "**missed**" if self.possible else "missed, and out of the minimal program's reach too"

    def row(self) -> tuple[str, ...]:
        """Return its row of the report's table."""
        return (
            self.what,
            f"{number(self.value)} {self.unit}",
            f"{'at most' if self.most else 'at least'} {number(self.bar)} {self.unit}",
            "" if self.goal is None else f"{number(self.goal)} {self.unit}",
            "" if self.minimal is None else f"{number(self.minimal)} {self.unit}",
            self.verdict,
        )

    def _reaches(self, value: float, bound: float) -> bool:
        return value <= bound if self.most else value >= bound


ABOUT = (
    "Written by `make benchmark`; figures are compared with yardsticks of the same run, as the machine and what else it"
    " did count for more than anything else. They are judged by people, never by CI."
)
JUDGED = ("figure", "measured", "bar", "goal", "minimal program", "verdict")


@dataclass(frozen=True, slots=True)
class Section:
    """One part of the report: how it was measured, a table of what was seen, and the figures that are judged."""

    title: str
    text: str
    head: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()
    figures: Sequence[Figure] = field(default_factory=tuple)

    def render(self) -> str:
        """Return it as Markdown."""
        parts = [f"## {self.title}", self.text]
        if self.rows:
            parts.append(table(self.head, self.rows))
        if self.figures:
            parts.append(table(JUDGED, [figure.row() for figure in self.figures]))
        return "\n\n".join(parts)


def render(machine: str, sections: Sequence[Section], *, seconds: float, quick: bool) -> str:
    """Return the whole report."""
    figures = [figure for section in sections for figure in section.figures]
    missed = [figure for figure in figures if not figure.met]
    told = [f"{len(figures) - len(missed)} of {len(figures)} bars are met."]
    told += [f"- missed: {figure.what}: {figure.row()[1]}, {figure.row()[2]}" for figure in missed if figure.possible]
    beyond = [figure for figure in missed if not figure.possible]
    if beyond:
        told.append(f"- {len(beyond)} can't be met here by any program that decides first (see the minimal program).")
    kind = "A quick run, for development: its figures are rough." if quick else "A full run."
    return "\n\n".join(
        [
            "# Benchmark",
            ABOUT,
            f"{machine} {kind} It took {seconds / 60:.0f} minutes.",
            "\n".join(told),
            *(section.render() for section in sections),
        ]
    )


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def number(value: float) -> str:
    """Return a figure with as many digits as are worth reading."""
    if value >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"
