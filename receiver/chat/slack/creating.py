"""Creating an incident's own channel under a name that is free, or finding the one that we have created already."""

from __future__ import annotations

import re
from typing import Final

import structlog

from receiver.chat.slack.api import Api, SlackRefused

NAMES: Final = 4
"""Names that are tried for one room."""

PAGES: Final = 5
"""Pages of a thousand channels that are looked through at most."""

_log = structlog.stdlib.get_logger(__name__)


class Creating:
    """Creates channels.

    Args:
        api: Slack.
    """

    def __init__(self, api: Api) -> None:
        self._api = api
        self._me: tuple[str, str] | None = None

    async def create(self, name: str) -> str | None:
        """Return the id of a channel of that name that is ours, or of a new one; None when all names are others'.

        Raises:
            ChatError, SlackRefused: Slack doesn't answer, or says no.
        """
        for number in range(1, NAMES + 1):
            tried = name if number == 1 else f"{name[:77]}-{number}"
            try:
                answer = await self._api.call("conversations.create", name=tried, is_private=False)
            except SlackRefused as error:
                if error.code != "name_taken":
                    raise
                if (found := await self._ours(tried)) is not None:
                    return found
                continue
            return str((answer.get("channel") or {})["id"])
        _log.warning("slack.no_room", name=name, reason="the name is taken; told in the main channel")
        return None

    async def _ours(self, name: str) -> str | None:
        """Return the channel of that name if we created it and it is open: the answer that told us so was lost."""
        _, me = await self.who()
        cursor: str | None = None
        for _ in range(PAGES):
            answer = await self._api.call(
                "conversations.list", types="public_channel", exclude_archived=True, limit="1000", cursor=cursor
            )
            for one in answer.get("channels", ()):
                if one.get("name") == name:
                    return str(one["id"]) if one.get("creator") == me else None
            cursor = (answer.get("response_metadata") or {}).get("next_cursor") or None
            if cursor is None:
                break
        return None

    async def who(self) -> tuple[str, str]:
        """Return our team and our user there."""
        if self._me is None:
            answer = await self._api.call("auth.test")
            self._me = (str(answer.get("team_id", "")), str(answer.get("user_id", "")))
        return self._me


_NOT_IN_NAMES = re.compile(r"[^a-z0-9_-]+", re.ASCII)


def room_name(incident: str, target: str) -> str:
    """Return a name that Slack takes: `inc-k3f9x2qd-smartresume-api`."""
    parts = ("inc", incident.removeprefix("i-"), target)
    name = "-".join(_NOT_IN_NAMES.sub("-", part.lower()).strip("-") for part in parts)
    return name[:80].rstrip("-")
