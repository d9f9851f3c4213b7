"""Who is in the Slack user groups that people.yaml names: `receiver.ports.UserGroups`, asked for beforehand.

A group that Slack doesn't list is not known, and people.yaml's own members of it count.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final

import structlog

from receiver.chat.slack.api import Api, SlackRefused
from receiver.people import People, SlackGroup
from receiver.ports import ChatError, Clock

EVERY: Final = 300.0
"""Seconds between two looks at who is in a group."""

STALE: Final = 3600.0
"""Seconds for which the last answer counts while Slack can't be asked."""

WHY: Final = {
    "plan_upgrade_required": "user groups need a paid plan of Slack",
    "missing_scope": "the app lacks the scope usergroups:read",
    "no_such_subteam": "there is no such group",
    "subteam_not_found": "there is no such group",
}

_log = structlog.stdlib.get_logger(__name__)


class Groups:
    """Keeps who is in the groups.

    Args:
        api: Slack.
        clock: for when to ask again.
        people: returns today's people, who name the groups.
    """

    def __init__(self, api: Api, clock: Clock, people: Callable[[], People]) -> None:
        self._api = api
        self._clock = clock
        self._people = people
        self._known: dict[SlackGroup, tuple[float, frozenset[str]]] = {}

    def members(self, team: str, group: str) -> Collection[str] | None:
        """Return the ids of a group's users as Slack last told them; None when that isn't known, or an hour old."""
        at, users = self._known.get(SlackGroup(team, group), (0.0, None))
        return users if users is not None and self._clock.monotonic() - at <= STALE else None

    async def run(self) -> None:
        """Ask again and again until cancelled."""
        while True:
            await self.step()
            await self._clock.sleep(EVERY)

    async def step(self) -> None:
        """Ask once for each group of the token's workspace."""
        wanted = {one.slack for one in self._people().groups.values() if one.slack is not None}
        self._known = {group: known for group, known in self._known.items() if group in wanted}
        if not wanted:
            return
        try:
            own = (await self._api.call("auth.test")).get("team_id")
            for group in sorted(wanted):
                if group.team == own:
                    await self._ask(group)
        except (ChatError, SlackRefused) as error:
            _log.warning("slack.groups_not_listed", error=str(error))

    async def _ask(self, group: SlackGroup) -> None:
        try:
            users = (await self._api.call("usergroups.users.list", usergroup=group.group)).get("users")
        except SlackRefused as error:
            if error.code not in WHY:
                raise
            why = f"{WHY[error.code]}; people.yaml's members of it count"
            _log.warning("slack.group_not_listed", group=group.group, reason=why)
            self._known.pop(group, None)
            return
        if isinstance(users, list):
            members = frozenset(one for one in users if isinstance(one, str))
            self._known[group] = (self._clock.monotonic(), members)
