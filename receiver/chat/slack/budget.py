"""When something may be sent to Slack: pure bookkeeping of what was sent; takes `now`, waits for nothing.

Slack takes about one post a second in a channel and 50 edits a minute over all; what we allow ourselves is less.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass
from typing import Final

POST_EVERY: Final = 1.0
"""Seconds between two posts in one channel."""

EDITS: Final = 40
"""Edits in any minute over all."""

EDITS_FOR_P1: Final = 10
"""Of these, how many are kept for P1."""

LOOKS: Final = 20
"""Times in a minute that threads are read back."""

MINUTE: Final = 60.0

COALESCE: Final = 5.0
"""Seconds between two edits of one header, unless its state or severity changed."""

LONGEST_BACKOFF: Final = 60.0
"""Seconds between two tries while Slack can't be reached."""

REMEMBERED: Final = 5000
"""Incidents of which the last edit is remembered."""

ALL: Final = "*"
"""The key of a pause that holds everything."""


@dataclass(frozen=True, slots=True)
class _Edit:
    at: float
    state: str


class Window:
    """At most so many in any minute."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._times: deque[float] = deque(maxlen=most)

    def free_at(self, now: float, most: int | None = None) -> float:
        """Return when another one may be: now, or when an earlier one is a minute old."""
        allowed = self._most if most is None else most
        return now if len(self._times) < allowed else max(now, self._times[-allowed] + MINUTE)

    def took(self, now: float) -> None:
        """Count one."""
        self._times.append(now)


class Budget:
    """Everything that was sent lately, and what that leaves."""

    def __init__(self) -> None:
        self._posts: dict[str, float] = {}
        self._edits = Window(EDITS)
        self._looks = Window(LOOKS)
        self._shown: OrderedDict[str, _Edit] = OrderedDict()
        self._paused: dict[str, float] = {}
        self._failures: dict[str, int] = {}

    def post_at(self, channel: str, now: float) -> float:
        """Return when the next message may go to a channel."""
        return max(now, self._posts.get(channel, 0.0) + POST_EVERY, self._pause(channel))

    def posted(self, channel: str, now: float) -> None:
        """Count a message."""
        self._posts[channel] = now

    def edit_at(self, incident: str, severity: str, state: str, now: float) -> float:
        """Return when an incident's header may be edited."""
        at = self._edits.free_at(now, None if severity == "P1" else EDITS - EDITS_FOR_P1)
        last = self._shown.get(incident)
        if last is not None and last.state == f"{severity} {state}":
            at = max(at, last.at + COALESCE)
        return max(at, self._pause("edits"))

    def edited(self, incident: str, severity: str, state: str, now: float, *, counts: bool = True) -> None:
        """Count an edit; `counts` is false for a header that was posted, or that shows what it should already."""
        if counts:
            self._edits.took(now)
        self._shown[incident] = _Edit(now, f"{severity} {state}")
        self._shown.move_to_end(incident)
        if len(self._shown) > REMEMBERED:
            self._shown.popitem(last=False)

    def repainted(self, now: float) -> None:
        """Count an edit of another message than a header."""
        self._edits.took(now)

    def look_at(self, now: float) -> float:
        """Return when messages may be read back."""
        return max(self._looks.free_at(now), self._pause("looks"))

    def looked(self, now: float) -> None:
        """Count a look."""
        self._looks.took(now)

    def failed(self, key: str, now: float, retry_after: float) -> float:
        """Pause a channel, `edits`, `looks`, an incident or `ALL`, longer each time; returns until when."""
        count = self._failures[key] = self._failures.get(key, 0) + 1
        self._paused[key] = now + max(retry_after, min(LONGEST_BACKOFF, 2.0 ** min(count - 1, 10)))
        return self._paused[key]

    def worked(self, *keys: str) -> None:
        """Forget the failures: Slack answers again."""
        for key in (ALL, *keys):
            self._failures.pop(key, None)

    def held_until(self, key: str) -> float:
        """Return until when the pause of an incident or a channel holds."""
        return self._paused.get(key, 0.0)

    def _pause(self, key: str) -> float:
        return max(self._paused.get(key, 0.0), self._paused.get(ALL, 0.0))
