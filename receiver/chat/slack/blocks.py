"""Incidents as Slack shows them: pure functions from what the outbox and the log say to a text and blocks.

Severity and state are told by a word, a shape and a colour each, so that nobody needs to tell colours apart.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from receiver.chat.render import MARKS
from receiver.chat.slack import buttons
from receiver.chat.slack.text import code, escape, moment, mrkdwn, plain, said, zoned
from receiver.core.phrases import span
from receiver.core.telling import answers

Json = dict[str, Any]

SEVERITIES: Final[Mapping[str, tuple[str, str]]] = {
    "P1": ("🛑", "P1 · complete outage"),
    "P2": ("🔶", "P2 · major function"),
    "P3": ("🟨", "P3 · minor function"),
    "P4": ("🔵", "P4 · cosmetic"),
}
"""Octagon, diamond, square, circle: the shapes differ as the colours do."""

STATES: Final[Mapping[str, tuple[str, str]]] = {
    "triage": ("🔍", "OPEN"),
    "awaiting_approval": ("✋", "WAITS FOR APPROVAL"),
    "acting": ("🔧", "ACTING"),
    "verifying": ("📏", "VERIFYING"),
    "holding": ("⏳", "HOLDING"),
    "escalated": ("🚨", "NEEDS A PERSON"),
    "cleanup": ("🧹", "CLEANING UP"),
    "resolved": ("✅", "RESOLVED"),
    "closed": ("⏹️", "CLOSED"),
}

DECISIONS: Final[Mapping[str, tuple[str, str]]] = {
    "approved": ("✅", "Approved"),
    "denied": ("⛔", "Denied"),
    "expired": ("⌛", "Expired"),
    "superseded": ("🔁", "Superseded"),
    "cancelled": ("⏹️", "Cancelled"),
}

LATE: Final = 60.0
"""Seconds after which entries are told as a catch-up, with when they were."""

MANY: Final = 50
"""Entries in one message at most."""

LINES: Final = 2900
"""Characters of a section; Slack takes 3,000."""

ZONED: Final = 45
"""Characters by which a time grows that is shown in the reader's zone."""

ALL_LINES: Final = 8000
"""Characters of all entries of a message; Slack takes about 13,000 in all blocks together."""

TEXT: Final = 900
"""Characters of the text beside the blocks, for notifications and screen readers; an edit takes 4,000 bytes."""


@dataclass(frozen=True, slots=True)
class Message:
    """What is posted: `text` always, for notifications and where blocks can't be shown."""

    text: str
    blocks: Sequence[Json]

    @property
    def digest(self) -> str:
        """A short name of the content: two messages that look alike have the same."""
        content = json.dumps([self.text, list(self.blocks)], sort_keys=True)
        return hashlib.blake2s(content.encode(), digest_size=8).hexdigest()

    def named_blocks(self) -> list[Json]:
        """Return the blocks, each with a `block_id` that changes with the message, as Slack wants it at an update."""
        digest = self.digest
        return [{**block, "block_id": f"{digest}-{number}"} for number, block in enumerate(self.blocks)]


@dataclass(frozen=True, slots=True)
class Look:
    """What every message of a workspace shares.

    Args:
        page: how people reach the service, for links; empty: it has no address that others reach.
        mentions: what to put beside a severity to call people, already in Slack's form.
        buttons: whether a press would reach us.
    """

    page: str = ""
    mentions: Mapping[str, str] = field(default_factory=dict)
    buttons: bool = False

    def mention(self, severity: object) -> str:
        """Return whom to mention, empty for nobody."""
        return self.mentions.get(str(severity), "")


def section(text: str) -> Json:
    """Return a section."""
    return {"type": "section", "text": mrkdwn(text)}


def fields(pairs: Sequence[tuple[str, str]]) -> Json:
    """Return a section of at most ten labelled values; the values are in Slack's form already."""
    return {"type": "section", "fields": [mrkdwn(f"*{label}*\n{value}") for label, value in pairs[:10]]}


def context(*texts: str) -> Json:
    """Return a line of small print."""
    return {"type": "context", "elements": [mrkdwn(text) for text in texts if text][:10]}


# --- the header -----------------------------------------------------------------------------------------------------


