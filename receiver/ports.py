"""What the engine asks of the world: Protocols only. Implementations live at the edges.

The store loads what a unit names, lets a pure function decide, and applies its changes: one atomic unit. Many units
share one commit, and a bad one fails alone. Nothing here knows which database that is.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, NamedTuple, Protocol, TypeVar

from receiver.core.alert import Alert, Known
from receiver.core.events import Recorded
from receiver.core.guardrails import ActionRecord as ActionRecord  # noqa: PLC0414 - a name of the ports, too
from receiver.core.incident import Incident
from receiver.core.outbox import OutboxRow as OutboxRow  # noqa: PLC0414 - a name of the ports, too
from receiver.core.playbook import Playbook

T = TypeVar("T")

NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})


class StoreUnavailable(Exception):
    """The store could not make a unit durable; nothing of it was kept. Retryable: answer 503."""


class StoreFull(StoreUnavailable):
    """The disk or the size cap leaves no room."""


class StoreLocked(Exception):
    """Another process owns the database."""


class StoreUnusable(Exception):
    """The database can't be opened: damaged, of a newer release, no database, no permission. Its text is for people."""


class InvalidChanges(ValueError):
    """What a unit decided contradicts what is stored: a wrong seq, a second open incident of a target, ..."""


class Clock(Protocol):
    """Time. `now` is UNIX seconds UTC, for deadlines; `monotonic` for durations."""

    def now(self) -> float:
        """Return UNIX seconds, UTC."""
        ...

    def monotonic(self) -> float:
        """Return seconds that never go back."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


class Ids(Protocol):
    """Unique names; randomness stays at the edge."""

    def incident(self) -> str:
        """Return a new incident's id: short, typable at 3 a.m., e.g. `i-k3f9x2qd`."""
        ...

    def action(self) -> str:
        """Return a new action id."""
        ...

    def approval(self) -> str:
        """Return a new approval's id."""
        ...


# --- the store ----------------------------------------------------------------------------------------------------

# What every alert makes anew is a named tuple: as immutable as a frozen dataclass, and made in a third of its time.


class View(NamedTuple):
    """What a unit named, as it is now (changes of earlier units of the same commit included).

    Args:
        alerts: the latest known of each named fingerprint that is known.
        incidents: named incidents by id, and the incidents of `alerts`.
        open: the open incident of each named target that has one.
        actions: those that the unit asked for, earliest first. No other unit begins one between this look and the
            unit's commit: two that each may begin the last allowed action see each other.
    """

    alerts: Mapping[str, Known]
    incidents: Mapping[str, Incident]
    open: Mapping[str, Incident]
    actions: Sequence[ActionRecord] = ()


class AlertRow(NamedTuple):
    """An alert to insert or to overwrite, by fingerprint; `reason` says why no playbook took it.

    `repeats` is filled in on reading: deliveries that changed nothing. Overwriting starts it anew.
    """

    alert: Alert
    incident: str | None
    playbook: str | None = None
    reason: str | None = None
    seen_at: float = 0.0
    repeats: int = 0


class Repeat(NamedTuple):
    """A delivery that changed nothing: a counter on the alert."""

    fingerprint: str
    at: float


class Changes(NamedTuple):
    """What a unit decided. All of it is applied, or none.

    Args:
        alerts, repeats: rows by fingerprint.
        incidents: new states; the row's seq must be the stored one plus the number of its events.
        events: appended, in order.
        wake: when each incident wants to be looked at next (UNIX seconds); None: never again. An incident that is
            not named keeps its wake-up; one that ends loses it.
        outbox: rows to send.
        playbooks: versions to keep, stored once by content hash.
        counters: increments of named counters (unmatched by reason, quarantined, ...).
    """

    alerts: Sequence[AlertRow] = ()
    repeats: Sequence[Repeat] = ()
    incidents: Sequence[Incident] = ()
    events: Sequence[Recorded] = ()
    wake: Mapping[str, float | None] = NOTHING
    outbox: Sequence[OutboxRow] = ()
    playbooks: Sequence[Playbook] = ()
    counters: Mapping[str, int] = NOTHING


class Body(NamedTuple):
    """A raw webhook body, kept for `keep` seconds (7 days by default) as evidence."""

    received_at: float
    raw: bytes
    alerts: int
    sender: str = ""


@dataclass(frozen=True, slots=True)
class Quarantined:
    """One bad alert of an otherwise good group: kept, counted, visible."""

    at: float
    where: str
    message: str
    raw: str


@dataclass(frozen=True, slots=True)
class Letter:
    """An outbox row that was not sent: one that waits, or a dead one that was given up, and why.

    `id` is what `Store.resend` takes.
    """

    row: OutboxRow
    attempts: int
    error: str
    id: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """What of one incident waits in a lane.

    Args:
        incident: its id.
        severity, state: the incident's as they are now; empty when it is no longer kept.
        reference: of its header in that lane; None: none was posted yet.
        first: the place of its earliest row in the lane.
        header: whether a header waits.
        entries: how many other rows do.
        asks: whether an approval is among them.
    """

    incident: str
    severity: str
    state: str
    reference: str | None
    first: int
    header: bool
    entries: int
    asks: bool


