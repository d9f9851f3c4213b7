"""The windows: a reason, a confirmation, an incident to declare, a severity, a note; and what is in one that was sent.

Pure. What a window is about travels in its `private_metadata`; what people fill in is read back by block.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from receiver.chat.slack.blocks import SEVERITIES, section
from receiver.chat.slack.buttons import PHASES, PREFIX, Press, Verb, read
from receiver.chat.slack.text import code, plain
from receiver.core.declared import TITLE_LIMIT
from receiver.core.severity import Severity

Json = dict[str, Any]

REASON: Final = "reason"
SEVERITY: Final = "severity"
SERVICE: Final = "service"
PHASE: Final = "phase"
"""The blocks that are filled in; `reason` is the text, whatever it is about."""

LONGEST_REASON: Final = 2000

VOTE: Final = "vote"
KILL: Final = "kill"
DECLARE: Final = "declare"
JUDGE: Final = "severity"
NOTE: Final = "note"
TOLD: Final = "told"
_KILL: Final = re.compile(r"(on|off)(?: ([A-Za-z0-9_.-]{1,200}))?", re.ASCII)

CHOICES: Final = 100
"""Options of a menu at most; with more services than that the name is typed."""

SAYS: Final[Mapping[str, str]] = {
    "": "something is worth knowing",
    "assessed": "it is assessed: what is wrong, what to do",
    "mitigated": "it is mitigated: it works again",
}
"""What a note can say, by its phase."""

NOTHING: Final = "-"
"""The value of the option that stands for no phase: Slack refuses an empty one."""


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
class Declaration:
    """An incident to declare; `severity` is None and `service` empty where nothing was chosen."""

    severity: Severity | None
    service: str


@dataclass(frozen=True, slots=True)
class Judgement:
    """An incident's severity to change."""

    incident: str
    severity: Severity | None


@dataclass(frozen=True, slots=True)
class Remark:
    """A note on an incident; `phase` is empty, `assessed` or `mitigated`."""

    incident: str
    phase: str


@dataclass(frozen=True, slots=True)
class Submitted:
    """A modal that was sent: what it was about, and the text in it."""

    about: Press | Kill | Declaration | Judgement | Remark
    reason: str

    @property
    def missing(self) -> dict[str, str]:
        """What isn't filled in, by block: Slack's clients ask for it, but let blanks pass."""
        found: dict[str, str] = {}
        if isinstance(self.about, Declaration | Judgement) and self.about.severity is None:
            found[SEVERITY] = "Choose how bad it is."
        if isinstance(self.about, Kill) or self.reason:
            return found
        words = {Declaration: "Say what is wrong.", Remark: "A note needs a text."}
        return found | {REASON: words.get(type(self.about), "A reason is needed.")}


# --- the views --------------------------------------------------------------------------------------------------------


def ask_reason(press: Press) -> Json:
    """Return the modal that asks why somebody approves or denies."""
    deny = press.verb is Verb.DENY
    word = "Deny" if deny else "Approve"
    end = "A denial ends the request at once." if deny else "The step begins when enough people have approved."
    about = section(f"*{word}* what {code(press.incident)} asks for. {end}")
    return _modal(VOTE, f"{press.verb} {press.value}", word, [about, _why("Reason")], submit=word)


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


def ask_declaration(services: Sequence[str]) -> Json:
    """Return the modal that asks what to declare; `services` are the policy's."""
    title = _text("What is wrong", "In a few words: it stands where an alert's name does.", TITLE_LIMIT)
    return _modal(DECLARE, "", "Declare an incident", [_severities(), title, *_services(services)], submit="Declare")


def ask_severity(incident: str, now: str) -> Json:
    """Return the modal that asks how bad an incident is; `now` is what it is, empty when that isn't known."""
    known = f", {now} now" if now in SEVERITIES else ""
    about = section(f"How bad is {code(incident)}{known}? Who is called for the new severity is called at once.")
    return _modal(JUDGE, incident, "Change the severity", [about, _severities(), _why("Reason")], submit="Change")


def ask_note(incident: str, phase: str) -> Json:
    """Return the modal that asks for a note on an incident; `phase` is what it says when nothing else is chosen."""
    says = [_option(SAYS[one], one or NOTHING) for one in SAYS]
    chosen = _menu(PHASE, "It says that", says, initial=says[list(SAYS).index(phase)])
    chosen["hint"] = plain("A P1 must be assessed and mitigated in time; a person's word counts.")
    blocks = [section(f"A note on {code(incident)}."), _why("Note"), chosen]
    return _modal(NOTE, incident, "Add a note", blocks, submit="Add")


