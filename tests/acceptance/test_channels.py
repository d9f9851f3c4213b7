"""The same vote in Slack, on the page, by command line and API: real process, real Alertmanager, Slack's double.

Incidents begin and end as Alertmanager says. Each way of answering has an incident of its own, told in a channel of its
own from header to summary. What is done is counted at the target.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import pytest

from deploy.parts.alertmanager import Alertmanager, running_alertmanager
from deploy.parts.ports import free_port
from receiver.people import make_token
from tests.acceptance.service import WEBHOOK, Service, stamp, until
from tests.acceptance.slack_place import Place, running_place
from tests.acceptance.tab import Tab
from tests.slack_double.state import Json, Message

pytestmark = [pytest.mark.acceptance, pytest.mark.alertmanager]

WAYS: Final = ("slack", "web", "cli", "api")
RACES: Final = ("race-1", "race-2", "race-3")
PEOPLE: Final = {"ann": "slack", "bob": "web", "carol": "cli", "dan": "api"}
"""Everybody and how they answer."""

TOKENS: Final = {name: make_token() for name in PEOPLE}
EXPIRES: Final = 12.0
ENDS: Final = ("ends-web", "ends-cli", "ends-api")
NAMES: Final = ("by-slack", "by-web", "by-cli", "by-api", *RACES, "moved", *ENDS, "expired")

CONFIG: Final = """
route:
  receiver: remediator
  group_by: [alertname, service]
  group_wait: 100ms
  group_interval: 500ms
  repeat_interval: 1h
receivers:
  - name: remediator
    webhook_configs:
      - url: %s
        send_resolved: true
"""


@dataclass
class Four:
    """The service between Alertmanager and its people, each with the way in which they answer."""

    place: Place
    alertmanager: Alertmanager
    tabs: dict[str, Tab]
    seen: dict[str, tuple[Message, Json]] = field(default_factory=dict)
    begun: str = ""

    @property
    def service(self) -> Service:
        return self.place.service

    def tell(self, *names: str, over: bool = False) -> None:
        """Let Prometheus tell Alertmanager that alerts begin, or are over."""
        if not over:
            self.begun = stamp(time.time())
        times = {"startsAt": self.begun} | ({"endsAt": stamp(time.time())} if over else {})
        named = [{"alertname": f"Broken-{name}", "service": name, "severity": "critical"} for name in names]
        self.alertmanager.post(*({"labels": labels, "annotations": {}, **times} for labels in named))

    def look(self, way: str, name: str) -> None:
        """Let whoever answers so see what is asked now; the command line and the API ask for it by its id."""
        if way == "slack":
            self.seen[name] = self.place.card(name)
        elif way == "web":
            self.tabs[name].open(self.place.incident(name))

    def answer(self, person: str, name: str, request: str, *, vote: str = "approve") -> str:
        """Let somebody answer what they saw of a request, in their way; returns what they are told of it."""
        incident, reason = self.place.incident(name), f"{person} says so"
        match PEOPLE[person]:
            case "slack":
                told = len(self._told(person, name))
                self.place.press(person, name, vote, self.seen[name])
                return "".join(until(lambda: self._told(person, name)[told:], f"{person} is told nothing"))
            case "web":
                return self.tabs[name].vote(incident, vote, reason)
            case "cli":
                more = ("--request", request, "--reason", reason)
                done = self.service.command(vote, incident, *more, token=TOKENS[person][0])
                return done.stdout + done.stderr
            case _:
                headers = {"authorization": f"Bearer {TOKENS[person][0]}"}
                body = {"approval": request, "reason": reason}
                return self.service.http.post(f"/api/v1/incidents/{incident}/{vote}", json=body, headers=headers).text

    def _told(self, person: str, name: str) -> list[str]:
        """Return what one person was told privately where an incident is told."""
        said = list(self.place.channel(name).ephemeral)
        return [one.text for one in said if one.only_for == self.place.users[person]]

    def request(self, name: str) -> str:
        """Return the id of what is asked now."""
        asked = until(lambda: self.place.events(name, "approval_asked"), f"nobody is asked about {name}")
        return str(asked[-1]["data"]["approval"])

    def state(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.service.get(f"/api/v1/incidents/{self.place.incident(name)}")
        return found


@pytest.fixture(scope="module")
def four(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Four]:
    """Run everything; everything breaks at once, and who is to answer has seen what is asked."""
    directory = tmp_path_factory.mktemp("channels")
    port = free_port()
    roles, hashes = dict.fromkeys(PEOPLE, "approver"), {name: one[1] for name, one in TOKENS.items()}
    settings = {"REMEDIATOR_ALERTMANAGER_URL": f"http://127.0.0.1:{port}"}
    with ExitStack() as stack:
        place = stack.enter_context(
            running_place(directory, NAMES, roles, tokens=hashes, expires=EXPIRES, settings=settings, slow=ENDS)
        )
        config = CONFIG % json.dumps(f"{place.service.url}{WEBHOOK}")
        alertmanager = stack.enter_context(running_alertmanager(directory / "alertmanager", config, port))
        one = Four(place, alertmanager, {})
        one.tell(*NAMES)
        for name in NAMES:
            one.request(name)
            one.tabs[name] = stack.enter_context(Tab(place.service.url, TOKENS["bob"][0]))
            one.tabs[name].open(place.incident(name))
        yield one


def address(one: Four, person: str) -> str:
    """Return where somebody's answers come from."""
    double = one.place.slack.double
    return f"slack:{double.team.id}/{one.place.users[person]}" if PEOPLE[person] == "slack" else "127.0.0.1"


