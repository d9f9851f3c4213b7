"""Bring back the last version that is known to have run well, one instance at a time, restoring on failure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from remediations.protocol import (
    ActionRefused,
    Context,
    EngineUnavailable,
    Instance,
    Intent,
    Json,
    KnownGood,
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


class RollbackParameters(BaseModel):
    """Parameters of `rollback`."""

    model_config = ConfigDict(extra="forbid")

    to: str | None = Field(
        default=None,
        min_length=1,
        max_length=200,
        description="The image ID (for processes the version's hash) to go back to, of those that are known to be good;"
        " by default the newest that isn't the one running.",
    )


class RollbackAction:
    """Replaces what runs by a known-good version; undo brings back what ran before."""

    name = "rollback"
    parameters: type[BaseModel] = RollbackParameters
    read_only = False
    idempotent = False
    destroys_state = False
    needs_known_good = True
    needs_bounds = False
    undoable = True
    temporary = False

    def describe(self, parameters: Json) -> str:
        """Say in one line what it does with these parameters."""
        wanted = RollbackParameters.model_validate(parameters).to
        return f"roll back to {wanted or 'the newest version that is known to be good'}, one instance at a time"

    async def plan(self, context: Context, parameters: Json) -> Plan:
        """Choose the version; skips when nothing was deployed that could be to blame, refuses when there is none."""
        wanted = RollbackParameters.model_validate(parameters).to
        found = await instances_to_act_on(context)
        skip = _not_to_blame(context, found)
        version = None if skip else await _choose(context, found, wanted)
        if version is None:
            healthy = serving(found)
            summary = f"roll {context.target.service} back"
            return Plan(summary, revision=revision(found), lowest_healthy=healthy, healthy_now=healthy, skip=skip)
        order = unhealthy_first(one for one in found if one.image_id != version.image_id)
        names = [instance.name for instance in order]
        healthy, lowest = serving(found), lowest_on_the_way(found, order)
        return Plan(
            summary=f"roll {context.target.service} back from {listed(sorted({one.image for one in order}))} to "
            f"{version.image} ({counted(len(order), 'instance')})",
            steps=tuple(
                f"replace {name} by {version.image}, wait until it is healthy, else restore it" for name in names
            ),
            pre_state=snapshot(found),
            revision=revision(found, version.image_id, sorted(names)),
            lowest_healthy=lowest,
            healthy_now=healthy,
            takes_down=takes_down(healthy, lowest),
            data={"order": names, "version": _version_json(version)},
        )

    async def execute(self, context: Context, intent: Intent) -> Outcome:
        """Replace the instances that aren't replaced yet; stops at the first that had to be restored."""
        version = _version(intent)
        replaced: list[str] = []
        for name in _order(intent):
            try:
                problem = await _replace(context, intent, name, version)
            except ActionRefused as error:
                if not replaced:
                    raise
                problem = str(error)
            except EngineUnavailable as error:
                if not replaced:
                    raise
                raise OutcomeUnknown(f"replaced {listed(replaced)}, then: {error}") from error
            if problem is not None:
                return await _stopped(context, intent, replaced, problem)
            replaced.append(name)
        state = await state_after(context)
        text = f"{listed(replaced)}: {version.image} runs and is healthy"
        return Outcome(ok=True, text=text, post_state=state, data={"replaced": replaced})

    async def observe(self, context: Context, intent: Intent) -> Observation:
        """Ask the runtime how far the replacement of each instance came."""
        instances = await read_instances(context)
        progress: dict[str, Progress] = {}
        for name in _order(intent):
            progress[name] = await _progress(context, intent, instances, name)
        for unclear in (Progress.SUPERSEDED, Progress.UNKNOWN):
            names = [name for name, one in progress.items() if one is unclear]
            if names:
                word = "changed by somebody else" if unclear is Progress.SUPERSEDED else "can't be told"
                return Observation(unclear, f"{word}: {listed(names)}")
        text = ", ".join(f"{name}: {one.value.replace('_', ' ')}" for name, one in progress.items())
        if all(one is Progress.DONE for one in progress.values()):
            # A replacement that isn't healthy any more is for the verification to judge: it was done.
            return Observation(Progress.DONE, text, snapshot(instances.values()))
        if all(one is Progress.NOT_STARTED for one in progress.values()):
            tried = [
                why for name in progress if (why := _tried(instances[name], recorded(intent.plan.pre_state, name)))
            ]
            return Observation(Progress.SUPERSEDED if tried else Progress.NOT_STARTED, "; ".join(tried) or text)
        return Observation(Progress.PARTIAL, text)

    async def verify(self, context: Context, intent: Intent) -> Verdict:
        """Judge whether each replaced instance runs the wanted version and serves."""
        instances = await read_instances(context)
        version = _version(intent)
        wrong = [n for n in _order(intent) if n in instances and instances[n].image_id != version.image_id]
        if wrong:
            return Verdict(ok=False, text=f"does not run {version.image}: {listed(wrong)}", data={"wrong": wrong})
        return judge(instances, _order(intent))

    async def undo(self, context: Context, intent: Intent, post_state: Json) -> Outcome:
        """Bring back what ran before, only where the instance still is the one that this action made."""
        undone: list[str] = []
        for name in reversed(_order(intent)):
            try:
                problem = await _bring_back(context, intent, name, post_state)
            except EngineUnavailable as error:
                if not undone:
                    raise
                raise OutcomeUnknown(f"brought back {listed(undone)}, then: {error}") from error
            if problem is not None:
                state = await state_after(context)
                text = problem + (f"; brought back: {listed(undone)}" if undone else "; nothing was changed")
                return Outcome(ok=False, text=text, post_state=state, data={"undone": undone})
            undone.append(name)
        state = await state_after(context)
        text = f"{listed(undone)}: brought back what ran before"
        return Outcome(ok=True, text=text, post_state=state, restored=True, data={"undone": undone})


