"""What people may do from Slack: the verbs, the role that each needs, and what they are told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

import structlog

from receiver.chat.slack.buttons import Verb
from receiver.chat.slack.text import code, escape
from receiver.chat.slack.whose import SlackUser
from receiver.core.principal import Principal
from receiver.people import Person, Role
from receiver.verbs import Answer

VIA: Final = "slack"

ROLES: Final[Mapping[Verb, Role]] = {
    Verb.ACKNOWLEDGE: Role.RESPONDER,
    Verb.TAKE_OVER: Role.RESPONDER,
    Verb.PAUSE: Role.RESPONDER,
    Verb.RESUME: Role.RESPONDER,
    Verb.APPROVE: Role.APPROVER,
    Verb.APPROVE_SAYING_WHY: Role.APPROVER,
    Verb.DENY: Role.APPROVER,
    Verb.PLAN: Role.VIEWER,
    Verb.OPEN: Role.VIEWER,
    Verb.SEVERITY: Role.RESPONDER,
    Verb.NOTE: Role.RESPONDER,
    Verb.ASSESSED: Role.RESPONDER,
    Verb.MITIGATED: Role.RESPONDER,
}
"""The role that each button needs, as the API's route for the same verb does."""

_log = structlog.stdlib.get_logger(__name__)


class Planned(Protocol):
    """Tells what a step would do now."""

    async def again(self, incident: str, approval: str) -> str:
        """Return the plan of what is asked, made anew, in Slack's form."""
        ...


def principal(person: Person, who: SlackUser) -> Principal:
    """Return who acts, for the audit: the address is that of their Slack user, Slack doesn't tell another."""
    return Principal(person.id, VIA, "slack", f"slack:{who}")


def refused(who: SlackUser | None, person: Person | None, role: Role, *, what: str, of: str) -> str:
    """Say why somebody may not do it, and log that they tried."""
    _log.warning("slack.refused_person", user=str(who), person=person.id if person else None, what=what, of=of)
    if who is None:
        return "Slack didn't say who you are; nothing was done."
    if person is None:
        return f"Nobody in people.yaml has the Slack user {code(who)}; nothing was done."
    return f"{escape(person.name, 100)}, this needs the role {code(role)} in people.yaml; nothing was done."


def said(answer: Answer, incident: str, safe: Callable[[str], str]) -> str:
    """Return an answer for Slack; `safe` takes credentials out, for answers repeat reasons."""
    mark = "✔" if answer.ok else "✖ Not done:"
    return f"{mark} {escape(safe(answer.text))}{f' ({code(incident)})' if incident else ''}"


def user_of(payload: Mapping[str, Any]) -> SlackUser | None:
    """Return who acted; None when Slack doesn't say both ids."""
    user, team = inside(payload, "user"), inside(payload, "team")
    team_id, user_id = text_of(user.get("team_id")) or text_of(team.get("id")), text_of(user.get("id"))
    return SlackUser(team_id, user_id) if team_id and user_id else None


def inside(payload: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return an object within another, an empty one when there is none."""
    value = payload.get(name)
    return value if isinstance(value, dict) else {}


def first(values: object) -> Mapping[str, Any]:
    """Return the first object of a list, an empty one when there is none."""
    return values[0] if isinstance(values, list) and values and isinstance(values[0], dict) else {}


def text_of(value: object) -> str:
    """Return a text, empty for what is none."""
    return value[:500] if isinstance(value, str) else ""
