"""What the channels ask of the service for people: the verbs, and what is answered. Protocols only.

The command line and programs reach them over the API, people by the pages and Slack: no channel has verbs of its own.
Done by `receiver.operations`.
"""

from __future__ import annotations

from typing import Any, Protocol

from receiver.core.principal import Principal
from receiver.core.severity import Severity


class Answer(Protocol):
    """What a person is told; `status` is `done`, `conflict`, `not_found` or `forbidden`."""

    @property
    def ok(self) -> bool:
        """Whether it was done."""
        ...

    @property
    def status(self) -> str:
        """One of the four words."""
        ...

    @property
    def text(self) -> str:
        """For the person."""
        ...

    @property
    def incident(self) -> str:
        """The id of an incident that began by it; empty without."""
        ...


class Operations(Protocol):
    """What people can do; one set for every channel. Whether somebody may is asked within each."""

    async def vote(
        self, incident_id: str, *, by: Principal, approve: bool, reason: str, approval: str | None = None
    ) -> Answer:
        """Approve or deny what an incident asks for; `approval` names the request that was shown."""
        ...

    async def acknowledge(self, incident_id: str, *, by: Principal) -> Answer:
        """Say that somebody saw it."""
        ...

    async def take_over(self, incident_id: str, *, by: Principal, reason: str = "") -> Answer:
        """Stop automation for an incident."""
        ...

    async def pause(self, incident_id: str, *, by: Principal, reason: str = "") -> Answer:
        """Stop automation for an incident without taking it."""
        ...

    async def resume(self, incident_id: str, *, by: Principal, reason: str = "") -> Answer:
        """Let automation of a paused incident go on."""
        ...

    async def declare(
        self, *, by: Principal, severity: Severity, title: str, service: str = "", once: str = ""
    ) -> Answer:
        """Begin an incident without an alert; with the same `once` again, it is that one."""
        ...

    async def change_severity(self, incident_id: str, *, by: Principal, severity: Severity, reason: str) -> Answer:
        """Say how bad an incident is."""
        ...

    async def close_incident(self, incident_id: str, *, by: Principal, reason: str) -> Answer:
        """End an incident by hand."""
        ...

    async def note(self, incident_id: str, *, by: Principal, text: str, phase: str = "") -> Answer:
        """Add a remark to the timeline."""
        ...

    async def kill(self, *, on: bool, by: Principal, playbook: str | None = None) -> Answer:
        """Turn the kill switch on or off."""
        ...

    def kill_state(self) -> dict[str, Any]:
        """Return the kill switch as JSON."""
        ...
