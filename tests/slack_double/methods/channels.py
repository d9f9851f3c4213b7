"""conversations.* but for reading messages: create, invite, join, archive, list, info and setTopic."""

from typing import Final

from tests.slack_double.errors import SlackError
from tests.slack_double.registry import Call, answer, listed, method, page
from tests.slack_double.shapes import channel_json
from tests.slack_double.state import Channel, Json

LONGEST_TOPIC: Final = 250
MOST_INVITED: Final = 100


@method("conversations.create", 2, "channels:manage", "groups:write")
def create(call: Call) -> Json:
    """Create a channel with the bot in it; a taken name is `name_taken`, also an archived channel's."""
    is_private = call.arguments.flag("is_private")
    call.need("groups:write" if is_private else "channels:manage")
    channel = call.team.add_channel(call.arguments.text("name") or "", call.me, is_private=is_private)
    return answer(channel=_shown(call, channel))


@method("conversations.invite", 3, "channels:manage", "channels:write.invites", "groups:write", "groups:write.invites")
def invite(call: Call) -> Json:
    """Invite people; one who can't be invited fails all, and `errors` names each."""
    channel = call.channel()
    call.need(*(("groups:write", "groups:write.invites") if channel.is_private else INVITING))
    _usable(call, channel)
    users = listed(call, "users")
    if not users:
        raise SlackError("no_user")
    if len(users) > MOST_INVITED:
        raise SlackError("too_many_users")
    problems = [(user, problem) for user in users if (problem := _uninvited(call, channel, user))]
    if problems:
        errors = [{"user": user, "ok": False, "error": problem} for user, problem in problems]
        raise SlackError(problems[0][1], errors=errors)
    channel.members += users
    return answer(channel=_shown(call, channel))


INVITING: Final = ("channels:manage", "channels:write.invites")


def _uninvited(call: Call, channel: Channel, user: str) -> str | None:
    if user == call.me:
        return "cant_invite_self"
    if user in channel.members:
        return "already_in_channel"
    known = call.team.users.get(user)
    return None if known is not None and not known.deleted else "user_not_found"


@method("conversations.join", 3, "channels:join")
def join(call: Call) -> Json:
    """Join a public channel; a private one can only be invited to."""
    channel = call.channel()
    if channel.is_private:
        raise SlackError("method_not_supported_for_channel_type")
    if channel.archived:
        raise SlackError("is_archived")
    if call.me in channel.members:
        extra = {"warning": "already_in_channel", "response_metadata": {"warnings": ["already_in_channel"]}}
        return answer(channel=_shown(call, channel), **extra)
    channel.members.append(call.me)
    return answer(channel=_shown(call, channel))


@method("conversations.archive", 2, "channels:manage", "groups:write")
def archive(call: Call) -> Json:
    """Archive a channel: it can be read and no longer written to."""
    channel = call.channel()
    call.need("groups:write" if channel.is_private else "channels:manage")
    if channel.archived:
        raise SlackError("already_archived")
    if channel.is_general:
        raise SlackError("cant_archive_general")
    call.member_of(channel)
    channel.archived = True
    return answer()


@method("conversations.list", 2, "channels:read", "groups:read")
def list_channels(call: Call) -> Json:
    """Return the channels of the asked-for types, public ones by default."""
    types = listed(call, "types") or ["public_channel"]
    if not set(types) <= {"public_channel", "private_channel", "mpim", "im"}:
        raise SlackError("invalid_types")
    for kind, scope in (("public_channel", "channels:read"), ("private_channel", "groups:read")):
        if kind in types:
            call.need(scope)
    found = [
        channel
        for channel in call.team.channels.values()
        if ("private_channel" if channel.is_private else "public_channel") in types
        and (not channel.is_private or call.me in channel.members)
        and not (channel.archived and call.arguments.flag("exclude_archived"))
    ]
    channels, cursor = page(call, found)
    shown = [{**_shown(call, channel), "num_members": len(channel.members)} for channel in channels]
    return answer(channels=shown, response_metadata={"next_cursor": cursor})


@method("conversations.info", 3, "channels:read", "groups:read")
def info(call: Call) -> Json:
    """Return one channel."""
    channel = call.channel()
    call.need_for(channel, "read")
    shown = _shown(call, channel) | {"last_read": "0000000000.000000"}
    if call.arguments.flag("include_num_members"):
        shown["num_members"] = len(channel.members)
    return answer(channel=shown)


@method("conversations.setTopic", 2, "channels:manage", "channels:write.topic", "groups:write", "groups:write.topic")
def set_topic(call: Call) -> Json:
    """Set the line under a channel's name."""
    channel = call.channel()
    call.need(*(("groups:write", "groups:write.topic") if channel.is_private else TOPICAL))
    _usable(call, channel)
    topic = call.arguments.text("topic") or ""
    if len(topic) > LONGEST_TOPIC:
        raise SlackError("too_long")
    channel.topic = {"value": topic, "creator": call.me, "last_set": int(call.team.now())}
    return answer(channel=_shown(call, channel))


TOPICAL: Final = ("channels:manage", "channels:write.topic")


def _usable(call: Call, channel: Channel) -> None:
    if channel.archived:
        raise SlackError("is_archived")
    call.member_of(channel)


def _shown(call: Call, channel: Channel) -> Json:
    return channel_json(call.team, channel, call.me)
