"""The Prometheus client against a transport: what is tried again, what is refused, what is bounded."""

from __future__ import annotations

import json
import math
from collections.abc import Callable

import httpx
import pytest

from receiver import prometheus as module
from receiver.ports import MetricsUnavailable
from receiver.prometheus import Prometheus

pytestmark = pytest.mark.anyio

OK = {"status": "success", "data": {"resultType": "vector", "result": [{"metric": {"a": "b"}, "value": [5.5, "1.5"]}]}}
EMPTY = {"status": "success", "data": {"resultType": "vector", "result": []}}


class Clock:
    """Waits in no time, and counts."""

    def __init__(self) -> None:
        self.waited: list[float] = []

    def now(self) -> float:
        return 1000.0

    def monotonic(self) -> float:
        return 1000.0

    async def sleep(self, seconds: float) -> None:
        self.waited.append(seconds)


def prometheus(
    answer: Callable[[httpx.Request], httpx.Response], url: str = "http://prometheus:9090/prefix/"
) -> Prometheus:
    return Prometheus(url, httpx.AsyncClient(transport=httpx.MockTransport(answer)), Clock())


async def test_the_path_prefix_is_kept() -> None:
    seen: list[httpx.URL] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.url)
        return httpx.Response(200, json=OK)

    (sample,) = await prometheus(answer).query('up{a="b"}', at=7.0)
    assert str(seen[0]) == "http://prometheus:9090/prefix/api/v1/query?query=up%7Ba%3D%22b%22%7D&time=7.000"
    assert (sample.labels, sample.value, sample.at) == ({"a": "b"}, 1.5, 5.5)


async def test_a_lost_connection_is_tried_again() -> None:
    answers: list[httpx.Response | Exception] = [
        httpx.ConnectError("refused"),
        httpx.Response(503, text="Service Unavailable"),
        httpx.Response(200, json=OK),
    ]

    def answer(_: httpx.Request) -> httpx.Response:
        found = answers.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    assert len(await prometheus(answer).query("up")) == 1
    assert answers == []


@pytest.mark.parametrize(
    ("response", "said"),
    [
        (httpx.Response(503, text="starting"), r"answers 503 \(3 tries\)"),
        (
            httpx.Response(503, json={"status": "error", "errorType": "timeout", "error": "query timed out"}),
            r"refuses the query \(timeout\): query timed out",
        ),
        (httpx.Response(404, text="not found"), "answers 404"),
        (httpx.Response(302, headers={"Location": "http://elsewhere/"}), "answers 302"),
        (httpx.Response(200, text="<html>"), "can't be read"),
        (httpx.Response(200, json={"status": "success"}), "can't be read"),
        (
            httpx.Response(200, json={"status": "success", "data": {"resultType": "vector", "result": [1]}}),
            "can't be read",
        ),
        (
            httpx.Response(200, json={"status": "success", "data": {"resultType": "string", "result": [1, "x"]}}),
            "a string",
        ),
    ],
)
async def test_an_answer_that_is_none_says_what_came(response: httpx.Response, said: str) -> None:
    with pytest.raises(MetricsUnavailable, match=said):
        await prometheus(lambda _: response).query("up")


async def test_a_refusal_is_not_tried_again() -> None:
    seen: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.method)
        return httpx.Response(400, json={"status": "error", "errorType": "bad_data", "error": "no"})

    with pytest.raises(MetricsUnavailable):
        await prometheus(answer).query("x" * 3000)
    assert seen == ["POST"]


async def test_an_answer_without_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_BODY", 1024 * 1024)
    with pytest.raises(MetricsUnavailable, match="gave more than 1 MB"):
        await prometheus(lambda _: httpx.Response(200, content=b" " * 1024 * 1025)).query("up")


