"""conversations.history and conversations.replies: reading messages back, with their metadata where asked for."""

from collections.abc import Sequence

from tests.slack_double.errors import SlackError
from tests.slack_double.registry import Call, answer, method, page
from tests.slack_double.shapes import message_json
from tests.slack_double.state import Channel, Json, Message
from tests.slack_double.workspace import TS


@method("conversations.history", 3, "channels:history", "groups:history")
def history(call: Call) -> Json:
    """Return a channel's messages, newest first: parents and broadcast replies, no other replies."""
    channel = _readable(call)
    found = list(reversed(_between(call, channel.top_level())))
    messages, cursor = page(call, found, 100, 999)
    return answer(
        messages=[_shown(call, message) for message in messages],
        has_more=bool(cursor),
        pin_count=len(channel.pins),
        channel_actions_ts=None,
        channel_actions_count=0,
        response_metadata={"next_cursor": cursor},
    )


@method("conversations.replies", 3, "channels:history", "groups:history")
def replies(call: Call) -> Json:
    """Return a thread, its parent first; of a reply's ts, uncertain: only that message."""
    channel = _readable(call)
    root = channel.messages.get(call.arguments.required("ts"))
    if root is None:
        raise SlackError("thread_not_found")
    thread = [] if root.is_reply else _between(call, channel.replies(root.ts))
    messages, cursor = page(call, [root, *thread], 1000, 1000)
    parts = {"messages": [_shown(call, message) for message in messages], "has_more": bool(cursor)}
    return answer(**parts, **({"response_metadata": {"next_cursor": cursor}} if cursor else {}))


def _readable(call: Call) -> Channel:
    channel = call.channel()
    call.need_for(channel, "history")
    call.member_of(channel)
    return channel


def _shown(call: Call, message: Message) -> Json:
    metadata = call.arguments.flag("include_all_metadata")
    return message_json(call.team, call.app, message, metadata=metadata)


def _between(call: Call, messages: Sequence[Message]) -> list[Message]:
    """Return the messages after `oldest` and before `latest`, with those themselves if `inclusive`."""
    oldest, latest = _limit(call, "oldest"), _limit(call, "latest")
    inclusive = call.arguments.flag("inclusive")
    found = []
    for message in messages:
        at = float(message.ts)
        after = oldest is None or at > oldest or (inclusive and at == oldest)
        before = latest is None or at < latest or (inclusive and at == latest)
        if after and before:
            found.append(message)
    return found


def _limit(call: Call, name: str) -> float | None:
    given = call.arguments.text(name)
    if given is None:
        return None
    if not TS.fullmatch(given) and not given.replace(".", "", 1).isdecimal():
        raise SlackError(f"invalid_ts_{name}")
    return float(given)
