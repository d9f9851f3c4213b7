"""Three kinds of credentials, none of which grants what another does; and web pages that can't drive the service."""

import base64

import httpx
import pytest

from receiver.core.outbox import OutboxRow
from receiver.core.principal import Principal
from receiver.people import People, Role
from receiver.ports import Letter
from tests.unit.web.fakes import TOKENS, WEBHOOK, Edge, everybody, payload

pytestmark = pytest.mark.anyio

HOOK = "the-webhooks-own-token-1"
OTHER = "the-webhooks-own-token-2"
SCRAPE = "the-scrapers-own-token-1"
FAR = {"REMEDIATOR_LISTEN": "0.0.0.0:9797", "REMEDIATOR_WEBHOOK_TOKENS": f"{HOOK},{OTHER}"}


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


async def post(edge: Edge, **headers: str) -> httpx.Response:
    return await edge.post(payload("01-single-firing"), **headers)


@pytest.mark.parametrize("token", [HOOK, OTHER])
async def test_every_valid_token_opens_the_webhook(token: str) -> None:
    assert (await post(Edge(environment=FAR), authorization=f"Bearer {token}")).status_code == 200
    assert (await post(Edge(environment=FAR), authorization=f"bearer  {token} ")).status_code == 200


@pytest.mark.parametrize(
    "header",
    ["", "Bearer", "Bearer ", f"Bearer {HOOK}x", f"Bearer {HOOK[:-1]}", HOOK, f"Basic {HOOK}", "Basic !!!", "Bearer é",
     "Bearer " + "x" * 10_000],
)  # fmt: skip
async def test_any_other_credential_is_a_401_that_says_so(header: str) -> None:
    edge = Edge(environment=FAR)
    answer = await edge.post(payload("01-single-firing"), authorization=header.encode("latin-1"))  # type: ignore[arg-type]
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert HOOK not in answer.text
    assert edge.engine.calls == []


async def test_no_credential_is_a_401_off_loopback_and_with_one_configured_on_it() -> None:
    assert (await post(Edge(environment=FAR))).status_code == 401
    assert (await post(Edge(environment={"REMEDIATOR_WEBHOOK_TOKENS": HOOK}))).status_code == 401


async def test_basic_authentication_knows_every_valid_password() -> None:
    environment = {"REMEDIATOR_WEBHOOK_USER": "am", "REMEDIATOR_WEBHOOK_PASSWORD": "one, with a comma\ntwo:colon"}
    edge = Edge(environment=environment)
    assert (await post(edge, authorization=basic("am", "one, with a comma"))).status_code == 200
    assert (await post(edge, authorization=basic("am", "two:colon"))).status_code == 200
    assert (await post(edge, authorization=basic("am", "three"))).status_code == 401
    assert (await post(edge, authorization=basic("an", "two:colon"))).status_code == 401
    assert "Basic" in (await post(edge)).headers.get_list("www-authenticate")[1]


READS = ["/api/v1/incidents", "/api/v1/unmatched", "/api/v1/quarantine", "/api/v1/kill", "/api/v1/outbox"]
PROBES = ["/healthz", "/readyz"]


@pytest.mark.parametrize("path", [*READS, "/metrics"])
async def test_off_loopback_every_read_needs_a_token(path: str) -> None:
    edge = Edge(environment=FAR, people=everybody())
    async with edge.client() as client:
        assert (await client.get(path)).status_code == 401
        assert (await client.get(path, headers={"authorization": "Bearer wrong"})).status_code == 401
        assert (await client.get(path, headers={"authorization": f"Bearer {HOOK}"})).status_code == 401
        viewer = {"authorization": f"Bearer {TOKENS[Role.VIEWER]}"}
        assert (await client.get(path, headers=viewer)).status_code == 200


@pytest.mark.parametrize("path", PROBES)
async def test_probes_need_no_token(path: str) -> None:
    async with Edge(environment=FAR).client() as client:
        assert (await client.get(path)).status_code == 200


