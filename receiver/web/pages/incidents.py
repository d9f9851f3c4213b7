"""The list of incidents, one incident, its dry run, and the inbox of approvals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from receiver.core.incident import Incident
from receiver.core.severity import Severity
from receiver.core.telling import answers
from receiver.core.timeline import entries, header, state_words
from receiver.people import Role
from receiver.ports import IncidentFilter, Page
from receiver.web.pages import views
from receiver.web.pages.frame import Frame
from receiver.web.pages.phases import phases
from receiver.web.problems import Problem
from receiver.web.requests import Query
from receiver.web.signin.visitors import Visitor

LISTED: Final = 50
ALERTS: Final = 50
"""Alerts of an incident that are shown."""

ENTRIES: Final = 500
"""Entries of a timeline that are shown, the newest ones."""


class IncidentPages:
    """What people read."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._store = frame.parts.store

    def routes(self) -> list[Route]:
        """Return the routes; each needs a viewer."""
        route = self._frame.route
        return [
            route("/", Role.VIEWER, GET=self.home),
            route("/incidents", Role.VIEWER, GET=self.list),
            route("/approvals", Role.VIEWER, GET=self.inbox),
            route("/incidents/{id}", Role.VIEWER, GET=self.one),
            route("/incidents/{id}/dry-run", Role.VIEWER, GET=self.dry_run),
        ]

    async def home(self, _request: Request, _visitor: Visitor) -> Response:
        """Lead to the list."""
        return RedirectResponse("/incidents", 303)

    async def list(self, request: Request, visitor: Visitor) -> Response:
        """Show the incidents that are open, the worst first, or all, the newest first."""
        query = Query(request, ("all", "after"))
        wanted = IncidentFilter(open_only=not query.flag("all"), limit=LISTED, after=query.cursor("after"))
        page = await self._store.incidents(wanted)
        older = f"/incidents?{'' if wanted.open_only else 'all=true&'}after={page.next}" if page.next else ""
        worst = wanted.open_only and wanted.after is None
        items = await self._worst_first(page) if worst else page.items
        return await self._frame.page(
            request,
            visitor,
            "incidents.html",
            here="incidents",
            wanted=wanted,
            worst=worst,
            items=[(one, state_words(one), header(one).acting) for one in items],
            next=older,
        )

    async def _worst_first(self, newest: Page) -> Sequence[Incident]:
        """Return open incidents, the worst first and the newest first among equals; an old P1 is never on page two."""
        found = {one.id: one for one in newest.items}
        if newest.next is not None:
            for severity in (Severity.P1, Severity.P2):
                worse = IncidentFilter(open_only=True, severity=severity.value, limit=LISTED)
                found |= {one.id: one for one in (await self._store.incidents(worse)).items}
        return sorted(found.values(), key=lambda one: (one.severity.value, -one.opened_at))

    async def inbox(self, request: Request, visitor: Visitor) -> Response:
        """Show everything that waits for an approval, with its plan."""
        Query(request, ())
        questions = []
        for incident in await self._frame.asking():
            events = await self._frame.events(incident.id)
            playbook = await self._store.playbook(incident.version)
            if (asked := views.question(incident, events, playbook)) is not None:
                questions.append((incident, asked))
        return await self._frame.page(request, visitor, "approvals.html", here="approvals", questions=questions)

    async def one(self, request: Request, visitor: Visitor) -> Response:
        """Show an incident: what is wrong, what will be done, what one can do, and its story."""
        incident = await self.find(request)
        events = await self._frame.events(incident.id)
        playbook = await self._store.playbook(incident.version)
        alerts = await self._store.alerts(incident.id, ALERTS)
        asked = views.question(incident, events, playbook)
        story = entries(events)
        return await self._frame.page(
            request,
            visitor,
            "incident.html",
            incident=incident,
            words=state_words(incident),
            acting=header(incident).acting,
            summary=incident.annotations.get("summary") or incident.annotations.get("description") or "",
            asked=asked,
            commands=answers(incident.id, reason_required=bool(asked and asked.approval.reason_required)),
            severities=[one.value for one in Severity],
            may={role.value: visitor.may(role) for role in Role},
            cannot=_cannot(visitor),
            key=_key(incident),
            after=incident.seq,
            entries=list(reversed(story[-ENTRIES:])),
            cut=len(story) > ENTRIES,
            phases=phases(incident, events, playbook, self._frame.parts.clock.now()),
            rungs=views.ladder(incident, playbook),
            plan_shown=views.last_plan(events),
            figures=views.figures(incident),
            alerts=alerts,
        )

    async def dry_run(self, request: Request, visitor: Visitor) -> Response:
        """Show what would be done about an incident's first alert now; nothing is changed."""
        incident = await self.find(request)
        alerts = await self._store.alerts(incident.id, ALERTS)
        if not alerts:
            raise Problem(404, f"Of {incident.id} no alert is kept, so nothing can be planned.")
        answer: dict[str, Any] = await self._frame.parts.simulate([alerts[0].alert])
        return await self._frame.page(
            request, visitor, "dry_run.html", incident=incident, answer=self._frame.secrets.value(answer)
        )

    async def find(self, request: Request) -> Incident:
        """Return the incident of a request's path.

        Raises:
            Problem: there is none (404).
        """
        wanted = request.path_params["id"]
        incident = await self._store.incident(wanted)
        if incident is None:
            raise Problem(404, f"There is no incident {wanted[:100]}.")
        return incident


def _cannot(visitor: Visitor) -> str:
    """Say why a visitor can't vote."""
    if visitor.person is not None:
        return f"You can follow this; to decide, {visitor.name} needs the role approver in people.yaml."
    if visitor.alone:
        return "Nobody can approve yet: people.yaml names nobody. Make a token with: remediator token NAME"
    return "Sign in to decide."


def _key(incident: Incident) -> str:
    """Return what changes whenever the buttons mean something else."""
    approval = incident.approval
    asked = (approval.id, approval.state, approval.suspended, len(approval.votes)) if approval is not None else ()
    people = (incident.owner or "", incident.acknowledged_by or "", incident.paused_by or "")
    parts = (*asked, incident.open, incident.severity.value, *people)
    return "/".join(map(str, parts))
