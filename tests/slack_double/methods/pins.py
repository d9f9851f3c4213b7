"""pins.* and bookmarks.add."""

from typing import Final

from tests.slack_double.errors import SlackError, explained
from tests.slack_double.registry import Call, answer, method
from tests.slack_double.shapes import message_json
from tests.slack_double.state import Channel, Json, Message, Pin
from tests.slack_double.workspace import TS

MOST: Final = 100
"""Pins, and bookmarks, of a channel."""


@method("pins.add", 2, "pins:write")
def add(call: Call) -> Json:
    """Pin a message."""
    channel, message = _item(call)
    if any(pin.ts == message.ts for pin in channel.pins):
        raise SlackError("already_pinned")
    if len(channel.pins) >= MOST:
        raise SlackError("too_many_pins")
    channel.pins.append(Pin(message.ts, int(call.team.now()), call.me))
    return answer()


@method("pins.remove", 2, "pins:write")
def remove(call: Call) -> Json:
    """Take a pin away."""
    channel, message = _item(call)
    kept = [pin for pin in channel.pins if pin.ts != message.ts]
    if len(kept) == len(channel.pins):
        raise SlackError("no_pin")
    channel.pins = kept
    return answer()


@method("pins.list", 2, "pins:read")
def list_pins(call: Call) -> Json:
    """Return what is pinned."""
    channel = call.channel()
    items = [
        {
            "type": "message",
            "channel": channel.id,
            "created": pin.created,
            "created_by": pin.created_by,
            "message": message_json(call.team, call.app, channel.messages[pin.ts]),
        }
        for pin in channel.pins
    ]
    return answer(items=items)


def _item(call: Call) -> tuple[Channel, Message]:
    channel = call.channel()
    call.member_of(channel)
    ts = call.arguments.text("timestamp")
    if ts is None:
        raise SlackError("no_item_specified")
    if not TS.fullmatch(ts):
        raise SlackError("bad_timestamp")
    return channel, call.team.message(channel, ts)


@method("bookmarks.add", 2, "bookmarks:write")
def add_bookmark(call: Call) -> Json:
    """Put a link under a channel's name."""
    channel = call.channel("channel_id")
    call.member_of(channel)
    title = call.arguments.required("title")
    kind = call.arguments.required("type")
    link = call.arguments.text("link") or ""
    if kind != "link":
        raise explained("invalid_arguments", ["must be a valid enum value [json-pointer:/type]"])
    if not link.startswith(("http://", "https://")):
        raise SlackError("invalid_link")
    if len(channel.bookmarks) >= MOST:
        raise SlackError("too_many_bookmarks")
    now = int(call.team.now())
    bookmark = {
        "id": call.team.ids("Bk"),
        "channel_id": channel.id,
        "title": title,
        "link": link,
        "emoji": call.arguments.text("emoji") or "",
        "icon_url": "",
        "type": kind,
        "entity_id": None,
        "date_created": now,
        "date_updated": 0,
        "rank": "i",
        "last_updated_by_user_id": call.me,
        "last_updated_by_team_id": call.team.id,
        "shortcut_id": None,
        "app_id": None,
    }
    channel.bookmarks.append(bookmark)
    return answer(bookmark=bookmark)
