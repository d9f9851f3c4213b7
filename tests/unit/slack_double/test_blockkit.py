"""Block Kit's rules, each with the message that Slack gives."""

from typing import Any

import pytest

from tests.slack_double.blockkit import check_blocks, check_view
from tests.slack_double.errors import SlackError

Json = dict[str, Any]


def plain(text: str) -> Json:
    return {"type": "plain_text", "text": text}


def mrkdwn(text: str) -> Json:
    return {"type": "mrkdwn", "text": text}


def section(text: str = "x", **more: Any) -> Json:
    return {"type": "section", "text": mrkdwn(text), **more}


def button(**more: Any) -> Json:
    return {"type": "button", "text": plain("Approve"), "action_id": "approve", **more}


def actions(*elements: Json) -> Json:
    return {"type": "actions", "elements": list(elements)}


def select(**more: Any) -> Json:
    option = {"text": plain("One"), "value": "1"}
    return {"type": "static_select", "action_id": "pick", "options": [option], **more}


def confirm(**more: Any) -> Json:
    return {"title": plain("Sure?"), "text": mrkdwn("*really*"), "confirm": plain("Yes"), "deny": plain("No"), **more}


def field(**element: Any) -> Json:
    return {"type": "input", "label": plain("Reason"), "element": {"type": "plain_text_input", **element}}


def modal(*blocks: Json, **more: Any) -> Json:
    return {"type": "modal", "title": plain("Deny"), "submit": plain("Deny"), "blocks": list(blocks), **more}


GOOD = [
    {"type": "header", "text": plain("h" * 150)},
    section("s" * 3000),
    {"type": "section", "fields": [mrkdwn("f" * 100)] * 10},
    section(accessory=button(value="v" * 2000, style="danger", confirm=confirm())),
    section(accessory={"type": "overflow", "action_id": "o", "options": [{"text": plain("a"), "value": "a"}] * 2}),
    {"type": "context", "elements": [mrkdwn("c"), plain("c")] * 5},
    {"type": "context", "elements": [{"type": "image", "image_url": "https://x.example/i.png", "alt_text": "i"}]},
    {"type": "divider", "block_id": "b" * 255},
    actions(*(button(action_id=f"a{number}") for number in range(25))),
    actions(select(initial_option={"text": plain("One"), "value": "1"}, placeholder=plain("p"))),
    field(multiline=True, max_length=3000),
]


@pytest.mark.parametrize("block", GOOD, ids=lambda block: str(block)[:50])
def test_a_block_within_the_limits_is_taken(block: Json) -> None:
    assert check_blocks([block]) == [block]


MANY = [{"text": plain("One"), "value": str(number)} for number in range(101)]

BAD = [
    (
        [{"type": "header", "text": plain("h" * 151)}],
        "must be less than 151 characters [json-pointer:/blocks/0/text/text]",
    ),
    ([{"type": "header", "text": mrkdwn("h")}], "unsupported type: mrkdwn [json-pointer:/blocks/0/text/type]"),
    ([{"type": "header"}], "missing required field: text [json-pointer:/blocks/0]"),
    ([section(), section("s" * 3001)], "must be less than 3001 characters [json-pointer:/blocks/1/text/text]"),
    ([section("s" * 3001)], "failed to match all allowed schemas [json-pointer:/blocks/0/text]"),
    ([section("")], "must be more than 0 characters [json-pointer:/blocks/0/text/text]"),
    ([{"type": "section"}], "must define either `text` or `fields` [json-pointer:/blocks/0/type]"),
    (
        [{"type": "section", "fields": [mrkdwn("f")] * 11}],
        "no more than 10 items allowed [json-pointer:/blocks/0/fields]",
    ),
    (
        [{"type": "section", "fields": [mrkdwn("f" * 2001)]}],
        "must be less than 2001 characters [json-pointer:/blocks/0/fields/0/text]",
    ),
    ([section()] * 51, "no more than 50 items allowed [json-pointer:/blocks]"),
    ([section(block_id="b" * 256)], "must be less than 256 characters [json-pointer:/blocks/0/block_id]"),
    ([section(block_id="b")] * 2, '`block_id` "b" already exists [json-pointer:/blocks/1/block_id]'),
    ([section(colour="red")], "invalid additional property: colour [json-pointer:/blocks/0]"),
    ([{"type": "rich_text", "elements": []}], "unsupported type: rich_text [json-pointer:/blocks/0/type]"),
    ([{"text": plain("x")}], "missing required field: type [json-pointer:/blocks/0]"),
    (["text"], "must provide an object [json-pointer:/blocks/0]"),
    (
        [{"type": "context", "elements": [mrkdwn("c")] * 11}],
        "no more than 10 items allowed [json-pointer:/blocks/0/elements]",
    ),
    ([{"type": "context", "elements": []}], "must provide at least 1 items [json-pointer:/blocks/0/elements]"),
    ([actions(*[button()] * 26)], "no more than 25 items allowed [json-pointer:/blocks/0/elements]"),
    (
        [actions(button(), button())],
        '`action_id` "approve" already exists [json-pointer:/blocks/0/elements/1/action_id]',
    ),
    (
        [actions(button(text=plain("t" * 76)))],
        "must be less than 76 characters [json-pointer:/blocks/0/elements/0/text/text]",
    ),
    (
        [actions(button(value="v" * 2001))],
        "must be less than 2001 characters [json-pointer:/blocks/0/elements/0/value]",
    ),
    ([actions(button(value=1))], "must provide a string [json-pointer:/blocks/0/elements/0/value]"),
    ([actions(button(style="default"))], "must be a valid enum value [json-pointer:/blocks/0/elements/0/style]"),
    ([actions(button(url="javascript:x"))], "Invalid URL [json-pointer:/blocks/0/elements/0/url]"),
    (
        [actions(button(action_id="a" * 256))],
        "must be less than 256 characters [json-pointer:/blocks/0/elements/0/action_id]",
    ),
    (
        [actions(button(confirm=confirm(title=plain("t" * 101))))],
        "must be less than 101 characters [json-pointer:/blocks/0/elements/0/confirm/title/text]",
    ),
    (
        [actions(button(confirm={"title": plain("t")}))],
        "missing required field: deny [json-pointer:/blocks/0/elements/0/confirm]",
    ),
    (
        [actions({"type": "overflow", "action_id": "o", "options": [{"text": plain("a"), "value": "a"}]})],
        "must provide at least 2 items [json-pointer:/blocks/0/elements/0/options]",
    ),
    ([actions(select(options=MANY))], "no more than 100 items allowed [json-pointer:/blocks/0/elements/0/options]"),
    (
        [actions(select(initial_option={"text": plain("Two"), "value": "2"}))],
        "must be one of the provided options [json-pointer:/blocks/0/elements/0/initial_option]",
    ),
    (
        [actions(select(initial_option=None))],
        "must provide an object [json-pointer:/blocks/0/elements/0/initial_option]",
    ),
    (
        [actions({"type": "plain_text_input"})],
        "unsupported type: plain_text_input [json-pointer:/blocks/0/elements/0/type]",
    ),
    ([field(max_length=3001)], "must be between 1 and 3000 [json-pointer:/blocks/0/element/max_length]"),
]


