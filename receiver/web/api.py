"""The API for people and programs: read incidents, and the verbs of `receiver.operations`, one to one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict
from typing import Any, Final, TypeAlias

import msgspec
import structlog
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from receiver.core.events import Recorded
from receiver.core.incident import Phase
from receiver.core.notices import for_users
from receiver.core.principal import Principal
from receiver.core.redaction import Secrets
from receiver.core.severity import Severity
from receiver.core.timeline import entries
from receiver.people import Role
from receiver.ports import IncidentFilter
from receiver.verbs import Answer
from receiver.web import models
from receiver.web.answers import SimulationModel
from receiver.web.auth import ApiAuth, Caller, head_of
from receiver.web.describing import EVENTS, DescribedRoute, Parameter, described, one_of, operation, page_of
from receiver.web.parsing import WEBHOOK_BODY, parse
from receiver.web.ports import Parts
from receiver.web.problems import Problem
from receiver.web.requests import Query, raw_body, read_model
from receiver.web.stream import POSITION, Streams

Handler: TypeAlias = Callable[[Request, Caller], Awaitable[Response]]

VIA: Final = "api"
CLIENTS: Final = {"remediator-cli": "cli"}
"""First word of a User-Agent to the channel that a timeline names."""

LISTED_ALERTS: Final = 100
SHOWN_ALERTS: Final = 1000
MAX_EVENTS: Final = 20_000
"""Events of one incident that a timeline is rendered from; some hundred are usual."""

DEEPEST: Final = 24
"""Levels of an answer; an event's own data has 8 at most."""

_log = structlog.stdlib.get_logger(__name__)

STATUS: Final = {"conflict": 409, "not_found": 404, "forbidden": 403}


