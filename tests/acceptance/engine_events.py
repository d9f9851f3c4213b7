"""What a container engine says that was done to its containers, as it happens: nobody's word but its own."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Collection
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from deploy.parts.engine import Engine

ACTIONS = ("create", "start", "restart", "kill", "stop", "die", "rename", "update", "destroy")
"""What is followed: everything that changes a container, but not the health checks' own processes."""

SERVICE = "com.docker.compose.service"
STAMP = "remediator.action"

STRETCH = 2.0
"""Seconds of events in one answer of the engine."""

OVERLAP = 0.5
"""Seconds that two answers have in common; what both tell is noted once."""


@dataclass(frozen=True, slots=True)
class Event:
    """One thing done to one container.

    Args:
        at: UNIX seconds, by the engine's clock.
        action: one of `ACTIONS`.
        container: its ID.
        name: its name then.
        service: the service that its labels name.
        stamp: the remediator's action that made it, empty for none.
    """

    at: float
    action: str
    container: str
    name: str
    service: str
    stamp: str


class EngineEvents:
    """Follows the engine's events on a thread of its own, from now on."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._seen: list[Event] = []
        self._told: set[tuple[int, str, str]] = set()
        self._changed = threading.Condition()
        self._ending = False
        self._thread = threading.Thread(target=self._follow, name="engine events", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending = True
        self._thread.join()

    def mark(self) -> int:
        """Return the place in the row of events that is now its end."""
        with self._changed:
            return len(self._seen)

    def since(self, mark: int) -> list[Event]:
        """Return what was done since a mark."""
        with self._changed:
            return self._seen[mark:]

    def wait_for(self, actions: Collection[str], mark: int, limit: float) -> Event | None:
        """Return the first of these actions since a mark as soon as it is told; None when none is within the limit."""
        deadline = time.monotonic() + limit
        with self._changed:
            while True:
                found = next((one for one in self._seen[mark:] if one.action in actions), None)
                left = deadline - time.monotonic()
                if found is not None or left <= 0:
                    return found
                self._changed.wait(left)

    def _follow(self) -> None:
        # The engine ends each answer by itself, so that this thread never hangs in one; it remembers what came between.
        since = time.time()
        with self._engine.client(timeout=30.0) as http:
            while not self._ending:
                until = time.time() + STRETCH
                filters = json.dumps({"type": ["container"], "event": list(ACTIONS)})
                query = {"since": f"{since:.9f}", "until": f"{until:.9f}", "filters": filters}
                with http.stream("GET", "/events", params=query) as answer:
                    for line in answer.iter_lines():
                        self._note(json.loads(line))
                since = until - OVERLAP

    def _note(self, told: dict[str, Any]) -> None:
        key = (told["timeNano"], told["Actor"]["ID"], told["Action"])
        about = told["Actor"]["Attributes"]
        names = (about.get("name", ""), about.get(SERVICE, ""), about.get(STAMP, ""))
        with self._changed:
            if key not in self._told:
                self._told.add(key)
                self._seen.append(Event(told["timeNano"] / 1e9, told["Action"], told["Actor"]["ID"], *names))
                self._changed.notify_all()
