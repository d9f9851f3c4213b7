"""The running service's API, as the command line asks it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import httpx

from receiver.errors import ServiceRefused, ServiceUnreachable, SettingsError
from receiver.settings_values import MAX_SECRET_BYTES, address, hide_user, url

DEFAULT = "http://127.0.0.1:9797"
TIMEOUT = httpx.Timeout(30.0, connect=5.0)
STREAM_TIMEOUT = httpx.Timeout(45.0, connect=5.0)
"""A stream says something every 15 seconds."""

MOST_SENT = 4 * 1024 * 1024
"""Bytes of one piece of a stream."""

AGENT = "remediator-cli"
TOLD = 100
"""Mistakes of an answer that are told."""


def service_url(environment: Mapping[str, str]) -> str:
    """Return where the service is: REMEDIATOR_URL, else where REMEDIATOR_LISTEN says, else the default.

    Raises:
        SettingsError: the value is no URL.
    """
    name = "REMEDIATOR_URL"
    try:
        if given := environment.get(name):
            return url(given)
        name = "REMEDIATOR_LISTEN"
        if listen := environment.get(name):
            found = address(listen)
            everywhere = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104 - compared with, not bound
            host = everywhere.get(found.host)
            return f"http://{host}:{found.port}" if host else f"http://{found}"
    except ValueError as error:
        raise SettingsError([f"{name}: {error}"]) from None
    return DEFAULT


def token(environment: Mapping[str, str]) -> str | None:
    """Return the person's token, None when there is none.

    Raises:
        SettingsError: it is set twice, or its file can't be read.
    """
    given = environment.get("REMEDIATOR_TOKEN") or None
    file = environment.get("REMEDIATOR_TOKEN_FILE")
    if not file:
        return given
    if given is not None:
        raise SettingsError(["REMEDIATOR_TOKEN and REMEDIATOR_TOKEN_FILE are both set; keep one"])
    try:
        with Path(file).open("rb") as opened:
            found = opened.read(MAX_SECRET_BYTES).decode("utf-8").strip()
    except OSError as error:
        raise SettingsError([f"REMEDIATOR_TOKEN_FILE: {file} cannot be read: {error.strerror or error}"]) from None
    except UnicodeDecodeError:
        raise SettingsError([f"REMEDIATOR_TOKEN_FILE: {file} is not UTF-8 text"]) from None
    if not found:
        raise SettingsError([f"REMEDIATOR_TOKEN_FILE: {file} is empty"])
    return found


class Client:
    """Asks the service; every answer that isn't a success is raised in words."""

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        found = os.environ if environment is None else environment
        self.base = service_url(found)
        headers = {"user-agent": AGENT}
        if given := token(found):
            try:
                headers["authorization"] = f"Bearer {given.encode('ascii').decode()}"
            except UnicodeEncodeError:
                raise SettingsError(["REMEDIATOR_TOKEN has characters beyond ASCII; that is no token"]) from None
        # No proxy of the environment stands between a person and their own service.
        self._http = httpx.Client(base_url=self.base, headers=headers, timeout=TIMEOUT, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def get(self, path: str, **parameters: str | int | None) -> Any:
        """Read something."""
        wanted = {name: value for name, value in parameters.items() if value is not None}
        return self._ask("GET", path, params=wanted)

    def post(self, path: str, value: Any = None) -> Any:
        """Ask for something to be done."""
        return self._ask("POST", path, json={} if value is None else value)

    def post_bytes(self, path: str, content: bytes) -> Any:
        """Send a JSON document as it is."""
        return self._ask("POST", path, content=content, headers={"content-type": "application/json"})

    @contextmanager
    def stream(self, path: str, position: str | None) -> Iterator[Iterator[Sent]]:
        """Follow server-sent events, from a position on; the iterator ends, or raises, when the connection does.

        Raises:
            ServiceUnreachable: there is no connection, or it broke.
            ServiceRefused: the service said no.
        """
        headers = {} if position is None else {"last-event-id": position}
        try:
            with self._http.stream("GET", path, headers=headers, timeout=STREAM_TIMEOUT) as answer:
                if not answer.is_success:
                    answer.read()
                    raise ServiceRefused(_told(answer), answer.status_code)
                yield sent(answer.iter_bytes())
        except httpx.ConnectError as error:
            raise self._nobody(error) from error
        except httpx.HTTPError as error:
            told = str(error) or type(error).__name__
            raise ServiceUnreachable(f"the connection to {hide_user(self.base)} broke: {told}") from error

    def _nobody(self, error: httpx.ConnectError) -> ServiceUnreachable:
        return ServiceUnreachable(f"nobody answers at {hide_user(self.base)} ({error}); is the service running?")

    def _ask(self, method: str, path: str, **more: Any) -> Any:
        try:
            answer = self._http.request(method, path, **more)
        except httpx.ConnectError as error:
            raise self._nobody(error) from error
        except httpx.HTTPError as error:
            told = str(error) or type(error).__name__
            raise ServiceUnreachable(f"{hide_user(self.base)} did not answer: {told}; it may have been done") from error
        if answer.is_success:
            try:
                return answer.json()
            except json.JSONDecodeError:
                raise ServiceUnreachable(f"{hide_user(self.base)} is no remediator: its answer is not JSON") from None
        raise ServiceRefused(_told(answer), answer.status_code)


class Sent(NamedTuple):
    """One block of a stream; `data` is empty in one that only says where the stream is."""

    id: str | None
    event: str
    data: str


def sent(chunks: Iterable[bytes]) -> Iterator[Sent]:
    """Read server-sent events as this service writes them; comments are left out."""
    rest = b""
    for chunk in chunks:
        *blocks, rest = (rest + chunk).split(b"\n\n")
        if len(rest) > MOST_SENT:
            raise ServiceUnreachable("the answer is no stream of events: a piece of it has no end")
        for block in blocks:
            fields: dict[str, str] = {}
            for line in block.decode("utf-8", "replace").split("\n"):
                name, _, value = line.partition(": ")
                fields[name] = f"{fields[name]}\n{value}" if name in fields else value
            if "id" in fields or "data" in fields:
                yield Sent(fields.get("id"), fields.get("event", "message"), fields.get("data", ""))


def _told(answer: httpx.Response) -> str:
    """Return what a problem body says, or the status when there is none."""
    try:
        problem = answer.json()
    except ValueError:
        problem = None
    if not isinstance(problem, dict) or not isinstance(problem.get("detail"), str):
        return f"HTTP {answer.status_code} {answer.reason_phrase}"
    lines = [problem["detail"]]
    errors = [error for error in problem.get("errors", ()) if isinstance(error, dict) and error.get("message")]
    for error in errors[:TOLD]:
        where = f"{error['where']}: " if error.get("where") else ""
        # A single mistake stands in the detail already.
        if error["message"].rstrip(".") not in problem["detail"]:
            lines.append(f"  {where}{error['message']}")
    if len(errors) > TOLD:
        lines.append(f"  and {len(errors) - TOLD} more")
    if answer.status_code == httpx.codes.UNAUTHORIZED:
        lines.append("  Set REMEDIATOR_TOKEN or REMEDIATOR_TOKEN_FILE; `remediator token NAME` makes one.")
    return "\n".join(lines)
