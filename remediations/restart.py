"""Restart a service's instances, one at a time, each only while enough of its peers are healthy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from remediations.protocol import (
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
    Verdict,
)
from remediations.state import (
    counted,
    instances_to_act_on,
    judge,
    listed,
    lowest_on_the_way,
    peers_missing,
    read_instances,
    recorded,
    revision,
    serving,
    snapshot,
    state_after,
    takes_down,
    unhealthy_first,
)
from remediations.waiting import STABLE_FOR, Waited, wait_for_start, wait_until_serving


class RestartParameters(BaseModel):
    """Parameters of `restart`."""

    model_config = ConfigDict(extra="forbid")

    instances: Literal["all", "unhealthy"] = Field(
        default="all", description="Which instances: `all`, or those only that are stopped or fail their health check."
    )
    stable_for: float = Field(
        default=STABLE_FOR,
        gt=0,
        le=600,
        description="Seconds that an instance without a health check must run undisturbed to count as healthy.",
    )


class RestartAction:
    """Rolling, health-gated restart. A restart has nothing to undo: what ran before runs again."""

    name = "restart"
    parameters: type[BaseModel] = RestartParameters
    read_only = False
    idempotent = False
    destroys_state = False
    needs_known_good = False
    needs_bounds = False
    undoable = False
    temporary = False

    def describe(self, parameters: Json) -> str:
        """Say in one line what it does with these parameters."""
        which = RestartParameters.model_validate(parameters).instances
        return f"restart {'every instance' if which == 'all' else 'the unhealthy instances'}, one at a time"

    async def plan(self, context: Context, parameters: Json) -> Plan:
        """List the instances in the order of their restart, unhealthy ones first; changes nothing."""
        chosen = RestartParameters.model_validate(parameters)
        found = await instances_to_act_on(context)
        order = unhealthy_first(found if chosen.instances == "all" else filter(_failing, found))
        names = [instance.name for instance in order]
        healthy = serving(found)
        lowest = lowest_on_the_way(found, order)
        service = context.target.service
        skip = None if order else f"none of the {counted(len(found), 'instance')} of {service} is unhealthy"
        return Plan(
            summary=f"restart {service} ({counted(len(order), 'instance')}"
            + (", one at a time)" if len(order) > 1 else ")"),
            steps=tuple(f"restart {name} and wait until it is healthy" for name in names),
            pre_state=snapshot(found),
            revision=revision(found, sorted(names)),
            lowest_healthy=lowest,
            healthy_now=healthy,
            takes_down=takes_down(healthy, lowest),
            skip=skip,
            data={"order": names},
        )

    async def execute(self, context: Context, intent: Intent) -> Outcome:
        """Restart what isn't restarted yet, in order; stops at the first that doesn't become healthy."""
        order: Sequence[str] = intent.plan.data["order"]
        done: list[str] = []
        for name in order:
            try:
                waited = await _restart_one(context, intent, name)
            except (ActionRefused, EngineUnavailable) as error:
                if not done:
                    raise
                if isinstance(error, EngineUnavailable):
                    raise OutcomeUnknown(f"restarted {listed(done)}, then: {error}") from error
                return await _stopped(context, done, order, str(error))
            done.append(name)
            if not waited.ok:
                return await _stopped(context, done, order, waited.text)
        state = await state_after(context)
        text = f"restarted {listed(done)}; " + ("all are healthy" if len(done) > 1 else "it is healthy")
        return Outcome(ok=True, text=text, post_state=state, data={"restarted": done})

    async def observe(self, context: Context, intent: Intent) -> Observation:
        """Tell by each instance's time of start whether it was restarted since the plan."""
        instances = await read_instances(context)
        order: Sequence[str] = intent.plan.data["order"]
        changed = [reason for name in order if (reason := _changed(intent, instances, name))]
        if changed:
            return Observation(Progress.SUPERSEDED, "; ".join(changed))
        done = [name for name in order if _restarted(intent, instances[name])]
        waiting = [name for name in done if not instances[name].serving]
        left = [name for name in order if name not in done]
        if not left and not waiting:
            return Observation(Progress.DONE, f"{listed(done)}: restarted and healthy", snapshot(instances.values()))
        if not done and not any(_went_down(intent, instances[name]) for name in left):
            return Observation(Progress.NOT_STARTED, f"nothing was restarted: {listed(left)}")
        parts = [f"not restarted: {listed(left)}"] if left else []
        parts += [f"restarted, not healthy yet: {listed(waiting)}"] if waiting else []
        return Observation(Progress.PARTIAL, "; ".join(parts))

    async def verify(self, context: Context, intent: Intent) -> Verdict:
        """Judge whether each restarted instance serves."""
        return judge(await read_instances(context), intent.plan.data["order"])

    async def undo(self, context: Context, intent: Intent, post_state: Json) -> Outcome:
        """Change nothing: the same version runs as before."""
        return Outcome(ok=True, text="a restart leaves nothing to undo", post_state=post_state)


async def _restart_one(context: Context, intent: Intent, name: str) -> Waited:
    """Restart one instance unless this intent already did, and wait for it; raises ActionRefused when it may not be."""
    instances = await read_instances(context)
    reason = _changed(intent, instances, name)
    if reason is None and not _restarted(intent, instances[name]):
        reason = peers_missing(context, instances, name)
        if reason is None:
            await context.checkpoint()
            await _restart(context, instances[name])
    if reason is not None:
        raise ActionRefused(reason)
    before = _recorded(intent, name).started_at
    stable_for = RestartParameters.model_validate(intent.parameters).stable_for
    return await wait_until_serving(context, name, before=before, stable_for=stable_for)


async def _restart(context: Context, instance: Instance) -> None:
    """Restart; when the answer is lost, look whether it happened before calling it unknown."""
    try:
        await context.runtime.restart(context.target, instance)
    except OutcomeUnknown:
        if not await wait_for_start(context, instance.name, instance.started_at):
            raise


async def _stopped(context: Context, done: Sequence[str], order: Sequence[str], reason: str) -> Outcome:
    left = [name for name in order if name not in done]
    text = reason + (f"; not restarted: {listed(left)}" if left else "")
    state = await state_after(context)
    data = {"restarted": list(done), "not_restarted": left}
    return Outcome(ok=False, text=text, post_state=state, data=data)


def _failing(instance: Instance) -> bool:
    return not instance.running or instance.health is Health.UNHEALTHY


def _recorded(intent: Intent, name: str) -> Instance:
    """Return the instance as the plan saw it; the plan lists only what it recorded."""
    found = recorded(intent.plan.pre_state, name)
    if found is None:
        raise ActionRefused(f"the plan lists {name} and holds no record of it")
    return found


def _changed(intent: Intent, instances: Mapping[str, Instance], name: str) -> str | None:
    """Say how somebody else changed the instance since the plan, None when it is the same one."""
    if name not in instances:
        return f"{name} is gone since the plan was made"
    if instances[name].id != _recorded(intent, name).id:
        return f"{name} was created anew since the plan was made"
    return None


def _restarted(intent: Intent, instance: Instance) -> bool:
    """Whether it was started since the plan.

    Compared with the time of start that the plan saw, both by the runtime's own clock: an engine's clock that differs
    from ours must not make a restart look undone. A start between plan and intent counts too: it is as fresh.
    """
    return instance.started_at is not None and instance.started_at != _recorded(intent, instance.name).started_at


def _went_down(intent: Intent, instance: Instance) -> bool:
    """Whether it ran when the plan was made and doesn't now: a restart that was cut between stop and start."""
    return _recorded(intent, instance.name).running and not instance.running
