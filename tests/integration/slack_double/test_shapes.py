"""The double's answers and payloads have the shape of Slack's published samples."""

from typing import Any

import httpx
import pytest
from slack_sdk.web import SlackResponse

from tests.integration.slack_double.conftest import Scene
from tests.integration.slack_double.published import (
    ANSWERS,
    BLOCK_ACTIONS,
    COMMAND,
    POSTED,
    SHARE,
    VIEW_SUBMISSION,
    differences,
)
from tests.integration.slack_double.test_interactions import card, modal, press
from tests.slack_double.double import APP_TOKEN
from tests.slack_double.registry import METHODS

CHARSET = {"superfluous_charset", "missing_charset"}
KEY = {"event_type": "x", "event_payload": {"k": "1"}}


class Calls:
    """Makes calls and keeps the answers."""

    def __init__(self, scene: Scene) -> None:
        self._client = scene.client
        self.answers: list[tuple[str, dict[str, Any]]] = []

    def __call__(self, method: str, **arguments: Any) -> dict[str, Any]:
        return self.keep(method, self._client.api_call(method, json=arguments))

    def keep(self, method: str, response: SlackResponse) -> dict[str, Any]:
        assert isinstance(response.data, dict)
        self.answers.append((method, response.data))
        return response.data


def everything(scene: Scene) -> list[tuple[str, dict[str, Any]]]:
    """Call each method at least once, with much in its answer."""
    call, ops = Calls(scene), scene.ops.id
    group = scene.double.team.add_group("on-call", [scene.ada])
    call("auth.test")
    ts = call("chat.postMessage", channel=ops, text="x", blocks=[{"type": "divider"}], metadata=KEY)["ts"]
    call("chat.postMessage", channel=ops, text="x", thread_ts=ts, reply_broadcast=True)
    call("chat.postEphemeral", channel=ops, user=scene.ada.id, text="x")
    call("chat.getPermalink", channel=ops, message_ts=ts)
    call("pins.add", channel=ops, timestamp=ts)
    call("pins.list", channel=ops)
    upload = call("files.getUploadURLExternal", filename="a.png", length=3)
    httpx.post(upload["upload_url"], content=b"abc")
    files = [{"id": upload["file_id"], "title": "A"}]
    call("files.completeUploadExternal", files=files, channel_id=ops, thread_ts=ts)
    call("chat.update", channel=ops, ts=ts, text="changed", metadata=KEY)
    call("conversations.history", channel=ops, include_all_metadata=True)
    call("conversations.replies", channel=ops, ts=ts, limit=2)
    call("bookmarks.add", channel_id=ops, title="x", type="link", link="https://x.example")
    made = call("conversations.create", name="inc-1")["channel"]["id"]
    call("conversations.invite", channel=made, users=scene.ada.id)
    call("conversations.setTopic", channel=made, topic="x")
    call("conversations.info", channel=made, include_num_members=True)
    call("conversations.list")
    call("conversations.archive", channel=made)
    call("conversations.join", channel=scene.double.team.add_channel("open", scene.ada.id).id)
    call("users.info", user=scene.ada.id)
    call("users.list")
    call("users.lookupByEmail", email="ada@example.com")
    call("usergroups.list", include_users=True)
    call("usergroups.users.list", usergroup=group.id)
    view = call("views.open", trigger_id=press(scene, card(scene)).trigger_id, view=modal())["view"]
    call("views.update", view_id=view["id"], view=modal())
    call("pins.remove", channel=ops, timestamp=ts)
    call("chat.delete", channel=ops, ts=ts)
    call.keep("apps.connections.open", scene.client.apps_connections_open(app_token=APP_TOKEN))
    return call.answers


def bare(answer: dict[str, Any]) -> dict[str, Any]:
    """Return a good answer without `ok` and without the warning that any answer may have."""
    answer = {name: part for name, part in answer.items() if name not in {"ok", "warning"}}
    metadata = {name: part for name, part in answer.pop("response_metadata", {}).items() if name != "warnings"}
    return answer | ({"response_metadata": metadata} if metadata else {})


def test_every_answer_has_the_shape_of_slacks_samples(scene: Scene) -> None:
    answers = everything(scene)
    assert {method for method, _ in answers} == METHODS.keys() == ANSWERS.keys()
    wrong = [f"{method}{where}" for method, answer in answers for where in differences(bare(answer), ANSWERS[method])]
    assert wrong == []


def test_a_charset_is_warned_of_in_two_places(scene: Scene) -> None:
    answer = scene.client.auth_test().data
    assert isinstance(answer, dict)
    assert answer.get("warning") in CHARSET | {None}
    posted: Any = scene.client.chat_postMessage(channel=scene.ops.id, text="x").data
    assert posted["warning"] == "superfluous_charset"
    assert posted["response_metadata"]["warnings"] == ["superfluous_charset"]


def test_a_shared_file_says_where(scene: Scene) -> None:
    parent = scene.client.chat_postMessage(channel=scene.ops.id, text="x")["ts"]
    files = scene.client.files_upload_v2(channel=scene.ops.id, thread_ts=parent, filename="a.png", content=b"abc")[
        "files"
    ]
    (share,) = files[0]["shares"]["public"][scene.ops.id]
    assert list(differences(share, SHARE)) == []
    assert share["thread_ts"] == parent


def test_payloads_have_the_shape_of_slacks_samples(scene: Scene) -> None:
    clicked = press(scene, card(scene)).payload
    chosen = scene.people.press(scene.ada.id, scene.ops, card(scene), "for", option="long").payload
    assert list(differences(clicked, BLOCK_ACTIONS)) == []
    assert list(differences(chosen, BLOCK_ACTIONS)) == []
    scene.client.views_open(trigger_id=clicked["trigger_id"], view=modal())
    view = scene.people.modal_of(scene.ada.id)
    assert view is not None
    assert list(differences(scene.people.submit(view, {"reason": "why"}).payload, VIEW_SUBMISSION)) == []
    command = scene.people.command(scene.ada.id, scene.ops, "/remediator", "status").payload
    assert list(differences(command, COMMAND)) == []


@pytest.mark.parametrize(
    ("message", "where"),
    [
        ({"type": "message"}, ".user: missing"),
        ({"type": 1}, ".type: 1 is no str"),
        ({"new": 1}, ".new: not in Slack's samples"),
        ({"files": {}}, ".files: {} is no list"),
    ],
)
def test_the_comparison_finds_what_differs(message: dict[str, Any], where: str) -> None:
    assert where in list(differences(message, POSTED))
