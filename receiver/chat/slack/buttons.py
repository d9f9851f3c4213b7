"""The buttons and menus of headers and cards: what each one means, and what it is bound to. Pure.

A button's value names the incident and, on a card, the one request that it answers: a press on a card that somebody
still has open can't be taken for an answer to what is asked by now.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from receiver.chat.slack.text import plain

Json = dict[str, Any]

PREFIX: Final = "remediator/"
_VALUE: Final = re.compile(r"(i-[0-9a-z]{1,40})(?: (p-[0-9a-z]{1,40}))?", re.ASCII)


class Verb(StrEnum):
    """What a button asks for; its action id is `remediator/` and this. An entry of the menu has it in its value."""

    ACKNOWLEDGE = "ack"
    TAKE_OVER = "takeover"
    PAUSE = "pause"
    RESUME = "resume"
    APPROVE = "approve"
    APPROVE_SAYING_WHY = "approve-why"
    DENY = "deny"
    PLAN = "plan"
    OPEN = "open"
    SEVERITY = "severity"
    NOTE = "note"
    ASSESSED = "assessed"
    MITIGATED = "mitigated"


MENU: Final = f"{PREFIX}more"
"""The action id of a header's menu."""

PHASES: Final[Mapping[Verb, str]] = {Verb.ASSESSED: "assessed", Verb.MITIGATED: "mitigated"}
"""What a note says, by the entry of the menu that asks for it."""

VOTES: Final = frozenset({Verb.APPROVE, Verb.APPROVE_SAYING_WHY, Verb.DENY})

LABELS: Final[Mapping[Verb, tuple[str, str]]] = {
    Verb.ACKNOWLEDGE: ("Acknowledge", ""),
    Verb.TAKE_OVER: ("Take over", ""),
    Verb.PAUSE: ("Stop automation", ""),
    Verb.RESUME: ("Let it go on", ""),
    Verb.APPROVE: ("Approve", "primary"),
    Verb.APPROVE_SAYING_WHY: ("Approve...", "primary"),
    Verb.DENY: ("Deny...", "danger"),
    Verb.PLAN: ("Dry run again", ""),
    Verb.OPEN: ("Open", ""),
    Verb.SEVERITY: ("Change severity...", ""),
    Verb.NOTE: ("Add a note...", ""),
    Verb.ASSESSED: ("It is assessed...", ""),
    Verb.MITIGATED: ("It is mitigated...", ""),
}
"""What a button says, and its style; dots say that it asks for a reason first."""


@dataclass(frozen=True, slots=True)
class Press:
    """A button that was pressed: what it asks for, of which incident, about which request."""

    verb: Verb
    incident: str
    approval: str | None = None

    @property
    def value(self) -> str:
        """What the button carries."""
        return f"{self.incident} {self.approval}" if self.approval else self.incident


def read(action_id: object, value: object) -> Press | None:
    """Return what was pressed, None for what isn't a button of ours."""
    if not isinstance(action_id, str) or not action_id.startswith(PREFIX) or not isinstance(value, str):
        return None
    found = _VALUE.fullmatch(value)
    try:
        verb = Verb(action_id.removeprefix(PREFIX))
    except ValueError:
        return None
    if found is None or (verb in VOTES and found[2] is None):
        return None
    return Press(verb, found[1], found[2])


def pressed(action: Mapping[str, Any]) -> Press | None:
    """Return what an interaction with a button or a menu asks for, None for what isn't ours."""
    chosen = action.get("selected_option")
    if action.get("action_id") != MENU or not isinstance(chosen, dict):
        return read(action.get("action_id"), action.get("value"))
    verb, _, value = str(chosen.get("value", "")).partition(" ")
    return read(f"{PREFIX}{verb}", value)


def of_header(incident: str, shown: Mapping[str, Any], page: str) -> list[Json]:
    """Return the buttons and the menu of a header, in a block of their own; what is over has only its page.

    Args:
        incident: its id.
        shown: `receiver.core.timeline.Header.as_json()`.
        page: how people reach the service, empty when they can't.
    """
    verbs: list[Verb] = []
    menu: list[Json] = []
    if shown.get("ended") is None:
        menu = _menu(incident, [one for one, phase in PHASES.items() if phase in (shown.get("unmarked") or ())])
        verbs += [] if shown.get("acknowledged_by") else [Verb.ACKNOWLEDGE]
        verbs += [] if shown.get("owner") else [Verb.TAKE_OVER]
        verbs += [Verb.RESUME if shown.get("paused_by") else Verb.PAUSE] if shown.get("automatic") else []
    return _block([_button(Press(one, incident)) for one in verbs] + _open(incident, page) + menu)


def of_card(incident: str, approval: str, page: str, *, reason_required: bool) -> list[Json]:
    """Return the buttons of a request for approval that waits."""
    approve = Verb.APPROVE_SAYING_WHY if reason_required else Verb.APPROVE
    presses = [Press(one, incident, approval) for one in (approve, Verb.DENY, Verb.PLAN)]
    return _block([_button(one) for one in presses] + _open(incident, page))


def link(incident: str, page: str) -> str:
    """Return the address of an incident's page, empty when people can't reach it."""
    return f"{page}/incidents/{incident}" if page else ""


def _open(incident: str, page: str) -> list[Json]:
    return [_button(Press(Verb.OPEN, incident)) | {"url": link(incident, page)}] if page else []


def _menu(incident: str, marks: list[Verb]) -> list[Json]:
    """Return the menu of what is seldom needed, and of what a P1 waits for."""
    options = [
        {"text": plain(LABELS[verb][0]), "value": f"{verb} {incident}"} for verb in (*marks, Verb.SEVERITY, Verb.NOTE)
    ]
    return [{"type": "overflow", "action_id": MENU, "options": options}]


def _button(press: Press) -> Json:
    label, style = LABELS[press.verb]
    button = {"type": "button", "text": plain(label), "action_id": f"{PREFIX}{press.verb}", "value": press.value}
    return button | ({"style": style} if style else {})


def _block(elements: list[Json]) -> list[Json]:
    return [{"type": "actions", "elements": elements}] if elements else []
