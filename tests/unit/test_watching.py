"""Parts outside the service: told when they go and when they come back, once each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from receiver.core.playbook import Service
from receiver.ports import MetricsUnavailable, Sample
from receiver.watching import DOWN, UP, PartsWatch
from remediations.protocol import EngineUnavailable, Runtime
from remediations.runtimes.memory import MemoryRuntime
from tests.simulation.world import FakeClock

pytestmark = pytest.mark.anyio


class Switch:
    """A metrics source that can be turned off."""

    def __init__(self) -> None:
        self.on = True

    async def query(self, expr: str, at: float | None = None) -> Sequence[Sample]:
        """Answer nothing, or fail."""
        if not self.on:
            raise MetricsUnavailable("nobody listens")
        return ()

    async def firing(self, alertname: str, labels: Mapping[str, str]) -> bool | None:
        """Say that it can't be told."""
        return None


SERVICES = {"api": Service("api", "local", "containers", {})}


async def test_a_part_that_goes_and_comes_back_is_noted() -> None:
    clock, metrics = FakeClock(), Switch()
    noted: list[tuple[str, str]] = []
    runtime = MemoryRuntime(clock.now, clock.sleep)
    watch = PartsWatch(clock, metrics, None, lambda: SERVICES, lambda _: runtime, lambda *one: noted.append(one))
    await watch.look()
    metrics.on = False
    await watch.look()
    metrics.on = True
    await watch.look()
    assert [state for part, state in noted if part == "prometheus"] == [UP, DOWN, UP]
    assert [state for part, state in noted if part == "engine local"] == [UP, UP, UP]


async def test_an_engine_that_can_not_be_had_is_a_state_and_no_crash() -> None:
    def gone(_service: Service) -> Runtime:
        raise EngineUnavailable("engine local is not in the file")

    noted: list[tuple[str, str]] = []
    watch = PartsWatch(FakeClock(), None, None, lambda: SERVICES, gone, lambda *one: noted.append(one))
    await watch.look()
    assert noted == [("engine local", DOWN)]
