"""Messages through slack_sdk's client: posting, changing, threads, metadata, ephemeral ones, pins, files."""

import re
from typing import Any

import httpx
import pytest
from slack_sdk.errors import SlackApiError

from tests.integration.slack_double.conftest import Scene

SECTION: dict[str, Any] = {"type": "section", "text": {"type": "mrkdwn", "text": "*it* is down"}}
KEY: dict[str, Any] = {"event_type": "remediator", "event_payload": {"key": "i-1/3"}}


def refused(code: str) -> Any:
    return pytest.raises(SlackApiError, match=f"'error': '{code}'")


def test_a_message_is_kept_as_it_was_posted(scene: Scene) -> None:
    answer = scene.client.chat_postMessage(channel=scene.ops.id, text="down", blocks=[SECTION], metadata=KEY)
    (message,) = scene.client.conversations_history(channel=scene.ops.id, include_all_metadata=True)["messages"]
    assert message["ts"] == answer["ts"]
    assert message["text"] == "down"
    assert message["metadata"] == KEY
    assert message["blocks"][0]["text"] == SECTION["text"]
    assert message["blocks"][0]["block_id"]


def test_metadata_is_only_there_for_who_asks(scene: Scene) -> None:
    scene.client.chat_postMessage(channel=scene.ops.id, text="down", metadata=KEY)
    (message,) = scene.client.conversations_history(channel=scene.ops.id)["messages"]
    assert "metadata" not in message


def test_a_ts_is_strictly_rising_even_when_time_stands_still(scene: Scene) -> None:
    stamps = [scene.client.chat_postMessage(channel=scene.ops.id, text="x")["ts"] for _ in range(5)]
    scene.time.advance(-10)
    stamps.append(scene.client.chat_postMessage(channel=scene.ops.id, text="x")["ts"])
    assert stamps == sorted(set(stamps))
    assert all(re.fullmatch(r"\d{10}\.\d{6}", stamp) for stamp in stamps)


def test_a_channel_can_be_named_in_a_post_but_not_in_an_update(scene: Scene) -> None:
    answer = scene.client.chat_postMessage(channel="#ops", text="x")
    assert answer["channel"] == scene.ops.id
    with refused("channel_not_found"):
        scene.client.chat_update(channel="#ops", ts=answer["ts"], text="y")


def test_a_thread_is_read_parent_first_and_only_a_broadcast_is_in_the_channel_too(scene: Scene) -> None:
    parent = scene.client.chat_postMessage(channel=scene.ops.id, text="parent")["ts"]
    first = scene.client.chat_postMessage(channel=scene.ops.id, text="one", thread_ts=parent)
    scene.client.chat_postMessage(channel=scene.ops.id, text="two", thread_ts=parent, reply_broadcast=True)
    thread = scene.client.conversations_replies(channel=scene.ops.id, ts=parent)["messages"]
    channel = scene.client.conversations_history(channel=scene.ops.id)["messages"]
    assert first["message"]["thread_ts"] == parent
    assert [message["text"] for message in thread] == ["parent", "one", "two"]
    assert [message["text"] for message in channel] == ["two", "parent"]
    assert thread[0]["reply_count"] == 2
    assert channel[0]["subtype"] == "thread_broadcast"


def test_a_reply_to_a_deleted_parent_lands_in_the_channel_without_an_error(scene: Scene) -> None:
    parent = scene.client.chat_postMessage(channel=scene.ops.id, text="parent")["ts"]
    scene.client.chat_delete(channel=scene.ops.id, ts=parent)
    answer = scene.client.chat_postMessage(channel=scene.ops.id, text="lost", thread_ts=parent)
    assert "thread_ts" not in answer["message"]
    with refused("thread_not_found"):
        scene.client.conversations_replies(channel=scene.ops.id, ts=parent)


def test_a_deleted_parent_with_replies_leaves_a_tombstone(scene: Scene) -> None:
    parent = scene.client.chat_postMessage(channel=scene.ops.id, text="parent")["ts"]
    scene.client.chat_postMessage(channel=scene.ops.id, text="one", thread_ts=parent)
    scene.client.chat_delete(channel=scene.ops.id, ts=parent)
    root, reply = scene.client.conversations_replies(channel=scene.ops.id, ts=parent)["messages"]
    assert (root["subtype"], reply["text"]) == ("tombstone", "one")
    with refused("message_not_found"):
        scene.client.chat_update(channel=scene.ops.id, ts=parent, text="x")


def test_a_thread_is_read_in_pages(scene: Scene) -> None:
    parent = scene.client.chat_postMessage(channel=scene.ops.id, text="0")["ts"]
    for number in range(1, 6):
        scene.client.chat_postMessage(channel=scene.ops.id, text=str(number), thread_ts=parent)
    pages = scene.client.conversations_replies(channel=scene.ops.id, ts=parent, limit=2)
    texts = [[message["text"] for message in page["messages"]] for page in pages]
    assert texts == [["0", "1"], ["2", "3"], ["4", "5"]]


