"""`remediator slack check`: whether people's presses would arrive and be taken, in words."""

from dataclasses import replace
from typing import Any

import httpx
import pytest

from receiver.chat.slack import check_doors
from receiver.chat.slack.api import SlackApi
from receiver.chat.slack.check import SCOPES
from receiver.chat.slack.check_doors import COMMANDS, Doors, look_at_doors
from receiver.people import Group, People, Person, Role, SlackGroup, SlackId
from receiver.web.slack import SlackDoor
from tests.integration.slack.hands import door_of
from tests.integration.slack.scene import Straight
from tests.integration.slack.test_door import Keeping
from tests.simulation.world import FakeClock
from tests.slack_double import BOT_TOKEN, SIGNING_SECRET, SlackDouble
from tests.slack_double.double import APP_TOKEN

pytestmark = pytest.mark.anyio

URL = "https://remediator.example"


class Place:
    """A workspace, the service's door, and what is set."""

    def __init__(self) -> None:
        self.double = SlackDouble()
        self.clock = FakeClock()
        self.slack = httpx.AsyncClient(transport=Straight(self.double))
        self.desk = Keeping()
        self.service: Any = httpx.ASGITransport(
            door_of(SlackDoor([SIGNING_SECRET], self.clock, self.desk, lambda _: None))
        )
        self.user = self.double.team.add_user("ann")
        ann = Person("ann", "Ann", frozenset({Role.APPROVER}), slack=(SlackId(self.double.team.id, self.user.id),))
        self.doors = Doors(people=People({"ann": ann}))

    def api(self, token: str = BOT_TOKEN) -> SlackApi:
        return SlackApi("http://slack.example/api", token, self.slack)

    async def look(self, **changes: Any) -> dict[str, bool | None]:
        async with httpx.AsyncClient(transport=self.service) as http:
            doors = replace(self.doors, **changes)
            return {one.text: one.ok for one in await look_at_doors(self.api(), http, doors, self.clock)}


@pytest.fixture
def place() -> Place:
    return Place()


def wrong(found: dict[str, bool | None]) -> list[str]:
    return [text for text, ok in found.items() if ok is False]


async def test_without_a_secret_it_is_said_that_nobody_can_press(place: Place) -> None:
    (text,) = await place.look()
    assert text.startswith("nobody can press or type in Slack: set REMEDIATOR_SLACK_SIGNING_SECRET or")


async def test_with_everything_set_nothing_is_missing(place: Place) -> None:
    place.double.allow(*SCOPES, COMMANDS)
    found = await place.look(secrets=[SIGNING_SECRET], external_url=URL, app=place.api(APP_TOKEN))
    assert set(found.values()) == {True}
    assert any(text.startswith(f"{URL}/slack/interactivity takes presses") for text in found)
    assert any("Socket Mode can be connected; while it is on, Slack sends nothing to the URL" in one for one in found)
    assert any("1 of people.yaml have a Slack user" in text for text in found)
    assert place.desk.got == [{"type": "remediator_check"}]


async def test_another_secret_at_the_service_is_told(place: Place) -> None:
    found = await place.look(secrets=["another"], external_url=URL)
    assert wrong(found) == [f"{URL}/slack/interactivity answers 401: {check_doors.REFUSED[401]}"]


async def test_a_service_that_takes_nothing_from_slack_is_told(place: Place) -> None:
    place.service = httpx.MockTransport(lambda _: httpx.Response(404))
    found = await place.look(secrets=[SIGNING_SECRET], external_url=URL)
    assert "the service runs without the signing secret, or the proxy keeps the path" in wrong(found)[0]


