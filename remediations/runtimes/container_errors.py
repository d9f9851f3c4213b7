"""From what docker-py and requests raise to what a person is told, and whether a mutation may have happened."""

from __future__ import annotations

from collections.abc import Iterator

import requests
from docker.errors import APIError, DockerException, NotFound, TLSParameterError

from remediations.protocol import ActionRefused, EngineUnavailable, OutcomeUnknown, RemediationError

NOT_SENT = (FileNotFoundError, ConnectionRefusedError, PermissionError)
"""Causes that show that the request never reached the engine."""

HINTS = {
    FileNotFoundError: "there is no such socket; is the engine running?",
    ConnectionRefusedError: "nobody listens there; is the engine running?",
    PermissionError: "no permission; add this user to the socket's group, or use an engine proxy",
}


class Gone(RemediationError):
    """A container or image that was asked for does not exist."""


class Conflict(RemediationError):
    """The engine says that the name is taken, or that the state does not allow it."""


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
    for cause in _causes(error):
        for kind, hint in HINTS.items():
            if isinstance(cause, kind):
                return EngineUnavailable(f"engine {engine}: {hint}")
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return EngineUnavailable(f"engine {engine} can't be reached in time")
    if mutating and isinstance(error, requests.exceptions.RequestException):
        return OutcomeUnknown(f"engine {engine}: the request was sent, but its answer was lost ({_name(error)})")
    if isinstance(error, requests.exceptions.ReadTimeout):
        return EngineUnavailable(f"engine {engine} accepts connections but does not answer: it hangs")
    if isinstance(error, requests.exceptions.SSLError | TLSParameterError):
        return EngineUnavailable(f"engine {engine}: TLS fails: {error}; check ca, cert and key of the engine's entry")
    return EngineUnavailable(f"engine {engine} can't be used: {error}")


def _answered(error: APIError, engine: str, *, mutating: bool) -> RemediationError:
    said = _said(error)
    if error.status_code == 409:
        return Conflict(said)
    if "version" in said and "too" in said:
        return EngineUnavailable(f"engine {engine} and this client speak no common API version: {said}")
    if mutating:
        return ActionRefused(f"engine {engine} refused: {said}")
    return EngineUnavailable(f"engine {engine} answers with an error: {said}")


def _said(error: APIError) -> str:
    return str(error.explanation or error)


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


RAISED = (DockerException, requests.exceptions.RequestException)
"""What a call of docker-py may raise."""
