"""One look of a verification: the service's health endpoints, PromQL conditions and the target's own state.

All that is asked for must be good. Bad beats inconclusive; nothing asked for is inconclusive, never a pass.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import httpx

from receiver.core.comparison import ComparisonError
from receiver.core.conditions import Reading, Reason, inconclusive, judge, shown
from receiver.core.playbook import Playbook, Query, Service, Verification
from receiver.core.promql import freshness, longest_range, sample_counts, selectors
from receiver.core.template import TemplateError, render_query
from receiver.ports import Clock, MetricsSource, MetricsUnavailable, Sample
from remediations.health import probe
from remediations.protocol import Verdict

LONGEST_WINDOW = 300.0
"""Seconds that `$window` grows to: what dashboards and alert rules commonly look at."""

SHORTEST_WINDOW = 5.0
"""Seconds after the action's end from which `$window` is asked about; scrapes are seldom closer together."""

AT_ONCE = 16
"""Questions of a kind under way over all incidents; the others wait for their turn."""


@dataclass(frozen=True, slots=True)
class Look:
    """What one look saw.

    Args:
        verdict: True: all good. False: something is bad. None: nothing bad, but not everything could be told.
        failed_now: whether a failure condition holds, which ends the verification at once.
        text: one line for people: what is not good, else everything.
        readings: each answer as JSON: source, name, ok, reason, value, unit, text.
    """

    verdict: bool | None
    failed_now: bool
    text: str
    readings: tuple[dict[str, Any], ...]


class Verifier:
    """Takes looks.

    Args:
        metrics: None when no Prometheus is configured: queries are then inconclusive, and say so.
        http: for health endpoints.
        clock: tells how long ago the action ended.
        shortest_window: seconds, as `SHORTEST_WINDOW`.
    """

    def __init__(
        self,
        metrics: MetricsSource | None,
        http: httpx.AsyncClient,
        clock: Clock,
        *,
        shortest_window: float = SHORTEST_WINDOW,
    ) -> None:
        self._metrics = metrics
        self._http = http
        self._clock = clock
        self._shortest = shortest_window
        # Apart, so that a Prometheus that hangs doesn't keep health endpoints from being asked.
        self._queries = asyncio.Semaphore(AT_ONCE)
        self._probes = asyncio.Semaphore(AT_ONCE)

    async def look(
        self,
        how: Verification,
        service: Service,
        playbook: Playbook,
        labels: Mapping[str, str],
        *,
        since: float,
        target_verdict: Verdict | None = None,
    ) -> Look:
        """Take one look; never raises for what the world does.

        Args:
            how: what is asked for.
            service: whose health endpoints are asked, and what `$service` stands for.
            playbook: whose verification it is; named in errors.
            labels: the alert's, for the expressions.
            since: UNIX seconds of the action's end; nothing that is asked reaches back before it.
            target_verdict: the target's own state, None when it isn't asked for.
        """
        now = self._clock.now()
        readings = await self._readings(how, service, playbook, labels, since, now)
        if target_verdict is not None:
            readings.append(_target(target_verdict))
        if not readings:
            return Look(None, failed_now=False, text="nothing was asked for, so nothing is shown", readings=())
        return _together(readings)

    async def baseline(
        self, how: Verification, service: Service, playbook: Playbook, labels: Mapping[str, str]
    ) -> tuple[dict[str, Any], ...]:
        """Return the readings of before the first action, over a window of five minutes, as evidence."""
        now = self._clock.now()
        readings = await self._readings(how, service, playbook, labels, now - LONGEST_WINDOW, now)
        return tuple(reading for reading, _ in readings)

    async def _readings(
        self,
        how: Verification,
        service: Service,
        playbook: Playbook,
        labels: Mapping[str, str],
        since: float,
        now: float,
    ) -> list[tuple[dict[str, Any], bool]]:
        word = service.health_word
        asked = [self._health("health", service, url, word) for url in service.health_urls] if how.health else []
        # What a probe answers is what users would be given, which has no word of its own.
        asked += [self._health("probe", service, url, "") for url in how.probe]
        asked += [self._query(query, how, service, playbook, labels, since, now) for query in how.queries]
        return _stood_for(await asyncio.gather(*asked))

    async def _health(self, source: str, service: Service, url: str, word: str) -> tuple[dict[str, Any], bool]:
        async with self._probes:
            answer = await probe(self._http, url, word=word, timeout=service.health_timeout)
        reading = {
            "source": source,
            "name": answer.url,
            "ok": answer.ok,
            "reason": Reason.OK.value if answer.ok else Reason.BAD.value,
            "value": None,
            "unit": "",
            "text": answer.text,
        }
        return reading, False

    async def _query(
        self,
        query: Query,
        how: Verification,
        service: Service,
        playbook: Playbook,
        labels: Mapping[str, str],
        since: float,
        now: float,
    ) -> tuple[dict[str, Any], bool]:
        asked = _Asked(query, how, service, labels, since, now)
        try:
            async with self._queries:
                reading = await self._ask(asked)
        except MetricsUnavailable as error:
            reading = inconclusive(query, Reason.ERROR, str(error))
        except (TemplateError, ComparisonError) as error:
            reading = inconclusive(query, Reason.ERROR, f"playbook {playbook.name}: {error}")
        return reading.as_json(), reading.failed_now

    async def _ask(self, asked: _Asked) -> Reading:
        query = asked.query
        if self._metrics is None:
            return inconclusive(query, Reason.ERROR, "no Prometheus is configured")
        if "$window" in f"{query.expr}{query.traffic or ''}" and asked.elapsed < self._shortest:
            why = f"only {asked.elapsed:.0f} s to look at yet (at least {self._shortest:g} s)"
            return inconclusive(query, Reason.TOO_EARLY, why)
        expr = asked.filled(query.expr)
        if (reach := longest_range(expr)) > asked.elapsed:
            why = f"it looks back {reach:.0f} s, but only {asked.elapsed:.0f} s have passed (use $window)"
            return inconclusive(query, Reason.TOO_EARLY, why)
        if (missing := await self._traffic(self._metrics, asked)) is not None:
            return missing
        return await self._judge(self._metrics, asked, expr)

    async def _traffic(self, metrics: MetricsSource, asked: _Asked) -> Reading | None:
        """Return why there was too little traffic to judge by, None when there was enough."""
        query = asked.query
        if query.traffic is None:
            return None
        samples = await metrics.query(asked.filled(query.traffic))
        requests = sum(one.value for one in samples)
        if samples and requests >= query.min_traffic:
            return None
        seen = f"{shown(requests)} requests in {asked.window:.0f} s" if samples else "no figure of traffic"
        return inconclusive(query, Reason.NO_TRAFFIC, f"{seen} (at least {shown(query.min_traffic)})")

    async def _judge(self, metrics: MetricsSource, asked: _Asked, expr: str) -> Reading:
        query, now = asked.query, asked.now
        samples = [replace(one, at=now) for one in await metrics.query(expr)]
        reading = judge(query, samples, now, asked.since, asked.how.max_staleness)
        if reading.verdict is None:
            return reading
        found = selectors(expr)
        if not found:
            return inconclusive(query, Reason.EMPTY, "the expression looks at no series")
        ages = await metrics.query(freshness(found))
        if not ages:
            return inconclusive(query, Reason.STALE, "its series have ended (the target is no longer scraped)")
        at = now - max(one.value for one in ages)
        reading = judge(query, _dated(samples, at), now, asked.since, asked.how.max_staleness)
        if reading.verdict is None or query.min_samples <= 1:
            return reading
        counts = await metrics.query(sample_counts(found, asked.window))
        if (fewest := min((one.value for one in counts), default=0.0)) < query.min_samples:
            why = f"{shown(fewest)} samples since the action's end (at least {query.min_samples})"
            return inconclusive(query, Reason.FEW_SAMPLES, why)
        return reading


