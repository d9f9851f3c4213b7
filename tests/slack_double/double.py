"""The double itself: workspaces, tokens, and what happens to calls; the HTTP server around it is in `running`."""

import hashlib
import secrets
import threading
import time
from collections import deque
from dataclasses import dataclass, replace
from typing import Final

from tests.slack_double.faults import Faults
from tests.slack_double.rates import Rates
from tests.slack_double.scopes import APP_SCOPES, BOT_SCOPES
from tests.slack_double.sockets import Sockets
from tests.slack_double.state import App, Channel, Json, Message, Token
from tests.slack_double.timing import TimeSource
from tests.slack_double.triggers import ResponseUrls, Triggers
from tests.slack_double.workspace import Ids, Workspace

BOT_TOKEN: Final = "xoxb-double-1"
APP_TOKEN: Final = "xapp-double-1"
SIGNING_SECRET: Final = "the double's signing secret"

REMEMBERED: Final = 100_000
"""Calls in the log at most."""


@dataclass(frozen=True, slots=True)
class Called:
    """One call in the log: when, what, on which channel, and Slack's refusal if it was one."""

    at: float
    method: str
    channel: str | None
    error: str | None


class SlackDouble:
    """Slack, with one workspace in it to begin with: an installed app and its bot, and nobody else.

    Everything here may be used while it serves, from any thread, under `lock`.

    Args:
        now: the time; a `FakeTime` in tests that may not wait.
        name, domain: of the first workspace.
    """

    def __init__(self, now: TimeSource = time.time, *, name: str = "Example", domain: str = "example") -> None:
        self.now = now
        self.lock = threading.RLock()
        self.base_url = "http://127.0.0.1"
        self.app_url: str | None = None
        """Where the app takes interactions; with it the page's buttons can be pressed."""
        self.nonce = secrets.token_urlsafe(24)
        """What a form of the page must bring: another page can't know it."""
        self.rates = Rates(now)
        self.faults = Faults(now)
        self.triggers = Triggers(now)
        self.response_urls = ResponseUrls(now)
        self.sockets = Sockets(self.secret)
        self.calls: deque[Called] = deque(maxlen=REMEMBERED)
        self.teams: dict[str, Workspace] = {}
        self.tokens: dict[str, Token] = {}
        self._ids = Ids()
        self.team = self.add_team(name, domain)
        self.app = self.install(self.team).app

    def add_team(self, name: str, domain: str) -> Workspace:
        """Add a further workspace."""
        team = Workspace(self._ids("T"), name, domain, self.now, self._ids)
        self.teams[team.id] = team
        return team

    def install(
        self, team: Workspace, bot_token: str = BOT_TOKEN, app_token: str = APP_TOKEN, name: str = "Remediator"
    ) -> Token:
        """Install an app in a workspace with every scope; returns its bot token."""
        bot = team.add_user(name.lower(), real_name=name, is_bot=True)
        app = App(self._ids("A"), name, self._ids("B"), bot.id, SIGNING_SECRET)
        self.tokens[app_token] = Token(app_token, "app", team.id, app, APP_SCOPES)
        self.tokens[bot_token] = Token(bot_token, "bot", team.id, app, BOT_SCOPES)
        return self.tokens[bot_token]

    def allow(self, *scopes: str, token: str = BOT_TOKEN) -> None:
        """Let a token have only these scopes."""
        with self.lock:
            self.tokens[token] = replace(self.tokens[token], scopes=frozenset(scopes))

    def channel(self, name: str, *members: str, is_private: bool = False) -> Channel:
        """Create a channel of the first workspace with the bot and further members (ids) in it."""
        with self.lock:
            made = self.team.add_channel(name, self.app.bot_user, is_private=is_private)
            made.members += members
            return made

    def say(self, channel: Channel, user: str, text: str, thread_ts: str | None = None) -> Message:
        """Let a person write something."""
        with self.lock:
            return self.team.post(channel, user, text, thread_ts=thread_ts)

    def app_of(self, team: Workspace) -> App:
        """Return the app that is installed in a workspace."""
        return next(token.app for token in self.tokens.values() if token.team == team.id)

    def secret(self, seed: str) -> str:
        """Return something that looks random and is the same in every run."""
        return hashlib.sha256(seed.encode()).hexdigest()[:24]

    def messages(self, channel: Channel) -> list[Message]:
        """Return everything in a channel, oldest first, threads too."""
        with self.lock:
            return list(channel.messages.values())

    def told(self, user: str) -> list[str]:
        """Return what Slack's client and ephemeral messages told one person, in the first workspace."""
        with self.lock:
            seen = [message for one in self.team.channels.values() for message in one.ephemeral]
            private = [message.text for message in seen if message.only_for == user]
            return private + [notice.text for notice in self.team.notices if notice.user == user]

    def record(self, method: str, channel: str | None, answer: Json) -> None:
        """Take note of a call."""
        error = None if answer.get("ok") else answer.get("error")
        self.calls.append(Called(self.now(), method, channel, error))
