"""Calling people by PagerDuty: triggered once an incident, acknowledged and resolved with it, safe to repeat."""

from __future__ import annotations

import json
from collections.abc import Sequence

import httpx
import pytest

from receiver.chat.escalation import ATTEMPTS, EscalationSender, MetricPath
from receiver.chat.pagerduty import PagerDutyPath, event_of
from receiver.core import events as ev
from receiver.core.outbox import OutboxRow
from receiver.core.redaction import Secrets
from receiver.core.severity import Severity
from receiver.core.telling import PAGERDUTY, rows
from receiver.ports import ChatError
from tests.unit.core.life import Life, playbook, step

pytestmark = pytest.mark.anyio

BASE = "https://remediator.example"
KEY = "R0123456789ABCDEF0123456789ABCDEF"
ASKED = ev.ApprovalAsked("p-1", "rollback", "roll api back", "h", 1, 2000.0, 300.0, "escalate", reason_required=True)


class Api:
    """PagerDuty: answers as told, keeps what came."""

    def __init__(self, *answers: int | Exception) -> None:
        self.seen: list[httpx.Request] = []
        self._answers = list(answers)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.seen.append(request)
        answer = self._answers.pop(0) if self._answers else 202
        if isinstance(answer, Exception):
            raise answer
        return httpx.Response(
            answer, json={"status": "success"}, headers={"Retry-After": "30"} if answer == 429 else {}
        )

    def events(self) -> list[dict[str, object]]:
        return [json.loads(one.content) for one in self.seen]


def path(api: Api, *secrets: str) -> PagerDutyPath:
    client = httpx.AsyncClient(transport=httpx.MockTransport(api))
    return PagerDutyPath(
        "https://events.pagerduty.com/v2/enqueue", KEY, client, base_url=BASE, secrets=Secrets((KEY, *secrets))
    )


def happens(life: Life, *events: ev.Event) -> list[OutboxRow]:
    """Let things happen to an incident; return what PagerDuty is told of them."""
    found: list[OutboxRow] = []
    for event in events:
        before, known = life.incident, len(life.log)
        life.feed(event)
        found += rows(before, life.incident, life.log[known:], [PAGERDUTY])
    return found


def life() -> Life:
    return Life(playbook(step("restart")))


def actions(found: Sequence[OutboxRow]) -> list[tuple[str, str]]:
    events = [event_of(row, BASE) for row in found]
    return [(str(one["event_action"]), str(one["dedup_key"])) for one in events]


def test_an_incident_is_one_alert_that_is_triggered_acknowledged_and_resolved() -> None:
    found = happens(
        life(),
        ev.Escalated("the ladder is at its end", page_at=1900.0),
        ev.Acknowledged("ann", "slack"),
        ev.Paged(2, 2800.0),
        ev.Closed("ann", "done", "cli"),
    )
    assert actions(found) == [("trigger", "i-1"), ("acknowledge", "i-1"), ("trigger", "i-1"), ("resolve", "i-1")]


def test_a_late_response_triggers_and_taking_over_acknowledges() -> None:
    found = happens(life(), ev.ResponseMissed(Severity.P2, 3600.0), ev.TakenOver("ann", "web"), ev.Resolved("it works"))
    assert actions(found) == [("trigger", "i-1"), ("acknowledge", "i-1"), ("resolve", "i-1")]


def test_a_late_phase_is_an_alert_of_its_own_that_ends_when_it_is_reached_or_the_incident_is_over() -> None:
    found = happens(
        life(),
        ev.SeverityChanged(Severity.P1, "ann", "cli", reason="nobody can pay"),
        ev.Escalated("it could not be repaired", page_at=1900.0),
        ev.Acknowledged("ann", "slack"),
        ev.ResponseMissed(Severity.P1, 1800.0, "assess"),
        ev.ResponseMissed(Severity.P1, 3600.0, "mitigate"),
        ev.Noted("the disk is full", "ann", "cli", phase="assessed"),
        ev.Closed("ann", "done", "cli"),
    )
    assert actions(found) == [
        ("trigger", "i-1"), ("acknowledge", "i-1"), ("trigger", "i-1/assess"), ("trigger", "i-1/mitigate"),
        ("resolve", "i-1/assess"), ("resolve", "i-1"), ("resolve", "i-1/mitigate"),
    ]  # fmt: skip
    assert len({row.key for row in found}) == len(found)


def test_of_an_incident_that_called_nobody_it_hears_nothing() -> None:
    assert happens(life(), ev.Acknowledged("ann", "cli"), ev.Noted("hm", "ann"), ev.Resolved("it works")) == []