def test_history_has_limits_in_time(scene: Scene) -> None:
    stamps = []
    for number in range(3):
        stamps.append(scene.client.chat_postMessage(channel=scene.ops.id, text=str(number))["ts"])
        scene.time.advance(60)
    after = scene.client.conversations_history(channel=scene.ops.id, oldest=stamps[0])["messages"]
    upto = scene.client.conversations_history(channel=scene.ops.id, latest=stamps[1], inclusive=True)["messages"]
    assert [message["text"] for message in after] == ["2", "1"]
    assert [message["text"] for message in upto] == ["1", "0"]
    with refused("invalid_ts_oldest"):
        scene.client.conversations_history(channel=scene.ops.id, oldest="yesterday")


def test_text_without_blocks_takes_the_blocks_away_and_metadata_stays(scene: Scene) -> None:
    ts = scene.client.chat_postMessage(channel=scene.ops.id, text="x", blocks=[SECTION], metadata=KEY)["ts"]
    scene.client.chat_update(channel=scene.ops.id, ts=ts, text="plain")
    message = scene.ops.messages[ts]
    assert (message.blocks, message.metadata, message.text) == ([], KEY, "plain")
    assert message.edited is not None


def test_blocks_without_text_leave_the_text_and_no_mark_of_an_edit(scene: Scene) -> None:
    ts = scene.client.chat_postMessage(channel=scene.ops.id, text="x")["ts"]
    scene.client.api_call("chat.update", json={"channel": scene.ops.id, "ts": ts, "blocks": [SECTION]})
    message = scene.ops.messages[ts]
    assert (message.text, len(message.blocks), message.edited) == ("x", 1, None)


def test_empty_metadata_takes_the_metadata_away(scene: Scene) -> None:
    ts = scene.client.chat_postMessage(channel=scene.ops.id, text="x", metadata=KEY)["ts"]
    scene.client.chat_update(channel=scene.ops.id, ts=ts, text="x", metadata={})
    assert scene.ops.messages[ts].metadata is None


def test_an_update_takes_four_thousand_bytes_after_escaping(scene: Scene) -> None:
    ts = scene.client.chat_postMessage(channel=scene.ops.id, text="x")["ts"]
    scene.client.chat_update(channel=scene.ops.id, ts=ts, text="&" * 800)
    scene.client.chat_update(channel=scene.ops.id, ts=ts, text="<>" * 500)
    for text in ("&" * 801, "<>" * 501, "é" * 2001, "x" * 4001):
        with refused("msg_too_long"):
            scene.client.chat_update(channel=scene.ops.id, ts=ts, text=text)


def test_a_post_of_more_than_forty_thousand_characters_is_cut(scene: Scene) -> None:
    answer = scene.client.chat_postMessage(channel=scene.ops.id, text="x" * 40_001)
    assert len(answer["message"]["text"]) == 40_000


def test_only_ones_own_messages_can_be_changed(scene: Scene) -> None:
    ts = scene.double.say(scene.ops, scene.ada.id, "mine").ts
    with refused("cant_update_message"):
        scene.client.chat_update(channel=scene.ops.id, ts=ts, text="yours")
    with refused("cant_delete_message"):
        scene.client.chat_delete(channel=scene.ops.id, ts=ts)


def test_a_reply_can_be_broadcast_later_but_not_together_with_a_change(scene: Scene) -> None:
    parent = scene.client.chat_postMessage(channel=scene.ops.id, text="parent")["ts"]
    reply = scene.client.chat_postMessage(channel=scene.ops.id, text="reply", thread_ts=parent)["ts"]
    with refused("no_dual_broadcast_content_update"):
        scene.client.chat_update(channel=scene.ops.id, ts=reply, text="x", reply_broadcast=True)
    scene.client.api_call("chat.update", json={"channel": scene.ops.id, "ts": reply, "reply_broadcast": True})
    assert scene.ops.messages[reply].broadcast


@pytest.mark.parametrize(
    ("metadata", "code"),
    [
        ("not json", "invalid_metadata_format"),
        ([1], "invalid_metadata_format"),
        ({"event_type": "x"}, "invalid_metadata_schema"),
        ({"event_type": "x", "event_payload": {"k": "v" * 8000}}, "metadata_too_large"),
    ],
)
def test_bad_metadata_is_refused(scene: Scene, metadata: Any, code: str) -> None:
    with refused(code):
        scene.client.api_call("chat.postMessage", json={"channel": scene.ops.id, "text": "x", "metadata": metadata})


def test_bad_blocks_are_refused_with_where_and_why(scene: Scene) -> None:
    long = {"type": "section", "text": {"type": "mrkdwn", "text": "x" * 3001}}
    with refused("invalid_blocks") as found:
        scene.client.chat_postMessage(channel=scene.ops.id, text="x", blocks=[long])
    assert found.value.response["response_metadata"]["messages"] == [
        "[ERROR] failed to match all allowed schemas [json-pointer:/blocks/0/text]",
        "[ERROR] must be less than 3001 characters [json-pointer:/blocks/0/text/text]",
    ]
    assert not scene.texts()


