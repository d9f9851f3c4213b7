"""Modals: a reason before a vote counts, a confirmation before the kill switch turns. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from receiver.chat.slack.blocks import section
from receiver.chat.slack.buttons import PREFIX, Press, Verb, read
from receiver.chat.slack.text import code, plain

Json = dict[str, Any]

REASON: Final = "reason"
LONGEST_REASON: Final = 2000

VOTE: Final = "vote"
KILL: Final = "kill"
TOLD: Final = "told"
_KILL: Final = re.compile(r"(on|off)(?: ([A-Za-z0-9_.-]{1,200}))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Kill:
    """What is to be confirmed: the kill switch on or off, for everything or one playbook."""

    on: bool
    playbook: str | None = None

    @property
    def value(self) -> str:
        """What the modal carries."""
        word = "on" if self.on else "off"
        return f"{word} {self.playbook}" if self.playbook else word

    @property
    def usable(self) -> bool:
        """Whether it can name a playbook that there is."""
        return _KILL.fullmatch(self.value) is not None


@dataclass(frozen=True, slots=True)
class Submitted:
    """A modal that was sent: what it was about, and the reason in it."""

    about: Press | Kill
    reason: str


def ask_reason(press: Press) -> Json:
    """Return the modal that asks why somebody approves or denies."""
    deny = press.verb is Verb.DENY
    word = "Deny" if deny else "Approve"
    end = "A denial ends the request at once." if deny else "The step begins when enough people have approved."
    return _modal(
        VOTE, f"{press.verb} {press.value}", word,
        [
            section(f"*{word}* what {code(press.incident)} asks for. {end}"),
            {
                "type": "input", "block_id": REASON, "label": plain("Reason"),
                "hint": plain("It stands in the timeline, with your name."),
                "element": {
                    "type": "plain_text_input", "action_id": REASON, "multiline": True, "min_length": 1,
                    "max_length": LONGEST_REASON, "focus_on_load": True,
                },
            },
        ],
        submit=word,
    )  # fmt: skip


def confirm_kill(kill: Kill) -> Json:
    """Return the modal that asks whether the kill switch is meant."""
    what = f"playbook {code(kill.playbook)}" if kill.playbook else "*everything*"
    text = (
        f"Stop {what}: no action begins any more; what runs finishes. Alerts are still taken and told."
        if kill.on
        else f"Let {what} act again: what waited may begin at once."
    )
    word = "Turn on" if kill.on else "Turn off"
    return _modal(KILL, kill.value, "Kill switch", [section(text)], submit=word)


def told(title: str, text: str) -> Json:
    """Return a modal that only says something; the text is in Slack's form already."""
    return _modal(TOLD, "", title, [section(text or "Done.")])


def submitted(view: Mapping[str, Any]) -> Submitted | None:
    """Return what a sent modal of ours asks for, None for any other."""
    kind, about = view.get("callback_id"), view.get("private_metadata")
    if not isinstance(about, str):
        return None
    if kind == f"{PREFIX}{KILL}" and (found := _KILL.fullmatch(about)):
        return Submitted(Kill(found[1] == "on", found[2]), "")
    if kind == f"{PREFIX}{VOTE}":
        verb, _, value = about.partition(" ")
        press = read(f"{PREFIX}{verb}", value)
        return Submitted(press, _reason(view)) if press is not None else None
    return None


def _reason(view: Mapping[str, Any]) -> str:
    state = view.get("state")
    values = state.get("values") if isinstance(state, dict) else None
    block = values.get(REASON) if isinstance(values, dict) else None
    element = block.get(REASON) if isinstance(block, dict) else None
    value = element.get("value") if isinstance(element, dict) else None
    return value.strip()[:LONGEST_REASON] if isinstance(value, str) else ""


def _modal(kind: str, about: str, title: str, blocks: list[Json], submit: str = "") -> Json:
    view = {
        "type": "modal", "callback_id": f"{PREFIX}{kind}", "private_metadata": about,
        "title": plain(title), "close": plain("Cancel" if submit else "Close"), "blocks": blocks,
    }  # fmt: skip
    return view | ({"submit": plain(submit)} if submit else {})
