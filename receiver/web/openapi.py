"""The API's document, OpenAPI 3.1: from the routes, their descriptions, and the models of what they answer.

https://spec.openapis.org/oas/v3.1.1.html. Whoever adds a route describes it (receiver.web.describing); what every
route of its kind may answer is added here.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import msgspec
from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, models_json_schema

from receiver.people import Role
from receiver.web.answers import ProblemModel
from receiver.web.describing import EVENTS, FORM, JSON, DescribedRoute, Guard, Operation, Path
from receiver.web.examples import EXAMPLES
from receiver.web.problems import MEDIA_TYPE

VERSION: Final = "3.1.1"

PROBLEMS: Final[Mapping[int, str]] = {
    400: "The request can't be read: an unknown query parameter, no JSON, a wrong Content-Length.",
    401: "No valid credential.",
    403: "The credential's role doesn't suffice; or, without one on loopback, a foreign `Host` or `Origin`.",
    404: "There is no such thing.",
    405: "Not this method.",
    408: "The body didn't arrive in time.",
    409: "Too late, or not possible now; `detail` names the decision that stands.",
    413: "The body is too large.",
    415: "The body's type isn't JSON, or it is compressed.",
    422: "The body is JSON, but not what is wanted here; `errors` names the places.",
    503: "Nothing is lost, but it can't be done now: the service starts or stops, or its store doesn't answer.",
}

_HEADERS: Final[Mapping[int, Mapping[str, Any]]] = {
    401: {"WWW-Authenticate": {"schema": {"type": "string"}}},
    503: {"Retry-After": {"schema": {"type": "string"}, "description": "Seconds."}},
}

_SCHEMES: Final[Mapping[str, Any]] = {
    "person": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "rmd_...",
        "description": "A person's token; `remediator token NAME` makes one, people.yaml holds its hash and the roles.",
    },
    "webhook_token": {
        "type": "http",
        "scheme": "bearer",
        "description": "REMEDIATOR_WEBHOOK_TOKENS; the webhook only.",
    },
    "webhook_password": {
        "type": "http",
        "scheme": "basic",
        "description": "REMEDIATOR_WEBHOOK_USER and _PASSWORD; the webhook only.",
    },
    "slack_signature": {
        "type": "apiKey",
        "in": "header",
        "name": "X-Slack-Signature",
        "description": "By Slack, with REMEDIATOR_SLACK_SIGNING_SECRET, over X-Slack-Request-Timestamp and body.",
    },
    "metrics_token": {"type": "http", "scheme": "bearer", "description": "REMEDIATOR_METRICS_TOKENS; metrics only."},
}

_OPEN: Final[Mapping[str, Any]] = {}
"""No credential: on loopback, where nothing else is configured."""

_NOTHING: Final[Mapping[str, Any]] = {"type": "object", "maxProperties": 0}
"""The data of a gap."""

_TAGS: Final[Mapping[str, str]] = {
    "webhook": "Alertmanager delivers alerts.",
    "incidents": "What is wrong, and what was done about it.",
    "verbs": "What people tell the service about an incident.",
    "alerts": "Alerts that lead nowhere.",
    "slack": "What people do in Slack; only with a signing secret.",
    "service": "The service itself.",
}

_INTRODUCTION: Final = (
    "Times are ISO 8601 in UTC with milliseconds. Everything that isn't a success is a problem body (RFC 9457). "
    "Unknown query parameters and unknown fields of a body are refused. For people: docs/api.md."
)

_EXTERNAL: Final = {"url": "https://prometheus.io/docs/alerting/latest/configuration/#webhook_config"}


class _Plain(GenerateJsonSchema):
    """Leaves out the titles of fields, which repeat their names."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        """Never."""
        del schema
        return False


def document(paths: Iterable[DescribedRoute | Path], version: str) -> dict[str, Any]:
    """Return the document of these paths; `version` is the product's."""
    found = list(paths)
    schemas = _Schemas()
    written = {one.path: _path(one, schemas) for one in found}
    return {
        "openapi": VERSION,
        "info": {
            "title": "Remediator",
            "version": version,
            "summary": "An Alertmanager webhook receiver that repairs, verifies and tells the story.",
            "description": _INTRODUCTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/", "description": "This service; http://127.0.0.1:9797 by default."}],
        "tags": [{"name": name, "description": told} for name, told in _TAGS.items()],
        "paths": written,
        "components": {
            "schemas": schemas.components(),
            "responses": {str(status): _problem(status) for status in PROBLEMS},
            "securitySchemes": _SCHEMES,
        },
    }


def _path(one: DescribedRoute | Path, schemas: _Schemas) -> dict[str, Any]:
    names = re.findall(r"{(\w+)", one.path)
    item: dict[str, Any] = {method.lower(): _operation(how, names, schemas) for method, how in one.operations.items()}
    if names:
        told = "Of the message." if "outbox" in one.path else "Of the incident."
        example = "118" if "outbox" in one.path else EXAMPLES["Incident"]["id"]
        item["parameters"] = [
            {"name": name, "in": "path", "required": True, "description": told, "schema": {"type": "string"},
             "example": example}
            for name in names
        ]  # fmt: skip
    return item


def _operation(one: Operation, names: list[str], schemas: _Schemas) -> dict[str, Any]:
    summary, _, more = inspect.cleandoc(one.told).partition("\n\n")
    needs = f"Needs the role {one.role}." if one.guard is Guard.PERSON else ""
    found: dict[str, Any] = {
        "operationId": one.name,
        "tags": [one.tag],
        "summary": " ".join(summary.split()),
        "description": "\n\n".join(part for part in (more.strip(), needs) if part),
        "security": _security(one),
        "responses": {"200": _done(one, schemas), **_refusals(one, names)},
    }
    if one.unready is not None:
        schema = schemas.of(one.unready, "serialization")
        found["responses"]["503"] = {"description": "Not now.", "content": {JSON: {"schema": schema}}}
    if one.guard is Guard.PERSON:
        found["x-role"] = str(one.role)
    if one.parameters:
        found["parameters"] = [
            {"name": each.name, "in": each.place, "description": each.told, "schema": each.schema}
            for each in one.parameters
        ]
    if one.body is not None:
        content = {one.body_media: {"schema": schemas.of(one.body, "validation")}}
        found["requestBody"] = {"required": not one.body_optional, "content": content}
    return {name: value for name, value in found.items() if value != ""}


def _security(one: Operation) -> list[Mapping[str, Any]]:
    match one.guard:
        case Guard.WEBHOOK:
            return [{"webhook_token": []}, {"webhook_password": []}, _OPEN]
        case Guard.SLACK:
            return [{"slack_signature": []}]
        case Guard.METRICS:
            return [{"metrics_token": []}, {"person": []}, _OPEN]
        case Guard.PERSON if one.role is Role.APPROVER:
            return [{"person": []}]
        case Guard.PERSON:
            return [{"person": []}, _OPEN]
        case _:
            return []


def _done(one: Operation, schemas: _Schemas) -> dict[str, Any]:
    schema = {"type": "string"} if one.answers is None else schemas.of(one.answers, "serialization")
    if one.media == EVENTS:
        # As OpenAPI 3.2 will say it: the schema of one event of the stream.
        data = {"type": "string", "contentMediaType": JSON, "contentSchema": {"anyOf": [schema, _NOTHING]}}
        event = {"enum": ["entry", "gap"]}
        schema = {
            "type": "object",
            "properties": {"id": {"type": "string"}, "event": event, "data": data},
            "required": ["id", "event", "data"],
        }
    return {"description": "Done.", "content": {one.media: {"schema": schema}}}


def _refusals(one: Operation, names: list[str]) -> dict[str, Any]:
    statuses = set(one.refuses)
    if one.guard is not Guard.NOTHING:
        statuses |= {401} if one.guard is Guard.SLACK else {401, 403}
    if one.guard in {Guard.PERSON, Guard.WEBHOOK, Guard.SLACK}:
        statuses |= {503}
    if one.parameters or one.body is None:
        statuses |= {400} if one.guard is Guard.PERSON else set()
    if one.body is not None:
        statuses |= {400, 408, 413} if one.body_media == FORM else {400, 408, 413, 415, 422}
    if names:
        statuses |= {404}
    return {str(status): {"$ref": f"#/components/responses/{status}"} for status in sorted(statuses)}


def _problem(status: int) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Problem"}
    found: dict[str, Any] = {"description": PROBLEMS[status], "content": {MEDIA_TYPE: {"schema": schema}}}
    if status in _HEADERS:
        found["headers"] = _HEADERS[status]
    return found


class _Schemas:
    """Collects the models that are referred to."""

    def __init__(self) -> None:
        self._models: dict[tuple[type[BaseModel], JsonSchemaMode], None] = {(ProblemModel, "serialization"): None}
        self._structs: dict[type[msgspec.Struct], None] = {}

    def of(self, wanted: Any, mode: JsonSchemaMode) -> dict[str, Any]:
        """Return a reference to a model, or the schema that is given as one."""
        if isinstance(wanted, Mapping):
            return dict(wanted)
        if issubclass(wanted, msgspec.Struct):
            self._structs[wanted] = None
        else:
            self._models[wanted, mode] = None
        return {"$ref": f"#/components/schemas/{_name(wanted.__name__)}"}

    def components(self) -> dict[str, Any]:
        """Return all of them, with what they refer to, by name."""
        _, found = models_json_schema(
            list(self._models), ref_template="#/components/schemas/{model}", schema_generator=_Plain
        )
        _, structs = msgspec.json.schema_components(list(self._structs), ref_template="#/components/schemas/{name}")
        everything = {**found.get("$defs", {}), **structs}
        named = {_name(name): _renamed(schema) for name, schema in everything.items()}
        for name, schema in named.items():
            schema.pop("title", None)
            if name.endswith("Page"):
                schema["description"] = (
                    "A page of a list; `next` goes into `?after=` for the next one, null on the last."
                )
            if name in EXAMPLES:
                schema["examples"] = [EXAMPLES[name]]
        return dict(sorted(named.items()))


_GIVEN: Final[Mapping[str, str]] = {"_Webhook": "Webhook", "_Alert": "WebhookAlert"}


def _name(name: str) -> str:
    """Return what a model is called in the document: `IncidentModel` is Incident, a page of them IncidentPage."""
    if (page := re.fullmatch(r"PageModel[\[_](\w+?)Model[\]_]", name)) is not None:
        return f"{page[1]}Page"
    return _GIVEN.get(name, name.removesuffix("Model"))


def _renamed(schema: Any) -> Any:
    if isinstance(schema, Mapping):
        return {
            key: _reference(value) if key == "$ref" else _renamed(value)
            for key, value in schema.items()
        }  # fmt: skip
    return [_renamed(one) for one in schema] if isinstance(schema, list) else schema


def _reference(value: str) -> str:
    front, _, name = value.rpartition("/")
    return f"{front}/{_name(name)}"


def rendered(make: Callable[[], dict[str, Any]]) -> Callable[[], bytes]:
    """Return what gives the document's bytes, made when they are first asked for: few services ever are."""
    kept: list[bytes] = []

    def give() -> bytes:
        if not kept:
            kept.append(msgspec.json.encode(make()))
        return kept[0]

    return give
