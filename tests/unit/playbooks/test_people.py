from __future__ import annotations

from pathlib import Path

import pytest

from receiver.people import (
    Group,
    Identity,
    People,
    Person,
    Role,
    SlackGroup,
    SlackId,
    hash_token,
    is_token_hash,
    make_token,
)
from receiver.playbooks import PolicyError
from receiver.playbooks.people_file import check_people_file, load_people

ONE, TWO = hash_token("one"), hash_token("two")
GOOD = f"""\
people:
  - id: alice
    name: Alice
    roles: [approver]
    tokens: [{ONE}]
  - id: bob
    name: Bob
    roles: [viewer, admin]
    tokens: [{TWO}]
"""


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "people.yaml"
    path.write_text(text)
    return path


def test_a_token_means_its_person_and_nothing_else_does(tmp_path: Path) -> None:
    people = load_people(write(tmp_path, GOOD))
    alice = people.authenticate("one")
    assert alice is not None
    assert (alice.id, alice.name, alice.roles) == ("alice", "Alice", frozenset({Role.APPROVER}))
    for wrong in ("", "One", ONE, "one ", "x" * 5000, "\ud800"):
        assert people.authenticate(wrong) is None


def test_nobody_is_let_in_without_a_file(tmp_path: Path) -> None:
    assert People().authenticate("one") is None
    with pytest.raises(PolicyError, match="No such file"):
        load_people(tmp_path / "people.yaml")


def test_a_role_includes_the_ones_before_it() -> None:
    person = Person("a", "A", frozenset({Role.APPROVER}))
    assert [person.may(role) for role in Role] == [True, True, True, False]
    assert not Person("a", "A", frozenset()).may(Role.VIEWER)


def test_who_may_approve_is_known(tmp_path: Path) -> None:
    people = load_people(write(tmp_path, GOOD))
    assert [person.id for person in people.who_may(Role.APPROVER)] == ["alice", "bob"]
    assert [person.id for person in people.who_may(Role.ADMIN)] == ["bob"]
    assert people.get("bob") is not None
    assert people.get("carol") is None


def test_a_made_token_works_and_is_never_the_same() -> None:
    token, hashed = make_token()
    assert is_token_hash(hashed)
    assert not is_token_hash(token)
    assert hash_token(token) == hashed
    assert People({"a": Person("a", "A", frozenset(), (hashed,))}).authenticate(token) is not None
    assert make_token()[0] != token
    assert len(token) > 40


def test_hashes_are_not_printed() -> None:
    assert ONE not in repr(Person("a", "A", frozenset(), (ONE,)))


@pytest.mark.parametrize(
    ("old", "new", "where", "words"),
    [
        ("id: bob", "id: alice", "6:9", "person `alice` is here a second time"),
        ("id: bob", "id: b b", "6:9", "is no name"),
        ("    name: Bob\n", "", "6:5", "people.1 lacks the required field `name`"),
        ("[approver]", "[approve]", "4:13", "did you mean `approver`?"),
        ("[approver]", "[]", "4:12", "must not be empty"),
        ("[approver]", "approver", "4:12", "needs a list"),
        ("roles: [approver]", "role: [approver]", "4:5", "did you mean `roles`?"),
        (TWO, ONE, "9:14", "a token belongs to one person"),
        (TWO, f"{TWO}, {TWO}", f"9:{14 + len(TWO) + 2}", "here a second time"),
        (TWO, "s3cret-token", "9:14", "is no hash of a token"),
        (TWO, "12345678", "9:14", "is no hash of a token"),
        (TWO, TWO.upper(), "9:14", "is no hash of a token"),
        ("people:", "peoples:", "1:1", "did you mean `people`?"),
    ],
)
def test_a_mistake_is_told_at_its_place(tmp_path: Path, old: str, new: str, where: str, words: str) -> None:
    told_at(tmp_path, GOOD.replace(old, new, 1), where, words)


def told_at(tmp_path: Path, text: str, where: str, words: str) -> None:
    path = write(tmp_path, text)
    found = [str(problem).removeprefix(f"{path}:") for problem in check_people_file(path)]
    assert any(line.startswith(f"{where}: ") and words in line for line in found), found
    with pytest.raises(PolicyError):
        load_people(path)


FULL = """\
people:
  - id: alice
    name: Alice
    roles: [approver]
    email: Alice@Example.com
    slack: [{team: T0ACME, user: U0ALICE}, {team: T0OTHER, user: U0ALICE}]
    identities: [{provider: "https://id.example.com", subject: "17"}, {provider: proxy, subject: alice}]
  - id: bob
    name: Bob
    roles: [viewer]
    email: bob@example.com
    slack: [{team: T0ACME, user: W0BOB}]
    identities: [{provider: proxy, subject: bob}]
"""


def test_people_are_known_by_slack_users_identities_and_addresses(tmp_path: Path) -> None:
    people = load_people(write(tmp_path, FULL))
    alice, bob = people.get("alice"), people.get("bob")
    assert alice is not None
    assert people.by_slack("T0ACME", "U0ALICE") is people.by_slack("T0OTHER", "U0ALICE") is alice
    assert people.by_slack("T0ACME", "W0BOB") is bob
    assert people.by_identity("https://id.example.com", "17") is people.by_identity("proxy", "alice") is alice
    assert people.by_email("ALICE@example.COM") is alice


