"""The kill switch: on counts at once and whatever the store does, off only when it is durable."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from receiver.control import TURNS, KillSwitch
from receiver.core.guardrails import Turn
from receiver.core.principal import Principal
from receiver.ports import StoreUnavailable
from tests.unit.web.fakes import FixedClock

pytestmark = pytest.mark.anyio


class SlowStore:
    """Keeps so many values as it is let; fails when told so."""

    def __init__(self, writes: int = 0) -> None:
        self.kept: list[Mapping[str, Any]] = []
        self.go = asyncio.Semaphore(writes)
        self.fails = False

    async def put(self, _key: str, value: Mapping[str, Any]) -> None:
        await self.go.acquire()
        if self.fails:
            raise StoreUnavailable("the disk is full")
        self.kept.append(value)

    async def get(self, _key: str) -> Mapping[str, Any] | None:
        return self.kept[-1] if self.kept else None


def switch(store: SlowStore, file: Path | None = None) -> KillSwitch:
    return KillSwitch(store, FixedClock(), file)  # type: ignore[arg-type] # only get and put are asked for


async def test_on_counts_before_it_is_stored_and_stays_when_it_can_t_be() -> None:
    store = SlowStore()
    kill = switch(store)
    turning = asyncio.create_task(kill.switch(Principal("jane", "cli"), on=True))
    await asyncio.sleep(0)
    assert kill.state().everything
    store.fails = True
    store.go.release()
    with pytest.raises(StoreUnavailable):
        await turning
    assert kill.state().everything


async def test_off_counts_only_when_it_is_stored() -> None:
    store = SlowStore(2)
    kill = switch(store)
    await kill.switch(Principal("jane", "cli"), on=True)
    store.fails = True
    with pytest.raises(StoreUnavailable):
        await kill.switch(Principal("jane", "cli"), on=False)
    assert kill.state().everything


async def test_on_that_comes_while_off_is_being_stored_is_never_lost() -> None:
    store = SlowStore(1)
    kill = switch(store)
    await kill.switch(Principal("jane", "cli"), on=True)
    off = asyncio.create_task(kill.switch(Principal("jane", "cli"), on=False))
    await asyncio.sleep(0)
    on = asyncio.create_task(kill.switch(Principal("joe", "cli"), on=True))
    await asyncio.sleep(0)
    assert kill.state().everything
    store.go.release()
    await off
    assert kill.state().everything
    store.go.release()
    await on
    again = switch(store)
    await again.load()
    assert (again.state().everything, again.state().by) == (True, "joe")


async def test_everything_and_single_playbooks_are_turned_apart_and_survive_a_restart() -> None:
    store = SlowStore(3)
    kill = switch(store)
    await kill.switch(Principal("jane", "cli"), on=True, playbook="down")
    await kill.switch(Principal("jane", "cli"), on=True)
    await kill.switch(Principal("jane", "cli"), on=False)
    again = switch(store)
    await again.load()
    assert (again.state().everything, again.state().playbooks) == (False, ("down",))


async def test_who_turned_it_how_signed_in_and_from_where_survives_a_restart() -> None:
    store = SlowStore(1)
    await switch(store).switch(Principal("jane", "api", "token", "192.0.2.7"), on=True)
    again = switch(store)
    await again.load()
    (turn,) = again.state().turns
    assert turn == Turn(True, None, FixedClock().now(), "jane", "api", "token", "192.0.2.7")


async def test_the_last_turns_are_remembered_each_once_and_in_order() -> None:
    store = SlowStore(1000)
    kill = switch(store)
    for number in range(TURNS + 3):
        await kill.switch(Principal(f"p{number}", "cli"), on=number % 2 == 0, playbook="down")
    assert [one.by for one in kill.state().turns] == [f"p{number}" for number in range(3, TURNS + 3)]


async def test_a_switch_stored_before_audits_is_still_on() -> None:
    store = SlowStore()
    store.kept.append({"everything": True, "playbooks": [], "by": "jane", "at": 1.0})
    again = switch(store)
    await again.load()
    assert (again.state().everything, again.state().by, again.state().turns) == (True, "jane", ())


async def test_the_file_stops_everything_while_it_is_there(tmp_path: Path) -> None:
    kill = switch(SlowStore(), tmp_path / "stop")
    assert kill.state().file is None
    (tmp_path / "stop").touch()
    assert kill.state().file == str(tmp_path / "stop")
