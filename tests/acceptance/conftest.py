"""The report of a full soak."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.acceptance.soaking import Figures, report


@pytest.fixture(scope="session")
def soak_report(request: pytest.FixtureRequest) -> Iterator[list[Figures]]:
    """Collect the figures of a soak's runs, and write them to the file that `REMEDIATOR_SOAK_REPORT` names."""
    runs: list[Figures] = []
    yield runs
    file = os.environ.get("REMEDIATOR_SOAK_REPORT")
    if file and runs and not request.session.testsfailed:
        Path(file).write_text(report(runs, f"{datetime.now(UTC):%Y-%m-%d}"))