def _not_to_blame(context: Context, found: Sequence[Instance]) -> str | None:
    """Say why rolling back would not help: an outage without a deployment must not roll a proven release back."""
    good = {version.image_id: version for version in context.known_good}
    if good and all(instance.image_id in good for instance in found):
        return f"{listed(sorted({one.image for one in found}))} is itself known to be good"
    if context.changed_at is None:
        return f"it isn't known when {context.target.service} last changed its version"
    age = context.now() - context.changed_at
    if age > context.target.recent:
        hours, limit = age / 3600, context.target.recent / 3600
        return f"the version didn't change recently: {hours:.1f} h ago, and only the last {limit:g} h count"
    return None


async def _choose(context: Context, found: Sequence[Instance], wanted: str | None) -> KnownGood:
    service = context.target.service
    if not context.known_good:
        raise ActionRefused(f"no version of {service} is known to be good: there is nothing to roll back to")
    running = {instance.image_id for instance in found}
    known = [one for one in context.known_good if one.image_id == wanted] if wanted else list(context.known_good)
    if not known:
        raise ActionRefused(f"{wanted} is not known to be a good version of {service}")
    # Some instances may run the good version already: it is the one to go to, for those that don't.
    version = next((one for one in known if running != {one.image_id}), None)
    if version is None:
        raise ActionRefused(f"every instance of {service} runs {wanted} already")
    if not await context.runtime.version_exists(version):
        raise ActionRefused(f"{version.image} ({version.image_id}) was good and does not exist any more")
    return version


def _order(intent: Intent) -> Sequence[str]:
    order: Sequence[str] = intent.plan.data["order"]
    return order


def _version_json(version: KnownGood) -> dict[str, Any]:
    return {
        "image_id": version.image_id, "image": version.image, "since": version.since, "spec": dict(version.spec),
    }  # fmt: skip


def _version(intent: Intent) -> KnownGood:
    stored: Mapping[str, Any] = intent.plan.data["version"]
    return KnownGood(**stored)


