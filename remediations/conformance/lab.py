"""The place where the conformance suite experiments: a service with two healthy instances, and hands to meddle."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import asdict, dataclass
from typing import TypeAlias

import httpx

from remediations.protocol import Context, Halted, Instance, Intent, Json, KnownGood, Plan, Remediation, Runtime, Target

ACTION_ID = "a-conformance-1"
OTHER_ACTION_ID = "a-conformance-2"


@dataclass(frozen=True, slots=True)
class Lab:
    """A fresh service of two healthy instances on the runtime under test.

    Args:
        runtime: under test.
        target: with `max_replicas` of at least 4 and `traffic` other than none.
        good: another version than the one that runs; it becomes healthy.
        broken: a version that starts and never becomes healthy.
        missing: a version that does not exist.
        recreate: somebody else removes the instance of that name and creates it anew, the same version.
        remove: somebody else removes the instance of that name.
        stop: somebody else stops the instance of that name.
        now: UNIX seconds.
        sleep: waits; a fake one where the runtime's time is fake.
        http: a client for health endpoints.
        healthy_within: seconds that an instance has to become healthy.
    """

    runtime: Runtime
    target: Target
    good: KnownGood
    broken: KnownGood
    missing: KnownGood
    recreate: Callable[[str], Awaitable[None]]
    remove: Callable[[str], Awaitable[None]]
    stop: Callable[[str], Awaitable[None]]
    now: Callable[[], float]
    sleep: Callable[[float], Awaitable[None]]
    http: httpx.AsyncClient
    healthy_within: float = 20.0

    def context(
        self, runtime: Runtime | None = None, *, checkpoint: Callable[[], Awaitable[None]] | None = None
    ) -> Context:
        """Return what an action is given: one instance must stay healthy, `good` is known, the deployment is new."""
        return Context(
            target=self.target,
            runtime=runtime or self.runtime,
            http=self.http,
            now=self.now,
            sleep=self.sleep,
            checkpoint=checkpoint or _go_on,
            min_healthy=1,
            known_good=(self.good,),
            changed_at=self.now(),
            healthy_within=self.healthy_within,
        )

    async def look(self) -> dict[str, Instance]:
        """Return the instances by name, ours or not."""
        return {instance.name: instance for instance in await self.runtime.instances(self.target)}


RuntimeLab: TypeAlias = Callable[[], AbstractAsyncContextManager[Lab]]
"""What the fixture `runtime_lab` returns: each call makes a fresh lab and takes it down again."""


class FakeClock:
    """Time that passes only while somebody sleeps."""

    def __init__(self, now: float = 1_750_000_000.0) -> None:
        self._now = now

    def now(self) -> float:
        """Return UNIX seconds."""
        return self._now

    async def sleep(self, seconds: float) -> None:
        """Let that many seconds pass at once."""
        self._now += seconds


class HaltAfter:
    """A checkpoint that lets `count` mutations pass and then says stop."""

    def __init__(self, count: int) -> None:
        self._left = count

    async def __call__(self) -> None:
        """Raise Halted when no mutation is left."""
        if self._left == 0:
            raise Halted("the kill switch is on")
        self._left -= 1


def stored(action: Remediation, parameters: Json, plan: Plan, at: float) -> Intent:
    """Return the intent as it comes back from a store: everything went through JSON."""
    read = json.loads(json.dumps(asdict(plan)))
    return Intent(ACTION_ID, action.name, json.loads(json.dumps(parameters)), Plan(**read), at)


async def _go_on() -> None:
    """Let every mutation pass."""
