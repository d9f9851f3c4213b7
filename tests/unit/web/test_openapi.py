"""The API's document: every route is in it, as it is, and the committed copy is the one that is served."""

import json
from typing import Any, Final

import httpx
import jsonschema_rs
import pytest
import schemathesis
from starlette.routing import Route

from receiver.people import People, Person, Role, hash_token
from receiver.web.describing import DescribedRoute
from receiver.web.examples import EXAMPLES
from receiver.web.ingest import PATH
from receiver.web.problems import MEDIA_TYPE
from tests.unit.web.document import COPY, served, text, whole
from tests.unit.web.fakes import TOKENS, Edge, Said, payload

pytestmark = pytest.mark.anyio

DOCUMENT: Final = json.loads(COPY.read_text("utf-8"))
OPERATIONS: Final = sorted(
    (path, method) for path, item in DOCUMENT["paths"].items() for method in item if method != "parameters"
)
OF_PEOPLE: Final = [(path, method) for path, method in OPERATIONS if "x-role" in DOCUMENT["paths"][path][method]]

FOR_BROWSERS: Final = ("receiver.web.pages", "receiver.web.signin")
"""Packages of pages, which people see and no program is promised anything about."""


def routes(edge: Edge) -> list[Route]:
    found = [one for one in edge.site._rest.routes if isinstance(one, Route)]
    return [one for one in found if not one.endpoint.__module__.startswith(FOR_BROWSERS)]


def operation(path: str, method: str) -> dict[str, Any]:
    found: dict[str, Any] = DOCUMENT["paths"][path][method]
    return found


def test_every_route_and_method_is_described() -> None:
    lacking = []
    for route in routes(whole()):
        methods = (route.methods or set()) - {"HEAD"}
        given = set(route.operations) if isinstance(route, DescribedRoute) else set()
        lacking += [f"{method} {route.path}" for method in sorted(methods - given)]
    assert lacking == [], "describe the handler with receiver.web.describing.described, then `make docs`"


async def test_every_route_is_in_the_document_with_the_webhook_and_the_document_itself() -> None:
    document = await served()
    assert document["paths"].keys() == {PATH, *(route.path for route in routes(whole()))}
    assert {"/api/v1/openapi.json", "/slack/interactivity"} <= document["paths"].keys()
    names = [how["operationId"] for item in document["paths"].values() for how in item.values() if "operationId" in how]
    assert len(names) == len(set(names))


async def test_the_committed_copy_is_current() -> None:
    assert COPY.read_text("utf-8") == text(await served()), "`make docs` writes it again"


def test_the_document_is_valid() -> None:
    schema = schemathesis.openapi.from_dict(DOCUMENT)
    schema.validate()
    assert [type(one).__name__ for one in schema.get_all_operations()] == ["Ok"] * len(OPERATIONS)


def test_every_operation_and_every_parameter_says_what_it_is() -> None:
    for path, method in OPERATIONS:
        how = operation(path, method)
        assert how["summary"].endswith("."), path
        assert all(one["description"] for one in how.get("parameters", ())), path
    for name, schema in DOCUMENT["components"]["schemas"].items():
        assert schema.get("description") or name.startswith("Webhook"), name


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_example_is_valid(name: str) -> None:
    schema = {"$ref": f"#/components/schemas/{name}", "components": DOCUMENT["components"]}
    jsonschema_rs.Draft202012Validator(schema, validate_formats=True).validate(EXAMPLES[name])


async def asked(path: str, method: str, people: People, token: str | None, **more: Any) -> httpx.Response:
    edge = Edge(people=people)
    edge.operations.says = Said("done", "done")
    edge.store.add("i-1")
    edge.feed.end()
    async with edge.client(token) as client:
        kind = {"content-type": "application/json"}
        return await client.request(
            method.upper(), path.replace("{id}", "i-1"), content=body(path, method), headers=kind, **more
        )


def body(path: str, method: str) -> bytes:
    """Return a body that the operation takes; empty where it takes none."""
    if "requestBody" not in operation(path, method):
        return b""
    name = operation(path, method)["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
    return payload("01-single-firing") if name == "Webhook" else json.dumps(EXAMPLES.get(name, {})).encode()


@pytest.mark.parametrize(("path", "method"), OF_PEOPLE)
async def test_an_operation_asks_for_the_role_that_the_document_names(path: str, method: str) -> None:
    needed = Role(operation(path, method)["x-role"])
    for role in Role:
        people = People({"ann": Person("ann", "Ann", frozenset({role}), (hash_token(TOKENS[role]),))})
        answer = await asked(path, method, people, TOKENS[role])
        assert (answer.status_code == 403) is not role.includes(needed), (role, answer.text)
        assert str(answer.status_code) in operation(path, method)["responses"], answer.text
    for token, people in (("rmd_unknown", People()), (None, People({"ann": Person("ann", "Ann", frozenset())}))):
        answer = await asked(path, method, people, token)
        refused = token is not None or needed is not Role.VIEWER
        assert (answer.status_code == 401) is refused, answer.text
        if refused:
            assert answer.headers["www-authenticate"].startswith("Bearer")
            assert answer.headers["content-type"] == MEDIA_TYPE


@pytest.mark.parametrize(("path", "method"), [one for one in OF_PEOPLE if one[1] == "get" and "openapi" not in one[0]])
async def test_an_operation_takes_exactly_the_parameters_that_the_document_names(path: str, method: str) -> None:
    declared = [one["name"] for one in operation(path, method).get("parameters", ()) if one["in"] == "query"]
    answer = await asked(path, method, People(), None, params={"zzzzzz": "1"})
    assert answer.status_code == 400
    known = answer.json()["detail"].rstrip(".").partition("known are ")[2]
    assert sorted(known.split(", ") if known else []) == sorted(declared)
