"""State as Slack writes it: the JSON of messages, channels, users, groups, files and views."""

from typing import Any

from tests.slack_double.state import App, Channel, File, Json, Message, User, UserGroup, View
from tests.slack_double.workspace import Workspace


def message_json(team: Workspace, app: App, message: Message, *, metadata: bool = False) -> Json:
    """Return a message as answers and payloads hold it; its metadata only where it was asked for."""
    channel = team.channels[message.channel]
    shown: Json = {"type": "message", "user": message.user, "ts": message.ts, "text": message.text, "team": team.id}
    if message.tombstone:
        shown |= {"subtype": "tombstone", "user": "USLACKBOT", "hidden": True}
    if message.bot_id is not None:
        shown |= {"bot_id": message.bot_id, "app_id": app.id, "bot_profile": _bot_profile(team, app)}
    if message.blocks:
        shown["blocks"] = message.blocks
    if message.attachments:
        shown["attachments"] = message.attachments
    if message.edited is not None:
        shown["edited"] = message.edited
    if message.files:
        shown |= {"files": [file_json(team, team.files[one]) for one in message.files], "upload": True}
    if message.metadata is not None and metadata:
        shown["metadata"] = message.metadata
    if any(pin.ts == message.ts for pin in channel.pins):
        shown["pinned_to"] = [channel.id]
    return shown | _threading(channel, message)


def _threading(channel: Channel, message: Message) -> Json:
    replies = channel.replies(message.ts)
    if message.is_reply and message.thread_ts is not None:
        parent = channel.messages[message.thread_ts]
        shown: Json = {"thread_ts": message.thread_ts, "parent_user_id": parent.user}
        return shown | ({"subtype": "thread_broadcast"} if message.broadcast else {})
    if not replies:
        return {}
    users = list(dict.fromkeys(reply.user for reply in replies))
    return {
        "thread_ts": message.ts,
        "reply_count": len(replies),
        "reply_users_count": len(users),
        "latest_reply": replies[-1].ts,
        "reply_users": users,
        "is_locked": False,
        "subscribed": False,
    }


def _bot_profile(team: Workspace, app: App) -> Json:
    icons = {size: f"https://a.slack-edge.com/80588/img/plugins/app/bot_{size[6:]}.png" for size in ICONS}
    return {
        "id": app.bot_id,
        "app_id": app.id,
        "name": app.name,
        "icons": icons,
        "deleted": False,
        "updated": 1_700_000_000,
        "team_id": team.id,
    }


ICONS = ("image_36", "image_48", "image_72")


def channel_json(team: Workspace, channel: Channel, viewer: str) -> Json:
    """Return a channel as `viewer` (a user's id) sees it."""
    return {
        "id": channel.id,
        "name": channel.name,
        "name_normalized": channel.name,
        "is_channel": not channel.is_private,
        "is_group": channel.is_private,
        "is_im": False,
        "is_mpim": False,
        "is_private": channel.is_private,
        "is_general": channel.is_general,
        "is_archived": channel.archived,
        "is_shared": False,
        "is_ext_shared": False,
        "is_org_shared": False,
        "is_pending_ext_shared": False,
        "is_member": viewer in channel.members,
        "created": channel.created,
        "updated": channel.created * 1000,
        "creator": channel.creator,
        "context_team_id": team.id,
        "shared_team_ids": [team.id],
        "pending_shared": [],
        "pending_connected_team_ids": [],
        "previous_names": [],
        "unlinked": 0,
        "topic": channel.topic,
        "purpose": channel.purpose,
    }


