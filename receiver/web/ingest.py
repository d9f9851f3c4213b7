"""`POST /webhooks/alertmanager`: a raw ASGI handler, as everything that isn't needed here would cost every alert.

2xx only after the engine says that all of it is durable. Never a redirect on this path: Alertmanager would follow it as
a GET and take its 200 for a delivery.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import msgspec
import structlog

from receiver.ports import Body, Quarantined, StoreUnavailable
from receiver.web.answers import TakenModel
from receiver.web.auth import WebhookAuth, head_of
from receiver.web.body import WHOLE, Disconnected, LargeBodies, declared_length, read_body
from receiver.web.describing import Guard, Operation, Path
from receiver.web.parsing import MAX_QUARANTINED, WEBHOOK_BODY, Delivery, open_envelope, parse, read_slice
from receiver.web.ports import Parts
from receiver.web.problems import Problem, Receive, Scope, Send, respond

PATH: Final = "/webhooks/alertmanager"
LARGE: Final = 512 * 1024
"""Bytes from which a body is read in slices: decoding as much holds up everybody else for about 10 ms."""

SLICE: Final = 250
"""Alerts of a slice; decoding and storing one takes some 10 ms."""

TOLD: Final = 20
"""Bad alerts that the answer names; all that are kept can be asked for."""

DESCRIBED: Final = Path(
    PATH,
    {
        "POST": Operation(
            name="webhook",
            told="""Take a webhook of Alertmanager, version 4: everything is durable when it is answered.

            A group of which some alerts can't be read is taken without them; they are kept at `/api/v1/quarantine`.
            """,
            tag="webhook",
            answers=TakenModel,
            body=WEBHOOK_BODY,
            body_optional=False,
            guard=Guard.WEBHOOK,
        )
    },
)
"""What it takes and answers, for the API's document."""

RETRY_AFTER: Final = (b"retry-after", b"5")
_JSON: Final = b"application/json"
_encode = msgspec.json.Encoder().encode
_log = structlog.stdlib.get_logger(__name__)


