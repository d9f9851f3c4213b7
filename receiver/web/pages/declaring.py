"""The form that begins an incident without an alert."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from receiver.core.declared import TITLE_LIMIT
from receiver.core.severity import Severity
from receiver.people import Role
from receiver.verbs import Answer
from receiver.web.pages.forms import read_form
from receiver.web.pages.frame import Frame
from receiver.web.problems import Problem
from receiver.web.signin.visitors import Visitor

PATH: Final = "/declare"

MEANINGS: Final = {
    "P1": "it doesn't work for anybody",
    "P2": "it doesn't work for many, or works badly for all",
    "P3": "some are affected, or there is a way around",
    "P4": "nobody is affected yet",
}
"""Of each severity, in the words of who reports it; the order is that of the form."""

BESIDE: Final = {"conflict": "title", "not_found": "service"}
"""The field that is wrong, by what the answer's status is."""


class Declaring:
    """Asks what is wrong and how bad it is, and declares it."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._operations = frame.parts.operations
        self._services = frame.parts.services
        self._timeout = frame.parts.settings.body_timeout

    def routes(self) -> list[Route]:
        """Return the route; it needs a responder."""
        return [self._frame.route(PATH, Role.RESPONDER, GET=self.ask, POST=self.declare)]

    async def ask(self, request: Request, visitor: Visitor) -> Response:
        """Show the form; each one shown declares one incident, however often it is sent."""
        return await self._form(request, visitor, {"once": secrets.token_urlsafe(12)})

    async def declare(self, request: Request, visitor: Visitor) -> Response:
        """Declare it and lead to its page; what is wrong is told beside its field, with all that was written."""
        given = await read_form(request, visitor, self._timeout)
        if not 8 <= len(given.get("once", "")) <= 64:
            raise Problem(422, "The form is not one of this page. Open it again.")
        if given.get("severity") not in MEANINGS:
            return await self._form(request, visitor, given, {"severity": "Choose how bad it is."})
        answer = await self._declare(visitor, given)
        if answer.ok:
            text = (
                f"Declared {answer.incident} as {given['severity']}. Nothing is done by itself; it is yours to close."
            )
            return self._frame.back(visitor, f"/incidents/{answer.incident}", text, good=True)
        if answer.status not in BESIDE:
            raise Problem(403, answer.text)
        return await self._form(request, visitor, given, {BESIDE[answer.status]: f"Not declared: {answer.text}."})

    async def _declare(self, visitor: Visitor, given: Mapping[str, str]) -> Answer:
        title, service = given.get("title", ""), given.get("service", "").strip()
        # A form that was changed and sent again is another wish; the very same one is not.
        wish = ("web", visitor.principal.person, given["once"], given["severity"], service, title)
        return await self._operations.declare(
            by=visitor.principal,
            severity=Severity(given["severity"]),
            title=title,
            service=service,
            once="\0".join(wish),
        )

    async def _form(
        self, request: Request, visitor: Visitor, given: Mapping[str, str], wrong: Mapping[str, str] | None = None
    ) -> Response:
        written = {"title": "", "severity": "", "service": "", **given}
        values: dict[str, Any] = {"given": written, "wrong": wrong or {}, "services": self._services()}
        return await self._frame.page(
            request,
            visitor,
            "declare.html",
            422 if wrong else 200,
            here="incidents",
            meanings=MEANINGS,
            longest=TITLE_LIMIT,
            **values,
        )
