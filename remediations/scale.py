"""Scale a service by adding copies of an instance; taking it back removes exactly what was added."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from remediations.protocol import (
    STAMP_ACTION,
    ActionRefused,
    Context,
    EngineUnavailable,
    Health,
    Instance,
    Intent,
    Json,
    Observation,
    Outcome,
    OutcomeUnknown,
    Plan,
    Progress,
    Target,
    Verdict,
)
from remediations.state import (
    INSTANCES,
    counted,
    instances_to_act_on,
    judge,
    listed,
    read_instances,
    recorded,
    revision,
    serving,
    snapshot,
    state_after,
)
from remediations.waiting import wait_for_start, wait_until_serving

MAX_REPLICAS = 100

NOISE, NOISE_PER_SECOND = 2048.0, 10.0
"""Bytes that an instance receives without being sent a request: when it joins a network, and later (on a bridge about
1300 within 45 s); more than that came from somebody who asked it for something."""

_NUMBERED = re.compile(r"^(?P<base>.+?)(?P<separator>[-_])(?P<number>\d{1,6})$")


class ScaleParameters(BaseModel):
    """Parameters of `scale`: either `by` or `to`."""

    model_config = ConfigDict(extra="forbid")

    by: int | None = Field(
        default=None, ge=1, le=MAX_REPLICAS, description="How many instances to add, at most up to `max_replicas`."
    )
    to: int | None = Field(
        default=None,
        ge=1,
        le=MAX_REPLICAS,
        description="How many instances there shall be, within `min_replicas` and `max_replicas`. Scale only adds.",
    )

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.by is None) == (self.to is None):
            raise ValueError("give exactly one of `by` and `to`")
        return self


class ScaleAction:
    """Adds named, stamped copies; the plan fixes an absolute count and their names, never "+n"."""

    name = "scale"
    parameters: type[BaseModel] = ScaleParameters
    read_only = False
    idempotent = True
    destroys_state = False
    needs_known_good = False
    needs_bounds = True
    undoable = True
    temporary = True

    def describe(self, parameters: Json) -> str:
        """Say in one line what it does with these parameters."""
        chosen = ScaleParameters.model_validate(parameters)
        return f"add {counted(chosen.by, 'instance')}" if chosen.by is not None else f"scale to {chosen.to} instances"

    async def plan(self, context: Context, parameters: Json) -> Plan:
        """Fix the count and the names of the copies; refuses without bounds or traffic, skips at the upper bound."""
        target = context.target
        chosen = ScaleParameters.model_validate(parameters)
        lower, upper = _bounds(target)
        found = await instances_to_act_on(context)
        now = len(found)
        wanted = min(now + chosen.by, upper) if chosen.by is not None else chosen.to or now
        if not lower <= wanted <= upper and wanted > now:
            raise ActionRefused(f"{wanted} replicas of {target.service} are outside of its bounds {lower} to {upper}")
        like = _original(found)
        names = _free_names(like.name, [instance.name for instance in found], max(0, wanted - now))
        healthy = serving(found)
        return Plan(
            summary=f"scale {target.service} from {now} to {wanted} instances: add {listed(names)}",
            steps=tuple(f"start {name} as a copy of {like.name} and wait until it is healthy" for name in names),
            pre_state=snapshot(found),
            revision=revision(found, names),
            lowest_healthy=healthy,
            healthy_now=healthy,
            skip=None if names else _why_nothing(target, now, wanted, upper),
            data={"count": wanted, "names": names, "like": like.name},
        )

    async def execute(self, context: Context, intent: Intent) -> Outcome:
        """Add the copies that are missing, one at a time; one that doesn't become healthy takes all of them back."""
        added: list[str] = []
        for name in _names(intent):
            try:
                problem = await _add(context, intent, name)
            except ActionRefused as error:
                if not added:
                    raise
                problem = str(error)
            except EngineUnavailable as error:
                if not added:
                    raise
                raise OutcomeUnknown(f"added {listed(added)}, then: {error}") from error
            added.append(name)
            if problem is not None:
                return await _give_up(context, intent, problem)
        state = await state_after(context)
        text = f"added {listed(added)}: {intent.plan.data['count']} instances of {context.target.service}"
        return Outcome(ok=True, text=text, post_state=state, data={"added": added})

    async def observe(self, context: Context, intent: Intent) -> Observation:
        """Look which of the planned copies are there, by name and stamp."""
        instances = await read_instances(context)
        there = [name for name in _names(intent) if name in instances]
        foreign = [name for name in there if not _ours(instances[name], intent)]
        if foreign:
            return Observation(Progress.SUPERSEDED, f"somebody else made {listed(foreign)}")
        if not there:
            return Observation(Progress.NOT_STARTED, f"none of {listed(_names(intent))} exists")
        left = [name for name in _names(intent) if name not in there or not instances[name].serving]
        if left:
            return Observation(Progress.PARTIAL, f"not there or not healthy yet: {listed(left)}")
        return Observation(Progress.DONE, f"{listed(there)}: added and healthy", snapshot(instances.values()))

    async def verify(self, context: Context, intent: Intent) -> Verdict:
        """Judge whether each added copy serves, and whether anybody sends it requests: without, it is theatre."""
        instances = await read_instances(context)
        verdict = judge(instances, _names(intent))
        if verdict.ok is not True:
            return verdict
        received = {name: await context.runtime.received(context.target, instances[name]) for name in _names(intent)}
        silent = [name for name, count in received.items() if _unasked(instances[name], count, context.now())]
        data = {**verdict.data, "received_bytes": received}
        if silent:
            return Verdict(None, f"{verdict.text}; nobody has sent a request to {listed(silent)} yet", data)
        return Verdict(True, verdict.text, data)

    async def undo(self, context: Context, intent: Intent, post_state: Json) -> Outcome:
        """Remove the copies that carry this action's stamp; one that is gone already is superseded, not failed."""
        instances = await read_instances(context)
        names = _names(intent)
        mine = [name for name in names if name in instances and _ours(instances[name], intent)]
        foreign = [name for name in names if name in instances and name not in mine]
        gone = [name for name in names if name not in instances]
        removed: list[str] = []
        for name in reversed(mine):
            try:
                problem = await _may_go(context, intent, name)
            except EngineUnavailable as error:
                if not removed:
                    raise
                raise OutcomeUnknown(f"removed {listed(removed)}, then: {error}") from error
            if problem is not None:
                return Outcome(ok=False, text=problem, post_state=await state_after(context))
            await context.checkpoint()
            await _remove(context, intent, name)
            removed.append(name)
        parts = [f"removed {listed(mine)}"] if mine else []
        parts += [f"gone already, removed by somebody else: {listed(gone)}"] if gone else []
        parts += [f"left alone, not made by this action: {listed(foreign)}"] if foreign else []
        data = {"removed": mine, "gone": gone, "foreign": foreign}
        state = await state_after(context)
        return Outcome(ok=True, text="; ".join(parts), post_state=state, restored=not foreign, data=data)


