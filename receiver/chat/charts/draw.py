"""The process that draws one chart: JSON on standard input, a PNG on standard output. Needs the extra `charts`.

To be read on a phone, and by people who can't tell colours apart: lines differ in their dashes too, marks are numbered
and told in words beneath.
"""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from io import BytesIO
from typing import Any, Final

from matplotlib import rcParams
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

WIDTH, PLOT, DPI = 7.5, 3.5, 160
"""Inches of the picture and of the plot's height; 1,200 pixels wide."""

ROW: Final = 0.29
"""Inches of a line of text."""

SMALL, NORMAL, LARGE = 12.5, 14.0, 17.0

COLOURS: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
"""Okabe and Ito's, which the colour-blind can tell apart."""

DASHES: Final = ("solid", (0, (5, 1.5)), (0, (1, 1)), (0, (5, 1, 1, 1)), (0, (8, 2)), (0, (3, 1, 1, 1, 1, 1)))

TONES: Final[Mapping[str, tuple[str, str]]] = {
    "good": ("#00694A", "✔"),
    "bad": ("#9A3D00", "✖"),
    "warn": ("#7A5200", "▲"),
    "info": ("#3A3A3A", "■"),
}
INK, FAINT, LIMIT = "#222222", "#666666", "#A0006E"

CLOSE: Final = 0.035
"""Share of the width below which two marks stand above each other."""


def main() -> int:
    """Draw what standard input asks for."""
    os.nice(10)
    sys.stdout.buffer.write(png(json.load(sys.stdin)))
    return 0


def png(asked: Mapping[str, Any]) -> bytes:
    """Return the picture.

    Args:
        asked: `title`, `name` (of the expression), `unit`, `start`, `end` (UNIX seconds), `series` (each `name` and
            `points`), `more` (series left out), `threshold` (None, or `value` and `text`), `marks` (each `at`, `until`,
            `text`, `tone`).
    """
    # Texts come from alerts: a dollar sign must not begin a formula.
    rcParams.update({"text.parse_math": False, "font.size": NORMAL, "font.family": "DejaVu Sans"})
    marks = asked["marks"]
    legend = [one for one in asked["series"] if len(asked["series"]) > 1]
    rows = len(marks) + len(legend) + bool(asked["more"])
    levels = _levels(marks, asked["start"], asked["end"])
    top = 2.2 * ROW + 0.2 + ROW * (max(levels, default=0) + 1)
    height = top + PLOT + 0.75 + ROW * rows + 0.15
    figure = Figure(figsize=(WIDTH, height), dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0.115, 1 - (top + PLOT) / height, 0.865, PLOT / height))
    _words(figure, 1 - 0.3 / height, _cut(asked["title"], 42), LARGE, INK, weight="bold")
    _words(figure, 1 - (0.3 + 1.05 * ROW) / height, _cut(asked["name"], 64), SMALL, FAINT)
    _lines(axes, asked)
    _axes(axes, asked)
    _marks(axes, marks, levels)
    _beneath(figure, asked, legend, 1 - (top + PLOT + 0.75) / height, ROW / height)
    written = BytesIO()
    figure.savefig(written, format="png", dpi=DPI)
    return written.getvalue()


def _words(figure: Figure, y: float, text: str, size: float, colour: str, *, weight: str = "normal") -> None:
    figure.text(0.02, y, text, fontsize=size, color=colour, weight=weight, va="center")


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def _lines(axes: Axes, asked: Mapping[str, Any]) -> None:
    single = len(asked["series"]) == 1
    for number, one in enumerate(asked["series"]):
        at = [point[0] for point in one["points"]]
        values = [math.nan if point[1] is None else point[1] for point in one["points"]]
        style, colour = DASHES[number % len(DASHES)], COLOURS[number % len(COLOURS)]
        axes.plot(at, values, color=colour, linestyle=style, linewidth=2.4 if single else 2.0, zorder=3)
        # A value between two gaps has no line to either side.
        alone = [index for index, value in enumerate(values) if _alone(values, index) and not math.isnan(value)]
        axes.plot([at[i] for i in alone], [values[i] for i in alone], "o", color=colour, markersize=4, zorder=3)


def _alone(values: Sequence[float], index: int) -> bool:
    around = [*values[max(0, index - 1) : index], *values[index + 1 : index + 2]]
    return all(math.isnan(one) for one in around)


