"""The runtimes of today's policy, one per engine, made when they are first needed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

from receiver.core.playbook import Engine, Policy, Service
from receiver.ports import Clock
from remediations.protocol import EngineUnavailable, Runtime
from remediations.runtimes.containers import ContainersRuntime
from remediations.runtimes.process import ProcessRuntime


class Runtimes:
    """Hands out a service's runtime; an engine whose settings changed gets a new one.

    Args:
        policy: returns today's.
        state: a folder for what the process runtime remembers.
        depends: URLs of what the service depends on; containers behind them are never acted on.
    """

    def __init__(self, policy: Callable[[], Policy], state: Path, clock: Clock, *, depends: Sequence[str] = ()) -> None:
        self._policy = policy
        self._clock = clock
        self._state = state
        self._depends = depends
        self._made: dict[tuple[str, str], tuple[Engine | None, Runtime]] = {}
        self._old: list[Runtime] = []

    def of(self, service: Service) -> Runtime:
        """Return the runtime of a service; raises EngineUnavailable when its engine is not in the file."""
        engine = self._policy().engines.get(service.engine)
        if engine is None and service.runtime != "process":
            raise EngineUnavailable(f"engine {service.engine} of service {service.name} is not in the file")
        key = (service.engine, service.runtime)
        made = self._made.get(key)
        if made is None or made[0] != engine:
            if made is not None:
                self._old.append(made[1])
            made = self._made[key] = (engine, self._make(service, engine))
        return made[1]

    def _make(self, service: Service, engine: Engine | None) -> Runtime:
        if service.runtime == "process" or engine is None:
            return ProcessRuntime(self._state, self._clock.now)
        files = {"ca": engine.ca, "cert": engine.cert, "key": engine.key}
        return ContainersRuntime(engine.name, engine.url, **files, timeout=engine.timeout, depends=self._depends)

    async def close(self) -> None:
        """Close all of them."""
        every = [*self._old, *(runtime for _, runtime in self._made.values())]
        await asyncio.gather(*(runtime.close() for runtime in every))
