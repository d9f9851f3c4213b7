"""People's doings in Slack, joined from settings: buttons, modals, commands, Socket Mode, and who may approve."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import httpx

from receiver.chat.slack.api import SlackApi
from receiver.chat.slack.commands import Commands
from receiver.chat.slack.desk import Desk
from receiver.chat.slack.dryrun import DryRun, Simulate
from receiver.chat.slack.groups import Groups
from receiver.chat.slack.joining import redaction
from receiver.chat.slack.private import PrivateAnswers
from receiver.chat.slack.whose import Whose
from receiver.errors import SettingsError
from receiver.people import People
from receiver.ports import Clock, Store
from receiver.settings import Settings
from receiver.verbs import Operations


@dataclass(frozen=True, slots=True)
class Incoming:
    """What takes people's doings in Slack, over HTTP and Socket Mode alike.

    Args:
        desk, commands: buttons and modals; what is typed.
        refused: called with the reason for what is refused before they see it.
    """

    desk: Desk
    commands: Commands
    refused: Callable[[str], None] = lambda _reason: None

    async def interactive(self, payload: Mapping[str, Any]) -> dict[str, Any] | None:
        """Take a press or a sent modal. Raises TooBusy."""
        return await self.desk.interactive(payload)

    async def command(self, form: Mapping[str, str]) -> dict[str, Any] | None:
        """Take a slash command. Raises TooBusy."""
        return await self.commands.command(form)


def slack_incoming(  # noqa: PLR0913 - what people do in Slack touches most parts
    settings: Settings,
    http: httpx.AsyncClient,
    clock: Clock,
    store: Store,
    operations: Operations,
    simulate: Simulate,
    people: Callable[[], People],
    *,
    services: Callable[[], Sequence[str]],
    refused: Callable[[str], None],
) -> Incoming | None:
    """Return what takes people's doings in Slack, None when they can't reach us.

    Args:
        services: returns the names of the policy's services.
        refused: called with the reason for each press, window or command that is refused.
    """
    if settings.slack_token is None or not settings.slack_listens:
        return None
    api = SlackApi(settings.slack_api_url, settings.slack_token, http)
    whose = Whose(people, clock, api if settings.slack_email == "on" else None)
    answers = PrivateAnswers(http, settings.slack_api_url, redaction(settings.secrets))
    planned = DryRun(store, simulate, answers.safe)
    desk = Desk(store, operations, whose, answers, api, planned, services=services, refused=refused)
    return Incoming(desk, Commands(desk, settings.external_url or "", settings.mode), refused)


def slack_groups(
    settings: Settings, http: httpx.AsyncClient, clock: Clock, people: Callable[[], People]
) -> Groups | None:
    """Return what knows who is in Slack's user groups, None without Slack."""
    if settings.slack_token is None:
        return None
    return Groups(SlackApi(settings.slack_api_url, settings.slack_token, http), clock, people)


def socket_mode(
    settings: Settings,
    http: httpx.AsyncClient,
    clock: Clock,
    incoming: Incoming | None,
    noted: Callable[[str], None],
) -> tuple[Callable[[], Coroutine[Any, Any, None]], ...]:
    """Return what keeps Socket Mode's connection, nothing when it isn't wanted.

    Raises:
        SettingsError: it is wanted, and its package isn't installed.
    """
    if incoming is None or settings.slack_app_token is None:
        return ()
    if find_spec("websockets") is None:
        why = "Socket Mode needs a package: pip install 'remediator[socketmode]'"
        raise SettingsError([f"REMEDIATOR_SLACK_APP_TOKEN: {why}"])
    from receiver.chat.slack.sockets import SocketMode  # noqa: PLC0415 - it needs what an extra brings

    api = SlackApi(settings.slack_api_url, settings.slack_app_token, http)
    return (SocketMode(api, incoming, clock, noted, incoming.refused).run,)
