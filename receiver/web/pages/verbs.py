"""What people do on the pages: the verbs of `receiver.operations`, as forms that end in a redirect."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Final, TypeAlias

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from receiver.core.phrases import moment
from receiver.core.severity import Severity
from receiver.people import Role
from receiver.verbs import Answer
from receiver.web.pages import views
from receiver.web.pages.forms import read_form
from receiver.web.pages.frame import Frame
from receiver.web.problems import Problem
from receiver.web.signin.visitors import Visitor

Do: TypeAlias = Callable[[str, Visitor, Mapping[str, str]], Awaitable[Answer]]

LONGEST_REASON: Final = 2000
SEVERITIES: Final = tuple(one.value for one in Severity)


class Verbs:
    """The forms of an incident's page."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._operations = frame.parts.operations
        self._store = frame.parts.store
        self._timeout = frame.parts.settings.body_timeout

    def routes(self) -> list[Route]:
        """Return a route for each verb with the role that it needs."""
        return [
            self._route("vote", Role.APPROVER, self._vote),
            self._route("ack", Role.RESPONDER, self._acknowledge),
            self._route("takeover", Role.RESPONDER, self._take_over),
            self._route("pause", Role.RESPONDER, self._pause),
            self._route("resume", Role.RESPONDER, self._resume),
            self._route("severity", Role.RESPONDER, self._severity),
            self._route("close", Role.RESPONDER, self._close),
            self._route("note", Role.RESPONDER, self._note),
        ]

    def _route(self, verb: str, role: Role, do: Do) -> Route:
        async def post(request: Request, visitor: Visitor) -> Response:
            fields = await read_form(request, visitor, self._timeout)
            if len(fields.get("reason", "")) > LONGEST_REASON:
                raise Problem(422, f"A reason has at most {LONGEST_REASON} characters.")
            wanted = request.path_params["id"]
            answer = await do(wanted, visitor, fields)
            if answer.status == "not_found":
                raise Problem(404, f"There is no incident {wanted[:100]}.")
            text = answer.text if answer.ok else await self._refused(wanted, fields, answer)
            text = text[:1].upper() + text[1:]
            return self._frame.back(visitor, f"/incidents/{wanted}", text, good=answer.ok)

        async def moved(request: Request, visitor: Visitor) -> Response:
            # Who signs in again after a press, or loads its address, comes back to the page.
            return self._frame.back(
                visitor, f"/incidents/{request.path_params['id']}", "Nothing was done; press again.", good=False
            )

        return self._frame.route(f"/incidents/{{id}}/{verb}", role, POST=post, GET=moved)

    async def _refused(self, wanted: str, fields: Mapping[str, str], answer: Answer) -> str:
        """Say why not; to a press that came too late, which decision stands."""
        if "approval" in fields:
            events = await self._frame.events(wanted)
            stands = views.too_late(events, fields["approval"])
            if stands is not None:
                return (
                    f"Too late: step {stands.step} was {stands.state} at {moment(stands.at)}"
                    f"{f' ({stands.text})' if stands.text else ''}. Your press changed nothing."
                )
        return f"Not done: {answer.text}."

    async def _vote(self, incident: str, visitor: Visitor, fields: Mapping[str, str]) -> Answer:
        word = fields.get("vote")
        if word not in {"approve", "deny"}:
            raise Problem(422, "The form says neither approve nor deny. Open the page again.")
        # Whoever presses means the plan that they were shown, and no other that is asked about by now.
        meant = fields.get("approval")
        if not meant:
            raise Problem(422, "The form doesn't say which request it answers. Open the page again.")
        reason = fields.get("reason", "")
        return await self._operations.vote(
            incident, by=visitor.principal, approve=word == "approve", reason=reason, approval=meant
        )

    async def _acknowledge(self, incident: str, visitor: Visitor, _fields: Mapping[str, str]) -> Answer:
        return await self._operations.acknowledge(incident, by=visitor.principal)

    async def _take_over(self, incident: str, visitor: Visitor, fields: Mapping[str, str]) -> Answer:
        reason = fields.get("reason", "")
        return await self._operations.take_over(incident, by=visitor.principal, reason=reason)

    async def _pause(self, incident: str, visitor: Visitor, fields: Mapping[str, str]) -> Answer:
        return await self._operations.pause(incident, by=visitor.principal, reason=fields.get("reason", ""))

    async def _resume(self, incident: str, visitor: Visitor, fields: Mapping[str, str]) -> Answer:
        return await self._operations.resume(incident, by=visitor.principal, reason=fields.get("reason", ""))

    async def _severity(self, incident: str, visitor: Visitor, fields: Mapping[str, str]) -> Answer:
        wanted = fields.get("severity")
        if wanted not in SEVERITIES:
            raise Problem(422, f"The form names no severity: it is one of {', '.join(SEVERITIES)}.")
        reason = fields.get("reason", "")
        return await self._operations.change_severity(
            incident, by=visitor.principal, severity=Severity(wanted), reason=reason
        )

    async def _close(self, incident: str, visitor: Visitor, fields: Mapping[str, str]) -> Answer:
        reason = fields.get("reason", "")
        return await self._operations.close_incident(incident, by=visitor.principal, reason=reason)

    async def _note(self, incident: str, visitor: Visitor, fields: Mapping[str, str]) -> Answer:
        text, phase = fields.get("text", ""), fields.get("phase", "")
        return await self._operations.note(incident, by=visitor.principal, text=text, phase=phase)
