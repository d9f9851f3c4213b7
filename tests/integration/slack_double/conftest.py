"""A double on a port of loopback, a channel with people in it, and slack_sdk's own client."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from slack_sdk import WebClient

from tests.slack_double import BOT_TOKEN, FakeTime, Running, SlackDouble
from tests.slack_double.interactions import People
from tests.slack_double.state import Channel, User


@dataclass
class Scene:
    """A workspace with two people and one channel."""

    double: SlackDouble
    time: FakeTime
    running: Running
    ada: User
    bob: User
    ops: Channel
    client: WebClient

    @property
    def people(self) -> People:
        return People(self.double)

    def texts(self) -> list[str]:
        return [message.text for message in self.double.messages(self.ops)]


@pytest.fixture(scope="session")
def running() -> Iterator[Running]:
    with Running(SlackDouble()) as running:
        yield running


@pytest.fixture
def scene(running: Running) -> Scene:
    time = FakeTime()
    double = SlackDouble(time)
    ada, bob = double.team.add_user("ada"), double.team.add_user("bob")
    ops = double.channel("ops", ada.id, bob.id)
    running.double = double
    client = WebClient(BOT_TOKEN, base_url=f"{running.url}/api/", retry_handlers=[], timeout=5)
    return Scene(double, time, running, ada, bob, ops, client)
