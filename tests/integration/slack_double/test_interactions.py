"""What people do, told to an app over HTTP: signatures, clicks, modals, commands, response URLs."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

import pytest
from slack_sdk.signature import Clock, SignatureVerifier
from slack_sdk.webhook import WebhookClient

from tests.integration.slack_double.conftest import Scene
from tests.integration.slack_double.test_messages import refused
from tests.slack_double import SIGNING_SECRET
from tests.slack_double.interactions import Interaction
from tests.slack_double.signing import Signed

Answering = Callable[[dict[str, Any]], tuple[int, str, str]]


class VerifiersClock(Clock):
    """slack_sdk's clock on the double's time."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now

    def now(self) -> float:
        return self._now()


@pytest.fixture
def verifier(scene: Scene) -> SignatureVerifier:
    return SignatureVerifier(SIGNING_SECRET, clock=VerifiersClock(scene.time))


class Receiver:
    """An app: checks signatures with slack_sdk's verifier and answers as it is told."""

    def __init__(self, verifier: SignatureVerifier) -> None:
        self.got: list[dict[str, Any]] = []
        self.answer: Answering = lambda _: (200, "", "")
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                try:
                    good = verifier.is_valid_request(body, dict(self.headers))
                except (ValueError, TypeError):
                    good = False
                status, kind, text = receiver.take(body) if good else (401, "", "")
                self.send_response(status)
                self.send_header("Content-Type", kind or "text/plain")
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/slack/interactivity"

    def take(self, body: bytes) -> tuple[int, str, str]:
        form = {name: values[0] for name, values in parse_qs(body.decode(), keep_blank_values=True).items()}
        given = json.loads(form["payload"]) if "payload" in form else form
        self.got.append(given)
        return self.answer(given)


