"""Slack's door: interactions and slash commands over HTTP. Signed or refused; without a secret it isn't there.

Whoever knows the signing secret is Slack. A request counts once: its signature is remembered for longer than its time
stamp is taken, and one from before this process began might have counted with the one before.

Importing slack_sdk takes 2 MB, so this module is imported only when there is a secret.
"""

from __future__ import annotations

import asyncio
import json
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import parse_qs

import structlog
from slack_sdk.signature import Clock as SignatureClock
from slack_sdk.signature import SignatureVerifier
from starlette.requests import Request
from starlette.responses import Response

from receiver.ports import Clock
from receiver.web.body import declared_length, read_body
from receiver.web.describing import FORM, DescribedRoute, Guard, described, operation
from receiver.web.ports import Interactions
from receiver.web.problems import CLOSE, Problem

INTERACTIVITY: Final = "/slack/interactivity"
COMMAND: Final = "/slack/command"

MAX_BODY: Final = 512 * 1024
"""Bytes: a payload repeats the message that was acted on, 13,000 characters that escaping makes 16 times longer."""

AT_ONCE: Final = 32
"""Bodies that are read at the same time: who isn't Slack may send them too."""

BODY_TIMEOUT: Final = 2.0
"""Seconds for a body to arrive; Slack gives three for all of it."""

VALID: Final = 300.0
REMEMBERED: Final = 600.0
"""Seconds that a time stamp is taken, and that a signature is remembered."""

MOST: Final = 100_000
"""Signatures remembered; only Slack can add one. With more nothing is taken, rather than one twice."""

FIELDS: Final = 50
"""Fields of a form at most."""

REASONS: Final[Mapping[int, str]] = {400: "body", 408: "slow", 413: "too_large", 503: "busy"}
"""By what a request is counted that was refused for its body, or for there being too many, by the HTTP status."""

_log = structlog.stdlib.get_logger(__name__)


class NotSlack(Problem):
    """A request that isn't Slack's, or not for the first time; `reason` is the word that it is counted by."""

    def __init__(self, reason: str, why: str) -> None:
        super().__init__(401, f"This request was {why}.")
        self.reason = reason


