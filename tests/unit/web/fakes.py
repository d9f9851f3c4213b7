"""Stand-ins for what is behind the HTTP edge, and a client that needs no socket."""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx

from receiver.core.alert import Alert
from receiver.core.events import Opened, Recorded
from receiver.core.fold import evolve
from receiver.core.incident import Incident
from receiver.core.playbook import Playbook
from receiver.core.principal import Principal
from receiver.core.severity import Severity
from receiver.metrics import Metrics
from receiver.people import People, Person, Role, hash_token
from receiver.ports import AlertRow, Body, FeedPage, IncidentFilter, Letter, Page, Quarantined, StoreUnavailable
from receiver.receiving import Received
from receiver.settings import load
from receiver.web.feed import Feed
from receiver.web.health import Health
from receiver.web.oidc.joining import oidc_sign_in
from receiver.web.ports import Interactions, Parts, Reloaded
from receiver.web.site import Site

PAYLOADS: Final = Path(__file__).parents[2] / "payloads"
WEBHOOK: Final = "/webhooks/alertmanager"
NOW: Final = 1_790_000_000.0


def payload(name: str) -> bytes:
    return (PAYLOADS / f"{name}.json").read_bytes()


class FixedClock:
    def __init__(self) -> None:
        self.at = NOW

    def now(self) -> float:
        return self.at

    def monotonic(self) -> float:
        return self.at

    async def sleep(self, seconds: float) -> None:
        self.at += seconds


@dataclass
class KeepingEngine:
    """Keeps what it is given; fails when told to, from a given call on."""

    calls: list[tuple[list[Alert], Body | None, list[Quarantined]]] = field(default_factory=list)
    fails_from: int | None = None
    answers: Received | None = None
    before: Callable[[], Awaitable[None]] | None = None

    async def ingest(
        self,
        alerts: Sequence[Alert],
        *,
        body: Body | None = None,
        quarantined: Sequence[Quarantined] = (),
        source: str = "webhook",
    ) -> Received:
        if self.before is not None:
            await self.before()
        if self.fails_from is not None and len(self.calls) >= self.fails_from:
            raise StoreUnavailable("the disk is full")
        self.calls.append((list(alerts), body, list(quarantined)))
        return self.answers or Received(new=len(alerts))

    @property
    def alerts(self) -> list[Alert]:
        return [alert for alerts, _, _ in self.calls for alert in alerts]

    @property
    def quarantined(self) -> list[Quarantined]:
        return [one for _, _, bad in self.calls for one in bad]


@dataclass(frozen=True)
class Said:
    status: str
    text: str
    incident: str = ""

    @property
    def ok(self) -> bool:
        return self.status == "done"


@dataclass
class KeepingOperations:
    """Keeps what people asked for; answers with `says`."""

    says: Said = Said("done", "done so")
    asked: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)
    state: dict[str, Any] = field(
        default_factory=lambda: {
            "everything": False,
            "playbooks": (),
            "by": "",
            "at": 0.0,
            "file": None,
            "turns": (),
        }
    )

    def _keep(self, what: str, **how: Any) -> Said:
        self.asked.append((what, how))
        return self.says

    async def vote(
        self, incident_id: str, *, by: Principal, approve: bool, reason: str, approval: str | None = None
    ) -> Said:
        return self._keep("vote", id=incident_id, by=by, approve=approve, reason=reason, approval=approval)

    async def acknowledge(self, incident_id: str, *, by: Principal) -> Said:
        return self._keep("acknowledge", id=incident_id, by=by)

    async def take_over(self, incident_id: str, *, by: Principal, reason: str = "") -> Said:
        return self._keep("take_over", id=incident_id, by=by, reason=reason)

    async def pause(self, incident_id: str, *, by: Principal, reason: str = "") -> Said:
        return self._keep("pause", id=incident_id, by=by, reason=reason)

    async def resume(self, incident_id: str, *, by: Principal, reason: str = "") -> Said:
        return self._keep("resume", id=incident_id, by=by, reason=reason)

    async def close_incident(self, incident_id: str, *, by: Principal, reason: str) -> Said:
        return self._keep("close", id=incident_id, by=by, reason=reason)

    async def declare(
        self, *, by: Principal, severity: Severity, title: str, service: str = "", once: str = ""
    ) -> Said:
        return self._keep("declare", by=by, severity=severity, title=title, service=service, once=once)

    async def change_severity(self, incident_id: str, *, by: Principal, severity: Severity, reason: str) -> Said:
        return self._keep("severity", id=incident_id, by=by, severity=severity, reason=reason)

    async def note(self, incident_id: str, *, by: Principal, text: str, phase: str = "") -> Said:
        return self._keep("note", id=incident_id, by=by, text=text, phase=phase)

    async def kill(self, *, on: bool, by: Principal, playbook: str | None = None) -> Said:
        return self._keep("kill", on=on, by=by, playbook=playbook)

    def kill_state(self) -> dict[str, Any]:
        return self.state


async def simulated(alerts: Sequence[Alert]) -> dict[str, Any]:
    told = [{"alert": alert.name, "playbook": None, "reason": "none takes it"} for alert in alerts]
    return {"mode": "observe", "alerts": told}