async def test_an_expression_with_too_many_series_is_told_to_aggregate(monkeypatch: pytest.MonkeyPatch) -> None:
    many = {"resultType": "vector", "result": [{"metric": {}, "value": [1, "1"]}] * 1001}
    with pytest.raises(MetricsUnavailable, match=r"gives 1001 series \(at most 1000\): aggregate it"):
        await prometheus(lambda _: httpx.Response(200, json={"status": "success", "data": many})).query("up")


async def test_errors_show_no_password() -> None:
    with pytest.raises(MetricsUnavailable) as caught:
        await prometheus(lambda _: httpx.Response(500), "http://user:secret@prometheus:9090").query("up")
    assert "secret" not in str(caught.value)
    assert "http://prometheus:9090" in str(caught.value)


async def test_labels_that_promql_cannot_write_are_left_out_of_the_question() -> None:
    seen: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.url.params["query"])
        return httpx.Response(200, json=OK)

    labels = {"alertname": "Down", "größe": "x", "path": 'C:\\a"b\nc', "alertstate": "odd", "zone": "eu"}
    assert await prometheus(answer).firing("Down", labels)
    assert seen == [r'ALERTS{alertname="Down",alertstate="firing",path="C:\\a\"b\nc",zone="eu"}']


async def test_where_the_configuration_is_not_shown_no_label_is_external() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/config"):
            return httpx.Response(404)
        return httpx.Response(200, json=EMPTY)

    assert await prometheus(answer).firing("Down", {"cluster": "eu"}) is False


@pytest.mark.parametrize("yaml", ["", "global: []", "global: {external_labels: 5}", "{", "- a"])
async def test_a_configuration_that_says_nothing_is_taken_for_none(yaml: str) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/config"):
            return httpx.Response(200, content=json.dumps({"status": "success", "data": {"yaml": yaml}}))
        return httpx.Response(200, json=EMPTY)

    assert await prometheus(answer).firing("Down", {"cluster": "eu"}) is False


MATRIX = {
    "status": "success",
    "data": {"resultType": "matrix", "result": [{"metric": {"a": "b"}, "values": [[5.5, "1.5"], [6.5, "NaN"]]}]},
}


async def test_a_range_is_asked_for_with_its_limits() -> None:
    seen: list[httpx.QueryParams] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.url.params)
        return httpx.Response(200, json=MATRIX)

    (series,) = await prometheus(answer).query_range("up", 10.0, 130.0, 2.0)
    assert dict(seen[0]) == {
        "query": "up", "start": "10.000", "end": "130.000", "step": "2.000", "timeout": "10s", "limit": "101",
    }  # fmt: skip
    assert series.labels == {"a": "b"}
    assert series.points[0] == (5.5, 1.5)
    assert math.isnan(series.points[1][1])


@pytest.mark.parametrize(("start", "step"), [(0.0, 0.001), (130.0, 1.0), (200.0, 1.0)])
async def test_more_points_than_may_be_are_never_asked_for(start: float, step: float) -> None:
    with pytest.raises(ValueError, match="points"):
        await prometheus(lambda _: httpx.Response(200, json=MATRIX)).query_range("up", start, 130.0, step)


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"status":"success","data":{"resultType":"matrix","result":[{}]}}'])
async def test_a_range_s_answer_that_is_none_is_said(body: bytes) -> None:
    with pytest.raises(MetricsUnavailable, match="can't be read"):
        await prometheus(lambda _: httpx.Response(200, content=body)).query_range("up", 0.0, 60.0, 1.0)


async def test_more_series_than_a_chart_could_show_are_refused() -> None:
    lines = [{"metric": {"a": str(number)}, "values": [[1, "1"]]} for number in range(module.MAX_SERIES + 1)]
    body = {"status": "success", "data": {"resultType": "matrix", "result": lines}}
    with pytest.raises(MetricsUnavailable, match="aggregate it"):
        await prometheus(lambda _: httpx.Response(200, json=body)).query_range("up", 0.0, 60.0, 1.0)
