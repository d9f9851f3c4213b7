"""Known-good versions: what a service ran healthy for long enough, without an alert or an incident.

Watched from the outside at an interval; the last three are kept on their runtime, so that there is something to go
back to when a tag has moved.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from receiver.core.playbook import Service
from receiver.ports import Clock, IncidentFilter, Store
from receiver.targets import known_good_key, known_good_of, target_of
from remediations.protocol import Instance, KnownGood, RemediationError, Runtime, Target

KEPT = 3
"""Versions kept for each service."""

LONGEST_INTERVAL = 30.0
"""Seconds between looks; shorter where `good_after` is short, longer where there are many services."""

LOOKS_PER_SECOND = 20.0
"""Over all services: a look asks the engine and the store, and thousands of them must not keep a core busy."""

CHECK_EVERY = 300.0
"""Seconds between two looks whether the kept versions are still there: `image prune -a` takes the tags too."""

MISSED = 4.0
"""Intervals without a look after which health in between counts as unknown."""


@dataclass(frozen=True, slots=True)
class Record:
    """What is known about the versions of a service.

    Args:
        image_id: what runs, empty before the first look.
        changed_at: UNIX seconds since which it runs.
        good_since: UNIX seconds since which it has been seen healthy and quiet without a gap; None: it isn't.
        seen_at: UNIX seconds of the last look.
        versions: known good, newest first.
    """

    image_id: str = ""
    changed_at: float | None = None
    good_since: float | None = None
    seen_at: float = 0.0
    versions: tuple[KnownGood, ...] = ()


def looked(record: Record, instances: Iterable[Instance], now: float, *, quiet: bool, gap: float) -> Record:
    """Return the record after a look; pure.

    Args:
        instances: of the service, stopped ones too.
        quiet: whether no alert and no incident is on the service.
        gap: seconds without a look after which a run of health is broken.
    """
    found = tuple(instances)
    images = {one.image_id for one in found}
    if len(images) != 1:
        return replace(record, good_since=None, seen_at=now)
    image_id = images.pop()
    if image_id != record.image_id:
        # A container is made anew for another image: its creation is the deployment.
        since = min(one.created_at for one in found)
        record = replace(record, image_id=image_id, changed_at=since, good_since=None)
    well = quiet and all(one.serving for one in found)
    if not well or now - record.seen_at > gap:
        return replace(record, good_since=now if well else None, seen_at=now)
    return replace(record, good_since=record.good_since if record.good_since is not None else now, seen_at=now)


def ripe(record: Record, good_after: float, now: float) -> bool:
    """Whether what runs has become known good and is not the newest of the list yet."""
    if record.good_since is None or now - record.good_since < good_after:
        return False
    return not record.versions or record.versions[0].image_id != record.image_id


def interval(services: Collection[Service]) -> float:
    """Return the seconds between two rounds of looks at these services."""
    shortest = min((one.good_after for one in services), default=LONGEST_INTERVAL)
    return max(0.5, min(max(LONGEST_INTERVAL, len(services) / LOOKS_PER_SECOND), shortest / 4))


class KnownGoodWatch:
    """Looks at every service at an interval and keeps its record in the store.

    Args:
        services: today's.
        runtime: of a service; raises EngineUnavailable.
        told: called with what should be logged: (service, sentence).
        lost: called with the known-good versions of a service that are gone, when that changes: rollback is refused.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        services: Callable[[], Mapping[str, Service]],
        runtime: Callable[[Service], Runtime],
        told: Callable[[str, str], None],
        lost: Callable[[str, Sequence[KnownGood]], None] = lambda *_: None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._services = services
        self._runtime = runtime
        self._told = told
        self._last: dict[str, str] = {}
        self._lost = lost
        self._gone: dict[str, tuple[KnownGood, ...]] = {}
        self._check_at: dict[str, float] = {}

    async def run(self) -> None:
        """Look until cancelled."""
        took = 0.0
        while True:
            services = self._services().values()
            every = interval(services)
            begun = self._clock.monotonic()
            for service in services:
                try:
                    # A round of a big fleet, or on a slow engine, may take longer than the time between two rounds.
                    await self.look(service, every + took)
                except RemediationError as error:
                    self._tell(service.name, f"its versions can't be watched: {error}")
                else:
                    self._last.pop(service.name, None)
            took = self._clock.monotonic() - begun
            await self._clock.sleep(every)

    def _tell(self, service: str, text: str) -> None:
        """Tell what is wrong once, not with every look."""
        if self._last.get(service) != text:
            self._last[service] = text
            self._told(service, text)

    async def look(self, service: Service, every: float) -> Record:
        """Look at one service; a version that became known good is kept, the oldest beyond three is let go.

        Args:
            every: seconds between two looks, with what a round of them takes.
        """
        key, now = known_good_key(service.name), self._clock.now()
        record = _record(await self._store.get(key))
        runtime, target = self._runtime(service), target_of(service)
        instances = await runtime.instances(target)
        busy = await self._store.incidents(IncidentFilter(open_only=True, target=service.name, limit=1))
        after = looked(record, instances, now, quiet=not busy.items, gap=MISSED * every)
        if after != record:
            await self._store.put(key, asdict(after))
        if ripe(after, service.good_after, now):
            after = await self._keep(service.name, runtime, target, instances[0], after)
            await self._store.put(key, asdict(after))
        if now >= self._check_at.get(service.name, 0.0):
            self._check_at[service.name] = now + CHECK_EVERY
            await self._check(service.name, runtime, after)
        return after

    async def _keep(self, service: str, runtime: Runtime, target: Target, instance: Instance, record: Record) -> Record:
        """Keep what runs; the oldest beyond three is let go."""
        version = await runtime.keep_version(target, instance, self._clock.now())
        rest = tuple(one for one in record.versions if one.image_id != version.image_id)
        for gone in rest[KEPT - 1 :]:
            await runtime.forget_version(target, gone)
        self._told(service, f"{version.image} ({version.image_id[:19]}) is known good now")
        return replace(record, versions=(version, *rest)[:KEPT])

    async def _check(self, service: str, runtime: Runtime, record: Record) -> None:
        """Look whether what is kept is still there."""
        gone = tuple([one for one in record.versions if not await runtime.version_exists(one)])
        if gone != self._gone.get(service):
            self._gone[service] = gone
            self._lost(service, gone)


def _record(value: Mapping[str, Any] | None) -> Record:
    if value is None:
        return Record()
    return Record(**{**value, "versions": known_good_of(value)})
