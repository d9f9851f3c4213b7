"""One workspace: the operations on its people, channels and messages, with Slack's refusals."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

from tests.slack_double.errors import SlackError, explained
from tests.slack_double.state import Channel, File, Json, Message, Notice, User, UserGroup, View
from tests.slack_double.timing import TimeSource, stamp

NAME_LENGTH = 80
TS = re.compile(r"\d{10}\.\d{6}")


class Ids:
    """Identifiers in Slack's form that repeat from run to run: a letter, then a number."""

    def __init__(self) -> None:
        self._last = 0

    def __call__(self, letter: str) -> str:
        """Return the next one."""
        self._last += 1
        return f"{letter}0DBL{self._last:06d}"


class Workspace:
    """People, groups, channels, files and views of one team.

    Args:
        id: the team's.
        name, domain: shown to people, and in links.
        now: the time.
        ids: where new identifiers come from.
    """

    def __init__(self, id: str, name: str, domain: str, now: TimeSource, ids: Ids) -> None:  # noqa: A002
        self.id = id
        self.name = name
        self.domain = domain
        self.users: dict[str, User] = {}
        self.groups: dict[str, UserGroup] = {}
        self.channels: dict[str, Channel] = {}
        self.files: dict[str, File] = {}
        self.views: dict[str, View] = {}
        self.notices: list[Notice] = []
        self.has_user_groups = True
        """Free plans have none: usergroups.* then answers `plan_upgrade_required`."""
        self.now = now
        self.ids = ids
        self._last_micros = 0

    def add_user(self, name: str, email: str = "", *, real_name: str = "", is_bot: bool = False) -> User:
        """Add somebody; the address defaults to one at example.com."""
        shown = real_name or name.replace(".", " ").title()
        user = User(self.ids("U"), name, shown, email or f"{name}@example.com", is_bot=is_bot)
        self.users[user.id] = user
        return user

    def add_group(self, handle: str, users: Iterable[User]) -> UserGroup:
        """Add a user group."""
        members = [user.id for user in users]
        group = UserGroup(self.ids("S"), handle, handle.replace("-", " ").title(), members, int(self.now()))
        self.groups[group.id] = group
        return group

    def add_channel(self, name: str, creator: str, *, is_private: bool = False) -> Channel:
        """Create a channel with its creator in it; refuses as conversations.create does."""
        _check_channel_name(name)
        if any(channel.name == name for channel in self.channels.values()):
            raise SlackError("name_taken")
        channel = Channel(self.ids("C"), name, creator, int(self.now()), is_private=is_private, members=[creator])
        self.channels[channel.id] = channel
        return channel

    def channel(self, given: str | None, viewer: str, *, by_name: bool = False) -> Channel:
        """Return a channel that the viewer may know of; a private one is not there for others.

        Args:
            given: its id.
            viewer: a user's id.
            by_name: whether `#name` and `name` are understood, as chat.postMessage does.
        """
        found = self.channels.get(given or "")
        if found is None and by_name and given:
            found = next((one for one in self.channels.values() if one.name == given.removeprefix("#")), None)
        if found is None or (found.is_private and viewer not in found.members):
            raise SlackError("channel_not_found")
        return found

    def user(self, given: str | None) -> User:
        """Return a user by id."""
        found = self.users.get(given or "")
        if found is None:
            raise SlackError("user_not_found")
        return found

    def message(self, channel: Channel, ts: str | None) -> Message:
        """Return a message of a channel."""
        found = channel.messages.get(ts or "")
        if found is None or found.tombstone:
            raise SlackError("message_not_found")
        return found

    def next_ts(self, channel: Channel) -> str:
        """Return a ts for a new message: the time, and always greater than the channel's last."""
        channel.last_micros = max(int(self.now() * 1_000_000), channel.last_micros + 1)
        return stamp(channel.last_micros)

    def event_ts(self) -> str:
        """Return a ts of something that is no message; strictly rising too."""
        self._last_micros = max(int(self.now() * 1_000_000), self._last_micros + 1)
        return stamp(self._last_micros)

    def thread_of(self, channel: Channel, thread_ts: str | None) -> str | None:
        """Return the parent that a reply will hang on.

        A parent that was deleted or never was doesn't refuse the reply: Slack posts it at the channel's top level and
        leaves `thread_ts` out of the answer (reported for the real Slack by slack-go's users). A reply's own ts leads
        to its parent (uncertain: Slack says to avoid it).
        """
        if thread_ts is None:
            return None
        if not TS.fullmatch(thread_ts):
            raise explained("invalid_thread_ts", [f"{thread_ts} is not a valid thread_ts"])
        parent = channel.messages.get(thread_ts)
        if parent is None or parent.tombstone:
            return None
        return parent.thread_ts if parent.is_reply else parent.ts

    def post(self, channel: Channel, user: str, text: str, **more: Any) -> Message:
        """Add a message; `more` are further fields of `Message`."""
        blocks = self.with_ids(more.pop("blocks", []))
        message = Message(channel.id, self.next_ts(channel), user, text, blocks=blocks, **more)
        if message.only_for is not None:
            channel.ephemeral.append(message)
        else:
            channel.messages[message.ts] = message
            if message.is_reply and message.thread_ts in channel.messages:
                channel.messages[message.thread_ts].thread_ts = message.thread_ts
        return message

    def delete(self, channel: Channel, message: Message) -> None:
        """Remove a message; a parent with replies leaves a tombstone."""
        channel.pins = [pin for pin in channel.pins if pin.ts != message.ts]
        if channel.replies(message.ts):
            message.tombstone = True
            message.text, message.blocks, message.attachments = "This message was deleted.", [], []
            message.metadata, message.files = None, []
        else:
            del channel.messages[message.ts]

    def with_ids(self, blocks: Sequence[Json]) -> list[Json]:
        """Return blocks each with a `block_id`, as Slack gives one to those without."""
        return [block if "block_id" in block else {**block, "block_id": self.ids("b")} for block in blocks]


def _check_channel_name(name: str) -> None:
    if not name:
        raise SlackError("invalid_name_required")
    if len(name) > NAME_LENGTH:
        raise SlackError("invalid_name_maxlength")
    if not any(char.isalnum() for char in name):
        raise SlackError("invalid_name_punctuation")
    if name != name.lower() or not all(char.isalnum() or char in "-_" for char in name):
        raise SlackError("invalid_name_specials")
