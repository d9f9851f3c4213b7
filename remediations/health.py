"""Asking a service's health endpoint: 2xx, the expected word, in time. A 200 that says `degraded` is not healthy."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass

import httpx

MAX_BODY = 65536
"""Bytes of an answer that are read; a health answer is far smaller."""


@dataclass(frozen=True, slots=True)
class HealthAnswer:
    """What a health endpoint said.

    Args:
        url: without credentials and query, for people.
        ok: whether it is what a working service answers.
        text: one line for people, the address included.
        status_code: None when no answer came.
        word: the JSON `status`, None when there is none.
        seconds: how long it took.
    """

    url: str
    ok: bool
    text: str
    status_code: int | None = None
    word: str | None = None
    seconds: float = 0.0


async def probe(http: httpx.AsyncClient, url: str, *, word: str = "healthy", timeout: float = 5.0) -> HealthAnswer:
    """Ask a health endpoint once; never raises for what the endpoint does.

    Args:
        http: the client; its own time limits may be shorter.
        url: of the endpoint; redirects are not followed.
        word: what the JSON `status` must be, case-insensitive; empty: any 2xx will do.
        timeout: seconds for the whole answer, body included.
    """
    shown = redact(url)
    loop = asyncio.get_running_loop()
    started = loop.time()
    code: int | None = None
    said: str | None = None
    try:
        async with asyncio.timeout(timeout), http.stream("GET", url, follow_redirects=False, timeout=timeout) as answer:
            code = answer.status_code
            body = await _read(answer)
    except (TimeoutError, httpx.TimeoutException):
        problem: str | None = f"gave no answer within {timeout:g} s"
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        problem = f"can't be asked: {str(error) or type(error).__name__}"
    else:
        said, problem = _judge(code, body, word)
    seconds = loop.time() - started
    good = f"{code}" + (f", {said}" if said is not None else "") + f" in {seconds * 1000:.0f} ms"
    text = f"{shown} {problem}" if problem else f"{shown} answers {good}"
    return HealthAnswer(shown, problem is None, text, code, said, round(seconds, 4))


def redact(url: str) -> str:
    """Return a URL without user, password, query and fragment: those may hold secrets."""
    try:
        return str(httpx.URL(url).copy_with(username=None, password=None, query=None, fragment=None))
    except httpx.InvalidURL:
        return "(not a valid URL)"


async def _read(answer: httpx.Response) -> bytes | None:
    """Read the body, None when it is longer than the limit."""
    body = bytearray()
    async for chunk in answer.aiter_bytes():
        body += chunk
        if len(body) > MAX_BODY:
            return None
    return bytes(body)


def _judge(code: int, body: bytes | None, word: str) -> tuple[str | None, str | None]:
    """Return what the answer says and, when that isn't healthy, the reason."""
    said = _status(body)
    if not 200 <= code < 300:
        return said, f"answers {code}" + (f", {said}" if said else "")
    if not word:
        return said, None
    if body is None:
        return said, f"answers {code} with more than {MAX_BODY} bytes"
    if said is None:
        return said, f"answers {code} without a JSON `status`; expected {word}"
    if said.casefold() != word.casefold():
        return said, f"answers {code} but says {said}; expected {word}"
    return said, None


def _status(body: bytes | None) -> str | None:
    try:
        content = json.loads(body or b"")
    except (ValueError, RecursionError):
        return None
    said = content.get("status") if isinstance(content, dict) else None
    return said[:100] if isinstance(said, str) else None