@pytest.fixture
def receiver(verifier: SignatureVerifier) -> Iterator[Receiver]:
    receiver = Receiver(verifier)
    thread = threading.Thread(target=receiver.server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield receiver
    receiver.server.shutdown()
    receiver.server.server_close()
    thread.join(5)


def card(scene: Scene, **more: Any) -> str:
    button = {
        "type": "button",
        "text": {"type": "plain_text", "text": "Approve"},
        "action_id": "approve",
        "value": "a-1",
    }
    options = [{"text": {"type": "plain_text", "text": text}, "value": text} for text in ("short", "long")]
    menu = {"type": "static_select", "action_id": "for", "options": options}
    blocks = [{"type": "actions", "block_id": "votes", "elements": [button, menu]}]
    ts: str = scene.client.chat_postMessage(channel=scene.ops.id, text="Approve?", blocks=blocks, **more)["ts"]
    return ts


def modal(**more: Any) -> dict[str, Any]:
    element = {"type": "plain_text_input", "action_id": "text", "multiline": True, "min_length": 3}
    label = {"type": "plain_text", "text": "Reason"}
    title = {"type": "plain_text", "text": "Deny"}
    blocks = [{"type": "input", "block_id": "reason", "label": label, "element": element}]
    return {"type": "modal", "title": title, "submit": title, "blocks": blocks, "private_metadata": "a-1", **more}


def press(scene: Scene, ts: str, **more: Any) -> Interaction:
    return scene.people.press(scene.ada.id, scene.ops, ts, "approve", **more)


def test_a_click_reaches_the_app_with_who_where_and_what(scene: Scene, receiver: Receiver) -> None:
    parent = scene.client.chat_postMessage(channel=scene.ops.id, text="header")["ts"]
    ts = card(scene, thread_ts=parent)
    answer = scene.people.send(press(scene, ts), receiver.url)
    (got,) = receiver.got
    assert answer.in_time
    assert (got["type"], got["user"]["id"], got["team"]["id"]) == ("block_actions", scene.ada.id, scene.double.team.id)
    assert got["container"] == {
        "type": "message",
        "message_ts": ts,
        "channel_id": scene.ops.id,
        "is_ephemeral": False,
        "thread_ts": parent,
    }
    (action,) = got["actions"]
    assert (action["action_id"], action["block_id"], action["value"]) == ("approve", "votes", "a-1")
    assert got["message"]["ts"] == ts


def test_a_choice_tells_the_option(scene: Scene, receiver: Receiver) -> None:
    chosen = scene.people.press(scene.bob.id, scene.ops, card(scene), "for", option="long")
    scene.people.send(chosen, receiver.url)
    assert receiver.got[0]["actions"][0]["selected_option"]["value"] == "long"


def test_nobody_can_press_what_is_not_there(scene: Scene) -> None:
    ts = card(scene)
    with pytest.raises(LookupError, match="no option"):
        scene.people.press(scene.ada.id, scene.ops, ts, "for", option="never")
    with pytest.raises(LookupError, match="nothing with the action_id undo"):
        scene.people.press(scene.ada.id, scene.ops, ts, "undo")
    scene.client.chat_update(channel=scene.ops.id, ts=ts, text="decided")
    with pytest.raises(LookupError):
        press(scene, ts)


def test_a_late_click_is_one_on_what_somebody_still_sees(scene: Scene, receiver: Receiver) -> None:
    ts = card(scene)
    seen = scene.people.look(scene.ops, ts)
    scene.client.chat_update(channel=scene.ops.id, ts=ts, text="decided")
    scene.people.send(press(scene, ts, seen=seen), receiver.url)
    assert receiver.got[0]["actions"][0]["value"] == "a-1"


def test_a_forged_a_stale_and_a_tampered_request_are_told_by_slack_sdks_verifier(
    scene: Scene, receiver: Receiver
) -> None:
    good = scene.people.signed(press(scene, card(scene)))
    wrong = [good.forged(), good.stale(), good.tampered(b"payload=%7B%7D"), *good.garbled()]
    assert [one.post(receiver.url).status for one in wrong] == [401] * 6
    assert receiver.got == []
    assert good.post(receiver.url).status == 200


def test_a_replay_is_the_same_request_again_and_its_signature_is_right(scene: Scene, receiver: Receiver) -> None:
    request = scene.people.signed(press(scene, card(scene)))
    assert [request.post(receiver.url).status for _ in range(2)] == [200, 200]
    assert receiver.got[0] == receiver.got[1]


def test_the_garbled_forms_are_those_that_slack_sdks_verifier_raises_on(
    scene: Scene, verifier: SignatureVerifier
) -> None:
    def verify(request: Signed) -> bool:
        headers = {name.decode(): value.decode("latin-1") for name, value in request.headers}
        return verifier.is_valid_request(request.body, headers)

    assert verify(scene.people.signed(press(scene, card(scene))))
    for request in scene.people.signed(press(scene, card(scene))).garbled():
        with pytest.raises((ValueError, TypeError)):
            verify(request)


def test_an_answer_that_takes_too_long_is_told_to_the_person(scene: Scene, receiver: Receiver) -> None:
    def dawdle(_: object) -> tuple[int, str, str]:
        time.sleep(0.3)
        return 200, "", ""

    receiver.answer = dawdle
    answer = scene.people.send(press(scene, card(scene)), receiver.url, limit=0.1)
    assert not answer.in_time
    assert answer.seconds < 0.3
    assert scene.double.told(scene.ada.id) == ["the app did not take it: operation_timeout"]


def test_an_app_that_is_away_or_fails_is_told_to_the_person(scene: Scene, receiver: Receiver) -> None:
    receiver.answer = lambda _: (500, "", "")
    scene.people.send(press(scene, card(scene)), receiver.url)
    scene.people.send(press(scene, card(scene)), "http://127.0.0.1:1/")
    first, second = scene.double.told(scene.ada.id)
    assert first.endswith("http_500")
    assert "dispatch_failed" in second


def test_a_trigger_id_opens_one_modal(scene: Scene) -> None:
    trigger = press(scene, card(scene)).trigger_id
    view = scene.client.views_open(trigger_id=trigger, view=modal())["view"]
    assert scene.people.modal_of(scene.ada.id) is scene.double.team.views[view["id"]]
    assert view["private_metadata"] == "a-1"
    with refused("exchanged_trigger_id"):
        scene.client.views_open(trigger_id=trigger, view=modal())


def test_a_trigger_id_is_old_after_three_seconds(scene: Scene) -> None:
    trigger = press(scene, card(scene)).trigger_id
    scene.time.advance(3.1)
    with refused("expired_trigger_id"):
        scene.client.views_open(trigger_id=trigger, view=modal())


def test_a_trigger_id_of_nobody_is_refused(scene: Scene) -> None:
    with refused("invalid_trigger_id"):
        scene.client.views_open(trigger_id="1.2.abc", view=modal())
    with refused("invalid_arguments") as found:
        scene.client.views_open(trigger_id="nonsense", view=modal())
    assert "invalid `trigger_id` [json-pointer:/trigger_id]" in str(found.value)


def test_an_invalid_modal_does_not_use_the_trigger_id_up(scene: Scene) -> None:
    trigger = press(scene, card(scene)).trigger_id
    with refused("invalid_arguments"):
        scene.client.views_open(trigger_id=trigger, view=modal(title={"type": "plain_text", "text": "t" * 25}))
    scene.client.views_open(trigger_id=trigger, view=modal())


def test_a_modal_is_changed_by_whoever_knows_its_hash(scene: Scene) -> None:
    view = scene.client.views_open(trigger_id=press(scene, card(scene)).trigger_id, view=modal())["view"]
    scene.client.views_update(view_id=view["id"], hash=view["hash"], view=modal(callback_id="second"))
    with refused("hash_conflict"):
        scene.client.views_update(view_id=view["id"], hash=view["hash"], view=modal())
    with refused("not_found"):
        scene.client.views_update(view_id="V404", view=modal())
    assert scene.double.team.views[view["id"]].given["callback_id"] == "second"


def test_a_submission_tells_what_was_filled_in_and_closes_the_modal(scene: Scene, receiver: Receiver) -> None:
    opened = scene.client.views_open(trigger_id=press(scene, card(scene)).trigger_id, view=modal())["view"]
    view = scene.double.team.views[opened["id"]]
    with pytest.raises(ValueError, match="must be filled in"):
        scene.people.submit(view, {})
    with pytest.raises(ValueError, match="2 characters"):
        scene.people.submit(view, {"reason": "no"})
    scene.people.send(scene.people.submit(view, {"reason": "not now"}), receiver.url)
    (got,) = receiver.got
    assert got["type"] == "view_submission"
    assert got["view"]["state"]["values"]["reason"]["text"] == {"type": "plain_text_input", "value": "not now"}
    assert got["view"]["private_metadata"] == "a-1"
    assert scene.people.modal_of(scene.ada.id) is None


def test_an_app_may_answer_a_submission_with_errors_or_another_modal(scene: Scene, receiver: Receiver) -> None:
    opened = scene.client.views_open(trigger_id=press(scene, card(scene)).trigger_id, view=modal())["view"]
    view = scene.double.team.views[opened["id"]]

    def submit(answer: dict[str, Any]) -> None:
        receiver.answer = lambda _: (200, "application/json", json.dumps(answer))
        scene.people.send(scene.people.submit(view, {"reason": "not now"}), receiver.url)

    submit({"response_action": "errors", "errors": {"reason": "say more"}})
    assert (view.is_open, view.errors) == (True, {"reason": "say more"})
    submit({"response_action": "update", "view": modal(callback_id="sure")})
    assert (view.is_open, view.given["callback_id"], view.errors) == (True, "sure", {})
    submit({"response_action": "errors", "errors": {"elsewhere": "x"}})
    assert scene.double.told(scene.ada.id) == ["the app answered badly: errors for blocks that are no inputs"]
    submit({"response_action": "clear"})
    assert not view.is_open


def test_a_slash_command_is_answered_privately_unless_said_otherwise(scene: Scene, receiver: Receiver) -> None:
    receiver.answer = lambda _: (200, "text/plain", "three incidents")
    scene.people.send(scene.people.command(scene.ada.id, scene.ops, "/remediator", "list"), receiver.url)
    (got,) = receiver.got
    assert (got["command"], got["text"], got["user_id"]) == ("/remediator", "list", scene.ada.id)
    assert scene.double.told(scene.ada.id) == ["three incidents"]
    body = json.dumps({"response_type": "in_channel", "text": "paused"})
    receiver.answer = lambda _: (200, "application/json", body)
    scene.people.send(scene.people.command(scene.ada.id, scene.ops, "/remediator", "pause"), receiver.url)
    assert scene.texts() == ["paused"]


def test_a_response_url_works_five_times(scene: Scene) -> None:
    client = WebhookClient(press(scene, card(scene)).payload["response_url"])
    assert [client.send(text=f"note {number}").status_code for number in range(5)] == [200] * 5
    sixth = client.send(text="one too many")
    assert (sixth.status_code, json.loads(sixth.body)["error"]) == (404, "used_url")
    assert scene.double.told(scene.ada.id) == [f"note {number}" for number in range(5)]


def test_a_response_url_is_old_after_half_an_hour(scene: Scene) -> None:
    client = WebhookClient(press(scene, card(scene)).payload["response_url"])
    scene.time.advance(1801)
    assert json.loads(client.send(text="x").body)["error"] == "expired_url"


def test_a_response_url_can_replace_and_delete_the_original(scene: Scene) -> None:
    ts = card(scene)
    client = WebhookClient(press(scene, ts).payload["response_url"])
    assert client.send(text="approved", replace_original=True).status_code == 200
    assert (scene.ops.messages[ts].text, scene.ops.messages[ts].blocks) == ("approved", [])
    assert client.send(text="for all", response_type="in_channel").status_code == 200
    assert client.send(delete_original=True).status_code == 200
    assert scene.texts() == ["for all"]


def test_a_response_url_checks_blocks(scene: Scene) -> None:
    client = WebhookClient(press(scene, card(scene)).payload["response_url"])
    answer = client.send(text="x", blocks=[{"type": "header", "text": {"type": "plain_text", "text": "h" * 151}}])
    assert (answer.status_code, json.loads(answer.body)["error"]) == (400, "invalid_blocks")
