"""Looks at a real Prometheus: empty, NaN, stale, too early, no traffic and error are told apart; none passes."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable

import httpx
import pytest

from deploy.parts.ports import free_port
from receiver.clock import SystemClock
from receiver.core.playbook import Playbook, Query, Service, Verification
from receiver.prometheus import Prometheus
from receiver.verifier import Look, Verifier
from tests.integration.prometheus.conftest import Exporter

pytestmark = [pytest.mark.prometheus, pytest.mark.anyio]
Until = Callable[[str, Callable[[list[float]], bool]], list[float]]

SERVICE = Service("odd service", "local", "process", {})
PLAYBOOK = Playbook("book", "v1", 0, ())
LABELS = {"alertname": "Broken", "job": "exporter"}


@pytest.fixture
async def verifier(prometheus: Prometheus) -> AsyncIterator[Verifier]:
    async with httpx.AsyncClient(trust_env=False) as client:
        yield Verifier(prometheus, client, SystemClock())


async def look(verifier: Verifier, query: Query, *, ago: float = 30.0) -> Look:
    how = Verification(health=False, target=False, queries=(query,))
    return await verifier.look(how, SERVICE, PLAYBOOK, LABELS, since=time.time() - ago)


def reason(seen: Look) -> tuple[bool | None, str]:
    return seen.verdict, seen.readings[0]["reason"]


async def test_a_figure_within_its_bound_passes_and_one_beyond_it_is_bad(
    verifier: Verifier, exporter: Exporter, until: Until
) -> None:
    exporter.text = "depth 7\n"
    until("count_over_time(depth[20s])", lambda values: values != [] and values[0] >= 2)
    expr = 'max(depth{job="{{ labels.job }}"})'
    assert reason(await look(verifier, Query(expr, "<= 7"))) == (True, "ok")
    bad = await look(verifier, Query(expr, "< 7", name="depth", unit="jobs"))
    assert (reason(bad), bad.text, bad.readings[0]["value"]) == ((False, "bad"), "depth 7 jobs, wanted < 7", 7.0)
    failed = await look(verifier, Query(expr, "< 5", failure="> 6"))
    assert failed.failed_now


async def test_no_answer_is_inconclusive(verifier: Verifier) -> None:
    assert reason(await look(verifier, Query("no_such_metric", "== 0"))) == (None, "empty")


async def test_an_expression_that_looks_at_nothing_proves_nothing(verifier: Verifier) -> None:
    assert reason(await look(verifier, Query("vector(1)", "== 1"))) == (None, "empty")


async def test_nothing_divided_by_nothing_is_inconclusive(verifier: Verifier, exporter: Exporter, until: Until) -> None:
    exporter.text = "errors_total 0\nrequests_total 0\n"
    until("count_over_time(requests_total[10s])", lambda values: values != [] and values[0] >= 3)
    expr = "sum(rate(errors_total[$window])) / sum(rate(requests_total[$window]))"
    assert reason(await look(verifier, Query(expr, "< 0.05"), ago=6.0)) == (None, "nan")


async def test_old_samples_of_a_living_series_are_stale(verifier: Verifier, exporter: Exporter, until: Until) -> None:
    exporter.text = f"slow_cache 1 {int((time.time() - 120) * 1000)}\n"
    until("slow_cache", lambda values: values == [1.0])
    seen = await look(verifier, Query("slow_cache", "== 1"), ago=600.0)
    assert reason(seen) == (None, "stale")
    assert "s old (at most 60 s)" in seen.text


async def test_a_rate_that_outlives_its_target_is_stale(verifier: Verifier, exporter: Exporter, until: Until) -> None:
    exporter.text = "served_total 5\n"
    until("count_over_time(served_total[1m])", lambda values: values != [] and values[0] >= 3)
    exporter.text = None
    until("served_total", lambda values: values == [])
    seen = await look(verifier, Query("sum(rate(served_total[$window]))", "== 0"))
    assert reason(seen) == (None, "stale")
    assert "no longer scraped" in seen.text
    # What the scrape's own series says of the same target is fresh, and bad.
    assert reason(await look(verifier, Query("up", "== 1"))) == (False, "bad")


async def test_a_sample_of_before_the_action_is_too_early(verifier: Verifier, exporter: Exporter, until: Until) -> None:
    exporter.text = f"steady 1 {int((time.time() - 10) * 1000)}\n"
    until("steady", lambda values: values == [1.0])
    assert reason(await look(verifier, Query("steady", "== 1", min_samples=1), ago=5.0)) == (None, "too_early")
    assert reason(await look(verifier, Query("steady", "== 1", min_samples=1), ago=30.0)) == (True, "ok")


async def test_a_window_never_reaches_back_before_the_action(verifier: Verifier) -> None:
    assert reason(await look(verifier, Query("rate(up[$window])", "== 0"), ago=3.0)) == (None, "too_early")
    fixed = await look(verifier, Query("avg_over_time(up[5m])", ">= 0"), ago=30.0)
    assert reason(fixed) == (None, "too_early")
    assert "looks back 300 s" in fixed.text


async def test_too_little_traffic_is_inconclusive_also_for_a_failure(
    verifier: Verifier, exporter: Exporter, until: Until
) -> None:
    exporter.text = "few_total 1\nbroken 1\n"
    until("count_over_time(few_total[1m])", lambda values: values != [] and values[0] >= 3)
    query = Query("broken", "== 0", failure="> 0", traffic="sum(increase(few_total[$window]))", min_traffic=10)
    seen = await look(verifier, query)
    assert (reason(seen), seen.failed_now) == ((None, "no_traffic"), False)
    assert "0 requests in 30 s (at least 10)" in seen.text or "0 requests in 29 s (at least 10)" in seen.text


async def test_a_figure_of_one_sample_is_inconclusive(verifier: Verifier, exporter: Exporter, until: Until) -> None:
    exporter.text = f"single 1 {int(time.time() * 1000)}\n"
    until("single", lambda values: values == [1.0])
    seen = await look(verifier, Query("single", "== 1"))
    assert reason(seen) == (None, "few_samples")
    assert "1 samples since the action's end (at least 2)" in seen.text


async def test_an_error_is_inconclusive_and_says_what_prometheus_says(verifier: Verifier) -> None:
    seen = await look(verifier, Query("sum(", "== 0"))
    assert reason(seen) == (None, "error")
    assert "parse error" in seen.text


async def test_a_stopped_prometheus_is_inconclusive() -> None:
    async with httpx.AsyncClient(trust_env=False) as client:
        gone = Prometheus(f"http://127.0.0.1:{free_port()}", client, SystemClock())
        seen = await look(Verifier(gone, client, SystemClock()), Query("up", "== 1"))
    assert reason(seen) == (None, "error")
    assert "can't be reached" in seen.text
