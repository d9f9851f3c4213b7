"""Whether people can answer in Slack: the URL, Socket Mode, whom it knows and mentions; what is missing, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Final
from urllib.parse import urlencode

import httpx
from slack_sdk.signature import SignatureVerifier

from receiver.chat.slack.api import SlackApi, SlackRefused
from receiver.chat.slack.check import Finding
from receiver.chat.slack.groups import WHY
from receiver.people import People, SlackGroup
from receiver.ports import Clock

PATH: Final = "/slack/interactivity"
TIMEOUT: Final = httpx.Timeout(5.0)

COMMANDS: Final = "commands"
TYPED: Final = "to type /remediator"
"""The scope of the slash command, and what it is for; in deploy/slack-manifest.yaml."""

EMAIL: Final[Mapping[str, str]] = {
    "users:read": "to ask for addresses", "users:read.email": "to know people by their address"
}  # fmt: skip
GROUPS: Final[Mapping[str, str]] = {"usergroups:read": "to see who is in a user group"}
"""Further ones that settings ask for; written out in the manifest, but not asked for."""

SOCKET: Final[Mapping[str, str]] = {
    "invalid_auth": "it is not known; make one under Basic Information, App-Level Tokens",
    "not_allowed_token_type": "it is no app-level token (xapp-...); make one under Basic Information",
    "missing_scope": "it lacks the scope connections:write; make one that has it",
    "token_revoked": "it was revoked; make another one",
}
REFUSED: Final[Mapping[int, str]] = {
    401: "the service there has another signing secret, or its clock or this one is wrong by minutes",
    404: "nothing takes Slack there: the service runs without the signing secret, or the proxy keeps the path",
}


@dataclass(frozen=True, slots=True)
class Doors:
    """What is set for people's answers.

    Args:
        secrets: signing secrets.
        external_url: where people, and Slack, reach the service.
        app: Slack, called with the app-level token; None without one.
        by_email: whether addresses count.
        mentions: ids that are mentioned, to where.
        people: of people.yaml; None: they can't be read.
    """

    secrets: Sequence[str] = ()
    external_url: str | None = None
    app: SlackApi | None = None
    by_email: bool = False
    mentions: Mapping[str, str] | None = None
    people: People | None = None

    @property
    def groups(self) -> list[SlackGroup]:
        """The user groups that people.yaml names."""
        named = self.people.groups.values() if self.people is not None else ()
        return sorted({one.slack for one in named if one.slack is not None})


async def look_at_doors(api: SlackApi, http: httpx.AsyncClient, doors: Doors, clock: Clock) -> list[Finding]:
    """Ask Slack and the service whether people's presses would arrive and be taken.

    Raises:
        ChatError: Slack can't be asked.
    """
    found: list[Finding] = []
    try:
        who, scopes = await api.call_with_scopes("auth.test")
    except SlackRefused:
        return found
    team = str(who.get("team_id", ""))
    if doors.secrets or doors.app is not None:
        found += _scopes(scopes, doors)
        found += _known(team, doors)
    else:
        text = "nobody can press or type in Slack: set REMEDIATOR_SLACK_SIGNING_SECRET or REMEDIATOR_SLACK_APP_TOKEN"
        found.append(Finding(ok=None, text=f"{text} (docs/slack.md)"))
    if doors.secrets:
        found.append(await _url(http, doors, clock))
    if doors.app is not None:
        found.append(await _socket(doors.app, both=bool(doors.secrets)))
    for group in doors.groups:
        found.append(await _group(api, group, team))
    for called, where in (doors.mentions or {}).items():
        found.append(await _called(api, called, where))
    return found


def _scopes(scopes: frozenset[str], doors: Doors) -> list[Finding]:
    wanted = {COMMANDS: TYPED}
    wanted |= EMAIL if doors.by_email else {}
    wanted |= GROUPS if doors.groups else {}
    return [
        Finding(ok=False, text=f"scope {scope} is missing, {why}; add it (OAuth & Permissions) and install again")
        for scope, why in wanted.items()
        if scope not in scopes
    ]


def _known(team: str, doors: Doors) -> list[Finding]:
    """Say how many people this workspace's presses can come from."""
    if doors.people is None:
        return [Finding(ok=False, text="people.yaml can't be read: remediator check says why; nobody can press")]
    known = sum(any(one.team == team for one in person.slack) for person in doors.people.by_id.values())
    if known == 0 and not doors.by_email:
        return [Finding(ok=False, text=f"nobody in people.yaml has a Slack user of the workspace {team}")]
    others = ", others by their address" if doors.by_email else ""
    return [Finding(ok=True, text=f"{known} of people.yaml have a Slack user of the workspace {team}{others}")]