def user_json(team: Workspace, user: User, *, email: bool) -> Json:
    """Return a user; the address only for who has the scope `users:read.email`."""
    profile: Json = {
        "avatar_hash": "double",
        "display_name": user.name,
        "display_name_normalized": user.name,
        "real_name": user.real_name,
        "real_name_normalized": user.real_name,
        "status_emoji": "",
        "status_text": "",
        "team": team.id,
    }
    if email and not user.is_bot:
        profile["email"] = user.email
    return {
        "id": user.id,
        "team_id": team.id,
        "name": user.name,
        "real_name": user.real_name,
        "deleted": user.deleted,
        "color": "9f69e7",
        "tz": user.tz,
        "tz_label": user.tz,
        "tz_offset": 3600,
        "profile": profile,
        "is_admin": False,
        "is_owner": False,
        "is_primary_owner": False,
        "is_restricted": user.is_guest,
        "is_ultra_restricted": user.is_guest,
        "is_bot": user.is_bot,
        "is_app_user": False,
        "is_email_confirmed": not user.is_bot,
        "updated": 1_700_000_000,
    }


def group_json(team: Workspace, group: UserGroup, *, users: bool, count: bool) -> Json:
    """Return a user group, with its members or their number where asked for."""
    shown: Json = {
        "id": group.id,
        "team_id": team.id,
        "is_usergroup": True,
        "is_subteam": True,
        "name": group.name,
        "description": "",
        "handle": group.handle,
        "is_external": False,
        "date_create": group.created,
        "date_update": group.created,
        "date_delete": group.created if group.disabled else 0,
        "auto_provision": False,
        "enterprise_subteam_id": "",
        "created_by": "USLACKBOT",
        "updated_by": "USLACKBOT",
        "prefs": {"channels": [], "groups": []},
        "channel_count": 0,
    }
    if users:
        shown["users"] = list(group.users)
    if users or count:
        shown["user_count"] = len(group.users)
    return shown


def file_json(team: Workspace, file: File) -> Json:
    """Return a file; its bytes are served by the double itself."""
    kind = file.name.rpartition(".")[2].lower()
    shares: dict[str, Any] = {}
    for channel, ts in file.shares:
        one = team.channels[channel]
        visibility = "private" if one.is_private else "public"
        thread = one.messages[ts].thread_ts if ts in one.messages else None
        entry = {"ts": ts, "channel_name": one.name, "team_id": team.id, "share_user_id": file.user}
        shares.setdefault(visibility, {})[channel] = [entry | ({"thread_ts": thread} if thread else {})]
    return {
        "id": file.id,
        "created": file.created,
        "timestamp": file.created,
        "name": file.name,
        "title": file.title,
        "mimetype": MIME.get(kind, "application/octet-stream"),
        "filetype": kind if kind in MIME else "binary",
        "pretty_type": kind.upper(),
        "user": file.user,
        "user_team": team.id,
        "editable": False,
        "size": file.length,
        "mode": "hosted",
        "is_external": False,
        "external_type": "",
        "is_public": any(not team.channels[channel].is_private for channel, _ in file.shares),
        "public_url_shared": False,
        "display_as_bot": False,
        "username": "",
        "url_private": f"/files-pri/{file.id}/{file.name}",
        "url_private_download": f"/files-pri/{file.id}/{file.name}",
        "channels": [channel for channel, _ in file.shares],
        "groups": [],
        "ims": [],
        "shares": shares,
    }


MIME = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "svg": "image/svg+xml",
    "txt": "text/plain",
    "json": "application/json",
}


def view_json(team: Workspace, app: App, view: View, values: Json | None = None) -> Json:
    """Return a modal; `values` is its state as a person filled it in."""
    given = view.given
    return {
        "id": view.id,
        "team_id": team.id,
        "type": given["type"],
        "blocks": given["blocks"],
        "private_metadata": given.get("private_metadata", ""),
        "callback_id": given.get("callback_id", ""),
        "state": {"values": values or {}},
        "hash": view.hash,
        "title": given["title"],
        "clear_on_close": given.get("clear_on_close", False),
        "notify_on_close": given.get("notify_on_close", False),
        "close": given.get("close"),
        "submit": given.get("submit"),
        "previous_view_id": None,
        "root_view_id": view.id,
        "app_id": app.id,
        "external_id": given.get("external_id", ""),
        "app_installed_team_id": team.id,
        "bot_id": app.bot_id,
    }
