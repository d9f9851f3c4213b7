"""What can go wrong for a person at the command line or in a settings file, as one tree.

RemediatorError
    SettingsError        a setting is missing, malformed or contradicts another; nothing was started
    ServiceUnreachable   the running service could not be asked
    ServiceRefused       it answered, and said no

The store's, the chat's and the metrics source's errors are part of their ports (receiver.ports); a policy file's are in
receiver.playbooks.problems.
"""

from __future__ import annotations

from collections.abc import Sequence


class RemediatorError(Exception):
    """Its text tells a person what happened, where, and what to do."""


class SettingsError(RemediatorError):
    """Settings that can't be used; `problems` holds every one of them, the text shows them one a line."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class ServiceUnreachable(RemediatorError):
    """The running service could not be asked; nothing is known about what it did."""


class ServiceRefused(RemediatorError):
    """The running service said no; `status` is the HTTP status of its answer."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status
