"""An engine or target that can't be used, as an incident tells of it: a refusal with its reason, and nothing begun."""

from __future__ import annotations

import gc
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from receiver.core import events as ev
from receiver.core.incident import Phase
from receiver.core.playbook import Policy
from receiver.core.timeline import entries
from remediations.runtimes.containers import ContainersRuntime
from tests.integration.docker.fake_engine import Answer, fake_engine
from tests.simulation.world import World, playbook, policy, step

pytestmark = [
    pytest.mark.anyio,
    # docker-py leaves the socket of a failed connection to the garbage collector, which Python then warns about.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning"),
]

SERVICE = "com.docker.compose.service"
PROJECT = "com.docker.compose.project"


def row(name: str, **labels: str) -> dict[str, Any]:
    return {"Id": name, "Names": [f"/{name}"], "Labels": labels}


def rules() -> Policy:
    found = policy(playbook(step("restart")))
    return replace(found, services={"api": replace(found.services["api"], selector={SERVICE: "api"})})


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """Return a world whose only instance has stopped; its engine is whatever a test puts before it."""
    made = World(tmp_path / "w.db", rules())
    await made.open()
    made.runtime.create("api", "api-1", "good")
    made.fails()
    yield made
    await made.executor.close()
    await made.close()
    # Here, where the warning is expected, rather than in whatever test comes next.
    gc.collect()


@pytest.fixture
def engines(tmp_path: Path) -> Iterator[Path]:
    """Make sockets that nobody, somebody who says nothing, and engines of no use listen on."""
    with ExitStack() as stack:
        for name, backlog in (("refused", None), ("hangs", 64)):
            listener = stack.enter_context(socket.socket(socket.AF_UNIX))
            listener.bind(str(tmp_path / name))
            if backlog is not None:
                listener.listen(backlog)
        stack.enter_context(fake_engine(tmp_path / "old")).version = 200, {"ApiVersion": "1.12"}
        stack.enter_context(fake_engine(tmp_path / "web")).version = 200, b"<html>"
        stack.enter_context(fake_engine(tmp_path / "proxy", lambda *_: (403, b"no")))
        yield tmp_path


async def through(world: World, path: Path, seconds: float = 20.0) -> str:
    """Let the alert fire while an engine is asked; return why the step was refused, as the timeline tells it."""
    real = world.runtime
    asked = ContainersRuntime("local", f"unix://{path}", timeout=1)
    world.runtime = asked  # type: ignore[assignment]
    await world.fire()
    await world.run(seconds)
    world.runtime = real
    await asked.close()
    incident = await world.incident()
    log = await world.store.events(incident.id)
    assert not [one for one in log if isinstance(one.event, ev.StepStarted)]
    (refused,) = [entry.text for entry in entries(log) if entry.kind == "step_refused"]
    return refused


@pytest.mark.parametrize(
    ("engine", "why"),
    [
        ("missing", "there is no such socket"),
        ("refused", "nobody listens there"),
        ("hangs", "it hangs"),
        ("old", "is too old: API 1.12"),
        ("web", "is no container engine"),
    ],
)
async def test_an_engine_that_can_not_be_used_is_told_and_its_step_runs_once_it_can(
    world: World, engines: Path, engine: str, why: str
) -> None:
    assert why in await through(world, engines / engine)
    await world.run(60.0)
    incident = await world.incident()
    assert [(one.step, one.result) for one in incident.done] == [("restart", "passed")], await world.story()


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        ([], "no container of api (looked for com.docker.compose.service=api); there is: db-1"),
        (
            [row("a-1", **{PROJECT: "a"}), row("b-1", **{PROJECT: "b"})],
            "found in more than one compose project: a, b; add com.docker.compose.project to the selector",
        ),
    ],
)
async def test_a_target_that_is_not_one_is_told_and_left_to_people(
    world: World, tmp_path: Path, rows: list[dict[str, Any]], why: str
) -> None:
    def answer(_method: str, path: str) -> Answer:
        if path != "/containers/json":
            return 200, {}
        # The first question is for the service, the second for what there is at all.
        return 200, rows if rows or played.asked.count(f"GET {path}") % 2 else [row("db-1")]

    with fake_engine(tmp_path / "engine", answer) as played:
        assert why in await through(world, tmp_path / "engine")
    assert (await world.incident()).phase is Phase.ESCALATED


async def test_a_call_that_a_proxy_forbids_is_told_and_left_to_people(world: World, engines: Path) -> None:
    assert "refused (403): no" in await through(world, engines / "proxy")
    assert (await world.incident()).phase is Phase.ESCALATED
