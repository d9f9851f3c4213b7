"""A world with an incident in almost every state, alerts of every fate, and words of every kind in them."""

from dataclasses import replace
from pathlib import Path
from typing import Final

from receiver.core.alert import Alert, AlertStatus
from receiver.core.playbook import ApprovalPolicy
from receiver.core.principal import Principal
from receiver.ports import Changes, IncidentFilter, OutboxRow, Quarantined, Unit
from remediations.protocol import Health
from tests.simulation.world import START, World, playbook, policy, step

SERVICES: Final = ("resolved", "closed", "escalated", "asks", "approved", "holding", "cleanup", "triage", "taken")
NASTY: Final = "\x1b[2J\x00 <script>alert(1)</script> \u202e\u2028\ud7ff \U0001f600 " + "x" * 3000

_ASKS: Final = playbook(
    step("restart", approval=ApprovalPolicy(approvals=2)), name="asks", alert="Asks", rank=1
)  # fmt: skip
_SCALES: Final = playbook(
    step("scale", parameters={"by": 1}, cleanup_after=3600.0), name="scales", alert="Scales", rank=2
)  # fmt: skip
POLICY: Final = policy(playbook(step("restart")), _ASKS, _SCALES, services=SERVICES)


async def world_of_states(directory: Path) -> World:
    """Open it; close it in the end."""
    world = World(directory / "states.db", POLICY, mode="act")
    await world.open()
    for name in SERVICES:
        world.runtime.create(name, f"{name}-1", "good")
    world.clock.time += 5.0
    for name in ("resolved", "holding"):
        one = world.runtime.services[name].instances[f"{name}-1"]
        world.runtime.put(name, replace(one, running=False, health=Health.NONE, status="exited"))
    for name in ("resolved", "closed", "holding", "taken"):
        await fire(world, name)
    for name in ("asks", "approved"):
        await fire(world, name, "Asks")
    await fire(world, "cleanup", "Scales")
    await world.run(40.0)
    for name, alert in (("resolved", "ServiceDown"), ("cleanup", "Scales")):
        await fire(world, name, alert, AlertStatus.RESOLVED)
    await world.run(60.0)
    world.metrics.confirms = False
    await fire(world, "escalated")
    await world.run(40.0)
    people = world.operations
    for person in ("ann", "bob"):
        await people.vote(await of(world, "approved"), by=Principal(person, "api"), approve=True, reason=NASTY[:1000])
    await people.vote(await of(world, "asks"), by=Principal("ann", "slack"), approve=True, reason="")
    await people.vote(await of(world, "escalated"), by=Principal("bob", "web"), approve=False, reason="no")
    await world.run(1.0)
    await people.take_over(await of(world, "taken"), by=Principal("ann", "cli"), reason=NASTY[:500])
    await people.close_incident(await of(world, "closed"), by=Principal("ann", "web"), reason="done")
    await people.note(await of(world, "asks"), by=Principal("ann", "web"), text=NASTY[:3000])
    await fire(world, "triage")
    await _leftovers(world)
    return world


async def fire(world: World, service: str, name: str = "ServiceDown", status: AlertStatus = AlertStatus.FIRING) -> None:
    """Deliver an alert about a service."""
    labels = {"alertname": name, "service": service, "nasty": NASTY[:500]}
    number = SERVICES.index(service) if service in SERVICES else 99
    alert = Alert(f"{number:016x}", status, labels, {"summary": NASTY}, int(START * 1e9))
    await world.engine.ingest([alert])


async def _leftovers(world: World) -> None:
    """Leave alerts that lead nowhere, and messages that were not sent."""
    await fire(world, "nobody", "Unheard")
    await world.engine.ingest([], quarantined=[Quarantined(world.clock.now(), "$.alerts[3].labels", NASTY, NASTY)])
    rows = [OutboxRow("slack", "thread", f"dead/{one}", "i-1", {"text": NASTY, "kind": "noted"}, 1.0) for one in "abc"]
    await world.store.submit(Unit(lambda _: Changes(outbox=rows)))
    for number, row, _ in await world.store.outbox(100):
        if row.lane == "slack":
            await world.store.unsent(number, "Slack answers invalid_blocks", None)


async def of(world: World, service: str) -> str:
    """Return the id of a service's incident."""
    (one,) = (await world.store.incidents(IncidentFilter(target=service))).items
    found: str = one.id
    return found


async def states(world: World) -> dict[str, str]:
    """Return each service's incident's state."""
    page = await world.store.incidents(IncidentFilter(limit=100))
    return {one.target: one.phase.value for one in page.items}