def told(title: str, text: str) -> Json:
    """Return a modal that only says something; the text is in Slack's form already."""
    return _modal(TOLD, "", title, [section(text or "Done.")])


def _why(label: str) -> Json:
    return _text(label, "It stands in the timeline, with your name.", LONGEST_REASON, multiline=True)


def _text(label: str, hint: str, longest: int, *, multiline: bool = False) -> Json:
    return {
        "type": "input", "block_id": REASON, "label": plain(label), "hint": plain(hint),
        "element": {
            "type": "plain_text_input", "action_id": REASON, "multiline": multiline, "min_length": 1,
            "max_length": longest, "focus_on_load": True,
        },
    }  # fmt: skip


def _severities() -> Json:
    options = [_option(f"{shape} {meaning}", one) for one, (shape, meaning) in SEVERITIES.items()]
    return _menu(SEVERITY, "How bad", options)


def _services(services: Sequence[str]) -> list[Json]:
    """Return what asks for the service: a menu, or a line where a menu can't hold them."""
    if not services:
        return []
    if len(services) <= CHOICES and all(len(one) <= 75 for one in services):
        return [_menu(SERVICE, "Service", [_option(one, one) for one in sorted(services)]) | {"optional": True}]
    line = {"type": "plain_text_input", "action_id": SERVICE, "max_length": 200}
    hint = plain("Its name in playbooks.yaml; leave it empty when it isn't known there.")
    label = plain("Service")
    return [{"type": "input", "block_id": SERVICE, "label": label, "hint": hint, "element": line, "optional": True}]


def _menu(block: str, label: str, options: Sequence[Json], initial: Json | None = None) -> Json:
    element: Json = {"type": "static_select", "action_id": block, "options": list(options)}
    element |= {"initial_option": initial} if initial is not None else {}
    return {"type": "input", "block_id": block, "label": plain(label), "element": element}


def _option(text: str, value: str) -> Json:
    return {"text": plain(text), "value": value}


def _modal(kind: str, about: str, title: str, blocks: list[Json], submit: str = "") -> Json:
    view = {
        "type": "modal", "callback_id": f"{PREFIX}{kind}", "private_metadata": about,
        "title": plain(title), "close": plain("Cancel" if submit else "Close"), "blocks": blocks,
    }  # fmt: skip
    return view | ({"submit": plain(submit)} if submit else {})


# --- what was sent ----------------------------------------------------------------------------------------------------


def submitted(view: Mapping[str, Any]) -> Submitted | None:
    """Return what a sent modal of ours asks for, None for any other."""
    kind, about = view.get("callback_id"), view.get("private_metadata")
    if not isinstance(kind, str) or not isinstance(about, str):
        return None
    found = _about(kind.removeprefix(PREFIX), about, view) if kind.startswith(PREFIX) else None
    if found is None:
        return None
    return Submitted(found, "" if isinstance(found, Kill) else _filled(view, REASON)[:LONGEST_REASON])


def _about(kind: str, about: str, view: Mapping[str, Any]) -> Press | Kill | Declaration | Judgement | Remark | None:
    match kind:
        case "vote":
            verb, _, value = about.partition(" ")
            press = read(f"{PREFIX}{verb}", value)
            return press if press is not None and press.approval is not None else None
        case "kill" if found := _KILL.fullmatch(about):
            return Kill(found[1] == "on", found[2])
        case "declare":
            return Declaration(_severity(view), _filled(view, SERVICE)[:200])
        case "severity" if press := read(f"{PREFIX}{Verb.SEVERITY}", about):
            return Judgement(press.incident, _severity(view))
        case "note" if press := read(f"{PREFIX}{Verb.NOTE}", about):
            phase = _filled(view, PHASE)
            return Remark(press.incident, phase if phase in PHASES.values() else "")
        case _:
            return None


def _severity(view: Mapping[str, Any]) -> Severity | None:
    chosen = _filled(view, SEVERITY)
    return Severity(chosen) if chosen in Severity.__members__ else None


def _filled(view: Mapping[str, Any], block: str) -> str:
    """Return what was typed or chosen in a block, empty for nothing."""
    state = view.get("state")
    values = state.get("values") if isinstance(state, dict) else None
    elements = values.get(block) if isinstance(values, dict) else None
    element = elements.get(block) if isinstance(elements, dict) else None
    if not isinstance(element, dict):
        return ""
    chosen = element.get("selected_option")
    value = chosen.get("value") if isinstance(chosen, dict) else element.get("value")
    return value.strip() if isinstance(value, str) else ""
