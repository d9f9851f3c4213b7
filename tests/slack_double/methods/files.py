"""Uploads in three steps: getUploadURLExternal, the POST of the bytes, completeUploadExternal."""

from typing import Final

from tests.slack_double.errors import SlackError, explained
from tests.slack_double.registry import Call, answer, method
from tests.slack_double.shapes import file_json
from tests.slack_double.state import Channel, File, Json

LARGEST: Final = 1_000_000_000
"""Bytes."""


@method("files.getUploadURLExternal", 4, "files:write")
def get_upload_url(call: Call) -> Json:
    """Promise a file of exactly `length` bytes; the URL takes them once."""
    name = call.arguments.required("filename")
    length = call.arguments.text("length") or ""
    if not length.isdecimal() or int(length) == 0:
        raise SlackError("missing_argument")
    if int(length) > LARGEST:
        raise SlackError("file_upload_size_restricted")
    identifier = call.team.ids("F")
    ticket = call.double.secret(identifier)
    file = File(identifier, ticket, name, name, int(length), call.me, int(call.team.now()))
    call.team.files[file.id] = file
    return answer(upload_url=f"{call.double.base_url}/upload/v1/{call.team.id}/{file.id}/{ticket}", file_id=file.id)


@method("files.completeUploadExternal", 4, "files:write")
def complete_upload(call: Call) -> Json:
    """Share uploaded files: to a channel, in a thread if `thread_ts` is given.

    A file whose bytes never came is refused as `file_not_found` (uncertain). The message with the file is there at
    once; on the real Slack it may take a moment.
    """
    files = [_finished(call, one) for one in _wanted(call)]
    target = call.arguments.text("channel_id")
    if target is not None:
        _share(call, files, call.team.channel(target, call.me))
    for file in files:
        file.completed = True
    return answer(files=[file_json(call.team, file) for file in files])


def _wanted(call: Call) -> list[Json]:
    given = call.arguments.structure("files", "invalid_arguments")
    if not isinstance(given, list) or not given or not all(isinstance(one, dict) and "id" in one for one in given):
        raise explained("invalid_arguments", ["missing required field: id [json-pointer:/files/0]"])
    return given


def _finished(call: Call, wanted: Json) -> File:
    file = call.team.files.get(wanted["id"])
    if file is None or file.data is None or file.completed:
        raise SlackError("file_not_found")
    file.title = wanted.get("title") or file.name
    return file


def _share(call: Call, files: list[File], channel: Channel) -> None:
    if channel.archived:
        raise SlackError("is_archived")
    call.member_of(channel)
    message = call.team.post(
        channel,
        call.me,
        call.arguments.text("initial_comment") or "",
        bot_id=call.app.bot_id,
        thread_ts=call.team.thread_of(channel, call.arguments.text("thread_ts")),
        files=[file.id for file in files],
    )
    for file in files:
        file.shares.append((channel.id, message.ts))