def header(incident: str, shown: Mapping[str, Any], look: Look) -> Message:
    """Return an incident at a glance.

    Args:
        incident: its id.
        shown: `receiver.core.timeline.Header.as_json()`.
        look: of the workspace.
    """
    severity, state = str(shown.get("severity", "")), str(shown.get("state", ""))
    mark, told = STATES.get(state, ("▫️", escape(state.upper(), 20)))
    shape, meaning = SEVERITIES.get(severity, ("▫️", escape(severity, 10)))
    target = escape(shown.get("target", ""), 100)
    over = shown.get("ended") is not None
    front = mark if over else shape
    firing, alerts = int(shown.get("firing", 0)), int(shown.get("alerts", 0))
    pairs = [
        ("State", f"{mark} {told}"),
        ("Severity", f"{shape} {meaning}"),
        ("Target", target),
        ("Alert", escape(shown.get("alert", ""), 150)),
        ("Alerts", f"▲ {firing} firing, ✔ {max(0, alerts - firing)} resolved"),
        ("Playbook", escape(shown.get("playbook", ""), 150)),
        ("Who acts", escape(shown.get("acting", ""), 400)),
        ("Since", moment(shown.get("since"), "{date_short_pretty} {time_secs}")),
    ]
    if over:
        pairs.append(("Ended", moment(shown.get("ended"), "{date_short_pretty} {time_secs}")))
    elif shown.get("late"):
        pairs.append(("Late", _late(shown)))
    if shown.get("mode") == "observe":
        pairs.append(("Mode", "👁 observes only: nothing is changed"))
    blocks = [
        {"type": "header", "text": plain(f"{front} {escape(severity, 10)} {told} · {target}")},
        fields(pairs),
        *(buttons.of_header(incident, shown, look.page) if look.buttons else ()),
        context(*_where(incident, look), "" if over else look.mention(severity)),
    ]
    return Message(said(shown.get("title", ""), TEXT), blocks)


def _late(shown: Mapping[str, Any]) -> str:
    return f"⏰ not {escape(', nor '.join(map(str, shown['late'])), 200)} in time"


def _where(incident: str, look: Look) -> tuple[str, ...]:
    link = f"<{buttons.link(incident, look.page)}|details>" if look.page else ""
    return code(incident), code(f"remediator incidents show {incident}"), link


def pointer(incident: str, shown: Mapping[str, Any], channel: str, look: Look) -> Message:
    """Return what leads from the main channel to an incident's own.

    Args:
        incident, shown, look: as of `header`.
        channel: the id of its own.
    """
    severity, state = str(shown.get("severity", "")), str(shown.get("state", ""))
    mark, told = STATES.get(state, ("▫️", escape(state.upper(), 20)))
    shape, _ = SEVERITIES.get(severity, ("▫️", ""))
    over = shown.get("ended") is not None
    title = f"{mark if over else shape} {escape(severity, 10)} {told} · {escape(shown.get('target', ''), 100)}"
    acting = f"{escape(shown.get('alert', ''), 150)} · {escape(shown.get('acting', ''), 300)}"
    if shown.get("late") and not over:
        acting = f"{acting}\n{_late(shown)}"
    blocks = [
        section(f"*{title}* · <#{channel}>\n{acting}"),
        context(*_where(incident, look), "" if over else look.mention(severity)),
    ]
    return Message(said(shown.get("title", ""), TEXT), blocks)


# --- the thread -----------------------------------------------------------------------------------------------------


