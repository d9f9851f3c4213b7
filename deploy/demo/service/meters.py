"""Counters and histograms in Prometheus' text format."""

import threading
from bisect import bisect_left
from typing import Final

BUCKETS: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 8.0, 10.0, 15.0, 20.0, 30.0, 60.0, 120.0)
"""Upper bounds in seconds; a quantile is capped at the last finite one, so it lies far above every threshold."""

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


class Meters:
    """What the service counts; safe to use from many threads."""

    def __init__(self, version: str, handlers: tuple[str, ...], statuses: tuple[int, ...]) -> None:
        """Start every series at zero: a series whose first sample is 1 has a rate of 0."""
        self._lock = threading.Lock()
        self._version = version
        self._requests = {(handler, status): 0 for handler in handlers for status in statuses}
        self._buckets = {handler: [0] * (len(BUCKETS) + 1) for handler in handlers}
        self._seconds = dict.fromkeys(handlers, 0.0)
        self._waiting = 0

    def observe(self, handler: str, status: int, seconds: float) -> None:
        """Count an answered request and how long it took, in seconds."""
        with self._lock:
            self._requests[handler, status] = self._requests.get((handler, status), 0) + 1
            self._buckets[handler][bisect_left(BUCKETS, seconds)] += 1
            self._seconds[handler] += seconds

    def wait(self, change: int) -> int:
        """Count requests that begin (+1) or end (-1) to wait, and return how many wait now."""
        with self._lock:
            self._waiting += change
            return self._waiting

    def render(self) -> str:
        """Return everything in Prometheus' text format."""
        with self._lock:
            lines = ["# TYPE smartresume_build_info gauge", f'smartresume_build_info{{version="{self._version}"}} 1']
            lines += ["# TYPE http_request_queue_depth gauge", f"http_request_queue_depth {self._waiting}"]
            lines.append("# TYPE http_requests_total counter")
            for (handler, status), count in sorted(self._requests.items()):
                lines.append(f'http_requests_total{{handler="{handler}",status="{status}"}} {count}')
            lines.append("# TYPE http_request_duration_seconds histogram")
            for handler, counts in self._buckets.items():
                lines += self._histogram(handler, counts)
        return "\n".join(lines) + "\n"

    def _histogram(self, handler: str, counts: list[int]) -> list[str]:
        name, label, total, lines = "http_request_duration_seconds", f'handler="{handler}"', 0, []
        for bound, count in zip([*map(str, BUCKETS), "+Inf"], counts, strict=True):
            total += count
            lines.append(f'{name}_bucket{{{label},le="{bound}"}} {total}')
        lines.append(f"{name}_sum{{{label}}} {self._seconds[handler]:.6f}")
        lines.append(f"{name}_count{{{label}}} {total}")
        return lines
