"""The runtime `process`, and our actions on it, pass the conformance suite with real processes."""

from remediations.testing import (
    DiagnoseConformance,
    RestartConformance,
    RollbackConformance,
    RuntimeConformance,
    ScaleConformance,
)


class TestProcessRuntime(RuntimeConformance):
    pass


class TestRestart(RestartConformance):
    pass


class TestScale(ScaleConformance):
    pass


class TestRollback(RollbackConformance):
    pass


class TestDiagnose(DiagnoseConformance):
    pass
