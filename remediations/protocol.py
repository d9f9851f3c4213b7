"""The contract between the service and what it can do to a target.

An action plans (reads only), executes, observes what became of an intent, verifies, undoes and describes itself.
Everything that crosses this boundary is frozen and made of JSON types, because it is stored before the effect:
after a crash the stored intent is all that is left of an action.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol, TypeAlias

import httpx
from pydantic import BaseModel

Json: TypeAlias = Mapping[str, Any]
"""A mapping of JSON types; what plans, states and findings are stored as."""

STAMP_ACTION = "remediator.action"
"""Stamp on an instance that `add_instance` made: the action id."""

STAMP_CLONED_FROM = "remediator.cloned-from"
"""Stamp on an instance that `add_instance` made: the name of the one that it copies."""

STAMP_REPLACED_BY = "remediator.replaced-by"
"""Stamp on an instance that `replace_instance` made: the action id. Other stamps of the replaced one are kept."""


# --- errors -----------------------------------------------------------------------------------------------------
#
#   RemediationError
#   ├── TargetNotFound        nothing matches the selector: says what was looked for and what exists
#   ├── TargetAmbiguous       more than one project matches: says which
#   ├── TargetProtected       it is ourselves, our store, the engine proxy, Prometheus or Alertmanager
#   ├── EngineUnavailable     missing, refused, no permission, too old: nothing was changed      (retryable)
#   ├── ActionRefused         a precondition of the action does not hold: nothing was changed
#   ├── Halted                a checkpoint said stop between two mutations
#   └── OutcomeUnknown        a mutation was sent and no answer came: look at the target to decide


class RemediationError(Exception):
    """Base of everything an action or runtime raises on purpose; its text is shown to people as it is."""

    retryable = False


class TargetNotFound(RemediationError):
    """No instance matches the target's selector."""


class TargetAmbiguous(RemediationError):
    """The selector matches instances of more than one project."""


class TargetProtected(RemediationError):
    """The target is the service itself or something that it depends on."""


class EngineUnavailable(RemediationError):
    """The engine cannot be reached or does not speak our language; nothing was changed."""

    retryable = True


class ActionRefused(RemediationError):
    """A precondition of the action does not hold; nothing was changed."""


class Halted(RemediationError):
    """A checkpoint told the action to stop between two mutations."""


class OutcomeUnknown(RemediationError):
    """A mutation was sent and its answer was lost; only the target can tell what happened."""


# --- the target ---------------------------------------------------------------------------------------------------


class Health(StrEnum):
    """An instance's health as its runtime sees it; NONE when it has no health check."""

    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"
    STARTING = "starting"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Instance:
    """One copy of a service, as its runtime reports it.

    Args:
        id: the runtime's own identifier.
        name: the runtime's name for it.
        running: whether its process runs.
        health: its health check's word.
        image_id: what it runs, by content (an image ID; for processes a hash of the command).
        image: the same by name, as it was configured.
        started_at: UNIX seconds of its last start, None if it never started.
        created_at: UNIX seconds of its creation.
        restart_count: restarts by the runtime itself.
        status: the runtime's word for its state (`running`, `exited`, `created`, `paused`, ...).
        stamps: labels that we put there (`remediator.*`).
        protected: why nobody may act on it: it is ourselves, or what we depend on. Empty: one may.
    """

    id: str
    name: str
    running: bool
    health: Health
    image_id: str
    image: str
    started_at: float | None
    created_at: float
    restart_count: int = 0
    status: str = ""
    stamps: Mapping[str, str] = field(default_factory=dict)
    protected: str = ""

    @property
    def serving(self) -> bool:
        """Whether it runs and its health check, if any, does not object."""
        return self.running and self.health in {Health.HEALTHY, Health.NONE}


@dataclass(frozen=True, slots=True)
class Target:
    """An entry of `services:` in playbooks.yaml, resolved without I/O.

    Args:
        service: the entry's name; also the key of its lock.
        runtime: `containers` or `process`.
        selector: labels that find its instances (see targets: compose service, or any container label).
        health_urls: endpoints that say whether the service works; a JSON `status` must be `health_word`.
        health_word: the expected word, case-insensitive.
        health_timeout: seconds a health answer may take.
        min_replicas, max_replicas: bounds for scale; None when the service may not be scaled.
        traffic: how clones get traffic (`dns`, `proxy`), `none` when they would not.
        shared_mounts: whether writable mounts may be shared between clones.
        good_after: seconds an image must have run well to be known good.
        recent: seconds in which a change of image counts as a deployment to roll back.
        command: for runtime `process`: the argument list.
        options: what the runtime alone understands.
    """

    service: str
    runtime: str
    selector: Mapping[str, str]
    health_urls: Sequence[str] = ()
    health_word: str = "healthy"
    health_timeout: float = 5.0
    min_replicas: int | None = None
    max_replicas: int | None = None
    traffic: str = "none"
    shared_mounts: bool = False
    good_after: float = 1800.0
    recent: float = 86400.0
    command: Sequence[str] = ()
    options: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class KnownGood:
    """A version of a service that is known to have run well, newest first in every list.

    Args:
        image_id: what ran, by content.
        image: its name at the time.
        since: UNIX seconds at which it became known good.
        spec: what the runtime needs to bring it back (a tag that keeps it, a command, ...); empty when only the
            image ID is known (the undo of a rollback): the runtime then finds the version by that, or refuses.
    """

    image_id: str
    image: str
    since: float
    spec: Json = field(default_factory=dict)


