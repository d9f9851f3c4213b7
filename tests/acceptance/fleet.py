"""Services in small containers of a real engine: how each breaks, how it is seen to work, what must be true of it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx

from deploy.parts.engine import Engine
from deploy.parts.process import poll_until
from tests.acceptance.engine_events import SERVICE
from tests.integration.docker.conftest import Lab

GOOD, BAD, DEAF = "soak:good", "soak:bad", "soak:deaf"

NO_WAY_BACK = "no way back"
"""The trouble of a bad release while the good one doesn't become healthy any more either: a rollback can't cure it."""

KEPT: Final = "remediator/known-good"

HEALTHY_WITHIN: Final = 30.0

CHECK: Final = ["/bin/busybox", "test", "!", "-e", "/broken", "-a", "!", "-e", "/outside/broken"]
"""What is broken has one of these files; a start removes the first, the second is the outside world's."""


BROKEN: Final = "unhealthy"


@dataclass(frozen=True, slots=True)
class Kind:
    """A service, its trouble, and the alert that tells of it.

    Args:
        alert: whose playbook has one step, which cures it.
        image: that it runs when it is well.
        replicas: its containers when it is well.
        trouble: `stopped`, `hung`, `busy`, `bad release` or `no way back`.
    """

    alert: str
    image: str
    replicas: int
    trouble: str


FLEET: Final[Mapping[str, Kind]] = {
    "down": Kind("Down", GOOD, 1, "stopped"),
    # The deaf ones are killed after the lab's two seconds, so that their restart takes so long.
    "hung": Kind("Down", DEAF, 1, "hung"),
    "hung-pair": Kind("Down", DEAF, 2, "hung"),
    "busy": Kind("Busy", GOOD, 1, "busy"),
    "released": Kind("BadRelease", GOOD, 1, "bad release"),
    "released-pair": Kind("BadRelease", GOOD, 2, "bad release"),
    "spoiled": Kind("BadRelease", GOOD, 1, NO_WAY_BACK),
}
"""Each service by its name; all but the last can be cured."""

ADDED: Final = 2
"""Instances by which a busy service is scaled."""


def command(on_term: str) -> list[str]:
    """Return what a container runs: well again after each start, until somebody puts `/broken` there."""
    script = (
        f"/bin/busybox rm -f /broken; trap '{on_term}' TERM; while true; do /bin/busybox sleep 3600 & wait $!; done"
    )
    return ["/bin/busybox", "sh", "-c", script]


