"""`receiver.ports.Chat` in Slack: posts, edits, and finds again what was posted.

Slack knows no idempotency key, so each message carries our keys as metadata. It can be read by everybody in the
workspace: it holds names of incidents and events, nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import structlog

from receiver.chat.slack import blocks
from receiver.chat.slack.api import Api, SlackRefused
from receiver.chat.slack.blocks import Look, Message
from receiver.chat.slack.text import safe
from receiver.core.redaction import hide
from receiver.ports import ChatError, Clock

T = TypeVar("T")

EVENT_TYPE: Final = "remediator"

PAGES: Final = 5
"""Pages of 200 messages that are read back at most."""

SKEW: Final = 300.0
"""Seconds by which Slack's clock and ours may differ."""

BAD_CONTENT: Final = frozenset(
    {
        "invalid_blocks", "invalid_blocks_format", "msg_blocks_too_long", "msg_too_long", "no_text",
        "invalid_metadata_format", "invalid_metadata_schema", "metadata_too_large", "invalid_arguments",
        "invalid_arg_name", "invalid_charset",
    }
)  # fmt: skip
"""What is wrong with the message itself: sent once as plain text, then given up."""

GONE: Final = frozenset({"message_not_found", "cant_update_message", "edit_window_closed", "thread_not_found"})
"""The message that was meant is no longer there, or no longer ours to edit."""

_log = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Posted:
    """A message that Slack took: where it is, and whether it is in the thread that was meant."""

    reference: str
    in_thread: bool


