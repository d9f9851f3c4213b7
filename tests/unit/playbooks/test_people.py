from __future__ import annotations

from pathlib import Path

import pytest

from receiver.people import People, Person, Role, hash_token, is_token_hash, make_token
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
    path = write(tmp_path, GOOD.replace(old, new, 1))
    found = [str(problem).removeprefix(f"{path}:") for problem in check_people_file(path)]
    assert any(line.startswith(f"{where}: ") and words in line for line in found), found
    with pytest.raises(PolicyError):
        load_people(path)


@pytest.mark.parametrize("secret", ["rmd_secret", "{rmd_secret: x}", "[rmd_secret]", "rmd_secret: x"])
def test_no_token_is_repeated_in_a_message(tmp_path: Path, secret: str) -> None:
    for text in (GOOD.replace(TWO, secret), GOOD.replace(f"[{TWO}]", secret)):
        path = write(tmp_path, text)
        problems = check_people_file(path)
        assert problems
        assert "rmd_secret" not in "".join(map(str, problems))
