"""The service with Slack's double beside it, both in the time of one fake clock."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx

from receiver.chat.slack.api import SlackApi
from receiver.chat.slack.blocks import Look
from receiver.chat.slack.chat import SlackChat
from receiver.chat.slack.lane import LANE, SlackLane
from receiver.core.playbook import Policy
from receiver.ports import Store
from receiver.store.memory import MemoryStore
from tests.simulation.world import World
from tests.slack_double import BOT_TOKEN, SlackDouble
from tests.slack_double.api import Request, call, upload
from tests.slack_double.errors import SlackError
from tests.slack_double.responses import respond
from tests.slack_double.running import serving
from tests.slack_double.state import Channel, Message

HEADER = "header"


class Straight(httpx.AsyncBaseTransport):
    """Carries calls to a double without a socket; a dropped connection is what httpx makes of one."""

    def __init__(self, double: SlackDouble) -> None:
        self._double = double

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        path, body = request.url.path, await request.aread()
        if path.startswith("/upload/"):
            reply = upload(self._double, path, body)
        elif not path.startswith("/api/"):
            return self._answered(path, json.loads(body))
        else:
            given = Request(request.method, request.headers, request.url.query.decode(), body)
            reply = call(self._double, path.removeprefix("/api/"), given)
        if reply.drop:
            raise httpx.RemoteProtocolError("Server disconnected without sending a response.", request=request)
        return httpx.Response(reply.status, content=reply.body, headers=reply.headers)

    def _answered(self, path: str, given: dict[str, Any]) -> httpx.Response:
        """Take an answer to an interaction, at the URL that was handed out with it."""
        with self._double.lock:
            try:
                respond(self._double, self._double.response_urls.use(path), given)
            except SlackError as error:
                return httpx.Response(404, json=error.answer())
        return httpx.Response(200, json={"ok": True})


class InMemory(World):
    """A world whose store has no file."""

    def open_store(self) -> Store:
        return MemoryStore(self.clock)


@dataclass
class Scene:
    """A world, a workspace and the lane between them."""

    world: World
    double: SlackDouble
    ops: Channel
    major: Channel
    chat: SlackChat
    http: httpx.AsyncClient
    lane: SlackLane = field(init=False)
    seen: list[tuple[str, str]] = field(default_factory=list)
    states: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Begin anew with the lane, as after a crash."""
        self.lane = SlackLane(
            self.world.store, self.world.clock, self.chat, lambda *one: self.seen.append(one), self.states.append
        )

    async def live(self, seconds: float, *, slack: bool = True) -> None:
        """Let the service and its Slack lane work for so long."""
        clock, until = self.world.clock, self.world.clock.now() + seconds
        while True:
            await self.world.settle()
            wait = await self.lane.step() if slack else None
            if wait == 0.0:
                continue
            now = clock.now()
            if now >= until:
                return
            wake = await self.world.store.next_wake()
            soonest = min(until, until if wake is None else wake, until if wait is None else now + wait)
            clock.time = min(until, max(soonest, now + 0.01))

    def messages(self, channel: Channel | None = None) -> list[Message]:
        """Return everything in the channel, oldest first."""
        return self.double.messages(channel or self.ops)

    def thread(self, channel: Channel | None = None) -> list[Message]:
        """Return all replies in a channel."""
        return [message for message in self.messages(channel) if message.is_reply]

    def top(self, channel: Channel | None = None) -> list[Message]:
        """Return the messages that are no replies."""
        return [message for message in self.messages(channel) if not message.is_reply]

    def told(self, channel: Channel | None = None) -> list[str]:
        """Return our key of every event that was told in threads, in the order of the messages."""
        found: list[str] = []
        for message in self.thread(channel):
            assert message.metadata is not None
            payload = message.metadata["event_payload"]
            found += [f"{payload['incident']}/{key}" for key in payload["keys"]]
        return found

    def called(self, method: str) -> list[str | None]:
        """Return the outcomes of a method's calls: None for a success."""
        return [one.error for one in self.double.calls if one.method == method]


def shown(message: Message) -> str:
    """Return everything that a reader of a message sees."""
    parts: list[str] = []
    for block in message.blocks:
        texts = [block.get("text"), *block.get("fields", ()), *block.get("elements", ())]
        parts += [str(text["text"]) for text in texts if isinstance(text, dict) and "text" in text]
    return "\n".join(parts)


@asynccontextmanager
async def scene(
    directory: Path,
    rules: Policy,
    *,
    mode: str = "act",
    socket: bool = False,
    memory: bool = False,
    buttons: bool = False,
) -> AsyncIterator[Scene]:
    """Yield a world with one healthy instance, and Slack, on a port of loopback with `socket`.

    With `memory` the store has no file: what is tested doesn't outlive it, and no disk is waited for.
    """
    world = (InMemory if memory else World)(directory / "w.db", rules, mode=mode)
    world.lanes = (LANE,)
    await world.open()
    world.runtime.create("api", "api-1", "good")
    world.clock.time += 5.0
    double = SlackDouble(world.clock.now)
    double.rates.faithful = True
    double.base_url = "http://slack.example"
    ops, major = double.channel("ops"), double.channel("major")
    look = Look("https://remediator.example", {"P1": "<!subteam^S0123456>"}, buttons=buttons)
    try:
        async with asyncio.timeout(120):
            if socket:
                async with serving(double) as url, httpx.AsyncClient(trust_env=False) as http:
                    yield _joined(world, double, ops, major, look, http, url)
            else:
                async with httpx.AsyncClient(transport=Straight(double)) as http:
                    yield _joined(world, double, ops, major, look, http, "http://slack.example")
    finally:
        await world.close()


def _joined(
    world: World, double: SlackDouble, ops: Channel, major: Channel, look: Look, http: httpx.AsyncClient, url: str
) -> Scene:
    api = SlackApi(f"{url}/api", BOT_TOKEN, http)
    chat = SlackChat(api, world.clock, ops.id, {"P2": major.id}, look)
    return Scene(world, double, ops, major, chat, http)


def policy_of(rules: Policy, severity: str) -> Policy:
    """Return the policy with every playbook at another severity."""
    kind = type(rules.playbooks[0].severity)
    return replace(rules, playbooks=tuple(replace(one, severity=kind(severity)) for one in rules.playbooks))
