"""Buttons and windows: what they carry is what is read back, and nothing else is taken."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from receiver.chat.slack import blocks, modals
from receiver.chat.slack.blocks import Card, Look
from receiver.chat.slack.buttons import LABELS, MENU, PREFIX, VOTES, Press, Verb, pressed, read
from receiver.chat.slack.modals import Declaration, Judgement, Kill, Remark, Submitted
from receiver.chat.slack.verbs import ROLES
from receiver.core.severity import Severity
from tests.slack_double.blockkit import check_blocks, check_view
from tests.unit.slack.test_blocks import HEADER

CARD = Card("p-k3f9x2qdm4", "restart", "restart api", 1, 1.8e9, reason_required=False)


def elements(message: blocks.Message) -> list[dict[str, Any]]:
    return [element for block in message.blocks if block["type"] == "actions" for element in block["elements"]]


def test_each_button_has_a_label_a_role_and_is_read_back() -> None:
    assert set(LABELS) == set(ROLES) == set(Verb)
    for verb in Verb:
        press = Press(verb, "i-k3f9x2qd", "p-k3f9x2qdm4" if verb in VOTES else None)
        assert read(f"{PREFIX}{verb}", press.value) == press


def menu(**shown: Any) -> list[str]:
    message = blocks.header("i-1", {**HEADER, **shown}, Look(buttons=True))
    found = [one for one in elements(message) if one["type"] == "overflow"]
    check_blocks([dict(one) for one in message.blocks])
    presses = [pressed({"action_id": MENU, "selected_option": option}) for one in found for option in one["options"]]
    assert all(press is not None and press.incident == "i-1" for press in presses)
    return [str(press.verb) for press in presses if press is not None]


def test_a_headers_menu_has_what_is_seldom_needed_and_what_a_p1_waits_for() -> None:
    assert menu() == ["severity", "note"]
    assert menu(unmarked=["assessed", "mitigated"]) == ["assessed", "mitigated", "severity", "note"]
    assert menu(unmarked=["mitigated"]) == ["mitigated", "severity", "note"]
    assert menu(ended=1.0) == []


@pytest.mark.parametrize(
    "value",
    ["", "severity", "severity i-1; x", "approve i-1", "reboot i-1", "severity  i-1", None, 7, ["severity i-1"]],
)
def test_no_other_entry_of_a_menu_is_taken(value: object) -> None:
    assert pressed({"action_id": MENU, "selected_option": {"value": value}}) is None
    assert pressed({"action_id": MENU, "value": value}) is None


def test_a_vote_without_the_request_that_it_answers_is_none() -> None:
    for verb in VOTES:
        assert read(f"{PREFIX}{verb}", "i-k3f9x2qd") is None


@given(st.one_of(st.text(), st.none(), st.integers(), st.lists(st.text())), st.one_of(st.text(), st.none()))
def test_nothing_else_is_read_as_a_press(action: object, value: object) -> None:
    assert read(action, value) is None
    assert read(f"{PREFIX}approve", value) is None


def test_buttons_are_shown_only_where_a_press_would_arrive() -> None:
    page = "https://remediator.example"
    assert elements(blocks.header("i-1", HEADER, Look(page))) == []
    assert elements(blocks.card("i-1", CARD, Look(page))) == []
    assert [one["action_id"] for one in elements(blocks.card("i-1", CARD, Look(buttons=True)))] == [
        f"{PREFIX}{verb}" for verb in ("approve", "deny", "plan")
    ], "without an address there is nothing to open"


@pytest.mark.parametrize("state", ["approved", "denied", "expired", "superseded", "cancelled"])
def test_what_is_decided_has_only_text(state: str) -> None:
    decided = Card("p-1", "restart", "restart api", 1, 1.8e9, reason_required=True, state=state, decision="so")
    assert elements(blocks.card("i-1", decided, Look("https://remediator.example", buttons=True))) == []


@pytest.mark.parametrize("verb", [Verb.DENY, Verb.APPROVE_SAYING_WHY])
def test_a_window_for_a_reason_is_one_that_slack_takes_and_carries_its_vote(verb: Verb) -> None:
    press = Press(verb, "i-k3f9x2qd", "p-k3f9x2qdm4")
    view = check_view(modals.ask_reason(press))
    state = {"values": {"reason": {"reason": {"value": "  because  "}}}}
    assert modals.submitted({**view, "state": state}) == Submitted(press, "because")


@pytest.mark.parametrize("kill", [Kill(on=True), Kill(on=False, playbook="service-down")])
def test_a_window_for_the_kill_switch_carries_what_is_confirmed(kill: Kill) -> None:
    assert kill.usable
    assert modals.submitted(check_view(modals.confirm_kill(kill))) == Submitted(kill, "")


@pytest.mark.parametrize("name", ["a b", "<!channel>", "x" * 201, "\n"])
def test_a_kill_switch_of_what_can_not_be_a_playbook_is_not_usable(name: str) -> None:
    assert not Kill(on=True, playbook=name).usable


def test_a_window_that_only_says_something_is_one_that_slack_takes() -> None:
    assert check_view(modals.told("Answer", "x" * 2000))
    assert check_view(modals.told("Answer", ""))
    assert modals.submitted(modals.told("Answer", "")) is None


def filled(**values: Any) -> dict[str, Any]:
    return {"values": {name: {name: value} for name, value in values.items()}}


def chosen(value: str) -> dict[str, Any]:
    return {"type": "static_select", "selected_option": {"value": value}}


def test_a_window_to_declare_is_one_that_slack_takes_and_holds_what_was_filled_in() -> None:
    view = check_view(modals.ask_declaration(["b", "a"]))
    assert [block["block_id"] for block in view["blocks"]] == ["severity", "reason", "service"]
    state = filled(severity=chosen("P2"), service=chosen("a"), reason={"value": " slow "})
    sent = modals.submitted({**view, "state": state})
    assert sent == Submitted(Declaration(Severity.P2, "a"), "slow")
    assert sent.missing == {}
    nothing = modals.submitted({**view, "state": filled(severity=chosen("P9"), reason={"value": " "})})
    assert nothing is not None
    assert set(nothing.missing) == {"severity", "reason"}


@pytest.mark.parametrize("services", [[], ["x" * 200], [f"service-{number}" for number in range(101)], ["<!channel>"]])
def test_whatever_services_there_are_slack_takes_the_window(services: list[str]) -> None:
    blocks = check_view(modals.ask_declaration(services))["blocks"]
    kinds = [block["element"]["type"] for block in blocks if block["block_id"] == "service"]
    assert kinds == ([] if not services else ["static_select"] if services == ["<!channel>"] else ["plain_text_input"])


def test_windows_of_an_incident_carry_it_and_hold_what_was_filled_in() -> None:
    view = check_view(modals.ask_severity("i-1", "P2"))
    state = filled(severity=chosen("P1"), reason={"value": "nobody can pay"})
    assert modals.submitted({**view, "state": state}) == Submitted(Judgement("i-1", Severity.P1), "nobody can pay")
    view = check_view(modals.ask_note("i-1", "assessed"))
    (says,) = [block["element"] for block in view["blocks"] if block.get("block_id") == "phase"]
    assert says["initial_option"]["value"] == "assessed"
    for value, phase in (("-", ""), ("assessed", "assessed"), ("mitigated", "mitigated"), ("else", "")):
        state = filled(phase=chosen(value), reason={"value": "the disk"})
        assert modals.submitted({**view, "state": state}) == Submitted(Remark("i-1", phase), "the disk")
    assert modals.submitted({**view, "private_metadata": "i-1; x"}) is None
    assert modals.submitted({**view, "callback_id": "note"}) is None
