"""What an interaction hands out for a short time: trigger ids and response URLs."""

import re
from dataclasses import dataclass, field
from typing import Final

from tests.slack_double.errors import SlackError, explained
from tests.slack_double.state import Message
from tests.slack_double.timing import TimeSource

TRIGGER_LIFE: Final = 3.0
"""Seconds that a trigger id works."""

RESPONSES: Final = 5
RESPONSE_LIFE: Final = 1800.0
"""Uses and seconds of a response URL."""

FORM: Final = re.compile(r"\d+\.\d+\.[0-9a-z]+")


@dataclass(slots=True)
class _Trigger:
    team: str
    user: str
    app: str
    issued: float
    used: bool = False


class Triggers:
    """Trigger ids: each opens one modal, for the person who acted, within three seconds.

    Uncertain: whether a call that is refused for its view uses the id up; here it doesn't.

    Args:
        now: the time.
    """

    def __init__(self, now: TimeSource) -> None:
        self._now = now
        self._issued: dict[str, _Trigger] = {}

    def issue(self, team: str, user: str, app: str, secret: str) -> str:
        """Return a new id."""
        number = len(self._issued) + 1
        trigger = f"{10_000_000 + number}.{number}.{secret}"
        self._issued[trigger] = _Trigger(team, user, app, self._now())
        return trigger

    def redeem(self, trigger: str, team: str, app: str) -> str:
        """Use an id up and return whose it is; refuse an unknown, used or old one.

        A malformed id is `invalid_arguments` (recorded), another app's or an unknown one `invalid_trigger_id`.
        """
        if not FORM.fullmatch(trigger):
            raise explained("invalid_arguments", ["invalid `trigger_id` [json-pointer:/trigger_id]"])
        found = self._issued.get(trigger)
        if found is None or (found.team, found.app) != (team, app):
            raise SlackError("invalid_trigger_id")
        if found.used:
            raise SlackError("exchanged_trigger_id")
        if self._now() - found.issued > TRIGGER_LIFE:
            raise SlackError("expired_trigger_id")
        found.used = True
        return found.user


@dataclass(slots=True)
class ResponseUrl:
    """Where an app may answer an interaction, without a token."""

    team: str
    channel: str
    user: str
    issued: float
    message: Message | None = None
    uses: int = 0


@dataclass(slots=True)
class ResponseUrls:
    """Response URLs by their path; each works five times in thirty minutes.

    Args:
        now: the time.
    """

    now: TimeSource
    issued: dict[str, ResponseUrl] = field(default_factory=dict)

    def issue(self, kind: str, one: ResponseUrl, secret: str) -> str:
        """Return the path of a new URL; `kind` is `actions` or `commands`."""
        path = f"/{kind}/{one.team}/{len(self.issued) + 1}/{secret}"
        self.issued[path] = one
        return path

    def use(self, path: str) -> ResponseUrl:
        """Count a use and return the URL; refuse an unknown, used-up or old one.

        Uncertain: the codes `expired_url` and `used_url` are what people report; they come with HTTP 404 here.
        """
        found = self.issued.get(path)
        if found is None or self.now() - found.issued > RESPONSE_LIFE:
            raise SlackError("expired_url")
        if found.uses >= RESPONSES:
            raise SlackError("used_url")
        found.uses += 1
        return found
