"""A small world: the real engine, executor and actions on a real store, targets in memory, a clock of our own."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import httpx

from receiver.acting import Actor
from receiver.approvers import Approvers
from receiver.control import KillSwitch
from receiver.core.alert import Alert, AlertStatus
from receiver.core.incident import Incident
from receiver.core.matchers import parse_matchers
from receiver.core.playbook import Engine as EngineEntry
from receiver.core.playbook import FleetLimits, Guardrails, Playbook, Policy, Service, Step, Verification
from receiver.core.severity import Severity
from receiver.core.timeline import entries
from receiver.engine import Engine
from receiver.executor import Executor
from receiver.judging import Judge
from receiver.looking import Looker
from receiver.operations import Operations
from receiver.people import Group, People, Person, Role, SlackId
from receiver.ports import IncidentFilter, Sample, Store, UserGroups
from receiver.simulating import Simulator
from receiver.store.sqlite import SqliteStore
from receiver.targets import Targets, known_good_key
from receiver.verifier import Verifier
from remediations.protocol import Remediation
from remediations.registry import load_actions
from remediations.runtimes.memory import Behaviour, MemoryRuntime

START = 1_800_000_000.0

VERIFY = Verification(
    health=False, initial_delay=1.0, interval=2.0, consecutive=2, consecutive_failures=3, timeout=60.0
)


class FakeClock:
    """Time that passes only when somebody waits."""

    def __init__(self) -> None:
        self.time = START

    def now(self) -> float:
        """Return UNIX seconds."""
        return self.time

    def monotonic(self) -> float:
        """Return the same."""
        return self.time

    async def sleep(self, seconds: float) -> None:
        """Let time pass at once."""
        self.time += seconds


class CountedIds:
    """Names that are the same in every run."""

    def __init__(self) -> None:
        self._count = itertools.count(1)

    def incident(self) -> str:
        """Return the next incident's id."""
        return f"i-{next(self._count)}"

    def action(self) -> str:
        """Return the next action's id."""
        return f"a-{next(self._count)}"

    def approval(self) -> str:
        """Return the next approval's id."""
        return f"p-{next(self._count)}"


