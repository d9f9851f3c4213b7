"""No credential leaves the service, wherever it came in: fed everywhere, looked for in everything that it says.

Fed through settings, alerts, playbooks, people's words, requests and the answers of what it asks. Looked for in Slack,
logs, the console, every path of the API, both streams, metrics, the escalation webhook, PagerDuty and the command line.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import httpx
import pytest

from receiver.people import hash_token
from receiver.web.parsing import MAX_MESSAGE, MAX_RAW
from tests.acceptance.counting import VERSION
from tests.acceptance.service import JSON, WEBHOOK, Service, alert, group, running, until
from tests.slack_double import BOT_TOKEN, Running, SlackDouble
from tests.slack_double.state import Channel
from tests.unit.web.document import COPY

pytestmark = pytest.mark.acceptance

TOKEN: Final = "rmd_person_of_this_test_0123456789"
KNOWN: Final = {
    "webhook token": "knownWebhookToken-1",
    "webhook password": 'known "password" <2> & \\ more',
    "metrics token": "knownMetricsToken-3",
    "escalation secret": "knownEscalationSecret-4",
    "escalation path": "knownEscalationPath-5",
    "escalation user": "knownEscalationUser-6",
    "prometheus password": "knownPrometheusPassword-7",
    "alertmanager password": "knownAlertmanagerPassword-8",
    "slack token": BOT_TOKEN,
    "pagerduty key": "knownPagerDutyKey-10",
    "slack signing secret": "knownSigningSecret-9",
}
"""The service's own; nothing of their look says what they are."""

SHAPED: Final = {
    "userinfo": ("https://user:shapedUserinfo1@db.example/x", "shapedUserinfo1"),
    "bearer": ("Authorization: Bearer shapedBearer2xyz", "shapedBearer2xyz"),
    "basic": ("basic shapedBasic3==", "shapedBasic3"),
    "api key": ('api_key="shapedApiKey4"', "shapedApiKey4"),
    "password": ("password=shapedPassword5", "shapedPassword5"),
    "person's token": ("rmd_shapedPersonToken6", "shapedPersonToken6"),
}
"""Anybody's, by their shape: how they are fed, and what must not be seen of them."""

NAMED: Final = {"password": "namedPassword1", "x_api_key": "namedApiKey2", "Authorization": "namedHeader3"}
"""Anybody's, by the name of the label, field or header that holds them."""

WRONG: Final = "wrongCredentialOfARequest"
FED: Final = (*KNOWN.values(), *(fed for fed, _ in SHAPED.values()))
TEXT: Final = " ; ".join(FED)
CUT: Final = 15
"""Characters of a secret before the limit that cuts it."""

BEGINNINGS: Final = tuple(one[:12] for one in KNOWN.values())
SEEN: Final = (*KNOWN.values(), *BEGINNINGS, *(seen for _, seen in SHAPED.values()), *NAMED.values(), WRONG, TOKEN)
NAMES: Final = ("call", "tell", "noted", "lost")


