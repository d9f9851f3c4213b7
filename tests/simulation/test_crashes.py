"""The process dies at each of its calls, before and after the effect: nothing is lost and nothing is done twice."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from receiver.core.fold import replay
from receiver.core.incident import Incident, Phase
from receiver.core.playbook import Policy
from receiver.ports import IncidentFilter
from remediations.protocol import ActionRefused
from remediations.runtimes.memory import Behaviour
from tests.simulation.world import START, World, playbook, policy, step

pytestmark = pytest.mark.anyio

MUTATIONS = ("restart", "add_instance", "remove_instance", "replace_instance")


class Crash(BaseException):
    """The process is gone; nothing may catch this."""


class Killer:
    """Lets the process die at its n-th call; counts what the target was really asked to do."""

    def __init__(self, world: World, at: int, *, after: bool) -> None:
        self.calls = 0
        self.effects: list[tuple[str, str]] = []
        self._at = at
        self._after = after
        for name in MUTATIONS:
            setattr(world.runtime, name, self._wrap(getattr(world.runtime, name), name))

    def watch(self, world: World) -> None:
        """Watch a store, again after each start."""
        world.store.submit = self._wrap(world.store.submit, None)  # type: ignore[method-assign]

    def _wrap(self, call: Callable[..., Any], effect: str | None) -> Callable[..., Any]:
        async def wrapped(*args: Any, **kwargs: Any) -> Any:
            self.calls += 1
            mine = self.calls == self._at
            if mine and not self._after:
                raise Crash
            try:
                result = await call(*args, **kwargs)
            except ActionRefused:
                if mine:
                    raise Crash from None
                raise
            if effect is not None and result is not False:
                self.effects.append((effect, getattr(args[1], "name", str(args[1]))))
            if mine:
                raise Crash
            return result

        return wrapped


async def live(world: World, at: int, *, after: bool) -> tuple[Incident, Killer]:
    """Run an incident to its end with one crash; the service is started again on what the store holds."""
    killer = Killer(world, at, after=after)
    killer.watch(world)
    resolved = False
    for _ in range(60):
        try:
            if not await world.store.firing() and not resolved:
                await world.fire()
            await world.run(15.0)
            if (await world.incident()).phase is Phase.HOLDING and not resolved:
                await world.fire(world.alert(status="resolved"))
                resolved = True
        except Crash:
            await world.close()
            await world.open()
            killer.watch(world)
        if (page := await world.store.incidents(_all())).items and page.items[0].phase in {
            Phase.RESOLVED,
            Phase.ESCALATED,
        }:
            break
    return await world.incident(), killer


def _all() -> IncidentFilter:
    return IncidentFilter(limit=2)


async def prepared(tmp_path: Path, rules: Policy) -> World:
    """Return an opened world whose bad version only a rollback cures."""
    world = World(tmp_path / "w.db", rules)
    await world.open()
    world.runtime.create("api", "api-1", "good")
    await world.known_good("good", changed_at=START - 60)
    world.runtime.create("api", "api-1", "bad")
    world.behave("bad", Behaviour.UNHEALTHY)
    world.fails()
    return world


@pytest.mark.parametrize("after", [False, True], ids=["before the effect", "after the effect"])
async def test_a_crash_anywhere_loses_nothing_and_repeats_nothing(tmp_path: Path, *, after: bool) -> None:
    rules = policy(playbook(step("restart"), step("rollback")))
    (tmp_path / "0").mkdir()
    quiet = await prepared(tmp_path / "0", rules)
    incident, killer = await live(quiet, 0, after=after)
    total, expected = killer.calls, killer.effects
    await quiet.close()
    assert incident.phase is Phase.RESOLVED
    assert expected == [("restart", "api-1"), ("replace_instance", "api-1")]
    for at in range(1, total + 1):
        (tmp_path / str(at)).mkdir()
        world = await prepared(tmp_path / str(at), rules)
        incident, killer = await live(world, at, after=after)
        log = await world.store.events(incident.id)
        story = await world.story()
        everything = await world.store.incidents(_all())
        await world.close()
        assert len(everything.items) == 1, f"crash at call {at}"
        assert replay(log) == incident
        assert incident.phase is Phase.RESOLVED, f"crash at call {at}:\n{story}"
        # A replacement may be entered again: it looks what is there and finishes. A restart may not.
        assert killer.effects.count(("restart", "api-1")) == 1, f"crash at call {at}:\n{story}"
        assert world.runtime.services["api"].instances["api-1"].image_id == "good"


@pytest.mark.parametrize("after", [False, True], ids=["before the effect", "after the effect"])
async def test_a_rollback_that_does_not_help_is_tried_once_wherever_the_process_dies(
    tmp_path: Path, *, after: bool
) -> None:
    async def tried(at: int) -> tuple[int, int]:
        (tmp_path / str(at)).mkdir()
        world = await prepared(tmp_path / str(at), policy(playbook(step("rollback"))))
        world.behave("good", Behaviour.UNHEALTHY)
        made = world.runtime.made
        incident, killer = await live(world, at, after=after)
        story = await world.story()
        await world.close()
        assert incident.phase is Phase.ESCALATED, f"crash at call {at}:\n{story}"
        assert world.runtime.services["api"].instances["api-1"].image_id == "bad"
        assert world.runtime.made == made + 1, f"crash at call {at}:\n{story}"
        return killer.calls, at

    total, _ = await tried(0)
    for at in range(1, total + 1):
        await tried(at)
