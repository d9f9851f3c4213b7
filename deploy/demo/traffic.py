"""Users of the demo service: a steady rate of requests, with a bound on how many may be under way."""

import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Final, Self

import httpx

NORMAL: Final = 5.0
"""Requests a second that one instance (2 slots x 0.2 s: 10 a second) serves without waiting."""

SURGE: Final = 14.0
"""Requests a second that one instance can't serve and two can."""

UNDER_WAY: Final = 20
"""Requests at a time: with one instance in a surge each of them waits 2 s."""


class Traffic:
    """A context manager that sends requests from threads of its own until it is left.

    Args:
        url: what is requested.
        rate: requests a second; may be changed while it runs.
        bound: requests under way; a request that finds this many is dropped and counted as `dropped`.
    """

    def __init__(self, url: str, rate: float = NORMAL, bound: int = UNDER_WAY) -> None:
        self.url = url
        self.rate = rate
        self.answers: Counter[str] = Counter()
        self._bound = bound
        self._room = threading.Semaphore(bound)
        self._end = threading.Event()
        self._pool = ThreadPoolExecutor(bound, thread_name_prefix="traffic")
        self._ticker = threading.Thread(target=self._tick, name="traffic", daemon=True)
        limits = httpx.Limits(max_connections=bound, max_keepalive_connections=0)
        self._http = httpx.Client(timeout=15.0, limits=limits)

    def __enter__(self) -> Self:
        self._ticker.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()
        self._ticker.join()
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._http.close()

    def _tick(self) -> None:
        due = time.monotonic()
        while not self._end.wait(max(0.0, due - time.monotonic())):
            # After a pause of ours (a suspended laptop) the missed requests aren't sent all at once.
            due = max(due, time.monotonic() - 1.0) + 1.0 / self.rate
            if self._room.acquire(blocking=False):
                self._pool.submit(self._request)
            else:
                self.answers["dropped"] += 1

    def _request(self) -> None:
        try:
            self.answers[str(self._http.get(self.url).status_code)] += 1
        except httpx.TransportError:
            self.answers["no answer"] += 1
        finally:
            self._room.release()
