"""Socket Mode through slack_sdk's own client: hello, envelopes, repeats, refreshes."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from slack_sdk import WebClient
from slack_sdk.socket_mode import SocketModeClient
from slack_sdk.socket_mode.client import BaseSocketModeClient
from slack_sdk.socket_mode.request import SocketModeRequest
from slack_sdk.socket_mode.response import SocketModeResponse
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.integration.slack_double.conftest import Scene
from tests.integration.slack_double.test_interactions import card, press
from tests.slack_double.double import APP_TOKEN

PATIENCE = 5.0


class Listener:
    """An app on a socket that keeps what it gets, and acknowledges while it is told to."""

    def __init__(self, client: SocketModeClient) -> None:
        self.client = client
        self.got: list[SocketModeRequest] = []
        self.acknowledges = True
        self.answer: dict[str, object] | None = None
        self._changed = threading.Condition()
        client.socket_mode_request_listeners.append(self.take)

    def take(self, client: BaseSocketModeClient, request: SocketModeRequest) -> None:
        with self._changed:
            self.got.append(request)
            self._changed.notify_all()
        if self.acknowledges:
            client.send_socket_mode_response(SocketModeResponse(request.envelope_id, self.answer))

    def wait(self, count: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.got) >= count, PATIENCE)


def eventually(true: Callable[[], bool]) -> None:
    pause = threading.Event()
    for _ in range(int(PATIENCE / 0.01)):
        if true():
            return
        pause.wait(0.01)
    pytest.fail("it did not come to be")


@pytest.fixture
def listener(scene: Scene) -> Iterator[Listener]:
    web = WebClient(base_url=f"{scene.running.url}/api/", retry_handlers=[])
    client = SocketModeClient(APP_TOKEN, web_client=web, ping_interval=0.5)
    listener = Listener(client)
    client.connect()
    eventually(lambda: scene.double.sockets.connected == 1)
    yield listener
    # Broken from the other side first: the client would wait for its own read to time out.
    client.auto_reconnect_enabled = False
    scene.double.sockets.break_off()
    eventually(lambda: scene.double.sockets.connected == 0)
    # Nor is it to wait for its empty queue.
    client.closed = True
    client.message_queue.put(None)
    client.close()
    client.current_session_runner.shutdown()  # type: ignore[no-untyped-call]


def test_a_click_comes_over_the_socket_and_is_acknowledged(scene: Scene, listener: Listener) -> None:
    envelope = scene.people.send_by_socket(press(scene, card(scene)))
    (request,) = listener.got
    assert request.type == "interactive"
    assert request.payload["actions"][0]["action_id"] == "approve"
    assert (envelope.sent, envelope.acks) == (1, 1)


def test_the_answer_to_a_command_is_in_the_acknowledgement(scene: Scene, listener: Listener) -> None:
    listener.answer = {"text": "two incidents"}
    scene.people.send_by_socket(scene.people.command(scene.ada.id, scene.ops, "/remediator", "list"))
    assert listener.got[0].type == "slash_commands"
    assert scene.double.told(scene.ada.id) == ["two incidents"]


def test_what_is_not_acknowledged_is_told_to_the_person(scene: Scene, listener: Listener) -> None:
    listener.acknowledges = False
    envelope = scene.people.send_by_socket(press(scene, card(scene)), limit=0.1)
    listener.wait(1)
    assert envelope.acks == 0
    assert scene.double.told(scene.ada.id) == ["the app did not take it: operation_timeout"]


def test_an_envelope_can_come_twice_with_one_id(scene: Scene, listener: Listener) -> None:
    envelope = scene.people.send_by_socket(press(scene, card(scene)))
    scene.double.sockets.repeat(scene.double.app.id, envelope)
    listener.wait(2)
    assert {request.envelope_id for request in listener.got} == {envelope.id}
    assert envelope.sent == 2


def test_what_was_not_acknowledged_comes_again_after_a_refresh(scene: Scene, listener: Listener) -> None:
    listener.acknowledges = False
    envelope = scene.people.send_by_socket(press(scene, card(scene)), limit=0.1)
    listener.wait(1)
    listener.acknowledges = True
    scene.double.sockets.disconnect("refresh_requested")
    listener.wait(2)
    eventually(lambda: envelope.acks == 1)
    assert {request.envelope_id for request in listener.got} == {envelope.id}


def test_what_was_acknowledged_does_not_come_again_after_a_refresh(scene: Scene, listener: Listener) -> None:
    first = scene.people.send_by_socket(press(scene, card(scene)))
    scene.double.sockets.disconnect("refresh_requested")
    eventually(lambda: len([one for one in scene.double.calls if one.method == "apps.connections.open"]) == 2)
    second = scene.people.send_by_socket(press(scene, card(scene)), limit=PATIENCE)
    assert [request.envelope_id for request in listener.got] == [first.id, second.id]


def test_a_warning_leaves_the_connection_open(scene: Scene) -> None:
    with connect(scene.client.apps_connections_open(app_token=APP_TOKEN)["url"]) as socket:
        frames = [json.loads(socket.recv(PATIENCE))]
        scene.double.sockets.disconnect("warning")
        frames.append(json.loads(socket.recv(PATIENCE)))
        scene.double.sockets.deliver(scene.double.app.id, "interactive", {}, accepts_response=True)
        frames.append(json.loads(socket.recv(PATIENCE)))
    assert [frame["type"] for frame in frames] == ["hello", "disconnect", "interactive"]
    assert frames[1]["reason"] == "warning"
    eventually(lambda: scene.double.sockets.connected == 0)


def test_a_connection_that_breaks_is_made_again(scene: Scene, listener: Listener) -> None:
    scene.double.sockets.break_off()
    eventually(lambda: scene.double.sockets.connected == 0)
    envelope = scene.people.send_by_socket(press(scene, card(scene)), limit=PATIENCE)
    listener.wait(1)
    assert envelope.acks == 1


def test_a_ticket_opens_one_connection(scene: Scene) -> None:
    url = scene.client.apps_connections_open(app_token=APP_TOKEN)["url"]
    with connect(url) as first:
        assert '"type": "hello"' in str(first.recv(PATIENCE))
        with pytest.raises(InvalidStatus):
            connect(url)


def test_an_eleventh_connection_is_one_too_many(scene: Scene) -> None:
    urls = [scene.client.apps_connections_open(app_token=APP_TOKEN)["url"] for _ in range(11)]
    with ExitStack() as stack:
        hellos = [str(stack.enter_context(connect(url)).recv(PATIENCE)) for url in urls]
    assert '"num_connections": 10' in hellos[9]
    assert "too_many_websockets" in hellos[10]
    eventually(lambda: scene.double.sockets.connected == 0)