class FakeMetrics:
    """A metrics source whose answers the test sets."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self.confirms: bool | None = True
        self.values: dict[str, float] = {}
        self.age = 0.0
        self.samples = 10.0

    async def query(self, expr: str, at: float | None = None) -> Sequence[Sample]:
        """Answer with the set value, or how old and how many the samples behind it are."""
        if "count_over_time(" in expr:
            return [Sample({}, self.samples, at or self._clock.now())]
        if "timestamp(" in expr:
            return [Sample({}, self.age, at or self._clock.now())]
        value = next((value for name, value in self.values.items() if name in expr), None)
        return [] if value is None else [Sample({}, value, at or self._clock.now())]

    async def firing(self, alertname: str, labels: Mapping[str, str]) -> bool | None:
        """Say whether the alert fires."""
        return self.confirms


def playbook(*steps: Step, name: str = "service-down", alert: str = "ServiceDown", rank: int = 0) -> Playbook:
    """Return a playbook for an alert."""
    return Playbook(
        name,
        f"version-of-{name}",
        rank,
        parse_matchers(f'alertname="{alert}"'),
        severity=Severity.P1,
        steps=steps,
        settle=1.0,
        hold=10.0,
        guardrails=Guardrails(cooldown=0.0),
    )


def step(name: str, **changes: object) -> Step:
    """Return a step whose action has its name."""
    base = Step(name, name, verify=VERIFY, allow_gap=True)
    return replace(base, **changes)  # type: ignore[arg-type]


def policy(*playbooks: Playbook, services: Sequence[str] = ("api",)) -> Policy:
    """Return a policy over services in memory."""
    entries = {
        name: Service(name, "memory", "containers", {}, traffic="proxy", min_replicas=1, max_replicas=4)
        for name in services
    }
    engines = {"memory": EngineEntry("memory", "memory://")}
    return Policy("p", playbooks, entries, engines, FleetLimits(max_actions=100))


class World:
    """Everything joined; `open` it, and open it again after a crash."""

    def __init__(self, path: Path, rules: Policy, *, mode: str = "act") -> None:
        self.path = path
        self.rules = rules
        self.mode = mode
        self.clock = FakeClock()
        self.ids = CountedIds()
        self.metrics = FakeMetrics(self.clock)
        self.approvers = frozenset({"ann", "bob"})
        self.others: dict[str, Role] = {}
        self.known: People | None = None
        self.people_groups: dict[str, Group] = {
            "dba": Group("dba", frozenset({"ann"})),
            "ops": Group("ops", frozenset({"bob", "carol"})),
        }
        self.groups: UserGroups | None = None
        self.lanes: tuple[str, ...] = ("console",)
        self.runtime = MemoryRuntime(self.clock.now, self.clock.sleep)

    async def open(self) -> None:
        """Start the service: on what the store holds, nothing else."""
        self.store = self.open_store()
        self.http = httpx.AsyncClient()
        self.kill = KillSwitch(self.store, self.clock, None)
        await self.kill.load()
        self.engine = Engine(self.store, self.clock, self.ids, self.rules, mode=self.mode, lanes=self.lanes)
        await self.engine.use(self.rules)
        actions = self.load_actions()
        targets = Targets(self.store, self.clock, self.http, self.kill, lambda _: self.runtime)
        verifier = Verifier(self.metrics, self.http, self.clock, shortest_window=1.0)
        judge = Judge(self.engine, self.kill, Approvers(self.people, self.groups))
        self.actor = Actor(self.engine, self.store, self.clock, targets, judge, actions)
        looker = Looker(targets, verifier, self.metrics, actions)
        self.executor = Executor(self.engine, self.clock, self.actor, looker)
        self.operations = Operations(self.engine, self.kill, judge, lambda: None)
        self.simulator = Simulator(self.engine, self.clock, self.actor, looker.confirm)

    def people(self) -> People:
        """Return everybody: `known`, or those who may approve (and all else), others by their roles, and groups."""
        if self.known is not None:
            return self.known
        roles = dict.fromkeys(self.approvers, Role.ADMIN) | self.others
        known = {
            name: Person(name, name.title(), frozenset({role}), slack=(SlackId("T1", f"U{name.upper()}"),))
            for name, role in roles.items()
        }
        return People(known, self.people_groups)

    def open_store(self) -> Store:
        """Open what outlives the service."""
        return SqliteStore.open(self.path, self.clock)

    def load_actions(self) -> Mapping[str, Remediation]:
        """Return the actions that are installed."""
        return load_actions().actions

    async def close(self) -> None:
        """Stop the service."""
        await self.http.aclose()
        await self.store.close()

    def alert(
        self, name: str = "ServiceDown", *, status: str = "firing", service: str = "api", began: float = START
    ) -> Alert:
        """Return an alert that began at the start of the world, or at another moment (UNIX seconds)."""
        labels = {"alertname": name, "service": service}
        fingerprint = f"{abs(hash((name, service))) % 16**16:016x}"
        return Alert(fingerprint, AlertStatus(status), labels, {}, int(began * 1e9))

    async def fire(self, *alerts: Alert) -> None:
        """Deliver alerts."""
        await self.engine.ingest(alerts or (self.alert(),))

    async def run(self, seconds: float) -> None:
        """Let the service work for so long."""
        until = self.clock.now() + seconds
        while self.clock.now() < until:
            await self.settle()
            wakes = await self.store.next_wake()
            self.clock.time = min(until, max(wakes if wakes is not None else until, self.clock.now() + 0.01))
        await self.settle()

    async def settle(self) -> None:
        """Do all that is due now."""
        for _ in range(200):
            found = await self.store.due(self.clock.now(), 10)
            if not found:
                return
            for incident_id, _ in found:
                await self.executor.work(incident_id)
        raise AssertionError("it never comes to rest")

    async def incident(self) -> Incident:
        """Return the newest incident."""
        page = await self.store.incidents(IncidentFilter(limit=1))
        incident = page.items[0]
        assert isinstance(incident, Incident)
        return incident

    async def kinds(self) -> list[str]:
        """Return the names of the newest incident's events."""
        incident = await self.incident()
        return [type(one.event).__name__ for one in await self.store.events(incident.id)]

    async def story(self) -> str:
        """Return the newest incident's timeline as text."""
        incident = await self.incident()
        return "\n".join(one.text for one in entries(await self.store.events(incident.id)))

    async def known_good(self, image_id: str, *, changed_at: float) -> None:
        """Record a known-good version, and when the running one came."""
        version = {"image_id": image_id, "image": image_id, "since": START - 9000.0, "spec": {}}
        await self.store.put(
            known_good_key("api"),
            {"image_id": "?", "changed_at": changed_at, "good_since": None, "seen_at": 0.0, "versions": [version]},
        )

    def behave(self, image_id: str, behaviour: Behaviour) -> None:
        """Say how instances of an image behave when they start."""
        self.runtime.services["api"].versions[image_id] = behaviour

    def fails(self, name: str = "api-1") -> None:
        """Let an instance stop."""
        instance = self.runtime.services["api"].instances[name]
        self.runtime.put("api", replace(instance, running=False, status="exited"))
