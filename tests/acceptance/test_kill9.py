"""The real process, killed with -9 at random moments of many incidents: nothing is lost and nothing is done twice."""

from __future__ import annotations

import itertools
import json
import random
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.counting import Counting
from tests.acceptance.sender import Sender
from tests.acceptance.service import Service, running, stamp
from tests.acceptance.soaking import ROUNDS, Figures, await_end, kills_within

pytestmark = pytest.mark.acceptance


def policy(target: Counting, services: list[str]) -> dict[str, Any]:
    """Return a policy whose one step calls the counting target: not idempotent, and answerable afterwards."""
    call = {
        "url": f"http://{target.address}/act/{{{{ labels.service }}}}",
        "status_url": f"http://{target.address}/calls/{{action_id}}",
        "time_limit": 5,
    }
    quick = {"initial_delay": "0s", "interval": "200ms", "consecutive": 2, "timeout": "20s"}
    return {
        "engines": {"none": {"url": f"tcp://{target.address}"}},
        "services": {
            name: {
                "engine": "none",
                "selector": {"service": name},
                "health": {"urls": [f"http://{target.address}/health/{name}"]},
            }
            for name in services
        },
        "defaults": {
            "settle": "200ms",
            "hold": "200ms",
            "resolve_within": "2m",
            "diagnose": False,
            "verify": {"health": True, "target": False, **quick},
            "approval": {"http": "none"},
            "guardrails": {"require_confirmation": False, "cooldown": "0s", "max_runs": 1000},
            "fleet": {"max_actions": 1000, "window": "10m", "max_under_way": 20},
        },
        "playbooks": [
            {
                "name": "call",
                "match": 'alertname="Broken"',
                "severity": "P2",
                "steps": [{"name": "call", "action": "http", "parameters": call, "timeout": "6s"}],
            }
        ],
    }


def soak(directory: Path, *, kills: int, incidents: int, seed: int, limit: float) -> Figures:
    """Run it and hold the invariants; `limit` in seconds."""
    begun = time.monotonic()
    dice = random.Random(seed)
    names = [f"target-{number:03d}" for number in range(incidents)]
    times: list[str] = []
    with Counting() as target:
        file = directory / "playbooks.yaml"
        file.write_text(json.dumps(policy(target, names)))
        with running(directory, [file], "act") as service:
            # The alerts are spread over all the kills; a start takes about a second.
            alerts = [("Broken", name) for name in names]
            sender = Sender(service.url, alerts, target.acted_on, pace=2.0 * kills / incidents, seed=seed)
            sender.thread.start()
            try:
                for _ in range(kills):
                    time.sleep(dice.uniform(0.1, 1.5))
                    times.append(stamp(time.time()))
                    service.kill()
                    # Now and then it doesn't even live to be ready.
                    service.start(wait=dice.random() < 0.8)
                if not service.child.running():
                    raise AssertionError(f"it did not start again:\n{service.child.tail()}")
                ended = whole(service, names, await_end(service, incidents, begun + limit))
            finally:
                sender.over.set()
                sender.thread.join()
            held(service, target, sender, ended)
    figures = Figures(
        target="a counting HTTP target",
        kills=kills,
        aimed=0,
        within=kills_within([one["timeline"] for one in ended.values()], times),
        states=Counter(one["state"] for one in ended.values()),
        done={"calls": sum(map(len, target.calls.values()))},
        asked=target.asked,
        repeated=sender.failed,
        seconds=time.monotonic() - begun,
        seed=seed,
    )
    print(f"\n{figures}")
    return figures


def whole(service: Service, names: list[str], found: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return each target's incident with its timeline."""
    assert sorted(one["target"] for one in found) == sorted(names), "one incident for each target"
    return {one["target"]: {**one, "timeline": service.timeline(one["id"])} for one in found}


def held(service: Service, target: Counting, sender: Sender, ended: dict[str, dict[str, Any]]) -> None:
    """Hold what must be true after any number of kills."""
    assert sender.acknowledged <= ended.keys(), "an acknowledged alert was lost"
    twice = {name: keys for name, keys in target.calls.items() if len(keys) != 1}
    assert not twice, f"called more than once: {twice}"
    for name, one in ended.items():
        ids = {
            kind: [entry["data"]["action_id"] for entry in one["timeline"] if entry["kind"] == kind]
            for kind in ("step_started", "step_withdrawn")
        }
        # One that never arrived is given up, and decided anew under another id.
        begun = [action_id for action_id in ids["step_started"] if action_id not in ids["step_withdrawn"]]
        assert set(target.calls.get(name, [])) <= set(begun), f"{name}: a call whose intent was never stored"
        assert len(begun) == len(set(begun))
        if one["state"] == "resolved":
            assert target.calls[name] == begun, f"{name}: the timeline and the target disagree"
            assert one["firing"] == 0
        sequence = [entry["seq"] for entry in one["timeline"]]
        assert all(earlier < later for earlier, later in itertools.pairwise(sequence)), f"{name}: {sequence}"
    assert service.get("/api/v1/unmatched")["items"] == []
    assert service.get("/api/v1/quarantine")["items"] == []


@pytest.mark.timeout(90)
def test_five_kills_in_thirty_incidents_lose_nothing_and_do_nothing_twice(tmp_path: Path) -> None:
    soak(tmp_path, kills=5, incidents=30, seed=1, limit=60)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_many_kills_lose_nothing_and_do_nothing_twice(tmp_path: Path, soak_report: list[Figures]) -> None:
    soak_report.append(soak(tmp_path, kills=ROUNDS, incidents=10 * ROUNDS, seed=2, limit=60 + 6 * ROUNDS))
