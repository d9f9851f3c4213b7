"""Approvals in Slack with the real process and Slack's double on loopback: buttons, modals, commands, forgers."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.acceptance.counting import Counting
from tests.acceptance.service import Service, alert, group, running, until
from tests.acceptance.slack_process import SmallService, small_service
from tests.slack_double import BOT_TOKEN, SIGNING_SECRET, Running, SlackDouble
from tests.slack_double.double import APP_TOKEN
from tests.slack_double.interactions import Interaction, People
from tests.slack_double.signing import Answer
from tests.slack_double.state import Channel, Json, Message

pytestmark = pytest.mark.acceptance

NAMES = ("expired", "runs", "race", "denied", "solved", "moved", "stranger", "typed", "socket")
SEVERITIES = ("P1", "P2", "P3", "P4")
"""Each severity has a channel: Slack takes one message a second in each."""

EXPIRES = 9.0


def policy(target: Counting, small: SmallService) -> dict[str, Any]:
    """Return a policy whose steps all need somebody's approval; each alert is a service, severities take turns."""
    call = {"url": f"http://{target.address}/act/{{{{ labels.service }}}}"}
    quick = {"initial_delay": "0s", "interval": "200ms", "consecutive": 2, "timeout": "20s"}
    health = {name: {"urls": [f"http://{target.address}/health/{name}"]} for name in NAMES}
    counted = {
        name: {"engine": "none", "selector": {"service": name}, "health": health[name]}
        for name in NAMES
        if name != "moved"
    }
    step = {"name": "call", "action": "http", "parameters": call, "timeout": "6s"}
    restart = {"name": "restart", "action": "restart", "approval": {"approvals": 1}, "allow_gap": True}
    return {
        "engines": {"none": {"url": f"tcp://{target.address}"}},
        "services": {**counted, "moved": small.entry},
        "defaults": {
            "settle": "200ms",
            "hold": "200ms",
            "resolve_within": "2m",
            "diagnose": False,
            "verify": {"health": True, "target": False, **quick},
            "guardrails": {"require_confirmation": False, "cooldown": "0s", "max_runs": 1000},
            "fleet": {"max_actions": 1000, "window": "10m", "max_under_way": 20},
        },
        "playbooks": [
            {
                "name": f"repair-{name}",
                "match": f'alertname="Broken-{name}"',
                "severity": SEVERITIES[number % len(SEVERITIES)],
                "steps": [
                    restart
                    if name == "moved"
                    else step
                    | {"approval": {"approvals": 1, "expires": f"{EXPIRES if name == 'expired' else 600:.0f}s"}}
                ],
            }
            for number, name in enumerate(NAMES)
        ],
    }


PEOPLE = {"ann": "approver", "bob": "approver", "vic": "viewer", "ada": "admin"}


