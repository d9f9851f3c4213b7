"""Incidents that ask for approvals in a Slack workspace with people: a policy, and what people see and press."""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.acceptance.counting import Counting
from tests.acceptance.service import Service, alert, group, running, until
from tests.acceptance.slack_process import SmallService, small_service
from tests.slack_double import BOT_TOKEN, SIGNING_SECRET, Running, SlackDouble
from tests.slack_double.double import APP_TOKEN
from tests.slack_double.interactions import Interaction, People
from tests.slack_double.signing import Answer
from tests.slack_double.state import Channel, Json, Message

SEVERITIES = ("P1", "P2", "P3", "P4")
"""Each severity has a channel: Slack takes one message a second in each."""


def policy(
    target: Counting, small: SmallService, names: Sequence[str], expires: float, slow: Collection[str]
) -> dict[str, Any]:
    """Return a policy whose steps all need somebody's approval; each alert is a service, severities take turns.

    Args:
        target: what the steps call.
        small: the service `moved`, which is restarted instead.
        names: of the services; a request about `expired` ends by itself.
        expires: after so many seconds.
        slow: of these, whether the alert's end is true is looked at for seconds.
    """
    call = {"url": f"http://{target.address}/act/{{{{ labels.service }}}}"}
    quick = {"initial_delay": "0s", "interval": "200ms", "consecutive": 2, "timeout": "20s"}
    health = {name: {"urls": [f"http://{target.address}/health/{name}"]} for name in names}
    counted = {
        name: {"engine": "none", "selector": {"service": name}, "health": health[name]}
        for name in names
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
                    | {"approval": {"approvals": 1, "expires": f"{expires if name == 'expired' else 600:.0f}s"}}
                    | ({"verify": {"interval": "1s"}} if name in slow else {})
                ],
            }
            for number, name in enumerate(names)
        ],
    }


@dataclass
class Place:
    """The service, its target, and a workspace with people in it.

    Args:
        users: Slack's ids by name.
        names: of the services, see `policy`.
    """

    service: Service
    slack: Running
    channels: dict[str, Channel]
    users: dict[str, str]
    target: Counting
    small: SmallService
    hands: People
    names: Sequence[str]

    def fire(self, name: str, status: str = "firing") -> None:
        """Let its alert begin, or end."""
        assert self.service.post(group(alert(f"Broken-{name}", name, status=status))).status_code == 200

    def incident(self, name: str) -> str:
        """Return the id of its incident."""
        (one,) = [row["id"] for row in self.service.incidents() if row["target"] == name]
        return str(one)

    def channel(self, name: str) -> Channel:
        """Return where it is told."""
        return self.channels[SEVERITIES[self.names.index(name) % len(SEVERITIES)]]

    def cards(self, name: str) -> list[Message]:
        """Return the requests for approval of an incident that can be answered."""
        said = f'"value": "{self.incident(name)} p-'
        return [one for one in self.slack.double.messages(self.channel(name)) if said in json.dumps(one.blocks)]

    def card(self, name: str) -> tuple[Message, Json]:
        """Return the request that waits, and how it looks now."""
        found = until(lambda: self.cards(name), f"no card for {name}", limit=30.0)[-1]
        return found, self.hands.look(self.channel(name), found.ts)

    def pressed(self, person: str, name: str, verb: str, seen: tuple[Message, Json]) -> Interaction:
        """Press a button on a card as somebody sees it; not sent yet."""
        message, look = seen
        return self.hands.press(self.users[person], self.channel(name), message.ts, f"remediator/{verb}", seen=look)

    def send(self, interaction: Interaction, path: str = "interactivity") -> Answer:
        """Let Slack tell the service."""
        answer = self.hands.send(interaction, f"{self.service.url}/slack/{path}")
        assert answer.in_time, answer
        return answer

    def press(self, person: str, name: str, verb: str, seen: tuple[Message, Json] | None = None) -> None:
        """Press a button, on the card as it is now by default."""
        self.send(self.pressed(person, name, verb, seen or self.card(name)))

    def submit(self, person: str, reason: str) -> None:
        """Give a reason in the window that opened."""
        view = until(lambda: self.hands.modal_of(self.users[person]), "no modal")
        self.send(self.hands.submit(view, {"reason": reason}))

    def told(self, person: str, text: str) -> str:
        """Wait until somebody is told something privately."""

        def found() -> str:
            return next((one for one in self.slack.double.told(self.users[person]) if text in one), "")

        return str(until(found, f"{person} is not told {text!r}; {self.slack.double.told(self.users[person])}"))

    def events(self, name: str, kind: str) -> list[dict[str, Any]]:
        """Return the entries of one kind of its timeline, none while there is no incident."""
        known = any(row["target"] == name for row in self.service.incidents())
        return [one for one in self.service.timeline(self.incident(name)) if one["kind"] == kind] if known else []

    def calls(self, name: str) -> int:
        """Return how often it was acted on."""
        return len(self.target.calls.get(name, ()))


@contextmanager
def running_place(
    directory: Path,
    names: Sequence[str],
    people: Mapping[str, str],
    *,
    tokens: Mapping[str, str] | None = None,
    expires: float = 600.0,
    settings: Mapping[str, str] | None = None,
    slow: Collection[str] = (),
) -> Iterator[Place]:
    """Run a service with a workspace, in which Eve is whom people.yaml doesn't name.

    Args:
        names: of the services, see `policy`.
        people: role by name.
        tokens: what people.yaml keeps of somebody's token, by name.
        expires: seconds until the request about `expired` ends.
        settings: more of them.
        slow: see `policy`.
    """
    double = SlackDouble()
    channels = {severity: double.channel(severity.lower()) for severity in SEVERITIES}
    users = {name: double.team.add_user(name).id for name in (*people, "eve")}
    entries = [
        {
            "id": name,
            "name": name.title(),
            "roles": [role],
            "slack": [{"team": double.team.id, "user": users[name]}],
            "tokens": [tokens[name]] if tokens else [],
        }
        for name, role in people.items()
    ]
    (directory / "people.yaml").write_text(json.dumps({"people": entries}))
    with Counting() as target, Running(double) as slack, small_service(directory) as small:
        (directory / "playbooks.yaml").write_text(json.dumps(policy(target, small, names, expires, slow)))
        given = {
            "REMEDIATOR_PEOPLE": str(directory / "people.yaml"),
            "REMEDIATOR_SLACK_TOKEN": BOT_TOKEN,
            "REMEDIATOR_SLACK_CHANNEL": channels["P4"].id,
            "REMEDIATOR_SLACK_CHANNELS": ",".join(f"{one}={where.id}" for one, where in channels.items()),
            "REMEDIATOR_SLACK_API_URL": f"{slack.url}/api",
            "REMEDIATOR_SLACK_SIGNING_SECRET": SIGNING_SECRET,
            "REMEDIATOR_SHUTDOWN_GRACE": "1s",
            **(settings or {}),
        }
        with running(directory, [directory / "playbooks.yaml"], "act", settings=given) as service:
            # What is signed before the process began is refused, and time stamps are whole seconds.
            time.sleep(1.0)
            yield Place(service, slack, channels, users, target, small, People(double), names)
            log = service.log.read_text()
            assert all(secret not in log for secret in (BOT_TOKEN, SIGNING_SECRET, APP_TOKEN))