@dataclass(frozen=True, slots=True)
class _Asked:
    """A query with all that fills it in."""

    query: Query
    how: Verification
    service: Service
    labels: Mapping[str, str]
    since: float
    now: float

    @property
    def elapsed(self) -> float:
        """Seconds since the action's end."""
        return max(0.0, self.now - self.since)

    @property
    def window(self) -> float:
        """Seconds that `$window` stands for, whole ones and rounded down: it never reaches before the action's end."""
        return float(int(min(LONGEST_WINDOW, self.elapsed)))

    def filled(self, expr: str) -> str:
        """Return the expression with its slots filled in; raises TemplateError."""
        return render_query(expr, self.labels, {}, service=self.service.name, window=self.window)


def _stood_for(readings: Sequence[tuple[dict[str, Any], bool]]) -> list[tuple[dict[str, Any], bool]]:
    """Let probes that are all good stand for the traffic that queries lack; any that isn't good speaks for itself."""
    probes = [reading for reading, _ in readings if reading["source"] == "probe"]
    if not probes or not all(reading["ok"] is True for reading in probes):
        return list(readings)
    text = "; a probe stands for it"
    return [
        ({**reading, "ok": True, "reason": Reason.PROBED.value, "text": reading["text"] + text}, failed)
        if reading["reason"] == Reason.NO_TRAFFIC.value
        else (reading, failed)
        for reading, failed in readings
    ]


def _dated(samples: Sequence[Sample], at: float) -> list[Sample]:
    return [replace(one, at=at) for one in samples]


def _target(verdict: Verdict) -> tuple[dict[str, Any], bool]:
    reason = {True: "ok", False: "bad", None: "unknown"}[verdict.ok]
    reading = {
        "source": "target",
        "name": "target",
        "ok": verdict.ok,
        "reason": reason,
        "value": None,
        "unit": "",
        "text": verdict.text,
    }
    return reading, False


def _together(readings: Sequence[tuple[dict[str, Any], bool]]) -> Look:
    """Sum up: one bad is bad, else one unknown is unknown, else good."""
    each = [reading for reading, _ in readings]
    verdicts = [one["ok"] for one in each]
    verdict = False if False in verdicts else None if None in verdicts else True
    telling = each if verdict is True else [one for one in each if one["ok"] is not True]
    telling = [one for one in telling if one["ok"] is False] or telling
    text = "; ".join(one["text"] for one in telling)
    return Look(verdict, any(failed for _, failed in readings), text, tuple(each))