class World(ThreadingHTTPServer):
    """An engine without containers, a deploy system that answers with secrets, and somebody who is paged."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answering)
        self.pages: list[str] = []
        self.events: list[str] = []
        self.calls: list[str] = []

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"


class Answering(BaseHTTPRequestHandler):
    server: World

    def do_GET(self) -> None:
        path = self.path
        empty: Any = [] if "/containers/json" in path else {"message": TEXT}
        self._send(200, VERSION) if path.endswith("/version") else self._send(200 if empty == [] else 404, empty)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
        if self.path == "/pagerduty":
            event = json.loads(body)
            # The one place where the key belongs.
            assert event.pop("routing_key") == KNOWN["pagerduty key"]
            self.server.events.append(json.dumps(event))
            self._send(202, {"status": "success", "message": TEXT})
        elif self.path.startswith("/hooks/"):
            self.server.pages.append(body)
            self._send(503 if len(self.server.pages) == 1 else 200, {"message": TEXT})
        else:
            self.server.calls.append(f"{self.headers}{body}")
            self._send(500, {"message": TEXT, **NAMED})

    def _send(self, status: int, value: Any) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it so
        pass


def policy(world: World) -> str:
    call = {
        "url": f"http://user:{SHAPED['userinfo'][1]}@{world.address}/act?token={SHAPED['password'][1]}",
        "headers": {**NAMED, "X-Note": SHAPED["bearer"][0]},
        "body": {"why": TEXT, **NAMED},
    }
    return json.dumps(
        {
            "engines": {"none": {"url": f"tcp://{world.address}"}},
            "services": {
                one: {
                    "engine": "none",
                    "selector": {"service": one},
                    "health": {"urls": [f"http://{world.address}/health"]},
                }
                for one in NAMES[:-1]
            },
            "defaults": {
                "settle": "0s",
                "verify": {"target": False, "initial_delay": "0s", "interval": "200ms", "timeout": "2s"},
                "approval": {"http": "none"},
                "guardrails": {"require_confirmation": False},
            },
            "playbooks": [
                {
                    "name": "call",
                    "match": 'alertname="Call"',
                    "severity": "P1",
                    "steps": [{"name": "call", "action": "http", "parameters": call, "timeout": "3s"}],
                },
                {"name": "tell", "match": 'alertname=~".+"', "severity": "P2"},
            ],
        }
    )


class Scene:
    """The service with everything around it."""

    def __init__(self, service: Service, world: World, double: SlackDouble, ops: Channel) -> None:
        self.service, self.world, self.double, self.ops = service, world, double, ops
        self.service.http.headers["authorization"] = f"Bearer {TOKEN}"

    def command(self, *arguments: str) -> str:
        done = self.service.command(*arguments)
        return done.stdout + done.stderr


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    world, double = World(), SlackDouble()
    ops = double.channel("ops")
    thread = threading.Thread(target=world.serve_forever, daemon=True)
    thread.start()
    people = {"people": [{"id": "ann", "name": "Ann", "roles": ["admin"], "tokens": [hash_token(TOKEN)]}]}
    (tmp_path / "people.yaml").write_text(json.dumps(people))
    (tmp_path / "playbooks.yaml").write_text(policy(world))
    with Running(double) as slack:
        settings = {
            "REMEDIATOR_PEOPLE": str(tmp_path / "people.yaml"),
            "REMEDIATOR_TOKEN": TOKEN,
            "REMEDIATOR_WEBHOOK_TOKENS": KNOWN["webhook token"],
            "REMEDIATOR_WEBHOOK_USER": "alertmanager",
            "REMEDIATOR_WEBHOOK_PASSWORD": KNOWN["webhook password"],
            "REMEDIATOR_METRICS_TOKENS": KNOWN["metrics token"],
            "REMEDIATOR_ESCALATION_URL": (
                f"http://pager:{KNOWN['escalation user']}@{world.address}/hooks/{KNOWN['escalation path']}"
            ),
            "REMEDIATOR_ESCALATION_SECRET": KNOWN["escalation secret"],
            "REMEDIATOR_PAGERDUTY_KEY": KNOWN["pagerduty key"],
            "REMEDIATOR_PAGERDUTY_URL": f"http://{world.address}/pagerduty",
            "REMEDIATOR_PROMETHEUS_URL": f"http://prometheus:{KNOWN['prometheus password']}@127.0.0.1:1",
            "REMEDIATOR_ALERTMANAGER_URL": f"http://reader:{KNOWN['alertmanager password']}@127.0.0.1:1",
            "REMEDIATOR_SLACK_TOKEN": KNOWN["slack token"],
            "REMEDIATOR_SLACK_SIGNING_SECRET": KNOWN["slack signing secret"],
            "REMEDIATOR_SLACK_CHANNEL": ops.id,
            "REMEDIATOR_SLACK_API_URL": f"{slack.url}/api",
            "REMEDIATOR_LOG_LEVEL": "debug",
        }
        with running(tmp_path, [tmp_path / "playbooks.yaml"], "act", settings) as service:
            yield Scene(service, world, double, ops)
    world.shutdown()
    world.server_close()
    thread.join()


def alerts() -> list[dict[str, Any]]:
    """Return alerts that are full of secrets: for each service, one that nobody takes, one that can't be read."""
    labels = {f"fed_{number}": fed for number, fed in enumerate(FED)} | NAMED
    found = [alert("Call" if one == "call" else "Tell", one) for one in NAMES]
    for one in found:
        one["labels"] |= labels
        one["annotations"] |= {"summary": TEXT, "description": TEXT, **NAMED}
        one["generatorURL"] = SHAPED["userinfo"][0]
    bad = [{**found[0], "fingerprint": TEXT}]
    before = "." * (MAX_MESSAGE - len("Invalid enum value '") - CUT)
    bad += [{**found[0], "status": before + one} for one in KNOWN.values()]
    token = KNOWN["webhook token"]
    # Wherever the text of an alert is cut, in one of these it is within the token's second half.
    long = ["." * (7 * number) + token * (MAX_RAW // len(token) + 1) for number in range(3)]
    return [*found, *bad, *({**bad[0], "annotations": {"long": one}} for one in long)]


def webhook() -> bytes:
    """Return them in a group that is said to come from an address with credentials."""
    return group(*alerts()).replace(b"http://127.0.0.1:9093", SHAPED["userinfo"][0].encode())


def feed(scene: Scene) -> None:
    service = scene.service
    service.http.headers["authorization"] = f"Bearer {KNOWN['webhook token']}"
    assert service.post(webhook()).json()["quarantined"] == 4 + len(KNOWN)
    for body in (TEXT.encode(), json.dumps({"version": TEXT, "alerts": []}).encode(), group({"status": TEXT})):
        assert service.post(body).status_code in {400, 422}
    assert service.http.post(WEBHOOK, content=b"{}", headers={**JSON, "authorization": WRONG}).status_code == 401
    service.http.headers["authorization"] = f"Bearer {TOKEN}"
    for headers in ({"authorization": f"Bearer {WRONG}"}, {"user-agent": f"Bearer {WRONG}"}):
        service.http.get("/api/v1/incidents", params={"target": "x", "token": WRONG}, headers=headers)
    until(lambda: len(service.incidents()) == 3, "the incidents are not there")
    until(lambda: scene.world.calls, "nothing was called")
    assert any(SHAPED["bearer"][1] in call for call in scene.world.calls), "what was called gets what it needs"
    one = next(row["id"] for row in service.incidents() if row["target"] == "noted")
    for fed in (*FED, TEXT):
        service.http.post(f"/api/v1/incidents/{one}/note", json={"text": f"see {fed} there"}).raise_for_status()
    for verb in ("takeover", "close"):
        service.http.post(f"/api/v1/incidents/{one}/{verb}", json={"reason": TEXT}).raise_for_status()
    until(lambda: len(scene.world.pages) > 1, "nobody was paged")
    until(lambda: scene.world.events, "PagerDuty was not told")
    until(lambda: any("CLOSED" in json.dumps(row.blocks) for row in messages(scene)), "Slack was not told", limit=60.0)


def messages(scene: Scene) -> list[Any]:
    return scene.double.messages(scene.ops)


def said(scene: Scene) -> dict[str, str]:
    """Return everything that the service says, by where."""
    service, found = scene.service, {}
    incidents = [one["id"] for one in service.incidents()]
    for path, item in json.loads(COPY.read_text("utf-8"))["paths"].items():
        for one in incidents if "{id}" in path and "get" in item else [""] if "get" in item else []:
            where = path.replace("{id}", one)
            found[where] = stream(service, where) if path.endswith("/stream") else service.http.get(where).text
    for where in ("/api/v1/outbox?state=waiting", "/", *(f"/incidents/{one}" for one in incidents), "/approvals"):
        found[where] = service.http.get(where, follow_redirects=True).text
    body = service.http.post("/api/v1/simulate", content=webhook(), headers=JSON)
    assert body.status_code == 200
    found["simulate"] = body.text
    found["metrics"] = httpx.get(
        f"{service.url}/metrics", headers={"authorization": f"Bearer {KNOWN['metrics token']}"}, trust_env=False
    ).text
    for arguments in (
        ("incidents",), ("incidents", "export"), ("incidents", "export", "--offline"), ("incidents", "--unmatched"),
        ("incidents", "--quarantine"), ("outbox", "waiting"), ("config",), ("config", "--json"), ("kill",),
        *(("incidents", "show", one) for one in incidents),
        *(("watch", *more, one) for one in incidents[:1] for more in ((), ("--json",)) if over(service, one)),
    ):  # fmt: skip
        found[f"remediator {' '.join(arguments)}"] = scene.command(*arguments)
    found["slack"] = json.dumps([[one.text, one.blocks, one.metadata] for one in messages(scene)])
    found["pages"] = "\n".join(scene.world.pages)
    found["pagerduty"] = "\n".join(scene.world.events)
    found["log and console"] = service.log.read_text(errors="replace")
    return found


def over(service: Service, incident: str) -> bool:
    return service.get(f"/api/v1/incidents/{incident}")["ended_at"] is not None


def stream(service: Service, path: str) -> str:
    """Return what a stream sends from its beginning until it is silent."""
    found = b""
    try:
        with service.http.stream("GET", path, params={"after": "0"}, timeout=1.0) as answer:
            for chunk in answer.iter_raw():
                found += chunk
    except httpx.ReadTimeout:
        pass
    return found.decode()


def forms(secret: str) -> set[str]:
    """Return a text as it is, in JSON, in a URL, in HTML and as Slack escapes it."""
    slack = secret.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    html = slack.replace('"', "&#34;")
    return {secret, slack, html, quote(secret), *(json.dumps(one)[1:-1] for one in (secret, slack, html))}


def test_secrets_are_fed_everywhere_and_found_nowhere(scene: Scene) -> None:
    feed(scene)
    everything = said(scene)
    leaks = [
        f"{secret!r} in {where}: ...{text[max(0, at - 150) : at + 100]}..."
        for where, text in everything.items()
        for secret in SEEN
        for form in forms(secret)
        if (at := text.find(form)) >= 0
    ]
    assert not leaks, "\n\n".join(leaks)
    # What was looked through is what it should be, and what is no secret is told.
    assert "ESCALATED" in everything["pages"]
    assert '"event_action": "trigger"' in everything["pagerduty"]
    for where in ("slack", "log and console", "/api/v1/incidents", "/api/v1/quarantine", "/api/v1/stream"):
        assert "***" in everything[where], where
    assert "see *** there" in everything["slack"]
    assert "see *** there" in everything["remediator incidents export --offline"]
    assert "db.example" in everything["/api/v1/incidents"]
    assert len(everything) > 40