def _axes(axes: Axes, asked: Mapping[str, Any]) -> None:
    start, end = asked["start"], asked["end"]
    axes.set_xlim(start, end)
    threshold = asked["threshold"]
    known = [point[1] for one in asked["series"] for point in one["points"] if point[1] is not None]
    if threshold is not None:
        known.append(threshold["value"])
    low, high = min(known), max(known)
    # A rate or a share begins at nothing; what moves far from it would be a flat line then.
    low = 0.0 if 0 <= low <= 0.5 * high else low
    room = (high - low or abs(high) or 1.0) * 0.12
    axes.set_ylim(low - (room if low else room / 3), high + room)
    if threshold is not None:
        axes.axhline(threshold["value"], color=LIMIT, linestyle=(0, (6, 3)), linewidth=1.8, zorder=2)
        above = threshold["value"] < high - 2 * room
        back = {"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 1.5}
        axes.annotate(
            threshold["text"], (0.012, threshold["value"]), xycoords=("axes fraction", "data"), color=LIMIT,
            fontsize=SMALL, zorder=2.5, bbox=back, xytext=(0, 3 if above else -3), textcoords="offset points",
            va="bottom" if above else "top", ha="left",
        )  # fmt: skip
    form = "%H:%M:%S" if end - start < 900 else "%H:%M" if end - start < 86_000 else "%d %b %H:%M"
    axes.xaxis.set_major_formatter(FuncFormatter(lambda at, _: _time(at, form)))
    axes.set_xticks(_ticks(start, end))
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _figure(value)))
    axes.set_xlabel(f"time in UTC, {_time(start, '%d %b %Y')}", fontsize=SMALL, color=FAINT)
    if asked["unit"]:
        axes.set_ylabel(_cut(asked["unit"], 20), fontsize=SMALL, color=FAINT)
    axes.tick_params(labelsize=SMALL, colors=INK)
    axes.grid(visible=True, axis="y", color="#DDDDDD", linewidth=0.8)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _ticks(start: float, end: float) -> list[float]:
    """Return four to six round moments: people read 02:15, not 02:14:37."""
    steps = (5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600)
    step = next((one for one in steps if (end - start) / one <= 5.5), 43_200)
    first = math.ceil(start / step) * step
    return [float(at) for at in range(first, int(end) + 1, step)]


def _time(at: float, form: str) -> str:
    return datetime.fromtimestamp(at, UTC).strftime(form)


def _figure(value: float) -> str:
    """Return a value with a unit's prefix: 1.5 G, not 1500000000."""
    for size, prefix in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= size:
            return f"{value / (1e3 if prefix == 'k' else size):g}{prefix}"
    return f"{value:g}"


# --- what happened ----------------------------------------------------------------------------------------------------


def _levels(marks: Sequence[Mapping[str, Any]], start: float, end: float) -> list[int]:
    """Return for each mark how high its number stands, so that no two cover each other."""
    last: list[float] = []
    found: list[int] = []
    for mark in marks:
        at = (mark["at"] - start) / (end - start)
        level = next((number for number, before in enumerate(last) if at - before >= CLOSE), len(last))
        last[level : level + 1] = [at]
        found.append(level)
    return found


def _marks(axes: Axes, marks: Sequence[Mapping[str, Any]], levels: Sequence[int]) -> None:
    height = PLOT * 72
    for number, (mark, level) in enumerate(zip(marks, levels, strict=True), 1):
        colour, _ = TONES.get(mark["tone"], TONES["info"])
        if mark["until"] is not None:
            axes.axvspan(mark["at"], mark["until"], facecolor=colour, alpha=0.13, zorder=0)
        up = 13 + level * ROW * 72
        axes.axvline(mark["at"], ymax=1 + up / height, color=colour, linewidth=1.1, linestyle=(0, (2, 2)), zorder=1,
                     clip_on=False)  # fmt: skip
        axes.annotate(
            str(number), (mark["at"], 1), xycoords=("data", "axes fraction"), xytext=(0, up),
            textcoords="offset points", ha="center", va="center", fontsize=SMALL - 1, weight="bold", color="white",
            bbox={"boxstyle": "circle,pad=0.22", "facecolor": colour, "edgecolor": "white"}, zorder=6,
            annotation_clip=False,
        )  # fmt: skip


def _beneath(
    figure: Figure, asked: Mapping[str, Any], legend: Sequence[Mapping[str, Any]], y: float, row: float
) -> None:
    """Write what the numbers and the lines mean."""
    form = "%H:%M:%S"
    for number, mark in enumerate(asked["marks"], 1):
        colour, sign = TONES.get(mark["tone"], TONES["info"])
        until = f" to {_time(mark['until'], form)}" if mark["until"] is not None else ""
        figure.text(0.045, y, str(number), fontsize=SMALL, weight="bold", color=colour, ha="right", va="center")
        text = f"{_time(mark['at'], form)}{until}  {mark['text']}"
        figure.text(0.06, y, f"{sign} {_cut(text, 56)}", fontsize=SMALL, color=colour, va="center")
        y -= row
    for number, one in enumerate(legend):
        style, colour = DASHES[number % len(DASHES)], COLOURS[number % len(COLOURS)]
        line = figure.add_axes((0.02, y - row / 2, 0.075, row))
        line.plot([0, 1], [0, 0], color=colour, linestyle=style, linewidth=2.4)
        line.set_axis_off()
        figure.text(0.11, y, _cut(one["name"], 56), fontsize=SMALL, color=INK, va="center")
        y -= row
    if asked["more"]:
        figure.text(0.11, y, f"and {asked['more']} more series", fontsize=SMALL, color=FAINT, va="center")


if __name__ == "__main__":
    sys.exit(main())
