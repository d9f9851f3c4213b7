"""Alertmanager's part where there is none: webhooks that a real one sent once, with today's times."""

import json
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import httpx

from deploy.demo.noticing import tell

RECORDED: Final = Path(__file__).parent / "recorded"

NOTICED_AFTER: Final = 4.0
"""Seconds until the real Prometheus and Alertmanager of the demo have told of an outage (measured)."""

NEVER: Final = "0001-01-01T00:00:00Z"
"""What Alertmanager writes as the end of an alert that fires."""


def recorded(name: str) -> dict[str, Any]:
    """Return a webhook's body as it was recorded, such as `ServiceDown-firing`."""
    body: dict[str, Any] = json.loads((RECORDED / f"{name}.json").read_text())
    return body


def dated(body: Mapping[str, Any], began: float, ended: float | None) -> dict[str, Any]:
    """Return a body with these times (UNIX seconds) in each of its alerts; it fires while there is no end."""
    times = {"startsAt": _stamp(began), "endsAt": NEVER if ended is None else _stamp(ended)}
    return {**body, "alerts": [{**alert, **times} for alert in body["alerts"]]}


def _stamp(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Played:
    """A context manager that watches the service and posts what Alertmanager would.

    Args:
        webhook: where to.
        alert: the name of the recordings.
        healthy: asks the service itself; it is the only thing known without a Prometheus.
    """

    def __init__(self, webhook: str, alert: str, healthy: Callable[[], bool]) -> None:
        self._webhook = webhook
        self._alert = alert
        self._healthy = healthy
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="played-alertmanager", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._wait_for(healthy=False):
            began = time.time()
            if self._end.wait(NOTICED_AFTER):
                return
            tell("Alertmanager (played)", f"posts the recorded webhook that {self._alert} fires")
            self._post(dated(recorded(f"{self._alert}-firing"), began, None))
            if self._wait_for(healthy=True):
                return
            tell("Alertmanager (played)", f"posts the recorded webhook that {self._alert} is resolved")
            self._post(dated(recorded(f"{self._alert}-resolved"), began, time.time()))

    def _wait_for(self, *, healthy: bool) -> bool:
        """Wait until the service says so twice in a row; answers whether the end came first."""
        seen = 0
        while seen < 2 and not self._end.is_set():
            seen = seen + 1 if self._healthy() is healthy else 0
            self._end.wait(0.5)
        return self._end.is_set()

    def _post(self, body: Mapping[str, Any]) -> None:
        """Post until it is taken, as Alertmanager does; what isn't taken before the end is lost with the demo."""
        while not self._end.is_set():
            try:
                if httpx.post(self._webhook, json=body, timeout=10.0).is_success:
                    return
            except httpx.TransportError:
                # It is being restarted, or is busy: try again.
                pass
            self._end.wait(0.5)
