"""Questions to an HTTP API that change nothing: bounded in time and size, tried again when the failure may pass."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

import httpx
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt, wait_exponential

from receiver.ports import Clock

ATTEMPTS = 3
"""Tries of a question: a lost connection, or a restart behind a proxy, passes within a second."""

LONG_FIELDS = 2000
"""Characters from which fields are sent as a form: common proxies cut URLs at 8 kB, percent-encoding trebles."""

Fields = Mapping[str, str | list[str]]


class Unanswered(Exception):
    """The server gave no answer that can be used; the text is for people."""


class _Transient(Exception):
    """A failure that may pass within a second; its text is for people."""


@dataclass(frozen=True, slots=True)
class Asker:
    """Asks one server.

    Args:
        who: what people call it.
        url: of the server, with the path prefix if it has one.
        client: for the requests, with its authentication and TLS.
        clock: for the waits between tries.
        timeout: seconds that an answer may take, body included.
        max_body: bytes of an answer that are read.
        long_as_form: whether the API takes long questions as a posted form too (Prometheus does; to Alertmanager a
            POST is another thing).
    """

    who: str
    url: str
    client: httpx.AsyncClient
    clock: Clock
    timeout: float
    max_body: int
    long_as_form: bool = False

    @property
    def name(self) -> str:
        """Return what errors call it: who and where, without credentials."""
        shown = httpx.URL(self.url).copy_with(username=None, password=None, query=None, fragment=None)
        return f"{self.who} at {str(shown).rstrip('/')}"

    async def ask(self, path: str, fields: Fields) -> tuple[int, bytes]:
        """Return the status and the body of the answer; gateway errors without a JSON body are tried again.

        Raises:
            Unanswered: it can't be reached, gave no answer in time, or one that is too large.
        """
        retrying = AsyncRetrying(
            stop=stop_after_attempt(ATTEMPTS),
            wait=wait_exponential(multiplier=0.1, max=1.0),
            retry=retry_if_exception_type(_Transient),
            sleep=self.clock.sleep,
            reraise=True,
        )
        try:
            return await retrying(self._once, path, fields)
        except _Transient as error:
            raise Unanswered(f"{self.name} {error} ({ATTEMPTS} tries)") from error

    async def _once(self, path: str, fields: Fields) -> tuple[int, bytes]:
        url = f"{self.url.rstrip('/')}{path}"
        if self.long_as_form and sum(map(len, fields.values())) > LONG_FIELDS:
            request = self.client.build_request("POST", url, data=dict(fields), timeout=self.timeout)
        else:
            request = self.client.build_request("GET", url, params=dict(fields), timeout=self.timeout)
        try:
            async with asyncio.timeout(self.timeout):
                answer = await self.client.send(request, stream=True, follow_redirects=False)
                try:
                    body = await self._read(answer)
                finally:
                    await answer.aclose()
        except (TimeoutError, httpx.TimeoutException) as error:
            raise Unanswered(f"{self.name} gave no answer within {self.timeout:g} s") from error
        except httpx.TransportError as error:
            raise _Transient(f"can't be reached: {str(error) or type(error).__name__}") from error
        if answer.status_code in {502, 503, 504} and not body.lstrip().startswith(b"{"):
            raise _Transient(f"answers {answer.status_code}")
        return answer.status_code, body

    async def _read(self, answer: httpx.Response) -> bytes:
        body = bytearray()
        async for chunk in answer.aiter_bytes():
            body += chunk
            if len(body) > self.max_body:
                raise Unanswered(f"{self.name} gave more than {self.max_body // 1048576} MB")
        return bytes(body)
