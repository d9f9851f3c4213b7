"""A world made of a policy file, and scenarios in it: what happens, and what is looked at afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

from receiver.core import events as ev
from receiver.core.alert import Alert, AlertStatus
from receiver.core.incident import Incident
from receiver.core.principal import Principal
from receiver.known_good import KnownGoodWatch
from receiver.ports import IncidentFilter, Sample
from remediations.protocol import Health, Instance, Target
from remediations.runtimes.memory import Behaviour, MemoryRuntime
from tests.simulation.world import FakeMetrics, World

Scenario: TypeAlias = Callable[["Lab"], Awaitable[Any]]


class Metrics(FakeMetrics):
    """Answers with the test's values, after it did something of the test's."""

    asked: Callable[[], None] | None = None

    async def query(self, expr: str, at: float | None = None) -> Sequence[Sample]:
        """Answer by the name that the expression holds."""
        if self.asked is not None:
            self.asked()
        return await super().query(expr, at)


class Runtime(MemoryRuntime):
    """A runtime whose restarts can hang."""

    hangs: tuple[str, ...] = ()

    async def restart(self, target: Target, instance: Instance) -> None:
        """Restart, or hang for good."""
        if target.service in self.hangs:
            await asyncio.Event().wait()
        await super().restart(target, instance)


class Lab:
    """A world made of a file, and what tests do in it."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.metrics = Metrics(world.clock)
        self.metrics.samples = 2.0
        world.metrics = self.metrics
        self.runtime = Runtime(world.clock.now, world.clock.sleep)
        world.runtime = self.runtime

    def instances(self, count: int = 1) -> None:
        """Let healthy instances run since a while."""
        for name in ("api", "web"):
            for number in range(1, count + 1):
                self.runtime.create(name, f"{name}-{number}", "good")
        self.world.clock.time += 5.0

    def alert(self, service: str = "api", **more: str) -> Alert:
        """Return an alert that begins now."""
        alert = self.world.alert(service=service)
        return replace(alert, labels={**alert.labels, **more}, starts_at=int(self.world.clock.now() * 1e9))

    def fails(self, service: str = "api") -> None:
        """Let the first instance stop."""
        one = self.runtime.services[service].instances[f"{service}-1"]
        self.runtime.put(service, replace(one, running=False, health=Health.NONE, status="exited"))

    async def trouble(self, seconds: float = 30.0, service: str = "api", **more: str) -> None:
        """Let a service fail and the alert fire."""
        self.fails(service)
        await self.fires(seconds, service, **more)

    async def fires(self, seconds: float, service: str = "api", **more: str) -> None:
        """Let the alert fire for a service whose instances are healthy."""
        await self.world.fire(self.alert(service, **more))
        await self.world.run(seconds)

    async def calm(self, seconds: float, service: str = "api") -> None:
        """Let the alert of the newest incident resolve."""
        began = round((await self.world.incident()).starts_at * 1e9)
        await self.world.fire(replace(self.alert(service), status=AlertStatus.RESOLVED, starts_at=began))
        await self.world.run(seconds)

    async def repaired(self, service: str = "api") -> None:
        """Let it fail and be repaired, to the end."""
        await self.trouble(20.0, service)
        await self.calm(40.0, service)
        assert not (await self.world.incident()).open, await self.world.story()

    async def said(self, words: str) -> bool:
        """Whether the newest incident's timeline has these words."""
        return words in await self.world.story()

    async def count(self, kind: type[ev.Event]) -> int:
        """Return how often something of that kind happened to the newest incident."""
        events = await self.world.store.events((await self.world.incident()).id)
        return sum(isinstance(one.event, kind) for one in events)

    async def at(self, kind: type[ev.Event], nth: int = 0) -> float:
        """Return when something of that kind happened to the newest incident for the nth time."""
        events = await self.world.store.events((await self.world.incident()).id)
        return [one.at for one in events if isinstance(one.event, kind)][nth]


# --- scenarios: what happens, and what is looked at -------------------------------------------------------------------


def between(first: type[ev.Event], second: type[ev.Event], seconds: float = 60.0) -> Scenario:
    """Return the whole seconds between two events after a failure."""

    async def run(lab: Lab) -> int:
        await lab.trouble(seconds)
        return round(await lab.at(second) - await lab.at(first))

    return run


def counted(kind: type[ev.Event], seconds: float = 60.0) -> Scenario:
    """Return how often something happens after a failure."""

    async def run(lab: Lab) -> int:
        await lab.trouble(seconds)
        return await lab.count(kind)

    return run


