"""Incidents that people declare, and severities that people judge, on the real engine."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from receiver.core.incident import Phase
from receiver.core.matchers import parse_matchers
from receiver.core.playbook import SeverityRule
from receiver.core.principal import Principal
from receiver.core.severity import Severity
from receiver.operations import Answer, Status
from receiver.people import Role
from tests.simulation.world import World, playbook, policy, step

pytestmark = pytest.mark.anyio

ANN = Principal("ann", "cli", "token", "192.0.2.7")
RULED = replace(
    playbook(name="slow", alert="Slow", rank=1),
    severity=Severity.P3,
    severity_rules=(SeverityRule(parse_matchers('service="api",alertname="Slow",tier="gold"'), Severity.P1),),
)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    made = World(tmp_path / "declared.db", policy(playbook(step("restart")), RULED))
    made.others = {"vic": Role.VIEWER}
    await made.open()
    made.runtime.create("api", "api-1", "good")
    yield made
    await made.close()


async def declare(world: World, title: str = "Checkout is slow", service: str = "") -> Answer:
    return await world.operations.declare(by=ANN, severity=Severity.P2, title=title, service=service)


async def test_a_declared_incident_is_told_waits_for_its_person_and_is_closed_by_them(world: World) -> None:
    answer = await declare(world, service="api")
    assert (answer.ok, answer.incident) == (True, (await world.incident()).id)
    await world.run(90_000.0)
    incident = await world.incident()
    assert (incident.phase, incident.severity, incident.started_by) == (Phase.TRIAGE, Severity.P2, "ann")
    assert set(await world.kinds()) == {"Opened", "ResponseMissed", "StatusReported"}, "nothing is done by itself"
    assert "P2 declared by ann (via cli): Checkout is slow. It is about api." in await world.story()
    assert (await world.operations.close_incident(incident.id, by=ANN, reason="it was the network")).ok
    assert (await world.incident()).phase is Phase.CLOSED


async def test_who_took_a_declared_incident_over_is_who_ends_it(world: World) -> None:
    identity = (await declare(world)).incident
    assert (await world.operations.take_over(identity, by=ANN)).ok
    await world.run(7200.0)
    assert (await world.incident()).phase is Phase.ESCALATED
    assert "CheckBegan" not in await world.kinds(), "no look may end it"


async def test_an_alert_of_the_service_has_its_own_incident_which_is_repaired_as_ever(world: World) -> None:
    declared = (await declare(world, service="api")).incident
    world.clock.time += 5.0
    world.fails()
    await world.fire()
    await world.run(120.0)
    incident = await world.incident()
    assert incident.id != declared
    assert [one.result for one in incident.done] == ["passed"]
    kept = await world.store.incident(declared)
    assert kept is not None
    assert (kept.open, kept.done) == (True, ())


async def test_a_declared_incident_goes_on_after_a_crash(world: World) -> None:
    identity = (await declare(world)).incident
    await world.close()
    await world.open()
    await world.run(3600.0)
    assert (await world.operations.note(identity, by=ANN, text="still looking")).ok


@pytest.mark.parametrize(
    ("title", "service", "status"),
    [(" ", "", Status.CONFLICT), ("x" * 101, "", Status.CONFLICT), ("slow", "nobody-knows", Status.NOT_FOUND)],
)
async def test_what_can_not_be_declared_says_why(world: World, title: str, service: str, status: Status) -> None:
    answer = await declare(world, title, service)
    assert answer.status is status
    assert answer.text


async def test_viewers_neither_declare_nor_judge(world: World) -> None:
    identity = (await declare(world)).incident
    vic = replace(ANN, person="vic")
    said = await world.operations.declare(by=vic, severity=Severity.P1, title="fire")
    assert said.status is Status.FORBIDDEN
    said = await world.operations.change_severity(identity, by=vic, severity=Severity.P1, reason="worse")
    assert said.status is Status.FORBIDDEN


async def judged(world: World, severity: Severity) -> Answer:
    incident = await world.incident()
    return await world.operations.change_severity(incident.id, by=ANN, severity=severity, reason="only a test system")


async def slow(world: World, tier: str = "", fingerprint: str = "f" * 16) -> None:
    """Fire an alert that the rule gives P3, or P1 in the gold tier."""
    alert = world.alert("Slow")
    await world.fire(replace(alert, labels={**alert.labels, "tier": tier}, fingerprint=fingerprint))


async def test_a_severity_that_a_person_judged_stands_against_alerts_that_are_no_worse(world: World) -> None:
    await slow(world, "gold")
    assert (await world.incident()).severity is Severity.P1
    assert (await judged(world, Severity.P4)).ok
    await slow(world, "", "a" * 16)
    await slow(world, "gold", "b" * 16)
    incident = await world.incident()
    assert (incident.alerts, incident.severity) == (3, Severity.P4)
    assert "ann (via cli) made it P4: only a test system." in await world.story()


async def test_an_alert_that_is_worse_than_any_before_raises_what_a_person_judged(world: World) -> None:
    await slow(world)
    assert (await judged(world, Severity.P4)).ok
    await slow(world, "gold", "a" * 16)
    assert (await world.incident()).severity is Severity.P1


async def test_a_severity_needs_a_reason_and_a_change(world: World) -> None:
    await slow(world)
    identity = (await world.incident()).id
    for severity, reason in ((Severity.P1, " "), (Severity.P3, "as it is")):
        answer = await world.operations.change_severity(identity, by=ANN, severity=severity, reason=reason)
        assert answer.status is Status.CONFLICT
