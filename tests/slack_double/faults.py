"""Faults on demand: what Slack does on a bad day, for some methods, some number of times or some time long."""

from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Final, Self

from tests.slack_double.timing import TimeSource

DROP: Final = "drop"
HTTP: Final = "http"
ERROR: Final = "error"
SLOW: Final = "slow"


@dataclass(frozen=True, slots=True)
class Fault:
    """One kind of failure; the class methods make them.

    Args:
        kind: `drop`, `http`, `error` or `slow`.
        after_commit: whether the call takes effect before it fails.
        status, headers, body: of an HTTP failure.
        code: of an answer with `ok: false`.
        seconds: that a slow answer takes in real time.
    """

    kind: str
    after_commit: bool = False
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: str = ""
    code: str = ""
    seconds: float = 0.0

    @classmethod
    def answer_lost(cls) -> Self:
        """The call takes effect, then the connection closes without a byte."""
        return cls(DROP, after_commit=True)

    @classmethod
    def dropped(cls) -> Self:
        """The connection closes without a byte and without an effect; `Running.refuse` refuses connections."""
        return cls(DROP)

    @classmethod
    def too_fast(cls, retry_after: int | None = 30) -> Self:
        """429; without `retry_after` the form of an exceeded message limit, which has no header (seen in slack-go)."""
        if retry_after is None:
            return cls(HTTP, status=429, body="message_limit_exceeded")
        body = '{"ok":false,"error":"ratelimited"}'
        return cls(HTTP, status=429, headers={"Retry-After": str(retry_after)}, body=body)

    @classmethod
    def too_many_messages(cls) -> Self:
        """HTTP 200 with `message_limit_exceeded`; Slack says nothing of when to come back."""
        return cls(ERROR, code="message_limit_exceeded")

    @classmethod
    def rate_limited(cls) -> Self:
        """HTTP 200 with `rate_limited`."""
        return cls(ERROR, code="rate_limited")

    @classmethod
    def server_error(cls, status: int = 500) -> Self:
        """A page of HTML from something before Slack's API."""
        return cls(HTTP, status=status, headers={"Content-Type": "text/html"}, body="<html>Server Error</html>")

    @classmethod
    def error(cls, code: str, *, after_commit: bool = False) -> Self:
        """HTTP 200 with any code; `fatal_error` and `internal_error` may come after a part took effect."""
        return cls(ERROR, code=code, after_commit=after_commit)

    @classmethod
    def slow(cls, seconds: float) -> Self:
        """The call takes effect, and its answer takes real seconds."""
        return cls(SLOW, after_commit=True, seconds=seconds)


@dataclass(slots=True)
class _Rule:
    fault: Fault
    method: str
    left: int | None
    until: float | None


class Faults:
    """The faults that are due, asked in the order in which they were added.

    Args:
        now: the time, for those that end.
    """

    def __init__(self, now: TimeSource) -> None:
        self._now = now
        self._rules: list[_Rule] = []

    def add(self, fault: Fault, method: str = "*", *, times: int | None = 1, seconds: float | None = None) -> None:
        """Let calls fail.

        Args:
            fault: how.
            method: a method's name or a pattern such as `chat.*`; `upload` is the POST of a file, `response_url` the
                answer to an interaction.
            times: how many calls; None for all until `clear`.
            seconds: for how long at most, by the double's time.
        """
        self._rules.append(_Rule(fault, method, times, None if seconds is None else self._now() + seconds))

    def outage(self, seconds: float, fault: Fault | None = None) -> None:
        """Let everything fail for so long: by default 503."""
        self.add(fault or Fault.server_error(503), times=None, seconds=seconds)

    def clear(self) -> None:
        """Be well again."""
        self._rules.clear()

    def take(self, method: str) -> Fault | None:
        """Return the fault of this call, and count it."""
        now = self._now()
        self._rules = [rule for rule in self._rules if rule.until is None or now < rule.until]
        for rule in self._rules:
            if fnmatchcase(method, rule.method):
                if rule.left is not None:
                    rule.left -= 1
                    if rule.left == 0:
                        self._rules.remove(rule)
                return rule.fault
        return None
