"""The whole HTTP surface as one ASGI application: the webhook by itself, everything else behind it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec
import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from receiver.metrics import CONTENT_TYPE, distribution_version
from receiver.people import Role
from receiver.ports import StoreUnavailable, TooBusy
from receiver.web.answers import AliveModel, ReadyModel
from receiver.web.api import Api
from receiver.web.auth import ApiAuth, head_of
from receiver.web.body import Disconnected
from receiver.web.describing import TEXT, DescribedRoute, Guard, described
from receiver.web.ingest import DESCRIBED, PATH, RETRY_AFTER, Ingest
from receiver.web.openapi import document, rendered
from receiver.web.pages.pages import page_routes
from receiver.web.ports import Parts
from receiver.web.problems import Problem, Receive, Scope, Send

GUARDS: Final[Mapping[str, str]] = {
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
}
_log = structlog.stdlib.get_logger(__name__)


class Site:
    """The ASGI application. The webhook's path is compared first: nothing else may cost it anything."""

    def __init__(self, parts: Parts) -> None:
        self._ingest = Ingest(parts)
        self._rest = _rest(parts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "http" and scope["path"] == PATH:
            await self._ingest(scope, receive, send)
        elif scope["type"] == "http":
            await self._rest(scope, receive, _guarded(send))
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})


def _rest(parts: Parts) -> Starlette:
    auth = ApiAuth(parts.settings)
    api = [*Api(parts, auth).routes(), *Probes(parts, auth).routes(), *_slack_routes(parts)]
    api.append(_document_route(parts, auth, api))
    app = Starlette(
        routes=[*api, *page_routes(parts)],
        exception_handlers={
            Problem: _problem,
            HTTPException: _http_error,
            StoreUnavailable: _not_stored,
            TooBusy: _too_busy,
            Disconnected: _gone,
            Exception: _defect,
        },
    )
    # A redirect would be followed by Alertmanager as a GET and count as delivered.
    app.router.redirect_slashes = False
    return app


def _slack_routes(parts: Parts) -> list[DescribedRoute]:
    """Return Slack's routes: none without a secret, for anybody could press then."""
    if parts.slack is None or not parts.settings.slack_signing_secret:
        return []
    from receiver.web.slack import SlackDoor  # noqa: PLC0415 - slack_sdk is 2 MB that most never need

    secrets, count = parts.settings.slack_signing_secret, parts.metrics.slack_refused
    return SlackDoor(secrets, parts.clock, parts.slack, count).routes()


class Probes:
    """`/healthz`, `/readyz` and `/metrics`."""

    def __init__(self, parts: Parts, auth: ApiAuth) -> None:
        self._parts = parts
        self._auth = auth

    def routes(self) -> list[DescribedRoute]:
        """Return the three routes."""
        return [
            DescribedRoute.get("/healthz", self.healthz),
            DescribedRoute.get("/readyz", self.readyz),
            DescribedRoute.get("/metrics", self.metrics),
        ]

    @described(tag="service", answers=AliveModel, guard=Guard.NOTHING)
    async def healthz(self, _request: Request) -> Response:
        """Answer that the event loop turns."""
        return _plain({"status": "ok"})

    @described(tag="service", answers=ReadyModel, guard=Guard.NOTHING, unready=ReadyModel)
    async def readyz(self, _request: Request) -> Response:
        """Answer whether webhooks can be made durable; other parts are states beside it."""
        reason = self._parts.health.unready_because
        parts = dict(self._parts.health.parts)
        if reason is not None:
            return _plain({"status": "not ready", "reason": reason, "parts": parts}, 503)
        return _plain({"status": "ready", "parts": parts})

    @described(tag="service", answers=None, media=TEXT, guard=Guard.METRICS)
    async def metrics(self, request: Request) -> Response:
        """Answer every figure; a store that doesn't answer is one of them."""
        self._auth.check_metrics(self._parts.people(), head_of(dict(request.scope["headers"])))
        metrics = self._parts.metrics
        try:
            counts = await self._parts.store.counts()
            metrics.counted(counts)
            metrics.disk_low.set(counts["disk_free"] < self._parts.settings.low_disk)
        except StoreUnavailable:
            metrics.store_up.set(0)
        for part, state in self._parts.health.parts.items():
            metrics.part_up.labels(part).set(state == "ok")
        self._parts.observe()
        return Response(metrics.render(), media_type=CONTENT_TYPE)


def _document_route(parts: Parts, auth: ApiAuth, api: list[DescribedRoute]) -> DescribedRoute:
    """Return the route of the API's document; it is in it, too."""

    @described(tag="service", answers={"type": "object"})
    async def openapi(request: Request) -> Response:
        """Answer this document."""
        auth.check(parts.people(), Role.VIEWER, head_of(dict(request.scope["headers"])))
        return Response(given(), media_type="application/json")

    route = DescribedRoute.get("/api/v1/openapi.json", openapi)
    given = rendered(lambda: document([DESCRIBED, *api, route], distribution_version()))
    return route


def _guarded(send: Send) -> Send:
    extra = [(name.encode(), value.encode()) for name, value in GUARDS.items()]

    async def guarded(message: Any) -> None:
        if message["type"] == "http.response.start":
            headers = list(message.get("headers", ()))
            there = {name for name, _ in headers}
            message["headers"] = [*headers, *(one for one in extra if one[0] not in there)]
        await send(message)

    return guarded


async def _problem(_request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)  # noqa: S101 - registered for this type
    return error.response()


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this type
    details = {404: _not_here(request), 405: f"{request.method} is not possible here."}
    headers = [(name.encode(), value.encode()) for name, value in (error.headers or {}).items()]
    return Problem(error.status_code, details.get(error.status_code, error.detail), headers=headers).response()


def _not_here(request: Request) -> str:
    if request.url.path.startswith("/webhook"):
        return f"There is nothing here; webhooks are posted to {PATH}, exactly."
    return "There is nothing here."


async def _not_stored(_request: Request, error: Exception) -> Response:
    return Problem(503, f"The store does not answer: {error}", headers=[RETRY_AFTER]).response()


async def _too_busy(_request: Request, _error: Exception) -> Response:
    return Problem(503, "Too much is under way; nothing was done.", headers=[RETRY_AFTER]).response()


async def _gone(_request: Request, _error: Exception) -> Response:
    return Response(status_code=400)


async def _defect(request: Request, error: Exception) -> Response:
    _log.error("request failed", method=request.method, path=request.url.path, error=repr(error))
    return Problem(500, "The service failed to answer this; its log says why.").response()


def _plain(value: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(value), status, media_type="application/json")
