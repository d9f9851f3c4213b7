"""The page of a conversation: everything is there, readable, and nothing gets out of its text."""

from typing import Any

import httpx

from tests.integration.slack_double.conftest import Scene
from tests.integration.slack_double.test_interactions import card, modal, press


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
