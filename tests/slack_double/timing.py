"""Where the double's time comes from: a function that returns UNIX seconds, so that tests never wait."""

import threading
from collections.abc import Callable

TimeSource = Callable[[], float]
"""Returns UNIX seconds."""


class FakeTime:
    """A time source that stands still until it is told to go on; safe to use from several threads.

    Args:
        start: UNIX seconds.
    """

    def __init__(self, start: float = 1_800_000_000.0) -> None:
        self._now = start
        self._lock = threading.Lock()

    def __call__(self) -> float:
        """Return the time."""
        with self._lock:
            return self._now

    def advance(self, seconds: float) -> None:
        """Go on by so many seconds."""
        with self._lock:
            self._now += seconds


def stamp(micros: int) -> str:
    """Return Slack's `ts` of microseconds since 1970."""
    return f"{micros // 1_000_000}.{micros % 1_000_000:06d}"