class Ingest:
    """The webhook's ASGI application."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._engine = parts.engine
        self._monotonic = parts.clock.monotonic
        self._limit = parts.settings.max_body
        self._timeout = parts.settings.body_timeout
        self._auth = WebhookAuth(parts.settings)
        self._large = LargeBodies(parts.settings.body_timeout)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        began = self._monotonic()
        status = 500
        size = 0
        try:
            length = self._admit(scope)
            if length is None or length >= LARGE:
                async with self._large.turn():
                    body = await read_body(receive, self._limit, self._timeout)
                    size = len(body)
                    result = await self._take_large(scope, body)
            else:
                body = await read_body(receive, self._limit, self._timeout, whole=WHOLE in scope)
                size = len(body)
                result = await self._take(scope, body)
            status = 200
            await respond(send, 200, _encode(result), _JSON)
        except Problem as problem:
            status = problem.status
            _log.warning("webhook refused", status=status, reason=problem.detail, errors=problem.errors[:3])
            await problem.send(send)
        except StoreUnavailable as error:
            status = 503
            _log.error("webhook not stored", reason=str(error))
            detail = f"Nothing is lost if this is sent again: the alerts could not be made durable ({error})."
            await Problem(503, detail, headers=[RETRY_AFTER]).send(send)
        except Disconnected:
            status = 499
        except Exception:
            detail = "The service failed to take this; its log says why. Nothing is lost if it is sent again."
            await Problem(500, detail, headers=[RETRY_AFTER]).send(send)
            raise
        finally:
            self._parts.metrics.webhooks.answered(status, self._monotonic() - began, size)

    def _admit(self, scope: Scope) -> int | None:
        """Judge a request by its head; returns the declared length of its body.

        Raises:
            Problem: it is refused.
        """
        headers = dict(scope["headers"])
        if scope["method"] != "POST":
            raise Problem(405, "Webhooks are posted here.", headers=[(b"allow", b"POST")])
        self._auth.check(head_of(headers))
        encoding = headers.get(b"content-encoding")
        if encoding is not None and encoding.lower() != b"identity":
            raise Problem(415, "The body is compressed; send it as it is, as Alertmanager does.")
        if (reason := self._parts.health.reason) is not None:
            raise Problem(503, f"Not ready: {reason}.", headers=[RETRY_AFTER])
        return declared_length(headers.get(b"content-length"), self._limit)

    async def _take(self, scope: Scope, body: bytes) -> dict[str, Any]:
        now = self._parts.clock.now()
        delivery = parse(body, now)
        kept = Body(now, body, len(delivery.alerts) + len(delivery.bad), _sender(scope))
        return self._result([await self._store(delivery, kept)])

    async def _take_large(self, scope: Scope, body: bytes) -> dict[str, Any]:
        """Take a large body in slices; others get their turn between them.

        Each slice is durable before the next is read. When one fails, Alertmanager sends all of it again, and what is
        stored already is a repeat.
        """
        now = self._parts.clock.now()
        envelope = open_envelope(body)
        kept: Body | None = Body(now, body, len(envelope.alerts), _sender(scope))
        stored: list[_Stored] = []
        room = MAX_QUARANTINED
        for start in range(0, max(len(envelope.alerts), 1), SLICE):
            found = read_slice(envelope.alerts[start : start + SLICE], start, now)
            truncated = int(envelope.truncated_alerts) if start == 0 else 0
            stored.append(await self._store(Delivery(found.alerts, found.bad, truncated), kept, room))
            kept = None
            room = max(0, room - len(found.bad))
            await asyncio.sleep(0)
        return self._result(stored)

    async def _store(self, delivery: Delivery, body: Body | None, room: int = MAX_QUARANTINED) -> _Stored:
        """Make a delivery durable; at most `room` of its bad alerts are kept one by one."""
        received = await self._engine.ingest(delivery.alerts, body=body, quarantined=delivery.bad[:room])
        figures = {
            "new": received.new,
            "repeats": received.repeats,
            "resolved": received.resolved,
            "refired": received.refired,
            "stale": received.stale,
            "unmatched": received.unmatched,
        }
        count = self._parts.metrics.webhooks.alerts
        for result, number in figures.items():
            if number:
                count(result, number)
        if delivery.bad:
            count("quarantined", len(delivery.bad))
        if delivery.truncated or received.refired or received.stale:
            # Firing after resolved, or an older start, is real or a late peer's: only Alertmanager can tell. Until it
            # does, and when it can't be asked, what was delivered counts.
            self._parts.resync()
        return _Stored(len(delivery.alerts), figures, len(delivery.bad), delivery.bad[:TOLD])

    def _result(self, stored: Sequence[_Stored]) -> dict[str, Any]:
        """Return what the sender is told.

        Raises:
            Problem: not one alert could be used (422).
        """
        alerts = sum(one.alerts for one in stored)
        figures = stored[0].figures
        if len(stored) > 1:
            figures = {name: sum(one.figures[name] for one in stored) for name in figures}
        quarantined = sum(one.quarantined for one in stored)
        if not quarantined:
            return {"alerts": alerts, **figures}
        told = [{"where": bad.where, "message": bad.message} for one in stored for bad in one.bad][:TOLD]
        _log.warning("alerts quarantined", quarantined=quarantined, good=alerts, errors=told[:3])
        if not alerts:
            detail = f"None of the {quarantined} alerts could be read; they are kept at /api/v1/quarantine."
            raise Problem(422, detail, errors=told)
        return {"alerts": alerts, **figures, "quarantined": quarantined, "errors": told}


class _Stored(NamedTuple):
    """What became of the alerts of a request, or of a slice of it."""

    alerts: int
    figures: dict[str, int]
    quarantined: int
    bad: Sequence[Quarantined]


def _sender(scope: Scope) -> str:
    client = scope.get("client")
    return client[0] if client else ""
