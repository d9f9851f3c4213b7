"""Approvals in Slack with the real process and Slack's double on loopback: buttons, modals, commands, forgers."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.acceptance.service import until
from tests.acceptance.slack_place import Place, running_place
from tests.slack_double.double import APP_TOKEN
from tests.slack_double.state import Json, Message

pytestmark = pytest.mark.acceptance

NAMES = ("expired", "runs", "race", "denied", "solved", "moved", "stranger", "typed", "socket")
EXPIRES = 9.0
PEOPLE = {"ann": "approver", "bob": "approver", "vic": "viewer", "ada": "admin"}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Run everything, and let everything break at once."""
    settings = {"REMEDIATOR_SLACK_APP_TOKEN": APP_TOKEN}
    with running_place(tmp_path_factory.mktemp("slack"), NAMES, PEOPLE, expires=EXPIRES, settings=settings) as place:
        for name in NAMES:
            place.fire(name)
        yield place


@pytest.fixture(scope="module", autouse=True)
def expired(place: Place) -> tuple[Message, Json]:
    """Return the request that nobody answers, as it looks while it waits."""
    return place.card("expired")


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


def test_what_nobody_decides_in_time_goes_to_people_and_a_late_press_is_told(
    place: Place, expired: tuple[Message, Json]
) -> None:
    until(lambda: place.events("expired", "escalated"), "it is not escalated", limit=EXPIRES + 15.0)
    place.press("ann", "expired", "approve", expired)
    assert "expired" in place.told("ann", "Too late. Step call: expired")
    assert place.calls("expired") == 0
