"""An incident's chart: what is asked of Prometheus, what of the answer is shown, and the process that draws it."""

from __future__ import annotations

import asyncio
import json
import math
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from receiver.core.chart import Mark, Plotted
from receiver.core.phrases import clean
from receiver.core.redaction import hide
from receiver.ports import RangeSource, Series

POINTS: Final = 240
"""Points of a line; more are finer than a phone shows."""

LINES: Final = 6
"""Series that are drawn at most: those that matter most."""

DRAWING_LIMIT: Final = 30.0
"""Seconds that drawing may take; it takes about one, the first time some more for Matplotlib's cache of fonts."""

LARGEST: Final = 2 * 1024 * 1024
"""Bytes of a picture; it has about a tenth of that."""

_ENVIRONMENT: Final = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR")


class NoChart(Exception):
    """There is nothing to draw, or it can't be drawn; the text is for people. `again`: it may be had later."""

    def __init__(self, message: str, *, again: bool = False) -> None:
        super().__init__(message)
        self.again = again


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a chart is to show.

    Args:
        title: of the incident, in a line.
        plotted: the expression.
        labels: the alert's; series that contradict them are others' and are left out.
        start, end: UNIX seconds.
        marks: what happened.
    """

    title: str
    plotted: Plotted
    labels: Mapping[str, str]
    start: float
    end: float
    marks: Sequence[Mark]


def can_draw() -> bool:
    """Whether the extra `charts` is installed; loads nothing."""
    return find_spec("matplotlib") is not None


class Painter:
    """Makes pictures.

    Args:
        source: Prometheus.
        cache: a directory for Matplotlib's fonts.
        redact: takes credentials out of a text.
    """

    def __init__(self, source: RangeSource, cache: Path, redact: Callable[[str], str] = hide) -> None:
        self._source = source
        self._cache = cache
        self._redact = redact

    async def paint(self, wanted: Wanted) -> bytes:
        """Return a PNG.

        Raises:
            MetricsUnavailable: Prometheus can't be asked, or refuses.
            NoChart: it knows nothing of the time, or drawing failed.
        """
        step = max(1.0, math.ceil((wanted.end - wanted.start) / POINTS))
        found = await self._source.query_range(wanted.plotted.expr, wanted.start, wanted.end, step)
        lines, more = chosen(found, wanted.labels)
        if not lines:
            raise NoChart("Prometheus has no figures of that time")
        return await draw(_asked(wanted, lines, more, step, self.shown), self._cache)

    def shown(self, text: str, limit: int) -> str:
        """Return a text as it may be shown: without credentials, which are taken out before it is cut."""
        return clean(self._redact(text), limit)


def chosen(found: Sequence[Series], labels: Mapping[str, str]) -> tuple[list[Series], int]:
    """Return the series to draw and how many are left out: the alert's own, of these the ones that move most."""
    known = [one for one in found if any(math.isfinite(value) for _, value in one.points)]
    own = [one for one in known if all(labels.get(name, value) == value for name, value in one.labels.items())]
    lines = sorted(own or known, key=_movement, reverse=True)
    return lines[:LINES], len(lines) - len(lines[:LINES])


def _movement(one: Series) -> float:
    values = [value for _, value in one.points if math.isfinite(value)]
    return max(values) - min(values)


def _asked(
    wanted: Wanted, lines: Sequence[Series], more: int, step: float, shown: Callable[[str, int], str]
) -> dict[str, Any]:
    plotted, threshold = wanted.plotted, wanted.plotted.threshold
    bound: dict[str, Any] | None = None
    if threshold is not None:
        sign = {"==": "=", "!=": "≠", ">=": "≥", "<=": "≤"}.get(threshold.operator, threshold.operator)
        word = "fires when" if plotted.fires else "good when"
        bound = {"value": threshold.number, "text": f"{word} {sign} {threshold.number:g}"}
    inside = [one for one in wanted.marks if wanted.start <= one.at <= wanted.end]
    return {
        "title": shown(wanted.title, 120),
        "name": shown(plotted.name, 160),
        "unit": plotted.unit,
        "start": _start(wanted, lines),
        "end": wanted.end,
        "series": [{"name": shown(_named(one, lines), 100), "points": _points(one, step)} for one in lines],
        "more": more,
        "threshold": bound,
        "marks": [asdict(one) | {"text": shown(one.text, 60)} for one in inside],
    }


def _start(wanted: Wanted, lines: Sequence[Series]) -> float:
    """Return where a chart begins: not long before the first figure, as of a service that is new."""
    span = wanted.end - wanted.start
    first = min([one.points[0][0] for one in lines] + [mark.at for mark in wanted.marks if mark.at >= wanted.start])
    return wanted.start if first - wanted.start < span / 4 else first - span / 20


def _named(one: Series, lines: Sequence[Series]) -> str:
    """Return what tells a series from the others: the labels that differ."""
    differs = [name for name in one.labels if len({line.labels.get(name) for line in lines}) > 1]
    return ", ".join(f"{name}={one.labels[name]}" for name in sorted(differs)) or "value"


def _points(one: Series, step: float) -> list[tuple[float, float | None]]:
    """Return the points with a gap wherever Prometheus had no value; a line across would claim one."""
    points: list[tuple[float, float | None]] = []
    for at, value in one.points:
        if points and at - points[-1][0] > 1.5 * step:
            points.append((points[-1][0] + step, None))
        points.append((at, value if math.isfinite(value) else None))
    return points


async def draw(asked: Mapping[str, Any], cache: Path) -> bytes:
    """Run the process that draws; raises NoChart when it fails."""
    # Nothing of ours that may be secret: it needs a path, a locale and a place for its fonts.
    environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
    environment |= {"MPLCONFIGDIR": str(cache), "MPLBACKEND": "agg"}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-I", "-m", "receiver.chat.charts.draw", env=environment,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        async with asyncio.timeout(DRAWING_LIMIT):
            written, said = await process.communicate(json.dumps(asked).encode())
    except TimeoutError:
        raise NoChart(f"drawing took more than {DRAWING_LIMIT:.0f} s", again=True) from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0 or not written.startswith(b"\x89PNG") or len(written) > LARGEST:
        last = said.decode(errors="replace").strip().rpartition("\n")[2][:200]
        raise NoChart(f"drawing failed ({process.returncode}): {last}", again=True)
    return written
