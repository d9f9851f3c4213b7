from __future__ import annotations

from collections.abc import Collection

import pytest

from receiver.approvers import Approvers
from receiver.core.principal import Principal
from receiver.people import Group, People, Person, Role, SlackGroup, SlackId


def person(name: str, role: Role) -> Person:
    return Person(name, name.title(), frozenset({role}), slack=(SlackId("T1", f"U{name.upper()}"),))


EVERYBODY = {
    "ann": person("ann", Role.APPROVER),
    "bob": person("bob", Role.ADMIN),
    "carol": person("carol", Role.RESPONDER),
}
GROUPS = {
    "dba": Group("dba", frozenset({"ann", "carol"})),
    "empty": Group("empty", frozenset()),
    "oncall": Group("oncall", frozenset({"bob"}), SlackGroup("T1", "S1")),
}


class Told:
    """Slack's word on one group."""

    def __init__(self, users: Collection[str] | None) -> None:
        self.users = users
        self.asked: list[tuple[str, str]] = []

    def members(self, team: str, group: str) -> Collection[str] | None:
        self.asked.append((team, group))
        return self.users


def approvers(groups: Told | None = None) -> Approvers:
    return Approvers(lambda: People(EVERYBODY, GROUPS), groups)


@pytest.mark.parametrize(
    ("names", "able"),
    [
        (None, {"ann", "bob"}),
        ((), set()),
        (("ann",), {"ann"}),
        (("carol",), set()),
        (("dba",), {"ann"}),
        (("dba", "bob"), {"ann", "bob"}),
        (("empty",), set()),
        (("nobody-of-that-name",), set()),
    ],
)
def test_those_count_whom_both_files_let(names: tuple[str, ...] | None, able: set[str]) -> None:
    assert approvers().able(names) == able


@pytest.mark.parametrize(
    ("users", "able"),
    [
        (["UANN"], {"ann"}),
        (["UANN", "UBOB", "UCAROL", "USTRANGER"], {"ann", "bob"}),
        ([], set()),
        (None, {"bob"}),
    ],
)
def test_of_a_slack_group_those_count_whom_slack_names_and_else_the_static_members(
    users: list[str] | None, able: set[str]
) -> None:
    slack = Told(users)
    assert approvers(slack).able(("oncall",)) == able
    assert slack.asked == [("T1", "S1")]


def test_without_slack_its_groups_are_the_static_members() -> None:
    assert approvers().able(("oncall",)) == {"bob"}


def test_a_group_s_users_are_those_of_its_own_workspace() -> None:
    elsewhere = {"x": Group("x", frozenset(), SlackGroup("T2", "S1"))}
    assert Approvers(lambda: People(EVERYBODY, elsewhere), Told(["UANN"])).able(("x",)) == frozenset()


@pytest.mark.parametrize(
    ("who", "role", "words"),
    [
        ("ann", Role.APPROVER, None),
        ("ann", Role.ADMIN, "needs the role admin"),
        ("carol", Role.RESPONDER, None),
        ("carol", Role.APPROVER, "needs the role approver"),
        ("mallory", Role.VIEWER, "doesn't name them"),
        ("local", Role.VIEWER, "doesn't name them"),
    ],
)
def test_what_somebody_may_not_do_is_told(who: str, role: Role, words: str | None) -> None:
    why = approvers().forbids(Principal(who, "web"), role)
    assert (why is None) == (words is None)
    assert words is None or words in str(why)


def test_without_people_whoever_is_on_this_machine_may_do_all_but_approve() -> None:
    nobody = Approvers(People)
    assert [role for role in Role if nobody.forbids(Principal("local", "cli"), role) is None] == [
        Role.VIEWER,
        Role.RESPONDER,
        Role.ADMIN,
    ]
    assert nobody.forbids(Principal("ann", "slack"), Role.VIEWER) is not None