class ListedStore:
    """Answers what the API reads, from lists."""

    def __init__(self) -> None:
        self.logs: dict[str, list[Recorded]] = {}
        self.alert_rows: dict[str, list[AlertRow]] = {}
        self.unmatched_rows: list[AlertRow] = []
        self.quarantined_rows: list[Quarantined] = []
        self.wanted: list[IncidentFilter] = []
        self.dead: list[Letter] = []
        self.down = False
        self.values: dict[str, Any] = {}
        self.playbooks: dict[str, Playbook] = {}

    async def get(self, key: str) -> Any:
        self._up()
        return self.values.get(key)

    async def put(self, key: str, value: Any) -> None:
        self._up()
        # As a real store does: what comes back is another object.
        self.values[key] = json.loads(json.dumps(value))

    async def playbook(self, version: str) -> Playbook | None:
        self._up()
        return self.playbooks.get(version)

    def add(self, incident_id: str, *rows: AlertRow) -> None:
        self.logs[incident_id] = [Recorded(incident_id, 1, NOW, opened())]
        self.alert_rows[incident_id] = list(rows)

    def _up(self) -> None:
        if self.down:
            raise StoreUnavailable("the database is gone")

    async def incident(self, incident_id: str) -> Incident | None:
        self._up()
        log = self.logs.get(incident_id)
        return folded(log) if log else None

    async def incidents(self, wanted: IncidentFilter) -> Page:
        self._up()
        self.wanted.append(wanted)
        return Page([folded(log) for log in self.logs.values()][: wanted.limit], "7")

    async def events(self, incident_id: str, after: int = 0, limit: int = 1000) -> Sequence[Recorded]:
        self._up()
        return [one for one in self.logs.get(incident_id, ()) if one.seq > after][:limit]

    async def feed(self, after: int, limit: int = 500) -> FeedPage:
        self._up()
        everything = [event for log in self.logs.values() for event in log]
        return FeedPage(
            list(enumerate(everything, 1))[after : after + limit], min(after + limit, len(everything)), True
        )

    async def feed_end(self) -> int:
        self._up()
        return sum(map(len, self.logs.values()))

    async def alerts(self, incident_id: str, limit: int = 1000) -> Sequence[AlertRow]:
        self._up()
        return self.alert_rows.get(incident_id, [])[:limit]

    async def unmatched(self, limit: int = 100, after: str | None = None) -> Page:
        self._up()
        return Page(self.unmatched_rows[:limit], None)

    async def quarantined(self, limit: int = 100, after: str | None = None) -> Page:
        self._up()
        return Page(self.quarantined_rows[:limit], None)

    async def letters(self, *, dead: bool, limit: int = 100, after: str | None = None) -> Page:
        self._up()
        return Page(self.dead[:limit] if dead else [], None)

    async def resend(self, letter: str) -> bool:
        self._up()
        left = [one for one in self.dead if one.id != letter]
        self.dead, found = left, len(left) < len(self.dead)
        return found

    async def counts(self) -> Mapping[str, Any]:
        self._up()
        return {
            "incidents": {("escalated", "P1"): 2, ("triage", "P2"): 1},
            "alerts": {"firing": 3, "resolved": 4},
            "outbox": {"waiting": 1, "dead": 0},
            "paged": 2,
            "wakes": 5,
            "waiting_units": 6,
            "counters": {"unmatched": 8},
            "bytes": 1000,
            "bytes_limit": 2000,
            "disk_free": 3000,
            "full": None,
        }


def opened(target: str = "api") -> Opened:
    return Opened(
        target=target,
        playbook="service-down",
        version="v1",
        rank=0,
        severity=Severity.P1,
        mode="observe",
        reason="service-down: alertname matches",
        alert="ServiceDown",
    )


def folded(log: Sequence[Recorded]) -> Incident:
    incident: Incident | None = None
    for one in log:
        incident = evolve(incident, one)
    assert incident is not None
    return incident


TOKENS: Final = {role: f"rmd_token_of_the_{role}_0123456789" for role in Role}


def everybody() -> People:
    return People({role: Person(role, role.title(), frozenset({role}), (hash_token(TOKENS[role]),)) for role in Role})


class Edge:
    """The site with everything behind it replaced, and a client for it."""

    def __init__(
        self,
        *,
        people: People | None = None,
        environment: Mapping[str, str] | None = None,
        slack: Interactions | None = None,
    ) -> None:
        self.engine = KeepingEngine()
        self.operations = KeepingOperations()
        self.store = ListedStore()
        self.metrics = Metrics()
        self.health = Health()
        self.health.ready()
        self.feed = Feed(self.store, FixedClock())  # type: ignore[arg-type] # only what the feed reads
        self.resyncs = 0
        self.reloaded = Reloaded(ok=True, text="reloaded: unchanged")
        self.people = people if people is not None else People()
        self.settings = load({}, environment or {})
        self.clock = FixedClock()
        oidc = None
        if "oidc" in self.settings.sign_in:
            limits = httpx.Limits(max_keepalive_connections=0)
            oidc = oidc_sign_in(
                self.settings, httpx.AsyncClient(trust_env=False, verify=False, limits=limits), self.clock
            )
        self.site = Site(
            Parts(
                settings=self.settings,
                engine=self.engine,
                operations=self.operations,
                simulate=simulated,
                store=self.store,  # type: ignore[arg-type] # only what the API reads
                clock=self.clock,
                metrics=self.metrics,
                health=self.health,
                feed=self.feed,
                people=lambda: self.people,
                reload=self._reload,
                resync=self._resync,
                services=lambda: ("api", "checkout"),
                slack=slack,
                oidc=oidc,
            )
        )

    async def _reload(self) -> Reloaded:
        return self.reloaded

    def _resync(self) -> None:
        self.resyncs += 1

    def client(self, token: str | None = None, host: str = "127.0.0.1:9797") -> httpx.AsyncClient:
        headers = {"authorization": f"Bearer {token}"} if token else {}
        transport = httpx.ASGITransport(app=self.site, raise_app_exceptions=False)
        return httpx.AsyncClient(transport=transport, base_url=f"http://{host}", headers=headers)

    async def post(self, content: bytes, **headers: str) -> httpx.Response:
        async with self.client() as client:
            return await client.post(WEBHOOK, content=content, headers=headers)