class _SlackTime(SignatureClock):
    """slack_sdk's clock, on ours."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def now(self) -> float:
        """Return UNIX seconds."""
        return self._clock.now()


class Signatures:
    """Tells Slack's requests from everybody else's.

    Args:
        secrets: any of them is right, for rotation.
        clock: for the age of requests.
    """

    def __init__(self, secrets: Sequence[str], clock: Clock) -> None:
        self._verifiers = [SignatureVerifier(one, _SlackTime(clock)) for one in secrets]
        self._clock = clock
        self._began = int(clock.now())
        self._seen: OrderedDict[str, float] = OrderedDict()

    def check(self, body: bytes, timestamp: str | None, signature: str | None) -> None:
        """Let a request pass, once.

        Raises:
            NotSlack: it isn't signed so (401).
            Problem: too many were remembered (503).
        """
        if timestamp is None or signature is None:
            raise NotSlack("unsigned", "not signed at all")
        if not self._valid(body, timestamp, signature):
            if self._old(timestamp):
                raise NotSlack("stale", "signed more than 300 seconds ago, or by a clock that is as wrong as that")
            raise NotSlack("signature", "not signed with the app's signing secret")
        if int(timestamp) < self._began:
            # Its signature may have counted already, with the process before this one.
            raise NotSlack("before_start", "signed before this process began; press again")
        now = self._clock.now()
        while self._seen and now - next(iter(self._seen.values())) > REMEMBERED:
            self._seen.popitem(last=False)
        if signature in self._seen:
            raise NotSlack("replay", "a request that came before")
        if len(self._seen) >= MOST:
            raise Problem(503, "Too many requests were signed within ten minutes; nothing was done.")
        self._seen[signature] = now

    def _valid(self, body: bytes, timestamp: str, signature: str) -> bool:
        found = False
        for verifier in self._verifiers:
            try:
                found |= verifier.is_valid(body, timestamp, signature)
            except (ValueError, TypeError, OverflowError):
                # It raises on a time stamp that is no number, a body that is no UTF-8, a signature beyond ASCII.
                return False
        return found

    def _old(self, timestamp: str) -> bool:
        """Whether its time stamp alone is reason enough: a wrong clock is mended elsewhere than a wrong secret."""
        known = timestamp.isascii() and timestamp.isdigit() and len(timestamp) < 18
        return known and abs(self._clock.now() - int(timestamp)) > VALID


class SlackDoor:
    """The two routes.

    Args:
        secrets: of the app, at least one.
        clock: for the age of requests.
        desk: what takes interactions.
        refused: called with the reason for each request that is refused.
    """

    def __init__(
        self, secrets: Sequence[str], clock: Clock, desk: Interactions, refused: Callable[[str], None]
    ) -> None:
        self._desk = desk
        self._refused = refused
        self._signatures = Signatures(secrets, clock)
        self._reading = asyncio.Semaphore(AT_ONCE)

    def routes(self) -> list[DescribedRoute]:
        """Return the routes."""
        return [
            DescribedRoute(INTERACTIVITY, self.interactivity, {"POST": operation(self.interactivity)}),
            DescribedRoute(COMMAND, self.command, {"POST": operation(self.command)}),
        ]

    @described(
        tag="slack",
        answers={"type": "object"},
        body={"type": "object", "properties": {"payload": {"type": "string"}}, "required": ["payload"]},
        body_media=FORM,
        body_optional=False,
        guard=Guard.SLACK,
    )
    async def interactivity(self, request: Request) -> Response:
        """Take a press or a modal."""
        with self._counted():
            payload = _payload(_form(await self._signed(request)))
        return _answered(await self._desk.interactive(payload))

    @described(
        tag="slack",
        answers={"type": "object"},
        body={"type": "object"},
        body_media=FORM,
        body_optional=False,
        guard=Guard.SLACK,
    )
    async def command(self, request: Request) -> Response:
        """Take a slash command."""
        with self._counted():
            form = _form(await self._signed(request))
        if form.get("ssl_check") == "1":
            return Response()
        return _answered(await self._desk.command(form))

    @contextmanager
    def _counted(self) -> Iterator[None]:
        """Count and log what is refused."""
        try:
            yield
        except Problem as problem:
            reason = problem.reason if isinstance(problem, NotSlack) else REASONS[problem.status]
            self._refused(reason)
            _log.warning("slack.request_refused", reason=reason, detail=problem.detail)
            raise

    async def _signed(self, request: Request) -> bytes:
        length = request.headers.get("content-length")
        declared_length(length.encode("latin-1") if length is not None else None, MAX_BODY)
        if self._reading.locked():
            raise Problem(503, "Too many requests at once.", headers=[CLOSE])
        async with self._reading:
            body = await read_body(request.receive, MAX_BODY, BODY_TIMEOUT)
        headers = request.headers
        self._signatures.check(body, headers.get("x-slack-request-timestamp"), headers.get("x-slack-signature"))
        return body


def _form(body: bytes) -> dict[str, str]:
    try:
        fields = parse_qs(body.decode(), keep_blank_values=True, max_num_fields=FIELDS)
    except ValueError:
        raise Problem(400, "The body is no form.") from None
    return {name: values[0] for name, values in fields.items()}


def _payload(form: Mapping[str, str]) -> dict[str, Any]:
    try:
        payload = json.loads(form.get("payload", ""))
    except (ValueError, RecursionError):
        payload = None
    if not isinstance(payload, dict):
        raise Problem(400, "The form's field `payload` holds no JSON object.")
    return payload


def _answered(answer: Mapping[str, Any] | None) -> Response:
    if answer is None:
        return Response()
    return Response(json.dumps(answer), media_type="application/json")
