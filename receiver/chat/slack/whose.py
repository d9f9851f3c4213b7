"""Which person a Slack user is. Both ids count, the workspace's and the user's; names never do. In doubt: nobody."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import structlog

from receiver.chat.slack.api import Api, SlackRefused
from receiver.people import People, Person
from receiver.ports import ChatError, Clock

REMEMBERED: Final = 1000
FRESH: Final = 600.0
"""Users whose address is remembered at most, and for how many seconds."""

PATIENCE: Final = 2.0
"""Seconds that Slack may take to tell an address."""

OUTSIDERS: Final = ("deleted", "is_bot", "is_stranger", "is_restricted", "is_ultra_restricted", "is_invited_user")
"""What a user of ours is not: guests and people of connected workspaces have addresses that others vouch for."""

_log = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class SlackUser:
    """Who acts in Slack: the ids of the workspace and of the user."""

    team: str
    user: str

    def __str__(self) -> str:
        return f"{self.team}/{self.user}"


class Whose:
    """Tells people by their Slack users.

    Args:
        people: returns today's people.
        clock: for how long an address is remembered.
        api: to ask for a user's address; None: only the ids in people.yaml count.
    """

    def __init__(self, people: Callable[[], People], clock: Clock, api: Api | None = None) -> None:
        self._people = people
        self._clock = clock
        self._api = api
        self._own_team: str | None = None
        self._addresses: OrderedDict[SlackUser, tuple[float, str]] = OrderedDict()

    @property
    def asks(self) -> bool:
        """Whether somebody who isn't known by their ids may be known by their address."""
        return self._api is not None

    def known(self, who: SlackUser) -> Person | None:
        """Return whose user it is by people.yaml alone."""
        return self._people().by_slack(who.team, who.user)

    async def person(self, who: SlackUser) -> Person | None:
        """Return whose user it is, None for nobody's; Slack is asked for the address when it may be."""
        found = self.known(who)
        if found is not None or self._api is None:
            return found
        try:
            async with asyncio.timeout(PATIENCE):
                address = await self._address(self._api, who)
        except (ChatError, SlackRefused, TimeoutError) as error:
            _log.warning("slack.address_not_told", user=str(who), error=str(error) or type(error).__name__)
            return None
        person = self._people().by_email(address) if address else None
        if person is not None and any(one.team == who.team for one in person.slack):
            # Their user in this workspace is written down, and is another one.
            return None
        return person

    async def _address(self, api: Api, who: SlackUser) -> str:
        """Return the address of a full member of the token's own workspace, empty for everybody else."""
        at, address = self._addresses.get(who, (-FRESH, ""))
        if self._clock.monotonic() - at < FRESH:
            return address
        if self._own_team is None:
            self._own_team = str((await api.call("auth.test")).get("team_id", ""))
        if who.team != self._own_team:
            return ""
        shown = (await api.call("users.info", user=who.user)).get("user")
        address = _member_address(shown, who) if isinstance(shown, Mapping) else ""
        self._addresses[who] = (self._clock.monotonic(), address)
        self._addresses.move_to_end(who)
        if len(self._addresses) > REMEMBERED:
            self._addresses.popitem(last=False)
        return address


def _member_address(shown: Mapping[str, Any], who: SlackUser) -> str:
    if (shown.get("team_id"), shown.get("id")) != (who.team, who.user) or any(shown.get(one) for one in OUTSIDERS):
        return ""
    if shown.get("is_email_confirmed") is False:
        return ""
    email = (shown.get("profile") or {}).get("email")
    return email if isinstance(email, str) else ""