@pytest.mark.parametrize(("team", "user"), [("T0OTHER", "W0BOB"), ("T0ACME", "alice"), ("", ""), ("t0acme", "U0ALICE")])
def test_a_slack_user_of_another_workspace_or_a_name_is_nobody(tmp_path: Path, team: str, user: str) -> None:
    assert load_people(write(tmp_path, FULL)).by_slack(team, user) is None


@pytest.mark.parametrize(
    ("provider", "subject"),
    [
        ("https://id.example.com/", "17"),
        ("proxy", "17"),
        ("proxy", "Alice"),
        ("https://id.example.com", "alice"),
        ("", ""),
    ],
)
def test_an_identity_is_its_provider_and_its_subject(tmp_path: Path, provider: str, subject: str) -> None:
    assert load_people(write(tmp_path, FULL)).by_identity(provider, subject) is None


@pytest.mark.parametrize("email", ["", "alice@example.org", "alice", "alice@example.com.evil.example"])
def test_another_address_is_nobody_s(tmp_path: Path, email: str) -> None:
    assert load_people(write(tmp_path, FULL)).by_email(email) is None


def test_of_two_who_could_be_meant_it_is_nobody() -> None:
    both = {
        name: Person(
            name,
            name,
            frozenset({Role.ADMIN}),
            slack=(SlackId("T1", "U1"),),
            identities=(Identity("proxy", "x"),),
            email="x@example.com",
        )
        for name in ("a", "b")
    }
    people = People(both)
    assert people.by_slack("T1", "U1") is people.by_identity("proxy", "x") is people.by_email("x@example.com") is None


def test_who_has_no_address_is_not_found_by_an_empty_one() -> None:
    assert People({"a": Person("a", "A", frozenset({Role.ADMIN}))}).by_email("") is None


@pytest.mark.parametrize(
    ("old", "new", "where", "words"),
    [
        ("W0BOB", "bob", "12:34", "is no id of a Slack user"),
        ("W0BOB", "U0bob", "12:34", "is no id of a Slack user"),
        ("{team: T0ACME, user: W0BOB}", "{team: acme, user: W0BOB}", "12:20", "is no id of a Slack workspace"),
        ("{team: T0ACME, user: W0BOB}", "{user: W0BOB}", "12:13", "`team`"),
        ("{team: T0ACME, user: W0BOB}", "W0BOB", "12:13", "needs"),
        ("W0BOB", "U0ALICE", "12:13", "a Slack user belongs to one person"),
        ("subject: bob", "subject: alice", "13:18", "an identity belongs to one person"),
        ("provider: proxy, subject: bob", "provider: okta, subject: bob", "13:29", "must begin with"),
        ("provider: proxy, subject: bob", 'provider: proxy, subject: ""', "13:45", "empty"),
        ("bob@example.com", "ALICE@example.com", "11:12", "an address belongs to one person"),
        ("bob@example.com", "bob", "11:12", "is no e-mail address"),
        ("bob@example.com", "bob@exämple.com", "11:12", "is no e-mail address"),
    ],
)
def test_a_mistake_in_who_somebody_is_is_told_at_its_place(
    tmp_path: Path, old: str, new: str, where: str, words: str
) -> None:
    assert FULL.count(old)
    told_at(tmp_path, new.join(FULL.rsplit(old, 1)), where, words)


GROUPS = f"""\
{GOOD}\
groups:
  - name: dba
    members: [alice]
  - name: oncall
    members: [alice, bob]
    slack: {{team: T0ACME, group: S0ONCALL}}
"""


def test_groups_are_people_under_one_name(tmp_path: Path) -> None:
    groups = load_people(write(tmp_path, GROUPS)).groups
    assert groups["dba"] == Group("dba", frozenset({"alice"}), None)
    assert groups["oncall"] == Group("oncall", frozenset({"alice", "bob"}), SlackGroup("T0ACME", "S0ONCALL"))


@pytest.mark.parametrize(
    ("old", "new", "where", "words"),
    [
        ("name: oncall", "name: dba", "13:11", "group `dba` is here a second time"),
        ("name: oncall", "name: alice", "13:11", "`alice` is a person's id already"),
        ("[alice, bob]", "[alice, bobb]", "14:22", "there is no person `bobb`; did you mean `bob`?"),
        ("S0ONCALL", "oncall", "15:34", "is no id of a Slack user group"),
        ("T0ACME", "acme", "15:19", "is no id of a Slack workspace"),
        ("{team: T0ACME, group: S0ONCALL}", "{group: S0ONCALL}", "15:5", "`team`"),
    ],
)
def test_a_mistake_in_a_group_is_told_at_its_place(tmp_path: Path, old: str, new: str, where: str, words: str) -> None:
    told_at(tmp_path, new.join(GROUPS.rsplit(old, 1)), where, words)


@pytest.mark.parametrize("secret", ["rmd_secret", "{rmd_secret: x}", "[rmd_secret]", "rmd_secret: x"])
def test_no_token_is_repeated_in_a_message(tmp_path: Path, secret: str) -> None:
    for text in (GOOD.replace(TWO, secret), GOOD.replace(f"[{TWO}]", secret)):
        path = write(tmp_path, text)
        problems = check_people_file(path)
        assert problems
        assert "rmd_secret" not in "".join(map(str, problems))
