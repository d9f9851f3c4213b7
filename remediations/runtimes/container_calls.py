"""Calls to one engine's API: on threads of their own, in time, and with every failure told for what it is."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import docker
import tenacity
from docker.constants import DEFAULT_DOCKER_API_VERSION
from docker.tls import TLSConfig

from remediations.protocol import EngineUnavailable
from remediations.runtimes.container_errors import RAISED, Outdated, Passing, translated

T = TypeVar("T")

OLDEST_API = (1, 40)
"""Engine 19.03, the oldest API that the recipes were run on."""

THREADS = 8


class Calls:
    """docker-py is synchronous: each call takes a thread until it is answered or out of time, also when cancelled.

    Args:
        name: as playbooks.yaml calls the engine.
        url: `unix:///...` or `tcp://...`.
        ca, cert, key: files for TLS; without `ca` the system's authorities count.
        timeout: seconds that the engine has for an answer; a stop has its own time on top.
    """

    def __init__(self, name: str, url: str, files: tuple[str | None, str | None, str | None], timeout: float) -> None:
        self.engine = f"{name} ({url})"
        self._url = url
        self._files = files
        self._timeout = max(1, round(timeout))
        self._pool = ThreadPoolExecutor(THREADS, f"engine-{name}")
        self._made: docker.APIClient | None = None
        self._making = threading.Lock()

    def client(self) -> docker.APIClient:
        """Return the client, made at the first use; only on the engine's threads.

        Raises EngineUnavailable: it can't be reached, is no engine, or speaks no API that we speak.
        """
        # Whoever waits for another thread's first call waits for the same engine: not longer than for an answer.
        if not self._making.acquire(timeout=self._timeout):
            raise EngineUnavailable(f"engine {self.engine} does not answer: it hangs")
        try:
            if self._made is None:
                try:
                    self._made = self._open(self._spoken())
                except RAISED as error:
                    raise translated(error, self.engine, mutating=False) from error
            return self._made
        finally:
            self._making.release()

    async def read(self, call: Callable[[docker.APIClient], T]) -> T:
        """Read, again when the engine was away for a moment: reading is harmless."""
        async for attempt in tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception_type(Passing),
            stop=tenacity.stop_after_attempt(2),
            wait=tenacity.wait_fixed(0.2),
            reraise=True,
        ):
            with attempt:
                return await self._call(call, mutating=False)
        raise AssertionError("tenacity raises or returns")

    async def do(self, call: Callable[[docker.APIClient], T]) -> T:
        """Change something; never repeated by itself."""
        return await self._call(call, mutating=True)

    def close(self) -> None:
        """Close connections; calls under way end by their own time limit."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        if self._made is not None:
            self._made.close()

    async def _call(self, call: Callable[[docker.APIClient], T], *, mutating: bool) -> T:
        def run() -> T:
            client = self.client()
            try:
                return call(client)
            except RAISED as error:
                told = translated(error, self.engine, mutating=mutating)
                if isinstance(told, Outdated):
                    # Another engine answers there by now: the next call asks again what it speaks.
                    self._made = None
                raise told from error

        return await asyncio.get_running_loop().run_in_executor(self._pool, run)

    def _open(self, version: str) -> docker.APIClient:
        ca, cert, key = self._files
        pair = (cert, key) if cert and key else None
        tls = TLSConfig(client_cert=pair, ca_cert=ca, verify=True) if ca or pair else False
        opened = docker.APIClient(self._url, version=version, timeout=self._timeout, tls=tls, num_pools=THREADS)
        # REQUESTS_CA_BUNDLE in the environment would replace the engine's own CA, and HTTP_PROXY the way to it.
        opened.trust_env = False
        return opened

    def _spoken(self) -> str:
        """Ask which API version the engine speaks; the client's own "auto" asks before it can be told our CA."""
        asking = self._open(_shown(OLDEST_API))
        try:
            newest = str(asking.version(api_version=False)["ApiVersion"])
            spoken = _version(newest)
        except (KeyError, TypeError, ValueError) as error:
            raise EngineUnavailable(f"what answers as engine {self.engine} is no container engine") from error
        finally:
            asking.close()
        if spoken < OLDEST_API:
            oldest = _shown(OLDEST_API)
            raise EngineUnavailable(f"engine {self.engine} is too old: API {newest}, at least {oldest} is needed")
        return _shown(min(spoken, _version(DEFAULT_DOCKER_API_VERSION)))


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("."))


def _shown(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
