"""The scopes that the double knows: what a token may do."""

from typing import Final

BOT_SCOPES: Final = frozenset(
    {
        "bookmarks:write",
        "channels:history",
        "channels:join",
        "channels:manage",
        "channels:read",
        "channels:write.invites",
        "channels:write.topic",
        "chat:write",
        "chat:write.public",
        "commands",
        "files:write",
        "groups:history",
        "groups:read",
        "groups:write",
        "groups:write.invites",
        "groups:write.topic",
        "pins:read",
        "pins:write",
        "usergroups:read",
        "users:read",
        "users:read.email",
    }
)

APP_SCOPES: Final = frozenset({"connections:write"})
