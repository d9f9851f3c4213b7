"""The webhook: 2xx only after everything is durable, and an answer that says what is wrong and where."""

import asyncio
import json
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from receiver.metrics import Metrics
from receiver.receiving import Received
from receiver.web.ingest import LARGE, SLICE
from receiver.web.parsing import MAX_QUARANTINED
from tests.unit.web.fakes import NOW, WEBHOOK, Edge, payload
from tests.unit.web.test_parsing import alert, webhook

pytestmark = pytest.mark.anyio


def figure(metrics: Metrics, name: str, **labels: str) -> float:
    for family in text_string_to_metric_families(metrics.render().decode()):
        for sample in family.samples:
            if sample.name == name and sample.labels == labels:
                return sample.value
    raise AssertionError(f"no {name}{labels}")


async def test_a_webhook_is_stored_with_its_body_and_then_answered() -> None:
    edge = Edge()
    answer = await edge.post(payload("04-multi-firing"))
    assert answer.status_code == 200
    assert answer.json()["new"] == 10
    ((alerts, body, bad),) = edge.engine.calls
    assert len(alerts) == 10
    assert body is not None
    assert (body.raw, body.alerts, body.received_at) == (payload("04-multi-firing"), 10, NOW)
    assert not bad


async def test_nothing_is_answered_before_the_engine_returns() -> None:
    edge = Edge()
    gate = asyncio.Event()

    async def wait() -> None:
        await gate.wait()

    edge.engine.before = wait
    request = asyncio.create_task(edge.post(payload("01-single-firing")))
    for _ in range(20):
        await asyncio.sleep(0)
    assert not request.done()
    gate.set()
    assert (await request).status_code == 200


async def test_a_store_that_fails_is_a_503_to_be_sent_again() -> None:
    edge = Edge()
    edge.engine.fails_from = 0
    answer = await edge.post(payload("01-single-firing"))
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "5"
    assert "the disk is full" in answer.json()["detail"]


async def test_a_service_that_is_not_ready_takes_nothing() -> None:
    edge = Edge()
    edge.health.unready("stopping")
    answer = await edge.post(payload("01-single-firing"))
    assert (answer.status_code, edge.engine.calls) == (503, [])


async def test_a_problem_body_says_what_and_where() -> None:
    answer = await Edge().post(b'{"version": "3", "alerts": []}')
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    told = answer.json()
    assert (told["status"], told["title"], told["type"]) == (422, "Unprocessable Content", "about:blank") or told[
        "title"
    ] == "Unprocessable Entity"
    assert told["errors"][0]["where"] == "$.version"


async def test_one_bad_alert_is_quarantined_and_the_good_ones_are_taken() -> None:
    edge = Edge()
    answer = await edge.post(webhook(alert(), alert(labels=None)))
    assert answer.status_code == 200
    told = answer.json()
    assert (told["alerts"], told["quarantined"]) == (1, 1)
    assert told["errors"][0]["where"] == "$.alerts[1].labels"
    assert [one.where for one in edge.engine.quarantined] == ["$.alerts[1].labels"]
    assert figure(edge.metrics, "remediator_alerts_total", result="quarantined") == 1


async def test_a_group_without_one_good_alert_is_refused_and_still_kept() -> None:
    edge = Edge()
    answer = await edge.post(webhook(alert(labels=None)))
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["where"] == "$.alerts[0].labels"
    assert len(edge.engine.quarantined) == 1


async def test_truncated_alerts_ask_for_a_resync() -> None:
    edge = Edge()
    await edge.post(payload("01-single-firing"))
    assert edge.resyncs == 0
    await edge.post(payload("08-truncated-says-resolved"))
    assert edge.resyncs == 1


async def test_a_defect_is_a_problem_too_so_that_it_is_sent_again() -> None:
    edge = Edge()

    async def broken() -> None:
        raise ZeroDivisionError("a defect")

    edge.engine.before = broken
    answer = await edge.post(payload("01-single-firing"))
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == 500
    assert figure(edge.metrics, "remediator_webhooks_total", code="500") == 1


@pytest.mark.parametrize(
    "received", [Received(refired=1), Received(stale=1)], ids=["firing after resolved", "an older start"]
)
async def test_what_contradicts_what_is_known_asks_alertmanager(received: Received) -> None:
    edge = Edge()
    edge.engine.answers = received
    assert (await edge.post(payload("01-single-firing"))).status_code == 200
    assert edge.resyncs == 1


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS"])
async def test_other_methods_are_refused_with_the_one_that_is_allowed(method: str) -> None:
    edge = Edge()
    async with edge.client() as client:
        answer = await client.request(method, WEBHOOK)
    assert answer.status_code == 405
    assert answer.headers["allow"] == "POST"


@pytest.mark.parametrize("path", [f"{WEBHOOK}/", "/webhooks", "/webhooks/", "//webhooks/alertmanager", "/webhook"])
async def test_no_neighbour_of_the_path_redirects(path: str) -> None:
    edge = Edge()
    async with edge.client() as client:
        answer = await client.post(f"http://127.0.0.1:9797{path}", content=payload("01-single-firing"))
    assert answer.status_code == 404
    assert "location" not in answer.headers


