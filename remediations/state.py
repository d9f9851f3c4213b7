"""What an action writes down about a target before and after its effect, and reads again after a crash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from remediations.protocol import (
    Context,
    EngineUnavailable,
    Health,
    Instance,
    Json,
    OutcomeUnknown,
    TargetNotFound,
    TargetProtected,
    Verdict,
)

INSTANCES = "instances"


async def read_instances(context: Context) -> dict[str, Instance]:
    """Return the target's instances by name; none at all is an empty answer, not an error.

    For a look at a target that an action has begun to change: the only instance may be gone for good or for a moment.
    """
    try:
        found = await context.runtime.instances(context.target)
    except TargetNotFound:
        return {}
    return {instance.name: instance for instance in found}


async def instances_to_act_on(context: Context) -> tuple[Instance, ...]:
    """Return the target's instances for a plan; raises TargetProtected when one is nobody's to act on."""
    found = await context.runtime.instances(context.target)
    for instance in found:
        if instance.protected:
            raise TargetProtected(f"{context.target.service}: {instance.protected}")
    return found


async def state_after(context: Context) -> dict[str, Any]:
    """Return the state to store after a change; raises OutcomeUnknown when the target can't be asked any more."""
    try:
        return snapshot((await read_instances(context)).values())
    except EngineUnavailable as error:
        raise OutcomeUnknown(f"it was changed, and can't be asked how it is now: {error}") from error


def snapshot(instances: Iterable[Instance]) -> dict[str, Any]:
    """Return the state to store: everything that is known of each instance, by name."""
    return {INSTANCES: {instance.name: _to_json(instance) for instance in instances}}


def recorded(state: Json, name: str) -> Instance | None:
    """Return the instance of that name as `snapshot` stored it, None when it wasn't there."""
    found: Mapping[str, Any] = state.get(INSTANCES, {})
    return _from_json(name, found[name]) if name in found else None


def revision(instances: Iterable[Instance], *decisions: object) -> str:
    """Return a short text that changes when the instances, what they run, or the plan's own decisions do.

    Health and times of start are left out: an approval stays good while a service flaps.
    """
    known = sorted((instance.name, instance.id, instance.image_id) for instance in instances)
    digest = hashlib.sha256(json.dumps([known, *decisions], sort_keys=True).encode())
    return digest.hexdigest()[:12]


def serving(instances: Iterable[Instance]) -> int:
    """Count the instances that serve."""
    return sum(instance.serving for instance in instances)


def unhealthy_first(instances: Iterable[Instance]) -> list[Instance]:
    """Return the instances in the order in which to touch them: what already fails is lost no further."""
    return sorted(instances, key=lambda instance: (instance.serving, instance.name))


def lowest_on_the_way(everyone: Sequence[Instance], order: Sequence[Instance]) -> int:
    """Return the fewest serving instances while each of `order` is taken down and comes back serving, one at a time.

    An instance that already fails isn't counted as lost, and counts as serving after its turn: rolling stops if not.
    """
    healthy = lowest = serving(everyone)
    for instance in order:
        if instance.serving:
            lowest = min(lowest, healthy - 1)
        else:
            healthy += 1
    return lowest


def takes_down(healthy_now: int, lowest: int) -> bool:
    """Whether a service that works is taken to zero."""
    return healthy_now > 0 and lowest == 0


def peers_missing(context: Context, instances: Mapping[str, Instance], name: str) -> str | None:
    """Say why the instance of that name may not be taken down now, None when it may.

    One that doesn't serve may always be touched: nothing healthy is lost.
    """
    instance = instances.get(name)
    if instance is None or not instance.serving:
        return None
    peers = serving(other for other in instances.values() if other.name != name)
    if peers >= context.min_healthy:
        return None
    return f"{name} stays up: {peers} of its peers are healthy, and {context.min_healthy} must remain"


def judge(instances: Mapping[str, Instance], names: Iterable[str]) -> Verdict:
    """Judge whether the named instances serve; none at all is bad, one that still starts isn't decided yet."""
    wanted = list(names)
    gone = [name for name in wanted if name not in instances]
    starting = [name for name in wanted if name not in gone and instances[name].health is Health.STARTING]
    bad = [name for name in wanted if name not in gone + starting and not instances[name].serving]
    data = {"gone": gone, "starting": starting, "not_healthy": bad}
    if not wanted:
        return Verdict(ok=False, text="there is no instance", data=data)
    if gone or bad:
        parts = [f"gone: {listed(gone)}"] if gone else []
        parts += [f"not healthy: {listed(bad)}"] if bad else []
        return Verdict(ok=False, text="; ".join(parts), data=data)
    if starting:
        return Verdict(ok=None, text=f"still starting: {listed(starting)}", data=data)
    return Verdict(ok=True, text=f"healthy: {listed(wanted)}", data=data)


def listed(names: Sequence[str], limit: int = 10) -> str:
    """Join names for people, at most `limit` of them."""
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more


def counted(number: int, noun: str) -> str:
    """Return "1 instance", "2 instances"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _to_json(instance: Instance) -> dict[str, Any]:
    return {
        "id": instance.id,
        "running": instance.running,
        "health": instance.health.value,
        "image_id": instance.image_id,
        "image": instance.image,
        "started_at": instance.started_at,
        "created_at": instance.created_at,
        "restart_count": instance.restart_count,
        "status": instance.status,
        "stamps": dict(instance.stamps),
    }


def _from_json(name: str, stored: Mapping[str, Any]) -> Instance:
    return Instance(name=name, **{**stored, "health": Health(stored["health"])})
