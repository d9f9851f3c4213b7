"""The double's HTTP side: a Starlette app with the Web API, uploads, response URLs, Socket Mode and the page."""

import asyncio
import json
from collections.abc import Callable
from typing import Final
from urllib.parse import parse_qsl, urlencode
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket

from tests.slack_double import api
from tests.slack_double.double import SlackDouble
from tests.slack_double.errors import SlackError
from tests.slack_double.hands import NotAllowed, act, check
from tests.slack_double.page import index, render
from tests.slack_double.responses import respond
from tests.slack_double.state import Channel
from tests.slack_double.workspace import Workspace

ABORT: Final = "tests.slack_double.abort"
"""The name under which the server puts a function that closes a request's connection in its scope."""


class Dropped(Response):
    """No answer at all: the connection closes."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Close the connection and wait until it is gone."""
        scope["extensions"][ABORT]()
        while (await receive())["type"] != "http.disconnect":
            pass


def make_app(current: Callable[[], SlackDouble]) -> Starlette:
    """Return the ASGI app of the double that is current when a request comes."""
    site = Site(current)
    return Starlette(
        routes=[
            Route("/api/{method}", site.call, methods=["GET", "POST"]),
            Route("/upload/v1/{team}/{file}/{ticket}", site.upload, methods=["POST"]),
            Route("/files-pri/{file}/{name}", site.file),
            Route("/actions/{rest:path}", site.response_url, methods=["POST"]),
            Route("/commands/{rest:path}", site.response_url, methods=["POST"]),
            Route("/archives/{channel}/{message}", site.permalink),
            Route("/double", site.index),
            Route("/double/{channel}", site.page),
            Route("/double/{channel}/{what}", site.act, methods=["POST"]),
            WebSocketRoute("/link/", site.link),
        ]
    )


class Site:
    """The endpoints.

    Args:
        current: returns what they act on.
    """

    def __init__(self, current: Callable[[], SlackDouble]) -> None:
        self._current = current

    @property
    def _double(self) -> SlackDouble:
        return self._current()

    async def call(self, request: Request) -> Response:
        """Answer a Web API call."""
        given = api.Request(request.method, request.headers, request.url.query, await request.body())
        return await _sent(api.call(self._double, request.path_params["method"], given))

    async def upload(self, request: Request) -> Response:
        """Take a file's bytes."""
        return await _sent(api.upload(self._double, request.url.path, await request.body()))

    async def response_url(self, request: Request) -> Response:
        """Take an answer to an interaction."""
        body = await request.body()

        def take() -> api.Reply:
            try:
                respond(self._double, self._double.response_urls.use(request.url.path), _object(body))
            except SlackError as error:
                gone = error.code in {"expired_url", "used_url"}
                return api.Reply(404 if gone else 400, json.dumps(error.answer()).encode())
            return api.Reply(200, b'{"ok":true}')

        return await _sent(api.faulty(self._double, "response_url", take))

    async def file(self, request: Request) -> Response:
        """Serve a file's bytes; the real Slack wants a token for this."""
        for team in self._double.teams.values():
            found = team.files.get(request.path_params["file"])
            if found is not None and found.data is not None:
                return Response(found.data, media_type="image/png" if found.name.endswith(".png") else "text/plain")
        return PlainTextResponse("no such file", 404)

    async def permalink(self, request: Request) -> Response:
        """Lead from a message's permalink to the page."""
        return RedirectResponse(f"/double/{request.path_params['channel']}#{request.path_params['message']}")

    async def index(self, request: Request) -> Response:
        """Show the channels."""
        with self._double.lock:
            return HTMLResponse(index(self._double))

    async def page(self, request: Request) -> Response:
        """Show a channel's conversation to a reader in the time zone `tz`, again every `refresh` seconds."""
        try:
            zone = ZoneInfo(request.query_params.get("tz", "UTC"))
        except (ZoneInfoNotFoundError, ValueError):
            return PlainTextResponse("no such time zone", 400)
        refresh = request.query_params.get("refresh", "")
        with self._double.lock:
            found = self._channel(request.path_params["channel"])
            if found is None:
                return PlainTextResponse("no such channel", 404)
            seconds = int(refresh) if refresh.isdecimal() else None
            viewer = request.query_params.get("as", "")
            return HTMLResponse(render(self._double, *found, zone, seconds, viewer))

    async def act(self, request: Request) -> Response:
        """Do what whoever looks at the page asks for there, and show the channel again."""
        given = dict(parse_qsl((await request.body()).decode(errors="replace"), keep_blank_values=True))
        with self._double.lock:
            found = self._channel(request.path_params["channel"])
        what = request.path_params["what"]
        if found is None or what not in {"press", "submit", "cancel"}:
            return PlainTextResponse("no such thing", 404)
        try:
            app = check(self._double, request.headers.get("host", ""), given)
            await run_in_threadpool(act, self._double, *found, what, given, app)
        except NotAllowed as error:
            return PlainTextResponse(str(error), 403)
        back = urlencode({"as": given["user"], "refresh": "2"})
        return RedirectResponse(f"/double/{found[1].id}?{back}", 303)

    def _channel(self, given: str) -> tuple[Workspace, Channel] | None:
        for team in self._double.teams.values():
            for channel in team.channels.values():
                if given in {channel.id, channel.name}:
                    return team, channel
        return None

    async def link(self, socket: WebSocket) -> None:
        """Serve a Socket Mode connection."""
        await self._double.sockets.serve(socket)


async def _sent(reply: api.Reply) -> Response:
    if reply.drop:
        return Dropped()
    if reply.delay:
        await asyncio.sleep(reply.delay)
    return Response(reply.body, reply.status, reply.headers)


def _object(body: bytes) -> dict[str, object]:
    try:
        given = json.loads(body)
    except ValueError:
        raise SlackError("invalid_payload") from None
    if not isinstance(given, dict):
        raise SlackError("invalid_payload")
    return given
