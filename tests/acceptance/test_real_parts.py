"""From a real break to a verified repair: the real process, engine, Prometheus and Alertmanager, nothing played."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from deploy.demo import images, monitoring, telling
from deploy.demo.containers import Containers, _forget_known_good
from deploy.demo.overlay import policy_files
from deploy.demo.remediator import Remediator, running_remediator
from deploy.demo.stage import Stage, body, create, running_stage
from deploy.demo.stories import STORIES
from deploy.demo.traffic import NORMAL, Traffic
from deploy.parts.alertmanager import running_alertmanager
from deploy.parts.engine import Engine
from deploy.parts.ports import free_port
from deploy.parts.process import PartError, poll_until
from deploy.parts.prometheus import Prometheus, running_prometheus
from tests.acceptance.engine_events import EngineEvents

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.docker,
    pytest.mark.prometheus,
    pytest.mark.alertmanager,
    pytest.mark.timeout(240),
]

BYSTANDER = "bystander"
QUIET = 60.0
"""Seconds until nothing fires, and users are served, before the next break."""


@dataclass(frozen=True, slots=True)
class World:
    """Everything that runs, real."""

    stage: Stage
    scene: Containers
    prometheus: Prometheus
    remediator: Remediator
    traffic: Traffic
    events: EngineEvents

    def bystander(self) -> tuple[str, str, str]:
        """Return the ID, start and image of the container that nobody has any business with."""
        facts = self.stage.engine.get(f"/containers/{BYSTANDER}/json").json()
        return facts["Id"], facts["State"]["StartedAt"], facts["Image"]

    def touched(self, mark: int) -> dict[str, set[str]]:
        """Return what the engine says was done to containers since a mark: name to the actions."""
        done: dict[str, set[str]] = {}
        for event in self.events.since(mark):
            done.setdefault(event.name, set()).add(event.action)
        return done


@pytest.fixture(scope="module")
def world(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Run all parts once for every story of this file."""
    directory = tmp_path_factory.mktemp("real-parts")
    with ExitStack() as stack:
        # Images outlive a test run, and with them the tags by which that run's remediator knew them as good.
        _forget_known_good(engine)
        stage = stack.enter_context(running_stage(engine, port=free_port()))
        scene = Containers(engine, stage)
        # Of another service, as another project's container that runs beside.
        identity = create(stage.engine, BYSTANDER, body("bystander", images.GOOD))
        stack.callback(stage.engine.delete, f"/containers/{identity}", params={"force": "1"})
        traffic = stack.enter_context(Traffic(f"{stage.url}/api/v1/resumes"))
        port = free_port()
        webhook = f"http://127.0.0.1:{port}/webhooks/alertmanager"
        alertmanager = stack.enter_context(
            running_alertmanager(directory / "alertmanager", monitoring.alertmanager_config(webhook))
        )
        config = monitoring.prometheus_config(
            scene.discovery,
            alertmanager=alertmanager.url.removeprefix("http://"),
            proxy=stage.address,
            remediator=f"127.0.0.1:{port}",
        )
        prometheus = stack.enter_context(running_prometheus(directory / "prometheus", config))
        settings = {
            "REMEDIATOR_PROMETHEUS_URL": prometheus.url,
            "REMEDIATOR_ALERTMANAGER_URL": alertmanager.url,
            **scene.settings,
        }
        remediator = stack.enter_context(
            running_remediator(
                directory, port=port, playbooks=policy_files(directory, scene.places), settings=settings, show=False
            )
        )
        # Followed as they happen: the engine remembers its last 256 only, and the health checks' own are among them.
        events = stack.enter_context(EngineEvents(engine))
        yield World(stage, scene, prometheus, remediator, traffic, events)


@pytest.fixture(autouse=True)
def calm(world: World) -> None:
    """Begin with one healthy container of the good release, users that are served, and nothing that fires."""
    world.traffic.rate = NORMAL
    if len(world.stage.containers()) != 1 or not world.stage.healthy():
        world.stage.deploy(images.GOOD)
    poll_until(lambda: world.prometheus.value("service:up:max") == 1, QUIET, "Prometheus doesn't see the service")
    poll_until(lambda: world.prometheus.value("service:http_requests:rate10s") > 1, QUIET, "no traffic is seen")
    poll_until(lambda: not world.prometheus.query("ALERTS"), QUIET, "something still fires")


def told(world: World, name: str) -> tuple[dict[str, Any], list[dict[str, Any]], dict[str, set[str]]]:
    """Break the service as a story does; return the incident at its end, its timeline, and what the engine saw done."""
    story = STORIES[name]
    before = world.bystander()
    broken, mark = time.time(), world.events.mark()
    story.cause(world.scene, world.traffic)
    repairing = world.events.mark()
    if story.calm is not None:
        watched(world, broken, {"cleanup", "resolved"})
        story.calm(world.traffic)
    incident = watched(world, broken, {"resolved"})
    assert world.bystander() == before, "a container was touched that has nothing to do with it"
    touched = world.touched(mark)
    strangers = [one for one in touched if not one.startswith("smartresume-smartresume-api-")]
    assert not strangers, f"the engine saw others touched: {touched}"
    # A restart's own gap may let ServiceDown join; no other alert has a reason to.
    alerts = {one["labels"]["alertname"] for one in incident["alerts"]}
    assert story.alert in alerts
    assert alerts <= {story.alert, "ServiceDown"}
    assert {one["status"] for one in incident["alerts"]} == {"resolved"}
    assert (incident["firing"], incident["mode"]) == (0, "act")
    assert incident["resolved_at"] is not None
    timeline = world.remediator.timeline(incident["id"])
    complete(timeline, incident)
    return incident, timeline, world.touched(repairing)


