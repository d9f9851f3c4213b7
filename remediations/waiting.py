"""Waiting for an instance to serve, and giving up early on one that clearly won't."""

from __future__ import annotations

from dataclasses import dataclass

from remediations.protocol import Context, EngineUnavailable, Health, Instance, OutcomeUnknown
from remediations.state import read_instances

POLL = 0.25
"""Seconds between two looks at an instance."""

STABLE_FOR = 5.0
"""Seconds that an instance without a health check must run undisturbed to count as serving."""


@dataclass(frozen=True, slots=True)
class Waited:
    """How the wait ended: `ok`, one line for people, and the instance as it was last seen."""

    ok: bool
    text: str
    instance: Instance | None = None


async def wait_until_serving(
    context: Context, name: str, *, before: float | None = None, stable_for: float = STABLE_FOR
) -> Waited:
    """Wait until the instance serves, at most `context.healthy_within` seconds, and fail fast when it can't.

    Args:
        context: the target and its clockwork.
        name: the instance.
        before: its `started_at` before it was started; only a later start counts. None: any.
        stable_for: seconds that one without a health check must run with its restart count unchanged.

    Raises OutcomeUnknown when the runtime can't be asked until the end.
    """
    watch = _Watch(name, before, stable_for)
    waited = 0.0
    while True:
        try:
            verdict = watch.look((await read_instances(context)).get(name), waited)
            unreachable: EngineUnavailable | None = None
        except EngineUnavailable as error:
            verdict, unreachable = None, error
        if verdict is not None:
            return verdict
        if waited >= context.healthy_within:
            break
        # Counted in waits, not by the clock: a step of the clock must neither cut the wait short nor stretch it.
        await context.sleep(POLL)
        waited += POLL
    if unreachable is not None:
        raise OutcomeUnknown(f"{name} was started, and its runtime can't be asked how it does: {unreachable}")
    return Waited(ok=False, text=f"{name} {watch.word} after {context.healthy_within:g} s", instance=watch.last)


async def wait_for_start(context: Context, name: str, before: float | None) -> bool:
    """Wait until the instance was started later than `before`: for a start whose answer was lost.

    Returns False when that can't be seen within `context.healthy_within` seconds.
    """
    waited = 0.0
    while True:
        try:
            instance = (await read_instances(context)).get(name)
        except EngineUnavailable:
            instance = None
        if instance is not None and instance.running and instance.started_at != before:
            return True
        if waited >= context.healthy_within:
            return False
        await context.sleep(POLL)
        waited += POLL


class _Watch:
    """One instance over several looks."""

    def __init__(self, name: str, before: float | None, stable_for: float) -> None:
        self.name = name
        self.last: Instance | None = None
        self.word = "has not started"
        self._before = before
        self._stable_for = stable_for
        self._first: Instance | None = None
        self._first_at = 0.0

    def look(self, instance: Instance | None, waited: float) -> Waited | None:
        """Judge what is seen after `waited` seconds; None: not yet decided."""
        self.last = instance
        if instance is None:
            return self._end(ok=False, word="is gone")
        if instance.started_at is None or (self._before is not None and instance.started_at == self._before):
            return None
        if self._first is None:
            self._first, self._first_at = instance, waited
        if instance.restart_count > self._first.restart_count:
            return self._end(ok=False, word=f"keeps restarting (restart {instance.restart_count})")
        if not instance.running:
            # A runtime that restarts by itself says so: the next look shows whether its count rises.
            self.word = f"is {instance.status or 'stopped'}"
            return None if instance.status == "restarting" else self._end(ok=False, word=self.word)
        if instance.health is Health.UNHEALTHY:
            return self._end(ok=False, word="is unhealthy")
        if instance.health is Health.HEALTHY:
            return self._end(ok=True, word="is healthy")
        return self._settle(instance, waited)

    def _settle(self, instance: Instance, waited: float) -> Waited | None:
        if instance.health is Health.STARTING:
            self.word = "is still starting"
            return None
        if self._first is not None and instance.started_at != self._first.started_at:
            return self._end(ok=False, word="was started again")
        self.word = f"has not run for {self._stable_for:g} s yet"
        if waited - self._first_at >= self._stable_for:
            return self._end(ok=True, word=f"runs undisturbed for {self._stable_for:g} s (it has no health check)")
        return None

    def _end(self, *, ok: bool, word: str) -> Waited:
        return Waited(ok=ok, text=f"{self.name} {word}", instance=self.last)
