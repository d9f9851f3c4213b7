"""Notices in Slack: plain messages of their own, for stakeholders, a worse severity's channel, and to call people."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any, Final

from receiver.chat.slack.api import ACCESS, PLACE, SlackRefused
from receiver.chat.slack.blocks import SEVERITIES, TEXT, Message, context, section
from receiver.chat.slack.budget import Budget
from receiver.chat.slack.chat import SlackChat
from receiver.chat.slack.text import escape, moment, said, zoned
from receiver.core.deadlines import late
from receiver.core.outbox import OutboxRow
from receiver.ports import ChatError, Clock, Store

LANE: Final = "slack"
"""The lane of the headers."""

REFUSAL: Final = 60.0
"""Seconds until what Slack refused for its settings' sake is tried again."""


class NoticeSender:
    """Sends the notices of one stakeholders' channel.

    Args:
        chat: Slack.
        clock: for the budget.
        budget: of everything that goes to Slack.
        channel: its id.
        severities: that it hears of; an incident that was one of them, or has become one.
    """

    def __init__(
        self, chat: SlackChat, clock: Clock, budget: Budget, channel: str, severities: Collection[str]
    ) -> None:
        self._chat = chat
        self._clock = clock
        self._budget = budget
        self._channel = channel
        self._severities = frozenset(severities)

    async def send(self, row: OutboxRow, attempts: int, *, again: bool) -> str | None:
        """Post a notice, unless it is there already or isn't for this channel. Raises ChatError."""
        if self._severities.isdisjoint({row.payload.get("severity"), row.payload.get("was")}):
            return None
        return await self.post(row, self._channel, again=again)

    async def post(self, row: OutboxRow, channel: str, *, mention: str = "", again: bool) -> str:
        """Post a notice in a channel, unless it is there already; returns its reference."""
        message = notice(row.incident, self._chat.safe(row.payload), mention)
        try:
            key = row.key.removeprefix(f"{row.incident}/")
            if again and (found := await self._chat.find_header(row.incident, channel, row.at, key=key)) is not None:
                return found
            now = self._clock.now()
            await self._clock.sleep(max(0.0, self._budget.post_at(channel, now) - now))
            self._budget.posted(channel, self._clock.now())
            return (await self._chat.post(row.incident, message, channel, None, [row.key])).reference
        except SlackRefused as error:
            # A missing scope or channel is for a person to mend; anything else stays as it is.
            passing = error.code in ACCESS or error.code in PLACE
            raise ChatError(str(error), retry_after=REFUSAL if passing else None) from error


class RaisedSender(NoticeSender):
    """Tells the channel of a worse severity that an incident is followed in another one."""

    def __init__(self, chat: SlackChat, clock: Clock, budget: Budget, store: Store) -> None:
        super().__init__(chat, clock, budget, "", ())
        self._store = store

    async def send(self, row: OutboxRow, attempts: int, *, again: bool) -> str | None:
        """Post a pointer, unless the incident is told in that channel anyway. Raises ChatError."""
        severity = str(row.payload.get("severity"))
        reference = await self._store.reference(LANE, row.incident)
        wanted = self._chat.channel_of(severity, None)
        if reference is None or reference.partition("/")[0] == wanted:
            return None
        followed = f"Followed in <#{reference.partition('/')[0]}>"
        mention = self._chat.look.mention(severity)
        return await self.post(row, wanted, mention=f"{followed} {mention}".rstrip(), again=again)


class CallSender(NoticeSender):
    """Calls people in a second channel: about what nobody answered, or what automation has given up."""

    def __init__(self, chat: SlackChat, clock: Clock, budget: Budget, channel: str, store: Store) -> None:
        super().__init__(chat, clock, budget, channel, ())
        self._store = store

    async def send(self, row: OutboxRow, attempts: int, *, again: bool) -> str | None:
        """Post a call with whom it calls and where the incident is followed, unless it is late and needless by now."""
        incident = await self._store.incident(row.incident)
        if incident is None or not incident.open:
            return None
        if (what := row.payload.get("what")) is not None:
            if what not in late(incident):
                return None
        elif incident.acknowledged_by is not None and row.payload.get("kind") != "escalated":
            return None
        severity = incident.severity.value
        reference = await self._store.reference(LANE, row.incident)
        followed = f"Followed in <#{reference.partition('/')[0]}>" if reference else ""
        text = f"{incident.target}, {incident.alert}: {row.payload.get('text', '')}"
        told = replace(row, payload={**row.payload, "severity": severity, "text": text})
        mention = f"{followed} {self._chat.look.mention(severity)}".strip()
        return await self.post(told, self._channel, mention=mention, again=again)


def notice(incident: str, payload: Mapping[str, Any], mention: str) -> Message:
    """Return a notice: one sentence or two, what it is about in small print; `mention` is in Slack's form already."""
    shape = SEVERITIES.get(str(payload.get("severity")), ("▫️", ""))[0]
    blocks = [section(f"{shape} {zoned(said(payload.get('text', '')), payload.get('at'))}")]
    if mention:
        blocks.append(section(mention))
    blocks.append(context(f"{escape(incident)} · {moment(payload.get('at'))}"))
    return Message(said(payload.get("text", ""), TEXT), blocks)