def watched(world: World, since: float, states: set[str]) -> dict[str, Any]:
    """Wait for an incident's state; a failure shows its timeline."""
    try:
        return telling.watch(world.remediator, since, states)
    except PartError as error:
        incident = telling.newest(world.remediator, since)
        lines = [] if incident is None else world.remediator.timeline(incident["id"])
        pytest.fail("\n".join([str(error), *(f"{line['at']}  {line['text']}" for line in lines)]), pytrace=False)


def complete(timeline: list[dict[str, Any]], incident: dict[str, Any]) -> None:
    """Hold that the timeline tells all of it: from the alert to the evidence, each step begun, ended and judged."""
    kinds = [entry["kind"] for entry in timeline]
    assert kinds[0] == "opened"
    assert kinds[-1] == "resolved"
    assert kinds.index("alerts_changed") < kinds.index("diagnosed") < kinds.index("step_started")
    assert all(entry["text"] for entry in timeline)
    diagnosed = only(timeline, "diagnosed")
    assert diagnosed["findings"], "the diagnosis found nothing"
    assert diagnosed["confirmed"] is True, "it was not confirmed by Prometheus itself"
    begun = {entry["data"]["action_id"] for entry in timeline if entry["kind"] == "step_started"}
    ended = {entry["data"]["action_id"] for entry in timeline if entry["kind"] == "step_finished"}
    assert begun == ended
    judged = [entry["data"]["step"] for entry in timeline if entry["kind"] == "verified"]
    assert {step["step"] for step in incident["steps"] if step["result"] in {"passed", "failed"}} <= set(judged)
    assert only(timeline, "resolved")["evidence"], "it was resolved without evidence"


def only(timeline: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    """Return the data of the one entry of a kind."""
    (entry,) = [entry for entry in timeline if entry["kind"] == kind]
    data: dict[str, Any] = entry["data"]
    return data


def steps(incident: dict[str, Any]) -> list[tuple[str, str]]:
    """Return each step with its result, in order."""
    return [(step["step"], step["result"].split(" ")[0]) for step in incident["steps"]]


def measured(timeline: list[dict[str, Any]], step: str, query: str) -> tuple[float | None, float]:
    """Return a query's figures before the first action and after a step's verification, as the timeline has them."""
    (entry,) = [
        one for one in timeline if one["kind"] == "verified" and one["data"]["step"] == step and one["data"]["after"]
    ][:1]

    def value(readings: list[dict[str, Any]]) -> float | None:
        return next((one["value"] for one in readings if one.get("name") == query), None)

    after = value(entry["data"]["after"])
    assert isinstance(after, int | float), f"nothing was measured: {entry['data']}"
    assert f"{query} " in entry["text"], "the figures are not told"
    return value(entry["data"]["before"]), after


def one_container(world: World) -> dict[str, Any]:
    (facts,) = world.stage.containers()
    return facts


@pytest.mark.parametrize("name", ["down", "hang"])
def test_a_service_that_is_down_is_restarted_and_up_again(world: World, name: str) -> None:
    before = one_container(world)
    incident, timeline, touched = told(world, name)
    after = one_container(world)
    assert after["State"]["StartedAt"] > before["State"]["StartedAt"]
    assert (after["Id"], after["Image"]) == (before["Id"], before["Image"])
    assert world.stage.healthy()
    assert steps(incident) == [("restart", "passed")]
    assert (incident["severity"], incident["playbook"]) == ("P1", "service-down")
    assert measured(timeline, "restart", "an instance is up")[1] == 1
    assert touched.keys() == {"smartresume-smartresume-api-1"}


def test_a_bad_release_is_rolled_back_since_a_restart_does_not_help(world: World) -> None:
    poll_until(world.scene.known_good, QUIET, "the running release wasn't kept as known good")
    incident, timeline, _ = told(world, "bad-image")
    after = one_container(world)
    assert after["Image"] == world.stage.images[images.GOOD]
    assert {httpx.get(f"{world.stage.url}/api/v1/resumes", timeout=10.0).status_code for _ in range(6)} == {200}
    tried = steps(incident)
    assert tried[0] == ("restart", "failed")
    assert tried[-1] == ("rollback", "passed")
    # Where a slow machine makes the restart's gap long enough for ServiceDown, its ladder leads, which has no scale.
    assert tried[1:-1] == ([("scale", "failed")] if incident["playbook"] == "high-error-rate" else [])
    kinds = [entry["data"]["kind"] for entry in timeline if entry["kind"] == "step_started"]
    assert kinds.count("undo") == len(tried[1:-1])
    figure = "error rate" if incident["playbook"] == "high-error-rate" else "an instance is up"
    later = measured(timeline, "rollback", figure)[1]
    assert later < 0.05 if figure == "error rate" else later == 1


def test_a_surge_is_served_by_a_second_instance_which_goes_when_it_is_calm(world: World) -> None:
    before = one_container(world)
    incident, timeline, touched = told(world, "slow")
    after = one_container(world)
    assert (after["Id"], after["State"]["StartedAt"]) == (before["Id"], before["State"]["StartedAt"])
    assert steps(incident)[0] == ("scale", "passed")
    assert measured(timeline, "scale", "p95 response time")[1] < 1
    kinds = [entry["data"]["kind"] for entry in timeline if entry["kind"] == "step_started"]
    assert kinds == ["step", "cleanup"]
    assert {"create", "start", "destroy"} <= touched["smartresume-smartresume-api-2"]
    assert "smartresume-smartresume-api-1" not in touched


@pytest.fixture(scope="module", autouse=True)
def no_leftovers(world: World) -> Iterator[None]:
    """Hold at the end that no story left an incident open."""
    yield
    open_now = [one for one in world.remediator.incidents() if one["state"] != "resolved"]
    assert not open_now
