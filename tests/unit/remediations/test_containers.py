"""What the runtime asks of an engine: the order and the number of its calls."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from docker.errors import APIError

from remediations.protocol import ActionRefused, Health, Instance, RemediationError, Target
from remediations.runtimes.containers import ContainersRuntime

pytestmark = pytest.mark.anyio

TARGET = Target("api", "containers", {"com.docker.compose.service": "api"})
INSTANCE = Instance(
    "c1", "api-1", running=True, health=Health.NONE, image_id="i", image="i", started_at=1.0, created_at=1.0
)


class FakeApi:
    """The engine's client: notes what it is asked to change."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.removes_itself = False
        self.refusal: str | None = None

    def inspect_container(self, container: str) -> dict[str, Any]:
        """Return a container that has seven seconds to stop."""
        host = {"AutoRemove": self.removes_itself}
        return {"Id": container, "Name": "/api-1", "Config": {"StopTimeout": 7}, "HostConfig": host}

    def stop(self, container: str, timeout: int) -> None:
        """Note it."""
        self.calls.append(("stop", container, timeout))

    def start(self, container: str) -> None:
        """Note it, or refuse."""
        if self.refusal is not None:
            raise APIError("500 Server Error", explanation=self.refusal)
        self.calls.append(("start", container))

    def restart(self, container: str, timeout: int) -> None:
        """Note it."""
        self.calls.append(("restart", container, timeout))

    def close(self) -> None:
        """Do nothing."""


@pytest.fixture
def api() -> FakeApi:
    return FakeApi()


@pytest.fixture
async def runtime(api: FakeApi) -> AsyncIterator[ContainersRuntime]:
    made = ContainersRuntime("test", "unix:///nowhere.sock")
    made._calls._made = api  # type: ignore[assignment]
    yield made
    await made.close()


async def test_a_restart_is_a_stop_and_a_start_which_may_be_repeated(api: FakeApi, runtime: ContainersRuntime) -> None:
    await runtime.restart(TARGET, INSTANCE)
    assert api.calls == [("stop", "c1", 7), ("start", "c1")]


async def test_a_container_that_the_engine_removes_once_it_stops_is_restarted_by_the_engine(
    api: FakeApi, runtime: ContainersRuntime
) -> None:
    api.removes_itself = True
    await runtime.restart(TARGET, INSTANCE)
    assert api.calls == [("restart", "c1", 7)]


async def test_a_container_that_was_stopped_and_can_not_be_started_is_not_called_untouched(
    api: FakeApi, runtime: ContainersRuntime
) -> None:
    api.refusal = "port is already allocated"
    with pytest.raises(RemediationError, match=r"api-1 was stopped, and can't be started again: .* allocated") as told:
        await runtime.restart(TARGET, INSTANCE)
    assert not isinstance(told.value, ActionRefused)
    assert api.calls == [("stop", "c1", 7)]
