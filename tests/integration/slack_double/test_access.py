"""Who may do what: tokens, scopes, membership, archived channels; and channels and people themselves."""

from dataclasses import replace
from typing import Any

import httpx
import pytest
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from tests.integration.slack_double.conftest import Scene
from tests.integration.slack_double.test_messages import refused
from tests.slack_double import BOT_TOKEN
from tests.slack_double.double import APP_TOKEN
from tests.slack_double.registry import METHODS, scopes_of
from tests.slack_double.scopes import APP_SCOPES, BOT_SCOPES

UNASKED = {"commands", "chat:write.public"}
"""Scopes of which no method is the only use: slash commands, and posting to a channel without being in it."""


def client(scene: Scene, token: str | None) -> WebClient:
    return WebClient(token, base_url=f"{scene.running.url}/api/", retry_handlers=[])


def test_the_scopes_that_tokens_get_are_those_that_methods_ask_for() -> None:
    assert scopes_of(METHODS.values()) | UNASKED == BOT_SCOPES | APP_SCOPES


@pytest.mark.parametrize(
    ("token", "code"), [(None, "not_authed"), ("xoxb-other", "invalid_auth"), (APP_TOKEN, "not_allowed_token_type")]
)
def test_a_token_that_does_not_fit_is_refused(scene: Scene, token: str | None, code: str) -> None:
    with refused(code):
        client(scene, token).auth_test()


def test_a_revoked_token_is_refused(scene: Scene) -> None:
    scene.double.tokens[BOT_TOKEN] = replace(scene.double.tokens[BOT_TOKEN], revoked=True)
    with refused("account_inactive"):
        scene.client.auth_test()


def test_a_bot_token_opens_no_socket(scene: Scene) -> None:
    with refused("not_allowed_token_type"):
        scene.client.apps_connections_open(app_token=BOT_TOKEN)


def test_a_missing_scope_is_named(scene: Scene) -> None:
    scene.double.allow("pins:write", "channels:read")
    with refused("missing_scope") as found:
        scene.client.chat_postMessage(channel=scene.ops.id, text="x")
    assert found.value.response["needed"] == "chat:write"
    assert found.value.response["provided"] == "channels:read,pins:write"
    assert found.value.response.headers["x-oauth-scopes"] == "channels:read,pins:write"


def test_a_private_channel_needs_scopes_of_its_own(scene: Scene) -> None:
    secret = scene.double.channel("secret", is_private=True)
    scene.double.allow("channels:history", "channels:read")
    scene.client.conversations_history(channel=scene.ops.id)
    with refused("missing_scope") as found:
        scene.client.conversations_history(channel=secret.id)
    assert found.value.response["needed"] == "groups:history"


def test_addresses_need_a_scope(scene: Scene) -> None:
    assert scene.client.users_info(user=scene.ada.id)["user"]["profile"]["email"] == "ada@example.com"
    scene.double.allow("users:read")
    assert "email" not in scene.client.users_info(user=scene.ada.id)["user"]["profile"]
    with refused("missing_scope"):
        scene.client.users_lookupByEmail(email="ada@example.com")


def test_an_unknown_method_is_refused(scene: Scene) -> None:
    with refused("unknown_method"):
        scene.client.api_call("chat.shout")


def test_a_required_argument_is_named(scene: Scene) -> None:
    with refused("invalid_arguments") as found:
        scene.client.api_call("conversations.history")
    assert "[ERROR] missing required field: channel" in str(found.value)


@pytest.mark.parametrize(
    ("content_type", "body", "code"),
    [
        ("application/json", b"{", "invalid_json"),
        ("application/json", b"[]", "json_not_object"),
        ("application/xml", b"<a/>", "invalid_post_type"),
        ("", b"a=b", "missing_post_type"),
    ],
)
def test_a_body_that_can_not_be_read_is_refused(scene: Scene, content_type: str, body: bytes, code: str) -> None:
    headers = {"Authorization": f"Bearer {BOT_TOKEN}"} | ({"Content-Type": content_type} if content_type else {})
    answer: dict[str, Any] = httpx.post(f"{scene.running.url}/api/auth.test", content=body, headers=headers).json()
    assert answer["error"] == code


def test_a_form_works_as_json_does(scene: Scene) -> None:
    form = {"token": BOT_TOKEN, "channel": scene.ops.id, "blocks": '[{"type":"divider"}]', "text": "x"}
    answer = httpx.post(f"{scene.running.url}/api/chat.postMessage", data=form).json()
    assert answer["message"]["blocks"][0]["type"] == "divider"


def test_the_bot_must_be_in_the_channel(scene: Scene) -> None:
    other = scene.double.team.add_channel("other", scene.ada.id)
    scene.double.allow("chat:write", "channels:history", "channels:join")
    with refused("not_in_channel"):
        scene.client.chat_postMessage(channel=other.id, text="x")
    with refused("not_in_channel"):
        scene.client.conversations_history(channel=other.id)
    scene.client.conversations_join(channel=other.id)
    scene.client.chat_postMessage(channel=other.id, text="x")
    assert scene.client.conversations_join(channel=other.id)["warning"] == "already_in_channel"


