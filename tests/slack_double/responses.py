"""Answers to an interaction without a token: POSTs to a response URL, and the body of an answered slash command."""

from tests.slack_double.blockkit import check_blocks
from tests.slack_double.double import SlackDouble
from tests.slack_double.errors import SlackError
from tests.slack_double.methods.chat import SHOWN_WITHOUT_TEXT, check_attachments
from tests.slack_double.state import Json, Message
from tests.slack_double.triggers import ResponseUrl
from tests.slack_double.workspace import Workspace


def respond(double: SlackDouble, one: ResponseUrl, given: Json) -> None:
    """Do what an app wrote to a response URL.

    By default only the person who acted sees it. `response_type: in_channel` shows it to all, `replace_original` and
    `delete_original` act on the message that the interaction came from.
    """
    team = double.teams[one.team]
    channel = team.channels[one.channel]
    if given.get("delete_original"):
        if one.message is not None:
            _delete(team, one.message)
        return
    content = _content(given)
    if given.get("replace_original") and one.message is not None:
        one.message.text = content.get("text", SHOWN_WITHOUT_TEXT)
        one.message.blocks = team.with_ids(content.get("blocks", []))
        one.message.attachments = content.get("attachments", [])
        return
    app = double.app_of(team)
    team.post(
        channel,
        app.bot_user,
        content.pop("text", SHOWN_WITHOUT_TEXT),
        bot_id=app.bot_id,
        only_for=None if given.get("response_type") == "in_channel" else one.user,
        thread_ts=team.thread_of(channel, given.get("thread_ts")),
        **content,
    )


def _delete(team: Workspace, message: Message) -> None:
    channel = team.channels[message.channel]
    if message in channel.ephemeral:
        channel.ephemeral.remove(message)
    else:
        team.delete(channel, message)


def _content(given: Json) -> Json:
    content: Json = {}
    if isinstance(given.get("text"), str) and given["text"]:
        content["text"] = given["text"]
    if given.get("blocks"):
        content["blocks"] = check_blocks(given["blocks"])
    if given.get("attachments"):
        content["attachments"] = check_attachments(given["attachments"])
    if not content:
        raise SlackError("no_text")
    return content
