"""What all pages share: the visitor, the templates, the headers, and what becomes of a problem."""

from __future__ import annotations

import base64
import json
from collections.abc import Awaitable, Callable, Mapping
from functools import cached_property
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from urllib.parse import quote

import structlog
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from receiver.core.events import Recorded
from receiver.core.incident import Incident
from receiver.core.redaction import Secrets
from receiver.people import Role
from receiver.ports import IncidentFilter, StoreUnavailable
from receiver.web.body import Disconnected
from receiver.web.pages.forms import read_fields
from receiver.web.ports import Parts
from receiver.web.problems import Problem
from receiver.web.signin import cookies
from receiver.web.signin.visitors import Visitor, Visitors

DEEPEST: Final = 24
"""Levels of a dry run's answer; an event's own data has 8 at most."""

HEADERS: Final = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    # Not `no-referrer`: a form would then be sent with `Origin: null`.
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}
"""No inline script or style, nothing from elsewhere, in nobody's frame. The site adds nosniff and no-store."""

ASKING: Final = 200
"""Open incidents that are looked through for requests for approval."""

EVENTS: Final = 20_000
"""Events of one incident that a page is made of; some hundred are usual."""

WRITTEN: Final = {"title": "What is wrong", "reason": "Your reason", "text": "Your note"}
"""The fields that people write sentences in, with what they are called."""

TYPED: Final = 4000
"""Characters of each that are given back."""

SAID: Final = 600
"""Characters of what a person is told after a redirect."""

if TYPE_CHECKING:
    import jinja2

Handler: TypeAlias = Callable[[Request, Visitor], Awaitable[Response]]

_log = structlog.stdlib.get_logger(__name__)


