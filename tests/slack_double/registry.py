"""The table of Web API methods: name, tier, scopes, and the function that answers."""

import base64
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tests.slack_double.arguments import Arguments
from tests.slack_double.double import SlackDouble
from tests.slack_double.errors import SlackError
from tests.slack_double.state import App, Channel, Json, Token
from tests.slack_double.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Call:
    """One call, after its token was found good."""

    double: SlackDouble
    team: Workspace
    token: Token
    arguments: Arguments

    @property
    def app(self) -> App:
        """Whose token it is."""
        return self.token.app

    @property
    def me(self) -> str:
        """The bot's user id."""
        return self.token.app.bot_user

    def channel(self, name: str = "channel", *, by_name: bool = False) -> Channel:
        """Return the channel that an argument names."""
        return self.team.channel(self.arguments.required(name), self.me, by_name=by_name)

    def need(self, *scopes: str) -> None:
        """Refuse a token without any of the scopes.

        Uncertain: for what depends on a channel's kind, Slack may list the scopes of every kind as `needed`.
        """
        if scopes and not self.token.scopes & set(scopes):
            provided = ",".join(sorted(self.token.scopes))
            raise SlackError("missing_scope", needed=",".join(scopes), provided=provided)

    def need_for(self, channel: Channel, right: str) -> None:
        """Refuse a token without a scope such as `channels:history`, by the channel's kind."""
        self.need(f"{channel.kind}:{right}")

    def member_of(self, channel: Channel) -> None:
        """Refuse when the bot isn't in the channel."""
        if self.me not in channel.members:
            raise SlackError("not_in_channel")


Handler = Callable[[Call], Json]


@dataclass(frozen=True, slots=True)
class Method:
    """A method's entry: `scopes` are alternatives, `kind` is the token that it takes."""

    name: str
    handler: Handler
    tier: int
    scopes: tuple[str, ...]
    kind: str


METHODS: Final[dict[str, Method]] = {}


def method(name: str, tier: int, *scopes: str, kind: str = "bot") -> Callable[[Handler], Handler]:
    """Enter a function as a method."""

    def enter(handler: Handler) -> Handler:
        METHODS[name] = Method(name, handler, tier, scopes, kind)
        return handler

    return enter


def page(call: Call, found: Sequence[Any], default: int = 100, maximum: int = 1000) -> tuple[list[Any], str]:
    """Return one page of a list and the cursor of the next, empty at the end."""
    limit = call.arguments.number("limit", default, maximum)
    start = _start(call.arguments.text("cursor"))
    following = start + limit
    cursor = base64.b64encode(f"next:{following}".encode()).decode() if following < len(found) else ""
    return list(found[start:following]), cursor


def _start(cursor: str | None) -> int:
    if cursor is None:
        return 0
    try:
        word, _, number = base64.b64decode(cursor, validate=True).decode().partition(":")
    except ValueError:
        raise SlackError("invalid_cursor") from None
    if word != "next" or not number.isdecimal():
        raise SlackError("invalid_cursor")
    return int(number)


def listed(call: Call, name: str) -> list[str]:
    """Return an argument that is a list in one text, separated by commas."""
    return [part.strip() for part in (call.arguments.text(name) or "").split(",") if part.strip()]


def answer(**parts: Any) -> Json:
    """Return a good answer."""
    return {"ok": True, **parts}


def scopes_of(methods: Iterable[Method]) -> frozenset[str]:
    """Return every scope that any of the methods knows."""
    return frozenset(scope for one in methods for scope in one.scopes)