def _unasked(instance: Instance, received: float | None, now: float) -> bool:
    """Whether an instance was sent nothing but what its network says by itself, as far as that is known."""
    up = max(0.0, now - (instance.started_at or now))
    return received is not None and received <= NOISE + NOISE_PER_SECOND * up


def _bounds(target: Target) -> tuple[int, int]:
    if target.max_replicas is None:
        raise ActionRefused(f"{target.service} has no max_replicas: set it on the service to let it be scaled")
    if target.traffic == "none":
        raise ActionRefused(
            f"copies of {target.service} would get no traffic; once they do, set `traffic: dns` or `proxy` on it"
        )
    return target.min_replicas or 1, target.max_replicas


def _original(found: Sequence[Instance]) -> Instance:
    """Return the instance to copy: one that serves rather than one that doesn't, an original rather than a copy."""
    return min(found, key=lambda one: (not one.serving, not one.running, STAMP_ACTION in one.stamps, one.name))


def _free_names(like: str, taken: Iterable[str], count: int) -> list[str]:
    """Return the next numbers after those that are taken: web-1, web-2 -> web-3; plain `web` -> `web-2`."""
    match = _NUMBERED.match(like)
    base, separator = (match["base"], match["separator"]) if match else (like, "-")
    numbers = [1]
    for name in taken:
        other = _NUMBERED.match(name)
        if other and (other["base"], other["separator"]) == (base, separator):
            numbers.append(int(other["number"]))
    return [f"{base}{separator}{max(numbers) + offset}" for offset in range(1, count + 1)]