@pytest.mark.parametrize(("blocks", "message"), BAD, ids=[message for _, message in BAD])
def test_a_block_beyond_a_limit_is_refused_in_slacks_words(blocks: list[Any], message: str) -> None:
    with pytest.raises(SlackError) as refused:
        check_blocks(blocks)
    assert refused.value.code == "invalid_blocks"
    assert message in refused.value.extra["errors"]
    assert f"[ERROR] {message}" in refused.value.extra["response_metadata"]["messages"]


def test_every_fault_of_a_message_is_named() -> None:
    with pytest.raises(SlackError) as refused:
        check_blocks([section(""), {"type": "header", "text": plain("")}])
    assert len(refused.value.extra["errors"]) == 3


def test_all_blocks_together_have_a_limit_too() -> None:
    check_blocks([section("s" * 2600)] * 5)
    with pytest.raises(SlackError, match="msg_blocks_too_long"):
        check_blocks([section("s" * 2601)] * 5)


def test_blocks_that_are_no_list_are_another_error() -> None:
    with pytest.raises(SlackError, match="invalid_blocks_format"):
        check_blocks({"type": "section"})


def test_a_modal_within_the_limits_is_taken() -> None:
    given = modal(field(), *[section()] * 99, private_metadata="m" * 3000, callback_id="c" * 255, notify_on_close=True)
    assert check_view(given) == given


@pytest.mark.parametrize(
    ("view", "message"),
    [
        (modal(title=plain("t" * 25)), "must be less than 25 characters [json-pointer:/view/title/text]"),
        (modal(submit=plain("t" * 25)), "must be less than 25 characters [json-pointer:/view/submit/text]"),
        (modal(*[section()] * 101), "no more than 100 items allowed [json-pointer:/view/blocks]"),
        (modal(private_metadata="m" * 3001), "must be less than 3001 characters [json-pointer:/view/private_metadata]"),
        (
            modal(field(focus_on_load=True), field(focus_on_load=True)),
            "only one element can have `focus_on_load` [json-pointer:/view/blocks]",
        ),
        (modal(submit=None), "must provide an object [json-pointer:/view/submit]"),
        ({"type": "modal"}, "missing required field: title [json-pointer:/view]"),
        ({"type": "home", "blocks": []}, "unsupported type: home [json-pointer:/view/type]"),
        (
            {"type": "modal", "title": plain("t"), "blocks": [section(), field()]},
            "must define `submit` to use an `input` block in modals [json-pointer:/view/blocks/1/input]",
        ),
    ],
)
def test_a_modal_beyond_a_limit_is_refused_in_slacks_words(view: Any, message: str) -> None:
    with pytest.raises(SlackError) as refused:
        check_view(view)
    assert refused.value.code == "invalid_arguments"
    assert f"[ERROR] {message}" in refused.value.extra["response_metadata"]["messages"]


def test_a_modal_has_a_size() -> None:
    with pytest.raises(SlackError, match="view_too_large"):
        check_view(modal(*[section("s" * 3000)] * 90))