async def test_a_persons_token_does_not_open_the_webhook() -> None:
    edge = Edge(environment=FAR, people=everybody())
    assert (await post(edge, authorization=f"Bearer {TOKENS[Role.ADMIN]}")).status_code == 401


async def test_a_metrics_token_reads_metrics_and_nothing_else() -> None:
    edge = Edge(environment={**FAR, "REMEDIATOR_METRICS_TOKENS": SCRAPE})
    async with edge.client(SCRAPE) as client:
        assert (await client.get("/metrics")).status_code == 200
        assert (await client.get("/api/v1/incidents")).status_code == 401
    assert (await post(edge, authorization=f"Bearer {SCRAPE}")).status_code == 401


CHANGES = {
    "/api/v1/incidents/i-1/approve": Role.APPROVER,
    "/api/v1/incidents/i-1/deny": Role.APPROVER,
    "/api/v1/incidents/i-1/ack": Role.RESPONDER,
    "/api/v1/incidents/i-1/takeover": Role.RESPONDER,
    "/api/v1/incidents/i-1/pause": Role.RESPONDER,
    "/api/v1/incidents/i-1/resume": Role.RESPONDER,
    "/api/v1/incidents/i-1/close": Role.RESPONDER,
    "/api/v1/incidents/i-1/note": Role.RESPONDER,
    "/api/v1/outbox/118/resend": Role.RESPONDER,
    "/api/v1/kill": Role.ADMIN,
    "/-/reload": Role.ADMIN,
}
LETTER = Letter(OutboxRow("slack", "thread", "key", "i-1", {}, 0.0), 1, "refused", "118")
BODIES = {"/api/v1/incidents/i-1/note": {"text": "seen"}, "/api/v1/kill": {"on": True}}


@pytest.mark.parametrize("listen", ["0.0.0.0:9797", "127.0.0.1:9797"])
@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("path", list(CHANGES))
async def test_each_change_needs_its_role(path: str, role: Role, listen: str) -> None:
    edge = Edge(environment={**FAR, "REMEDIATOR_LISTEN": listen}, people=everybody())
    edge.store.dead = [LETTER]
    async with edge.client(TOKENS[role]) as client:
        answer = await client.post(path, json=BODIES.get(path, {}))
    assert answer.status_code == (200 if role.includes(CHANGES[path]) else 403)
    if answer.status_code == 403:
        assert edge.operations.asked == []
        assert CHANGES[path] in answer.json()["detail"]


@pytest.mark.parametrize("path", list(CHANGES))
async def test_with_people_every_change_needs_a_token_on_loopback_too(path: str) -> None:
    edge = Edge(people=everybody())
    async with edge.client() as client:
        answer = await client.post(path, json=BODIES.get(path, {}))
    assert answer.status_code == 401
    assert edge.operations.asked == []


@pytest.mark.parametrize(("path", "role"), list(CHANGES.items()))
async def test_without_people_loopback_may_do_everything_but_approve(path: str, role: Role) -> None:
    edge = Edge(people=People())
    edge.store.dead = [LETTER]
    async with edge.client() as client:
        answer = await client.post(path, json=BODIES.get(path, {}))
    if role is Role.APPROVER:
        assert answer.status_code == 403
        assert "remediator token" in answer.json()["detail"]
        assert edge.operations.asked == []
    else:
        assert answer.status_code == 200
        assert all(how["by"] == Principal("local", "api", "loopback", "127.0.0.1") for _, how in edge.operations.asked)


async def test_a_decision_says_whose_token_it_came_with_and_from_where() -> None:
    edge = Edge(people=everybody())
    transport = httpx.ASGITransport(app=edge.site, client=("203.0.113.9", 4711))
    headers = {"authorization": f"Bearer {TOKENS[Role.APPROVER]}", "user-agent": "remediator-cli/1"}
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:9797", headers=headers) as client:
        assert (await client.post("/api/v1/incidents/i-1/approve", json={})).status_code == 200
    assert edge.operations.asked[0][1]["by"] == Principal("approver", "cli", "token", "203.0.113.9")