async def _replace(context: Context, intent: Intent, name: str, version: KnownGood) -> str | None:
    """Replace one instance, or finish it; returns why it had to be restored, raises ActionRefused when untouched."""
    before = recorded(intent.plan.pre_state, name)
    progress = await context.runtime.replaced(context.target, name, intent.action_id)
    if progress is Progress.DONE:
        return None
    if progress not in {Progress.NOT_STARTED, Progress.PARTIAL} or before is None:
        raise ActionRefused(f"{name} was changed by somebody else")
    instances = await read_instances(context)
    if progress is Progress.NOT_STARTED:
        reason = _changed(instances, before) or _tried(instances[name], before)
        reason = reason or peers_missing(context, instances, name)
        if reason is not None:
            raise ActionRefused(reason)
        await context.checkpoint()
    return await _run(context, instances.get(name, before), version, intent.action_id)


async def _bring_back(context: Context, intent: Intent, name: str, post_state: Json) -> str | None:
    """Undo one replacement, or finish undoing it; returns what keeps it from being undone."""
    undo_id = f"{intent.action_id}-undo"
    before = recorded(intent.plan.pre_state, name)
    progress = await context.runtime.replaced(context.target, name, undo_id)
    instances = await read_instances(context)
    now = instances.get(name)
    if progress is Progress.DONE or (before is not None and now is not None and now.id == before.id):
        return None
    if progress not in {Progress.NOT_STARTED, Progress.PARTIAL} or before is None:
        return f"{name} was changed by somebody else"
    if progress is Progress.NOT_STARTED:
        ours = await context.runtime.replaced(context.target, name, intent.action_id) is Progress.DONE
        after = recorded(post_state, name)
        problem = None if ours else f"{name} is not the one that this rollback made"
        problem = problem or (_changed(instances, after) if after is not None else None)
        problem = problem or peers_missing(context, instances, name)
        if problem is not None:
            return problem
        await context.checkpoint()
    # What it needs beyond its image ID isn't known: the runtime finds it by that, or refuses.
    previous = KnownGood(before.image_id, before.image, since=0.0)
    return await _run(context, now or before, previous, undo_id)


async def _run(context: Context, instance: Instance, version: KnownGood, action_id: str) -> str | None:
    """Let the runtime replace an instance; returns why it had to be restored."""
    within = context.healthy_within
    try:
        await context.runtime.replace_instance(context.target, instance, version, action_id, healthy_within=within)
    except ActionRefused as error:
        return str(error)
    return None


async def _stopped(context: Context, intent: Intent, replaced: Sequence[str], reason: str) -> Outcome:
    state = await state_after(context)
    left = [name for name in _order(intent) if name not in replaced]
    text = reason + (f"; replaced before: {listed(replaced)}" if replaced else "")
    data = {"replaced": list(replaced), "not_replaced": left}
    return Outcome(ok=False, text=text, post_state=state, restored=not replaced, data=data)


def _changed(instances: Mapping[str, Instance], before: Instance) -> str | None:
    """Say how an instance differs from its record, None when it is the same one running the same version."""
    now = instances.get(before.name)
    if now is None:
        return f"{before.name} is gone"
    if now.image_id != before.image_id:
        return f"{before.name} runs {now.image} by now: somebody else changed it"
    return f"{before.name} was created anew by somebody else" if now.id != before.id else None


def _tried(now: Instance, before: Instance | None) -> str | None:
    """Say that an instance was started again since the plan, None when it wasn't or has restarted by itself.

    A try that failed ends with the old instance started again, and nothing else is left of it: without this, a crash
    before its outcome was stored would lead to a second one. A runtime that restarts by itself counts that, and counts
    anew after a start by others.
    """
    if before is None or now.started_at == before.started_at or now.restart_count > before.restart_count:
        return None
    return (
        f"{now.name} was started again since the plan was made: this rollback was tried and taken back, "
        "or somebody restarted it"
    )


async def _progress(context: Context, intent: Intent, instances: Mapping[str, Instance], name: str) -> Progress:
    progress = await context.runtime.replaced(context.target, name, intent.action_id)
    before, now = recorded(intent.plan.pre_state, name), instances.get(name)
    if progress is Progress.NOT_STARTED and (before is None or now is None or now.id != before.id):
        return Progress.SUPERSEDED
    return progress
