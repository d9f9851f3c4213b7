"""Our actions and the memory runtime pass the conformance suite."""

import pytest

from remediations.testing import (
    DiagnoseConformance,
    HttpConformance,
    RestartConformance,
    RollbackConformance,
    RuntimeConformance,
    RuntimeLab,
    ScaleConformance,
    memory_lab,
)


@pytest.fixture
def runtime_lab() -> RuntimeLab:
    return memory_lab


class TestMemoryRuntime(RuntimeConformance):
    pass


class TestRestart(RestartConformance):
    pass


class TestScale(ScaleConformance):
    pass


class TestRollback(RollbackConformance):
    pass


class TestDiagnose(DiagnoseConformance):
    pass


class TestHttp(HttpConformance):
    pass
