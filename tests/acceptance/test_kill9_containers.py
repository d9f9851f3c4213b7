"""The real process, killed with -9 while it changes real containers: judged by what their engine says, not by us."""

from __future__ import annotations

import json
import random
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from deploy.parts.engine import Engine
from deploy.parts.process import poll_until
from tests.acceptance.engine_events import EngineEvents
from tests.acceptance.fleet import FLEET, Fleet, policy
from tests.acceptance.judging import Story, held
from tests.acceptance.sender import Sender
from tests.acceptance.service import Service, stamp
from tests.acceptance.soaking import ENDED, ROUNDS, Figures, await_end, kills_within

pytestmark = [pytest.mark.acceptance, pytest.mark.docker, pytest.mark.alone]

AIMS = ("kill", "stop", "start", "create", "rename", "update", "destroy")
"""What the engine tells of that the process is then killed after: its answer may be lost, its outcome isn't stored."""

AIMED = 0.6
"""The share of kills that wait for such an event; the others come at random."""

AIM_LIMIT = 4.0
"""Seconds that a kill waits for its event."""

MOST_WAVES = 3
"""Times the planned waves after which kills that found nothing under way are given up."""


@dataclass(slots=True)
class Killer:
    """Kills the process at bad moments and starts it again.

    Args:
        aims: for each kill the engine's event that it follows, None for a random moment.
        times: of the kills, as the API writes times.
        aimed: kills that followed their event; the others found none in time.
    """

    service: Service
    events: EngineEvents
    dice: random.Random
    aims: Sequence[str | None]
    times: list[str] = field(default_factory=list)
    aimed: int = 0

    @property
    def left(self) -> int:
        """How many kills are still to come."""
        return len(self.aims) - len(self.times)

    def strike(self) -> None:
        """Kill it once."""
        aim = self.aims[len(self.times)]
        if aim is None:
            time.sleep(self.dice.uniform(0.1, 1.5))
        elif self.events.wait_for({aim}, self.events.mark(), AIM_LIMIT) is not None:
            self.aimed += 1
            # Between the effect and its stored outcome lie a few milliseconds, more for what is waited for.
            time.sleep(self.dice.choice((0.0, 0.0, 0.005, 0.05)))
        self.times.append(stamp(time.time()))
        self.service.kill()
        # Now and then it doesn't even live to be ready.
        self.service.start(wait=self.dice.random() < 0.8)


