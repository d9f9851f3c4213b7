"""Who a Slack user is: by ids, by the address in their profile, and by user groups; in doubt nobody."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from receiver.approvers import Approvers
from receiver.chat.slack.api import SlackApi
from receiver.chat.slack.buttons import Verb
from receiver.chat.slack.groups import STALE, Groups
from receiver.chat.slack.whose import FRESH, SlackUser, Whose
from receiver.people import Group, People, Person, Role, SlackGroup, SlackId
from tests.integration.slack.hands import office
from tests.integration.slack.scene import Straight
from tests.integration.slack.test_approvals import ONE, started
from tests.simulation.world import FakeClock
from tests.slack_double import BOT_TOKEN, Fault, SlackDouble
from tests.slack_double.state import User

pytestmark = pytest.mark.anyio

ANN = Person("ann", "Ann", frozenset({Role.APPROVER}), email="ann@example.com")


class Place:
    """A workspace, and who is asked about in it."""

    def __init__(self) -> None:
        self.double = SlackDouble()
        self.clock = FakeClock()
        self.people = People({"ann": ANN})
        self.http = httpx.AsyncClient(transport=Straight(self.double))
        self.api = SlackApi("http://slack.example/api", BOT_TOKEN, self.http)
        self.whose = Whose(lambda: self.people, self.clock, self.api)
        self.user = self.double.team.add_user("ann")

    def of(self, user: User, team: str | None = None) -> SlackUser:
        return SlackUser(team or self.double.team.id, user.id)

    def asked(self, method: str = "users.info") -> int:
        return sum(one.method == method for one in self.double.calls)


@pytest.fixture
def place() -> Place:
    return Place()


async def test_who_has_no_slack_id_is_known_by_the_address_of_their_profile(place: Place) -> None:
    assert place.whose.known(place.of(place.user)) is None
    assert await place.whose.person(place.of(place.user)) == ANN
    assert await place.whose.person(place.of(place.user)) == ANN
    assert place.asked() == 1, "an address is remembered"
    place.people = People()
    assert await place.whose.person(place.of(place.user)) is None, "but not the person"
    place.clock.time += FRESH + 1
    place.user.email = "somebody.else@example.com"
    place.people = People({"ann": ANN})
    assert await place.whose.person(place.of(place.user)) is None


async def test_nobody_is_asked_about_when_addresses_do_not_count(place: Place) -> None:
    whose = Whose(lambda: place.people, place.clock)
    assert await whose.person(place.of(place.user)) is None
    assert place.asked() == 0


def _bot(user: User) -> None:
    user.is_bot = True


def _gone(user: User) -> None:
    user.deleted = True


def _guest(user: User) -> None:
    user.is_guest = True


@pytest.mark.parametrize("spoil", [_bot, _gone, _guest])
async def test_bots_guests_and_who_has_left_are_nobody(place: Place, spoil: Callable[[User], None]) -> None:
    spoil(place.user)
    assert await place.whose.person(place.of(place.user)) is None


async def test_a_user_of_another_workspace_is_nobody_and_is_not_asked_about(place: Place) -> None:
    assert await place.whose.person(place.of(place.user, "T0STRANGER")) is None
    assert place.asked() == 0


async def test_an_address_does_not_make_a_second_user_of_somebody_whose_user_is_written_down(place: Place) -> None:
    place.people = People({"ann": replace(ANN, slack=(SlackId(place.double.team.id, "U0THEREALANN"),))})
    assert await place.whose.person(place.of(place.user)) is None
    place.people = People({"ann": replace(ANN, slack=(SlackId("T0ELSEWHERE", "U0THEREALANN"),))})
    assert await place.whose.person(place.of(place.user)) is not None


@pytest.mark.parametrize("fault", [Fault.server_error(503), Fault.error("fatal_error"), None])
async def test_when_slack_can_not_say_it_is_nobody(place: Place, fault: Fault | None) -> None:
    if fault is None:
        place.double.allow("chat:write")
    else:
        place.double.faults.add(fault, "users.info")
    assert await place.whose.person(place.of(place.user)) is None


async def test_a_vote_by_address_is_the_vote_of_the_one_person(tmp_path: Path) -> None:
    async with office(tmp_path, ONE, by_email=True) as one:
        known = one.people.by_id["ann"]
        one.people = People({"ann": replace(known, slack=(), email="ann@example.com")})
        await one.asked()
        assert (await one.press("ann", Verb.APPROVE, one.card())).startswith("✔ approved")
        await one.scene.live(20.0)
        assert "approved by ann" in await one.scene.world.story()


async def test_with_addresses_a_modal_is_opened_first_and_who_it_is_asked_when_it_is_sent(tmp_path: Path) -> None:
    async with office(tmp_path, ONE, by_email=True) as one:
        await one.asked()
        assert await one.press("eve", Verb.DENY, one.card()) == ""
        assert "Nobody in people.yaml" in await one.submit("eve", "because I can")
        assert "Nobody in people.yaml" in await one.press("eve", Verb.APPROVE, one.card())
        assert await started(one) == 0


def grouped(place: Place, *groups: str, team: str | None = None) -> Groups:
    named = {one: Group(one, frozenset({"ann"}), SlackGroup(team or place.double.team.id, one)) for one in groups}
    place.people = People({"ann": ANN}, named)
    return Groups(place.api, place.clock, lambda: place.people)


async def test_the_members_of_a_user_group_are_known_as_slack_last_told_them(place: Place) -> None:
    bob = place.double.team.add_user("bob")
    group, team = place.double.team.add_group("on-call", [place.user]), place.double.team.id
    groups = grouped(place, group.id)
    assert groups.members(team, group.id) is None, "before the first look nothing is known"
    await groups.step()
    assert groups.members(team, group.id) == {place.user.id}
    group.users[:] = [bob.id]
    await groups.step()
    assert groups.members(team, group.id) == {bob.id}
    assert groups.members("T0ELSEWHERE", group.id) is None
    place.people = People({"ann": ANN})
    await groups.step()
    assert groups.members(team, group.id) is None, "people.yaml doesn't name it any more"


async def test_an_empty_group_is_known_to_be_empty(place: Place) -> None:
    group = place.double.team.add_group("on-call", [])
    groups = grouped(place, group.id)
    await groups.step()
    assert groups.members(place.double.team.id, group.id) == frozenset()


@pytest.mark.parametrize("why", ["plan", "scope", "group", "workspace"])
async def test_a_group_that_can_not_be_listed_is_not_known(place: Place, why: str) -> None:
    group = place.double.team.add_group("on-call", [place.user]).id if why != "group" else "S0NOWHERE"
    team = "T0ELSEWHERE" if why == "workspace" else place.double.team.id
    groups = grouped(place, group, team=team)
    if why in {"plan", "scope"}:
        await groups.step()
        assert groups.members(team, group) is not None
    if why == "plan":
        place.double.team.has_user_groups = False
    if why == "scope":
        place.double.allow("chat:write")
    await groups.step()
    assert groups.members(team, group) is None


async def test_the_last_answer_counts_for_an_hour_while_slack_is_away(place: Place) -> None:
    group, team = place.double.team.add_group("on-call", [place.user]).id, place.double.team.id
    groups = grouped(place, group)
    await groups.step()
    place.double.faults.outage(100_000.0)
    place.clock.time += STALE - 1
    await groups.step()
    assert groups.members(team, group) == {place.user.id}
    place.clock.time += 2
    await groups.step()
    assert groups.members(team, group) is None


async def test_who_may_approve_by_a_group_is_asked_of_slack_and_else_of_people_yaml(place: Place) -> None:
    user = SlackId(place.double.team.id, place.user.id)
    eve = Person("eve", "Eve", frozenset({Role.APPROVER}))
    group, team = place.double.team.add_group("on-call", [place.user]).id, place.double.team.id
    groups = grouped(place, group)
    named = {"on-call": Group("on-call", frozenset({"eve"}), SlackGroup(team, group))}
    place.people = People({"ann": replace(ANN, slack=(user,)), "eve": eve}, named)
    approvers = Approvers(lambda: place.people, groups)
    assert approvers.able(("on-call",)) == {"eve"}
    await groups.step()
    assert approvers.able(("on-call",)) == {"ann"}
    place.double.team.has_user_groups = False
    await groups.step()
    assert approvers.able(("on-call",)) == {"eve"}
