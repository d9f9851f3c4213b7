"""`remediator slack check`: whether Slack is set up, in words."""

from __future__ import annotations

import argparse
import asyncio
import json
from typing import TYPE_CHECKING

from receiver.cli.values import settings_of
from receiver.errors import ServiceUnreachable, SettingsError
from receiver.settings import Settings

if TYPE_CHECKING:
    import httpx

    from receiver.chat.slack.check import Finding
    from receiver.chat.slack.check_doors import Doors

READ = (
    "slack_token",
    "slack_channel",
    "slack_channels",
    "slack_mentions",
    "slack_stakeholders",
    "slack_escalation_channel",
    "slack_api_url",
    "external_url",
    "prometheus_url",
    "people",
    "slack_signing_secret",
    "slack_app_token",
    "slack_email",
    "slack_incident_channels",
)
"""Settings that it looks at."""

MARKS = {True: "ok      ", False: "missing ", None: "hint    "}


def check(arguments: argparse.Namespace) -> int:
    """Print what was looked at; 1 when something is missing."""
    settings = settings_of(arguments, READ)
    unset = [
        f"{name} is not set; docs/slack.md says where it comes from"
        for name, value in (
            ("REMEDIATOR_SLACK_TOKEN (or _FILE)", settings.slack_token),
            ("REMEDIATOR_SLACK_CHANNEL", settings.slack_channel),
        )
        if not value
    ]
    if unset:
        raise SettingsError(unset)
    found = asyncio.run(_ask(settings))
    if arguments.json:
        print(json.dumps([{"ok": one.ok, "text": one.text} for one in found], indent=2))
    else:
        for one in found:
            print(f"{MARKS[one.ok]}{one.text}")
    return 1 if any(one.ok is False for one in found) else 0


async def _ask(settings: Settings) -> list[Finding]:
    import httpx

    from receiver.chat.slack.api import SlackApi
    from receiver.chat.slack.check import look
    from receiver.chat.slack.check_doors import look_at_doors
    from receiver.chat.slack.joining import no_charts
    from receiver.clock import SystemClock
    from receiver.ports import ChatError
    from receiver.settings_values import by_severity

    channels = {settings.slack_channel or "": "for every severity without its own"}
    for severity, ids in by_severity(settings.slack_channels).items():
        channels.setdefault(ids[-1], f"for {severity}")
    for severity, ids in by_severity(settings.slack_stakeholders).items():
        for one in ids:
            channels.setdefault(one, f"notices for {severity}")
    if settings.slack_escalation_channel:
        channels.setdefault(settings.slack_escalation_channel, "when people are called")
    async with httpx.AsyncClient(trust_env=False) as http:
        api = SlackApi(settings.slack_api_url, settings.slack_token or "", http)
        try:
            undrawn = no_charts(settings)
            rooms = bool(settings.slack_incident_channels)
            found = await look(api, channels, linked=settings.external_url is not None, undrawn=undrawn, rooms=rooms)
            return found + await look_at_doors(api, http, _doors(settings, http), SystemClock())
        except ChatError as error:
            raise ServiceUnreachable(f"Slack can't be asked: {error}") from None


def _doors(settings: Settings, http: httpx.AsyncClient) -> Doors:
    from receiver.chat.slack.api import SlackApi
    from receiver.chat.slack.check_doors import Doors
    from receiver.people import People
    from receiver.playbooks import PolicyError
    from receiver.playbooks.people_file import load_people
    from receiver.settings_values import by_severity

    people: People | None
    try:
        people = load_people(settings.people_file) if settings.people_file is not None else People()
    except PolicyError:
        people = None
    token = settings.slack_app_token
    mentions = {
        called: severity
        for severity, ids in by_severity(settings.slack_mentions).items()
        for called in ids
        if called[0].isupper()
    }
    return Doors(
        secrets=settings.slack_signing_secret,
        external_url=settings.external_url,
        app=SlackApi(settings.slack_api_url, token, http) if token else None,
        by_email=settings.slack_email == "on",
        mentions=mentions,
        people=people,
    )
