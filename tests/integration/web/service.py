"""The real HTTP server on a real store and engine, on a port of the kernel's choice."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from receiver.metrics import Metrics
from receiver.people import People, Role
from receiver.settings import Settings, load
from receiver.web.feed import Feed
from receiver.web.health import Health
from receiver.web.ports import Parts, Reloaded
from receiver.web.server import bind, make_server
from receiver.web.site import Site
from tests.simulation.world import World, playbook, policy, step


@dataclass
class Running:
    world: World
    settings: Settings
    metrics: Metrics
    port: int
    people: People = field(default_factory=People)
    site_feed: Feed = field(init=False)
    resyncs: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=self.url, timeout=30.0, trust_env=False)

    async def raw(self, *parts: bytes, pause: float = 0.0) -> bytes:
        """Send bytes as they are, with pauses between, and return all that comes until the server closes."""
        loop = asyncio.get_running_loop()
        transport, collector = await loop.create_connection(Collector, "127.0.0.1", self.port)
        for part in parts:
            if transport.is_closing():
                break
            transport.write(part)
            await asyncio.sleep(pause)
        await collector.ended.wait()
        return bytes(collector.data)


class Collector(asyncio.Protocol):
    """Keeps what comes, also when the connection then breaks."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.ended = asyncio.Event()

    def data_received(self, data: bytes) -> None:
        self.data += data

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended.set()


@asynccontextmanager
async def running(
    directory: Path,
    environment: Mapping[str, str] | None = None,
    people: People | None = None,
    world: World | None = None,
) -> AsyncIterator[Running]:
    """Serve until the block ends; a world that is given is open, and closed in the end."""
    if world is None:
        world = World(directory / "r.db", policy(playbook(step("restart"))), mode="observe")
        await world.open()
    # Without people it is whoever is on this machine who acts; tests that act by themselves do so as ann or bob.
    world.known, world.others["local"] = people, Role.ADMIN
    settings = load({"listen": "127.0.0.1:0"}, environment or {})
    sock = bind(settings.listen)
    one = Running(world, settings, Metrics(), sock.getsockname()[1], people or People())
    health = Health()
    health.ready()

    def resync() -> None:
        one.resyncs += 1

    async def reload() -> Reloaded:
        return Reloaded(ok=True, text="reloaded: unchanged")

    one.site_feed = feed = Feed(world.store, world.clock)
    world.engine.on_stored = feed.stored
    site = Site(
        Parts(
            settings=settings,
            engine=world.engine,
            operations=world.operations,
            simulate=world.simulator.simulate,
            store=world.store,
            clock=world.clock,
            metrics=one.metrics,
            health=health,
            feed=feed,
            people=lambda: one.people,
            reload=reload,
            resync=resync,
        )
    )
    server = make_server(site, settings)
    reading = asyncio.create_task(feed.run())
    serving = asyncio.create_task(server.serve(sockets=[sock]))
    try:
        while not server.started:
            await asyncio.sleep(0.01)
        yield one
    finally:
        server.stop()
        feed.end()
        await serving
        reading.cancel()
        await world.close()