async def test_a_url_that_can_not_be_reached_from_here_is_a_hint(place: Place) -> None:
    def away(_request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("no route")

    place.service = httpx.MockTransport(away)
    found = await place.look(secrets=[SIGNING_SECRET], external_url=URL)
    assert found[f"{URL}/slack/interactivity can't be reached from here (no route); Slack must reach it"] is None
    assert wrong(await place.look(secrets=[SIGNING_SECRET]))[0].startswith("REMEDIATOR_EXTERNAL_URL is not set")


async def test_a_missing_scope_is_named_by_what_is_set(place: Place) -> None:
    place.double.allow(*SCOPES)
    group = place.double.team.add_group("on-call", [place.user]).id
    people = grouped(place, group)
    found = await place.look(secrets=[SIGNING_SECRET], external_url=URL, by_email=True, people=people)
    told = " ".join(wrong(found))
    for scope in (COMMANDS, "users:read", "users:read.email", "usergroups:read"):
        assert f"scope {scope} is missing" in told
    assert f"{group} can't be listed: the app lacks the scope usergroups:read; the members in people.yaml count" in told


async def test_nobody_with_a_slack_user_of_the_workspace_is_told(place: Place) -> None:
    found = await place.look(secrets=[SIGNING_SECRET], external_url=URL, people=People())
    assert f"nobody in people.yaml has a Slack user of the workspace {place.double.team.id}" in wrong(found)
    found = await place.look(secrets=[SIGNING_SECRET], external_url=URL, people=None)
    assert any("people.yaml can't be read" in text for text in wrong(found))


@pytest.mark.parametrize("token", [BOT_TOKEN, "xapp-unknown", APP_TOKEN])
async def test_what_is_wrong_with_the_app_token_is_told(place: Place, token: str) -> None:
    place.double.allow(token=APP_TOKEN)
    found = await place.look(app=place.api(token))
    (text,) = wrong(found)
    told = {
        BOT_TOKEN: "it is no app-level token (xapp-...)",
        "xapp-unknown": "it is not known",
        APP_TOKEN: "it lacks the scope connections:write",
    }
    assert told[token] in text
    assert "xapp-unknown" not in text


async def test_the_package_that_socket_mode_needs_is_named(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check_doors, "find_spec", lambda _: None)
    found = await place.look(app=place.api(APP_TOKEN))
    assert "pip install 'remediator[socketmode]'" in wrong(found)[0]


def grouped(place: Place, group: str, team: str | None = None) -> People:
    assert place.doors.people is not None
    named = Group("on-call", frozenset(), SlackGroup(team or place.double.team.id, group))
    return People(place.doors.people.by_id, {"on-call": named})


@pytest.mark.parametrize("why", ["plan", "unknown", "workspace", "there"])
async def test_a_user_group_is_looked_at(place: Place, why: str) -> None:
    group = place.double.team.add_group("on-call", [place.user]).id if why != "unknown" else "S0NOWHERE"
    place.double.team.has_user_groups = why != "plan"
    found = await place.look(people=grouped(place, group, "T0ELSEWHERE" if why == "workspace" else None))
    told = {
        "plan": "can't be listed: user groups need a paid plan of Slack; the members in people.yaml count",
        "unknown": "can't be listed: there is no such group; the members in people.yaml count",
        "workspace": f"is of the workspace T0ELSEWHERE, the token of {place.double.team.id}; the members in",
        "there": "has 1 members in Slack",
    }
    assert any(told[why] in text and ok is (why == "there") for text, ok in found.items())


async def test_who_is_mentioned_is_looked_up(place: Place) -> None:
    group = place.double.team.add_group("on-call", [place.user])
    off = place.double.team.add_group("gone", [])
    off.disabled = True
    left = place.double.team.add_user("left")
    left.deleted = True
    mentions = dict.fromkeys((place.user.id, group.id, off.id, left.id, "U0NOBODY", "S0NOTHING"), "P1")
    found = await place.look(mentions=mentions)
    assert found[f"@ann is called ({place.user.id}, P1)"] is True
    assert found[f"@on-call is called ({group.id}, P1)"] is True
    assert len(wrong(found)) == 4
    assert any("U0NOBODY (P1): there is no such user" in text for text in wrong(found))
    assert any("S0NOTHING (P1): there is no such user group" in text for text in wrong(found))
    assert sum("was deactivated" in text for text in wrong(found)) == 2
    place.double.allow(*SCOPES)
    found = await place.look(mentions=mentions)
    assert wrong(found) == [], "what can't be looked up is a hint"
    assert any("without the scope users:read" in text for text in found)
