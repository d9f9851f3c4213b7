"""Inviting people to a channel: users by their ids, and the members of user groups."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import structlog

from receiver.chat.slack.api import Api, SlackRefused

NOBODYS_CONCERN: Final = frozenset({"already_in_channel", "cant_invite_self", "user_not_found", "no_user"})
"""Why somebody can't be invited of which nobody need hear: they are there, or gone."""

Say = Callable[[str, SlackRefused, str], None]

_log = structlog.stdlib.get_logger(__name__)


class Inviting:
    """Invites.

    Args:
        api: Slack.
        say: says what Slack refuses (what was done, the refusal, what follows), once.
    """

    def __init__(self, api: Api, say: Say) -> None:
        self._api = api
        self._say = say

    async def named(self, called: Sequence[str]) -> list[str]:
        """Return the users among ids, and the members of the user groups among them. Raises ChatError."""
        users: dict[str, None] = {}
        for one in called:
            if not one.startswith("S"):
                users[one] = None
                continue
            try:
                answer = await self._api.call("usergroups.users.list", usergroup=one)
            except SlackRefused as error:
                self._say("invite", error, "the group's members are not invited; name users")
                continue
            users |= dict.fromkeys(str(user) for user in answer.get("users", ()))
        return list(users)

    async def invite(self, channel: str, users: Sequence[str]) -> None:
        """Invite whoever can be; one who can't keeps nobody else out. Raises ChatError or SlackRefused."""
        left = list(users)
        # The first refusal names all who can't be invited.
        for _ in range(2):
            if not left:
                return
            try:
                await self._api.call("conversations.invite", channel=channel, users=",".join(left))
                return
            except SlackRefused as error:
                named = {str(one.get("user")): str(one.get("error")) for one in error.answer.get("errors") or ()}
                if not named and error.code not in NOBODYS_CONCERN:
                    raise
                for user, why in named.items():
                    if why not in NOBODYS_CONCERN:
                        _log.warning("slack.not_invited", channel=channel, user=user, reason=why)
                left = [one for one in left if one not in named] if named else []
