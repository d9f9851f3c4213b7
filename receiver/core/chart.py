"""What a chart of an incident shows: which expression, from when to when, and what was done meanwhile. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import parse_qs, urlsplit

from receiver.core import events as ev
from receiver.core.comparison import Comparison, ComparisonError, parse_comparison
from receiver.core.events import Recorded
from receiver.core.playbook import Playbook, Query
from receiver.core.promql import operands
from receiver.core.template import TemplateError, render_query
from receiver.core.timeline import tone_of
from receiver.core.words import Names

LONGEST_EXPRESSION: Final = 4000
"""Characters of an expression that is asked about."""

MARKS: Final = 12
"""Marks of a chart at most: the first and the last of them."""

SHORTEST, LONGEST, BEFORE, AFTER = 60.0, 86_400.0, 3600.0, 900.0
"""Seconds: what is shown at least and at most, and how much before the alert and after the end at most."""

_MIRRORED: Final = {"<": ">", ">": "<", "<=": ">=", ">=": "<=", "==": "==", "!=": "!="}


@dataclass(frozen=True, slots=True)
class Plotted:
    """An expression to draw.

    Args:
        expr: of it, without what it is compared with.
        name: what people call it.
        threshold: what it is compared with, None when it is compared with no number.
        fires: whether the alert fires where the threshold holds; else it is what a repair must reach.
        unit: of its values, may be empty.
    """

    expr: str
    name: str
    threshold: Comparison | None
    fires: bool
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened: at one moment, or from `at` to `until`; UNIX seconds. `tone` as a timeline's entry.

    Texts are whole: whoever shows them takes credentials out before they are cut.
    """

    at: float
    text: str
    tone: str = "info"
    until: float | None = None


def of_alert(generator_url: str) -> Plotted | None:
    """Return the expression of an alert by the link that Prometheus gave it, None when it has none."""
    try:
        expr = parse_qs(urlsplit(generator_url).query, max_num_fields=50).get("g0.expr", [""])[-1].strip()
    except ValueError:
        return None
    if not expr or len(expr) > LONGEST_EXPRESSION:
        return None
    return compared(expr)


def compared(expr: str) -> Plotted:
    """Return an alert's expression apart from its threshold: compared, it would show nothing while all is well."""
    left, operator, right = operands(expr)
    for side, bound, sign in ((left, right, operator), (right, left, _MIRRORED.get(operator, ""))):
        try:
            threshold = parse_comparison(f"{sign} {_plain(bound)}")
        except ComparisonError:
            continue
        return Plotted(side, _named(side), threshold, fires=True)
    return Plotted(left, _named(left), None, fires=True)


def of_playbook(playbook: Playbook, service: str, labels: Mapping[str, str], length: float) -> Plotted | None:
    """Return the first expression by which a playbook verifies, None when it has none that can be filled in.

    Args:
        playbook: whose it is.
        service, labels: what its slots stand for.
        length: seconds that the chart shows; `$window` is a tenth of it, from 30 s to 5 min.
    """
    found: list[Query] = [query for step in playbook.steps for query in step.verify.queries]
    for query in (*found, *playbook.verify.queries):
        try:
            window = min(300.0, max(30.0, length / 10.0))
            expr = render_query(query.expr, labels, {}, service=service, window=window)
            threshold = parse_comparison(query.success)
        except (TemplateError, ComparisonError):
            continue
        return Plotted(expr, query.name or _named(expr), threshold, fires=False, unit=query.unit)
    return None


def window(began: float, ended: float, now: float) -> tuple[float, float]:
    """Return from when to when a chart is drawn: what was before the alert, all of the incident, some of what followed.

    Args:
        began: UNIX seconds at which the alert began.
        ended: of the incident's end, or of what is told of it.
        now: later than that nothing is known.
    """
    length = max(SHORTEST, ended - began)
    start = began - min(BEFORE, max(SHORTEST, length / 2.0))
    end = min(now, ended + min(AFTER, length / 4.0))
    return max(start, end - LONGEST), end


def marks(log: Sequence[Recorded]) -> list[Mark]:
    """Return what of a log a chart marks: when it began to fire, what was done and how that ended, its end."""
    names = Names()
    found: list[Mark] = []
    begun: dict[str, int] = {}
    for recorded in log:
        event = recorded.event
        names.learn(event)
        if isinstance(event, ev.StepFinished) and event.action_id in begun:
            place = begun.pop(event.action_id)
            how = "done" if event.ok else "failed"
            found[place] = replace(
                found[place], text=f"{found[place].text}: {how}", tone=tone_of(event), until=recorded.at
            )
        elif (text := _marked(event, names)) is not None:
            if isinstance(event, ev.StepStarted):
                begun[event.action_id] = len(found)
            at = event.starts_at if isinstance(event, ev.Opened) and event.starts_at else recorded.at
            found.append(Mark(at, text, tone_of(event)))
    if len(found) > MARKS:
        found = [*found[: MARKS // 2], *found[-MARKS // 2 :]]
    return found


def _marked(event: ev.Event, names: Names) -> str | None:
    match event:
        case ev.Opened():
            return f"{event.alert} fires"
        case ev.StepStarted():
            return names.action(event.action_id)
        case ev.Verified(verdict="passed" | "failed", purpose="step" | "gone"):
            return "verified" if event.verdict == "passed" else "not fixed"
        case ev.Escalated():
            return "needs a person"
        case ev.TakenOver():
            return f"{event.person} takes over"
        case ev.Resolved():
            return "resolved"
        case ev.Closed():
            return f"closed by {event.person}"
        case _:
            return None


def _named(expr: str) -> str:
    return " ".join(expr.split())


_PRODUCT = re.compile(r"\s*\(?\s*([+-]?[0-9.]+(?:[eE][+-]?[0-9]+)?)((?:\s*\*\s*[0-9.]+(?:[eE][+-]?[0-9]+)?)*)\s*\)?\s*")


def _plain(bound: str) -> str:
    """Return a number that is written as a product (`500 * 1024 * 1024`) as one; anything else as it is."""
    found = _PRODUCT.fullmatch(bound)
    if found is None:
        return bound
    try:
        value = float(found[1])
        for factor in found[2].split("*")[1:]:
            value *= float(factor)
    except ValueError:
        return bound
    return repr(value)