def words(text: str, seconds: float = 60.0, **labels: str) -> Scenario:
    """Return whether the timeline says something after a failure."""

    async def run(lab: Lab) -> bool:
        await lab.trouble(seconds, **labels)
        return await lab.said(text)

    return run


def slow_boot(then: Scenario) -> Scenario:
    """Let instances take 20 s to become healthy."""

    async def run(lab: Lab) -> Any:
        lab.runtime.services["api"].boot = 20.0
        return await then(lab)

    return run


def hanging(then: Scenario) -> Scenario:
    """Let restarts of `api` hang."""

    async def run(lab: Lab) -> Any:
        lab.runtime.hangs = ("api",)
        try:
            return await then(lab)
        finally:
            await lab.world.executor.close()

    return run


def measured(value: float, then: Scenario, *, age: float = 0.0, traffic: float | None = None) -> Scenario:
    """Let Prometheus answer with a value that is so old."""

    async def run(lab: Lab) -> Any:
        lab.metrics.values = {"errors": value, "others": 100.0 - value}
        if traffic is not None:
            lab.metrics.values["requests"] = traffic
        lab.metrics.age = age
        return await then(lab)

    return run


def falls_over_when_looked_at(then: Scenario) -> Scenario:
    """Let the instance stop as soon as its verification asks Prometheus."""

    async def run(lab: Lab) -> Any:
        def stop() -> None:
            if lab.runtime.services["api"].instances["api-1"].running:
                lab.fails()

        lab.metrics.values = {"errors": 0.0}
        await lab.trouble(1.5)
        lab.metrics.asked = stop
        await lab.world.run(60.0)
        return await then(lab)

    return run


async def verdict(lab: Lab) -> str:
    """Return how the first verification of a step ended."""
    events = await lab.world.store.events((await lab.world.incident()).id)
    return next((one.event.verdict for one in events if isinstance(one.event, ev.Verified)), "none")


async def judged(lab: Lab) -> str:
    """Let it fail; return the verdict."""
    await lab.trouble(150.0)
    return await verdict(lab)


async def after_repair(lab: Lab) -> str:
    """Let it be repaired and fail again; return whether it acts again, asks, or refuses."""
    await lab.repaired()
    await lab.trouble(20.0)
    return await acted(lab)


async def acted(lab: Lab) -> str:
    """Return what was done about the newest incident first: `asked`, `refused`, `acted`, `said` or nothing."""
    kinds = await lab.world.kinds()
    known = {"ApprovalAsked": "asked", "StepRefused": "refused", "StepStarted": "acted", "WouldHave": "said"}
    return next((known[one] for one in kinds if one in known), "nothing")


async def in_trouble(lab: Lab) -> str:
    """Let it fail; return what was done first."""
    await lab.trouble()
    return await acted(lab)


async def voted(lab: Lab) -> str:
    """Let it fail and one person agree without a reason; return what then was done, or what they were told."""
    await lab.trouble(10.0)
    answer = await lab.world.operations.vote(
        (await lab.world.incident()).id, by=Principal("ann", "cli"), approve=True, reason=""
    )
    await lab.world.run(10.0)
    return "acted" if await lab.count(ev.StepStarted) else "waits" if answer.ok else "told no"


async def people_called(lab: Lab) -> bool:
    """Let it fail and nobody answer; return whether people are called."""
    await lab.trouble(100.0)
    assert await lab.said("nobody approved step restart in time")
    return (await lab.world.incident()).page_at is not None


async def approved_and_stopped(lab: Lab) -> bool:
    """Let people agree while the kill switch is on; return whether their word is void after a while."""
    await lab.trouble(10.0)
    await lab.world.operations.kill(on=True, by=Principal("ann", "cli"))
    await lab.world.operations.vote(
        (await lab.world.incident()).id, by=Principal("ann", "cli"), approve=True, reason=""
    )
    await lab.world.run(120.0)
    return await lab.said("approved, but it could not start in time")


async def both(lab: Lab) -> str:
    """Let `web` be repaired and `api` fail then; return what was done about `api`."""
    await lab.repaired("web")
    await lab.trouble()
    return await acted(lab)


async def both_at_once(lab: Lab) -> str:
    """Let a restart of `web` hang while `api` fails; return what was done about `api`."""
    lab.runtime.hangs = ("web",)
    await lab.trouble(5.0, "web")
    await lab.trouble(5.0)
    result = await acted(lab)
    await lab.world.executor.close()
    return result


