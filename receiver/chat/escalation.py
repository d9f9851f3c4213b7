"""Calling people: a signed webhook and a metric, two paths that don't share a fate.

The webhook posts JSON to whoever pages (an incident tool, a bridge to phones). The metric shows what the webhook could
not deliver; the shipped rule makes Prometheus and Alertmanager call people about it, by routes of their own.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

import httpx

from receiver.core import events as ev
from receiver.core.events import Recorded
from receiver.core.outbox import OutboxRow
from receiver.core.redaction import Secrets
from receiver.ports import ChatError, Clock

TIMEOUT = 10.0
"""Seconds the other side has to answer."""

ATTEMPTS = 12
"""Tries of one page; with the pump's backoff (1 s doubling to 5 min) about 20 minutes, then the next page is due."""

KNOWN = (ev.Acknowledged, ev.ApprovalEnded, ev.Closed, ev.Resolved, ev.TakenOver, ev.Voted)
"""What shows that people know of an incident, or need not any more."""

REMEMBERED = 10_000
"""Undelivered pages that are remembered at most."""


class Undelivered(Exception):
    """A path did not take a page; the text is for people.

    Args:
        retry_after: seconds, as the other side asked.
        final: whether it would refuse the same again.
    """

    def __init__(self, message: str, *, retry_after: float = 0.0, final: bool = False) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.final = final


class Path(Protocol):
    """A way to call people."""

    name: str

    async def deliver(self, row: OutboxRow) -> None:
        """Deliver a page, perhaps again; its key tells repeats. Raises Undelivered."""
        ...

    def delivered(self, row: OutboxRow) -> None:
        """Take note that a path before this one delivered it after all."""
        ...


def signature(secret: bytes, timestamp: str, body: bytes) -> str:
    """Return `v1=` and the HMAC-SHA256 in hex over `timestamp.body`; what a receiver compares in constant time."""
    return "v1=" + hmac.new(secret, timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


class WebhookPath:
    """Posts each page as JSON, signed.

    Headers: `Idempotency-Key` (the same for every try of a page), `X-Remediator-Timestamp` (UNIX seconds; refuse what
    is older than five minutes) and `X-Remediator-Signature` (see `signature`).

    Args:
        url: where to.
        secret: shared with the receiver; not empty.
        client: for the requests.
        base_url: how people reach the service; a page says where the incident is.
        secrets: what no page holds.
    """

    name = "webhook"

    def __init__(
        self,
        url: str,
        secret: bytes,
        client: httpx.AsyncClient,
        clock: Clock,
        *,
        base_url: str = "",
        secrets: Secrets | None = None,
    ) -> None:
        if not secret:
            raise ValueError("an escalation webhook needs a secret to sign with")
        self._url = url
        self._secret = secret
        self._client = client
        self._clock = clock
        self._base_url = base_url
        self._secrets = secrets or Secrets()

    async def deliver(self, row: OutboxRow) -> None:
        """Post a page; any 2xx counts, redirects don't."""
        body = json.dumps(
            self._secrets.value(page(row, self._base_url)), ensure_ascii=False, separators=(",", ":")
        ).encode()
        timestamp = str(int(self._clock.now()))
        headers = {
            "Content-Type": "application/json",
            "Idempotency-Key": row.key,
            "X-Remediator-Timestamp": timestamp,
            "X-Remediator-Signature": signature(self._secret, timestamp, body),
        }
        try:
            async with self._client.stream(
                "POST", self._url, content=body, headers=headers, timeout=TIMEOUT, follow_redirects=False
            ) as answer:
                code, wait = answer.status_code, answer.headers.get("Retry-After", "")
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise Undelivered(
                f"the escalation webhook can't be reached: {str(error) or type(error).__name__}"
            ) from error
        if not 200 <= code < 300:
            after = float(min(int(wait), 3600)) if wait.isascii() and wait.isdigit() else 0.0
            raise Undelivered(f"the escalation webhook answers {code}", retry_after=after)

    def delivered(self, row: OutboxRow) -> None:
        """Do nothing: what it posted stays true."""


def page(row: OutboxRow, base_url: str) -> dict[str, Any]:
    """Return the body of a page: what happened, to which incident and where it is, how often people were called."""
    at = datetime.fromtimestamp(row.at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    url = f"{base_url}/incidents/{row.incident}"
    return {"version": "1", "key": row.key, "incident_id": row.incident, "url": url, **row.payload, "at": at}


class MetricPath:
    """Counts incidents of which a page could not be delivered by a path before this one.

    Args:
        gauge: is set to their number.
    """

    name = "metric"

    def __init__(self, gauge: Callable[[int], None]) -> None:
        self._gauge = gauge
        self._incidents: set[str] = set()

    async def deliver(self, row: OutboxRow) -> None:
        """Count the page's incident; never fails."""
        if len(self._incidents) < REMEMBERED:
            self._incidents.add(row.incident)
        self._gauge(len(self._incidents))

    def delivered(self, row: OutboxRow) -> None:
        """Count its incident no longer: people know of it."""
        self.forget(row.incident)

    def happened(self, recorded: Iterable[Recorded]) -> None:
        """Count no incident of which people have shown that they know, or need not know any more."""
        for one in recorded:
            if isinstance(one.event, KNOWN):
                self.forget(one.incident)

    def forget(self, incident: str) -> None:
        """Count an incident no longer: people know of it, or it ended."""
        self._incidents.discard(incident)
        self._gauge(len(self._incidents))


class EscalationSender:
    """Sends a lane's pages: the first path until it delivers, the others as soon as it failed once.

    Args:
        paths: in order; the first is tried again and again, each other takes a page at most once.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self._first, *self._rest = paths
        self._taken: set[str] = set()

    async def send(self, row: OutboxRow, attempts: int, *, again: bool) -> str | None:
        """Deliver a page by the first path; by the next ones as well when that fails."""
        try:
            await self._first.deliver(row)
        except Undelivered as error:
            if row.kind == "page":
                await self._fall_through(row)
            last = error.final or attempts + 1 >= ATTEMPTS
            raise ChatError(str(error), retry_after=None if last else error.retry_after) from error
        self._taken.discard(row.key)
        for path in self._rest:
            path.delivered(row)
        return None

    async def _fall_through(self, row: OutboxRow) -> None:
        if row.key in self._taken:
            return
        for path in self._rest:
            try:
                await path.deliver(row)
            except Undelivered:
                continue
            if len(self._taken) < REMEMBERED:
                self._taken.add(row.key)
            return