@dataclass
class Place:
    """The service, its target, and a workspace with people in it."""

    service: Service
    slack: Running
    channels: dict[str, Channel]
    users: dict[str, str]
    target: Counting
    small: SmallService
    hands: People
    expired: tuple[Message, Json] = field(init=False)

    def fire(self, name: str, status: str = "firing") -> None:
        assert self.service.post(group(alert(f"Broken-{name}", name, status=status))).status_code == 200

    def incident(self, name: str) -> str:
        (one,) = [row["id"] for row in self.service.incidents() if row["target"] == name]
        return str(one)

    def channel(self, name: str) -> Channel:
        return self.channels[SEVERITIES[NAMES.index(name) % len(SEVERITIES)]]

    def cards(self, name: str) -> list[Message]:
        """Return the requests for approval of an incident that can be answered."""
        said = f'"value": "{self.incident(name)} p-'
        return [one for one in self.slack.double.messages(self.channel(name)) if said in json.dumps(one.blocks)]

    def card(self, name: str) -> tuple[Message, Json]:
        """Return the request that waits, and how it looks now."""
        found = until(lambda: self.cards(name), f"no card for {name}", limit=30.0)[-1]
        return found, self.hands.look(self.channel(name), found.ts)

    def pressed(self, person: str, name: str, verb: str, seen: tuple[Message, Json]) -> Interaction:
        message, look = seen
        return self.hands.press(self.users[person], self.channel(name), message.ts, f"remediator/{verb}", seen=look)

    def send(self, interaction: Interaction, path: str = "interactivity") -> Answer:
        answer = self.hands.send(interaction, f"{self.service.url}/slack/{path}")
        assert answer.in_time, answer
        return answer

    def press(self, person: str, name: str, verb: str, seen: tuple[Message, Json] | None = None) -> None:
        self.send(self.pressed(person, name, verb, seen or self.card(name)))

    def submit(self, person: str, reason: str) -> None:
        view = until(lambda: self.hands.modal_of(self.users[person]), "no modal")
        self.send(self.hands.submit(view, {"reason": reason}))

    def told(self, person: str, text: str) -> str:
        """Wait until somebody is told something privately."""

        def found() -> str:
            return next((one for one in self.slack.double.told(self.users[person]) if text in one), "")

        return str(until(found, f"{person} is not told {text!r}; {self.slack.double.told(self.users[person])}"))

    def events(self, name: str, kind: str) -> list[dict[str, Any]]:
        return [one for one in self.service.timeline(self.incident(name)) if one["kind"] == kind]

    def calls(self, name: str) -> int:
        return len(self.target.calls.get(name, ()))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Run everything, and let everything break at once."""
    directory = tmp_path_factory.mktemp("slack")
    double = SlackDouble()
    channels = {severity: double.channel(severity.lower()) for severity in SEVERITIES}
    users = {name: double.team.add_user(name).id for name in (*PEOPLE, "eve")}
    with Counting() as target, Running(double) as slack, small_service(directory) as small:
        playbooks = directory / "playbooks.yaml"
        playbooks.write_text(json.dumps(policy(target, small)))
        people = directory / "people.yaml"
        entries = [
            {
                "id": name,
                "name": name.title(),
                "roles": [role],
                "slack": [{"team": double.team.id, "user": users[name]}],
            }
            for name, role in PEOPLE.items()
        ]
        people.write_text(json.dumps({"people": entries}))
        settings = {
            "REMEDIATOR_PEOPLE": str(people),
            "REMEDIATOR_SLACK_TOKEN": BOT_TOKEN,
            "REMEDIATOR_SLACK_CHANNEL": channels["P4"].id,
            "REMEDIATOR_SLACK_CHANNELS": ",".join(f"{one}={where.id}" for one, where in channels.items()),
            "REMEDIATOR_SLACK_API_URL": f"{slack.url}/api",
            "REMEDIATOR_SLACK_SIGNING_SECRET": SIGNING_SECRET,
            "REMEDIATOR_SLACK_APP_TOKEN": APP_TOKEN,
            "REMEDIATOR_SHUTDOWN_GRACE": "1s",
        }
        with running(directory, [playbooks], "act", settings=settings) as service:
            # What is signed before the process began is refused, and time stamps are whole seconds.
            time.sleep(1.0)
            made = Place(service, slack, channels, users, target, small, People(double))
            for name in NAMES:
                made.fire(name)
            made.expired = made.card("expired")
            yield made
            log = service.log.read_text()
            assert all(secret not in log for secret in (BOT_TOKEN, SIGNING_SECRET, APP_TOKEN))


def test_a_press_runs_the_step_once(place: Place) -> None:
    place.press("ann", "runs", "approve")
    place.told("ann", "✔ approved")
    until(lambda: place.events("runs", "verified"), "it is not verified")
    assert place.calls("runs") == 1
    (vote,) = place.events("runs", "voted")
    assert (vote["data"]["person"], vote["data"]["via"], vote["data"]["signed_in"]) == ("ann", "slack", "slack")
    until(lambda: not place.cards("runs"), "the card still has buttons")


def test_of_two_who_race_one_decides_and_the_other_is_told(place: Place) -> None:
    seen = place.card("race")
    presses = [place.pressed(person, "race", "approve", seen) for person in ("ann", "bob")]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(place.send, presses))
    (vote,) = until(lambda: place.events("race", "voted"), "nobody voted")
    winner = vote["data"]["person"]
    loser = "bob" if winner == "ann" else "ann"
    assert "Your press changed nothing" in place.told(loser, f"approved by {winner}")
    until(lambda: place.events("race", "verified"), "it is not verified")
    assert place.calls("race") == 1


def test_a_denial_gives_its_reason_and_a_late_click_on_the_card_of_before_is_told(place: Place) -> None:
    seen = place.card("denied")
    place.press("bob", "denied", "deny", seen)
    place.submit("bob", "the backup runs")
    until(lambda: place.events("denied", "approval_ended"), "it is not decided")
    place.press("ann", "denied", "approve", seen)
    assert "denied by bob: the backup runs" in place.told("ann", "Too late. Step call: denied")
    assert place.calls("denied") == 0


def test_what_resolves_while_it_is_asked_is_cancelled_when_that_is_true(place: Place) -> None:
    seen = place.card("solved")
    place.target.calls["solved"].append("by hand")
    place.fire("solved", "resolved")
    (ended,) = until(lambda: place.events("solved", "approval_ended"), "it is still asked")
    assert "cancelled" in ended["text"]
    place.press("ann", "solved", "approve", seen)
    place.told("ann", "Too late. Step call: cancelled")
    assert place.calls("solved") == 1, "only the one by hand"


def test_what_changed_since_people_were_asked_is_asked_again(place: Place) -> None:
    seen = place.card("moved")
    place.small.grow()
    place.press("ann", "moved", "approve", seen)
    until(lambda: place.events("moved", "approval_asked")[1:], "it is not asked again")
    approved, superseded = place.events("moved", "approval_ended")
    assert "approved by ann" in approved["text"]
    assert "the plan changed" in superseded["text"]
    assert place.events("moved", "step_started") == []
    place.press("bob", "moved", "approve", seen)
    place.told("bob", "Too late. Step restart: superseded")
    assert place.events("moved", "step_started") == []
    again = until(lambda: [one for one in place.cards("moved") if one.ts != seen[0].ts], "no second card")[-1]
    place.press("bob", "moved", "approve", (again, place.hands.look(place.channel("moved"), again.ts)))
    until(lambda: place.events("moved", "step_started"), "the step is not run")


def test_a_stranger_and_a_viewer_change_nothing(place: Place) -> None:
    seen = place.card("stranger")
    place.press("eve", "stranger", "approve", seen)
    place.told("eve", "Nobody in people.yaml has the Slack user")
    place.press("vic", "stranger", "deny", seen)
    place.told("vic", "this needs the role `approver`")
    assert place.events("stranger", "voted") == []
    assert place.calls("stranger") == 0


def test_forged_replayed_and_stale_presses_are_refused(place: Place) -> None:
    url = f"{place.service.url}/slack/interactivity"
    signed = place.hands.signed(place.pressed("ann", "stranger", "approve", place.card("stranger")))
    for wrong in (signed.forged(), signed.stale(), signed.tampered(signed.body + b"&x=1"), *signed.garbled()):
        assert wrong.post(url).status == 401
    dry = place.hands.signed(place.pressed("ann", "stranger", "plan", place.card("stranger")))
    assert [dry.post(url).status for _ in range(3)] == [200, 401, 401]
    place.told("ann", "*Dry run of step call, made now; nothing was changed.*")
    assert place.events("stranger", "voted") == []
    assert place.service.http.post("/slack/interactivity", content=b"payload={}").status_code == 401


def test_what_is_typed_is_the_same_vote_and_the_kill_switch_asks_once_more(place: Place) -> None:
    def command(person: str, text: str) -> None:
        place.send(place.hands.command(place.users[person], place.channel("typed"), "/remediator", text), "command")

    place.card("typed")
    command("ann", f"approve {place.incident('typed')}")
    place.told("ann", "approved; step call begins")
    until(lambda: place.calls("typed") == 1, "the step is not run")
    command("ada", "kill on")
    view = until(lambda: place.hands.modal_of(place.users["ada"]), "no modal")
    assert not place.service.get("/api/v1/kill")["on"]
    place.send(place.hands.submit(view, {}))
    assert place.service.get("/api/v1/kill")["by"] == "ada"
    command("ada", "kill off")
    place.send(place.hands.submit(until(lambda: place.hands.modal_of(place.users["ada"]), "no modal"), {}))
    assert not place.service.get("/api/v1/kill")["on"]
    command("vic", "status")
    place.told("vic", "*Kill switch*: off")


def test_socket_mode_brings_the_same_presses_also_after_its_connection_broke(place: Place) -> None:
    sockets = place.slack.double.sockets
    until(lambda: sockets.connected, "Socket Mode is not connected")
    seen = place.card("socket")
    sockets.break_off()
    envelope = place.hands.send_by_socket(place.pressed("bob", "socket", "approve", seen), limit=10.0)
    sockets.repeat(place.slack.double.app.id, envelope)
    place.told("bob", "✔ approved")
    until(lambda: place.events("socket", "verified"), "it is not verified")
    assert place.calls("socket") == 1
    assert len(place.events("socket", "voted")) == 1
    assert place.service.get("/readyz")["parts"]["slack_socket"] == "ok"


def test_what_nobody_decides_in_time_goes_to_people_and_a_late_press_is_told(place: Place) -> None:
    until(lambda: place.events("expired", "escalated"), "it is not escalated", limit=EXPIRES + 15.0)
    place.press("ann", "expired", "approve", place.expired)
    assert "expired" in place.told("ann", "Too late. Step call: expired")
    assert place.calls("expired") == 0
