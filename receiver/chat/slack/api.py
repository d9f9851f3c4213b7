"""The wire to Slack: a call in, an answer or one of three kinds of failure out. Nothing is retried here.

Failures are `ChatError` (try again later; `unknown` when it may have been done) and `SlackRefused` (Slack said no).
"""

from __future__ import annotations

import json
from typing import Any, Final, Protocol

import httpx

from receiver.ports import ChatError

TIMEOUT: Final = httpx.Timeout(15.0, connect=5.0)

PATIENCE: Final = 30.0
"""Seconds to wait when Slack says "too fast" but not for how long."""

LONGEST_PAUSE: Final = 3600.0
"""Seconds that Slack may ask for at most."""

TOO_FAST: Final = frozenset({"ratelimited", "rate_limited", "message_limit_exceeded"})
PERHAPS_DONE: Final = frozenset({"fatal_error", "internal_error", "request_timeout", "service_unavailable"})

ACCESS: Final = frozenset(
    {"invalid_auth", "not_authed", "account_inactive", "token_revoked", "token_expired", "missing_scope",
     "not_allowed_token_type", "no_permission", "ekm_access_denied", "team_access_not_granted"}
)  # fmt: skip
"""Refusals of the token: nothing at all can be sent until somebody puts it right."""

PLACE: Final = frozenset(
    {"channel_not_found", "not_in_channel", "is_archived", "is_inactive", "restricted_action", "read_only_channel",
     "restricted_action_read_only_channel", "posting_to_channel_denied", "as_user_not_supported"}
)  # fmt: skip
"""Refusals of a channel."""

NEVER_SENT: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)


class TooFast(ChatError):
    """Slack asks to wait `retry_after` seconds; nothing was done."""


class SlackRefused(Exception):
    """Slack answered `ok: false`.

    Args:
        method: what was called.
        code: Slack's error code.
        answer: the whole of it; `needed` and `provided` name scopes.
    """

    def __init__(self, method: str, code: str, answer: dict[str, Any]) -> None:
        detail = "; ".join(str(one)[:200] for one in (answer.get("response_metadata") or {}).get("messages", ())[:3])
        needed = f" (needs {answer['needed']})" if answer.get("needed") else ""
        super().__init__(f"Slack answers {code} to {method}{needed}{f': {detail}' if detail else ''}")
        self.method = method
        self.code = code
        self.answer = answer


class Api(Protocol):
    """Slack's Web API."""

    async def call(self, method: str, **arguments: Any) -> dict[str, Any]:
        """Call a method; raises ChatError or SlackRefused."""
        ...


class SlackApi:
    """Calls Slack's Web API with a bot's token.

    Args:
        url: where it is, without a slash at its end: `https://slack.com/api`.
        token: the bot's.
        http: for the requests.
    """

    def __init__(self, url: str, token: str, http: httpx.AsyncClient) -> None:
        self._url = url
        self._headers = {"Authorization": f"Bearer {token}"}
        self._http = http

    async def call(self, method: str, **arguments: Any) -> dict[str, Any]:
        """Call a method; arguments that are None are left out, structures go as JSON."""
        answer, _ = await self.call_with_scopes(method, **arguments)
        return answer

    async def call_with_scopes(self, method: str, **arguments: Any) -> tuple[dict[str, Any], frozenset[str]]:
        """Call a method and return the token's scopes too, which stand in the answer's headers."""
        form = {name: _text(value) for name, value in arguments.items() if value is not None}
        try:
            response = await self._http.post(
                f"{self._url}/{method}", data=form, headers=self._headers, timeout=TIMEOUT, follow_redirects=False
            )
        except NEVER_SENT as error:
            raise ChatError(f"Slack can't be reached: {_words(error)}", retry_after=0.0) from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise ChatError(f"no answer from Slack: {_words(error)}", retry_after=0.0, unknown=True) from error
        scopes = frozenset(one.strip() for one in response.headers.get("x-oauth-scopes", "").split(",") if one.strip())
        return _answer(method, response), scopes


def _answer(method: str, response: httpx.Response) -> dict[str, Any]:
    status = response.status_code
    if status == httpx.codes.TOO_MANY_REQUESTS:
        raise TooFast("Slack asks to slow down", retry_after=_pause(response.headers.get("Retry-After", "")))
    if status >= httpx.codes.INTERNAL_SERVER_ERROR:
        raise ChatError(f"Slack answers HTTP {status}", retry_after=0.0, unknown=True)
    if status != httpx.codes.OK:
        raise ChatError(f"Slack answers HTTP {status} to {method}", retry_after=PATIENCE)
    try:
        answer = response.json()
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        raise ChatError("what answered is not Slack: no JSON object", retry_after=PATIENCE, unknown=True)
    if answer.get("ok") is True:
        return answer
    code = str(answer.get("error") or "unknown_error")[:100]
    if code in TOO_FAST:
        raise TooFast(f"Slack asks to slow down ({code})", retry_after=PATIENCE)
    if code in PERHAPS_DONE:
        raise ChatError(f"Slack answers {code} to {method}", retry_after=0.0, unknown=True)
    raise SlackRefused(method, code, answer)


def _pause(text: str) -> float:
    seconds = int(text) if text.isascii() and text.isdigit() and len(text) < 9 else 0
    return min(float(seconds) or PATIENCE, LONGEST_PAUSE)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _words(error: Exception) -> str:
    return str(error) or type(error).__name__
