"""Reading a request's body within limits of size, time and, for large ones, memory over all requests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from receiver.settings_values import size_text
from receiver.web.problems import CLOSE, Headers, Message, Problem, Receive


class Disconnected(Exception):
    """The client went away before its request was whole; there is nobody to answer."""


def declared_length(value: bytes | None, limit: int) -> int | None:
    """Return the Content-Length, None when there is none (a chunked body).

    Raises:
        Problem: it is no number (400), or over the limit (413).
    """
    if value is None:
        return None
    # The server has parsed it already; it is asked again so that this doesn't rest on one implementation.
    if not value.isdigit() or len(value) > 18:
        raise Problem(400, "Content-Length is not a number of bytes", headers=[CLOSE])
    length = int(value)
    if length > limit:
        # The server reads and drops what follows, so that the answer reaches a client that still sends; to a point.
        raise too_large(limit, headers=[CLOSE] if length > 2 * limit else [])
    return length


def too_large(limit: int, headers: Headers = ()) -> Problem:
    """Return the answer to a body over the limit."""
    detail = f"The body is larger than {size_text(limit)}. Raise REMEDIATOR_MAX_BODY, or group by fewer alerts."
    return Problem(413, detail, headers=headers)


WHOLE = "remediator.whole"
"""In a request's scope: all of its body has come, so that reading it needs no clock, which costs more than reading."""


async def read_body(receive: Receive, limit: int, timeout: float, *, whole: bool = False) -> bytes:
    """Read a body to its end.

    Args:
        limit: bytes.
        timeout: seconds for all of it.
        whole: all of it is there; see `WHOLE`.

    Raises:
        Problem: it is too large (413) or too slow (408).
        Disconnected: the client went away.
    """
    if whole:
        return await _read(receive, limit)
    try:
        async with asyncio.timeout(timeout):
            return await _read(receive, limit)
    except TimeoutError:
        raise Problem(408, f"The body did not arrive within {timeout:g} seconds.", headers=[CLOSE]) from None


async def _read(receive: Receive, limit: int) -> bytes:
    message = await receive()
    if message["type"] == "http.request" and not message.get("more_body", False):
        body: bytes = message.get("body", b"")
        if len(body) > limit:
            raise too_large(limit)
        return body
    return await _read_rest(message, receive, limit)


async def _read_rest(first: Message, receive: Receive, limit: int) -> bytes:
    chunks = bytearray()
    size = 0
    current = first
    while True:
        if current["type"] == "http.disconnect":
            raise Disconnected
        chunk = current.get("body", b"")
        size += len(chunk)
        if size <= limit:
            chunks += chunk
        elif size > 2 * limit:
            raise too_large(limit, headers=[CLOSE])
        else:
            # Read on for a while and keep nothing: a client that still sends would lose the answer with the connection.
            chunks.clear()
        if not current.get("more_body", False):
            break
        current = await receive()
    if size > limit:
        raise too_large(limit)
    return bytes(chunks)


class LargeBodies:
    """Lets large bodies in one after the other, so that many at once can't fill the memory.

    Args:
        timeout: seconds that one waits for its turn.
    """

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._turn = asyncio.Lock()

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Hold the turn.

        Raises:
            Problem: it did not come in time (503); Alertmanager sends the webhook again.
        """
        try:
            async with asyncio.timeout(self._timeout):
                await self._turn.acquire()
        except TimeoutError:
            detail = "Too many large webhooks at once; this one will be taken when it is sent again."
            raise Problem(503, detail, headers=[(b"retry-after", b"5"), CLOSE]) from None
        try:
            yield
        finally:
            self._turn.release()
