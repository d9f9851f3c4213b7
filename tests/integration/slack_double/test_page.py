"""The page of a conversation: everything is there, readable, and nothing gets out of its text."""

import html
import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from urllib.parse import parse_qsl
from zoneinfo import ZoneInfo

import httpx
import pytest

from tests.integration.slack_double.conftest import Scene
from tests.integration.slack_double.test_interactions import card, modal, press
from tests.slack_double import SIGNING_SECRET
from tests.slack_double.page import record
from tests.slack_double.signing import signature


def page(scene: Scene, channel: str = "ops", **query: str) -> str:
    answer = httpx.get(f"{scene.running.url}/double/{channel}", params=query)
    assert answer.status_code == 200
    return answer.text


def test_a_conversation_is_drawn_with_threads_buttons_colours_and_files(scene: Scene) -> None:
    blocks = [
        {"type": "header", "text": {"type": "plain_text", "text": "P1 checkout-api"}},
        {"type": "section", "fields": [{"type": "mrkdwn", "text": f"*Acts* <@{scene.ada.id}>"}]},
        {"type": "context", "elements": [{"type": "mrkdwn", "text": "since <!date^1800000000^{time}|09:00>"}]},
        {
            "type": "actions",
            "elements": [
                {
                    "type": "button",
                    "text": {"type": "plain_text", "text": "Approve"},
                    "style": "primary",
                    "action_id": "y",
                }
            ],
        },
    ]
    attachments = [{"color": "#e01e5a", "blocks": blocks}]
    ts = scene.client.chat_postMessage(channel=scene.ops.id, text="x", attachments=attachments)["ts"]
    scene.client.files_upload_v2(
        channel=scene.ops.id, thread_ts=ts, filename="chart.png", content=b"abc", title="Errors"
    )
    scene.client.pins_add(channel=scene.ops.id, timestamp=ts)
    shown = page(scene, tz="Europe/Berlin", refresh="2")
    for part in (
        "<h3>P1 checkout-api</h3>",
        '<span class="mention">@Ada</span>',
        ">09:00<",
        '<span class="button primary">Approve</span>',
        "border-left-color:#e01e5a",
        "1 reply",
        'alt="Errors"',
        "📌 Pinned",
        '<meta http-equiv="refresh" content="2">',
    ):
        assert part in shown
    assert "08:00" in page(scene)


def test_no_text_becomes_markup(scene: Scene) -> None:
    evil = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"
    blocks: list[dict[str, Any]] = [
        {"type": "header", "text": {"type": "plain_text", "text": evil}},
        {"type": "section", "text": {"type": "mrkdwn", "text": evil}},
        {"type": "context", "elements": [{"type": "plain_text", "text": evil}]},
    ]
    ts = scene.client.chat_postMessage(channel=scene.ops.id, text=evil, blocks=blocks)["ts"]
    scene.client.chat_postMessage(channel=scene.ops.id, text=evil, attachments=[{"color": '"><script>', "text": evil}])
    scene.client.chat_postEphemeral(channel=scene.ops.id, user=scene.ada.id, text=evil)
    scene.client.files_upload_v2(channel=scene.ops.id, thread_ts=ts, filename="a.png", content=b"abc", title=evil)
    scene.client.conversations_setTopic(channel=scene.ops.id, topic=evil)
    scene.ada.real_name = evil
    shown = page(scene)
    assert "<script" not in shown
    assert "<img src=x" not in shown
    assert "&lt;script&gt;" in shown


def test_an_ephemeral_message_says_who_sees_it(scene: Scene) -> None:
    scene.client.chat_postEphemeral(channel=scene.ops.id, user=scene.ada.id, text="you are not an approver")
    assert "Only visible to Ada" in page(scene)


def test_a_modal_is_drawn_while_it_is_open(scene: Scene) -> None:
    trigger = press(scene, card(scene)).trigger_id
    scene.client.views_open(trigger_id=trigger, view=modal())
    view = scene.people.modal_of(scene.ada.id)
    assert view is not None
    view.errors = {"reason": "say <b>more</b>"}
    shown = page(scene)
    for part in ("A modal that Ada has open", "<h3>Deny</h3>", "<label>Reason</label>", "say &lt;b&gt;more"):
        assert part in shown
    view.is_open = False
    assert "<aside" not in page(scene)


def test_channels_are_listed(scene: Scene) -> None:
    assert "#ops</a>" in httpx.get(f"{scene.running.url}/double").text


def test_what_is_not_there_says_so(scene: Scene) -> None:
    assert httpx.get(f"{scene.running.url}/double/nowhere").status_code == 404
    assert httpx.get(f"{scene.running.url}/double/ops", params={"tz": "Nowhere/City"}).status_code == 400


def test_a_page_s_text_runs_and_loads_nothing_even_if_it_slipped_through(scene: Scene) -> None:
    assert "Content-Security-Policy\" content=\"default-src 'none';" in page(scene)


