"""Slack's rates: a tier per method, a budget per channel for posts; too fast is a 429 with Retry-After.

From the reference: tiers 1 to 4 allow "1+", "20+", "50+" and "100+" calls a minute per method, workspace and app;
posting is about one a second per channel with short bursts. The double grants what is promised and not the "+".
Uncertain: the size of a burst, the workspace-wide limit of posts ("several hundred a minute"), and whether refused
calls count (here they don't).
"""

import math
from collections import defaultdict, deque
from collections.abc import Hashable, Mapping
from typing import Final

from tests.slack_double.timing import TimeSource

TIERS: Final[Mapping[int, int]] = {1: 1, 2: 20, 3: 50, 4: 100}
"""Tier to calls a minute."""

SPECIAL: Final = 0
"""The tier of methods with a rule of their own; those without one here are free."""

WINDOW: Final = 60.0

POST_RATE: Final = 1.0
"""Posts a second per channel in the long run."""

POST_BURST: Final = 5
"""Posts at once after a quiet time. Uncertain."""

POSTS_OF_A_TEAM: Final = 300
"""Posts a minute over all channels of a workspace. Uncertain."""


class Rates:
    """Counts calls; off until `faithful` is set.

    Args:
        now: the time.
    """

    def __init__(self, now: TimeSource) -> None:
        self.faithful = False
        self._now = now
        self._calls: dict[Hashable, deque[float]] = defaultdict(deque)
        self._buckets: dict[Hashable, tuple[float, float]] = {}

    def wait_for(self, method: str, tier: int, team: str, app: str, channel: str | None) -> int | None:
        """Return the seconds to wait before this call, or None and count it.

        Args:
            method: its name.
            tier: 1 to 4, or `SPECIAL`.
            team, app: whose budget it is.
            channel: where a post goes to.
        """
        if not self.faithful:
            return None
        if method == "chat.postMessage":
            return self._post(team, app, channel)
        if tier == SPECIAL:
            return None
        return self._windowed((method, team, app), TIERS[tier])

    def _post(self, team: str, app: str, channel: str | None) -> int | None:
        wait = self._windowed(("posts", team, app), POSTS_OF_A_TEAM, count=False)
        if wait is not None:
            return wait
        now = self._now()
        left, then = self._buckets.get((team, app, channel), (float(POST_BURST), now))
        left = min(float(POST_BURST), left + (now - then) * POST_RATE)
        # A hair below one is one: seconds added up are not exact.
        if left < 1.0 - 1e-6:
            return max(1, math.ceil((1.0 - left) / POST_RATE - 1e-6))
        self._buckets[team, app, channel] = (left - 1.0, now)
        return self._windowed(("posts", team, app), POSTS_OF_A_TEAM)

    def _windowed(self, key: Hashable, limit: int, *, count: bool = True) -> int | None:
        now = self._now()
        calls = self._calls[key]
        while calls and calls[0] <= now - WINDOW:
            calls.popleft()
        if len(calls) >= limit:
            return max(1, math.ceil(calls[0] + WINDOW - now))
        if count:
            calls.append(now)
        return None
