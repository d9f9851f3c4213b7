"""From what docker-py and requests raise to what a person is told, and whether a mutation may have happened."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager

import requests
from docker.errors import APIError, DockerException, NotFound, TLSParameterError
from urllib3.exceptions import NameResolutionError, NewConnectionError

from remediations.protocol import ActionRefused, EngineUnavailable, OutcomeUnknown, RemediationError

RAISED = (DockerException, OSError)
"""What a call of docker-py may raise; the errors of requests are OSErrors, and a certificate's file may be missing."""

NOT_SENT: dict[type[BaseException], str] = {
    FileNotFoundError: "there is no such socket; is the engine running?",
    ConnectionRefusedError: "nobody listens there; is the engine running?",
    PermissionError: "no permission; add this user to the socket's group, or use an engine proxy",
    NameResolutionError: "its host name can't be resolved",
    ssl.SSLCertVerificationError: "its certificate is not to be trusted; check `ca` of the engine's entry",
    NewConnectionError: "it can't be reached",
}
"""Causes that show that the request never reached the engine, and what to tell of them; the first found counts."""

GATEWAY = frozenset({502, 503, 504})
"""What a proxy answers that doesn't know what became of a request either."""


class Gone(ActionRefused):
    """A container or image that was asked for does not exist."""


class Conflict(ActionRefused):
    """The engine says that the name is taken, or that the state does not allow it."""


class Passing(EngineUnavailable):
    """A failure that may pass within a second: the engine starts anew, or closed an idle connection."""


class Outdated(EngineUnavailable):
    """The engine speaks no longer the API version that was agreed on."""


@contextmanager
def begun(what: str) -> Iterator[None]:
    """Once something was changed, an engine that can't be reached any more leaves the outcome unknown."""
    try:
        yield
    except EngineUnavailable as error:
        raise OutcomeUnknown(f"{what}: {error}") from error


def translated(error: Exception, engine: str, *, mutating: bool) -> RemediationError:
    """Return the error that says what happened.

    Args:
        error: what docker-py or requests raised.
        engine: the engine's name and URL, for people.
        mutating: whether the call would have changed something; a lost answer is then an unknown outcome.
    """
    if isinstance(error, NotFound):
        return Gone(_said(error))
    if isinstance(error, APIError):
        return _answered(error, engine, mutating=mutating)
    causes = tuple(_causes(error))
    for kind, hint in NOT_SENT.items():
        if any(isinstance(cause, kind) for cause in causes):
            passes = kind is ConnectionRefusedError
            return (Passing if passes else EngineUnavailable)(f"engine {engine}: {hint}")
    if mutating and _may_have_arrived(error):
        return OutcomeUnknown(f"engine {engine}: the request was sent, but its answer was lost ({_name(error)})")
    return _unanswered(error, engine)


def _may_have_arrived(error: Exception) -> bool:
    before = (requests.exceptions.ConnectTimeout, TLSParameterError)
    return isinstance(error, requests.exceptions.RequestException) and not isinstance(error, before)


def _unanswered(error: Exception, engine: str) -> EngineUnavailable:
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return EngineUnavailable(f"engine {engine} can't be reached in time")
    if isinstance(error, requests.exceptions.ReadTimeout):
        return EngineUnavailable(f"engine {engine} accepts connections but does not answer: it hangs")
    if isinstance(error, requests.exceptions.SSLError):
        return EngineUnavailable(f"engine {engine}: TLS fails: {error}; check ca, cert and key of the engine's entry")
    kind = Passing if isinstance(error, requests.exceptions.ConnectionError) else EngineUnavailable
    return kind(f"engine {engine} can't be used: {error}")


def _answered(error: APIError, engine: str, *, mutating: bool) -> RemediationError:
    said, code = _said(error), error.status_code or 0
    if code == 409:
        return Conflict(said)
    if "version" in said and "too" in said:
        return Outdated(f"engine {engine} and this client speak no common API version: {said}")
    if mutating and code in GATEWAY:
        return OutcomeUnknown(f"engine {engine}: what stands before it answers {code}; the request may have arrived")
    if mutating or code == 403:
        return ActionRefused(f"engine {engine} refused ({code}): {said}")
    return (Passing if code >= 500 else EngineUnavailable)(f"engine {engine} answers with an error: {said}")


def _said(error: APIError) -> str:
    return " ".join(str(error.explanation or error).split())[:500]


def _name(error: Exception) -> str:
    return "it took too long" if isinstance(error, requests.exceptions.ReadTimeout) else type(error).__name__


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error, what caused it, and what they carry as arguments: urllib3 wraps causes in both ways."""
    todo: list[BaseException] = [error]
    for _ in range(20):
        if not todo:
            return
        one = todo.pop()
        yield one
        todo.extend(inner for inner in (one.__cause__, one.__context__) if inner is not None)
        todo.extend(inner for inner in one.args if isinstance(inner, BaseException))
        reason = getattr(one, "reason", None)
        todo.extend([reason] if isinstance(reason, BaseException) else [])
