"""RFC 9457 problem bodies: what is wrong, where, and what to do."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from http import HTTPStatus
from typing import Any, Final, TypeAlias

import msgspec
from starlette.responses import Response

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
Headers: TypeAlias = Sequence[tuple[bytes, bytes]]

MEDIA_TYPE: Final = "application/problem+json"
CLOSE: Final = (b"connection", b"close")
"""Sent when the rest of a request isn't read: the connection can't be used again."""


class Problem(Exception):
    """A request that is answered with a problem body.

    Args:
        status: the HTTP status.
        detail: for a person: what happened and what to do.
        errors: places and messages, e.g. `{"where": "$.alerts[3].labels", "message": "..."}`.
        headers: further response headers.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        errors: Sequence[Mapping[str, Any]] = (),
        headers: Headers = (),
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.errors = tuple(errors)
        self.headers = tuple(headers)

    def body(self) -> bytes:
        """Return the problem as JSON; its type is `about:blank`, so the title is the status's own (RFC 9457, 4.2.1)."""
        members: dict[str, Any] = {
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
        }
        if self.errors:
            members["errors"] = self.errors
        return msgspec.json.encode(members)

    def response(self) -> Response:
        """Return it as a Starlette response."""
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in self.headers}
        return Response(self.body(), self.status, headers, MEDIA_TYPE)

    async def send(self, send: Send) -> None:
        """Send it as a raw ASGI response."""
        await respond(send, self.status, self.body(), MEDIA_TYPE.encode(), self.headers)


async def respond(send: Send, status: int, body: bytes, media_type: bytes, headers: Headers = ()) -> None:
    """Send a whole ASGI response."""
    base = [(b"content-type", media_type), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": [*base, *headers]})
    await send({"type": "http.response.body", "body": body})
