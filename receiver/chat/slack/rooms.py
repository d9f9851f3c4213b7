"""Rooms: a channel of its own for each incident of the severities that ask for one.

Such an incident is told in its room; the main channel gets one message that leads there and is kept as it is. What was
done for a room is stored after each step, and each step may come twice (`receiver.chat.slack.chores`). What Slack
refuses is said once in the log and left out; without the right to create channels incidents are told in the main one.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Final

import structlog

from receiver.chat.slack.api import ACCESS, PLACE, Api, SlackRefused, TooFast
from receiver.chat.slack.budget import ALL, Budget, Window
from receiver.chat.slack.chat import SlackChat
from receiver.chat.slack.chores import Chores, Do, Plan, Room
from receiver.chat.slack.creating import Creating, room_name
from receiver.ports import ChatError, Clock, Store, Waiting

ROOMS: Final = "slack/rooms"
"""The named value that holds the rooms that are not archived, by incident."""

MOST: Final = 100
"""Rooms at once; further incidents are told in the main channel."""

A_MINUTE: Final = 10
"""Rooms that are created in a minute at most: in a storm nobody wants a hundred channels."""

REMEMBERED: Final = 1000
"""Incidents of which is remembered that they have no room."""

_log = structlog.stdlib.get_logger(__name__)


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
        self._creating = Creating(api)
        self._chores = Chores(chat, store, clock, budget, lambda: self._plan, self._creating, self._say)
        self._rooms: dict[str, Room] = {}
        self._without: set[str] = set()
        self._created = Window(A_MINUTE)
        self._refused: set[str] = set()
        self._dirty: set[str] = set()

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
            channel = await self._creating.create(name)
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
        if (found := self._chores.next(room)) is not None:
            chore, do = found
            return max(held, self._budget.post_at(room.main, now)) if chore == "pointer" else held, chore, do
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

    async def _repaint(self, incident: str, room: Room) -> Room:
        """Let the main channel show how the incident stands."""
        self._dirty.discard(incident)
        try:
            after = await self._chores.repaint(incident, room)
        except ChatError:
            self._dirty.add(incident)
            raise
        if "pointer" not in after.done:
            self._dirty.add(incident)
        return after

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
        self._chores.forget(incident)
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
