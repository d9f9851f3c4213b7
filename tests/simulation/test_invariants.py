"""Random lives of a world in which everything goes wrong; the invariants of the design hold in each of them."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from receiver.core import events as ev
from receiver.core.alert import Alert, AlertStatus
from receiver.core.fold import replay
from receiver.core.machine import wake
from receiver.core.playbook import Playbook, Policy
from receiver.core.principal import Principal
from tests.simulation.chaos import ALERTS, SERVICES, Chaos, an_alert, changed, rules

pytestmark = pytest.mark.anyio

ROUNDS = int(os.environ.get("REMEDIATOR_SOAK_ROUNDS", "50"))
MOVES = 60
WEIGHTS = {"fire": 4, "storm": 2, "resolve": 3, "vote": 3, "kill off": 4, "reload": 2}
WORDS = [
    *(word for word, weight in WEIGHTS.items() for _ in range(weight)),
    *["repeat", "stale", "deny", "take over", "close", "ack", "kill", "crash", "unhealthy", "long"],
]
FIRING, RESOLVED = AlertStatus.FIRING, AlertStatus.RESOLVED


async def move(world: Chaos) -> None:
    """Let one thing happen."""
    dice = world.dice
    match dice.choice(WORDS):
        case "fire":
            await deliver(world, an_alert(dice.choice(ALERTS), dice.choice(SERVICES), FIRING, world.clock.now()))
        case "storm":
            name = dice.choice(ALERTS)
            for service in SERVICES:
                await deliver(world, an_alert(name, service, FIRING, world.clock.now()))
        case "repeat" if world.acknowledged:
            await deliver(world, dice.choice(list(world.acknowledged.values())))
        case "resolve" if world.acknowledged:
            known = dice.choice(list(world.acknowledged.values()))
            await deliver(world, an_alert(known.name, known.labels["service"], RESOLVED, known.starts_at / 1e9))
        case "stale" if world.acknowledged:
            known = dice.choice(list(world.acknowledged.values()))
            status = dice.choice([FIRING, RESOLVED])
            await world.engine.ingest([an_alert(known.name, known.labels["service"], status, world.clock.now() - 9e4)])
        case "kill" | "kill off" as word:
            await world.operations.kill(on=word == "kill", by=Principal("ann", "cli"))
        case "reload":
            books = [book for one in rules().playbooks if (book := changed(one, dice)) is not None]
            await world.engine.use(_with(books))
        case "crash":
            await world.crash()
        case "unhealthy":
            world.healthy[dice.choice(SERVICES)] = False
        case "long":
            await world.live(dice.uniform(300.0, 2000.0))
        case word:
            await by_a_person(world, word)


async def meanwhile(world: Chaos) -> None:
    """Let something happen while a step is being planned."""
    match world.dice.choice(["take over", "close", "vote", "kill", "reload"]):
        case "kill":
            await world.operations.kill(on=True, by=Principal("ann", "cli"))
        case "reload":
            books = [book for one in rules().playbooks if (book := changed(one, world.dice)) is not None]
            await world.engine.use(_with(books))
        case word:
            await by_a_person(world, word)


def _with(books: list[Playbook]) -> Policy:
    return replace(rules(), playbooks=tuple(books))


async def by_a_person(world: Chaos, word: str) -> None:
    """Let somebody do something to some open incident."""
    incidents = [one for one in await world.incidents() if one.open]
    if not incidents:
        return
    one = world.dice.choice(incidents)
    who = world.dice.choice(["ann", "bob"])
    match word:
        case "vote" | "deny":
            for asked in incidents:
                await world.operations.vote(asked.id, by=Principal(who, "cli"), approve=word == "vote", reason="so")
        case "take over":
            await world.operations.take_over(one.id, by=Principal(who, "cli"))
        case "ack":
            await world.operations.acknowledge(one.id, by=Principal(who, "cli"))
        case "close":
            answer = await world.operations.close_incident(one.id, by=Principal(who, "cli"), reason="known")
            if answer.ok:
                # Closing frees the target by a person's word, whatever still happens to it.
                world.busy.pop(one.target, None)


async def deliver(world: Chaos, alert: Alert) -> None:
    """Deliver an alert; from then on it may not be lost."""
    await world.engine.ingest([alert])
    world.acknowledged[alert.fingerprint] = alert


async def come_to_rest(world: Chaos) -> None:
    """Let everything be well again: all must end by itself now."""
    world.calm = True
    await world.operations.kill(on=False, by=Principal("ann", "cli"))
    await world.engine.use(rules())
    for known in list(world.acknowledged.values()):
        await deliver(world, an_alert(known.name, known.labels["service"], RESOLVED, known.starts_at / 1e9))
    for _ in range(40):
        for service in SERVICES:
            world.healthy[service] = True
        await world.live(3600.0)
        if not any(one.open for one in await world.incidents()):
            return


async def held(world: Chaos) -> None:
    """Hold the invariants against what happened."""
    assert not world.wrong
    assert max(world.called.values(), default=0) <= 1, "a call that isn't idempotent was made twice"
    begun_by = {one.incident for one in await world.store.actions(0.0) if one.ended_at is None}
    assert not begun_by - {one.id for one in await world.incidents() if one.action is not None}, (
        "a lock that nobody holds"
    )
    rows = {row.alert.fingerprint for row in (await world.store.unmatched(1000)).items}
    for incident in await world.incidents():
        log = await world.store.events(incident.id, limit=100_000)
        assert replay(log) == incident
        at = wake(incident, await world.engine.playbook(incident.version), world.clock.now())
        assert (at is None) == (not incident.open)
        begun = {one.event.action_id: one.event for one in log if isinstance(one.event, ev.StepStarted)}
        steps = [begun[one].step for one in world.effects() if one in begun and begun[one].kind == "step"]
        twice = [name for name, count in Counter(steps).items() if count > 1]
        assert not twice, f"{incident.id}: {twice} took effect twice"
        rows |= {row.alert.fingerprint for row in await world.store.alerts(incident.id)}
        firing = sum(row.alert.status is FIRING for row in await world.store.alerts(incident.id))
        assert not incident.open or incident.firing == firing
    assert world.acknowledged.keys() <= rows, "an acknowledged alert was lost"


async def pausing(world: Chaos, dice: Random) -> None:
    """Let somebody pause incidents now and then, and let them go on; its own dice, so that older seeds stay theirs."""
    for one in await world.incidents():
        if one.open and dice.random() < 0.1:
            verb = world.operations.resume if one.paused_by is not None else world.operations.pause
            await verb(one.id, by=Principal("ann", "cli"))


async def life(path: Path, seed: int, *, pauses: bool = True) -> None:
    """Live one life from its seed, and tell all of it when an invariant broke."""
    world, dice = Chaos(path, seed), Random(seed)
    await world.open()
    world.meanwhile = meanwhile
    try:
        for _ in range(MOVES):
            await move(world)
            if pauses:
                await pausing(world, dice)
            await world.live(world.dice.uniform(0.0, 40.0))
            await held(world)
        await come_to_rest(world)
        await held(world)
        left = [f"{one.id} is {one.phase.value}" for one in await world.incidents() if one.open]
        assert not left, f"all is well, and still {left}"
    except AssertionError as error:
        raise AssertionError(f"seed {seed}: {error}\n" + "\n".join([*world.wrong, *world.happened[-20:]])) from error
    finally:
        await world.close()


FOUND = (1474, 1530)
"""Seeds that broke an invariant once.

1474: a dry run that took over kept what another playbook had added for ever. 1530: an alert that was only told of came
back while it was looked whether its end was true, and its next end was never looked at.
"""


@pytest.mark.parametrize("seed", [*range(8), *FOUND])
async def test_in_a_world_that_goes_wrong_in_every_way_the_invariants_hold(tmp_path: Path, seed: int) -> None:
    await life(tmp_path / "unused", seed, pauses=seed not in FOUND)


@pytest.mark.soak
@pytest.mark.timeout(3600)
async def test_in_many_such_worlds_too(tmp_path: Path) -> None:
    for seed in range(1000, 1000 + 20 * ROUNDS):
        await life(tmp_path / "unused", seed)