def at(entry: dict[str, Any]) -> float:
    return datetime.fromisoformat(entry["at"]).timestamp()


def test_an_approval_in_each_way_leads_to_one_call_told_from_header_to_summary_with_who_gave_it(four: Four) -> None:
    place, votes = four.place, {}
    asked = {name: four.request(name) for name in ("by-slack", "by-web", "by-cli", "by-api")}
    for name in ("by-slack", "by-cli"):
        four.look("slack", name)
    for person, way in PEOPLE.items():
        name = f"by-{way}"
        began = time.time()
        assert "approved; step call begins as soon as" in four.answer(person, name, asked[name]).lower()
        (votes[person],) = place.events(name, "voted")
        assert began - 0.01 <= at(votes[person]) <= time.time()
    for name in asked:
        until(lambda name=name: place.events(name, "verified"), f"{name} is not verified")  # type: ignore[misc]
    assert {
        name: (vote["data"]["person"], vote["data"]["via"], vote["data"]["signed_in"], vote["data"]["address"])
        for name, vote in votes.items()
    } == {
        name: (name, way, "slack" if way == "slack" else "token", address(four, name)) for name, way in PEOPLE.items()
    }
    # Too late in each way, on what was seen before: everybody is told who decided.
    for person in PEOPLE:
        late = four.answer(person, "by-cli", asked["by-cli"])
        assert "approved by carol" in late or "approved already by carol" in late, late
    four.tell(*asked, over=True)
    for person, way in PEOPLE.items():
        name = f"by-{way}"
        until(lambda name=name: four.state(name)["state"] == "resolved", f"{name} is not resolved")  # type: ignore[misc]
        until(lambda name=name: told(place, name)[-1].endswith("/summary"), f"no summary of {name}", limit=60.0)  # type: ignore[misc]
        assert (place.calls(name), len(place.events(name, "step_started")), len(place.events(name, "voted"))) == (
            1,
            1,
            1,
        )
        story(four, person, name)


def told(place: Place, name: str) -> list[str]:
    """Return the keys of what an incident's thread tells, in its order."""
    return [key for one in thread(place, name) if one.is_reply for key in payload(one)["keys"]] or [""]


def thread(place: Place, name: str) -> list[Message]:
    """Return an incident's messages, its header first."""
    mine = place.slack.double.messages(place.channel(name))
    return [one for one in mine if one.metadata is not None and payload(one)["incident"] == place.incident(name)]


def payload(message: Message) -> dict[str, Any]:
    found: dict[str, Any] = (message.metadata or {})["event_payload"]
    return found


def story(four: Four, person: str, name: str) -> None:
    """Hold that an incident is told whole and in order, and its decision with who made it, in each place."""
    place = four.place
    header, *replies = thread(place, name)
    assert not header.is_reply
    assert all(one.thread_ts == header.ts for one in replies)
    until(lambda: "RESOLVED" in shown(thread(place, name)[0]), f"the header of {name} is not repainted", limit=30.0)
    keys = [key.split("/") for key in told(place, name)]
    numbers = [int(key[0]) for key in keys]
    assert numbers == sorted(numbers), keys
    assert len({tuple(key) for key in keys}) == len(keys), "something is told twice"
    kinds = [key[-1] for key in keys]
    wanted = ["opened", "approval_asked", "voted", "step_started", "step_finished", "verified", "resolved", "summary"]
    assert [kind for kind in kinds if kind in wanted] == wanted
    text = "\n".join(map(shown, replies))
    assert f"approved by {person}" in text
    for page in (
        place.service.command("incidents", "show", place.incident(name)).stdout,
        four.tabs[name].open(place.incident(name)).text,
    ):
        assert f"{person} (via {PEOPLE[person]}) approved step call" in page, page


