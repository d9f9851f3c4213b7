"""Calling people: signed, told apart by key, and by another path when one fails."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable

import httpx
import pytest

from receiver.chat.escalation import ATTEMPTS, EscalationSender, MetricPath, WebhookPath, signature
from receiver.core import events as ev
from receiver.core.outbox import OutboxRow
from receiver.ports import ChatError

pytestmark = pytest.mark.anyio

PAYLOAD = {
    "at": 1.0,
    "kind": "escalated",
    "number": 1,
    "text": "Needs a person: größer.",
    "incident": {"target": "api"},
}
SECRET = b"shared"


def row(number: int = 1, incident: str = "i-1") -> OutboxRow:
    return OutboxRow("escalation:webhook", "page", f"{incident}/{number}/page", incident, PAYLOAD, 1_700_000_000.5)


class Clock:
    """Stands still."""

    def now(self) -> float:
        return 1_700_000_001.9

    def monotonic(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("nothing waits")


class Hook:
    """The other side: answers as told, keeps what came."""

    def __init__(self, *answers: int | Exception, headers: dict[str, str] | None = None) -> None:
        self.seen: list[httpx.Request] = []
        self._answers = list(answers)
        self._headers = headers or {}

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.seen.append(request)
        answer = self._answers.pop(0) if self._answers else 200
        if isinstance(answer, Exception):
            raise answer
        return httpx.Response(answer, headers=self._headers)


def webhook(hook: Callable[[httpx.Request], httpx.Response]) -> WebhookPath:
    client = httpx.AsyncClient(transport=httpx.MockTransport(hook))
    return WebhookPath("https://pager.example/hook", SECRET, client, Clock(), base_url="https://remediator.example")


async def test_a_page_is_signed_over_its_timestamp_and_body() -> None:
    hook = Hook()
    await EscalationSender([webhook(hook)]).send(row(), 0, again=False)
    (request,) = hook.seen
    wanted = hmac.new(SECRET, b"1700000001." + request.content, hashlib.sha256).hexdigest()
    assert request.headers["X-Remediator-Signature"] == f"v1={wanted}"
    assert request.headers["X-Remediator-Timestamp"] == "1700000001"
    assert request.headers["Idempotency-Key"] == "i-1/1/page"
    body = json.loads(request.content)
    assert (body["version"], body["at"], body["incident_id"]) == ("1", "2023-11-14T22:13:20.500Z", "i-1")
    assert body["incident"] == {"target": "api"}
    assert body["url"] == "https://remediator.example/incidents/i-1"
    assert body["text"] == "Needs a person: größer."


def test_another_secret_time_or_body_gives_another_signature() -> None:
    one = signature(SECRET, "1", b"{}")
    assert one not in {signature(b"other", "1", b"{}"), signature(SECRET, "2", b"{}"), signature(SECRET, "1", b"{ }")}


def test_without_a_secret_there_is_no_path() -> None:
    with pytest.raises(ValueError, match="needs a secret"):
        WebhookPath("https://pager.example", b"", httpx.AsyncClient(), Clock())


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (302, "answers 302"),
        (401, "answers 401"),
        (500, "answers 500"),
        (httpx.ReadTimeout("slow"), "can't be reached: slow"),
    ],
)
async def test_all_but_2xx_is_undelivered_and_tried_again(answer: int | Exception, said: str) -> None:
    with pytest.raises(ChatError, match=said) as caught:
        await EscalationSender([webhook(Hook(answer))]).send(row(), 0, again=False)
    assert caught.value.retry_after == 0.0


async def test_the_other_side_may_ask_for_a_pause() -> None:
    with pytest.raises(ChatError) as caught:
        await EscalationSender([webhook(Hook(429, headers={"Retry-After": "90"}))]).send(row(), 0, again=False)
    assert caught.value.retry_after == 90.0


async def test_an_undelivered_page_falls_through_at_once_and_is_taken_back_when_it_is_delivered() -> None:
    shown: list[int] = []
    sender = EscalationSender([webhook(Hook(500, 500, 200)), MetricPath(shown.append)])
    for attempts in (0, 1):
        with pytest.raises(ChatError):
            await sender.send(row(), attempts, again=False)
    assert shown == [1]
    await sender.send(row(), 2, again=True)
    assert shown[-1] == 0


async def test_a_page_that_is_never_delivered_ends_among_the_dead_letters_and_stays_in_the_metric() -> None:
    shown: list[int] = []
    sender = EscalationSender([webhook(Hook(*[500] * 99)), MetricPath(shown.append)])
    with pytest.raises(ChatError) as caught:
        await sender.send(row(), ATTEMPTS - 1, again=True)
    assert caught.value.retry_after is None
    assert shown == [1]


async def test_the_metric_counts_incidents_until_people_know_or_they_end() -> None:
    shown: list[int] = []
    metric = MetricPath(shown.append)
    for page in (row(1), row(2), row(3, "i-2")):
        await metric.deliver(page)
    metric.forget("i-1")
    metric.forget("i-1")
    metric.delivered(row(3, "i-2"))
    assert shown == [1, 1, 2, 1, 1, 0]


@pytest.mark.parametrize(
    ("event", "left"),
    [
        (ev.Acknowledged("ann", "cli"), 0),
        (ev.TakenOver("ann", "cli"), 0),
        (ev.Voted("p-1", "ann", approve=True, reason="", via="cli"), 0),
        (ev.ApprovalEnded("p-1", "cancelled", "not needed"), 0),
        (ev.Resolved("helped"), 0),
        (ev.Closed("ann", "done", "cli"), 0),
        (ev.Noted("hm"), 1),
        (ev.Paged(2), 1),
    ],
    ids=lambda value: type(value).__name__,
)
async def test_a_page_that_was_lost_is_nobody_s_worry_once_people_know(event: ev.Event, left: int) -> None:
    shown: list[int] = []
    metric = MetricPath(shown.append)
    await metric.deliver(row())
    metric.happened([ev.Recorded("i-2", 9, 1.0, event), ev.Recorded("i-1", 9, 1.0, event)])
    await metric.deliver(row(1, "i-3"))
    assert shown[-1] == left + 1


async def test_the_metric_can_be_the_only_path() -> None:
    shown: list[int] = []
    await EscalationSender([MetricPath(shown.append)]).send(row(), 0, again=False)
    assert shown == [1]
