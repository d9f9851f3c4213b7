"""What the HTTP edge asks of the service behind it: Protocols only, and the one bundle that it is built from."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from receiver.core.alert import Alert
from receiver.metrics import Metrics
from receiver.people import People
from receiver.ports import Body, Clock, Quarantined, Store
from receiver.settings import Settings
from receiver.verbs import Operations
from receiver.web.feed import Feed
from receiver.web.health import Health

if TYPE_CHECKING:
    from receiver.web.oidc.flow import Oidc


class Received(Protocol):
    """How many alerts of a delivery were what."""

    @property
    def new(self) -> int:
        """Episodes not seen before."""
        ...

    @property
    def repeats(self) -> int:
        """Deliveries that changed nothing."""
        ...

    @property
    def resolved(self) -> int:
        """Known episodes that ended."""
        ...

    @property
    def refired(self) -> int:
        """Firing after resolved, same start."""
        ...

    @property
    def stale(self) -> int:
        """About an episode older than the latest."""
        ...

    @property
    def unmatched(self) -> int:
        """New ones that no playbook takes."""
        ...


class Ingests(Protocol):
    """The engine, seen from the webhook."""

    async def ingest(
        self,
        alerts: Sequence[Alert],
        *,
        body: Body | None = None,
        quarantined: Sequence[Quarantined] = (),
        source: str = "webhook",
    ) -> Received:
        """Store alerts and what follows; durable when it returns. Raises StoreUnavailable."""
        ...


@dataclass(frozen=True, slots=True)
class Reloaded:
    """How a reload ended; with problems the old policy stays in force."""

    ok: bool
    text: str
    problems: Sequence[str] = ()


class Interactions(Protocol):
    """Takes what people do in Slack, however it reached us."""

    async def interactive(self, payload: Mapping[str, Any]) -> dict[str, Any] | None:
        """Take a press or a sent modal; returns the body of the answer, None for an empty one. Raises TooBusy."""
        ...

    async def command(self, form: Mapping[str, str]) -> dict[str, Any] | None:
        """Take a slash command, likewise."""
        ...


class Reload(Protocol):
    """Loads policy and people again."""

    async def __call__(self) -> Reloaded:
        """Do it; nothing changes unless all of it is usable."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What the HTTP edge is built from.

    Args:
        feed: tells what happens to incidents, live.
        simulate: says what would be done about alerts, and why; changes nothing.
        people: returns today's people, as the last reload left them.
        reload: loads policy and people again.
        resync: called when only Alertmanager can tell what fires: it left alerts out of a webhook, or sent something
            that contradicts what is known.
        observe: called before `/metrics` is rendered; sets the gauges that only the composition root knows.
        services: returns the names of today's services, to choose from.
        slack: takes what people do in Slack; None: Slack is off.
        oidc: signs people in at a provider; None: nobody is.
    """

    settings: Settings
    engine: Ingests
    operations: Operations
    store: Store
    clock: Clock
    metrics: Metrics
    health: Health
    feed: Feed
    simulate: Callable[[Sequence[Alert]], Awaitable[dict[str, Any]]]
    people: Callable[[], People]
    reload: Reload
    resync: Callable[[], None] = lambda: None
    observe: Callable[[], None] = lambda: None
    services: Callable[[], Sequence[str]] = tuple
    slack: Interactions | None = None
    oidc: Oidc | None = None
