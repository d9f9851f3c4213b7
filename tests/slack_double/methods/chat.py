"""chat.*: posting, changing, deleting, and what only one person sees."""

import json
from typing import Any, Final

from tests.slack_double.blockkit import check_blocks
from tests.slack_double.errors import SlackError
from tests.slack_double.rates import SPECIAL
from tests.slack_double.registry import Call, answer, method
from tests.slack_double.shapes import message_json
from tests.slack_double.state import Channel, Json, Message

LONGEST_TEXT: Final = 40_000
"""Characters; chat.postMessage cuts what is longer (documented). Uncertain: Slack may also split long texts in several
messages; the double keeps one."""

LONGEST_UPDATE: Final = 4_000
"""Bytes of an update's text after `&`, `<` and `>` are escaped (the reference says characters; GitLab found bytes)."""

LARGEST_METADATA: Final = 8_000
"""Bytes of JSON. Uncertain: the reference names the error `metadata_too_large` but no number."""

MANY_ATTACHMENTS: Final = 100

SHOWN_WITHOUT_TEXT: Final = "This content can't be displayed."
"""What Slack puts as the text of blocks without one."""


SHOWN_AFTER_AN_UPDATE: Final = frozenset(
    {"type", "user", "text", "team", "bot_id", "app_id", "bot_profile", "blocks", "attachments", "edited", "metadata"}
)
"""What a message is in the recorded answers of chat.update: its ts and its thread are not in it."""


@method("chat.postMessage", SPECIAL, "chat:write")
def post_message(call: Call) -> Json:
    """Post; there is no idempotency key, so sending twice posts twice."""
    channel = call.channel(by_name=True)
    _may_post(call, channel)
    content = _content(call)
    if not content:
        raise SlackError("no_text")
    thread_ts = call.team.thread_of(channel, call.arguments.text("thread_ts"))
    message = call.team.post(
        channel,
        call.me,
        content.pop("text", SHOWN_WITHOUT_TEXT)[:LONGEST_TEXT],
        bot_id=call.app.bot_id,
        thread_ts=thread_ts,
        broadcast=thread_ts is not None and call.arguments.flag("reply_broadcast"),
        metadata=_metadata(call) or None,
        **content,
    )
    shown = message_json(call.team, call.app, message, metadata=True)
    return answer(channel=channel.id, ts=message.ts, message=shown)


@method("chat.update", 3, "chat:write")
def update(call: Call) -> Json:
    """Change a message of one's own: text without blocks removes the blocks; metadata stays unless it is given."""
    channel = call.channel()
    message = call.team.message(channel, call.arguments.required("ts"))
    if message.user != call.me:
        raise SlackError("cant_update_message")
    if channel.archived:
        raise SlackError("is_inactive")
    content = _content(call)
    if len(_escaped(content.get("text", ""))) > LONGEST_UPDATE:
        raise SlackError("msg_too_long")
    if call.arguments.flag("reply_broadcast"):
        _broadcast(message, content)
    elif not content:
        raise SlackError("no_text")
    metadata = _metadata(call)
    _change(call, message, content)
    if metadata is not None:
        message.metadata = metadata or None
    whole = message_json(call.team, call.app, message, metadata=True)
    shown = {name: part for name, part in whole.items() if name in SHOWN_AFTER_AN_UPDATE}
    return answer(channel=channel.id, ts=message.ts, text=message.text, message=shown)


def _broadcast(message: Message, content: Json) -> None:
    if content:
        raise SlackError("no_dual_broadcast_content_update")
    if not message.is_reply:
        raise SlackError("cant_broadcast_message")
    message.broadcast = True


def _change(call: Call, message: Message, content: Json) -> None:
    if "text" in content:
        message.text = content["text"]
        message.blocks, message.attachments = [], content.get("attachments", message.attachments)
    if "blocks" in content:
        message.blocks = call.team.with_ids(content["blocks"])
    if "attachments" in content:
        message.attachments = content["attachments"]
    if "text" in content and "blocks" not in content:
        message.edited = {"user": call.me, "ts": call.team.event_ts()}


