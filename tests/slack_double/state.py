"""What a workspace consists of, as the double keeps it."""

from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]


@dataclass(slots=True)
class User:
    """A person or a bot; identity is (team, id), never the name."""

    id: str
    name: str
    real_name: str
    email: str
    tz: str = "Europe/Berlin"
    is_bot: bool = False
    deleted: bool = False
    is_guest: bool = False
    """A single-channel guest: not a member, whatever their address."""


@dataclass(slots=True)
class UserGroup:
    """A group of people that can be mentioned; only paid plans have them."""

    id: str
    handle: str
    name: str
    users: list[str]
    created: int
    disabled: bool = False


@dataclass(slots=True)
class App:
    """An installed app with its bot; the signing secret is the app's, not the workspace's."""

    id: str
    name: str
    bot_id: str
    bot_user: str
    signing_secret: str


@dataclass(slots=True)
class Token:
    """What a client proves itself with: `kind` is `bot` (xoxb) or `app` (xapp)."""

    value: str
    kind: str
    team: str
    app: App
    scopes: frozenset[str]
    revoked: bool = False


@dataclass(slots=True)
class Message:
    """One message; `(channel, ts)` is its identity. `only_for` is the one user who sees an ephemeral one."""

    channel: str
    ts: str
    user: str
    text: str
    bot_id: str | None = None
    blocks: list[Json] = field(default_factory=list)
    attachments: list[Json] = field(default_factory=list)
    metadata: Json | None = None
    thread_ts: str | None = None
    broadcast: bool = False
    edited: Json | None = None
    files: list[str] = field(default_factory=list)
    tombstone: bool = False
    only_for: str | None = None

    @property
    def is_reply(self) -> bool:
        """Whether it belongs to another message's thread."""
        return self.thread_ts is not None and self.thread_ts != self.ts


@dataclass(slots=True)
class Pin:
    """A pinned message."""

    ts: str
    created: int
    created_by: str


@dataclass(slots=True)
class Channel:
    """A public or private channel with everything in it, by ts."""

    id: str
    name: str
    creator: str
    created: int
    is_private: bool = False
    is_general: bool = False
    archived: bool = False
    members: list[str] = field(default_factory=list)
    topic: Json = field(default_factory=lambda: {"value": "", "creator": "", "last_set": 0})
    purpose: Json = field(default_factory=lambda: {"value": "", "creator": "", "last_set": 0})
    messages: dict[str, Message] = field(default_factory=dict)
    ephemeral: list[Message] = field(default_factory=list)
    pins: list[Pin] = field(default_factory=list)
    bookmarks: list[Json] = field(default_factory=list)
    last_micros: int = 0

    @property
    def kind(self) -> str:
        """What its scopes begin with."""
        return "groups" if self.is_private else "channels"

    def replies(self, ts: str) -> list[Message]:
        """Return a thread without its parent, oldest first."""
        return [message for message in self.messages.values() if message.is_reply and message.thread_ts == ts]

    def top_level(self) -> list[Message]:
        """Return what the channel itself shows, oldest first: parents and broadcast replies."""
        return [message for message in self.messages.values() if not message.is_reply or message.broadcast]


@dataclass(slots=True)
class File:
    """An upload: promised by getUploadURLExternal, filled by the POST, shared by completeUploadExternal."""

    id: str
    ticket: str
    name: str
    title: str
    length: int
    user: str
    created: int
    data: bytes | None = None
    completed: bool = False
    shares: list[tuple[str, str]] = field(default_factory=list)


@dataclass(slots=True)
class View:
    """A modal that somebody looks at; `given` is what the app sent."""

    id: str
    user: str
    given: Json
    hash: str
    is_open: bool = True
    errors: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Notice:
    """What Slack's client told one person by itself, such as that the app did not answer in time."""

    user: str
    text: str
