"""What is declared, marked and pressed in Slack, with the real process killed right after it answered."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.acceptance.service import Service, running, until
from tests.slack_double import BOT_TOKEN, SIGNING_SECRET, Running, SlackDouble
from tests.slack_double.double import APP_TOKEN
from tests.slack_double.interactions import Interaction, People
from tests.slack_double.state import Channel, Message, View

pytestmark = pytest.mark.acceptance

POLICY = {
    "services": {"shop": {"runtime": "process", "command": ["sleep", "60"]}},
    "playbooks": [{"name": "tells", "match": 'alertname="Never"', "severity": "P4", "steps": []}],
}


@dataclass
class Place:
    """The service and a workspace with one person in it."""

    service: Service
    slack: Running
    ops: Channel
    rik: str
    hands: People

    def send(self, interaction: Interaction, path: str = "interactivity") -> None:
        answer = self.hands.send(interaction, f"{self.service.url}/slack/{path}")
        assert answer.in_time, answer

    def type(self, text: str) -> Interaction:
        return self.hands.command(self.rik, self.ops, "/remediator", text)

    def window(self) -> View:
        view: View = until(lambda: self.hands.modal_of(self.rik), "no window is open")
        return view

    def header(self) -> Message:
        return next(one for one in self.slack.double.messages(self.ops) if not one.is_reply)

    def again(self) -> None:
        """Kill -9, and begin anew."""
        self.service.kill()
        self.service.start()
        # What is signed before a process began is refused, and time stamps are whole seconds.
        time.sleep(1.0)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    double = SlackDouble()
    ops, rik = double.channel("ops"), double.team.add_user("rik").id
    playbooks, people = tmp_path / "playbooks.yaml", tmp_path / "people.yaml"
    playbooks.write_text(json.dumps(POLICY))
    entry = {"id": "rik", "name": "Rik", "roles": ["responder"], "slack": [{"team": double.team.id, "user": rik}]}
    people.write_text(json.dumps({"people": [entry]}))
    with Running(double) as slack:
        settings = {
            "REMEDIATOR_PEOPLE": str(people),
            "REMEDIATOR_SLACK_TOKEN": BOT_TOKEN,
            "REMEDIATOR_SLACK_CHANNEL": ops.id,
            "REMEDIATOR_SLACK_API_URL": f"{slack.url}/api",
            "REMEDIATOR_SLACK_SIGNING_SECRET": SIGNING_SECRET,
            "REMEDIATOR_SLACK_APP_TOKEN": APP_TOKEN,
        }
        with running(tmp_path, [playbooks], "act", settings=settings) as service:
            time.sleep(1.0)
            yield Place(service, slack, ops, rik, People(double))


def test_what_slack_was_told_is_taken_outlives_a_kill_and_is_told_twice_without_being_done_twice(place: Place) -> None:
    place.send(place.type("declare"), "command")
    sent = place.hands.submit(
        place.window(), {"severity": "P1", "service": "shop", "reason": "nobody <!channel> can pay"}
    )
    place.send(sent)
    place.again()
    incident = place.service.incident()
    assert (incident["severity"], incident["alert"]) == ("P1", "nobody <!channel> can pay")
    until(lambda: place.slack.double.sockets.connected, "Socket Mode is not connected")
    # Slack doesn't know that it was taken, and tells it on another connection, to another process.
    assert "declared" in str(place.hands.send_by_socket(sent).acknowledged.result(10.0))
    assert len(place.service.incidents()) == 1

    header = until(place.header, "no header")
    place.send(place.hands.press(place.rik, place.ops, header.ts, "remediator/ack"))
    place.again()
    assert place.service.incident()["acknowledged_by"] == "rik"

    place.send(
        place.hands.press(place.rik, place.ops, header.ts, "remediator/more", option=f"assessed {incident['id']}")
    )
    place.send(place.hands.submit(place.window(), {"reason": "the bank is away"}))
    place.again()
    place.send(place.type(f"note {incident['id']} --phase mitigated another bank"), "command")
    place.again()
    notes = [one["data"] for one in place.service.timeline(incident["id"]) if one["kind"] == "noted"]
    assert [(one["phase"], one["text"]) for one in notes] == [
        ("assessed", "the bank is away"), ("mitigated", "another bank"),
    ]  # fmt: skip
    counted = place.service.http.get("/metrics").text
    assert 'remediator_slack_requests_refused_total{reason="signature"} 0.0' in counted
