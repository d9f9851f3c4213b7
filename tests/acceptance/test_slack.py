"""The real process and Slack's double on loopback: told, killed, cut off, and told again."""

from __future__ import annotations

import html
import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from deploy.demo.slack import running_slack
from tests.acceptance.service import Service, running, until
from tests.acceptance.test_process import incident, policy_file
from tests.slack_double import BOT_TOKEN, Fault, Running, SlackDouble
from tests.slack_double.state import Channel, Message

pytestmark = pytest.mark.acceptance


@dataclass
class Place:
    """The service, and what Slack shows."""

    service: Service
    slack: Running
    ops: Channel

    def top(self) -> list[Message]:
        return [one for one in self.slack.double.messages(self.ops) if not one.is_reply]

    def told(self) -> list[str]:
        found: list[str] = []
        for one in self.slack.double.messages(self.ops):
            if one.is_reply and one.metadata is not None:
                found += one.metadata["event_payload"]["keys"]
        return found


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """Run both."""
    double = SlackDouble()
    ops = double.channel("ops")
    token = tmp_path / "token"
    token.write_text(BOT_TOKEN)
    token.chmod(0o600)
    with Running(double) as slack:
        settings = {
            "REMEDIATOR_SLACK_TOKEN_FILE": str(token),
            "REMEDIATOR_SLACK_CHANNEL": ops.id,
            "REMEDIATOR_SLACK_API_URL": f"{slack.url}/api",
        }
        with running(tmp_path, [policy_file(tmp_path)], settings=settings) as service:
            yield Place(service, slack, ops)


def test_an_incident_is_told_in_slack_across_a_kill_and_an_outage(place: Place) -> None:
    service, double = place.service, place.slack.double
    service.capture("01-single-firing")
    until(place.top, "no header")
    until(place.told, "no thread")
    assert until(lambda: service.get("/readyz")["parts"].get("slack") == "ok", "Slack's state is not shown")

    double.faults.add(Fault.answer_lost(), "chat.postMessage")
    one = incident(service, "Single")["id"]
    assert service.command("note", one, "before the kill").returncode == 0
    until(lambda: any("before the kill" in text for text in texts(place)), "no note")
    service.kill()
    service.start()

    place.slack.refuse()
    for number in range(5):
        assert service.command("note", one, f"while Slack is away {number}").returncode == 0
    until(lambda: "waiting" in service.command("outbox", "waiting").stdout, "nothing waits")
    assert service.command("close", one, "--reason", "enough").returncode == 0
    place.slack.accept()
    until(lambda: any(key.endswith("/summary") for key in place.told()), "no summary", limit=60.0)
    until(lambda: any("CLOSED" in text for text in texts(place)), "the header is not repainted")
    assert len(place.top()) == 1
    told = place.told()
    assert len(told) == len(set(told))
    numbers = [int(key.split("/")[0]) for key in told]
    assert numbers == sorted(numbers)
    assert len([key for key in told if key.endswith("/noted")]) == 6
    until(lambda: service.command("outbox").stdout.strip() == "every message was sent", "something is left")
    assert BOT_TOKEN not in service.log.read_text()


def test_a_graceful_stop_leaves_what_waits_to_the_next_start_and_doubles_nothing(place: Place) -> None:
    service, double = place.service, place.slack.double
    service.capture("01-single-firing")
    until(place.told, "no thread")
    one = incident(service, "Single")["id"]

    # Slack takes this message and is slow to say so: the stop comes before its answer.
    double.faults.add(Fault.slow(20.0), "chat.postMessage")
    assert service.command("note", one, "half sent").returncode == 0
    until(lambda: any("half sent" in text for text in texts(place)), "the note is not there")
    began = time.monotonic()
    assert service.stop() == 0
    assert time.monotonic() - began < 15.0, "it waited for Slack"
    service.start()

    # And these it never sees before the stop.
    place.slack.refuse()
    for number in range(3):
        assert service.command("note", one, f"waiting {number}").returncode == 0
    assert service.stop() == 0
    place.slack.accept()
    seen = len(place.told())
    service.start()
    until(lambda: any("waiting 2" in text for text in texts(place)), "what waited was not sent", limit=30.0)
    told = place.told()
    assert len(told) == len(set(told)) == seen + 3
    assert len([key for key in told if key.endswith("/noted")]) == 4
    assert len(place.top()) == 1


def test_a_button_on_the_demo_s_page_reaches_the_service(tmp_path: Path) -> None:
    service = Service(tmp_path, [policy_file(tmp_path)])
    with running_slack(service.url, tmp_path) as slack:
        assert slack.double is not None
        service._settings |= slack.settings
        try:
            service.start()
            service.capture("01-single-firing")
            shown = until(lambda: _form(slack.page, "remediator/ack"), "no button")
            path, fields = shown
            origin = slack.page.partition("/double")[0]
            assert httpx.post(f"{origin}{path}", data=fields).status_code == 303
            one = incident(service, "Single")["id"]
            told = until(
                lambda: [row for row in service.timeline(one) if row["kind"] == "acknowledged"], "not acknowledged"
            )
            assert told[0]["data"]["person"] == "ada"
            assert told[0]["data"]["via"] == "slack"
        finally:
            service.close()


def _form(page: str, pressed: str) -> tuple[str, dict[str, str]] | None:
    """Return where the page's form of a button goes, and its hidden fields."""
    for form in re.findall(r"<form.*?</form>", httpx.get(page).text, re.DOTALL):
        fields = {name: html.unescape(value) for name, value in re.findall(r'name="([^"]+)" value="([^"]*)"', form)}
        if fields.get("pressed") == pressed:
            return re.findall(r'action="([^"]+)"', form)[0], fields
    return None


def texts(place: Place) -> list[str]:
    """Return what each message shows, as JSON."""
    return [json.dumps([one.text, one.blocks]) for one in place.slack.double.messages(place.ops)]
