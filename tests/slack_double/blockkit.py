"""Block Kit's rules for messages and modals; a type that the double doesn't know is refused as unsupported.

Slack knows more types (rich_text, markdown, image, table...). Whoever needs one adds its rule here first: accepting
what nobody checked would be the one thing that a double must not do.
"""

import json
from collections.abc import Iterator
from typing import Any, Final

from tests.slack_double.checks import boolean, by_type, items, mapping, problem, several, string
from tests.slack_double.elements import FILLED_IN, IMAGE, PRESSED, plain, plain_or_mrkdwn
from tests.slack_double.errors import SlackError, explained
from tests.slack_double.state import Json

BLOCKS_IN_A_MESSAGE: Final = 50
BLOCKS_IN_A_MODAL: Final = 100

WHOLE_MESSAGE: Final = 13_000
"""Characters in all blocks together. Uncertain: undocumented; people measured 13,297 and, with other blocks, less."""

WHOLE_VIEW: Final = 250_000
"""Bytes of a modal's JSON."""

NAMED: Final = {"block_id": string(255)}


def _text_or_fields(value: Any, at: str) -> Iterator[str]:
    if isinstance(value, dict) and "text" not in value and "fields" not in value:
        yield problem("must define either `text` or `fields`", f"{at}/type")


def _distinct_actions(value: Any, at: str) -> Iterator[str]:
    """An action_id appears once in a block."""
    elements = value.get("elements") if isinstance(value, dict) else None
    seen = set()
    for index, element in enumerate(elements if isinstance(elements, list) else []):
        name = element.get("action_id") if isinstance(element, dict) else None
        if name is not None and name in seen:
            yield problem(f'`action_id` "{name}" already exists', f"{at}/elements/{index}/action_id")
        seen.add(name)


SECTION = several(
    mapping(
        {},
        {
            **NAMED,
            "text": plain_or_mrkdwn(3000),
            "fields": items(plain_or_mrkdwn(2000), 10),
            "accessory": PRESSED,
            "expand": boolean,
        },
    ),
    _text_or_fields,
)


def _context_part(value: Any, at: str) -> Iterator[str]:
    if isinstance(value, dict) and value.get("type") == "image":
        yield from IMAGE({name: part for name, part in value.items() if name != "type"}, at)
    else:
        yield from plain_or_mrkdwn(3000)(value, at)


BLOCK: Final = by_type(
    {
        "header": mapping({"text": plain(150)}, NAMED),
        "section": SECTION,
        "context": mapping({"elements": items(_context_part, 10)}, NAMED),
        "divider": mapping({}, NAMED),
        "actions": several(mapping({"elements": items(PRESSED, 25)}, NAMED), _distinct_actions),
        "input": mapping(
            {"label": plain(2000), "element": FILLED_IN},
            {**NAMED, "hint": plain(2000), "optional": boolean, "dispatch_action": boolean},
        ),
    }
)


def _one_focus(value: Any, at: str) -> Iterator[str]:
    """One element of a modal at most takes the cursor. Uncertain: the words."""
    blocks = value.get("blocks") if isinstance(value, dict) else None
    elements = [one.get("element") for one in blocks if isinstance(one, dict)] if isinstance(blocks, list) else []
    if sum(isinstance(one, dict) and one.get("focus_on_load") is True for one in elements) > 1:
        yield problem("only one element can have `focus_on_load`", f"{at}/blocks")


def _distinct_blocks(value: Any, at: str) -> Iterator[str]:
    """A block_id appears once in a message. Uncertain: the words, which follow those for `action_id`."""
    seen = set()
    for index, block in enumerate(value if isinstance(value, list) else []):
        name = block.get("block_id") if isinstance(block, dict) else None
        if name is not None and name in seen:
            yield problem(f'`block_id` "{name}" already exists', f"{at}/{index}/block_id")
        seen.add(name)


MESSAGE: Final = several(items(BLOCK, BLOCKS_IN_A_MESSAGE, 0), _distinct_blocks)

MODAL: Final = by_type(
    {
        "modal": several(
            _one_focus,
            mapping(
                {"title": plain(24), "blocks": several(items(BLOCK, BLOCKS_IN_A_MODAL, 0), _distinct_blocks)},
                {
                    "close": plain(24),
                    "submit": plain(24),
                    "private_metadata": string(3000, 0),
                    "callback_id": string(255, 0),
                    "external_id": string(255, 0),
                    "clear_on_close": boolean,
                    "notify_on_close": boolean,
                    "submit_disabled": boolean,
                },
            ),
        )
    }
)


def check_blocks(given: Any, at: str = "/blocks", code: str = "invalid_blocks") -> list[Json]:
    """Return a message's blocks, or refuse them.

    Args:
        given: a list of objects.
        at: the JSON pointer of the list.
        code: what to refuse with.
    """
    if not isinstance(given, list):
        raise SlackError(f"{code}_format" if code == "invalid_blocks" else code)
    problems = list(MESSAGE(given, at))
    if problems:
        raise explained(code, problems, errors=True)
    if sum(map(len, _texts(given))) > WHOLE_MESSAGE:
        raise SlackError("msg_blocks_too_long")
    return given


def check_view(given: Any) -> Json:
    """Return a modal, or refuse it with `invalid_arguments` or `view_too_large`."""
    if len(json.dumps(given)) > WHOLE_VIEW:
        raise SlackError("view_too_large")
    problems = list(MODAL(given, "/view"))
    if isinstance(given, dict) and "submit" not in given:
        blocks = given.get("blocks")
        for index, block in enumerate(blocks if isinstance(blocks, list) else []):
            if isinstance(block, dict) and block.get("type") == "input":
                text = "must define `submit` to use an `input` block in modals"
                problems.append(problem(text, f"/view/blocks/{index}/input"))
    if problems or not isinstance(given, dict):
        raise explained("invalid_arguments", problems)
    return given


def _texts(value: Any) -> Iterator[str]:
    """Yield every text that people would read."""
    if isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, dict):
        for name, part in value.items():
            if name == "text" and isinstance(part, str):
                yield part
            else:
                yield from _texts(part)
