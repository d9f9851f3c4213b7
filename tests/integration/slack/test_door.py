"""What comes in over HTTP: only what Slack signed, once, in time, and not too much."""

import asyncio
import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest

from receiver.chat.slack.private import PrivateAnswers
from receiver.core.redaction import hide
from receiver.metrics import SLACK_REFUSALS
from receiver.ports import TooBusy
from receiver.web.slack import COMMAND, INTERACTIVITY, MAX_BODY, MOST, REASONS, SlackDoor
from tests.integration.slack.hands import door_of
from tests.simulation.world import FakeClock
from tests.slack_double.signing import Signed
from tests.unit.web.fakes import Edge, FixedClock

pytestmark = pytest.mark.anyio

OLD, NEW = "the secret of before", "the secret of now"


@dataclass
class Keeping:
    """Keeps what it is given."""

    got: list[Mapping[str, Any]] = field(default_factory=list)
    answers: dict[str, Any] | None = None
    hold: asyncio.Event | None = None

    async def interactive(self, payload: Mapping[str, Any]) -> dict[str, Any] | None:
        self.got.append(payload)
        return self.answers

    async def command(self, form: Mapping[str, str]) -> dict[str, Any] | None:
        self.got.append(form)
        return self.answers


class Door:
    """The door with nobody behind it."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.desk = Keeping()
        self.refused: list[str] = []
        self.door = SlackDoor([OLD, NEW], self.clock, self.desk, self.refused.append)
        self.site = door_of(self.door)
        self.clock.time += 1000

    def signed(self, payload: object = None, *, secret: str = NEW, body: bytes | None = None) -> Signed:
        form = urlencode({"payload": json.dumps(payload or {"type": "block_actions"})}).encode()
        return Signed(secret, str(int(self.clock.now())), form if body is None else body)

    async def post(self, signed: Signed, path: str = INTERACTIVITY) -> httpx.Response:
        transport = httpx.ASGITransport(self.site)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return await client.post(path, content=signed.body, headers=signed.headers)


@pytest.fixture
def door() -> Door:
    return Door()


async def test_without_a_secret_there_is_no_door() -> None:
    edge = Edge()
    async with edge.client() as client:
        for path in (INTERACTIVITY, COMMAND):
            assert (await client.post(path, content=b"payload={}")).status_code == 404


async def test_with_a_secret_there_is_one_and_what_is_too_much_is_503() -> None:
    class Full(Keeping):
        async def interactive(self, payload: Mapping[str, Any]) -> dict[str, Any] | None:
            raise TooBusy

    environment = {
        "REMEDIATOR_SLACK_TOKEN": "xoxb-1",
        "REMEDIATOR_SLACK_CHANNEL": "C0123ABCD",
        "REMEDIATOR_SLACK_SIGNING_SECRET": f"{OLD}\n{NEW}".replace(" ", "-"),
    }
    edge = Edge(environment=environment, slack=Full())
    signed = Signed(NEW.replace(" ", "-"), str(int(FixedClock().now())), b"payload=%7B%7D")
    async with edge.client(host="remediator.example") as client:
        answer = await client.post(INTERACTIVITY, content=signed.body, headers=signed.headers)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert (await client.get(INTERACTIVITY)).status_code == 405
        assert (await client.post(COMMAND, content=signed.body, headers=signed.headers)).status_code == 401, "a replay"


@pytest.mark.parametrize("secret", [OLD, NEW])
async def test_what_is_signed_with_any_of_the_secrets_is_taken(door: Door, secret: str) -> None:
    answer = await door.post(door.signed({"type": "view_closed"}, secret=secret))
    assert (answer.status_code, answer.content) == (200, b"")
    assert door.desk.got == [{"type": "view_closed"}]


async def test_an_answer_goes_back_as_json(door: Door) -> None:
    door.desk.answers = {"response_action": "clear"}
    answer = await door.post(door.signed())
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == {"response_action": "clear"}


async def test_forged_tampered_stale_and_odd_requests_are_401(door: Door) -> None:
    good = door.signed()
    garbled = [
        *good.garbled(),
        replace(good, timestamp="9" * 400),
        replace(good, timestamp="9" * 5000),
        replace(good, timestamp=""),
        replace(good, timestamp="-1"),
        replace(good, timestamp=str(int(door.clock.now() + 301))),
        replace(good, given=b""),
        replace(good, given=b"v0="),
        replace(good, given=b"v1=" + b"0" * 64),
    ]
    for one in (good.forged(), good.tampered(b"payload=%7B%7D"), good.stale(), *garbled):
        answer = await door.post(one)
        assert answer.status_code == 401, one
        assert NEW not in answer.text
    assert door.desk.got == []
    assert Counter(door.refused) == {"signature": len(garbled) + 1, "stale": 2}
    assert (await door.post(good.stale(299))).status_code == 200


async def test_a_request_without_signature_or_time_is_401(door: Door) -> None:
    transport = httpx.ASGITransport(door.site)
    good = door.signed()
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        for name in (b"X-Slack-Signature", b"X-Slack-Request-Timestamp"):
            headers = [one for one in good.headers if one[0] != name]
            assert (await client.post(INTERACTIVITY, content=good.body, headers=headers)).status_code == 401
    assert door.desk.got == []
    assert door.refused == ["unsigned", "unsigned"]


async def test_a_replay_is_401_for_as_long_as_its_time_stamp_would_be_taken(door: Door) -> None:
    good = door.signed()
    assert (await door.post(good)).status_code == 200
    for seconds in (0, 1, 298):
        door.clock.time += seconds
        assert (await door.post(good)).status_code == 401
        assert (await door.post(good, COMMAND)).status_code == 401
    assert len(door.desk.got) == 1
    assert door.refused == ["replay"] * 6


async def test_what_was_signed_before_this_process_began_is_401(door: Door) -> None:
    good = door.signed()
    assert (await door.post(good)).status_code == 200
    door.clock.time += 5
    door.site = door_of(SlackDoor([NEW], door.clock, door.desk, door.refused.append))
    again = await door.post(good)
    assert again.status_code == 401
    assert "before this process began" in again.json()["detail"]
    assert door.refused == ["before_start"]
    assert (await door.post(door.signed())).status_code == 200


async def test_more_signatures_than_are_remembered_are_refused_and_not_forgotten(door: Door) -> None:
    door.door._signatures._seen.update((f"v0={number}", door.clock.now()) for number in range(MOST))
    assert (await door.post(door.signed())).status_code == 503
    assert door.refused == ["busy"]
    door.clock.time += 601
    assert (await door.post(door.signed())).status_code == 200
    assert len(door.door._signatures._seen) == 1


async def test_a_body_over_the_limit_is_413_before_anything_is_made_of_it(door: Door) -> None:
    big = door.signed(body=b"payload=" + b"x" * MAX_BODY)
    assert (await door.post(big)).status_code == 413
    assert door.desk.got == []
    assert door.refused == ["too_large"]


@pytest.mark.parametrize(
    "body", [b"", b"payload=", b"payload=[]", b"payload=" + b"[" * 100_000, b"payload=nan", b"x=1"]
)
async def test_what_is_signed_and_no_payload_is_400(door: Door, body: bytes) -> None:
    assert (await door.post(door.signed(body=body))).status_code == 400
    assert door.desk.got == []
    assert door.refused == ["body"]


async def test_a_form_with_more_fields_than_slack_has_is_400(door: Door) -> None:
    body = "&".join(f"f{number}=1" for number in range(60)).encode()
    assert (await door.post(door.signed(body=body), COMMAND)).status_code == 400


async def test_slacks_look_at_the_certificate_is_answered(door: Door) -> None:
    answer = await door.post(door.signed(body=b"ssl_check=1&token=x"), COMMAND)
    assert (answer.status_code, door.desk.got) == (200, [])


@pytest.mark.parametrize(
    ("url", "trusted"),
    [
        ("https://hooks.slack.com/actions/T1/2/x", True),
        ("https://slack.com/actions/x", True),
        ("https://hooks.slack.com.evil.example/x", False),
        ("https://notslack.com/x", False),
        ("https://evil.example/?hooks.slack.com", False),
        ("https://me@evil.example#.slack.com", False),
        ("https://user:pass@hooks.slack.com/x", False),
        ("https://hooks.slack.com:22/x", False),
        ("http://hooks.slack.com/actions/x", False),
        ("http://169.254.169.254/latest", False),
        ("file:///etc/passwd", False),
        ("https://[", False),
        (None, False),
        (7, False),
    ],
)
async def test_private_answers_go_to_slack_and_nowhere_else(url: object, trusted: bool) -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        return httpx.Response(200)

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as http:
        answers = PrivateAnswers(http, "https://slack.com/api", hide)
        assert await answers.send(url, "hello") is trusted
    assert asked == ([url] if trusted else [])


async def test_a_private_answer_is_cut_between_lines_and_holds_no_credential() -> None:
    async with httpx.AsyncClient() as http:
        answers = PrivateAnswers(http, "https://slack.com/api", lambda text: text.replace("s3cret", "***"))
        message = answers.message("\n".join(["a line &amp; s3cret"] * 500))
    assert len(message["text"]) <= 2900
    assert message["text"].endswith("a line &amp; ***\n…")
    assert "s3cret" not in json.dumps(message)


async def test_a_body_that_does_not_come_is_408(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("receiver.web.slack.BODY_TIMEOUT", 0.01)

    async def never() -> AsyncIterator[bytes]:
        yield b"payload="
        await asyncio.sleep(60)

    transport = httpx.ASGITransport(door.site)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        answer = await client.post(INTERACTIVITY, content=never(), headers=door.signed().headers)
    assert (answer.status_code, door.refused) == (408, ["slow"])


async def test_each_reason_is_a_word_that_the_metric_knows_and_the_documents_explain() -> None:
    explained = Path("docs/operations.md").read_text()
    reasons = set(re.findall(r'NotSlack\("(\w+)"', Path("receiver/web/slack.py").read_text()))
    assert len(reasons) == 5
    assert reasons | set(REASONS.values()) | {"person", "role"} == set(SLACK_REFUSALS)
    for reason in SLACK_REFUSALS:
        assert f"`{reason}`" in explained, reason


def test_without_slack_nothing_of_its_library_is_loaded() -> None:
    code = (
        "import sys, receiver.serving, receiver.app; sys.exit(any(one.startswith('slack_sdk') for one in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
