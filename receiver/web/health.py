"""Whether the service lives, and whether it can take webhooks.

An engine, Prometheus or chat that doesn't answer is a state, shown here and in the metrics; it takes nothing away from
readiness, or one bad part would take the receiver of alerts down with it.
"""

from __future__ import annotations

from collections.abc import Mapping


class Health:
    """What the composition root knows of its parts.

    Args:
        ready: False until everything is started, and again from the moment that it stops.
    """

    def __init__(self) -> None:
        self._reason: str | None = "starting"
        self._store: str | None = None
        self._parts: dict[str, str] = {}

    @property
    def reason(self) -> str | None:
        """Why it takes no webhooks, starting or stopping; None when it does."""
        return self._reason

    @property
    def unready_because(self) -> str | None:
        """Why no webhook could be made durable now, the store's own reason included; None when one could."""
        return self._reason or self._store

    @property
    def parts(self) -> Mapping[str, str]:
        """Each part's state in a word or two: `ok`, `unreachable`, `not configured`, ..."""
        return self._parts

    def ready(self) -> None:
        """Webhooks can be taken from now on."""
        self._reason = None

    def unready(self, reason: str) -> None:
        """No webhook can be made durable from now on."""
        self._reason = reason

    def store(self, reason: str | None) -> None:
        """Note why the store takes nothing more, None when it does; each webhook still asks it."""
        self._store = reason

    def part(self, name: str, state: str) -> None:
        """Note a part's state; shown without authentication, so it names no host and no secret."""
        self._parts[name] = state
