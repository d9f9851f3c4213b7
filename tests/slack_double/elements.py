"""Rules of text objects, confirm dialogs and interactive elements (limits: Slack's Block Kit reference)."""

from collections.abc import Iterator
from typing import Any

from tests.slack_double.checks import (
    Check,
    as_alternatives,
    boolean,
    by_type,
    items,
    link,
    mapping,
    one_of,
    problem,
    several,
    string,
    whole,
)


def plain(maximum: int) -> Check:
    """A plain_text object."""
    return by_type({"plain_text": mapping({"text": string(maximum)}, {"emoji": boolean})})


def plain_or_mrkdwn(maximum: int) -> Check:
    """A text object of either kind."""
    kinds = {
        "plain_text": mapping({"text": string(maximum)}, {"emoji": boolean}),
        "mrkdwn": mapping({"text": string(maximum)}, {"verbatim": boolean}),
    }
    return as_alternatives(by_type(kinds))


CONFIRM = mapping(
    {"title": plain(100), "text": plain_or_mrkdwn(300), "confirm": plain(30), "deny": plain(30)},
    {"style": one_of("primary", "danger")},
)

IDENTIFIED = {"action_id": string(255)}

OPTION = mapping({"text": plain_or_mrkdwn(75), "value": string(150)}, {"description": plain_or_mrkdwn(75)})

OPTION_WITH_LINK = mapping(
    {"text": plain(75), "value": string(150)}, {"description": plain_or_mrkdwn(75), "url": link()}
)

OPTION_GROUP = mapping({"label": plain(75), "options": items(OPTION, 100)}, {})

BUTTON = mapping(
    {"text": plain(75)},
    {
        **IDENTIFIED,
        "url": link(),
        "value": string(2000),
        "style": one_of("primary", "danger"),
        "confirm": CONFIRM,
        "accessibility_label": string(75),
    },
)

OVERFLOW = mapping({"options": items(OPTION_WITH_LINK, 5, 2)}, {**IDENTIFIED, "confirm": CONFIRM})
"""Uncertain: the least number of options; the reference names five as the most, and once named two as the least."""


def _selection(value: Any, at: str) -> Iterator[str]:
    """Check what goes together in a select: one list, and an initial option out of it."""
    if not isinstance(value, dict):
        return
    if ("options" in value) == ("option_groups" in value):
        yield problem("must define either `options` or `option_groups`", at)
    groups = [group for group in value.get("option_groups", []) if isinstance(group, dict)]
    options = [*value.get("options", []), *(option for group in groups for option in group.get("options", []))]
    if "initial_option" in value and value["initial_option"] not in options:
        yield problem("must be one of the provided options", f"{at}/initial_option")


STATIC_SELECT = several(
    mapping(
        {},
        {
            **IDENTIFIED,
            "placeholder": plain(150),
            "options": items(OPTION, 100),
            "option_groups": items(OPTION_GROUP, 100),
            "initial_option": OPTION,
            "confirm": CONFIRM,
            "focus_on_load": boolean,
        },
    ),
    _selection,
)

PLAIN_TEXT_INPUT = mapping(
    {},
    {
        **IDENTIFIED,
        "placeholder": plain(150),
        "initial_value": string(3000, 0),
        "multiline": boolean,
        "min_length": whole(0, 3000),
        "max_length": whole(1, 3000),
        "focus_on_load": boolean,
        "dispatch_action_config": mapping({}, {"trigger_actions_on": items(string(30), 2)}),
    },
)

IMAGE = mapping({"alt_text": string(2000)}, {"image_url": link()})
"""Uncertain: Slack also fetches the image and refuses the message when it can't; the double doesn't fetch."""

PRESSED = by_type({"button": BUTTON, "overflow": OVERFLOW, "static_select": STATIC_SELECT})
"""What an actions block and a section's accessory may hold, of what the double knows."""

FILLED_IN = by_type({"plain_text_input": PLAIN_TEXT_INPUT, "static_select": STATIC_SELECT})
"""What an input block may hold, of what the double knows."""