def test_with_a_scope_public_channels_take_posts_from_outside_but_private_ones_are_not_there(scene: Scene) -> None:
    public = scene.double.team.add_channel("public", scene.ada.id)
    private = scene.double.team.add_channel("private", scene.ada.id, is_private=True)
    scene.client.chat_postMessage(channel=public.id, text="x")
    with refused("channel_not_found"):
        scene.client.chat_postMessage(channel=private.id, text="x")


def test_an_archived_channel_is_read_only(scene: Scene) -> None:
    ts = scene.client.chat_postMessage(channel=scene.ops.id, text="x")["ts"]
    scene.client.conversations_archive(channel=scene.ops.id)
    with refused("is_archived"):
        scene.client.chat_postMessage(channel=scene.ops.id, text="x")
    with refused("is_inactive"):
        scene.client.chat_update(channel=scene.ops.id, ts=ts, text="y")
    with refused("already_archived"):
        scene.client.conversations_archive(channel=scene.ops.id)
    assert len(scene.client.conversations_history(channel=scene.ops.id)["messages"]) == 1
    assert scene.client.conversations_list(exclude_archived=True)["channels"] == []


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("ops", "name_taken"),
        ("", "invalid_name_required"),
        ("n" * 81, "invalid_name_maxlength"),
        ("---", "invalid_name_punctuation"),
        ("Inc 1", "invalid_name_specials"),
    ],
)
def test_a_channels_name_has_rules(scene: Scene, name: str, code: str) -> None:
    with refused(code):
        scene.client.conversations_create(name=name)


def test_an_incident_gets_a_channel(scene: Scene) -> None:
    made = scene.client.conversations_create(name="inc-2027-01-15-api")["channel"]["id"]
    scene.client.conversations_invite(channel=made, users=[scene.ada.id, scene.bob.id])
    scene.client.conversations_setTopic(channel=made, topic="P1 api")
    info = scene.client.conversations_info(channel=made, include_num_members=True)["channel"]
    assert (info["num_members"], info["topic"]["value"], info["is_member"]) == (3, "P1 api", True)
    with refused("too_long"):
        scene.client.conversations_setTopic(channel=made, topic="x" * 251)


def test_one_who_can_not_be_invited_fails_the_invitation(scene: Scene) -> None:
    made = scene.client.conversations_create(name="inc-1")["channel"]["id"]
    with refused("user_not_found") as found:
        scene.client.conversations_invite(channel=made, users=[scene.ada.id, "U404"])
    assert found.value.response["errors"] == [{"user": "U404", "ok": False, "error": "user_not_found"}]
    scene.client.conversations_invite(channel=made, users=[scene.ada.id])
    with refused("already_in_channel"):
        scene.client.conversations_invite(channel=made, users=[scene.ada.id])


def test_people_are_found_by_id_and_by_address(scene: Scene) -> None:
    assert scene.client.users_lookupByEmail(email="ADA@example.com")["user"]["id"] == scene.ada.id
    with refused("users_not_found"):
        scene.client.users_lookupByEmail(email="eve@example.com")
    with refused("user_not_found"):
        scene.client.users_info(user="U404")
    scene.bob.deleted = True
    with refused("users_not_found"):
        scene.client.users_lookupByEmail(email="bob@example.com")


def test_people_are_listed_in_pages(scene: Scene) -> None:
    pages = scene.client.users_list(limit=2)
    assert [len(page["members"]) for page in pages] == [2, 1]
    with refused("invalid_cursor"):
        scene.client.users_list(cursor="x")


def test_user_groups_may_not_be_in_the_plan(scene: Scene) -> None:
    group = scene.double.team.add_group("on-call", [scene.ada])
    assert scene.client.usergroups_users_list(usergroup=group.id)["users"] == [scene.ada.id]
    assert scene.client.usergroups_list(include_users=True)["usergroups"][0]["users"] == [scene.ada.id]
    with refused("no_such_subteam"):
        scene.client.usergroups_users_list(usergroup="S404")
    scene.double.team.has_user_groups = False
    with refused("plan_upgrade_required"):
        scene.client.usergroups_list()
    with refused("plan_upgrade_required"):
        scene.client.usergroups_users_list(usergroup=group.id)


def test_workspaces_know_nothing_of_each_other(scene: Scene) -> None:
    other = scene.double.add_team("Other", "other")
    scene.double.install(other, "xoxb-other-team", "xapp-other-team")
    with refused("channel_not_found"):
        client(scene, "xoxb-other-team").chat_postMessage(channel=scene.ops.id, text="x")
    assert client(scene, "xoxb-other-team").auth_test()["team_id"] == other.id


def test_the_permalink_leads_to_the_page(scene: Scene) -> None:
    ts = scene.client.chat_postMessage(channel=scene.ops.id, text="find me")["ts"]
    link = scene.client.chat_getPermalink(channel=scene.ops.id, message_ts=ts)["permalink"]
    assert "find me" in httpx.get(link, follow_redirects=True).text
    with pytest.raises(SlackApiError, match="message_not_found"):
        scene.client.chat_getPermalink(channel=scene.ops.id, message_ts="1.0")