@method("chat.delete", 3, "chat:write")
def delete(call: Call) -> Json:
    """Delete a message of one's own."""
    channel = call.channel()
    message = call.team.message(channel, call.arguments.required("ts"))
    if message.user != call.me:
        raise SlackError("cant_delete_message")
    call.team.delete(channel, message)
    return answer(channel=channel.id, ts=message.ts)


@method("chat.postEphemeral", 4, "chat:write")
def post_ephemeral(call: Call) -> Json:
    """Show something to one member of a channel; it can't be read back, and updates don't find it."""
    channel = call.channel()
    _may_post(call, channel)
    reader = call.arguments.required("user")
    if reader not in channel.members:
        raise SlackError("user_not_in_channel")
    content = _content(call)
    if not content:
        raise SlackError("no_text")
    if len(_escaped(content.get("text", ""))) > LONGEST_UPDATE:
        raise SlackError("msg_too_long")
    message = call.team.post(
        channel,
        call.me,
        content.pop("text", SHOWN_WITHOUT_TEXT),
        bot_id=call.app.bot_id,
        only_for=reader,
        thread_ts=call.team.thread_of(channel, call.arguments.text("thread_ts")),
        **content,
    )
    return answer(message_ts=message.ts)


@method("chat.getPermalink", SPECIAL)
def get_permalink(call: Call) -> Json:
    """Return a link to a message; here it leads to the double's own page."""
    channel = call.channel()
    message = call.team.message(channel, call.arguments.required("message_ts"))
    link = f"{call.double.base_url}/archives/{channel.id}/p{message.ts.replace('.', '')}"
    if message.is_reply:
        link += f"?thread_ts={message.thread_ts}&cid={channel.id}"
    return answer(permalink=link, channel=channel.id)


def _may_post(call: Call, channel: Channel) -> None:
    if channel.archived:
        raise SlackError("is_archived")
    if call.me not in channel.members and (channel.is_private or "chat:write.public" not in call.token.scopes):
        raise SlackError("not_in_channel")


def _content(call: Call) -> Json:
    """Return what is to be shown, of text, blocks and attachments; what is empty counts as not given."""
    given: dict[str, Any] = {}
    text = call.arguments.text("text")
    if text is not None:
        given["text"] = text
    if call.arguments.given("blocks"):
        blocks = check_blocks(call.arguments.structure("blocks", "invalid_blocks_format"))
        given |= {"blocks": blocks} if blocks else {}
    if call.arguments.given("attachments"):
        given["attachments"] = check_attachments(call.arguments.structure("attachments", "invalid_attachments"))
    return given


def check_attachments(given: Any) -> list[Json]:
    """Return attachments, or refuse them: the coloured bar with a text or with blocks in it."""
    if not isinstance(given, list) or not all(isinstance(one, dict) for one in given):
        raise SlackError("invalid_attachments")
    if len(given) > MANY_ATTACHMENTS:
        raise SlackError("too_many_attachments")
    for index, one in enumerate(given):
        if "blocks" in one:
            check_blocks(one["blocks"], f"/attachments/{index}/blocks", "invalid_attachments")
    return [{"id": index, **one} for index, one in enumerate(given, start=1)]


def _metadata(call: Call) -> Json | None:
    """Return the metadata: None where none was given, an empty object to take it away."""
    if not call.arguments.given("metadata"):
        return None
    given = call.arguments.structure("metadata", "invalid_metadata_format")
    if not isinstance(given, dict):
        raise SlackError("invalid_metadata_format")
    if given and (not isinstance(given.get("event_type"), str) or not isinstance(given.get("event_payload"), dict)):
        raise SlackError("invalid_metadata_schema")
    if len(json.dumps(given)) > LARGEST_METADATA:
        raise SlackError("metadata_too_large")
    return given


def _escaped(text: str) -> bytes:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").encode()
