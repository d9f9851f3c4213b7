"""The real server with the pages, on a real store and engine, with an incident that waits for people."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import httpx

from deploy.parts.ports import free_port
from receiver.core.alert import Alert
from receiver.core.incident import Incident
from receiver.core.playbook import ApprovalPolicy, Playbook
from receiver.core.severity import Severity
from receiver.metrics import Metrics
from receiver.people import People, Person, Role, hash_token
from receiver.settings import Settings, load
from receiver.web.feed import Feed
from receiver.web.health import Health
from receiver.web.oidc.joining import oidc_sign_in
from receiver.web.ports import Parts, Reloaded
from receiver.web.server import bind, make_server
from receiver.web.site import Site
from remediations.runtimes.memory import Behaviour
from tests.simulation.world import World, playbook, policy, step

ANN: Final = "rmd_ann_0123456789abcdefghijklmnopqrstuv"
BOB: Final = "rmd_bob_0123456789abcdefghijklmnopqrstuv"
EVE: Final = "rmd_eve_0123456789abcdefghijklmnopqrstuv"

PEOPLE: Final = People(
    {
        "ann": Person("ann", "Ann Archer", frozenset({Role.APPROVER}), (hash_token(ANN),)),
        "bob": Person("bob", "Bob Baker", frozenset({Role.APPROVER}), (hash_token(BOB),)),
        "eve": Person("eve", "Eve Viewer", frozenset({Role.VIEWER}), (hash_token(EVE),)),
    }
)


def ladder(*, approvals: int = 1, reason: bool = True) -> Playbook:
    """Return a playbook that restarts, then asks before it rolls back."""
    asks = ApprovalPolicy(approvals=approvals, reason_required=reason)
    return replace(
        playbook(step("restart"), step("rollback", approval=asks), name="high-error-rate", alert="HighErrorRate"),
        severity=Severity.P2,
        description="A release that answers its health check and fails requests.",
    )


@dataclass
class Scene:
    """The service as it runs now."""

    world: World
    port: int
    people: People
    settings: Settings

    @property
    def url(self) -> str:
        """Where its pages are."""
        return f"http://127.0.0.1:{self.port}"

    def alert(self, *, status: str = "firing", name: str = "HighErrorRate", **annotations: str) -> Alert:
        """Return the alert of the story."""
        found = self.world.alert(name, status=status, began=self.world.clock.now() - 20)
        told = annotations or {
            "summary": "5xx on api above 5 % for 2 minutes",
            "runbook_url": "https://wiki.example/5xx",
        }
        return replace(found, annotations=told)

    async def until_asked(self) -> Incident:
        """Let the service go on until it asks for an approval; returns the incident."""
        for _ in range(60):
            await self.world.run(5.0)
            incident = await self.world.incident()
            if incident.approval is not None:
                return incident
        raise AssertionError(await self.world.story())


@asynccontextmanager
async def scene(
    directory: Path,
    rules: Playbook | None = None,
    *,
    mode: str = "act",
    people: People = PEOPLE,
    environment: Mapping[str, str] | None = None,
    port: int | None = None,
) -> AsyncIterator[Scene]:
    """Serve until the block ends: a service whose newest release fails, and a version that is known good."""
    world = World(directory / "r.db", policy(rules or ladder()), mode=mode)
    await world.open()
    settings = load({"listen": f"127.0.0.1:{port or free_port()}", "mode": mode}, environment or {})
    one = Scene(world, settings.listen.port, people, settings)
    world.runtime.create("api", "api-1", "good")
    world.runtime.create("api", "api-1", "bad")
    world.behave("bad", Behaviour.UNHEALTHY)
    world.fails()
    await world.known_good("good", changed_at=world.clock.now() - 60)
    feed = Feed(world.store, world.clock)
    world.engine.on_stored = feed.stored
    health = Health()
    health.ready()
    http = httpx.AsyncClient(trust_env=False, verify=False)

    async def reload() -> Reloaded:
        return Reloaded(ok=True, text="reloaded: unchanged")

    site = Site(
        Parts(
            settings=settings,
            engine=world.engine,
            operations=world.operations,
            simulate=world.simulator.simulate,
            store=world.store,
            clock=world.clock,
            metrics=Metrics(),
            health=health,
            feed=feed,
            people=lambda: one.people,
            reload=reload,
            services=lambda: tuple(world.engine.policy.services),
            oidc=oidc_sign_in(settings, http, world.clock),
        )
    )
    server = make_server(site, settings)
    serving = asyncio.create_task(server.serve(sockets=[bind(settings.listen)]))
    reading = asyncio.create_task(feed.run())
    try:
        while not server.started:
            await asyncio.sleep(0.01)
        yield one
    finally:
        feed.end()
        server.stop()
        await serving
        reading.cancel()
        await http.aclose()
        await asyncio.gather(reading, return_exceptions=True)
        await world.close()
