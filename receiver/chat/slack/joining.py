"""Slack, joined from settings: the composition root asks for the lane, the command line for the client."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import httpx
import structlog

from receiver.chat.charts.picture import Painter, can_draw
from receiver.chat.outbox import Sender
from receiver.chat.slack.api import SlackApi
from receiver.chat.slack.blocks import Look
from receiver.chat.slack.charts import ChartLane
from receiver.chat.slack.chat import SlackChat
from receiver.chat.slack.chores import Plan
from receiver.chat.slack.files import SlackFiles
from receiver.chat.slack.lane import SlackLane
from receiver.chat.slack.notices import CallSender, NoticeSender, RaisedSender
from receiver.chat.slack.text import escape
from receiver.core.notices import LANES as NOTICE_LANES
from receiver.core.notices import RAISED
from receiver.core.telling import SECOND_CHANNEL
from receiver.logs import Redaction
from receiver.ports import Clock, RangeSource, Store
from receiver.settings import Settings
from receiver.settings_values import by_severity

_log = structlog.stdlib.get_logger(__name__)


def slack_lane(
    settings: Settings,
    http: httpx.AsyncClient,
    clock: Clock,
    store: Store,
    observe: Callable[[str, str], None],
    noted: Callable[[str], None],
    responders: Callable[[], Sequence[tuple[str, str]]] = tuple,
) -> SlackLane | None:
    """Return Slack's lane, None when no token is configured.

    `responders` are the Slack users who are invited to an incident's own channel where no mention names anybody.
    """
    if settings.slack_token is None or settings.slack_channel is None:
        return None
    channels = {severity: ids[-1] for severity, ids in by_severity(settings.slack_channels).items()}
    called = by_severity(settings.slack_mentions)
    mentions = {severity: " ".join(_mention(one) for one in ids) for severity, ids in called.items()}
    look = Look(settings.external_url or "", mentions, buttons=settings.slack_listens)
    api = SlackApi(settings.slack_api_url, settings.slack_token, http)
    chat = SlackChat(api, clock, settings.slack_channel, channels, look, redaction(settings.secrets))
    named = {severity: [one for one in ids if one[0] in "UWS"] for severity, ids in called.items()}
    wanted = frozenset(settings.slack_incident_channels)
    rooms = Plan(wanted, named, settings.slack_incident_archive, responders)
    return SlackLane(store, clock, chat, observe, noted, rooms)


def notice_senders(settings: Settings, clock: Clock, store: Store, slack: SlackLane | None) -> dict[str, Sender]:
    """Return the senders of notices by lane: for each channel of stakeholders, for worse severities, for calls."""
    if slack is None:
        return {}
    severities: dict[str, list[str]] = {}
    for severity, channels in by_severity(settings.slack_stakeholders).items():
        for channel in channels:
            severities.setdefault(channel, []).append(severity)
    found: dict[str, Sender] = {
        f"{NOTICE_LANES}{channel}": NoticeSender(slack.chat, clock, slack.budget, channel, wanted)
        for channel, wanted in severities.items()
    }
    if settings.slack_escalation_channel is not None:
        second = settings.slack_escalation_channel
        found[SECOND_CHANNEL] = CallSender(slack.chat, clock, slack.budget, second, store)
    if settings.slack_channels:
        found[RAISED] = RaisedSender(slack.chat, clock, slack.budget, store)
    return found


def chart_lane(
    settings: Settings,
    http: httpx.AsyncClient,
    clock: Clock,
    store: Store,
    source: RangeSource | None,
    slack: SlackLane | None,
    observe: Callable[[str, str], None],
) -> ChartLane | None:
    """Return the charts' lane; None, and why in the log, when something that it needs is not there."""
    if slack is None or settings.slack_token is None:
        return None
    missing = no_charts(settings)
    if source is None or missing is not None:
        _log.info("slack.no_charts", reason=missing)
        return None
    files = SlackFiles(SlackApi(settings.slack_api_url, settings.slack_token, http), http, settings.slack_api_url)
    cache = settings.database_file.with_suffix(".charts")
    painter = Painter(source, cache, redaction(settings.secrets))
    return ChartLane(store, clock, files, painter, slack.budget, observe)


def no_charts(settings: Settings) -> str | None:
    """Return what is missing for charts, in words; None when nothing is."""
    if settings.prometheus_url is None:
        return "REMEDIATOR_PROMETHEUS_URL is not set"
    return None if can_draw() else "Matplotlib is not installed; pip install 'remediator[charts]'"


def redaction(secrets: Sequence[str]) -> Callable[[str], str]:
    """Return what takes known secrets and the shapes of credentials out of a text, escaped for Slack or not."""
    return Redaction([*secrets, *(escape(one, len(one) * 5) for one in secrets)]).text


def _mention(called: str) -> str:
    """Return Slack's form of an id, or of `here` and `channel`."""
    if called.startswith("S"):
        return f"<!subteam^{called}>"
    return f"<@{called}>" if called[0].isupper() else f"<!{called}>"