class Api:
    """The routes below `/api/v1`, and `/-/reload`."""

    def __init__(self, parts: Parts, auth: ApiAuth) -> None:
        self._parts = parts
        self._auth = auth
        self._store = parts.store
        self._operations = parts.operations
        self._secrets = Secrets(parts.settings.secrets, DEEPEST)
        self._streams = Streams(parts.feed, parts.store, self._secrets)
        self._timeout = parts.settings.body_timeout

    def routes(self) -> list[DescribedRoute]:
        """Return every route with the role that it needs."""
        one = "/api/v1/incidents/{id}"
        return [
            self._route("/api/v1/incidents", Role.RESPONDER, GET=self.incidents, POST=self.declare),
            self._route(one, Role.VIEWER, GET=self.incident),
            self._route(f"{one}/timeline", Role.VIEWER, GET=self.timeline),
            self._route(f"{one}/stream", Role.VIEWER, GET=self.stream_of),
            self._route("/api/v1/stream", Role.VIEWER, GET=self.stream),
            self._route(f"{one}/notice", Role.VIEWER, GET=self.notice),
            self._route(f"{one}/approve", Role.APPROVER, POST=self.approve),
            self._route(f"{one}/deny", Role.APPROVER, POST=self.deny),
            self._route(f"{one}/ack", Role.RESPONDER, POST=self.acknowledge),
            self._route(f"{one}/takeover", Role.RESPONDER, POST=self.take_over),
            self._route(f"{one}/pause", Role.RESPONDER, POST=self.pause),
            self._route(f"{one}/resume", Role.RESPONDER, POST=self.resume),
            self._route(f"{one}/severity", Role.RESPONDER, POST=self.severity),
            self._route(f"{one}/close", Role.RESPONDER, POST=self.close),
            self._route(f"{one}/note", Role.RESPONDER, POST=self.note),
            self._route("/api/v1/unmatched", Role.VIEWER, GET=self.unmatched),
            self._route("/api/v1/quarantine", Role.VIEWER, GET=self.quarantine),
            self._route("/api/v1/outbox", Role.VIEWER, GET=self.outbox),
            self._route("/api/v1/outbox/{id}/resend", Role.RESPONDER, POST=self.resend),
            self._route("/api/v1/kill", Role.ADMIN, GET=self.kill_state, POST=self.kill),
            self._route("/api/v1/simulate", Role.VIEWER, POST=self.simulate),
            self._route("/-/reload", Role.ADMIN, POST=self.reload),
        ]

    def _route(self, path: str, role: Role, **handlers: Handler) -> DescribedRoute:
        async def answer(request: Request) -> Response:
            # Starlette lets HEAD through to what answers GET.
            handler = handlers["GET" if request.method == "HEAD" else request.method]
            needed = Role.VIEWER if request.method in {"GET", "HEAD"} else role
            return await handler(request, self._caller(request, needed))

        needs = {method: Role.VIEWER if method == "GET" else role for method in handlers}
        return DescribedRoute(
            path, answer, {method: operation(handler, needs[method]) for method, handler in handlers.items()}
        )

    def _caller(self, request: Request, role: Role) -> Caller:
        return self._auth.check(self._parts.people(), role, head_of(dict(request.scope["headers"])))

    # --- reading ----------------------------------------------------------------------------------------------------

    @described(
        tag="incidents",
        answers=models.PageModel[models.IncidentModel],
        parameters=(
            one_of("open", "Only open ones.", ("true", "false")),
            one_of("state", "Only those in this state.", [one.value for one in Phase]),
            one_of("severity", "Only those of this severity.", [one.value for one in Severity]),
            Parameter("target", "Only those of this service.", {"type": "string", "minLength": 1, "maxLength": 200}),
            *page_of(50, 200),
        ),
    )
    async def incidents(self, request: Request, _caller: Caller) -> Response:
        """Answer a page of incidents, newest first."""
        query = Query(request, ("open", "state", "severity", "target", "limit", "after"))
        page = await self._store.incidents(
            IncidentFilter(
                open_only=query.flag("open"),
                state=query.one_of("state", [one.value for one in Phase]),
                severity=query.one_of("severity", [one.value for one in Severity]),
                target=query.text("target"),
                limit=query.count("limit", 50, 200),
                after=query.cursor("after"),
            )
        )
        alerts = await asyncio.gather(*(self._store.alerts(one.id, LISTED_ALERTS) for one in page.items))
        items = [models.IncidentModel.of(one, rows) for one, rows in zip(page.items, alerts, strict=True)]
        return self._json(models.PageModel[models.IncidentModel](items=items, next=page.next))

    @described(tag="incidents", answers=models.IncidentModel)
    async def incident(self, request: Request, _caller: Caller) -> Response:
        """Answer one incident."""
        Query(request, ())
        wanted = request.path_params["id"]
        incident = await self._store.incident(wanted)
        if incident is None:
            raise _no_incident(wanted)
        return self._json(models.IncidentModel.of(incident, await self._store.alerts(wanted, SHOWN_ALERTS)))

    @described(tag="incidents", answers=models.PageModel[models.EntryModel], parameters=page_of(1000, 5000))
    async def timeline(self, request: Request, _caller: Caller) -> Response:
        """Answer an incident's timeline, oldest first."""
        query = Query(request, ("after", "limit"))
        after, limit = int(query.cursor("after") or 0), query.count("limit", 1000, 5000)
        wanted = request.path_params["id"]
        events = await self._events(wanted)
        if not events:
            raise _no_incident(wanted)
        found = [one for one in entries(events) if one.seq > after]
        items = [models.EntryModel.of(one) for one in found[:limit]]
        following = str(items[-1].seq) if len(found) > limit else None
        return self._json(models.PageModel[models.EntryModel](items=items, next=following))

    @described(tag="incidents", answers=models.NewsModel, media=EVENTS, parameters=POSITION)
    async def stream(self, request: Request, _caller: Caller) -> Response:
        """Answer the news of all incidents as server-sent events."""
        return await self._streams.everything(request, lambda: self._caller(request, Role.VIEWER))

    @described(tag="incidents", answers=models.NewsModel, media=EVENTS, parameters=POSITION)
    async def stream_of(self, request: Request, _caller: Caller) -> Response:
        """Answer the news of one incident as server-sent events, from its beginning."""
        return await self._streams.one(request, lambda: self._caller(request, Role.VIEWER))

    async def _events(self, incident: str) -> list[Recorded]:
        found: list[Recorded] = []
        while len(found) < MAX_EVENTS:
            page: Sequence[Recorded] = await self._store.events(incident, found[-1].seq if found else 0)
            if not page:
                break
            found.extend(page)
        return found

    @described(tag="alerts", answers=models.PageModel[models.AlertModel], parameters=page_of(100, 1000))
    async def unmatched(self, request: Request, _caller: Caller) -> Response:
        """Answer alerts that no playbook took, with the reason."""
        query = Query(request, ("limit", "after"))
        page = await self._store.unmatched(query.count("limit", 100, 1000), query.cursor("after"))
        items = [models.AlertModel.of(row) for row in page.items]
        return self._json(models.PageModel[models.AlertModel](items=items, next=page.next))

    @described(tag="alerts", answers=models.PageModel[models.QuarantinedModel], parameters=page_of(100, 1000))
    async def quarantine(self, request: Request, _caller: Caller) -> Response:
        """Answer alerts that could not be read."""
        query = Query(request, ("limit", "after"))
        page = await self._store.quarantined(query.count("limit", 100, 1000), query.cursor("after"))
        items = [models.QuarantinedModel.of(one, self._secrets.json_text(one.raw)) for one in page.items]
        return self._json(models.PageModel[models.QuarantinedModel](items=items, next=page.next))

    @described(
        tag="service",
        answers=models.PageModel[models.LetterModel],
        parameters=(
            one_of("state", "Given up, or not sent yet; the default is dead.", ("dead", "waiting")),
            *page_of(100, 1000),
        ),
    )
    async def outbox(self, request: Request, _caller: Caller) -> Response:
        """Answer the messages that were given up, or those that wait."""
        query = Query(request, ("state", "limit", "after"))
        dead = query.one_of("state", ["dead", "waiting"]) != "waiting"
        page = await self._store.letters(dead=dead, limit=query.count("limit", 100, 1000), after=query.cursor("after"))
        items = [models.LetterModel.of(one, dead=dead) for one in page.items]
        return self._json(models.PageModel[models.LetterModel](items=items, next=page.next))

    @described(tag="service", answers=models.KillModel)
    async def kill_state(self, request: Request, _caller: Caller) -> Response:
        """Answer the kill switch."""
        Query(request, ())
        return self._json(self._kill())

    @described(tag="service", answers=SimulationModel, body=WEBHOOK_BODY, body_optional=False)
    async def simulate(self, request: Request, _caller: Caller) -> Response:
        """Answer what would be done about a webhook's alerts, and why; nothing is stored or changed."""
        body = await raw_body(request, self._parts.settings.max_body, self._timeout)
        delivery = parse(body, self._parts.clock.now())
        answer = await self._parts.simulate(delivery.alerts)
        unread = [{"where": one.where, "message": one.message} for one in delivery.bad]
        return self._plain({**answer, "unread": unread})

    # --- changing ---------------------------------------------------------------------------------------------------

    @described(tag="verbs", answers=models.AnswerModel, body=models.VoteRequest, refuses=(409,))
    async def approve(self, request: Request, caller: Caller) -> Response:
        """Approve what an incident asks for."""
        return await self._vote(request, caller, approve=True)

    @described(tag="verbs", answers=models.AnswerModel, body=models.VoteRequest, refuses=(409,))
    async def deny(self, request: Request, caller: Caller) -> Response:
        """Deny what an incident asks for."""
        return await self._vote(request, caller, approve=False)

    async def _vote(self, request: Request, caller: Caller, *, approve: bool) -> Response:
        said = await read_model(request, models.VoteRequest, self._timeout)
        wanted, by = request.path_params["id"], _by(request, caller)
        answer = await self._operations.vote(wanted, by=by, approve=approve, reason=said.reason, approval=said.approval)
        return self._answered(answer)

    @described(tag="verbs", answers=models.AnswerModel, body=models.ReasonRequest, refuses=(409,))
    async def acknowledge(self, request: Request, caller: Caller) -> Response:
        """Say that somebody saw it."""
        await read_model(request, models.ReasonRequest, self._timeout)
        wanted = request.path_params["id"]
        return self._answered(await self._operations.acknowledge(wanted, by=_by(request, caller)))

    @described(tag="verbs", answers=models.AnswerModel, body=models.ReasonRequest, refuses=(409,))
    async def take_over(self, request: Request, caller: Caller) -> Response:
        """Stop automation for an incident."""
        reason = (await read_model(request, models.ReasonRequest, self._timeout)).reason
        wanted = request.path_params["id"]
        return self._answered(await self._operations.take_over(wanted, by=_by(request, caller), reason=reason))

    @described(tag="verbs", answers=models.AnswerModel, body=models.ReasonRequest, refuses=(409,))
    async def pause(self, request: Request, caller: Caller) -> Response:
        """Stop automation for an incident without taking it."""
        reason = (await read_model(request, models.ReasonRequest, self._timeout)).reason
        wanted = request.path_params["id"]
        return self._answered(await self._operations.pause(wanted, by=_by(request, caller), reason=reason))

    @described(tag="verbs", answers=models.AnswerModel, body=models.ReasonRequest, refuses=(409,))
    async def resume(self, request: Request, caller: Caller) -> Response:
        """Let automation of a paused incident go on."""
        reason = (await read_model(request, models.ReasonRequest, self._timeout)).reason
        wanted = request.path_params["id"]
        return self._answered(await self._operations.resume(wanted, by=_by(request, caller), reason=reason))

    @described(tag="verbs", answers=models.AnswerModel, body=models.ReasonRequest, refuses=(409,))
    async def close(self, request: Request, caller: Caller) -> Response:
        """End an incident by hand."""
        reason = (await read_model(request, models.ReasonRequest, self._timeout)).reason
        wanted = request.path_params["id"]
        return self._answered(await self._operations.close_incident(wanted, by=_by(request, caller), reason=reason))

    @described(tag="incidents", answers=models.NoticeModel, refuses=(404,))
    async def notice(self, request: Request, _caller: Caller) -> Response:
        """Answer the draft of a notice for users, as the incident stands."""
        Query(request, ())
        wanted = request.path_params["id"]
        incident = await self._store.incident(wanted)
        if incident is None:
            raise _no_incident(wanted)
        return self._json(models.NoticeModel(text=for_users(incident)))

    @described(
        tag="verbs",
        answers=models.DeclaredModel,
        body=models.DeclareRequest,
        body_optional=False,
        refuses=(404, 409),
    )
    async def declare(self, request: Request, caller: Caller) -> Response:
        """Declare an incident without an alert; its id is in the answer."""
        wanted = await read_model(request, models.DeclareRequest, self._timeout)
        answer = await self._operations.declare(
            by=_by(request, caller), severity=wanted.severity, title=wanted.title, service=wanted.service
        )
        return self._answered(answer, models.DeclaredModel(ok=True, text=answer.text, incident=answer.incident))

    @described(
        tag="verbs", answers=models.AnswerModel, body=models.SeverityRequest, body_optional=False, refuses=(409,)
    )
    async def severity(self, request: Request, caller: Caller) -> Response:
        """Change an incident's severity, with the reason."""
        given = await read_model(request, models.SeverityRequest, self._timeout)
        wanted = request.path_params["id"]
        by = _by(request, caller)
        answer = await self._operations.change_severity(wanted, by=by, severity=given.severity, reason=given.reason)
        return self._answered(answer)

    @described(tag="verbs", answers=models.AnswerModel, body=models.NoteRequest, body_optional=False, refuses=(409,))
    async def note(self, request: Request, caller: Caller) -> Response:
        """Add a remark to a timeline."""
        given = await read_model(request, models.NoteRequest, self._timeout)
        wanted, by = request.path_params["id"], _by(request, caller)
        return self._answered(await self._operations.note(wanted, by=by, text=given.text, phase=given.phase))

    @described(tag="service", answers=models.AnswerModel, body=models.KillRequest, body_optional=False, refuses=(404,))
    async def kill(self, request: Request, caller: Caller) -> Response:
        """Turn the kill switch on or off."""
        wanted = await read_model(request, models.KillRequest, self._timeout)
        by = _by(request, caller)
        answer = await self._operations.kill(on=wanted.on, by=by, playbook=wanted.playbook)
        _log.warning("the kill switch: %s", answer.text, **asdict(by))
        return self._answered(answer)

    @described(tag="service", answers=models.AnswerModel, body=models.NothingRequest)
    async def resend(self, request: Request, caller: Caller) -> Response:
        """Let a message that was given up wait again."""
        await read_model(request, models.NothingRequest, self._timeout)
        wanted = request.path_params["id"]
        if not await self._store.resend(wanted):
            raise Problem(404, f"There is no dead letter {wanted[:100]}.")
        _log.info("a message is sent again", letter=wanted, **asdict(_by(request, caller)))
        return self._json(models.AnswerModel(ok=True, text="it waits to be sent again"))

    @described(tag="service", answers=models.AnswerModel, refuses=(422,))
    async def reload(self, request: Request, caller: Caller) -> Response:
        """Load policy and people again; a bad file changes nothing."""
        _log.info("a reload was asked for", **asdict(_by(request, caller)))
        done = await self._parts.reload()
        if not done.ok:
            raise Problem(422, done.text, errors=[{"message": one} for one in done.problems])
        return self._json(models.AnswerModel(ok=True, text=done.text))

    def _kill(self) -> models.KillModel:
        state = self._operations.kill_state()
        everything, playbooks = bool(state["everything"]), list(state["playbooks"])
        return models.KillModel(
            on=everything or state["file"] is not None,
            everything=everything,
            playbooks=playbooks,
            by=state["by"],
            at=state["at"] or None,
            file=state["file"],
            turns=[models.TurnModel(**one) for one in state["turns"]],
        )

    # --- answering --------------------------------------------------------------------------------------------------

    def _answered(self, answer: Answer, told: BaseModel | None = None) -> Response:
        if not answer.ok:
            raise Problem(STATUS.get(str(answer.status), 409), self._secrets.text(answer.text))
        return self._json(told or models.AnswerModel(ok=True, text=answer.text))

    def _json(self, model: BaseModel) -> Response:
        return self._plain(model.model_dump(mode="json"))

    def _plain(self, value: Any) -> Response:
        """Answer without credentials, whatever an alert, a note or an error brought in."""
        return Response(msgspec.json.encode(self._secrets.value(value)), media_type="application/json")


def _by(request: Request, caller: Caller) -> Principal:
    via = CLIENTS.get(request.headers.get("user-agent", "").partition("/")[0], VIA)
    address = request.client.host if request.client is not None else ""
    return Principal(caller.id, via, caller.signed_in, address)


def _no_incident(wanted: str) -> Problem:
    return Problem(404, f"There is no incident {wanted[:100]}.")