class Soak:
    """Waves of incidents, one on each service of the fleet, with kills meanwhile."""

    def __init__(self, fleet: Fleet, killer: Killer, *, seed: int, limit: float) -> None:
        self._fleet = fleet
        self._killer = killer
        self._service = killer.service
        self._events = killer.events
        self._dice = killer.dice
        self._seed = seed
        self._begun = time.monotonic()
        self._deadline = self._begun + limit
        self._waves = 0
        self._repeated = 0
        self._stories: list[Story] = []
        self._actions: Counter[str] = Counter()

    def run(self, waves: int) -> Figures:
        """Run at least so many waves, and more while kills are left."""
        self._learn()
        while self._waves < waves or (self._killer.left and self._waves < MOST_WAVES * waves):
            self._wave(-(-self._killer.left // max(1, waves - self._waves)))
        return Figures(
            target=f"{sum(kind.replicas for kind in FLEET.values())} containers on Docker {self._fleet.engine.version}",
            kills=len(self._killer.times),
            aimed=self._killer.aimed,
            within=kills_within([one.timeline for one in self._stories], self._killer.times),
            states=Counter(one.state for one in self._stories),
            done=self._actions,
            asked=None,
            repeated=self._repeated,
            seconds=time.monotonic() - self._begun,
            seed=self._seed,
        )

    def _learn(self) -> None:
        """Let every service run well until its image is known good."""
        for service in FLEET:
            self._fleet.deploy(service)
        self._service.start()
        poll_until(lambda: self._fleet.kept() == FLEET.keys(), 60.0, "not every image is known good")

    def _wave(self, kills: int) -> None:
        services = sorted(FLEET)
        self._dice.shuffle(services)
        self._fleet.trouble(services)
        before = {service: self._fleet.containers(service) for service in services}
        mark = self._events.mark()
        alerts = [(FLEET[service].alert, service) for service in services]
        sender = Sender(self._service.url, alerts, self._fleet.works, pace=0.4, seed=self._seed + self._waves)
        self._waves += 1
        sender.thread.start()
        try:
            for _ in range(kills):
                if self._over():
                    break
                self._killer.strike()
            assert self._service.child.running(), f"it did not start again:\n{self._service.child.tail()}"
            found = await_end(self._service, self._waves * len(FLEET), self._deadline)
        finally:
            sender.over.set()
            sender.thread.join()
        self._repeated += sender.failed
        assert sender.acknowledged == set(services), "not every alert was taken"
        self._judge(found, before, mark)

    def _over(self) -> bool:
        try:
            found = self._service.incidents()
        except httpx.TransportError:
            return False
        return len(found) == self._waves * len(FLEET) and all(one["state"] in ENDED for one in found)

    def _judge(self, found: list[dict[str, Any]], before: dict[str, list[dict[str, Any]]], mark: int) -> None:
        counts = Counter(one["target"] for one in found)
        assert counts == dict.fromkeys(FLEET, self._waves), "one incident for each alert"
        done = self._events.since(mark)
        for service, containers in before.items():
            newest = max((one for one in found if one["target"] == service), key=lambda one: str(one["opened_at"]))
            story = Story(
                service=service,
                incident=newest,
                timeline=self._service.timeline(newest["id"]),
                before=containers,
                after=self._fleet.containers(service),
                events=[one for one in done if one.service == service],
            )
            held(story)
            self._stories.append(story)
            if story.state == "escalated":
                # A person looked and says so, or the next alert would join it.
                answer = self._service.http.post(f"/api/v1/incidents/{newest['id']}/close", json={"reason": "seen"})
                answer.raise_for_status()
        self._actions.update(one.action for one in done)
        expected = sorted(name for story in self._stories[-len(FLEET) :] for name in story.names_before)
        assert self._fleet.lab.names() == expected, "something is left over"


@pytest.fixture
def fleet(engine: Engine, tmp_path: Path) -> Iterator[Fleet]:
    (outside := tmp_path / "outside").mkdir()
    with closing(Fleet(engine, outside)) as made:
        yield made


def soak(fleet: Fleet, directory: Path, aims: Sequence[str | None], *, waves: int, seed: int, limit: float) -> Figures:
    """Run it and hold the invariants; `limit` in seconds."""
    file = directory / "playbooks.yaml"
    file.write_text(json.dumps(policy(fleet.engine.socket)))
    with EngineEvents(fleet.engine) as events, closing(Service(directory, [file], "act")) as service:
        killer = Killer(service, events, random.Random(seed), aims)
        figures = Soak(fleet, killer, seed=seed, limit=limit).run(waves)
        assert service.get("/api/v1/unmatched")["items"] == []
        assert service.get("/api/v1/quarantine")["items"] == []
    print(f"\n{figures}")
    assert figures.kills == len(aims)
    curable = sum(figures.states.values()) * (len(FLEET) - 1) / len(FLEET)
    assert figures.states["resolved"] >= 0.9 * curable, "what can be cured is cured"
    return figures


@pytest.mark.timeout(120)
def test_five_kills_while_containers_are_changed_repeat_nothing_and_leave_nothing(fleet: Fleet, tmp_path: Path) -> None:
    soak(fleet, tmp_path, ["kill", "create", "rename", "start", "destroy"], waves=1, seed=1, limit=90)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_many_kills_while_containers_are_changed_repeat_nothing_and_leave_nothing(
    fleet: Fleet, tmp_path: Path, soak_report: list[Figures]
) -> None:
    dice = random.Random(2)
    aims = [dice.choice(AIMS) if dice.random() < AIMED else None for _ in range(ROUNDS)]
    waves = -(-ROUNDS // len(FLEET))
    soak_report.append(soak(fleet, tmp_path, aims, waves=waves, seed=2, limit=120 + 15 * ROUNDS))
