"""A runtime without a world: instances in a dictionary, time from outside. For tests and for the simulation.

It keeps the protocol's promises (it passes the conformance suite), and it can be cut in the middle of a replacement.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from enum import StrEnum

from remediations.protocol import (
    STAMP_ACTION,
    STAMP_CLONED_FROM,
    STAMP_REPLACED_BY,
    ActionRefused,
    Health,
    Instance,
    Json,
    KnownGood,
    Progress,
    Target,
    TargetNotFound,
)

MAX_LOG_LINES = 500
POLL = 0.5


class Behaviour(StrEnum):
    """How instances of a version behave once they are started."""

    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"
    STARTING = "starting"
    EXITS = "exits"
    UNCHECKED = "unchecked"


@dataclass(slots=True)
class Service:
    """What a service looks like in memory.

    Args:
        instances: by name.
        versions: how instances of each image behave when started.
        boot: seconds from a start to healthy (or to unhealthy, or to the exit).
        aside: what replacements in progress have set aside: instance and action id, by name.
        failed: why a replacement in progress failed, by name: it only has to be taken back.
        lines: log lines by instance.
    """

    instances: dict[str, Instance] = field(default_factory=dict)
    versions: dict[str, Behaviour] = field(default_factory=dict)
    boot: float = 1.0
    aside: dict[str, tuple[Instance, str]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    lines: dict[str, tuple[str, ...]] = field(default_factory=dict)


class MemoryRuntime:
    """Instances in memory; `made` counts them.

    `between` is called at each point inside a replacement at which a crash may cut it.
    """

    def __init__(
        self,
        now: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
        *,
        name: str = "memory",
        between: Callable[[str], None] = lambda _point: None,
    ) -> None:
        self.name = name
        self.services: dict[str, Service] = {}
        self.between = between
        self._now = now
        self._sleep = sleep
        self.made = 0

    def create(self, service: str, name: str, image_id: str) -> Instance:
        """Create and start an instance, as a person or a deployment would; an existing one is created anew."""
        world = self.services.setdefault(service, Service())
        world.versions.setdefault(image_id, Behaviour.HEALTHY)
        self.made += 1
        fresh = Instance(
            id=f"{name}#{self.made}",
            name=name,
            running=False,
            health=Health.NONE,
            image_id=image_id,
            image=image_id,
            started_at=None,
            created_at=self._now(),
            status="created",
        )
        return self._start(world, fresh)

    def put(self, service: str, instance: Instance) -> None:
        """Set an instance as it is given: for faults (stopped, unhealthy, restarting)."""
        self.services[service].instances[instance.name] = instance

    async def check(self) -> Json:
        """Return facts about this engine."""
        return {"version": "memory"}

    async def instances(self, target: Target) -> tuple[Instance, ...]:
        """Return the instances as they are now."""
        world = self._world(target)
        if not world.instances and not world.aside:
            raise TargetNotFound(f"{target.service} has no instances; there are: {', '.join(sorted(self.services))}")
        return tuple(self._seen(world, one) for _, one in sorted(world.instances.items()))

    async def restart(self, target: Target, instance: Instance) -> None:
        """Start it anew."""
        world = self._world(target)
        self._start(world, self._one(world, instance.name))

    async def add_instance(self, target: Target, like: Instance, name: str, action_id: str) -> Instance:
        """Start a stamped copy; returns the one that is there when it is this action's."""
        world = self._world(target)
        there = world.instances.get(name)
        if there is not None:
            if there.stamps.get(STAMP_ACTION) != action_id:
                raise ActionRefused(f"{name} exists and wasn't made by action {action_id}")
            return self._seen(world, there) if there.started_at is not None else self._start(world, there)
        made = self.create(target.service, name, like.image_id)
        stamped = replace(made, stamps={STAMP_ACTION: action_id, STAMP_CLONED_FROM: like.name})
        world.instances[name] = stamped
        return self._seen(world, stamped)

    async def remove_instance(self, target: Target, name: str, action_id: str) -> bool:
        """Remove the copy that this action made."""
        world = self._world(target)
        there = world.instances.get(name)
        if there is None:
            return False
        if there.stamps.get(STAMP_ACTION) != action_id:
            raise ActionRefused(f"{name} wasn't made by action {action_id}; it stays")
        del world.instances[name]
        return True

    async def replace_instance(
        self, target: Target, instance: Instance, version: KnownGood, action_id: str, *, healthy_within: float
    ) -> Instance:
        """Set the old one aside, start the new one, wait, and let go of the old; or bring the old one back."""
        world = self._world(target)
        name = instance.name
        if await self.replaced(target, name, action_id) is Progress.DONE:
            return self._seen(world, world.instances[name])
        if version.image_id not in world.versions:
            raise ActionRefused(f"{version.image_id} does not exist any more; {name} is untouched")
        if name not in world.aside:
            world.aside[name] = (self._one(world, name), action_id)
            del world.instances[name]
            self.between("set aside")
        old, owner = world.aside[name]
        if owner != action_id:
            raise ActionRefused(f"a replacement of {name} by action {owner} is unfinished")
        if name not in world.instances and name not in world.failed:
            made = self.create(target.service, name, version.image_id)
            world.instances[name] = replace(made, stamps={**old.stamps, STAMP_REPLACED_BY: action_id})
            self.between("created")
        reason = world.failed.get(name) or await self._wait(world, name, healthy_within)
        self.between("waited")
        if reason is not None:
            world.failed[name] = reason
            world.instances.pop(name, None)
            self.between("removed the new one")
            self._start(world, old)
            del world.aside[name], world.failed[name]
            raise ActionRefused(f"{name} {reason} on {version.image}; the old one was restored")
        del world.aside[name]
        return self._seen(world, world.instances[name])

    async def replaced(self, target: Target, name: str, action_id: str) -> Progress:
        """Tell how far a replacement came."""
        world = self._world(target)
        if name in world.aside:
            return Progress.PARTIAL if world.aside[name][1] == action_id else Progress.SUPERSEDED
        if name not in world.instances:
            return Progress.SUPERSEDED
        mine = world.instances[name].stamps.get(STAMP_REPLACED_BY) == action_id
        return Progress.DONE if mine else Progress.NOT_STARTED

    async def version_exists(self, version: KnownGood) -> bool:
        """Whether any service knows how this version behaves."""
        return any(version.image_id in world.versions for world in self.services.values())

    async def keep_version(self, target: Target, instance: Instance, now: float) -> KnownGood:
        """Return the record; in memory nothing is ever pruned."""
        world = self._world(target)
        world.versions.setdefault(instance.image_id, Behaviour.HEALTHY)
        return KnownGood(instance.image_id, instance.image, now)

    async def forget_version(self, target: Target, version: KnownGood) -> None:
        """Forget a version that nothing runs."""
        world = self._world(target)
        if version.image_id not in {one.image_id for one in world.instances.values()}:
            world.versions.pop(version.image_id, None)

    async def logs(self, target: Target, instance: Instance, lines: int) -> tuple[str, ...]:
        """Return the last lines that were put there."""
        wanted = max(0, min(lines, MAX_LOG_LINES))
        return self._world(target).lines.get(instance.name, ())[-wanted:] if wanted else ()

    async def stats(self, target: Target, instance: Instance) -> Json:
        """Return a quiet instance's figures."""
        self._one(self._world(target), instance.name)
        return {"cpu_ratio": 0.0, "memory_bytes": 0, "memory_limit_bytes": 0}

    async def received(self, target: Target, instance: Instance) -> float | None:
        """Say that it isn't known: there is no network."""
        return None

    async def disk(self) -> Json:
        """Return nothing: there is no disk."""
        return {}

    async def close(self) -> None:
        """Nothing to release."""

    def _world(self, target: Target) -> Service:
        world = self.services.get(target.service)
        if world is None:
            known = ", ".join(sorted(self.services)) or "none"
            raise TargetNotFound(f"no service {target.service} in memory; there are: {known}")
        return world

    def _one(self, world: Service, name: str) -> Instance:
        if name not in world.instances:
            raise TargetNotFound(f"no instance {name}; there are: {', '.join(sorted(world.instances)) or 'none'}")
        return world.instances[name]

    def _start(self, world: Service, instance: Instance) -> Instance:
        # Two starts at one moment of a fake clock are still two starts.
        later = self._now() if instance.started_at is None else max(self._now(), instance.started_at + 1e-6)
        unchecked = world.versions.get(instance.image_id) is Behaviour.UNCHECKED
        health = Health.NONE if unchecked else Health.STARTING
        started = replace(instance, running=True, health=health, started_at=later, status="running", restart_count=0)
        world.instances[instance.name] = started
        return self._seen(world, started)

    def _seen(self, world: Service, instance: Instance) -> Instance:
        """Return the instance as its behaviour has made it by now."""
        booting = instance.running and instance.health is Health.STARTING and instance.started_at is not None
        if not booting or self._now() - (instance.started_at or 0.0) < world.boot:
            return instance
        match world.versions.get(instance.image_id, Behaviour.HEALTHY):
            case Behaviour.HEALTHY:
                return replace(instance, health=Health.HEALTHY)
            case Behaviour.UNHEALTHY:
                return replace(instance, health=Health.UNHEALTHY)
            case Behaviour.EXITS:
                return replace(instance, running=False, health=Health.NONE, status="exited")
            case Behaviour.STARTING | Behaviour.UNCHECKED:
                return instance

    async def _wait(self, world: Service, name: str, healthy_within: float) -> str | None:
        """Wait until the instance serves; return what keeps it from it, None when it serves."""
        waited = 0.0
        while True:
            seen = self._seen(world, world.instances[name])
            if seen.serving:
                return None
            if not seen.running or seen.health is Health.UNHEALTHY or waited >= healthy_within:
                return f"is {seen.status if not seen.running else seen.health.value}"
            await self._sleep(POLL)
            waited += POLL
