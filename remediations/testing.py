"""The conformance suite that every action and every runtime passes, other people's too.

It is made of plain pytest classes. A runtime brings one fixture, `runtime_lab`, whose value makes a fresh `Lab` (a
service of two healthy instances, and hands to meddle with it) each time it is called, and subclasses what applies:

    from contextlib import asynccontextmanager

    import pytest

    from remediations.testing import (
        DiagnoseConformance, Lab, RestartConformance, RollbackConformance, RuntimeConformance, RuntimeLab,
        ScaleConformance,
    )

    @pytest.fixture
    def runtime_lab() -> RuntimeLab:
        @asynccontextmanager
        async def make():
            runtime = MyRuntime(...)
            ...  # start two instances and wait until they are healthy
            try:
                yield Lab(runtime=runtime, target=..., good=..., broken=..., missing=..., recreate=..., remove=...,
                          stop=..., now=clock.now, sleep=asyncio.sleep, http=client)
            finally:
                ...  # remove everything
        return make

    class TestMyRuntime(RuntimeConformance): ...
    class TestRestart(RestartConformance): ...
    class TestScale(ScaleConformance): ...
    class TestRollback(RollbackConformance): ...
    class TestDiagnose(DiagnoseConformance): ...

On a real engine put its marker above each class (`@pytest.mark.docker`). Each test runs its own event loop, so make
the runtime and the HTTP client inside of `make`. Where labs can exist beside each other, set `together = True` on a
class: its crash points then take the time of one.

An action of your own subclasses `ActionConformance` and sets `action`, `parameters`, `mutations` and, when its undo
changes something, `undo_mutations`. Run it on `memory_lab` first, which needs nothing but memory and takes no time:

    @pytest.fixture
    def runtime_lab() -> RuntimeLab:
        return memory_lab

    class TestMyAction(ActionConformance):
        action = MyAction()
        parameters = {"speed": "slow"}
        mutations = 2

        async def assert_done(self, lab, before): ...

What the suite asks: planning changes nothing; executing does what the plan says; `observe` is right before, after and
at each point where a crash or a lost answer can cut; resuming does nothing twice; a halt is honoured; undo restores,
and only what nobody else has changed; and whatever crosses the boundary is made of JSON types.
"""

from remediations.conformance.actions import ActionConformance
from remediations.conformance.calls import HttpConformance
from remediations.conformance.faults import Crashed, CrashingRuntime, Fault
from remediations.conformance.lab import FakeClock, HaltAfter, Lab, RuntimeLab, stored
from remediations.conformance.memory import memory_lab
from remediations.conformance.ours import (
    DiagnoseConformance,
    RestartConformance,
    RollbackConformance,
    ScaleConformance,
)
from remediations.conformance.runtimes import RuntimeConformance

__all__ = [
    "ActionConformance",
    "Crashed",
    "CrashingRuntime",
    "DiagnoseConformance",
    "FakeClock",
    "Fault",
    "HaltAfter",
    "HttpConformance",
    "Lab",
    "RestartConformance",
    "RollbackConformance",
    "RuntimeConformance",
    "RuntimeLab",
    "ScaleConformance",
    "memory_lab",
    "stored",
]