def _why_nothing(target: Target, now: int, wanted: int, upper: int) -> str:
    if now >= upper:
        return f"{target.service} has {counted(now, 'replica')} already, and max_replicas is {upper}"
    return f"{target.service} has {counted(now, 'replica')} already, {wanted} are wanted; scale only adds"


def _names(intent: Intent) -> Sequence[str]:
    names: Sequence[str] = intent.plan.data["names"]
    return names


def _ours(instance: Instance, intent: Intent) -> bool:
    return instance.stamps.get(STAMP_ACTION) == intent.action_id


async def _add(context: Context, intent: Intent, name: str) -> str | None:
    """Add one copy unless it is there, and wait for it; return what keeps it from serving."""
    instances = await read_instances(context)
    there = instances.get(name)
    if there is not None and not _ours(there, intent):
        raise ActionRefused(f"{name} exists since the plan was made, and this action didn't make it")
    if there is None or there.started_at is None:
        _within_bounds(context, instances, there)
        like = _copied(intent, instances)
        await context.checkpoint()
        try:
            await context.runtime.add_instance(context.target, like, name, intent.action_id)
        except OutcomeUnknown:
            if not await wait_for_start(context, name, None):
                raise
    waited = await wait_until_serving(context, name)
    return None if waited.ok else waited.text


def _within_bounds(context: Context, instances: Mapping[str, Instance], there: Instance | None) -> None:
    """Hold today's bounds, which may be narrower than those of the plan."""
    _, upper = _bounds(context.target)
    after = len(instances) + (0 if there is not None else 1)
    if after > upper:
        raise ActionRefused(f"{after} replicas of {context.target.service} would exceed max_replicas {upper}")


def _copied(intent: Intent, instances: Mapping[str, Instance]) -> Instance:
    name: str = intent.plan.data["like"]
    planned = recorded(intent.plan.pre_state, name)
    now = instances.get(name)
    if now is None or planned is None:
        raise ActionRefused(f"{name}, which was to be copied, is gone")
    if now.image_id != planned.image_id:
        raise ActionRefused(f"{name}, which was to be copied, runs {now.image} now and ran {planned.image} in the plan")
    return now


async def _give_up(context: Context, intent: Intent, problem: str) -> Outcome:
    """Remove what was added: a copy that doesn't serve helps nobody, and nobody would take it back later.

    This finishes a begun action, so no checkpoint is asked.
    """
    try:
        instances = await read_instances(context)
    except EngineUnavailable as error:
        raise OutcomeUnknown(f"{problem}; the copies are to be removed, and: {error}") from error
    mine = [name for name in _names(intent) if name in instances and _ours(instances[name], intent)]
    for name in reversed(mine):
        await _remove(context, intent, name)
    state = await state_after(context)
    text = f"{problem}; removed {listed(mine)} again" if mine else problem
    return Outcome(ok=False, text=text, post_state=state, restored=True, data={"removed": mine})


async def _remove(context: Context, intent: Intent, name: str) -> None:
    """Remove a copy; when the answer is lost, look whether it is gone before calling it unknown."""
    try:
        await context.runtime.remove_instance(context.target, name, intent.action_id)
    except EngineUnavailable as error:
        raise OutcomeUnknown(f"{name} was to be removed: {error}") from error
    except OutcomeUnknown:
        if name in (await state_after(context))[INSTANCES]:
            raise


async def _may_go(context: Context, intent: Intent, name: str) -> str | None:
    """Say why a copy must stay: it may be what keeps the service up by now."""
    instances = await read_instances(context)
    leaving = instances.get(name)
    if leaving is None or not leaving.serving or leaving.health is Health.STARTING:
        return None
    peers = serving(other for other in instances.values() if other.name != name)
    # As many must remain as served before it was scaled; min_healthy is meant for the count that it has now.
    needed = max(1, min(context.min_healthy, intent.plan.healthy_now))
    if peers >= needed:
        return None
    return f"{name} stays: without it {peers} would be healthy, and {needed} must remain"