def entries(payloads: Sequence[Mapping[str, Any]], now: float, look: Look) -> Message:
    """Return milestones: one as it is, several as lines, late ones as a catch-up with when each was."""
    first, last = payloads[0], payloads[-1]
    late = len(payloads) > 1 and now - _at(first) >= LATE
    room = ALL_LINES // len(payloads) - 80
    times = min(10, room // 200)
    limit = min(1000, max(120, room - times * ZONED))
    blocks = [_caught_up(payloads)] if late else []
    measured = [] if late else [number for number, one in enumerate(payloads) if one.get("numbers")]
    cut = measured[-1] + 1 if measured else 0
    lines = [line(one, limit, times) for one in payloads]
    if measured:
        blocks += [*map(section, _sections(lines[:cut])), _compared(payloads[cut - 1])]
    blocks += map(section, _sections(lines[cut:]))
    called = look.mention(last.get("severity")) if any(calls(one) for one in payloads) else ""
    if called:
        blocks.append(section(called))
    text = " / ".join(f"{said(one.get('text', ''), 300)}" for one in payloads[-3:])
    front = f"{len(payloads)} events: " if late else ""
    return Message(_cut(front + text, TEXT), blocks)


def line(payload: Mapping[str, Any], limit: int = 1000, times: int = 10) -> str:
    """Return an entry as one line with its time; at most `times` of those in its text are in the reader's zone."""
    mark = MARKS.get(str(payload.get("tone", "info")), MARKS["info"])
    raised = f"*{escape(payload['raised'], 20)}* " if payload.get("raised") else ""
    text = zoned(escape(payload.get("text", ""), limit), payload.get("at"), times)
    return f"{moment(payload.get('at'))} {mark} {raised}{text}"


def calls(payload: Mapping[str, Any]) -> bool:
    """Whether people are called about an entry: a failure, a severity that became worse, a response that is late."""
    if payload.get("raised") or payload.get("kind") == "response_missed":
        return True
    return payload.get("kind") == "escalated" and payload.get("tone") == "bad"


def broadcasts(payload: Mapping[str, Any]) -> bool:
    """Whether an entry is shown in the channel too: needs approval, failed, late, over."""
    return calls(payload) or payload.get("kind") in {"approval_asked", "summary"}


def _at(payload: Mapping[str, Any]) -> float:
    at = payload.get("at")
    return float(at) if isinstance(at, int | float) else 0.0


def _caught_up(payloads: Sequence[Mapping[str, Any]]) -> Json:
    first, last = moment(_at(payloads[0]), "{time}"), moment(_at(payloads[-1]), "{time}")
    return section(f"*{len(payloads)} events, {first} to {last}*, told late")


def _sections(lines: Sequence[str]) -> list[str]:
    parts: list[str] = []
    for one in lines:
        if parts and len(parts[-1]) + len(one) < LINES:
            parts[-1] += f"\n{one}"
        else:
            parts.append(one)
    return parts


def _compared(payload: Mapping[str, Any]) -> Json:
    """Return the numbers of a verification before and after."""
    return fields(
        [
            (escape(name, 100), f"{escape(before, 40)} → *{escape(after, 40)}* {escape(unit, 20)}".rstrip())
            for name, before, after, unit in payload["numbers"][:10]
        ]
    )


def _cut(text: str, limit: int) -> str:
    """Cut a text that is escaped already, not within an escape."""
    if len(text) <= limit:
        return text
    kept = text[: limit - 1]
    start = kept.rfind("&", limit - 8)
    return f"{kept[:start] if start >= 0 and ';' not in kept[start:] else kept}…"


# --- the summary ----------------------------------------------------------------------------------------------------


def summary(incident: str, payload: Mapping[str, Any], told: Mapping[str, Any], look: Look) -> Message:
    """Return an incident's end.

    Args:
        incident: its id.
        payload: of the outbox.
        told: what the log adds up to, the fields of `receiver.core.timeline.Summary`; may be empty.
        look: of the workspace.
    """
    outcome = str(told.get("outcome", "over"))
    mark, word = STATES.get(outcome, ("⏹️", outcome.upper()))
    pairs = [
        ("Duration", escape(span(float(told.get("seconds", 0.0))))),
        ("What ended it", escape(told.get("ended_by") or "not known", 700)),
        ("Actions", escape("; ".join(told.get("actions", ())) or "none", 700)),
        ("Approved by", escape(", ".join(told.get("approvers", ())) or "nobody was asked", 300)),
    ]
    if told.get("numbers"):
        pairs.append(("Before → after", escape(str(told["numbers"]).replace("->", "→"), 700)))
    at, text = payload.get("at"), escape(payload.get("text", ""))
    blocks = [section(f"*{mark} {word}* · {moment(at)}\n{zoned(text, at, 5)}")]
    if told:
        blocks.append(fields(pairs))
    blocks.append(context(*_where(incident, look)))
    return Message(said(payload.get("text", ""), TEXT), blocks)


# --- the approval card ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Card:
    """A request for approval as it stands.

    Args:
        approval, step, summary: what is asked.
        needed, reason_required, expires_at: as asked.
        votes: (person, approved, reason), in order.
        state: `pending`, or how it ended.
        decision: the words of its end.
        suspended: whether a resolve is looked into first.
        severity: the incident's.
    """

    approval: str
    step: str
    summary: str
    needed: int
    expires_at: float
    reason_required: bool
    votes: Sequence[tuple[str, bool, str]] = ()
    state: str = "pending"
    decision: str = ""
    suspended: bool = False
    severity: str = ""


def card(incident: str, one: Card, look: Look) -> Message:
    """Return a request for approval: what is asked and how to answer; once decided, by whom."""
    pending = one.state == "pending"
    mark, word = (
        ("✋", "Approval needed") if pending else DECISIONS.get(one.state, ("⏹️", escape(one.state.capitalize(), 20)))
    )
    title = f"{mark} {word}: step {escape(one.step, 90)}"
    yes = len({person for person, approved, _ in one.votes if approved})
    pairs = [("Agreed", f"{yes} of {one.needed}"), ("Open until", moment(one.expires_at))]
    if not pending:
        pairs[1] = ("Decision", escape(one.decision or word, 700))
    if one.votes:
        pairs.append(("Votes", "\n".join(_vote(*vote) for vote in one.votes[-10:])))
    blocks = [
        {"type": "header", "text": plain(title)},
        section(zoned(said(one.summary), one.expires_at)),
        fields(pairs),
    ]
    if one.suspended and pending:
        blocks.append(section("The alert resolved: it is looked into first. Votes count and wait until then."))
    if pending:
        if look.buttons:
            blocks += buttons.of_card(incident, one.approval, look.page, reason_required=one.reason_required)
        blocks.append(section(_how(incident, one)))
        if called := look.mention(one.severity):
            blocks.append(section(called))
    blocks.append(context(code(one.approval), *_where(incident, look)))
    return Message(_cut(f"{title}: {escape(one.summary if pending else one.decision, 600)}", TEXT), blocks)


def _vote(person: str, approved: bool, reason: str) -> str:  # noqa: FBT001 - a vote's own order
    return f"{'✔' if approved else '✖'} {escape(person, 60)}{f': {escape(reason, 100)}' if reason else ''}"


def _how(incident: str, one: Card) -> str:
    lines = [code(line) for line in answers(incident, reason_required=one.reason_required)]
    return "\n".join(["To answer, on the command line:", *lines])