# --- what an action says ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Plan:
    """What an action would do, made by reading only.

    Args:
        summary: one line for people, e.g. "restart smartresume-api (2 containers, one at a time)".
        steps: the mutations in order, in words.
        pre_state: what the target looks like now; enough for `observe` and `undo` after a crash.
        revision: a short text that changes when the plan would (instances, images); bound into approvals.
        lowest_healthy: the fewest healthy instances that executing passes through.
        healthy_now: instances that serve now.
        takes_down: whether a healthy single instance is taken to zero.
        skip: when set, there is nothing to do, and why; the ladder goes on with the next step.
        data: the action's own decisions (names, images, counts), fixed here and only read by `execute`.
    """

    summary: str
    steps: Sequence[str] = ()
    pre_state: Json = field(default_factory=dict)
    revision: str = ""
    lowest_healthy: int = 0
    healthy_now: int = 0
    takes_down: bool = False
    skip: str | None = None
    data: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Intent:
    """What was stored before the effect: all that an action needs to go on after a crash.

    Args:
        action_id: unique, stamped on what the action creates.
        action: the action's name.
        parameters: rendered and validated.
        plan: as it was made under the target's lock.
        at: UNIX seconds at which the intent was stored.
    """

    action_id: str
    action: str
    parameters: Json
    plan: Plan
    at: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an execution ended.

    Args:
        ok: whether the action did what it planned.
        text: one line for people.
        post_state: what the target looks like afterwards; an undo compares it with the target of that time.
        restored: for a failure: whether the target is as it was before.
        data: figures for the timeline.
    """

    ok: bool
    text: str
    post_state: Json = field(default_factory=dict)
    restored: bool = False
    data: Json = field(default_factory=dict)


class Progress(StrEnum):
    """What became of an intent."""

    DONE = "done"
    NOT_STARTED = "not_started"
    PARTIAL = "partial"
    SUPERSEDED = "superseded"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Observation:
    """The target's answer to "did this already happen?".

    Args:
        progress: DONE: nothing is left to do. NOT_STARTED: nothing was done. PARTIAL: `execute` with the same intent
            finishes or restores it. SUPERSEDED: somebody else changed the target since, or what was done is taken
            back: it is not begun again. UNKNOWN: a person decides.
        text: what was seen, for people.
        post_state: the target's state when DONE.
    """

    progress: Progress
    text: str
    post_state: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The target's own state after an action: True good, False bad, None when it can't be told (yet)."""

    ok: bool | None
    text: str
    data: Json = field(default_factory=dict)


# --- what an action is given -------------------------------------------------------------------------------------


