"""The judgement of a query's answer by the playbook's conditions (`receiver.core.comparison` reads those).

No data is never a pass: an empty answer, NaN, stale data, an error, too little traffic and too early a look are told
apart, and each of them is inconclusive.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from receiver.core.comparison import Comparison, parse_comparison
from receiver.core.playbook import Query


class Reason(StrEnum):
    """Why a reading has its verdict; all but `ok`, `bad` and `probed` are inconclusive."""

    OK = "ok"
    BAD = "bad"
    EMPTY = "empty"
    NAN = "nan"
    STALE = "stale"
    ERROR = "error"
    NO_TRAFFIC = "no_traffic"
    FEW_SAMPLES = "few_samples"
    TOO_EARLY = "too_early"
    PROBED = "probed"


class Figure(Protocol):
    """One sample of an answer, as `receiver.ports.Sample` is one; `at` is when the data behind it was collected."""

    @property
    def labels(self) -> Mapping[str, str]:
        """Labels of the series."""
        ...

    @property
    def value(self) -> float:
        """The value; may be NaN or infinite."""
        ...

    @property
    def at(self) -> float:
        """UNIX seconds."""
        ...


@dataclass(frozen=True, slots=True)
class Reading:
    """What one query said.

    Args:
        name: for people.
        verdict: True good, False bad, None inconclusive.
        reason: which of the cases it is.
        value: the worst sample's, None when there is none that can be printed as a number.
        text: one line for people, figures included.
        failed_now: whether the failure condition holds, which ends the verification at once.
        unit: printed behind the figures.
    """

    name: str
    verdict: bool | None
    reason: Reason
    value: float | None
    text: str
    failed_now: bool = False
    unit: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON types, as events keep it."""
        return {
            "source": "prometheus",
            "name": self.name,
            "ok": self.verdict,
            "reason": self.reason.value,
            "value": self.value,
            "unit": self.unit,
            "text": self.text,
        }


def judge(query: Query, samples: Sequence[Figure], now: float, since: float, max_staleness: float = 60.0) -> Reading:
    """Judge a query's answer by its conditions; every sample must fulfil the success condition.

    Args:
        query: the playbook's; `expr` filled in or not, only `name`, `success`, `failure` and `unit` count here.
        samples: the answer, with `at` the time of the newest data behind it.
        now: UNIX seconds.
        since: UNIX seconds of the action's end; data from before it proves nothing.
        max_staleness: age in seconds from which data is stale.

    Raises:
        ComparisonError: a condition of the query can't be read (`check` refuses such a playbook).
    """
    success = parse_comparison(query.success)
    failure = parse_comparison(query.failure) if query.failure is not None else None
    if not samples:
        return inconclusive(query, Reason.EMPTY, "the query returned nothing")
    oldest = min(sample.at for sample in samples)
    if (age := now - oldest) > max_staleness:
        return inconclusive(query, Reason.STALE, f"the newest data is {age:.0f} s old (at most {max_staleness:.0f} s)")
    if oldest < since:
        return inconclusive(
            query, Reason.TOO_EARLY, f"the newest data is {since - oldest:.0f} s older than what is judged"
        )
    failed = [one for one in samples if failure is not None and failure.holds(one.value)]
    bad = failed or [one for one in samples if not math.isnan(one.value) and not success.holds(one.value)]
    if bad:
        wanted = f"fails at {failure}" if failed else f"wanted {success}"
        return _reading(query, _worst(bad, success), len(samples), wanted, verdict=False, failed_now=bool(failed))
    if any(math.isnan(one.value) for one in samples):
        return inconclusive(query, Reason.NAN, "the query returned NaN (nothing to divide by)")
    return _reading(query, _worst(samples, success), len(samples), f"wanted {success}", verdict=True)


def inconclusive(query: Query, reason: Reason, why: str) -> Reading:
    """Return a reading that decides nothing, and says why."""
    return Reading(name_of(query), None, reason, None, f"{name_of(query)}: {why}", unit=query.unit)


def name_of(query: Query) -> str:
    """Return what people call the query: its name, else the expression, cut."""
    expr = " ".join(query.expr.split())
    return query.name or (expr if len(expr) <= 60 else f"{expr[:59]}…")


def shown(value: float, unit: str = "") -> str:
    """Return a figure for people: three significant digits (whole numbers in full), the unit behind it."""
    if not math.isfinite(value):
        text = "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"
    elif value == round(value) and abs(value) < 1e9:
        text = f"{value:.0f}"
    else:
        text = f"{value:.3g}"
    return f"{text} {unit}".strip()


def _reading(
    query: Query, worst: Figure, series: int, wanted: str, *, verdict: bool, failed_now: bool = False
) -> Reading:
    return Reading(
        name_of(query),
        verdict,
        Reason.OK if verdict else Reason.BAD,
        worst.value if math.isfinite(worst.value) else None,
        f"{name_of(query)} {shown(worst.value, query.unit)}{_which(worst, series)}, {wanted}",
        failed_now=failed_now,
        unit=query.unit,
    )


def _worst(samples: Sequence[Figure], success: Comparison) -> Figure:
    """Return the sample farthest on the wrong side of the bound."""
    if success.operator in {"<", "<="}:
        return max(samples, key=lambda one: one.value)
    if success.operator in {">", ">="}:
        return min(samples, key=lambda one: one.value)
    return max(samples, key=lambda one: abs(one.value - success.number))


def _which(worst: Figure, series: int) -> str:
    """Name the worst of several series by at most three labels."""
    if series == 1:
        return ""
    pairs = [f"{name}={value[:40]}" for name, value in sorted(worst.labels.items()) if name != "__name__"][:3]
    return f" (worst of {series}{': ' if pairs else ''}{', '.join(pairs)})"
