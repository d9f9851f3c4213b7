"""Rooms: a channel of its own for each incident of the severities that ask for one.

Such an incident is told in its room; the main channel gets one message that leads there and is kept as it is. What was
done for a room is stored after each step, and each step may come twice: a name that is taken is ours or not, who is in
the channel is in it, what is pinned is pinned. What Slack refuses is said once in the log and left out; without the
right to create channels incidents are told in the main channel.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Final

import structlog

from receiver.chat.slack import blocks
from receiver.chat.slack.api import ACCESS, PLACE, Api, SlackRefused, TooFast
from receiver.chat.slack.budget import ALL, Budget, Window
from receiver.chat.slack.buttons import link
from receiver.chat.slack.chat import SlackChat
from receiver.chat.slack.inviting import Inviting
from receiver.chat.slack.text import escape
from receiver.core.timeline import header
from receiver.ports import ChatError, Clock, Store, Waiting

ROOMS: Final = "slack/rooms"
"""The named value that holds the rooms that are not archived, by incident."""

MOST: Final = 100
"""Rooms at once; further incidents are told in the main channel."""

A_MINUTE: Final = 10
"""Rooms that are created in a minute at most: in a storm nobody wants a hundred channels."""

NAMES: Final = 4
"""Names that are tried for one room."""

INVITED: Final = 50
"""People who are invited at most."""

REMEMBERED: Final = 1000
"""Incidents of which is remembered that they have no room."""

PAGES: Final = 5
TOPIC: Final = 250

_log = structlog.stdlib.get_logger(__name__)


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


class Rooms:
    """Keeps the rooms.

    Args:
        api: Slack.
        chat: posts and edits.
        store: where the rooms are kept.
        clock: for their end.
        budget: of everything that goes to Slack.
        plan: what people want.
    """

    def __init__(
        self, api: Api, chat: SlackChat, store: Store, clock: Clock, budget: Budget, plan: Plan | None = None
    ) -> None:
        self._api = api
        self._chat = chat
        self._store = store
        self._clock = clock
        self._budget = budget
        self._plan = plan or Plan()
        self._inviting = Inviting(api, self._say)
        self._rooms: dict[str, Room] = {}
        self._without: set[str] = set()
        self._created = Window(A_MINUTE)
        self._me: tuple[str, str] | None = None
        self._refused: set[str] = set()
        self._dirty: set[str] = set()
        self._painted: dict[str, str] = {}

    async def load(self) -> None:
        """Read what is kept; call it once before anything else."""
        kept = await self._store.get(ROOMS)
        for incident, one in (kept if isinstance(kept, dict) else {}).items():
            self._rooms[incident] = Room(**{**one, "done": tuple(one["done"])})
        self._dirty = set(self._rooms)

    def place(self, incident: str) -> str | None:
        """Return where an incident without a header is told, None for the main channel; in the form of a reference."""
        room = self._rooms.get(incident)
        return f"{room.channel}/" if room is not None else None

    def wanted(self, one: Waiting) -> bool:
        """Whether an incident is to get a room before anything is told of it."""
        decided = one.incident in self._rooms or one.incident in self._without
        return one.severity in self._plan.severities and one.reference is None and not decided

    def touched(self, incident: str) -> None:
        """Take note that an incident looks different now."""
        if incident in self._rooms:
            self._dirty.add(incident)

    # --- a room -----------------------------------------------------------------------------------------------------

    async def open(self, one: Waiting) -> None:
        """Create an incident's room, or decide that it has none. Raises ChatError when Slack can't be asked."""
        now = self._clock.now()
        if len(self._rooms) >= MOST or self._created.free_at(now) > now:
            _log.warning("slack.no_room", incident=one.incident, reason="there are too many; told in the main channel")
            self._go_without(one.incident)
            return
        incident = await self._store.incident(one.incident)
        name = room_name(one.incident, incident.target if incident is not None else "")
        try:
            channel = await self._create(name)
        except TooFast:
            channel = None
        except SlackRefused as error:
            channel = None
            self._say("create", error, "incidents are told in the main channel")
            if error.code in ACCESS or error.code == "restricted_action":
                self._plan = replace(self._plan, severities=frozenset())
        if channel is None:
            self._go_without(one.incident)
            return
        self._created.took(now)
        self._rooms[one.incident] = Room(channel, self._chat.channel_of(one.severity, None))
        await self._keep()

    async def _create(self, name: str) -> str | None:
        """Return the id of a channel of that name that is ours, or of a new one; None when all names are others'."""
        for number in range(1, NAMES + 1):
            tried = name if number == 1 else f"{name[:77]}-{number}"
            try:
                answer = await self._api.call("conversations.create", name=tried, is_private=False)
            except SlackRefused as error:
                if error.code != "name_taken":
                    raise
                if (found := await self._ours(tried)) is not None:
                    return found
                continue
            return str((answer.get("channel") or {})["id"])
        _log.warning("slack.no_room", name=name, reason="the name is taken; told in the main channel")
        return None

    async def _ours(self, name: str) -> str | None:
        """Return the channel of that name if we created it and it is open: the answer that told us so was lost."""
        _, me = await self._who()
        cursor: str | None = None
        for _ in range(PAGES):
            answer = await self._api.call(
                "conversations.list", types="public_channel", exclude_archived=True, limit="1000", cursor=cursor
            )
            for one in answer.get("channels", ()):
                if one.get("name") == name:
                    return str(one["id"]) if one.get("creator") == me else None
            cursor = (answer.get("response_metadata") or {}).get("next_cursor") or None
            if cursor is None:
                break
        return None

    async def _who(self) -> tuple[str, str]:
        """Return our team and our user there."""
        if self._me is None:
            answer = await self._api.call("auth.test")
            self._me = (str(answer.get("team_id", "")), str(answer.get("user_id", "")))
        return self._me

    async def gone(self, incident: str) -> bool:
        """Tell an incident in the main channel from now on, as somebody took its room away; False: it had none."""
        room = self._rooms.pop(incident, None)
        if room is None:
            return False
        _log.warning("slack.room_gone", incident=incident, channel=room.channel)
        self._go_without(incident)
        await self._leave(incident, room)
        await self._keep()
        return True

    async def _leave(self, incident: str, room: Room) -> None:
        """Let the message in the main channel be the header; a card that stays behind can't be edited any more."""
        await self._store.refer("slack", incident, room.pointer or None)
        await self._store.refer("slack/approval", incident, None)

    def _go_without(self, incident: str) -> None:
        if len(self._without) >= REMEMBERED:
            self._without.clear()
        self._without.add(incident)

    # --- chores -----------------------------------------------------------------------------------------------------

    async def step(self) -> float | None:
        """Do one thing for a room, if one may be done; returns seconds until more may be, None when nothing is left."""
        now = self._clock.now()
        soonest: float | None = None
        for incident, room in self._rooms.items():
            found = self._next(incident, room, now)
            if found is None:
                continue
            at, chore, do = found
            if at <= now:
                await self._do(incident, room, chore, do)
                return 0.0
            soonest = at if soonest is None else min(soonest, at)
        return None if soonest is None else soonest - now

    def _next(self, incident: str, room: Room, now: float) -> tuple[float, str, Do] | None:
        """Return what a room needs next and when it may be done."""
        held = max(now, self._budget.held_until(ALL), self._budget.held_until(f"room {incident}"))
        chores = {"invite": self._invite, "pin": self._pin, "topic": self._topic, "bookmark": self._mark}
        if "pointer" not in room.done:
            return max(held, self._budget.post_at(room.main, now)), "pointer", self._point
        for chore, do in chores.items():
            if chore not in room.done:
                return held, chore, do
        if incident in self._dirty:
            return max(held, self._budget.edit_at(f"pointer {incident}", "P3", "", now)), "", self._repaint
        if room.ended is not None:
            return max(held, room.ended + self._plan.archive_after), "", self._archive
        return None

    async def _do(self, incident: str, room: Room, chore: str, do: Do) -> None:
        try:
            if chore:
                self._rooms[incident] = replace(room, begun=chore)
                await self._keep()
            after = await do(incident, room)
        except SlackRefused as error:
            if error.code in PLACE and error.method.startswith(("conversations.", "pins.", "bookmarks.")):
                await self.gone(incident)
                return
            self._say(chore or error.method, error, "it is left out")
            after = room
        except ChatError as error:
            self._rooms[incident] = replace(room, begun=chore if error.unknown else "")
            key = f"room {incident}" if isinstance(error, TooFast) else ALL
            self._budget.failed(key, self._clock.now(), error.retry_after or 0.0)
            return
        self._budget.worked(f"room {incident}")
        if incident in self._rooms:
            after = replace(after, begun="", done=(*after.done, chore) if chore else after.done)
            self._rooms[incident] = after
            if after != room:
                await self._keep()

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

    async def _repaint(self, incident: str, room: Room) -> Room:
        """Show in the main channel how the incident stands, and see whether it is over."""
        self._dirty.discard(incident)
        message, ended = await self._pointer(incident, room)
        if not room.pointer or self._painted.get(incident) == message.digest:
            return replace(room, ended=ended)
        self._budget.edited(f"pointer {incident}", "P3", "", self._clock.now())
        try:
            there = await self._chat.edit(message, room.pointer)
        except SlackRefused as error:
            self._say("pointer", error, "it stays as it is")
            there = True
        except ChatError:
            self._dirty.add(incident)
            raise
        self._painted[incident] = message.digest
        if there:
            return replace(room, ended=ended)
        # Somebody deleted it; another one leads there.
        self._dirty.add(incident)
        return replace(room, pointer="", done=tuple(one for one in room.done if one != "pointer"))

    async def _pointer(self, incident: str, room: Room) -> tuple[blocks.Message, float | None]:
        found = await self._store.incident(incident)
        if found is None:
            return blocks.Message(f"{incident} is no longer kept", []), self._clock.now()
        shown = self._chat.safe(header(found).as_json())
        return blocks.pointer(incident, shown, room.channel, self._chat.look), found.ended_at

    async def _invite(self, incident: str, room: Room) -> Room:
        found = await self._store.incident(incident)
        called = self._plan.invited.get(found.severity.value if found is not None else "", ())
        users = await self._inviting.named(called)
        if not users:
            own, _ = await self._who()
            users = list(dict.fromkeys(user for team, user in self._plan.responders() if team == own))
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

    async def _archive(self, incident: str, room: Room) -> Room:
        """Archive a room, unless something is still to be told there; what comes later goes to the main channel."""
        if await self._store.lane_rows("slack", incident, 1):
            return replace(room, ended=self._clock.now())
        del self._rooms[incident]
        try:
            await self._api.call("conversations.archive", channel=room.channel)
        except SlackRefused as error:
            if error.code != "already_archived":
                self._say("archive", error, "the channel stays open")
                await self._keep()
                return room
        except ChatError:
            self._rooms[incident] = room
            raise
        self._go_without(incident)
        self._painted.pop(incident, None)
        await self._leave(incident, room)
        await self._keep()
        return room

    # --- keeping ----------------------------------------------------------------------------------------------------

    async def _keep(self) -> None:
        await self._store.put(ROOMS, {incident: asdict(room) for incident, room in self._rooms.items()})

    def _say(self, chore: str, error: SlackRefused, then: str) -> None:
        """Say once what Slack refuses, and what follows."""
        if f"{chore} {error.code}" not in self._refused:
            self._refused.add(f"{chore} {error.code}")
            _log.warning("slack.room", chore=chore, reason=f"{error}; {then}; remediator slack check")


_NOT_IN_NAMES = re.compile(r"[^a-z0-9_-]+", re.ASCII)


def room_name(incident: str, target: str) -> str:
    """Return a name that Slack takes: `inc-k3f9x2qd-smartresume-api`."""
    parts = ("inc", incident.removeprefix("i-"), target)
    name = "-".join(_NOT_IN_NAMES.sub("-", part.lower()).strip("-") for part in parts)
    return name[:80].rstrip("-")
