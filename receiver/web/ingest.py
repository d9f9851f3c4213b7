"""`POST /webhooks/alertmanager`: a raw ASGI handler, as everything that isn't needed here would cost every alert.

2xx only after the engine says that all of it is durable. Never a redirect on this path: Alertmanager would follow it as
a GET and take its 200 for a delivery.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final

import msgspec
import structlog

from receiver.ports import Body, Quarantined, StoreUnavailable
from receiver.web.auth import WebhookAuth
from receiver.web.body import Disconnected, LargeBodies, declared_length, read_body
from receiver.web.parsing import MAX_QUARANTINED, Delivery, parse, slices
from receiver.web.ports import Parts, Received
from receiver.web.problems import CLOSE, Headers, Problem, Receive, Scope, Send

PATH: Final = "/webhooks/alertmanager"
LARGE: Final = 512 * 1024
"""Bytes from which a body is read in slices: decoding as much holds up everybody else for about 10 ms."""

SLICE: Final = 250
"""Alerts of a slice; decoding and storing one takes some 10 ms."""

RETRY_AFTER: Final = (b"retry-after", b"5")
_JSON: Final = (b"content-type", b"application/json")
_encode = msgspec.json.Encoder().encode
_log = structlog.stdlib.get_logger(__name__)


class Ingest:
    """The webhook's ASGI application."""

    def __init__(self, parts: Parts) -> None:
        self._engine = parts.engine
        self._clock = parts.clock
        self._metrics = parts.metrics
        self._truncated = parts.truncated
        self._limit = parts.settings.max_body
        self._timeout = parts.settings.body_timeout
        self._auth = WebhookAuth(parts.settings)
        self._large = LargeBodies(LARGE, parts.settings.body_timeout)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        began = self._clock.monotonic()
        size = 0
        try:
            headers = _wanted(scope)
            length = declared_length(headers.get(b"content-length"), self._limit)
            if self._large.applies(length):
                async with self._large.turn():
                    size, answer = await self._take_large(scope, receive)
            else:
                body = await read_body(receive, self._limit, self._timeout)
                size, answer = len(body), await self._take(scope, body)
            await _accept(send, answer)
            status = 200
        except Problem as problem:
            status = problem.status
            await problem.send(send)
            _log.warning("webhook refused", status=status, reason=problem.detail, errors=problem.errors[:3])
        except Disconnected:
            status = 499
        self._metrics.webhook(status, self._clock.monotonic() - began, size)
