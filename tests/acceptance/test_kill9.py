"""The real process, killed with -9 at random moments of many incidents: nothing is lost and nothing is done twice."""

from __future__ import annotations

import itertools
import json
import os
import random
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.acceptance.counting import Counting
from tests.acceptance.service import JSON, WEBHOOK, Service, alert, group, running

pytestmark = pytest.mark.acceptance

ROUNDS = int(os.environ.get("REMEDIATOR_SOAK_ROUNDS", "10"))
ENDED = {"resolved", "escalated", "closed"}


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


class Sender:
    """Plays Alertmanager: sends each alert until it is acknowledged, repeats some, and tells of each resolve."""

    def __init__(self, service: Service, target: Counting, names: list[str], pace: float, seed: int) -> None:
        self.acknowledged: set[str] = set()
        self.failed = 0
        self.over = threading.Event()
        self._url = f"{service.url}{WEBHOOK}"
        self._target = target
        self._names = names
        self._pace = pace
        self._random = random.Random(seed)
        self.thread = threading.Thread(target=self._run, name="sender", daemon=True)

    def _run(self) -> None:
        firing: dict[str, dict[str, Any]] = {}
        with httpx.Client(timeout=20.0, trust_env=False) as http:
            for name in self._names:
                firing[name] = alert("Broken", name)
                self._deliver(http, firing[name])
                self.acknowledged.add(name)
                if self._random.random() < 0.3:
                    self._deliver(http, firing[self._random.choice(list(firing))])
                self._resolve(http, firing)
                if self.over.wait(self._pace * self._random.uniform(0.5, 1.5)):
                    return
            while firing and not self.over.wait(0.1):
                self._resolve(http, firing)

    def _resolve(self, http: httpx.Client, firing: dict[str, dict[str, Any]]) -> None:
        for name in [name for name in firing if self._target.acted_on(name)]:
            begun = firing.pop(name)
            self._deliver(http, {**alert("Broken", name, status="resolved"), "startsAt": begun["startsAt"]})

    def _deliver(self, http: httpx.Client, one: dict[str, Any]) -> None:
        """Send until a 2xx, as Alertmanager does."""
        while not self.over.is_set():
            try:
                if http.post(self._url, content=group(one), headers=JSON).is_success:
                    return
            except httpx.TransportError:
                pass
            self.failed += 1
            self.over.wait(0.05)


def soak(directory: Path, *, kills: int, incidents: int, seed: int, limit: float) -> None:
    """Run it and hold the invariants; `limit` in seconds."""
    begun = time.monotonic()
    dice = random.Random(seed)
    names = [f"target-{number:03d}" for number in range(incidents)]
    with Counting() as target:
        file = directory / "playbooks.yaml"
        file.write_text(json.dumps(policy(target, names)))
        with running(directory, [file], "act") as service:
            # The alerts are spread over all the kills; a start takes about a second.
            sender = Sender(service, target, names, pace=2.0 * kills / incidents, seed=seed)
            sender.thread.start()
            try:
                for _ in range(kills):
                    time.sleep(dice.uniform(0.1, 1.5))
                    service.kill()
                    # Now and then it doesn't even live to be ready.
                    service.start(wait=dice.random() < 0.8)
                if not service.child.running():
                    raise AssertionError(f"it did not start again:\n{service.child.tail()}")
                ended = wait_for_end(service, names, begun + limit)
            finally:
                sender.over.set()
                sender.thread.join()
            held(service, target, sender, ended)
            states = Counter(one["state"] for one in ended.values())
    print(
        f"\n{kills} kills, {incidents} incidents: {dict(states)}, {sum(map(len, target.calls.values()))} calls, "
        f"{target.asked} in doubt and asked for, {sender.failed} deliveries repeated, "
        f"{time.monotonic() - begun:.1f} s (seed {seed})"
    )


def wait_for_end(service: Service, names: list[str], deadline: float) -> dict[str, dict[str, Any]]:
    """Return each target's incident with its timeline once all have ended or are with people."""
    while True:
        try:
            found = service.incidents()
        except httpx.TransportError:
            found = []
        if len(found) >= len(names) and all(one["state"] in ENDED for one in found):
            break
        states = Counter(one["state"] for one in found)
        stuck = [one["id"] for one in found if one["state"] not in ENDED][:3]
        assert time.monotonic() < deadline, f"not all ended: {dict(states)}, such as {stuck}\n{service.child.tail()}"
        time.sleep(0.25)
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


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_many_kills_lose_nothing_and_do_nothing_twice(tmp_path: Path) -> None:
    soak(tmp_path, kills=ROUNDS, incidents=10 * ROUNDS, seed=2, limit=60 + 6 * ROUNDS)
