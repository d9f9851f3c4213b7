"""People who press and type in the double's workspace, and the door that they come in by."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response

from receiver.chat.slack.api import SlackApi
from receiver.chat.slack.buttons import MENU, PREFIX, Verb
from receiver.chat.slack.commands import Commands
from receiver.chat.slack.desk import Desk
from receiver.chat.slack.dryrun import DryRun
from receiver.chat.slack.incoming import Incoming
from receiver.chat.slack.private import PrivateAnswers
from receiver.chat.slack.whose import Whose
from receiver.core.playbook import Policy
from receiver.core.redaction import hide
from receiver.metrics import Metrics
from receiver.people import People, Person, Role, SlackId
from receiver.web.problems import Problem
from receiver.web.slack import COMMAND, INTERACTIVITY, SlackDoor
from tests.integration.slack.scene import Scene, scene, shown
from tests.slack_double import BOT_TOKEN, SIGNING_SECRET
from tests.slack_double.interactions import Interaction
from tests.slack_double.interactions import People as Hands
from tests.slack_double.signing import Answer, Signed
from tests.slack_double.state import Json, Message, User, View

ROLES = {"ann": Role.APPROVER, "bob": Role.APPROVER, "rik": Role.RESPONDER, "vic": Role.VIEWER, "ada": Role.ADMIN}
"""Who is in people.yaml; `eve` is in the workspace only."""


@dataclass
class Office:
    """A scene with people in it, and the door."""

    scene: Scene
    users: dict[str, User]
    hands: Hands
    desk: Desk
    door: Any
    people: People
    metrics: Metrics
    told_before: dict[str, int] = field(default_factory=dict)

    def again(self) -> Desk:
        """Return a desk that knows of nothing that was pressed, as another process has one."""
        desk, world = self.desk, self.scene.world
        api = SlackApi("http://slack.example/api", BOT_TOKEN, self.scene.http)
        planned = DryRun(world.store, world.simulator.simulate, desk.answers.safe)
        return Desk(world.store, world.operations, desk.whose, desk.answers, api, planned)

    def id(self, name: str) -> str:
        return self.users[name].id

    def card(self, number: int = -1) -> Message:
        """Return a request for approval, the newest by default."""
        cards = [one for one in self.scene.thread() if any(block["type"] == "header" for block in one.blocks)]
        return cards[number]

    def buttons(self, message: Message) -> list[str]:
        """Return what a message's buttons say."""
        rows = [block["elements"] for block in message.blocks if block["type"] == "actions"]
        return [button["text"]["text"] for row in rows for button in row if button["type"] == "button"]

    def seen(self, message: Message) -> Json:
        """Return a message as somebody sees it now, to be pressed later."""
        return self.hands.look(self.scene.ops, message.ts)

    async def press(self, name: str, verb: Verb, message: Message, *, seen: Json | None = None) -> str:
        """Press a button; returns what the person is then told."""
        pressed = self.hands.press(self.id(name), self.scene.ops, message.ts, f"{PREFIX}{verb}", seen=seen)
        await self.send(pressed, INTERACTIVITY)
        return self.told(name)

    async def choose(self, name: str, verb: Verb, message: Message) -> str:
        """Choose an entry of a header's menu; returns what the person is then told."""
        option = next(one for one in self.menu(message).values() if one.startswith(f"{verb} "))
        chosen = self.hands.press(self.id(name), self.scene.ops, message.ts, MENU, option=option)
        await self.send(chosen, INTERACTIVITY)
        return self.told(name)

    def menu(self, message: Message) -> dict[str, str]:
        """Return what a message's menu says, each with its value; empty without one."""
        rows = [block["elements"] for block in message.blocks if block["type"] == "actions"]
        options = [one for row in rows for element in row for one in element.get("options", ())]
        return {one["text"]["text"]: one["value"] for one in options}

    def view(self, name: str) -> View:
        """Return the modal that somebody has open."""
        found = self.hands.modal_of(self.id(name))
        assert found is not None, f"{name} has no modal open"
        return found

    async def fill(self, name: str, **values: str | None) -> str:
        """Fill in the modal that somebody has open and send it; returns what it then says, empty when it closed."""
        view = self.view(name)
        await self.send(self.hands.submit(view, values), INTERACTIVITY)
        return said(view) if view.is_open else ""

    async def submit(self, name: str, reason: str = "because") -> str:
        """Fill in the modal that somebody has open; returns what it then says, empty when it closed."""
        view = self.hands.modal_of(self.id(name))
        assert view is not None, f"{name} has no modal open"
        inputs = {"reason": reason} if any(block["type"] == "input" for block in view.given["blocks"]) else {}
        await self.send(self.hands.submit(view, inputs), INTERACTIVITY)
        return said(view) if view.is_open else ""

    async def type(self, name: str, text: str) -> str:
        """Type `/remediator ...`; returns what the person is then told."""
        await self.send(self.hands.command(self.id(name), self.scene.ops, "/remediator", text), COMMAND)
        return self.told(name)

    async def send(self, interaction: Interaction, path: str) -> Answer:
        answer = await self.post(self.hands.signed(interaction), path)
        assert answer.status == 200, answer
        await self.idle()
        self.hands.settle(interaction, answer)
        return answer

    async def post(self, signed: Signed, path: str = INTERACTIVITY) -> Answer:
        """Send a signed request; returns the answer."""
        transport = httpx.ASGITransport(self.door)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            got = await client.post(path, content=signed.body, headers=signed.headers)
        return Answer(got.status_code, got.headers.get("content-type", ""), got.text, 0.0)

    def refused(self, reason: str) -> float:
        """Return how many requests were refused for a reason."""
        return (
            self.metrics.registry.get_sample_value("remediator_slack_requests_refused_total", {"reason": reason}) or 0.0
        )

    async def idle(self) -> None:
        """Wait until what was pressed is done."""
        while self.desk._tasks:
            await asyncio.wait(set(self.desk._tasks))

    def told(self, name: str) -> str:
        """Return what somebody was told privately since the last look."""
        told = self.scene.double.told(self.id(name))
        new = told[self.told_before.get(name, 0) :]
        self.told_before[name] = len(told)
        return "\n".join(new)

    async def asked(self) -> str:
        """Let something fail until people are asked; returns the incident."""
        self.scene.world.fails()
        await self.scene.world.fire()
        await self.scene.live(10.0)
        return (await self.scene.world.incident()).id


