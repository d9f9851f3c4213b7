"""The shapes of Slack's answers, written down from its published samples: key to type.

The samples are the recorded answers in Slack's Java SDK (json-logs), the examples in Slack's OpenAPI document, and the
reference pages. `Maybe` marks keys that some answers lack; a key that is not written here must not be in an answer.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

Shape = Any
"""A type, a tuple of types, a dict of shapes, or a list with the shape of its items."""


@dataclass(frozen=True)
class Maybe:
    """A key that may be missing."""

    shape: Shape


ANY: Final = object()

TEXTS: Final = [str]

TOPIC: Final = {"value": str, "creator": str, "last_set": int}

CHANNEL: Final = {
    **dict.fromkeys(("id", "name", "name_normalized", "creator", "context_team_id"), str),
    **dict.fromkeys(("is_channel", "is_group", "is_im", "is_mpim", "is_private", "is_general", "is_archived"), bool),
    **dict.fromkeys(("is_shared", "is_ext_shared", "is_org_shared", "is_pending_ext_shared", "is_member"), bool),
    **dict.fromkeys(("created", "updated", "unlinked"), int),
    **dict.fromkeys(("shared_team_ids", "pending_shared", "pending_connected_team_ids", "previous_names"), TEXTS),
    "topic": TOPIC,
    "purpose": TOPIC,
}

PROFILE: Final = {
    **dict.fromkeys(("avatar_hash", "display_name", "display_name_normalized", "real_name", "team"), str),
    **dict.fromkeys(("real_name_normalized", "status_emoji", "status_text"), str),
    "email": Maybe(str),
}

USER: Final = {
    **dict.fromkeys(("id", "team_id", "name", "real_name", "color", "tz", "tz_label"), str),
    **dict.fromkeys(("deleted", "is_admin", "is_owner", "is_primary_owner", "is_restricted", "is_bot"), bool),
    **dict.fromkeys(("is_ultra_restricted", "is_app_user", "is_email_confirmed"), bool),
    **dict.fromkeys(("tz_offset", "updated"), int),
    "profile": PROFILE,
}

BOT_PROFILE: Final = {
    **dict.fromkeys(("id", "app_id", "name", "team_id"), str),
    "deleted": bool,
    "updated": int,
    "icons": dict.fromkeys(("image_36", "image_48", "image_72"), str),
}

SHARE: Final = {
    **dict.fromkeys(("ts", "channel_name", "team_id", "share_user_id"), str),
    "thread_ts": Maybe(str),
}

FILE: Final = {
    **dict.fromkeys(("id", "name", "title", "mimetype", "filetype", "pretty_type", "user", "user_team", "mode"), str),
    **dict.fromkeys(("external_type", "username", "url_private", "url_private_download"), str),
    **dict.fromkeys(("created", "timestamp", "size"), int),
    **dict.fromkeys(("editable", "is_external", "is_public", "public_url_shared", "display_as_bot"), bool),
    **dict.fromkeys(("channels", "groups", "ims"), TEXTS),
    "shares": {"public": Maybe(ANY), "private": Maybe(ANY)},
}

MESSAGE: Final = {
    **dict.fromkeys(("type", "user", "text", "team"), str),
    **dict.fromkeys(("bot_id", "app_id"), Maybe(str)),
    "bot_profile": Maybe(BOT_PROFILE),
    "blocks": Maybe([ANY]),
    "attachments": Maybe([ANY]),
    "edited": Maybe({"user": str, "ts": str}),
    "metadata": Maybe({"event_type": str, "event_payload": ANY}),
}
"""What chat.update answers; elsewhere a message has more."""

POSTED: Final = {
    **MESSAGE,
    "ts": str,
    "subtype": Maybe(str),
    "thread_ts": Maybe(str),
    "parent_user_id": Maybe(str),
    "files": Maybe([FILE]),
    "upload": Maybe(bool),
    **dict.fromkeys(("reply_count", "reply_users_count"), Maybe(int)),
    "latest_reply": Maybe(str),
    "reply_users": Maybe([str]),
    **dict.fromkeys(("is_locked", "subscribed"), Maybe(bool)),
    "pinned_to": Maybe([str]),
}

BOOKMARK: Final = {
    **dict.fromkeys(("id", "channel_id", "title", "link", "emoji", "icon_url", "type", "rank"), str),
    **dict.fromkeys(("last_updated_by_user_id", "last_updated_by_team_id"), str),
    **dict.fromkeys(("date_created", "date_updated"), int),
    **dict.fromkeys(("entity_id", "shortcut_id", "app_id"), (str, type(None))),
}

GROUP: Final = {
    **dict.fromkeys(("id", "team_id", "name", "description", "handle", "created_by", "updated_by"), str),
    "enterprise_subteam_id": str,
    **dict.fromkeys(("is_usergroup", "is_subteam", "is_external", "auto_provision"), bool),
    **dict.fromkeys(("date_create", "date_update", "date_delete", "channel_count"), int),
    "prefs": {"channels": [str], "groups": [str]},
    "users": Maybe([str]),
    "user_count": Maybe(int),
}

TEXT: Final = {"type": str, "text": str, "emoji": Maybe(bool)}

VIEW: Final = {
    **dict.fromkeys(("id", "team_id", "type", "private_metadata", "callback_id", "hash", "root_view_id"), str),
    **dict.fromkeys(("app_id", "external_id", "app_installed_team_id", "bot_id"), str),
    **dict.fromkeys(("clear_on_close", "notify_on_close"), bool),
    "blocks": [ANY],
    "state": {"values": ANY},
    "title": TEXT,
    **dict.fromkeys(("close", "submit"), (TEXT, type(None))),
    "previous_view_id": (str, type(None)),
}

CURSOR: Final = {"next_cursor": str}

ANSWERS: Final[Mapping[str, Shape]] = {
    "auth.test": {
        **dict.fromkeys(("url", "team", "user", "team_id", "user_id", "bot_id"), str),
        "is_enterprise_install": bool,
    },
    "apps.connections.open": {"url": str},
    "bookmarks.add": {"bookmark": BOOKMARK},
    "chat.delete": {"channel": str, "ts": str},
    "chat.getPermalink": {"channel": str, "permalink": str},
    "chat.postEphemeral": {"message_ts": str},
    "chat.postMessage": {"channel": str, "ts": str, "message": POSTED},
    "chat.update": {"channel": str, "ts": str, "text": str, "message": MESSAGE},
    "conversations.archive": {},
    "conversations.create": {"channel": CHANNEL},
    "conversations.history": {
        "messages": [POSTED],
        "has_more": bool,
        "pin_count": int,
        "channel_actions_ts": (str, type(None)),
        "channel_actions_count": int,
        "response_metadata": Maybe(CURSOR),
    },
    "conversations.info": {"channel": {**CHANNEL, "last_read": str, "num_members": Maybe(int)}},
    "conversations.invite": {"channel": CHANNEL},
    "conversations.join": {"channel": CHANNEL},
    "conversations.list": {"channels": [{**CHANNEL, "num_members": int}], "response_metadata": CURSOR},
    "conversations.replies": {"messages": [POSTED], "has_more": bool, "response_metadata": Maybe(CURSOR)},
    "conversations.setTopic": {"channel": CHANNEL},
    "files.completeUploadExternal": {"files": [FILE]},
    "files.getUploadURLExternal": {"upload_url": str, "file_id": str},
    "pins.add": {},
    "pins.list": {"items": [{"type": str, "channel": str, "created": int, "created_by": str, "message": POSTED}]},
    "pins.remove": {},
    "usergroups.list": {"usergroups": [GROUP]},
    "usergroups.users.list": {"users": [str]},
    "users.info": {"user": USER},
    "users.list": {"members": [USER], "cache_ts": int, "response_metadata": CURSOR},
    "users.lookupByEmail": {"user": USER},
    "views.open": {"view": VIEW},
    "views.update": {"view": VIEW},
}
"""Method to its good answer, without `ok` and without the warnings about a charset."""

PERSON: Final = dict.fromkeys(("id", "username", "name", "team_id"), str)

INTERACTIVE: Final = {
    "type": str,
    "user": PERSON,
    **dict.fromkeys(("api_app_id", "token", "trigger_id"), str),
    "team": {"id": str, "domain": str},
    "enterprise": type(None),
    "is_enterprise_install": bool,
}

BLOCK_ACTIONS: Final = {
    **INTERACTIVE,
    "container": {
        **dict.fromkeys(("type", "message_ts", "channel_id"), str),
        "is_ephemeral": bool,
        "thread_ts": Maybe(str),
    },
    "channel": {"id": str, "name": str},
    "message": POSTED,
    "state": {"values": ANY},
    "response_url": str,
    "actions": [
        {
            **dict.fromkeys(("action_id", "block_id", "type", "action_ts"), str),
            "text": Maybe(TEXT),
            "value": Maybe(str),
            "style": Maybe(str),
            "selected_option": Maybe({"text": TEXT, "value": str}),
        }
    ],
}

VIEW_SUBMISSION: Final = {**INTERACTIVE, "view": VIEW, "response_urls": [ANY]}

COMMAND: Final = dict.fromkeys(
    (
        "token", "team_id", "team_domain", "channel_id", "channel_name", "user_id", "user_name", "command", "text",
        "api_app_id", "is_enterprise_install", "response_url", "trigger_id",
    ),
    str,
)  # fmt: skip
"""A form: everything in it is text."""


def differences(value: Any, shape: Shape, at: str = "") -> Iterator[str]:
    """Yield where a value hasn't the shape."""
    if shape is ANY:
        return
    if isinstance(shape, tuple):
        if all(list(differences(value, one, at)) for one in shape):
            yield f"{at}: {value!r} fits none of {shape}"
    elif isinstance(shape, dict):
        yield from _in_object(value, shape, at)
    elif isinstance(shape, list):
        if not isinstance(value, list):
            yield f"{at}: {value!r} is no list"
            return
        for index, item in enumerate(value):
            yield from differences(item, shape[0], f"{at}[{index}]")
    elif type(value) is not shape:
        yield f"{at}: {value!r} is no {shape.__name__}"


def _in_object(value: Any, shape: dict[str, Shape], at: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{at}: {value!r} is no object"
        return
    yield from (f"{at}.{name}: not in Slack's samples" for name in value if name not in shape)
    for name, inner in shape.items():
        optional = isinstance(inner, Maybe)
        if name in value:
            yield from differences(value[name], inner.shape if optional else inner, f"{at}.{name}")
        elif not optional:
            yield f"{at}.{name}: missing"
