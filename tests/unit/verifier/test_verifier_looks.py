"""One look: everything that is asked for must be good, bad beats unknown, and nothing asked for shows nothing."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from dataclasses import replace

import httpx
import pytest

from receiver.core.playbook import Playbook, Query, Service, Verification
from receiver.ports import MetricsUnavailable, Sample
from receiver.verifier import Look, Verifier
from remediations.protocol import Verdict

pytestmark = pytest.mark.anyio

NOW = 1_000_000.0
PLAYBOOK = Playbook("book", "v1", 0, ())
QUERY = Query('errors{service="$service"}', "< 0.05", failure="> 0.5", name="errors")


class Clock:
    """Stands still."""

    def now(self) -> float:
        return NOW

    def monotonic(self) -> float:
        return NOW

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("nothing waits")


class Metrics:
    """Answers by the beginning of the expression; what was asked is kept."""

    def __init__(
        self, *, age: float | None = 1.0, samples: tuple[float, ...] = (9.0,), **answers: float | list[float] | str
    ) -> None:
        self.asked: list[str] = []
        self._answers = answers
        self._age = age
        self._samples = samples

    async def query(self, expr: str, at: float | None = None) -> Sequence[Sample]:
        self.asked.append(expr)
        if expr.startswith("label_replace(time()"):
            return [Sample({"selector": "0"}, self._age, NOW)] if self._age is not None else []
        if expr.startswith("label_replace(max(count_over_time("):
            return [Sample({"selector": str(number)}, value, NOW) for number, value in enumerate(self._samples)]
        found = next(answer for name, answer in self._answers.items() if expr.startswith(name))
        if isinstance(found, str):
            raise MetricsUnavailable(found)
        return [Sample({}, value, NOW) for value in (found if isinstance(found, list) else [found])]

    async def firing(self, alertname: str, labels: object) -> bool | None:
        raise AssertionError("not asked")


def service(*urls: str) -> Service:
    return Service("api", "local", "process", {}, health_urls=urls)


def health(request: httpx.Request) -> httpx.Response:
    status = {"/ok": (200, "healthy"), "/degraded": (200, "degraded")}.get(request.url.path)
    if status is None:
        raise httpx.ConnectError("refused")
    return httpx.Response(status[0], json={"status": status[1]})


async def look(
    metrics: Metrics | None,
    *queries: Query,
    urls: tuple[str, ...] = (),
    target: Verdict | None = None,
    ago: float = 60.0,
    labels: dict[str, str] | None = None,
    probe: tuple[str, ...] = (),
) -> Look:
    async with httpx.AsyncClient(transport=httpx.MockTransport(health)) as http:
        verifier = Verifier(metrics, http, Clock())
        how = Verification(queries=queries, probe=probe)
        return await verifier.look(how, service(*urls), PLAYBOOK, labels or {}, since=NOW - ago, target_verdict=target)


def reasons(seen: Look) -> list[str]:
    return [reading["reason"] for reading in seen.readings]


async def test_all_good_is_good_and_says_everything() -> None:
    seen = await look(Metrics(errors=0.01), QUERY, urls=("http://api/ok",), target=Verdict(True, "2 of 2 serve"))
    assert seen.verdict is True
    assert [one["source"] for one in seen.readings] == ["health", "prometheus", "target"]
    assert "2 of 2 serve" in seen.text
    assert "errors 0.01" in seen.text


async def test_one_bad_is_bad_whatever_else_is_unknown_and_only_the_bad_is_told() -> None:
    seen = await look(Metrics(errors="gone"), QUERY, urls=("http://api/degraded",), target=Verdict(True, "fine"))
    assert seen.verdict is False
    assert seen.text == "http://api/degraded answers 200 but says degraded; expected healthy"


async def test_one_unknown_is_unknown() -> None:
    seen = await look(Metrics(errors=0.01), QUERY, urls=("http://api/ok",), target=Verdict(None, "still starting"))
    assert (seen.verdict, seen.text) == (None, "still starting")


async def test_nothing_asked_for_shows_nothing() -> None:
    assert (await look(Metrics())).verdict is None


async def test_the_word_and_the_time_of_a_health_endpoint_are_the_service_s() -> None:
    async def slow(request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(0.2)
        return httpx.Response(200, json={"status": "fine"})

    verdicts = {}
    for word, timeout in (("healthy", 5.0), ("FINE", 5.0), ("fine", 0.05)):
        one = replace(service("http://api/ok"), health_word=word, health_timeout=timeout)
        async with httpx.AsyncClient(transport=httpx.MockTransport(slow)) as http:
            seen = await Verifier(None, http, Clock()).look(Verification(), one, PLAYBOOK, {}, since=NOW)
        verdicts[word, timeout] = seen.verdict
    assert verdicts == {("healthy", 5.0): False, ("FINE", 5.0): True, ("fine", 0.05): False}


async def test_every_health_endpoint_must_answer() -> None:
    seen = await look(None, urls=("http://api/ok", "http://api/gone"))
    assert seen.verdict is False
    assert "http://api/gone can't be asked" in seen.text


async def test_a_failure_condition_is_handed_on() -> None:
    assert (await look(Metrics(errors=0.9), QUERY)).failed_now
    assert not (await look(Metrics(errors=0.2), QUERY)).failed_now


@pytest.mark.parametrize(
    ("metrics", "reason"),
    [
        (Metrics(errors=[]), "empty"),
        (Metrics(errors=math.nan), "nan"),
        (Metrics(errors=0.01, age=61.0), "stale"),
        (Metrics(errors=0.01, age=None), "stale"),
        (Metrics(errors="Prometheus hangs"), "error"),
        (None, "error"),
    ],
)
async def test_no_data_is_unknown_and_says_which_kind(metrics: Metrics | None, reason: str) -> None:
    seen = await look(metrics, QUERY, ago=600.0)
    assert (seen.verdict, reasons(seen)) == (None, [reason])


async def test_data_of_before_the_action_is_too_early() -> None:
    assert reasons(await look(Metrics(errors=0.01, age=20.0), QUERY, ago=10.0)) == ["too_early"]


async def test_the_window_grows_with_the_time_since_the_action_and_never_beyond_it() -> None:
    query = Query("rate(x[$window])", "< 1")
    for ago, window in ((7.9, "7s"), (100.2, "100s"), (5000.0, "300s")):
        metrics = Metrics(rate=0.0)
        await look(metrics, query, ago=ago)
        assert metrics.asked[0] == f"rate(x[{window}])"


async def test_a_window_that_is_too_short_is_not_asked_about() -> None:
    metrics = Metrics(rate=0.0)
    assert reasons(await look(metrics, Query("rate(x[$window])", "< 1"), ago=4.0)) == ["too_early"]
    assert metrics.asked == []


async def test_a_fixed_range_waits_until_it_no_longer_reaches_before_the_action() -> None:
    query = Query("rate(x[1m])", "< 1")
    assert reasons(await look(Metrics(rate=0.0), query, ago=59.0)) == ["too_early"]
    assert reasons(await look(Metrics(rate=0.0), query, ago=60.0)) == ["ok"]


@pytest.mark.parametrize(
    ("traffic", "reason"), [(4.0, "no_traffic"), ([], "no_traffic"), (math.nan, "no_traffic"), (5.0, "ok")]
)
async def test_too_little_traffic_decides_nothing(traffic: float | list[float], reason: str) -> None:
    query = Query("errors", "< 1", failure="> 0.5", traffic="requests[$window]", min_traffic=5)
    assert reasons(await look(Metrics(errors=0.0, requests=traffic), query)) == [reason]


async def test_too_little_traffic_fails_nothing_either() -> None:
    query = Query("errors", "< 1", failure="> 0.5", traffic="requests", min_traffic=5)
    assert not (await look(Metrics(errors=1.0, requests=1.0), query)).failed_now


async def test_labels_and_the_service_are_filled_in_escaped() -> None:
    metrics = Metrics(errors=0.01)
    query = Query('errors{service="$service",pod="{{ labels.pod }}"}', "< 1")
    await look(metrics, query, labels={"pod": 'a"} or vector(0) #'})
    assert metrics.asked[0] == r'errors{service="api",pod="a\"} or vector(0) #"}'


async def test_a_label_that_is_missing_is_unknown_and_named() -> None:
    seen = await look(Metrics(errors=0.01), Query('errors{pod="{{ labels.pod }}"}', "< 1"))
    assert (seen.verdict, reasons(seen)) == (None, ["error"])
    assert "playbook book: the alert has no label 'pod'" in seen.text


async def test_the_figures_of_before_look_back_five_minutes() -> None:
    metrics = Metrics(rate=0.4)
    async with httpx.AsyncClient(transport=httpx.MockTransport(health)) as http:
        verifier = Verifier(metrics, http, Clock())
        how = Verification(queries=(Query("rate(x[$window])", "< 0.05", name="errors"),))
        (reading,) = await verifier.baseline(how, service(), PLAYBOOK, {})
    assert metrics.asked[0] == "rate(x[300s])"
    assert (reading["name"], reading["value"], reading["ok"]) == ("errors", 0.4, False)


@pytest.mark.parametrize(
    ("samples", "reason"), [((2.0,), "ok"), ((1.0,), "few_samples"), ((9.0, 1.0), "few_samples"), ((), "few_samples")]
)
async def test_a_figure_of_too_few_samples_proves_nothing(samples: tuple[float, ...], reason: str) -> None:
    good = await look(Metrics(errors=0.01, samples=samples), QUERY)
    bad = await look(Metrics(errors=0.9, samples=samples), QUERY)
    assert reasons(good) == [reason]
    assert good.verdict is (True if reason == "ok" else None)
    assert bad.verdict is (False if reason == "ok" else None)
    assert bad.failed_now is (reason == "ok")


async def test_samples_are_counted_since_the_actions_end() -> None:
    metrics = Metrics(errors=0.01)
    await look(metrics, QUERY, ago=42.0)
    assert 'max(count_over_time(errors{service="api"}[42s]))' in metrics.asked[-1]


async def test_one_sample_is_enough_where_the_playbook_says_so() -> None:
    assert (await look(Metrics(errors=0.01, samples=(1.0,)), replace(QUERY, min_samples=1))).verdict is True


BUSY = replace(QUERY, traffic="traffic", min_traffic=5.0)


async def test_a_probe_stands_for_the_traffic_that_is_not_there() -> None:
    quiet = Metrics(traffic=1.0, errors=0.0)
    assert (await look(quiet, BUSY)).verdict is None
    seen = await look(quiet, BUSY, probe=("http://api/ok",))
    assert seen.verdict is True
    assert [(one["source"], one["reason"]) for one in seen.readings] == [("probe", "ok"), ("prometheus", "probed")]
    assert "1 requests in 60 s (at least 5); a probe stands for it" in seen.text


async def test_a_probe_that_fails_is_bad_and_stands_for_nothing() -> None:
    seen = await look(Metrics(traffic=1.0, errors=0.0), BUSY, probe=("http://api/ok", "http://api/gone"))
    assert seen.verdict is False
    assert reasons(seen)[-1] == "no_traffic"


async def test_a_probe_needs_no_word_and_does_not_excuse_bad_figures() -> None:
    seen = await look(Metrics(traffic=9.0, errors=0.2), BUSY, probe=("http://api/degraded",))
    assert [(one["source"], one["ok"]) for one in seen.readings] == [("probe", True), ("prometheus", False)]
    assert seen.verdict is False