class SlackChat:
    """Tells incidents in Slack.

    Args:
        api: Slack.
        clock: for what is told late.
        channel: the id of the channel where most is told.
        channels: by severity, where it is another one. An incident stays where its header was posted.
        look: what messages share.
        redact: takes credentials out of a text; every text passes it last.
    """

    def __init__(
        self,
        api: Api,
        clock: Clock,
        channel: str,
        channels: Mapping[str, str],
        look: Look | None = None,
        redact: Callable[[str], str] = hide,
    ) -> None:
        self._api = self.api = api
        self._clock = clock
        self._channel = channel
        self._channels = channels
        self._redact = redact
        self.look = look or Look()

    def channel_of(self, severity: str, reference: str | None) -> str:
        """Return the channel of an incident: its header's, else its severity's."""
        return reference.partition("/")[0] if reference else self._channels.get(severity, self._channel)

    # --- receiver.ports.Chat ----------------------------------------------------------------------------------------

    async def header(self, incident: str, payload: Mapping[str, Any], reference: str | None) -> str:
        """Post the header, or edit it; one that is gone is posted anew. Raises ChatError or SlackRefused."""
        message = blocks.header(incident, payload, self.look)
        if reference is not None:
            if await self.edit(message, reference):
                return reference
            _log.warning("slack.header_gone", incident=incident, reference=reference)
        channel = self.channel_of(str(payload.get("severity", "")), reference)
        return (await self.post(incident, message, channel, None, ["header"])).reference

    async def thread(self, incident: str, payload: Mapping[str, Any], reference: str | None, key: str) -> str:
        """Append one entry to the thread."""
        message = blocks.entries([payload], self._clock.now(), self.look)
        channel = self.channel_of(str(payload.get("severity", "")), reference)
        posted = await self.post(incident, message, channel, reference, [key], broadcast=blocks.broadcasts(payload))
        return posted.reference

    async def find(self, incident: str, key: str, reference: str | None) -> str | None:
        """Return where a message with that key is, None when it isn't there."""
        if reference is None:
            return await self.find_header(incident, self._channel, 0.0)
        return (await self.told(incident, reference, 0.0)).get(_short(incident, key))

    # --- what the lane asks -----------------------------------------------------------------------------------------

    async def post(
        self,
        incident: str,
        message: Message,
        channel: str,
        reference: str | None,
        keys: Sequence[str],
        *,
        broadcast: bool = False,
    ) -> Posted:
        """Post a message in a channel, or in the thread that `reference` names; `keys` can be found again."""
        thread_ts = reference.partition("/")[2] if reference else None
        arguments = {
            "channel": channel,
            "thread_ts": thread_ts,
            "reply_broadcast": True if broadcast and thread_ts else None,
            "metadata": {
                "event_type": EVENT_TYPE,
                "event_payload": {"incident": incident, "keys": [_short(incident, key) for key in keys]},
            },
        }
        answer = await self._content("chat.postMessage", message, arguments)
        ts, where = answer.get("ts"), answer.get("channel")
        if not isinstance(ts, str) or not isinstance(where, str):
            raise ChatError("Slack's answer doesn't say where the message is", retry_after=0.0, unknown=True)
        parent = (answer.get("message") or {}).get("thread_ts")
        return Posted(f"{where}/{ts}", thread_ts is None or parent == thread_ts)

    async def edit(self, message: Message, reference: str) -> bool:
        """Replace a message; False when it is gone."""
        channel, _, ts = reference.partition("/")
        try:
            await self._content("chat.update", message, {"channel": channel, "ts": ts})
        except SlackRefused as error:
            if error.code in GONE:
                return False
            raise
        return True

    async def _content(self, method: str, message: Message, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Send a message, once more as plain text when Slack doesn't take its blocks.

        Raises:
            ChatError: without `retry_after` when Slack doesn't take the text either.
            SlackRefused: for any other reason than the content.
        """
        given = {
            **arguments, "text": self._redact(message.text), "parse": "none", "link_names": False,
            "unfurl_links": False, "unfurl_media": False,
        }  # fmt: skip
        try:
            return await self._api.call(method, **given, blocks=self._redacted(message.named_blocks()))
        except SlackRefused as error:
            if error.code not in BAD_CONTENT:
                raise
            _log.error("slack.blocks_refused", method=method, error=str(error))
        try:
            # An edit with text and without blocks takes the old blocks away, as it must.
            return await self._api.call(method, **given)
        except SlackRefused as error:
            if error.code not in BAD_CONTENT:
                raise
            raise ChatError(f"not even as plain text: {error}") from error

    def _redacted(self, value: Any) -> Any:
        """Return blocks with the credentials of each text taken out."""
        if isinstance(value, dict):
            return {
                name: self._redact(inner) if name == "text" and isinstance(inner, str) else self._redacted(inner)
                for name, inner in value.items()
            }
        return [self._redacted(inner) for inner in value] if isinstance(value, list) else value

    def safe(self, value: T) -> T:
        """Return what is to be rendered without the credentials in its texts."""
        return safe(value, self._redact)

    async def told(self, incident: str, reference: str, since: float) -> dict[str, str]:
        """Return where each of our keys is in a thread, from a time on."""
        channel, _, ts = reference.partition("/")
        found: dict[str, str] = {}
        try:
            async for message in self._pages("conversations.replies", channel, since, ts=ts):
                payload = _ours(message, incident)
                for key in payload.get("keys", ()) if payload else ():
                    found[str(key)] = f"{channel}/{message['ts']}"
        except SlackRefused as error:
            if error.code not in GONE:
                raise
        return found

    async def find_header(self, incident: str, channel: str, since: float, *, key: str = "header") -> str | None:
        """Return where an incident's header is in a channel, or its message of another key; None: nowhere."""
        async for message in self._pages("conversations.history", channel, since):
            payload = _ours(message, incident)
            if payload is not None and key in payload.get("keys", ()):
                return f"{channel}/{message['ts']}"
        return None

    async def _pages(self, method: str, channel: str, since: float, **more: str) -> Any:
        cursor: str | None = None
        oldest = f"{max(0.0, since - SKEW):.6f}"
        for _ in range(PAGES):
            answer = await self._api.call(
                method, channel=channel, include_all_metadata=True, limit="200", oldest=oldest, cursor=cursor, **more
            )
            for message in answer.get("messages", ()):
                yield message
            cursor = (answer.get("response_metadata") or {}).get("next_cursor") or None
            if cursor is None:
                return


def _short(incident: str, key: str) -> str:
    return key.removeprefix(f"{incident}/")


def _ours(message: Mapping[str, Any], incident: str) -> Mapping[str, Any] | None:
    """Return the metadata that we gave a message about an incident."""
    metadata = message.get("metadata") or {}
    payload = metadata.get("event_payload") or {}
    return payload if metadata.get("event_type") == EVENT_TYPE and payload.get("incident") == incident else None
