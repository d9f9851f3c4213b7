"""Approvals as people give them to the real process, by command line and API: a kill -9, a reload, late clicks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from receiver.people import make_token
from tests.acceptance.counting import Counting
from tests.acceptance.service import Service, alert, group, running, until
from tests.acceptance.test_kill9 import policy

pytestmark = pytest.mark.acceptance

NAMES: Final = ("quorum", "left", "late", "paused")
TOKENS: Final = {name: make_token() for name in ("ann", "bob", "carol", "root")}
ROLES: Final = {"ann": "approver", "bob": "approver", "carol": "responder", "root": "admin"}


class Asking:
    """A service that asks before it calls a counting target, and its people."""

    def __init__(self, directory: Path, target: Counting) -> None:
        self.target = target
        self.people = directory / "people.yaml"
        self.playbooks = directory / "playbooks.yaml"
        self.service: Service
        self.write_people(*ROLES)
        rules = policy(target, list(NAMES))
        book = rules["playbooks"][0]
        book["steps"][0]["approval"] = {"approvals": 2, "on_timeout": "escalate"}
        late = json.loads(json.dumps(book))
        late["steps"][0]["approval"] |= {"expires": "1s"}
        rules["playbooks"] = [{**late, "name": "late", "match": 'alertname="Late"'}, book]
        self.playbooks.write_text(json.dumps(rules))

    def write_people(self, *names: str) -> None:
        """Let people.yaml name these."""
        known = [
            {"id": name, "name": name.title(), "roles": [ROLES[name]], "tokens": [TOKENS[name][1]]} for name in names
        ]
        self.people.write_text(json.dumps({"people": known}))

    def fires(self, name: str, alertname: str = "Broken") -> str:
        """Let something break; return its incident when people are asked."""
        self.service.post(group(alert(alertname, name)))
        until(lambda: any(one["kind"] == "approval_asked" for one in self.timeline(name)), "nobody is asked")
        return str(self.incident(name)["id"])

    def incident(self, name: str) -> dict[str, Any]:
        """Return its incident."""
        return next(one for one in self.service.incidents() if one["target"] == name)

    def timeline(self, name: str) -> list[dict[str, Any]]:
        """Return its incident's timeline, empty while there is none."""
        found = [one for one in self.service.incidents() if one["target"] == name]
        return self.service.timeline(found[0]["id"]) if found else []

    def calls(self, name: str) -> int:
        """Return how often it was acted on."""
        return len(self.target.calls.get(name, ()))

    def cli(self, who: str, *arguments: str) -> tuple[int, str]:
        """Let somebody type something."""
        done = self.service.command(*arguments, token=TOKENS[who][0])
        return done.returncode, done.stdout + done.stderr

    def api(self, who: str, incident: str, verb: str, **body: str) -> httpx.Response:
        """Let somebody's program ask."""
        headers = {"authorization": f"Bearer {TOKENS[who][0]}"}
        return self.service.http.post(f"/api/v1/incidents/{incident}/{verb}", json=body, headers=headers)


@pytest.fixture(scope="module")
def asking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asking]:
    """Run it for every test here; each has a target of its own."""
    directory = tmp_path_factory.mktemp("asking")
    with Counting() as target:
        one = Asking(directory, target)
        with running(directory, [one.playbooks], "act", {"REMEDIATOR_PEOPLE": str(one.people)}) as one.service:
            yield one


def test_two_people_agree_by_api_and_command_line_across_a_kill_9_and_it_is_done_once(asking: Asking) -> None:
    incident = asking.fires("quorum")
    request = asking.incident("quorum")["approval"]["id"]
    denied = asking.api("carol", incident, "approve")
    assert (denied.status_code, "role approver" in denied.json()["detail"]) == (403, True)
    assert asking.api("ann", incident, "approve", approval=request).json()["text"].startswith("approved; 1 of 2")
    assert asking.cli("ann", "approve", incident)[0] == 1
    asking.service.kill()
    asking.service.start()
    assert asking.calls("quorum") == 0
    code, said = asking.cli("bob", "approve", incident, "--request", request, "--reason", "it is true")
    assert (code, "begins as soon as" in said) == (0, True)
    until(lambda: asking.calls("quorum"), "it was not done")
    late = asking.api("ann", incident, "deny", reason="no", approval=request)
    assert (late.status_code, "http" in late.text or "call was approved" in late.text) == (409, True)
    votes = {one["data"]["person"]: one["data"] for one in asking.timeline("quorum") if one["kind"] == "voted"}
    assert {name: (one["via"], one["signed_in"], one["address"]) for name, one in votes.items()} == {
        "ann": ("api", "token", "127.0.0.1"),
        "bob": ("cli", "token", "127.0.0.1"),
    }
    _, shown = asking.cli("ann", "incidents", "show", incident)
    assert "bob (via cli) approved step call (2 of 2): it is true.  [signed in by token from 127.0.0.1]" in shown
    _, exported = asking.cli("ann", "incidents", "export", incident)
    assert '"signed_in": "token"' in exported
    assert asking.calls("quorum") == 1


def test_who_leaves_people_yaml_before_the_step_begins_does_not_count(asking: Asking) -> None:
    incident = asking.fires("left")
    for who, verb in (("carol", "pause"), ("ann", "approve"), ("bob", "approve")):
        assert asking.api(who, incident, verb).is_success
    asking.write_people("ann", "carol", "root")
    assert asking.cli("root", "reload")[0] == 0
    assert asking.api("carol", incident, "resume").is_success
    until(lambda: "bob may not approve any more" in str(asking.timeline("left")), "it is not asked again")
    assert (asking.api("bob", incident, "approve").status_code, asking.calls("left")) == (401, 0)
    asking.write_people(*ROLES)
    assert asking.cli("root", "reload")[0] == 0


def test_when_nobody_answers_in_time_people_are_called_and_a_late_click_is_told(asking: Asking) -> None:
    incident = asking.fires("late", "Late")
    until(lambda: asking.incident("late")["state"] == "escalated", "nobody is called")
    code, said = asking.cli("ann", "approve", incident)
    assert (code, "call was expired (nobody decided in time" in said) == (1, True)
    assert asking.calls("late") == 0


def test_what_is_paused_waits_though_it_is_approved_and_goes_on_when_told(asking: Asking) -> None:
    incident = asking.fires("paused")
    assert asking.cli("carol", "pause", incident, "--reason", "a deploy")[0] == 0
    assert asking.api("ann", incident, "approve").is_success
    assert asking.api("bob", incident, "approve").is_success
    assert (asking.incident("paused")["paused_by"], asking.calls("paused")) == ("carol", 0)
    assert asking.cli("carol", "resume", incident)[0] == 0
    until(lambda: asking.calls("paused") == 1, "it does not go on")
