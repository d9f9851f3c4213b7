"""The runtime `containers`, and our actions on it, pass the conformance suite on the real engine."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from deploy.parts.engine import Engine
from remediations.testing import (
    DiagnoseConformance,
    Lab,
    RestartConformance,
    RollbackConformance,
    RuntimeConformance,
    RuntimeLab,
    ScaleConformance,
)
from tests.integration.docker.pairs import AT_ONCE, Pairs

pytestmark = pytest.mark.docker


@pytest.fixture(scope="module")
def pairs(engine: Engine) -> Iterator[Pairs]:
    made = Pairs(engine)
    yield made
    made.close()


@pytest.fixture
def runtime_lab(pairs: Pairs) -> RuntimeLab:
    turn = asyncio.Semaphore(AT_ONCE)

    @asynccontextmanager
    async def make() -> AsyncIterator[Lab]:
        async with turn, pairs.lab() as lab:
            yield lab

    return make


class TestContainersRuntime(RuntimeConformance):
    pass


class TestRestart(RestartConformance):
    together = True


class TestScale(ScaleConformance):
    together = True


class TestRollback(RollbackConformance):
    together = True


class TestDiagnose(DiagnoseConformance):
    pass