def said(view: View) -> str:
    """Return what a modal says."""
    return shown(Message("", "", "", "", blocks=view.given["blocks"])) + json.dumps(view.errors or "")


@asynccontextmanager
async def office(directory: Path, rules: Policy, *, by_email: bool = False) -> AsyncIterator[Office]:
    """Yield a scene whose people can press and type."""
    async with scene(directory, rules, buttons=True, memory=True) as one:
        users = {name: one.double.team.add_user(name) for name in (*ROLES, "eve")}
        for user in users.values():
            one.ops.members.append(user.id)
        team = one.double.team.id
        people = People(
            {
                name: Person(name, name.title(), frozenset({role}), slack=(SlackId(team, users[name].id),))
                for name, role in ROLES.items()
            }
        )
        one.world.approvers = frozenset({"ann", "bob", "ada"})
        one.world.others = {"rik": Role.RESPONDER, "vic": Role.VIEWER}
        yield _opened(one, users, people, by_email=by_email)


def _opened(one: Scene, users: dict[str, User], people: People, *, by_email: bool) -> Office:
    world = one.world
    api = SlackApi("http://slack.example/api", BOT_TOKEN, one.http)
    holder: list[Office] = []
    whose = Whose(lambda: holder[0].people, world.clock, api if by_email else None)
    answers = PrivateAnswers(one.http, "http://slack.example/api", hide)
    metrics = Metrics()
    desk = Desk(
        world.store,
        world.operations,
        whose,
        answers,
        api,
        DryRun(world.store, world.simulator.simulate, answers.safe),
        services=lambda: tuple(world.engine.policy.services),
        refused=metrics.slack_refused,
    )
    incoming = Incoming(desk, Commands(desk, "https://remediator.example", "act"))
    door = door_of(SlackDoor([SIGNING_SECRET], world.clock, incoming, metrics.slack_refused))
    office = Office(one, users, Hands(one.double), desk, door, people, metrics)
    holder.append(office)
    return office


def door_of(door: SlackDoor) -> Starlette:
    """Return Slack's routes as an application."""

    async def problem(_request: Request, error: Exception) -> Response:
        assert isinstance(error, Problem)
        return error.response()

    return Starlette(routes=door.routes(), exception_handlers={Problem: problem})