class Fleet:
    """The services on an engine that is ours alone; begins and ends without any container.

    Args:
        outside: a directory that the containers see at `/outside`.
    """

    def __init__(self, engine: Engine, outside: Path) -> None:
        self.engine = engine
        self._outside = outside
        self.lab = Lab(engine)
        self.lab.remove()
        # Images survive from run to run, and with them what another test's remediator kept.
        self._forget()
        # Nine containers are checked: more often, the checks alone would keep a core busy and time out beside others.
        every = f"--interval=2s --timeout=20s --retries=1 CMD {json.dumps(CHECK)}"
        self.lab.image(GOOD, health=None, command=command("exit 0"), healthcheck=every)
        self.lab.image(DEAF, health=None, command=command(""), healthcheck=every)
        # It runs, and never becomes healthy.
        self.lab.image(BAD, health="false", command=command("exit 0"))

    def close(self) -> None:
        """Remove the containers, and the tags by which a remediator kept their images as known good."""
        self.lab.remove()
        self._forget()
        self.lab.api.close()

    def _forget(self) -> None:
        for row in self.lab.api.images(filters={"reference": f"{KEPT}/*"}):
            for tag in row["RepoTags"]:
                self.lab.api.remove_image(tag)

    def deploy(self, service: str, image: str | None = None) -> None:
        """Put new containers of this image in the place of those that are there, as a person does."""
        kind = FLEET[service]
        for facts in self.containers(service):
            self.lab.api.remove_container(facts["Id"], force=True)
        for name in names(service):
            binds = [f"{self._outside}:/outside:ro"] if kind.trouble == NO_WAY_BACK else []
            self.lab.run(name, image or kind.image, service, "soak", Binds=binds)

    def trouble(self, services: Sequence[str]) -> None:
        """Bring each service's trouble about, and wait until the engine sees it."""
        for service in services:
            match FLEET[service].trouble:
                case "stopped":
                    self.lab.api.stop(names(service)[0], timeout=1)
                case "hung":
                    for name in names(service):
                        made = self.lab.api.exec_create(name, ["/bin/busybox", "touch", "/broken"])
                        self.lab.api.exec_start(made["Id"])
                case "bad release":
                    self.deploy(service, BAD)
                case "no way back":
                    self.deploy(service, BAD)
                    (self._outside / "broken").touch()
        for service in services:
            self._await_health(service, {"stopped": "stopped", "busy": "healthy"}.get(FLEET[service].trouble, BROKEN))

    def works(self, service: str) -> bool:
        """Whether its trouble is over: all that it should have is healthy, and it has more when it was busy."""
        kind = FLEET[service]
        wanted = kind.replicas + (ADDED if kind.trouble == "busy" else 0)
        return self.health(service) == ["healthy"] * wanted

    def kept(self) -> set[str]:
        """Return the services whose good image a remediator keeps as known good."""
        rows = self.lab.api.images(filters={"reference": f"{KEPT}/*"})
        return {tag.removeprefix(f"{KEPT}/").partition(":")[0] for row in rows for tag in row["RepoTags"]}

    def _await_health(self, service: str, wanted: str) -> None:
        poll_until(lambda: set(self.health(service)) == {wanted}, HEALTHY_WITHIN, f"{service} isn't {wanted}")

    def health(self, service: str) -> list[str]:
        """Return each container's health, `stopped` for one that doesn't run."""
        found = [facts["State"] for facts in self.containers(service)]
        return [state["Health"]["Status"] if state["Running"] else "stopped" for state in found]

    def containers(self, service: str) -> list[dict[str, Any]]:
        """Return every container of a service as the engine shows it, set aside ones too, ordered by name."""
        filters = json.dumps({"label": [f"{SERVICE}={service}"]})
        with self.engine.client() as http:
            rows = http.get("/containers/json", params={"all": "1", "filters": filters}).raise_for_status().json()
            looks = [http.get(f"/containers/{row['Id']}/json") for row in rows]
        # One that is removed between the list and the look is gone, which is an answer too.
        present = [look.json() for look in looks if look.status_code == httpx.codes.OK]
        return sorted(present, key=lambda facts: str(facts["Name"]))


def names(service: str) -> list[str]:
    """Return the names of a service's containers when it is well."""
    return [f"soak-{service}-{number}" for number in range(1, FLEET[service].replicas + 1)]


def policy(socket: str) -> dict[str, Any]:
    """Return the policy: for each kind of trouble the one step that cures it."""
    quick = {"initial_delay": "0s", "interval": "200ms", "consecutive": 2, "timeout": "30s"}

    def playbook(name: str, alert: str, **step: Any) -> dict[str, Any]:
        # What was never begun is decided anew once the step's limit has passed.
        limits = {"timeout": "10s", "healthy_within": "20s"}
        steps = [{"name": name, "action": name, "allow_gap": True, **limits, **step}]
        return {"name": name, "match": f'alertname="{alert}"', "severity": "P2", "steps": steps}

    return {
        "engines": {"local": {"url": socket}},
        "services": {
            name: {
                "engine": "local",
                "selector": {SERVICE: name},
                "replicas": {"min": 1, "max": kind.replicas + ADDED},
                "traffic": "dns",
            }
            for name, kind in FLEET.items()
        },
        "defaults": {
            "settle": "200ms",
            "hold": "200ms",
            "resolve_within": "2m",
            "diagnose": False,
            "known_good": {"good_after": "2s", "recent": "1h"},
            "verify": {"health": False, "target": True, **quick},
            "approval": {"rollback": "none"},
            "guardrails": {"require_confirmation": False, "cooldown": "0s", "max_runs": 1000},
            "fleet": {"max_actions": 1000, "window": "10m", "max_under_way": 20},
        },
        "playbooks": [
            playbook("restart", "Down"),
            playbook("scale", "Busy", parameters={"by": ADDED}, cleanup_after="500ms"),
            playbook("rollback", "BadRelease"),
        ],
    }
