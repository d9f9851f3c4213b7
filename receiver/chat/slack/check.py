"""Whether Slack is set up as the service needs it: what is missing, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from receiver.chat.slack.api import SlackApi, SlackRefused

POST: Final = "chat:write"
SCOPES: Final[Mapping[str, str]] = {
    POST: "to post and edit messages",
    "channels:read": "to see whether a public channel is there",
    "channels:history": "to find its own messages in public channels after a lost answer",
    "groups:read": "to see whether a private channel is there",
    "groups:history": "to find its own messages in private channels after a lost answer",
}
"""Scope to what it is needed for; as in deploy/slack-manifest.yaml."""

ROOM_SCOPES: Final[Mapping[str, str]] = {
    "channels:manage": "to create, name and archive an incident's own channel, and to invite people to it",
    "pins:write": "to pin the header there",
    "bookmarks:write": "to put a link to the incident's page there",
    "usergroups:read": "to invite the members of the user groups that are mentioned",
}
"""What `REMEDIATOR_SLACK_INCIDENT_CHANNELS` needs."""

OPTIONAL: Final[Mapping[str, str]] = {"files:write": "incidents are told without charts", **ROOM_SCOPES}
"""Scopes that are written out in deploy/slack-manifest.yaml, but not asked for."""

REFUSED: Final[Mapping[str, str]] = {
    "invalid_auth": "the token is not known; copy the Bot User OAuth Token (xoxb-...) of the installed app",
    "not_authed": "the token is empty; copy the Bot User OAuth Token (xoxb-...) of the installed app",
    "account_inactive": "the app was uninstalled or its bot was deactivated; install it again",
    "token_revoked": "the token was revoked; install the app again and copy the new one",
    "token_expired": "the token expired; turn token rotation off for the app and install it again",
    "not_allowed_token_type": "this is no bot token; copy the Bot User OAuth Token (xoxb-...)",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at; `ok` is None for a hint."""

    ok: bool | None
    text: str


async def look(
    api: SlackApi, channels: Mapping[str, str], *, linked: bool, undrawn: str | None = None, rooms: bool = False
) -> list[Finding]:
    """Ask Slack about the token, its scopes and each channel.

    Args:
        api: Slack.
        channels: id to what is told there, in words.
        linked: whether messages can link to the service.
        rooms: whether incidents are to get channels of their own.
        undrawn: what is missing for charts beside Slack, in words; None: nothing is.

    Raises:
        ChatError: Slack can't be asked.
    """
    try:
        who, scopes = await api.call_with_scopes("auth.test")
    except SlackRefused as error:
        told = REFUSED.get(error.code, "see https://docs.slack.dev/reference/methods/auth.test")
        return [Finding(ok=False, text=f"REMEDIATOR_SLACK_TOKEN: Slack answers {error.code}: {told}")]
    found = [Finding(ok=True, text=f"the token is {who.get('user', '?')}'s in the workspace {_workspace(who)}")]
    if not who.get("bot_id"):
        found.append(
            Finding(ok=False, text="REMEDIATOR_SLACK_TOKEN is a person's; copy the Bot User OAuth Token (xoxb-...)")
        )
    found += _scopes(scopes, {**SCOPES, **(ROOM_SCOPES if rooms else {})})
    if undrawn is not None:
        found.append(Finding(ok=None, text=f"incidents are told without charts: {undrawn}"))
    elif "files:write" not in scopes:
        found.append(Finding(ok=None, text=f"scope files:write is not there: {OPTIONAL['files:write']}"))
    for channel, told in channels.items():
        found += await _channel(api, channel, told, str(who.get("user", "remediator")))
    if not linked:
        found.append(Finding(ok=None, text="REMEDIATOR_EXTERNAL_URL is not set: messages have no link to the service"))
    return found


def _workspace(who: Mapping[str, Any]) -> str:
    """Return a workspace's name and its id, which people.yaml asks for."""
    return f"{who.get('team', '?')} ({who.get('team_id', '?')})"


def _scopes(scopes: frozenset[str], wanted: Mapping[str, str]) -> Iterator[Finding]:
    missing = {scope: why for scope, why in wanted.items() if scope not in scopes}
    for scope, why in missing.items():
        yield Finding(ok=False, text=f"scope {scope} is missing, {why}; add it (OAuth & Permissions) and install again")
    if not missing:
        yield Finding(ok=True, text=f"every scope is there: {', '.join(wanted)}")


async def _channel(api: SlackApi, channel: str, told: str, bot: str) -> list[Finding]:
    try:
        shown: Mapping[str, Any] = (await api.call("conversations.info", channel=channel)).get("channel") or {}
    except SlackRefused as error:
        if error.code == "missing_scope":
            needed = error.answer.get("needed", "channels:read")
            return [Finding(ok=False, text=f"{channel} ({told}) can't be looked at: scope {needed} is missing")]
        if error.code == "channel_not_found":
            private = f"it doesn't exist, or is private and @{bot} is not in it: /invite @{bot} there"
            return [Finding(ok=False, text=f"{channel} ({told}): {private}")]
        return [Finding(ok=False, text=f"{channel} ({told}): {error}")]
    name = f"#{shown.get('name', channel)} ({channel}, {told})"
    if shown.get("is_archived"):
        return [Finding(ok=False, text=f"{name} is archived; choose another channel")]
    if not shown.get("is_member"):
        return [Finding(ok=False, text=f"@{bot} is not in {name}: /invite @{bot} there")]
    return [Finding(ok=True, text=f"@{bot} is in {name}")]