@pytest.fixture
def app(scene: Scene) -> Iterator[list[dict[str, Any]]]:
    """Listen where the app would, and return what it was told."""
    told: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            expected = signature(SIGNING_SECRET, self.headers["X-Slack-Request-Timestamp"], body)
            assert self.headers["X-Slack-Signature"] == expected
            told.append(json.loads(dict(parse_qsl(body.decode()))["payload"]))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        scene.double.app_url = f"http://127.0.0.1:{server.server_port}/slack/interactivity"
        yield told
        scene.double.app_url = None
        server.shutdown()
        thread.join()


def fields(shown: str) -> dict[str, str]:
    """Return the hidden fields of a page's first form."""
    form = shown.partition("<form")[2].partition("</form>")[0]
    return {name: html.unescape(value) for name, value in re.findall(r'name="([^"]+)" value="([^"]*)"', form)}


def send(scene: Scene, what: str, given: dict[str, str], **more: str) -> httpx.Response:
    return httpx.post(f"{scene.running.url}/double/{scene.ops.id}/{what}", data=given, headers=more)


def test_a_button_of_the_page_is_pressed_as_slack_signs_it(scene: Scene, app: list[dict[str, Any]]) -> None:
    card(scene)
    given = fields(page(scene, **{"as": scene.ada.id}))
    assert given["user"] == scene.ada.id
    answer = send(scene, "press", given)
    assert answer.status_code == 303
    assert answer.headers["location"].startswith(f"/double/{scene.ops.id}?as={scene.ada.id}")
    (told,) = app
    assert told["user"]["id"] == scene.ada.id
    assert told["actions"][0]["action_id"] == given["pressed"]


def test_a_menu_of_the_page_is_chosen_from(scene: Scene, app: list[dict[str, Any]]) -> None:
    options = [{"text": {"type": "plain_text", "text": one.title()}, "value": one} for one in ("severity", "note")]
    menu = {"type": "overflow", "action_id": "more", "options": options}
    scene.client.chat_postMessage(
        channel=scene.ops.id, text="x", blocks=[{"type": "actions", "block_id": "b", "elements": [menu]}]
    )
    shown = page(scene, **{"as": scene.ada.id})
    assert '<button class="button" name="option" value="note">Note</button>' in shown
    assert send(scene, "press", fields(shown) | {"option": "note"}).status_code == 303
    assert app[-1]["actions"][0]["selected_option"]["value"] == "note"
    assert send(scene, "press", fields(shown) | {"option": "else"}).status_code == 403


def test_a_modal_of_the_page_is_filled_in(scene: Scene, app: list[dict[str, Any]]) -> None:
    trigger = press(scene, card(scene)).trigger_id
    scene.client.views_open(trigger_id=trigger, view=modal())
    shown = page(scene, **{"as": scene.ada.id, "refresh": "2"})
    assert 'http-equiv="refresh"' not in shown, "what is typed would be lost"
    form = shown.partition("/submit")[2]
    (name,) = set(re.findall(r'<textarea name="([^"]+)"', form))
    given = fields(f"<form {form}") | {name: "too <risky>"}
    assert send(scene, "submit", given).status_code == 303
    assert "too <risky>" in json.dumps(app[-1]["view"]["state"], ensure_ascii=False)
    view = scene.people.modal_of(scene.ada.id)
    assert view is None


@pytest.mark.parametrize("wrong", ["nonce", "host", "user", "pressed", "ts"])
def test_another_page_can_press_nothing(scene: Scene, app: list[dict[str, Any]], wrong: str) -> None:
    card(scene)
    given = fields(page(scene, **{"as": scene.ada.id}))
    headers = {"Host": "evil.example"} if wrong == "host" else {}
    if wrong != "host":
        given[wrong] = "x"
    assert send(scene, "press", given, **headers).status_code == 403
    assert not app


def test_without_an_app_nothing_can_be_pressed(scene: Scene) -> None:
    card(scene)
    assert "<form" not in page(scene)
    assert send(scene, "press", {"nonce": scene.double.nonce, "user": scene.ada.id}).status_code == 403


def test_a_record_holds_everything_and_needs_nothing(scene: Scene) -> None:
    evil = "<script>alert(1)</script>"
    ts = scene.client.chat_postMessage(channel=scene.ops.id, text=evil)["ts"]
    scene.client.files_upload_v2(channel=scene.ops.id, thread_ts=ts, filename="a.png", content=b"abc", title=evil)
    card(scene)
    shown = record(scene.double, ZoneInfo("UTC"))
    assert "data:image/png;base64,YWJj" in shown
    assert "<script" not in shown
    assert "<form" not in shown
    assert scene.double.nonce not in shown
    assert not re.findall(r'(?:src|href)="(?!data:|https?://)', shown)
