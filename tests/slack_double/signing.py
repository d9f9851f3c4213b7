"""Slack's signature on a request, and the ways in which a request can be wrong."""

import hashlib
import hmac
import time
from dataclasses import dataclass, replace
from typing import Final, Self

import httpx

LIMIT: Final = 3.0
"""Seconds that an app has to answer."""

TYPE: Final = "application/x-www-form-urlencoded"


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """Return `v0=` and the HMAC-SHA256 in hex over `v0:timestamp:body`."""
    base = b"v0:" + timestamp.encode() + b":" + body
    return "v0=" + hmac.new(secret.encode(), base, hashlib.sha256).hexdigest()


@dataclass(frozen=True, slots=True)
class Answer:
    """What the app answered: no `status` when it didn't within the limit, or not at all.

    Args:
        status, kind, body: the HTTP answer, its content type and its text.
        seconds: of real time until it was there.
        problem: why there is none.
    """

    status: int | None
    kind: str
    body: str
    seconds: float
    problem: str = ""

    @property
    def in_time(self) -> bool:
        """Whether Slack would be content: a 200 within three seconds."""
        return self.status == 200 and self.seconds <= LIMIT


@dataclass(frozen=True, slots=True)
class Signed:
    """A signed request; posting the same one twice is a replay.

    Args:
        secret: what it is signed with.
        timestamp: UNIX seconds as text.
        body: the form.
        given: a signature to use instead of the right one.
    """

    secret: str
    timestamp: str
    body: bytes
    given: bytes | None = None

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        """Return the headers, as bytes: a forger is not bound to ASCII."""
        right = signature(self.secret, self.timestamp, self.body).encode()
        return [
            (b"Content-Type", TYPE.encode()),
            (b"User-Agent", b"Slackbot 1.0 (+https://api.slack.com/robots)"),
            (b"X-Slack-Request-Timestamp", self.timestamp.encode()),
            (b"X-Slack-Signature", right if self.given is None else self.given),
        ]

    def forged(self) -> Self:
        """Return it signed by somebody who doesn't know the secret."""
        return replace(self, secret="somebody else's secret")

    def stale(self, seconds: float = 301.0) -> Self:
        """Return it as it was so long ago, rightly signed then."""
        return replace(self, timestamp=str(int(float(self.timestamp) - seconds)))

    def tampered(self, body: bytes) -> Self:
        """Return it with another body under the old signature."""
        return replace(self, body=body, given=signature(self.secret, self.timestamp, self.body).encode())

    def garbled(self) -> tuple[Self, ...]:
        """Return the three forms that slack_sdk's verifier raises on: the timestamp, the body, the signature."""
        return (
            replace(self, timestamp="yesterday"),
            replace(self, body=self.body + b"&x=\xff"),
            replace(self, given="v0=ä".encode()),
        )

    def post(self, url: str, *, limit: float = LIMIT) -> Answer:
        """Post it and wait for the answer, as Slack does: three seconds, then it is too late."""
        # Without certificates: on loopback reading them would take longer than the call.
        with httpx.Client(trust_env=False, verify=False, timeout=limit) as client:
            return self._posted(client, url)

    def _posted(self, client: httpx.Client, url: str) -> Answer:
        began = time.monotonic()
        try:
            got = client.post(url, content=self.body, headers=self.headers)
        except httpx.TimeoutException:
            return Answer(None, "", "", time.monotonic() - began, "operation_timeout")
        except httpx.TransportError as error:
            return Answer(None, "", "", time.monotonic() - began, f"dispatch_failed: {error}")
        return Answer(got.status_code, got.headers.get("content-type", ""), got.text, time.monotonic() - began)
