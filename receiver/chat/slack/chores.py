"""What is done for an incident's own channel: a message that leads there, people, a pin, a topic, a bookmark.

Each may come twice: who is in the channel is in it, what is pinned is pinned, and what may be there is looked for.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from receiver.chat.slack import blocks
from receiver.chat.slack.api import Api, SlackRefused
from receiver.chat.slack.budget import Budget
from receiver.chat.slack.buttons import link
from receiver.chat.slack.chat import SlackChat
from receiver.chat.slack.creating import Creating
from receiver.chat.slack.inviting import Inviting, Say
from receiver.chat.slack.text import escape
from receiver.core.timeline import header
from receiver.ports import Clock, Store

INVITED: Final = 50
"""People who are invited at most."""

TOPIC: Final = 250
"""Characters of a topic."""


@dataclass(frozen=True, slots=True)
class Room:
    """An incident's own channel.

    Args:
        channel: its id.
        main: the channel in which a message leads there.
        done: the chores that are done: `pointer`, `invite`, `pin`, `topic`, `bookmark`.
        begun: one that may be done: its answer was lost.
        pointer: the message in the main channel, as `channel/ts`.
        ended: UNIX seconds of the incident's end.
    """

    channel: str
    main: str
    done: tuple[str, ...] = ()
    begun: str = ""
    pointer: str = ""
    ended: float | None = None


Do = Callable[[str, Room], Awaitable[Room]]


@dataclass(frozen=True, slots=True)
class Plan:
    """What people want of rooms.

    Args:
        severities: of the incidents that get one.
        invited: users and user groups by severity; those of them that are named in mentions.
        archive_after: seconds after the incident's end.
        responders: who is invited where nobody is named: (team, user) of each.
    """

    severities: frozenset[str] = frozenset()
    invited: Mapping[str, Sequence[str]] = field(default_factory=dict)
    archive_after: float = 86_400.0
    responders: Callable[[], Sequence[tuple[str, str]]] = tuple


class Chores:
    """Does them, one at a time; each returns the room as it is then, and raises ChatError or SlackRefused.

    Args:
        chat: posts and edits.
        store: for what the incident is by now.
        clock: for the end of incidents that are no longer kept.
        budget: of everything that goes to Slack.
        plan: returns what people want.
        creating: knows who we are.
        say: says what Slack refuses, once.
    """

    def __init__(
        self,
        chat: SlackChat,
        store: Store,
        clock: Clock,
        budget: Budget,
        plan: Callable[[], Plan],
        creating: Creating,
        say: Say,
    ) -> None:
        self._api: Api = chat.api
        self._chat = chat
        self._store = store
        self._clock = clock
        self._budget = budget
        self._plan = plan
        self._creating = creating
        self._say = say
        self._inviting = Inviting(chat.api, say)
        self._painted: dict[str, str] = {}

    def next(self, room: Room) -> tuple[str, Do] | None:
        """Return what a room needs next, None when all is done."""
        chores: dict[str, Do] = {
            "pointer": self._point, "invite": self._invite, "pin": self._pin, "topic": self._topic,
            "bookmark": self._mark,
        }  # fmt: skip
        return next(((chore, do) for chore, do in chores.items() if chore not in room.done), None)

    def forget(self, incident: str) -> None:
        """Forget how an incident's pointer looks: its room is no more."""
        self._painted.pop(incident, None)

    async def _point(self, incident: str, room: Room) -> Room:
        """Lead from the main channel to the room."""
        found: str | None = None
        if room.begun == "pointer":
            kept = await self._store.incident(incident)
            since = kept.opened_at if kept is not None else 0.0
            found = await self._chat.find_header(incident, room.main, since, key="pointer")
        if found is None:
            message, _ = await self._pointer(incident, room)
            self._budget.posted(room.main, self._clock.now())
            found = (await self._chat.post(incident, message, room.main, None, ["pointer"])).reference
            self._painted[incident] = message.digest
        return replace(room, pointer=found)

    async def repaint(self, incident: str, room: Room) -> Room:
        """Show in the main channel how the incident stands; notes its end, and that a pointer was lost."""
        message, ended = await self._pointer(incident, room)
        if not room.pointer or self._painted.get(incident) == message.digest:
            return replace(room, ended=ended)
        self._budget.edited(f"pointer {incident}", "P3", "", self._clock.now())
        try:
            there = await self._chat.edit(message, room.pointer)
        except SlackRefused as error:
            self._say("pointer", error, "it stays as it is")
            there = True
        self._painted[incident] = message.digest
        if there:
            return replace(room, ended=ended)
        # Somebody deleted it; another one leads there.
        return replace(room, pointer="", done=tuple(one for one in room.done if one != "pointer"))

    async def _pointer(self, incident: str, room: Room) -> tuple[blocks.Message, float | None]:
        found = await self._store.incident(incident)
        if found is None:
            return blocks.Message(f"{incident} is no longer kept", []), self._clock.now()
        shown = self._chat.safe(header(found).as_json())
        return blocks.pointer(incident, shown, room.channel, self._chat.look), found.ended_at

    async def _invite(self, incident: str, room: Room) -> Room:
        found = await self._store.incident(incident)
        called = self._plan().invited.get(found.severity.value if found is not None else "", ())
        users = await self._inviting.named(called)
        if not users:
            own, _ = await self._creating.who()
            users = list(dict.fromkeys(user for team, user in self._plan().responders() if team == own))
        await self._inviting.invite(room.channel, users[:INVITED])
        return room

    async def _pin(self, incident: str, room: Room) -> Room:
        reference = await self._store.reference("slack", incident)
        channel, _, ts = (reference or "").partition("/")
        if channel == room.channel and ts:
            try:
                await self._api.call("pins.add", channel=channel, timestamp=ts)
            except SlackRefused as error:
                if error.code != "already_pinned":
                    raise
        return room

    async def _topic(self, incident: str, room: Room) -> Room:
        found = await self._store.incident(incident)
        what = f"{found.severity.value} {found.alert} on {found.target}" if found is not None else incident
        text = escape(self._chat.safe(f"{what} · {incident} · {self._chat.look.page}".rstrip(" ·")), TOPIC)
        await self._api.call("conversations.setTopic", channel=room.channel, topic=text)
        return room

    async def _mark(self, incident: str, room: Room) -> Room:
        # A second bookmark would be worse than none: one that may be there counts as there.
        if self._chat.look.page and room.begun != "bookmark":
            await self._api.call(
                "bookmarks.add", channel_id=room.channel, title=f"Incident {incident}", type="link",
                link=link(incident, self._chat.look.page),
            )  # fmt: skip
        return room