def test_a_request_for_approval_is_an_alert_of_its_own_that_its_end_resolves() -> None:
    found = happens(life(), ASKED, ev.ApprovalEnded("p-1", "approved", "approved by ann"))
    assert actions(found) == [("trigger", "i-1/p-1"), ("resolve", "i-1/p-1")]


async def test_an_alert_says_what_where_how_bad_and_what_to_type() -> None:
    api = Api()
    (row,) = happens(life(), ASKED)
    await EscalationSender([path(api)]).send(row, 0, again=False)
    (request,), (event,) = api.seen, api.events()
    assert str(request.url) == "https://events.pagerduty.com/v2/enqueue"
    assert event["routing_key"] == KEY
    assert event["links"] == [{"href": f"{BASE}/incidents/i-1", "text": "Incident i-1"}]
    payload = event["payload"]
    assert isinstance(payload, dict)
    assert payload["summary"].startswith("P2 api: Approval needed for step rollback: roll api back.")
    assert (payload["severity"], payload["source"], payload["class"]) == ("error", "api", "ServiceDown")
    assert payload["timestamp"] == "1970-01-01T00:16:40.000+00:00"
    assert payload["custom_details"]["answer"].splitlines() == [
        'remediator approve i-1 --reason "..."',
        'remediator deny i-1 --reason "..."',
    ]


async def test_no_secret_is_told_not_even_its_own_key_and_the_dedup_key_stays_readable() -> None:
    api = Api()
    (row,) = happens(life(), ev.Escalated(f"token {KEY} and hidden-value-1", page_at=1900.0))
    await path(api, "hidden-value-1").deliver(row)
    (event,) = api.events()
    assert event.pop("routing_key") == KEY
    assert event["dedup_key"] == "i-1"
    assert KEY not in json.dumps(event)
    assert "hidden-value-1" not in json.dumps(event)


async def test_what_a_limit_would_cut_is_hidden_before_and_leaves_no_beginning_of_a_secret() -> None:
    api = Api()
    for length in (*range(960, 1030, 5), *range(3950, 4005, 5)):
        (row,) = happens(life(), ev.Escalated(f"{'x' * length} hidden-value-1", page_at=1900.0))
        await path(api, "hidden-value-1").deliver(row)
    assert any("***" in json.dumps(event) for event in api.events())
    assert not [event for event in api.events() if "hidden" in json.dumps(event)]


@pytest.mark.parametrize(("answer", "after"), [(429, 30.0), (500, 0.0), (httpx.ConnectError("gone"), 0.0), (200, 0.0)])
async def test_what_it_does_not_take_now_is_tried_again_and_falls_through_to_the_metric(
    answer: int | Exception, after: float
) -> None:
    shown: list[int] = []
    (row,) = happens(life(), ev.Escalated("x", page_at=1900.0))
    sender = EscalationSender([path(Api(answer)), MetricPath(shown.append)])
    with pytest.raises(ChatError) as caught:
        await sender.send(row, 0, again=False)
    assert (caught.value.retry_after, shown) == (after, [1])
    await sender.send(row, 1, again=True)
    assert shown[-1] == 0


@pytest.mark.parametrize(("answer", "attempts"), [(400, 0), (403, 0), (500, ATTEMPTS - 1)])
async def test_what_it_refuses_for_good_is_given_up_and_stays_in_the_metric(answer: int, attempts: int) -> None:
    shown: list[int] = []
    (row,) = happens(life(), ev.Escalated("x", page_at=1900.0))
    with pytest.raises(ChatError, match=f"PagerDuty answers {answer}") as caught:
        await EscalationSender([path(Api(answer)), MetricPath(shown.append)]).send(row, attempts, again=True)
    assert (caught.value.retry_after, shown) == (None, [1])


async def test_that_somebody_has_it_is_no_page_that_could_be_undelivered() -> None:
    shown: list[int] = []
    _, row = happens(life(), ev.Escalated("x", page_at=1900.0), ev.Acknowledged("ann", "cli"))
    with pytest.raises(ChatError):
        await EscalationSender([path(Api(500)), MetricPath(shown.append)]).send(row, 0, again=False)
    assert shown == []


def test_without_a_key_there_is_no_path() -> None:
    with pytest.raises(ValueError, match="needs an integration key"):
        PagerDutyPath("https://events.pagerduty.com/v2/enqueue", "", httpx.AsyncClient())
