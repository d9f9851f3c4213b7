"""Slack, joined from settings: the composition root asks for the lane, the command line for the client."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import httpx

from receiver.chat.slack.api import SlackApi
from receiver.chat.slack.blocks import Look
from receiver.chat.slack.chat import SlackChat
from receiver.chat.slack.lane import SlackLane
from receiver.chat.slack.text import escape
from receiver.logs import Redaction
from receiver.ports import Clock, Store
from receiver.settings import Settings
from receiver.settings_values import by_severity


def slack_lane(
    settings: Settings,
    http: httpx.AsyncClient,
    clock: Clock,
    store: Store,
    observe: Callable[[str, str], None],
    noted: Callable[[str], None],
) -> SlackLane | None:
    """Return Slack's lane, None when no token is configured."""
    if settings.slack_token is None or settings.slack_channel is None:
        return None
    channels = {severity: ids[-1] for severity, ids in by_severity(settings.slack_channels).items()}
    mentions = {
        severity: " ".join(_mention(one) for one in ids)
        for severity, ids in by_severity(settings.slack_mentions).items()
    }
    look = Look(settings.external_url or "", mentions)
    api = SlackApi(settings.slack_api_url, settings.slack_token, http)
    chat = SlackChat(api, clock, settings.slack_channel, channels, look, redaction(settings.secrets))
    return SlackLane(store, clock, chat, observe, noted)


def redaction(secrets: Sequence[str]) -> Callable[[str], str]:
    """Return what takes known secrets and the shapes of credentials out of a text, escaped for Slack or not."""
    return Redaction([*secrets, *(escape(one, len(one) * 5) for one in secrets)]).text


def _mention(called: str) -> str:
    """Return Slack's form of an id, or of `here` and `channel`."""
    if called.startswith("S"):
        return f"<!subteam^{called}>"
    return f"<@{called}>" if called[0].isupper() else f"<!{called}>"
