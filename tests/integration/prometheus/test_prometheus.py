"""The client against a real Prometheus: values, errors, ages and whether an alert fires there."""

from __future__ import annotations

import math
import os
import signal
from collections.abc import Callable

import httpx
import pytest

from deploy.parts.ports import free_port
from deploy.parts.prometheus import Prometheus as Part
from receiver import prometheus as module
from receiver.clock import SystemClock
from receiver.core.promql import freshness, selectors
from receiver.ports import MetricsUnavailable
from receiver.prometheus import Prometheus
from tests.integration.prometheus.conftest import Exporter

pytestmark = [pytest.mark.prometheus, pytest.mark.anyio]
Until = Callable[[str, Callable[[list[float]], bool]], list[float]]
ODD = 'odd "name" \\ x'


async def test_values_that_are_no_numbers_arrive_as_what_they_are(prometheus: Prometheus) -> None:
    values = [(await prometheus.query(expr))[0].value for expr in ("vector(1) / 0", "vector(0) / 0", "-1 / vector(0)")]
    assert values[0] == math.inf
    assert math.isnan(values[1])
    assert values[2] == -math.inf


async def test_a_scalar_is_one_sample(prometheus: Prometheus) -> None:
    assert [one.value for one in await prometheus.query("1 + 1")] == [2.0]


async def test_nothing_found_is_an_empty_answer_and_no_error(prometheus: Prometheus) -> None:
    assert await prometheus.query("no_such_metric") == ()


async def test_a_bad_expression_says_what_prometheus_says(prometheus: Prometheus) -> None:
    with pytest.raises(MetricsUnavailable, match=r"refuses the query .bad_data.: .*parse error"):
        await prometheus.query("sum(")


async def test_a_range_query_gives_each_series_with_its_points(prometheus: Prometheus) -> None:
    now = (await prometheus.query("time()"))[0].value
    (series,) = await prometheus.query_range("vector(time())", now - 60.0, now, 2.0)
    assert len(series.points) == 31
    assert all(abs(at - value) < 0.01 for at, value in series.points)


async def test_a_range_is_refused_with_advice(prometheus: Prometheus) -> None:
    with pytest.raises(MetricsUnavailable, match="the expression gives a matrix"):
        await prometheus.query("up[1m]")


async def test_a_long_expression_is_sent_as_a_form(prometheus: Prometheus) -> None:
    expr = " + ".join(["1"] * 4000)
    assert (await prometheus.query(expr))[0].value == 4000


async def test_an_instant_can_be_asked_for(prometheus: Prometheus) -> None:
    assert (await prometheus.query("time()", at=1_700_000_000.25))[0].value == 1_700_000_000.25


async def test_an_alert_fires_in_prometheus_itself_without_its_external_labels(
    prometheus: Prometheus, exporter: Exporter, until: Until
) -> None:
    exporter.text = "broken 1\n"
    until('ALERTS{alertname="Broken",alertstate="firing"}', lambda values: values == [1.0])
    labels = {
        "alertname": "Broken",
        "severity": "critical",
        "service": ODD,
        "job": "exporter",
        "instance": exporter.address,
        "cluster": "eu-1",
        "replica": "a",
    }
    assert await prometheus.firing("Broken", labels) is True
    assert await prometheus.firing("Broken", labels | {"service": "other"}) is False
    assert await prometheus.firing("Broken", labels | {"cluster": "eu-2"}) is True
    assert await prometheus.firing("Posted", {"alertname": "Posted", "service": ODD}) is False
    assert await prometheus.firing("", {}) is None


async def test_external_labels_from_the_settings_count_instead_of_those_of_the_server(
    part: Part, exporter: Exporter, until: Until
) -> None:
    until('ALERTS{alertname="Broken",alertstate="firing"}', lambda values: values == [1.0])
    async with httpx.AsyncClient(trust_env=False) as client:
        prometheus = Prometheus(part.url, client, SystemClock(), ("zone",))
        assert await prometheus.firing("Broken", {"alertname": "Broken", "zone": "b"}) is True
        assert await prometheus.firing("Broken", {"alertname": "Broken", "cluster": "eu-1"}) is False


async def test_a_pending_alert_does_not_fire(prometheus: Prometheus, exporter: Exporter, until: Until) -> None:
    until('ALERTS{alertname="Slow",alertstate="pending"}', lambda values: values == [1.0])
    assert await prometheus.firing("Slow", {"alertname": "Slow"}) is False


async def test_the_age_of_the_data_is_told_for_each_living_selector(
    prometheus: Prometheus, exporter: Exporter, until: Until
) -> None:
    exporter.text = "broken 1\nrequests_total 5\n"
    until("requests_total", lambda values: values == [5.0])
    expr = 'sum(rate(requests_total{service=~"odd.*"}[5s])) / on () broken or no_such_metric'
    ages = await prometheus.query(freshness(selectors(expr)))
    assert {one.labels["selector"] for one in ages} == {"0", "1"}
    assert all(0 <= one.value < 5 for one in ages)


async def test_a_target_that_is_no_longer_scraped_has_no_living_series_though_its_rate_goes_on(
    prometheus: Prometheus, exporter: Exporter, until: Until
) -> None:
    exporter.text = "broken 1\ngone_total 5\n"
    until("count_over_time(gone_total[1m])", lambda values: values != [] and values[0] >= 3)
    exporter.text = "broken 1\n"
    until("gone_total", lambda values: values == [])
    assert await prometheus.query("rate(gone_total[1m])")
    assert await prometheus.query(freshness(selectors("rate(gone_total[1m])"))) == ()


async def test_a_prometheus_that_is_not_there_is_said_with_its_address() -> None:
    async with httpx.AsyncClient(trust_env=False) as client:
        url = f"http://127.0.0.1:{free_port()}"
        with pytest.raises(MetricsUnavailable, match=f"Prometheus at {url} can't be reached: .* .3 tries."):
            await Prometheus(url, client, SystemClock()).query("up")


async def test_a_prometheus_that_hangs_is_given_up_in_time(
    part: Part, prometheus: Prometheus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TIMEOUT", 0.5)
    async with httpx.AsyncClient(trust_env=False) as client:
        hurried = Prometheus(part.url, client, SystemClock())
        os.kill(part.child.pid, signal.SIGSTOP)
        try:
            with pytest.raises(MetricsUnavailable, match=r"gave no answer within 0\.5 s"):
                await hurried.query("up")
        finally:
            os.kill(part.child.pid, signal.SIGCONT)
        assert await prometheus.query("up")
