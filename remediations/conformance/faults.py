"""A runtime that fails on purpose around its mutating calls: by a crash, a lost answer, or an engine that is away."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from enum import StrEnum
from typing import TypeVar

from remediations.protocol import (
    EngineUnavailable,
    Instance,
    Json,
    KnownGood,
    OutcomeUnknown,
    Progress,
    Runtime,
    Target,
)

T = TypeVar("T")


class Crashed(BaseException):
    """The process died here. No exception of Python's hierarchy that an action could catch and go on from."""


class Fault(StrEnum):
    """What happens at the chosen mutating call."""

    CRASH_BEFORE = "crash before the effect"
    CRASH_AFTER = "crash after the effect"
    LOST_BEFORE = "no answer, and no effect"
    LOST_AFTER = "no answer, though it took effect"
    UNAVAILABLE = "the engine can't be reached"


class CrashingRuntime:
    """Wraps a runtime, writes down what took effect, and fails once: at its n-th mutating call.

    Args:
        inner: the runtime that really acts.
        fault: what goes wrong.
        at: which mutating call, from 1; 0: none.

    `performed` lists the mutating calls that took effect, as (method, instance name), in order.
    """

    def __init__(self, inner: Runtime, fault: Fault = Fault.CRASH_AFTER, at: int = 0) -> None:
        self.name = inner.name
        self.performed: list[tuple[str, str]] = []
        self._inner = inner
        self._fault = fault
        self._at = at
        self._calls = 0

    async def check(self) -> Json:
        """Read."""
        return await self._inner.check()

    async def instances(self, target: Target) -> tuple[Instance, ...]:
        """Read."""
        return await self._inner.instances(target)

    async def restart(self, target: Target, instance: Instance) -> None:
        """Mutate."""
        await self._mutate("restart", instance.name, lambda: self._inner.restart(target, instance))

    async def add_instance(self, target: Target, like: Instance, name: str, action_id: str) -> Instance:
        """Mutate."""
        return await self._mutate("add", name, lambda: self._inner.add_instance(target, like, name, action_id))

    async def remove_instance(self, target: Target, name: str, action_id: str) -> bool:
        """Mutate."""
        return await self._mutate("remove", name, lambda: self._inner.remove_instance(target, name, action_id))

    async def replace_instance(
        self, target: Target, instance: Instance, version: KnownGood, action_id: str, *, healthy_within: float
    ) -> Instance:
        """Mutate."""
        return await self._mutate(
            "replace",
            instance.name,
            lambda: self._inner.replace_instance(target, instance, version, action_id, healthy_within=healthy_within),
        )

    async def replaced(self, target: Target, name: str, action_id: str) -> Progress:
        """Read."""
        return await self._inner.replaced(target, name, action_id)

    async def version_exists(self, version: KnownGood) -> bool:
        """Read."""
        return await self._inner.version_exists(version)

    async def keep_version(self, target: Target, instance: Instance, now: float) -> KnownGood:
        """Mutate."""
        return await self._mutate("keep", instance.name, lambda: self._inner.keep_version(target, instance, now))

    async def forget_version(self, target: Target, version: KnownGood) -> None:
        """Mutate."""
        await self._mutate("forget", version.image_id, lambda: self._inner.forget_version(target, version))

    async def logs(self, target: Target, instance: Instance, lines: int) -> tuple[str, ...]:
        """Read."""
        return await self._inner.logs(target, instance, lines)

    async def stats(self, target: Target, instance: Instance) -> Json:
        """Read."""
        return await self._inner.stats(target, instance)

    async def received(self, target: Target, instance: Instance) -> float | None:
        """Read."""
        return await self._inner.received(target, instance)

    async def disk(self) -> Json:
        """Read."""
        return await self._inner.disk()

    async def close(self) -> None:
        """Leave the wrapped runtime open: whoever made it closes it."""

    async def _mutate(self, method: str, name: str, call: Callable[[], Awaitable[T]]) -> T:
        self._calls += 1
        failing = self._calls == self._at
        if failing:
            self._fail_before(method, name)
        result = await call()
        self.performed.append((method, name))
        if failing and self._fault is Fault.CRASH_AFTER:
            raise Crashed(f"after {method} {name}")
        if failing and self._fault is Fault.LOST_AFTER:
            raise OutcomeUnknown(f"{method} {name}: no answer")
        return result

    def _fail_before(self, method: str, name: str) -> None:
        if self._fault is Fault.CRASH_BEFORE:
            raise Crashed(f"before {method} {name}")
        if self._fault is Fault.LOST_BEFORE:
            raise OutcomeUnknown(f"{method} {name}: no answer")
        if self._fault is Fault.UNAVAILABLE:
            raise EngineUnavailable(f"{method} {name}: the engine can't be reached")


class Protecting(CrashingRuntime):
    """Says of every instance that nobody may act on it."""

    async def instances(self, target: Target) -> tuple[Instance, ...]:
        """Read."""
        return tuple(replace(one, protected="it is ourselves") for one in await super().instances(target))