class Unit(NamedTuple):
    """One atomic unit of work.

    Args:
        fingerprints, targets, incidents: what `decide` needs to see.
        decide: pure; called on the store's own thread perhaps, with what was named, and again when the commit that
            it shared with others had to be redone. May raise: then the unit alone fails and its caller gets the
            exception.
        actions_since: UNIX seconds; `decide` needs to see the actions started since then and all that are under way.
        body: a raw body to keep, written in the same unit.
        quarantined: bad alerts to keep, written in the same unit.
    """

    decide: Callable[[View], Changes]
    fingerprints: Sequence[str] = ()
    targets: Sequence[str] = ()
    incidents: Sequence[str] = ()
    actions_since: float | None = None
    body: Body | None = None
    quarantined: Sequence[Quarantined] = ()


@dataclass(frozen=True, slots=True)
class IncidentFilter:
    """What a list asks for; `after` is the cursor that the last page gave."""

    open_only: bool = False
    state: str | None = None
    target: str | None = None
    severity: str | None = None
    limit: int = 50
    after: str | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a list: newest first; `next` is None on the last."""

    items: Sequence[Any]
    next: str | None


@dataclass(frozen=True, slots=True)
class FeedPage:
    """A stretch of what happened to all incidents, in the order in which it became durable.

    Args:
        events: each with its place. Places grow, also over restarts; they aren't without gaps.
        last: the place from which to go on.
        complete: False when some of what followed the wanted place is no longer kept, or the place is not of this
            database: who goes on from here has to read the incidents anew.
    """

    events: Sequence[tuple[int, Recorded]]
    last: int
    complete: bool


class Store(Protocol):
    """The durable truth. Every method may raise StoreUnavailable."""

    async def submit(self, unit: Unit) -> Changes:
        """Decide and apply one unit; returns when it is durable.

        Units of one caller that must not wait for each other's result keep their order only when each is awaited
        before the next: small units overtake big ones. Submit the parts of a big group one after the other.

        Raises:
            StoreUnavailable: too many wait already, or the disk failed: nothing of it was kept.
            StoreFull: no room; only units that bring a body are refused while there is a reserve for the others.
            InvalidChanges: the decision contradicts what is stored.
            Exception: whatever `decide` raised.
        """
        ...

    async def due(self, now: float, limit: int) -> Sequence[tuple[str, str]]:
        """Return (incident, target) of wake-ups that are due, earliest first."""
        ...

    async def next_wake(self, after: float | None = None) -> float | None:
        """Return when the earliest wake-up is due, or the earliest one later than `after`."""
        ...

    async def incident(self, incident_id: str) -> Incident | None:
        """Return one incident."""
        ...

    async def incidents(self, wanted: IncidentFilter) -> Page:
        """Return incidents, newest first."""
        ...

    async def events(self, incident_id: str, after: int = 0, limit: int = 1000) -> Sequence[Recorded]:
        """Return the log of an incident from `seq > after`."""
        ...

    async def feed(self, after: int, limit: int = 500) -> FeedPage:
        """Return the events of all incidents behind a place, in the order in which they became durable."""
        ...

    async def feed_end(self) -> int:
        """Return the place of the latest event; 0 when there is none."""
        ...

    async def alerts(self, incident_id: str, limit: int = 1000) -> Sequence[AlertRow]:
        """Return the alerts of an incident."""
        ...

    async def firing(self, limit: int = 100_000) -> Mapping[str, AlertRow]:
        """Return the alerts that fire, by fingerprint, for a re-sync."""
        ...

    async def unmatched(self, limit: int = 100, after: str | None = None) -> Page:
        """Return alerts that no playbook took, with the reason and how often, newest first."""
        ...

    async def quarantined(self, limit: int = 100, after: str | None = None) -> Page:
        """Return alerts that could not be read."""
        ...

    async def playbook(self, version: str) -> Playbook | None:
        """Return a stored playbook version."""
        ...

    async def actions(self, since: float) -> Sequence[ActionRecord]:
        """Return actions started since then, and all that are under way, for guardrails."""
        ...

    async def outbox(self, limit: int) -> Sequence[tuple[int, OutboxRow, int]]:
        """Return (row id, row, attempts) that may be sent now: the head of each lane."""
        ...

    async def sent(self, row: int, reference: str | None) -> None:
        """Mark a row as sent, keeping the reference of a header.

        A header that got newer content while it was on its way stays unsent, and the reference is kept.
        """
        ...

    async def reference(self, lane: str, incident: str) -> str | None:
        """Return what `sent` kept for the incident's header in that lane: where to edit, where to append."""
        ...

    async def refer(self, lane: str, incident: str, reference: str | None) -> None:
        """Keep another reference than `sent` did, or none: the header that it named is gone."""
        ...

    async def lane(self, lane: str, limit: int) -> Sequence[Waiting]:
        """Return what is unsent in a lane, by incident: the worst severity first, then the oldest."""
        ...

    async def lane_rows(
        self, lane: str, incident: str, limit: int, *, header: bool = False
    ) -> Sequence[tuple[int, OutboxRow, int]]:
        """Return (row id, row, attempts) of an incident's entries that wait in a lane, in order; or of its header."""
        ...

    async def letters(self, *, dead: bool, limit: int = 100, after: str | None = None) -> Page:
        """Return Letter rows that wait, or those that were given up, newest first."""
        ...

    async def resend(self, letter: str) -> bool:
        """Let a dead letter wait again; False when there is none of that id. A header with a newer one is done."""
        ...

    async def unsent(self, row: int, error: str, again_at: float | None) -> None:
        """Count a failed attempt; tried again at that time, None: to the dead letters."""
        ...

    async def get(self, key: str) -> Any:
        """Return a small named JSON value (kill switch, known-good lists, ...); None when unset."""
        ...

    async def put(self, key: str, value: Any) -> None:
        """Set a small named JSON value, durably."""
        ...

    async def bodies(self, since: float, until: float, limit: int = 100) -> Sequence[Body]:
        """Return kept raw bodies that were received in that time, oldest first."""
        ...

    async def counts(self) -> Mapping[str, Any]:
        """Return figures for metrics.

        Keys: `incidents` ((state, severity) -> n), `alerts` (`firing`, `resolved`), `outbox` (`waiting`, `dead`),
        `paged` (incidents that people are called about), `wakes`, `waiting_units`, `counters` (name -> n), `bytes`,
        `bytes_limit`, `disk_free`, `full` (why units that bring a body are refused; None: they are not).
        """
        ...

    async def prune(self, now: float) -> Mapping[str, int]:
        """Delete what retention no longer keeps, in small transactions; returns counts by kind."""
        ...

    async def close(self) -> None:
        """Finish what was submitted and release the database."""
        ...