def test_an_attachment_gives_blocks_a_colour_and_is_checked_too(scene: Scene) -> None:
    good = [{"color": "#e01e5a", "blocks": [SECTION]}]
    answer = scene.client.chat_postMessage(channel=scene.ops.id, text="x", attachments=good)
    assert answer["message"]["attachments"][0]["color"] == "#e01e5a"
    bad = [{"blocks": [{"type": "header"}]}]
    with refused("invalid_attachments") as found:
        scene.client.chat_postMessage(channel=scene.ops.id, text="x", attachments=bad)
    assert "json-pointer:/attachments/0/blocks/0]" in str(found.value)
    with refused("too_many_attachments"):
        scene.client.chat_postMessage(channel=scene.ops.id, text="x", attachments=good * 101)


@pytest.mark.parametrize("thread_ts", ["0", "1602251441.0017", "latest"])
def test_a_malformed_thread_ts_is_refused(scene: Scene, thread_ts: str) -> None:
    with refused("invalid_thread_ts") as found:
        scene.client.chat_postMessage(channel=scene.ops.id, text="x", thread_ts=thread_ts)
    assert f"[ERROR] {thread_ts} is not a valid thread_ts" in str(found.value)


def test_nothing_to_show_is_refused(scene: Scene) -> None:
    with refused("no_text"):
        scene.client.api_call("chat.postMessage", json={"channel": scene.ops.id})


def test_an_ephemeral_message_is_for_one_member_and_can_not_be_read_back(scene: Scene) -> None:
    answer = scene.client.chat_postEphemeral(channel=scene.ops.id, user=scene.ada.id, text="only you")
    assert scene.double.told(scene.ada.id) == ["only you"]
    assert scene.double.told(scene.bob.id) == []
    assert scene.client.conversations_history(channel=scene.ops.id)["messages"] == []
    with refused("message_not_found"):
        scene.client.chat_update(channel=scene.ops.id, ts=answer["message_ts"], text="x")
    stranger = scene.double.team.add_user("eve")
    with refused("user_not_in_channel"):
        scene.client.chat_postEphemeral(channel=scene.ops.id, user=stranger.id, text="x")


def test_a_pin_is_there_once(scene: Scene) -> None:
    ts = scene.client.chat_postMessage(channel=scene.ops.id, text="header")["ts"]
    scene.client.pins_add(channel=scene.ops.id, timestamp=ts)
    with refused("already_pinned"):
        scene.client.pins_add(channel=scene.ops.id, timestamp=ts)
    assert [item["message"]["ts"] for item in scene.client.pins_list(channel=scene.ops.id)["items"]] == [ts]
    scene.client.pins_remove(channel=scene.ops.id, timestamp=ts)
    with refused("no_pin"):
        scene.client.pins_remove(channel=scene.ops.id, timestamp=ts)
    with refused("bad_timestamp"):
        scene.client.pins_add(channel=scene.ops.id, timestamp="now")
    with refused("no_item_specified"):
        scene.client.pins_add(channel=scene.ops.id)


def test_a_bookmark_is_a_link(scene: Scene) -> None:
    scene.client.bookmarks_add(channel_id=scene.ops.id, title="Incident", type="link", link="https://x.example/i-1")
    assert [bookmark["title"] for bookmark in scene.ops.bookmarks] == ["Incident"]
    with refused("invalid_link"):
        scene.client.bookmarks_add(channel_id=scene.ops.id, title="x", type="link", link="javascript:x")


def test_a_file_goes_into_a_thread(scene: Scene) -> None:
    parent = scene.client.chat_postMessage(channel=scene.ops.id, text="parent")["ts"]
    scene.client.files_upload_v2(
        channel=scene.ops.id, thread_ts=parent, filename="chart.png", content=b"\x89PNG", title="Errors"
    )
    reply = scene.client.conversations_replies(channel=scene.ops.id, ts=parent)["messages"][1]
    (file,) = reply["files"]
    assert (file["title"], file["size"], file["mimetype"]) == ("Errors", 4, "image/png")
    assert httpx.get(scene.running.url + file["url_private"]).content == b"\x89PNG"


def test_a_file_is_not_there_before_its_bytes(scene: Scene) -> None:
    with refused("missing_argument"):
        scene.client.files_getUploadURLExternal(filename="a.png", length=0)
    promised = scene.client.files_getUploadURLExternal(filename="a.png", length=3)
    files = [{"id": promised["file_id"], "title": "A"}]
    with refused("file_not_found"):
        scene.client.files_completeUploadExternal(files=files, channel_id=scene.ops.id)
    assert httpx.post(promised["upload_url"], content=b"four").status_code == 400
    assert httpx.post(promised["upload_url"], content=b"abc").text == "OK - 3"
    assert httpx.post(promised["upload_url"], content=b"abc").status_code == 404
    scene.client.files_completeUploadExternal(files=files, channel_id=scene.ops.id)
    with refused("file_not_found"):
        scene.client.files_completeUploadExternal(files=files, channel_id=scene.ops.id)