class Frame:
    """Makes routes of handlers, and pages of templates."""

    def __init__(self, parts: Parts, visitors: Visitors) -> None:
        self.parts = parts
        self.visitors = visitors
        self.secrets = Secrets(parts.settings.secrets, DEEPEST)

    @cached_property
    def _templates(self) -> jinja2.Environment:
        # Imported with the first page: a service that nobody looks at doesn't hold it in memory.
        from receiver.web.pages.drawing import environment  # noqa: PLC0415

        return environment(self.secrets)

    def route(self, path: str, role: Role | None, **handlers: Handler) -> Route:
        """Return a route.

        Args:
            role: that a visitor needs; without it they are asked to sign in, or told that they may not. None: no role.
            handlers: by method.
        """

        async def answer(request: Request) -> Response:
            visitor: Visitor | None = None
            try:
                visitor = await self.visitors.of(request)
                if role is not None and not visitor.may(role):
                    return await self._keep_out(request, visitor, role)
                response = await handlers["GET" if request.method == "HEAD" else request.method](request, visitor)
            except Problem as problem:
                response = self.problem(request, visitor, problem)
            except StoreUnavailable as error:
                away = Problem(503, f"The store does not answer: {error}", headers=[(b"retry-after", b"5")])
                response = self.problem(request, visitor, away)
            except Disconnected:
                return Response(status_code=400)
            return self.guarded(response, visitor)

        return Route(path, answer, methods=list(handlers))

    def guarded(self, response: Response, visitor: Visitor | None) -> Response:
        """Add what every answer has; a visitor without a session gets the cookie that their forms need."""
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        if visitor is not None and visitor.fresh:
            cookies.write(response, visitor.door, cookies.FORM, visitor.secret)
        return response

    async def _keep_out(self, request: Request, visitor: Visitor, role: Role) -> Response:
        """Ask to sign in whoever may gain by it; tell the others what they lack."""
        if visitor.person is None:
            where = f"/signin?next={quote(_page_of(request))}"
            if request.method == "POST" and (typed := await self._typed(request, visitor)):
                lost = {**self._bare(request, visitor), "typed": typed, "where": where}
                return self.guarded(self._draw("unsent.html", lost, 403), visitor)
            if "hx-request" in request.headers:
                return self.guarded(Response(status_code=204, headers={"hx-redirect": where}), visitor)
            return self.guarded(RedirectResponse(where, 303), visitor)
        detail = f"{visitor.name} may not do this: it needs the role {role} in people.yaml."
        return self.guarded(self.problem(request, visitor, Problem(403, detail)), visitor)

    async def _typed(self, request: Request, visitor: Visitor) -> list[tuple[str, str]]:
        """Return what somebody wrote whose session ended meanwhile: it must not be lost without a word."""
        fields = await read_fields(request, visitor, self.parts.settings.body_timeout)
        return [(words, fields[name][:TYPED]) for name, words in WRITTEN.items() if fields.get(name, "").strip()]

    def problem(self, request: Request, visitor: Visitor | None, problem: Problem) -> Response:
        """Return a problem as a page."""
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in problem.headers}
        values = {
            "title": HTTPStatus(problem.status).phrase,
            "detail": problem.detail,
            "back": "/incidents" if request.method == "GET" else _page_of(request),
        }
        return self._draw("error.html", {**self._bare(request, visitor), **values}, problem.status, headers)

    async def page(
        self, request: Request, visitor: Visitor, template: str, status: int = 200, **values: Any
    ) -> Response:
        """Return a page with what surrounds every page."""
        asking = await self.asking() if visitor.may(Role.VIEWER) else []
        said = _said(cookies.read(request, visitor.door, cookies.SAID))
        around = {
            **self._bare(request, visitor),
            "waiting": len(asking),
            "state": self._state(),
            "said": said,
            "now": self.parts.clock.now(),
        }
        response = self._draw(template, {**around, **values}, status)
        # A part that a script asks for must not take away what the person has not read yet.
        if said is not None and "x-part" not in request.headers:
            cookies.drop(response, visitor.door, cookies.SAID)
        return response

    def back(self, visitor: Visitor, where: str, text: str, *, good: bool) -> Response:
        """Return a redirect to a page that then tells what became of a form."""
        response = RedirectResponse(where, 303)
        said = {"tone": "good" if good else "bad", "text": self.secrets.text(text)[:SAID]}
        value = json.dumps(said, ensure_ascii=False)
        cookies.write(
            response, visitor.door, cookies.SAID, base64.urlsafe_b64encode(value.encode()).decode(), seconds=60
        )
        return response

    async def asking(self) -> list[Incident]:
        """Return the open incidents that wait for an approval: the worst severity first, then what expires first."""
        page = await self.parts.store.incidents(IncidentFilter(open_only=True, limit=ASKING))
        found = {one.id: one for one in page.items}
        if page.next is not None:
            waiting = IncidentFilter(open_only=True, state="awaiting_approval", limit=ASKING)
            found |= {one.id: one for one in (await self.parts.store.incidents(waiting)).items}
        asked = [
            (one.severity.value, one.approval.expires_at, one.id, one)
            for one in found.values()
            if one.approval is not None and one.approval.state == "pending"
        ]
        return [one for *_, one in sorted(asked, key=lambda each: each[:3])]

    async def events(self, incident: str) -> list[Recorded]:
        """Return an incident's log from its start."""
        found: list[Recorded] = []
        while len(found) < EVENTS:
            page = await self.parts.store.events(incident, found[-1].seq if found else 0)
            if not page:
                break
            found.extend(page)
        return found

    def _bare(self, request: Request, visitor: Visitor | None) -> dict[str, Any]:
        path = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return {"visitor": visitor, "path": path, "here": "", "waiting": 0, "state": None, "said": None}

    def _state(self) -> dict[str, Any]:
        kill = self.parts.operations.kill_state()
        killed = ""
        if kill["everything"] or kill["file"] is not None:
            by = f"By {kill['by']}." if kill["by"] else f"By the file {kill['file']}."
            killed = f"{by} To go on: remediator kill off"
        elif kill["playbooks"]:
            killed = f"It holds for {', '.join(kill['playbooks'])}."
        return {"killed": killed, "mode": self.parts.settings.mode}

    def _draw(
        self, template: str, values: Mapping[str, Any], status: int = 200, headers: Mapping[str, str] | None = None
    ) -> Response:
        text = self._templates.get_template(template).render(values)
        return Response(text, status, dict(headers or {}), "text/html")

    def part(self, template: str, macro: str, *arguments: Any) -> str:
        """Return what one macro of a template draws."""
        module: Any = self._templates.get_template(template).module
        return str(getattr(module, macro)(*arguments))


def _page_of(request: Request) -> str:
    """Return the page that a request is about: of a form the one that it stands on."""
    path = request.url.path
    if request.method in {"GET", "HEAD"}:
        return path
    if path == "/declare":
        return path
    return path.rpartition("/")[0] if path.startswith("/incidents/") else "/incidents"


def _said(value: str | None) -> dict[str, str] | None:
    """Read what the cookie says; one that isn't ours says nothing."""
    if value is None:
        return None
    try:
        said = json.loads(base64.urlsafe_b64decode(value))
        return {"tone": "good" if said["tone"] == "good" else "bad", "text": str(said["text"])[:SAID]}
    except (ValueError, KeyError, TypeError):
        return None