# --- the world ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Sample:
    """One sample of an instant query; `value` may be NaN or infinite, `at` is UNIX seconds."""

    labels: Mapping[str, str]
    value: float
    at: float


class MetricsUnavailable(Exception):
    """The metrics source could not be asked, or answered with an error; its text is for people."""


class MetricsSource(Protocol):
    """Prometheus, seen from the verifier."""

    async def query(self, expr: str, at: float | None = None) -> Sequence[Sample]:
        """Run an instant query; raises MetricsUnavailable."""
        ...

    async def firing(self, alertname: str, labels: Mapping[str, str]) -> bool | None:
        """Whether the alert fires in the source itself (`ALERTS`), ignoring external labels; None: can't be told."""
        ...


@dataclass(frozen=True, slots=True)
class Series:
    """One series of a range query: (UNIX seconds, value) in order; values may be NaN or infinite."""

    labels: Mapping[str, str]
    points: Sequence[tuple[float, float]]


class RangeSource(Protocol):
    """Prometheus, seen from a chart."""

    async def query_range(self, expr: str, start: float, end: float, step: float) -> Sequence[Series]:
        """Return an expression's values from `start` to `end`, each `step` seconds; raises MetricsUnavailable."""
        ...


class TooBusy(Exception):
    """More is asked for than can be worked on; nothing was done."""


class ChatError(Exception):
    """A message could not be sent. `retry_after` in seconds; None: never by repeating it. `unknown`: perhaps it was."""

    def __init__(self, message: str, *, retry_after: float | None = None, unknown: bool = False) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.unknown = unknown


class UserGroups(Protocol):
    """Who is in the user groups of a chat."""

    def members(self, team: str, group: str) -> Collection[str] | None:
        """Return the ids of a group's users as they were last told; None when that isn't known, or too old to count.

        It is asked within a unit of the store, so it answers at once.
        """
        ...


class Chat(Protocol):
    """Where incidents are told: a header per incident, edited in place, and an append-only thread."""

    async def header(self, incident: str, payload: Mapping[str, Any], reference: str | None) -> str:
        """Post the header, or edit the one that `reference` names; returns the reference. Raises ChatError."""
        ...

    async def thread(self, incident: str, payload: Mapping[str, Any], reference: str | None, key: str) -> str:
        """Append to the incident's thread; `key` lets a lost answer be looked up."""
        ...

    async def find(self, incident: str, key: str, reference: str | None) -> str | None:
        """Return the reference of a message that was sent with that key, for unknown sends.

        `reference` is the header's, None when none was posted as far as is known: then the key is a header's.
        """
        ...


class Jobs(Protocol):
    """The job queue: hands out incidents that are due, one at a time per incident and per target, at least once."""

    async def run(self, work: Callable[[str], Any]) -> None:
        """Call `work(incident id)` for what is due until cancelled."""
        ...

    def nudge(self, at: float = 0.0) -> None:
        """Say that something is due at a time (UNIX seconds), by default now."""
        ...
