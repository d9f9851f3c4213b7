"""From an entry of `services:` to what an action works with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import httpx

from receiver.control import KillSwitch
from receiver.core.playbook import Service
from receiver.ports import Clock, Store
from remediations.protocol import Context, Halted, KnownGood, Runtime, Target


def target_of(service: Service) -> Target:
    """Return a service as the remediations see it."""
    return Target(
        service=service.name,
        runtime=service.runtime,
        selector=service.selector,
        health_urls=service.health_urls,
        health_word=service.health_word,
        health_timeout=service.health_timeout,
        min_replicas=service.min_replicas,
        max_replicas=service.max_replicas,
        traffic=service.traffic,
        shared_mounts=service.shared_mounts,
        good_after=service.good_after,
        recent=service.recent,
        command=service.command,
        options=service.options,
    )


def known_good_key(service: str) -> str:
    """Return the name under which a service's known-good record is stored."""
    return f"known-good:{service}"


def known_good_of(value: Mapping[str, Any] | None) -> tuple[KnownGood, ...]:
    """Return the known-good versions of a stored record, newest first."""
    return tuple(KnownGood(**one) for one in (value or {}).get("versions", ()))


class Targets:
    """Makes the context of an action.

    Args:
        runtime: returns the runtime of a service's engine; raises EngineUnavailable when it can't be had.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        http: httpx.AsyncClient,
        kill: KillSwitch,
        runtime: Callable[[Service], Runtime],
    ) -> None:
        self._store = store
        self._clock = clock
        self._http = http
        self._kill = kill
        self._runtime = runtime

    async def context(
        self,
        service: Service,
        *,
        playbook: str | None = None,
        min_healthy: int = 0,
        healthy_within: float = 60.0,
        finishing: bool = False,
    ) -> Context:
        """Return the context for a service.

        Args:
            playbook: whose own kill switch halts it, too.
            finishing: finishing or restoring a begun action isn't a new one, so that the kill switch does not halt it.

        Raises:
            EngineUnavailable: the service's engine is not configured, or its runtime is unknown.
        """
        record = await self._store.get(known_good_key(service.name))
        return Context(
            target=target_of(service),
            runtime=self._runtime(service),
            http=self._http,
            now=self._clock.now,
            sleep=self._clock.sleep,
            checkpoint=_never if finishing else partial(self._checkpoint, playbook),
            min_healthy=min_healthy,
            known_good=known_good_of(record),
            changed_at=(record or {}).get("changed_at"),
            healthy_within=healthy_within,
        )

    async def _checkpoint(self, playbook: str | None) -> None:
        kill = self._kill.state()
        if kill.file is not None:
            raise Halted(f"stopped before the next change: the file {kill.file} exists")
        if kill.everything:
            raise Halted(f"stopped before the next change: the kill switch is on ({kill.by})")
        if playbook in kill.playbooks:
            raise Halted(f"stopped before the next change: the kill switch of {playbook} is on ({kill.by})")


async def _never() -> None:
    """Let everything pass."""
