"""One Web API call from its bytes to its answer: arguments, token, scopes, rates, faults, method."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tests.slack_double import methods  # noqa: F401 (enters the methods)
from tests.slack_double.arguments import Arguments, read
from tests.slack_double.double import SlackDouble
from tests.slack_double.errors import SlackError
from tests.slack_double.faults import DROP, HTTP, SLOW, Fault
from tests.slack_double.registry import METHODS, Call, Method
from tests.slack_double.state import Json, Token
from tests.slack_double.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Reply:
    """What goes back: `drop` closes the connection instead, after `delay` seconds of real time."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    drop: bool = False
    delay: float = 0.0


@dataclass(frozen=True, slots=True)
class Request:
    """What came in."""

    method: str
    headers: Mapping[str, str]
    query: str
    body: bytes


def call(double: SlackDouble, name: str, request: Request) -> Reply:
    """Answer one call of a Web API method."""
    with double.lock:
        fault = double.faults.take(name)
        if fault is not None and not fault.after_commit:
            double.record(name, None, {"ok": False, "error": fault.code or fault.kind})
            return failed(fault, Reply())
        reply = _performed(double, name, request)
        return reply if fault is None else failed(fault, reply)


def upload(double: SlackDouble, path: str, data: bytes) -> Reply:
    """Take a file's bytes, once and exactly as many as were announced (uncertain: what Slack says otherwise).

    Args:
        double: whose.
        path: `/upload/v1/{team}/{file}/{ticket}`.
        data: the bytes.
    """

    def take() -> Reply:
        _, _, _, team_id, file_id, ticket = path.split("/")
        team = double.teams.get(team_id)
        file = team.files.get(file_id) if team is not None else None
        if file is None or file.ticket != ticket or file.data is not None:
            return Reply(404, b"no such upload")
        if len(data) != file.length:
            return Reply(400, b"the length is not the one that was announced")
        file.data = data
        return Reply(200, f"OK - {len(data)}".encode())

    return faulty(double, "upload", take)


def faulty(double: SlackDouble, name: str, take: Callable[[], Reply]) -> Reply:
    """Return a reply that is no method's, as the fault that is due for its name spoils it."""
    with double.lock:
        fault = double.faults.take(name)
        if fault is not None and not fault.after_commit:
            return failed(fault, Reply())
        reply = take()
        return reply if fault is None else failed(fault, reply)


def failed(fault: Fault, reply: Reply) -> Reply:
    """Return a reply as the fault spoils it."""
    if fault.kind == DROP:
        return Reply(drop=True)
    if fault.kind == SLOW:
        return Reply(reply.status, reply.body, reply.headers, delay=fault.seconds)
    if fault.kind == HTTP:
        return Reply(fault.status, fault.body.encode(), fault.headers)
    return _as_json({"ok": False, "error": fault.code}, {})


def _performed(double: SlackDouble, name: str, request: Request) -> Reply:
    headers: dict[str, str] = {}
    channel, warning = None, None
    try:
        content_type = request.headers.get("content-type", "")
        arguments, warning = read(request.method, content_type, request.query, request.body)
        channel = arguments.text("channel") or arguments.text("channel_id")
        entry = _entry(name)
        token = _token(double, entry, request.headers, arguments)
        headers["x-oauth-scopes"] = ",".join(sorted(token.scopes))
        headers["x-accepted-oauth-scopes"] = ",".join(entry.scopes)
        channel = _identified(double.teams[token.team], channel)
        wait = double.rates.wait_for(name, entry.tier, token.team, token.app.id, channel)
        if wait is not None:
            answer: Json = {"ok": False, "error": "ratelimited"}
            double.record(name, channel, answer)
            return _as_json(answer, headers | {"Retry-After": str(wait)}, status=429)
        one = Call(double, double.teams[token.team], token, arguments)
        one.need(*entry.scopes)
        answer = entry.handler(one)
    except SlackError as error:
        answer = error.answer()
    double.record(name, channel, answer)
    return _as_json(_warned(answer, warning), headers)


def _identified(team: Workspace, given: str | None) -> str | None:
    """Return a channel's id for its name: one channel has one budget, however it is called."""
    found = (channel.id for channel in team.channels.values() if given in {channel.name, f"#{channel.name}"})
    return next(found, given)


def _entry(name: str) -> Method:
    entry = METHODS.get(name)
    if entry is None:
        raise SlackError("unknown_method", req_method=name)
    return entry


def _token(double: SlackDouble, entry: Method, headers: Mapping[str, str], arguments: Arguments) -> Token:
    scheme, _, value = headers.get("authorization", "").partition(" ")
    given = value.strip() if scheme.lower() == "bearer" else arguments.text("token")
    if not given:
        raise SlackError("not_authed")
    token = double.tokens.get(given)
    if token is None:
        raise SlackError("invalid_auth")
    if token.revoked:
        raise SlackError("account_inactive" if token.kind == "bot" else "token_revoked")
    if token.kind != entry.kind:
        raise SlackError("not_allowed_token_type")
    return token


def _warned(answer: Json, warning: str | None) -> Json:
    """Add Slack's warning about the charset, which it puts in two places."""
    if warning is None or "warning" in answer:
        return answer
    metadata = {**answer.get("response_metadata", {}), "warnings": [warning]}
    return {**answer, "warning": warning, "response_metadata": metadata}


def _as_json(answer: Json, headers: dict[str, str], status: int = 200) -> Reply:
    kind = {"Content-Type": "application/json; charset=utf-8"}
    return Reply(status, json.dumps(answer, ensure_ascii=False).encode(), headers | kind)