async def replicas(lab: Lab) -> int:
    """Let it be scaled; return how many instances there are a minute later."""
    await lab.fires(60.0)
    return len(lab.runtime.services["api"].instances)


async def replicas_when_calm(lab: Lab) -> int:
    """Let it be scaled and the alert resolve; return how many instances there are two minutes later."""
    await lab.fires(20.0)
    await lab.calm(120.0)
    return len(lab.runtime.services["api"].instances)


async def rolled_back(lab: Lab) -> str:
    """Let it fail on a version that came 10 minutes ago; return what was done."""
    await lab.world.known_good("better", changed_at=lab.world.clock.now() - 600.0)
    lab.runtime.services["api"].versions["better"] = Behaviour.HEALTHY
    await lab.trouble()
    kinds = await lab.world.kinds()
    return "skipped" if "StepSkipped" in kinds else await acted(lab)


async def known_versions(lab: Lab) -> int:
    """Let it run well for two minutes; return how many versions are known to be good then."""
    watch = KnownGoodWatch(
        lab.world.store, lab.world.clock, lambda: lab.world.rules.services, lambda _: lab.runtime, lambda *_: None
    )
    for _ in range(12):
        await watch.look(lab.world.rules.services["api"], every=10.0)
        lab.world.clock.time += 10.0
    return len((await watch.look(lab.world.rules.services["api"], every=10.0)).versions)


def opened(what: Callable[[Incident], Any], **labels: str) -> Scenario:
    """Let an alert fire; return something of its incident, None when there is none."""

    async def run(lab: Lab) -> Any:
        await lab.world.fire(lab.alert(**labels))
        await lab.world.run(0.5)
        page = await lab.world.store.incidents(IncidentFilter())
        return what(page.items[0]) if page.items else None

    return run


async def taken_over(lab: Lab) -> str:
    """Let a step fail; return which playbook step was tried last and whether people were called."""
    await lab.trouble(200.0)
    steps = [one.step for one in (await lab.world.incident()).done]
    return f"{','.join(steps)} {(await lab.world.incident()).phase.value}"


async def pages(lab: Lab) -> int:
    """Let everything fail; return how often people were called again within some minutes."""
    lab.runtime.services["api"].boot = 1e6
    await lab.trouble(400.0)
    return await lab.count(ev.Paged)


async def reports(lab: Lab) -> int:
    """Let everything fail; return how often it was told how it stands within some minutes."""
    lab.runtime.services["api"].boot = 1e6
    await lab.trouble(400.0)
    return await lab.count(ev.StatusReported)


def late(what: str, seconds: float) -> Scenario:
    """Return a scenario where everything fails: when something was told as late, in seconds since the beginning."""

    async def scenario(lab: Lab) -> int | None:
        lab.runtime.services["api"].boot = 1e6
        await lab.trouble(seconds)
        events = await lab.world.store.events((await lab.world.incident()).id)
        missed = [one.at for one in events if isinstance(one.event, ev.ResponseMissed) and one.event.what == what]
        return round(missed[0] - events[0].at) if missed else None

    return scenario


async def held(lab: Lab) -> int:
    """Let it be repaired and the alert resolve at once; return the seconds from verified to resolved."""
    await lab.trouble(8.0)
    await lab.calm(120.0)
    return round((await lab.at(ev.Resolved)) - (await lab.at(ev.Verified)))


async def still_firing(lab: Lab) -> bool:
    """Let it be repaired and the alert fire on; return whether people are called within two minutes."""
    await lab.trouble(130.0)
    return await lab.count(ev.Escalated) > 0


async def old(lab: Lab) -> str:
    """Let an alert arrive that began two minutes ago; return what was done."""
    lab.fails()
    alert = replace(lab.alert(), starts_at=int((lab.world.clock.now() - 120.0) * 1e9))
    await lab.world.fire(alert)
    await lab.world.run(30.0)
    return await acted(lab)


async def posted(lab: Lab) -> str:
    """Let an alert arrive that Prometheus doesn't know; return what was done."""
    lab.metrics.confirms = False
    return await in_trouble(lab)


async def three(lab: Lab) -> str:
    """Let an alert fire for three healthy instances; return what was done."""
    lab.instances(3)
    await lab.fires(30.0)
    return await acted(lab)


async def healthy(lab: Lab) -> str:
    """Let an alert fire for a healthy single instance; return what was done."""
    await lab.fires(10.0)
    return await acted(lab)