async def _url(http: httpx.AsyncClient, doors: Doors, clock: Clock) -> Finding:
    """Press as Slack would, with a press that means nothing."""
    if doors.external_url is None:
        return Finding(
            ok=False, text="REMEDIATOR_EXTERNAL_URL is not set: where Slack reaches the service can't be told"
        )
    url = f"{doors.external_url}{PATH}"
    body = urlencode({"payload": '{"type":"remediator_check"}'})
    stamp = str(int(clock.now()))
    signature = SignatureVerifier(doors.secrets[-1]).generate_signature(timestamp=stamp, body=body)
    headers = {
        "Content-Type": "application/x-www-form-urlencoded",
        "X-Slack-Request-Timestamp": stamp,
        "X-Slack-Signature": signature or "",
    }
    try:
        answer = await http.post(url, content=body, headers=headers, timeout=TIMEOUT, follow_redirects=False)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        why = str(error) or type(error).__name__
        return Finding(ok=None, text=f"{url} can't be reached from here ({why}); Slack must reach it")
    if answer.status_code != httpx.codes.OK:
        why = REFUSED.get(answer.status_code, "only 200 is taken by Slack")
        return Finding(ok=False, text=f"{url} answers {answer.status_code}: {why}")
    if not url.startswith("https://"):
        return Finding(ok=None, text=f"{url} takes presses; Slack wants https")
    return Finding(ok=True, text=f"{url} takes presses; it must be the app's Request URL (Interactivity & Shortcuts)")


async def _socket(app: SlackApi, *, both: bool) -> Finding:
    """Ask where Socket Mode would connect; nothing is connected."""
    name = "REMEDIATOR_SLACK_APP_TOKEN"
    if find_spec("websockets") is None:
        return Finding(ok=False, text=f"{name}: Socket Mode needs a package: pip install 'remediator[socketmode]'")
    try:
        await app.call("apps.connections.open")
    except SlackRefused as error:
        told = SOCKET.get(error.code, "is Socket Mode turned on for the app?")
        return Finding(ok=False, text=f"{name}: Slack answers {error.code}: {told}")
    besides = "; while it is on, Slack sends nothing to the URL" if both else ""
    return Finding(ok=True, text=f"Socket Mode can be connected{besides}")


async def _group(api: SlackApi, group: SlackGroup, team: str) -> Finding:
    """Say whether Slack lists a user group of people.yaml; where it can't, the members that are written there count."""
    name, static = f"people.yaml's user group {group.group}", "the members in people.yaml count"
    if group.team != team:
        return Finding(ok=False, text=f"{name} is of the workspace {group.team}, the token of {team}; {static}")
    try:
        users = (await api.call("usergroups.users.list", usergroup=group.group)).get("users") or ()
    except SlackRefused as error:
        return Finding(ok=False, text=f"{name} can't be listed: {WHY.get(error.code, str(error))}; {static}")
    return Finding(ok=True, text=f"{name} has {len(users)} members in Slack")


async def _called(api: SlackApi, called: str, where: str) -> Finding:
    """Say whether somebody who is mentioned is there; `here` and `channel` always are."""
    name = f"REMEDIATOR_SLACK_MENTIONS: {called} ({where})"
    try:
        shown = await _mentioned(api, called)
    except SlackRefused as error:
        if error.code == "missing_scope":
            needed = error.answer.get("needed", "a scope")
            return Finding(ok=None, text=f"{name} can't be looked up without the scope {needed}")
        why = WHY.get(error.code, "there is no such user" if error.code == "user_not_found" else str(error))
        return Finding(ok=False, text=f"{name}: {why}")
    if shown is None:
        return Finding(ok=False, text=f"{name}: there is no such user group")
    if shown.get("deleted") or shown.get("date_delete"):
        return Finding(ok=False, text=f"{name} was deactivated; nobody is called")
    return Finding(ok=True, text=f"@{shown.get('handle') or shown.get('name', called)} is called ({called}, {where})")


async def _mentioned(api: SlackApi, called: str) -> Mapping[str, Any] | None:
    if not called.startswith("S"):
        user: Mapping[str, Any] = (await api.call("users.info", user=called)).get("user") or {}
        return user
    groups = (await api.call("usergroups.list", include_disabled=True)).get("usergroups") or ()
    return next((one for one in groups if one.get("id") == called), None)