def shown(message: Message) -> str:
    return json.dumps([message.text, message.blocks], ensure_ascii=False)


def test_of_two_who_race_in_slack_and_on_the_page_one_decides_and_the_other_is_told(four: Four) -> None:
    place = four.place
    for name in RACES:
        four.look("slack", name)
        request, gate = four.request(name), threading.Barrier(2)

        def race(person: str, name: str = name, request: str = request, gate: threading.Barrier = gate) -> str:
            gate.wait()
            return four.answer(person, name, request)

        with ThreadPoolExecutor(2) as pool:
            said = dict(zip(("ann", "bob"), pool.map(race, ("ann", "bob")), strict=True))
        (vote,) = place.events(name, "voted")
        winner = vote["data"]["person"]
        (loser,) = {"ann", "bob"} - {winner}
        assert "approved; step call begins" in said[winner].lower()
        assert f"approved by {winner}" in said[loser]
        assert "Your press changed nothing" in said[loser]
    for name in RACES:
        until(lambda name=name: place.events(name, "verified"), f"{name} is not verified")  # type: ignore[misc]
        assert (place.calls(name), len(place.events(name, "step_started"))) == (1, 1)


def test_what_changed_since_it_was_asked_is_asked_again_whichever_way_the_old_one_is_approved(four: Four) -> None:
    place = four.place
    for number, person in enumerate(("bob", "carol", "dan"), 2):
        old = four.request("moved")
        four.look("web", "moved")
        place.small.grow(number)
        assert "approved; step restart begins" in four.answer(person, "moved", old).lower()
        until(lambda old=old: four.request("moved") != old, "it is not asked again")  # type: ignore[misc]
        approved, superseded = place.events("moved", "approval_ended")[-2:]
        assert f"approved by {person}" in approved["text"]
        assert "the plan changed" in superseded["text"]
        late = four.answer(person, "moved", old)
        assert "superseded" in late
        assert "the plan changed" in late
        assert four.state("moved")["approval"]["votes"] == []
    assert place.events("moved", "step_started") == []
    assert "approved; step restart begins" in four.answer("dan", "moved", four.request("moved"))
    until(lambda: place.events("moved", "step_started"), "the step is not run")


def test_what_ends_while_it_is_asked_takes_votes_that_wait_and_is_cancelled_when_that_is_true(four: Four) -> None:
    place = four.place
    asked = {name: four.request(name) for name in ENDS}
    people = dict(zip(ENDS, ("bob", "carol", "dan"), strict=True))
    four.tell(*ENDS, over=True)
    for name in ENDS:
        until(lambda name=name: place.events(name, "approval_suspended"), f"{name} is not looked into")  # type: ignore[misc]
    for name, person in people.items():
        said = four.answer(person, name, asked[name])
        assert "first it is looked whether the alert's end is true" in said, said
        assert (
            "it is first looked whether anything is left to repair" in four.tabs[name].open(place.incident(name)).text
        )
        # Somebody has put it right by hand.
        assert place.calls(name) == 0
        place.target.calls[name].append("by hand")
    for name, person in people.items():
        (ended,) = until(lambda name=name: place.events(name, "approval_ended"), f"{name} is still asked")  # type: ignore[misc]
        assert "cancelled" in ended["text"]
        assert "cancelled" in four.answer(person, name, asked[name])
        assert (place.events(name, "step_started"), place.target.calls[name]) == ([], ["by hand"])


def test_what_nobody_decides_in_time_goes_to_people_and_the_late_are_told_in_each_way(four: Four) -> None:
    place, request = four.place, four.request("expired")
    until(lambda: place.events("expired", "escalated"), "it is not escalated", limit=EXPIRES + 15.0)
    for person in ("bob", "carol", "dan"):
        assert "expired" in four.answer(person, "expired", request)
    assert (four.state("expired")["state"], place.calls("expired"), place.events("expired", "voted")) == (
        "escalated",
        0,
        [],
    )
