"""The demo's stage on the session's engine, for tests of the parts themselves."""

from collections.abc import Iterator

import pytest

from deploy.demo.stage import Stage, running_stage
from deploy.parts.engine import Engine
from deploy.parts.ports import free_port


@pytest.fixture(scope="module")
def stage(engine: Engine) -> Iterator[Stage]:
    with running_stage(engine, port=free_port()) as running:
        yield running
