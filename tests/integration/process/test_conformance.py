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
    together = True


class TestScale(ScaleConformance):
    together = True


class TestRollback(RollbackConformance):
    together = True


class TestDiagnose(DiagnoseConformance):
    pass