class Runtime(Protocol):
    """What actions need of a place where services run. One instance a configured engine.

    Every method may raise the errors above. Mutations raise OutcomeUnknown when their answer was lost, and are
    safe to repeat: each looks first whether it was already done (by the stamp `action_id` where it creates).
    """

    name: str

    async def check(self) -> Json:
        """Reach the engine and return facts about it (version, api, rootless, own_container), or raise."""
        ...

    async def instances(self, target: Target) -> tuple[Instance, ...]:
        """Return the target's instances (stopped ones too), ordered by name; raises TargetNotFound and TargetAmbiguous.

        What a replacement in progress has set aside is not an instance: it shows in `replaced` alone. An instance
        being replaced may therefore be missing for a moment, the only one of a target too.
        """
        ...

    async def restart(self, target: Target, instance: Instance) -> None:
        """Restart one instance and return when the runtime has accepted it; wait for health with `instances`."""
        ...

    async def add_instance(self, target: Target, like: Instance, name: str, action_id: str) -> Instance:
        """Start a copy of `like` under `name`, stamped; returns the existing one when it carries our stamp.

        One that was created but never started (a crash between) is started. A name that is taken by an instance
        without this action's stamp raises ActionRefused.
        """
        ...

    async def remove_instance(self, target: Target, name: str, action_id: str) -> bool:
        """Remove the stamped instance of that name; False when it was gone already.

        One without this action's stamp stays, and ActionRefused is raised.
        """
        ...

    async def replace_instance(
        self,
        target: Target,
        instance: Instance,
        version: KnownGood,
        action_id: str,
        *,
        healthy_within: float,
    ) -> Instance:
        """Run `version` in the place of `instance`, keeping the old until the new one is healthy; on failure restore.

        A version that isn't there any more raises ActionRefused before anything is changed.

        Resumable: called again with the same arguments after a crash at any point, it ends with exactly one healthy
        instance of the new version, or the old one restored and ActionRefused raised (its text says why).
        """
        ...

    async def replaced(self, target: Target, name: str, action_id: str) -> Progress:
        """Tell how far `replace_instance` of this action came for the instance of that name.

        DONE: it carries this action's STAMP_REPLACED_BY and nothing is left over. NOT_STARTED: nothing of this action
        is there (a failed replacement that was restored, too). PARTIAL: call `replace_instance` again. SUPERSEDED:
        the instance is gone, or another action's replacement is unfinished.
        """
        ...

    async def version_exists(self, version: KnownGood) -> bool:
        """Whether a known-good version can still be brought back."""
        ...

    async def keep_version(self, target: Target, instance: Instance, now: float) -> KnownGood:
        """Make sure what the instance runs stays available (tag its image) and return the record for it."""
        ...

    async def forget_version(self, target: Target, version: KnownGood) -> None:
        """Let go of a kept version (remove our tag)."""
        ...

    async def logs(self, target: Target, instance: Instance, lines: int) -> tuple[str, ...]:
        """Return the last lines of an instance's log, at most `lines` (bounded to 500)."""
        ...

    async def stats(self, target: Target, instance: Instance) -> Json:
        """Return one sample: cpu_ratio (of one core), memory_bytes, memory_limit_bytes; absent keys are unknown."""
        ...

    async def received(self, target: Target, instance: Instance) -> float | None:
        """Return the bytes that came to an instance over its network since its start; None when that isn't known."""
        ...

    async def disk(self) -> Json:
        """Return bytes of the place where the runtime keeps what it runs: `free` and `total`, and for a container
        engine `images`, `containers`, `volumes` and `cache`; absent keys are unknown."""
        ...

    async def close(self) -> None:
        """Release connections and threads."""
        ...


@dataclass(frozen=True, slots=True)
class Context:
    """What an action works with.

    Args:
        target: what to act on.
        runtime: where it runs.
        http: for health endpoints and HTTP calls (loopback rules, timeouts and limits are set on it).
        now: UNIX seconds, UTC.
        sleep: waits; a fake one in tests.
        checkpoint: called before each mutation at which stopping leaves the target in order; raises Halted.
        min_healthy: healthy instances that must remain through our own doing.
        known_good: newest first.
        changed_at: UNIX seconds when the running version was first seen on the target, None when unknown.
        healthy_within: seconds that an instance has to become healthy.
    """

    target: Target
    runtime: Runtime
    http: httpx.AsyncClient
    now: Callable[[], float]
    sleep: Callable[[float], Awaitable[None]]
    checkpoint: Callable[[], Awaitable[None]]
    min_healthy: int = 0
    known_good: Sequence[KnownGood] = ()
    changed_at: float | None = None
    healthy_within: float = 60.0


class Remediation(Protocol):
    """An action. Stateless; found through the entry point group `remediator.actions` by its name.

    Attributes:
        name: as playbooks.yaml writes it.
        parameters: the pydantic model of its parameters (extra="forbid"), also the source of the JSON Schema.
        read_only: whether it never changes anything (diagnose).
        idempotent: whether executing twice is harmless; others are never repeated without an observation.
        destroys_state: whether it discards something that can't be brought back.
        needs_known_good, needs_bounds: what `check` must find on the service for this action to make sense.
        undoable: whether `undo` brings back what was there before, so that a step may ask for it.
        temporary: whether what it did may be taken back after a quiet time, though it helped (more instances).
    """

    name: str
    parameters: type[BaseModel]
    read_only: bool
    idempotent: bool
    destroys_state: bool
    needs_known_good: bool
    needs_bounds: bool
    undoable: bool
    temporary: bool

    def describe(self, parameters: Json) -> str:
        """Say in one line what it does with these parameters."""
        ...

    async def plan(self, context: Context, parameters: Json) -> Plan:
        """Read the target and say what would be done; changes nothing."""
        ...

    async def execute(self, context: Context, intent: Intent) -> Outcome:
        """Do what the intent planned, or finish it when it was begun.

        Raises ActionRefused and EngineUnavailable while nothing was changed by this intent, Halted between two
        mutations, and OutcomeUnknown when only the target can tell what happened.
        """
        ...

    async def observe(self, context: Context, intent: Intent) -> Observation:
        """Ask the target what became of the intent; changes nothing."""
        ...

    async def verify(self, context: Context, intent: Intent) -> Verdict:
        """Judge the target's own state after the action; changes nothing."""
        ...

    async def undo(self, context: Context, intent: Intent, post_state: Json) -> Outcome:
        """Undo what the intent did, only while the target still is in `post_state`; else says who changed what."""
        ...