async def test_a_declared_length_over_the_limit_is_refused_before_the_body_is_read() -> None:
    edge = Edge(environment={"REMEDIATOR_MAX_BODY": "1KB"})
    read = 0

    async def receive() -> dict[str, Any]:
        nonlocal read
        read += 1
        return {"type": "http.request", "body": b"", "more_body": False}

    sent = await _ask(edge, [(b"content-length", b"1025")], receive)
    assert (sent[0]["status"], read) == (413, 0)


async def test_a_body_that_grows_far_over_the_limit_is_refused_while_it_streams() -> None:
    edge = Edge(environment={"REMEDIATOR_MAX_BODY": "1KB"})
    chunks = 0

    async def receive() -> dict[str, Any]:
        nonlocal chunks
        chunks += 1
        return {"type": "http.request", "body": b"x" * 300, "more_body": True}

    sent = await _ask(edge, [], receive)
    assert sent[0]["status"] == 413
    assert (b"connection", b"close") in sent[0]["headers"]
    assert chunks == 7


async def test_a_body_that_does_not_arrive_is_a_408() -> None:
    edge = Edge(environment={"REMEDIATOR_BODY_TIMEOUT": "20ms"})

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(60)
        raise AssertionError

    sent = await _ask(edge, [(b"content-length", b"10")], receive)
    assert sent[0]["status"] == 408


async def test_a_client_that_goes_away_gets_no_answer_and_stores_nothing() -> None:
    edge = Edge()

    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    assert await _ask(edge, [(b"content-length", b"10")], receive) == []
    assert edge.engine.calls == []
    assert figure(edge.metrics, "remediator_webhooks_total", code="499") == 1


@pytest.mark.parametrize("length", [b"-1", b"1e3", b"", b"9" * 30])
async def test_a_length_that_is_no_number_is_refused(length: bytes) -> None:
    async def receive() -> dict[str, Any]:
        raise AssertionError

    sent = await _ask(Edge(), [(b"content-length", length)], receive)
    assert sent[0]["status"] == 400


async def test_a_compressed_body_is_refused() -> None:
    assert (await Edge().post(payload("01-single-firing"), **{"content-encoding": "gzip"})).status_code == 415


def big(alerts: int) -> bytes:
    body = webhook(*(alert(fingerprint=f"{n:016x}", annotations={"text": "x" * 900}) for n in range(alerts)))
    assert len(body) > LARGE
    return body


async def test_a_large_body_is_stored_in_slices_and_others_get_their_turn_between() -> None:
    edge = Edge()
    small = 0

    async def yield_once() -> None:
        await asyncio.sleep(0)

    edge.engine.before = yield_once
    large = asyncio.create_task(edge.post(big(2000)))
    while not large.done():
        assert (await edge.post(payload("01-single-firing"))).status_code == 200
        small += 1
    assert (await large).json()["new"] == 2000
    assert small >= 3
    sizes = [len(alerts) for alerts, _, _ in edge.engine.calls if len(alerts) > 1]
    assert sizes == [SLICE] * (2000 // SLICE)


async def test_the_raw_body_of_a_large_webhook_is_kept_once() -> None:
    edge = Edge()
    await edge.post(big(1000))
    assert [body is not None for _, body, _ in edge.engine.calls] == [True, False, False, False]


async def test_a_large_body_whose_store_fails_half_way_is_a_503() -> None:
    edge = Edge()
    edge.engine.fails_from = 2
    assert (await edge.post(big(1000))).status_code == 503


async def test_what_is_kept_one_by_one_of_a_large_bad_body_is_bounded_and_the_rest_is_counted() -> None:
    edge = Edge()
    body = webhook(alert(), *(alert(status="?", annotations={"text": "x" * 900}) for _ in range(1000)))
    told = (await edge.post(body)).json()
    assert told["quarantined"] == 1000
    assert len(edge.engine.quarantined) == MAX_QUARANTINED
    assert figure(edge.metrics, "remediator_alerts_total", result="quarantined") == 1000


async def test_large_bodies_are_read_one_after_the_other() -> None:
    edge = Edge()
    inside, most = 0, 0

    async def count() -> None:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        await asyncio.sleep(0)
        inside -= 1

    edge.engine.before = count
    answers = await asyncio.gather(*(edge.post(big(600)) for _ in range(3)))
    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert most == 1


async def test_every_webhook_is_counted_and_timed() -> None:
    edge = Edge()
    await edge.post(payload("04-multi-firing"))
    await edge.post(b"nonsense")
    assert figure(edge.metrics, "remediator_webhooks_total", code="200") == 1
    assert figure(edge.metrics, "remediator_webhooks_total", code="400") == 1
    assert figure(edge.metrics, "remediator_alerts_total", result="new") == 10
    assert figure(edge.metrics, "remediator_webhook_duration_seconds_count") == 2
    assert figure(edge.metrics, "remediator_webhook_duration_seconds_bucket", le="0.001") == 2
    assert figure(edge.metrics, "remediator_webhook_body_bytes_total") == len(payload("04-multi-firing")) + 8


async def _ask(edge: Edge, headers: list[tuple[bytes, bytes]], receive: Any) -> list[dict[str, Any]]:
    sent: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        sent.append(dict(message))

    scope = {"type": "http", "method": "POST", "path": WEBHOOK, "headers": headers, "client": ("127.0.0.1", 1)}
    await edge.site(scope, receive, send)
    if sent:
        json.loads(sent[1]["body"])
    return sent
