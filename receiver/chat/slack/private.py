"""Answers that only the person who acted sees, sent to the address that Slack hands out with each interaction."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import httpx
import structlog

from receiver.chat.slack.text import mrkdwn, safe

HOME: Final = "slack.com"
LONGEST: Final = 2900
TIMEOUT: Final = httpx.Timeout(5.0)

Json = dict[str, Any]
T = TypeVar("T")

_log = structlog.stdlib.get_logger(__name__)


def private(text: str, thread_ts: str | None = None) -> Json:
    """Return an answer that only one person sees; its text is in Slack's form already."""
    shown = text if len(text) <= LONGEST else f"{_whole_lines(text)}\n…"
    answer = {
        "response_type": "ephemeral", "replace_original": False, "text": shown,
        "blocks": [{"type": "section", "text": mrkdwn(shown)}],
    }  # fmt: skip
    return answer | ({"thread_ts": thread_ts} if thread_ts else {})


def _whole_lines(text: str) -> str:
    """Cut after a line: within one, an escape or a link would be cut apart."""
    return text[: max(0, text.rfind("\n", 0, LONGEST - 2))]


class PrivateAnswers:
    """Sends private answers.

    Args:
        http: for the requests.
        api_url: where Slack's Web API is; answers go to the same server, to hosts below its name, or to Slack itself.
        redact: takes credentials out of a text.
    """

    def __init__(self, http: httpx.AsyncClient, api_url: str, redact: Callable[[str], str]) -> None:
        self._http = http
        self._api = urlsplit(api_url)
        self._redact = redact

    def safe(self, value: T) -> T:
        """Return what is to be rendered without the credentials in its texts."""
        return safe(value, self._redact)

    def message(self, text: str, thread_ts: str | None = None) -> Json:
        """Return a private answer without credentials, as the body of an answer."""
        return private(self._redact(text), thread_ts)

    async def send(self, url: object, text: str, thread_ts: str | None = None) -> bool:
        """Send an answer; it is not tried again, for what it tells stands in the incident's thread too."""
        if not self.trusted(url):
            _log.warning("slack.answer_not_sent", reason="the response URL is not Slack's")
            return False
        try:
            answer = await self._http.post(
                str(url), json=self.message(text, thread_ts), timeout=TIMEOUT, follow_redirects=False
            )
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            _log.warning("slack.answer_not_sent", reason=str(error) or type(error).__name__)
            return False
        if answer.status_code != httpx.codes.OK:
            _log.warning("slack.answer_not_sent", reason=f"HTTP {answer.status_code}")
        return answer.status_code == httpx.codes.OK

    def trusted(self, url: object) -> bool:
        """Whether a response URL leads to Slack: requests are signed, but nothing is sent wherever somebody says."""
        if not isinstance(url, str):
            return False
        try:
            parts = urlsplit(url)
            same = (parts.scheme, parts.netloc) == (self._api.scheme, self._api.netloc)
        except ValueError:
            return False
        host = parts.hostname or ""
        below = any(host.endswith(f".{name}") for name in (self._api.hostname, HOME) if name)
        return same or (parts.scheme == "https" and below and parts.port in {None, 443} and "@" not in parts.netloc)