async def test_a_wrong_token_on_loopback_is_never_taken_for_none() -> None:
    async with Edge().client("wrong") as client:
        assert (await client.get("/api/v1/incidents")).status_code == 401


@pytest.mark.parametrize("host", ["evil.example", "evil.example:9797", "127.0.0.1.evil.example", "[bad", "10.0.0.1"])
@pytest.mark.parametrize("path", [*READS, "/metrics"])
async def test_a_rebound_name_is_refused(path: str, host: str) -> None:
    async with Edge().client() as client:
        assert (await client.get(path, headers={"host": host})).status_code == 403


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:9797", "127.0.0.1", "127.0.0.2:1", "[::1]:9797"])
async def test_every_name_of_loopback_is_answered(host: str) -> None:
    edge = Edge()
    async with edge.client() as client:
        assert (await client.get("/api/v1/incidents", headers={"host": host})).status_code == 200
    assert (await post(edge, host=host)).status_code == 200


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "https://127.0.0.1.evil.example:9797"])
async def test_a_web_page_of_another_site_is_refused_everywhere(origin: str) -> None:
    edge = Edge()
    assert (await post(edge, origin=origin)).status_code == 403
    async with edge.client() as client:
        headers = {"origin": origin}
        assert (await client.get("/api/v1/incidents", headers=headers)).status_code == 403
        assert (await client.post("/api/v1/kill", json={"on": False}, headers=headers)).status_code == 403
    assert (edge.engine.calls, edge.operations.asked) == ([], [])


async def test_the_webhook_without_credentials_answers_to_loopback_names_only() -> None:
    answer = await post(Edge(), host="evil.example")
    assert answer.status_code == 403
    assert "REMEDIATOR_EXTERNAL_URL" in answer.json()["detail"]


async def test_the_external_url_is_a_name_that_it_answers_to() -> None:
    edge = Edge(environment={"REMEDIATOR_EXTERNAL_URL": "https://remediator.example"})
    assert (await post(edge, host="remediator.example", origin="https://remediator.example")).status_code == 200


async def test_a_valid_token_stands_for_itself_whatever_the_host() -> None:
    edge = Edge(people=everybody())
    async with edge.client(TOKENS[Role.VIEWER]) as client:
        answer = await client.get("/api/v1/incidents", headers={"host": "remediator.example"})
    assert answer.status_code == 200


@pytest.mark.parametrize("header", ["x-forwarded-for", "forwarded", "via", "x-real-ip"])
async def test_what_came_through_a_proxy_is_not_local(header: str) -> None:
    edge = Edge(environment={"REMEDIATOR_EXTERNAL_URL": "https://remediator.example"})
    through = {"host": "remediator.example", header: "203.0.113.9"}
    assert (await post(edge, **through)).status_code == 403
    async with edge.client() as client:
        assert (await client.get("/api/v1/incidents", headers=through)).status_code == 401
        assert (await client.post("/api/v1/kill", json={"on": False}, headers=through)).status_code == 401
    assert (edge.engine.calls, edge.operations.asked) == ([], [])


async def test_a_change_as_plain_text_is_refused_as_a_web_page_could_send_it() -> None:
    edge = Edge()
    async with edge.client() as client:
        answer = await client.post("/api/v1/kill", content=b'{"on": false}', headers={"content-type": "text/plain"})
    assert answer.status_code == 415
    assert edge.operations.asked == []


async def test_without_webhook_credentials_it_stays_local_whatever_address_was_asked_for() -> None:
    # The server then listens on loopback only (test_server), so loopback's rules hold.
    async with Edge(environment={"REMEDIATOR_LISTEN": "0.0.0.0:9797"}).client() as client:
        assert (await client.get("/api/v1/incidents")).status_code == 200


async def test_the_path_decides_before_anything_else_and_says_nothing_to_strangers() -> None:
    async with Edge(environment=FAR).client() as client:
        assert (await client.get("/api/v1/incidents/i-1")).status_code == 401
        assert (await client.post(f"{WEBHOOK}/x")).status_code == 404
