"""The real `remediator serve`, as a process of its own, with its console shown and its log kept."""

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx

from deploy.parts.process import Child, start, wait_until
from deploy.parts.prometheus import is_ready

START_TIMEOUT: Final = 30.0
"""Seconds until it must be ready."""

STOP_TIMEOUT: Final = 40.0
"""Seconds that it has to finish what runs (its own limit is 30) before it is killed."""


@dataclass(frozen=True, slots=True)
class Remediator:
    """A running remediator.

    Args:
        url: without a slash at its end.
        child: its process.
    """

    url: str
    child: Child

    @property
    def webhook(self) -> str:
        """Where Alertmanager posts to."""
        return f"{self.url}/webhooks/alertmanager"

    def get(self, path: str) -> Any:
        """Return the JSON at a path of the API; raises httpx.HTTPError when there is none."""
        return httpx.get(f"{self.url}{path}", timeout=10.0).raise_for_status().json()

    def incidents(self) -> list[dict[str, Any]]:
        """Return the incidents, as `GET /api/v1/incidents` lists them."""
        items: list[dict[str, Any]] = self.get("/api/v1/incidents")["items"]
        return items

    def incident(self, identity: str) -> dict[str, Any]:
        """Return one incident."""
        found: dict[str, Any] = self.get(f"/api/v1/incidents/{identity}")
        return found

    def has_told(self, *lanes: str) -> bool:
        """Whether nothing waits to be told in these lanes, in any when none is named."""
        waiting = self.get("/api/v1/outbox?state=waiting")["items"]
        return not [one for one in waiting if not lanes or one["lane"] in lanes]

    def timeline(self, identity: str) -> list[dict[str, Any]]:
        """Return the whole timeline of an incident, page by page."""
        entries: list[dict[str, Any]] = []
        path = f"/api/v1/incidents/{identity}/timeline"
        page = self.get(path)
        while True:
            entries += page["items"]
            if not page.get("next"):
                return entries
            page = self.get(f"{path}?after={page['next']}")


@contextmanager
def running_remediator(
    directory: Path, *, port: int, playbooks: Sequence[Path], settings: Mapping[str, str], show: bool = True
) -> Iterator[Remediator]:
    """Start `remediator serve --mode act`, wait until it is ready, and stop it afterwards.

    Args:
        directory: for its database and log.
        port: on 127.0.0.1.
        playbooks: the policy, later files laid over earlier ones.
        settings: further `REMEDIATOR_*` variables.
        show: whether its console appears on ours.

    Raises:
        PartError: it isn't installed, or didn't become ready; the text has its last log lines.
    """
    directory.mkdir(parents=True, exist_ok=True)
    log = directory / "remediator.log"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("REMEDIATOR_")}
    environment |= {"REMEDIATOR_PLAYBOOKS": ",".join(map(str, playbooks)), **settings}
    command = [_program(), "serve", "--mode", "act", "--listen", f"127.0.0.1:{port}"]
    command += ["--database", f"sqlite:///{directory / 'remediator.db'}"]
    child = start("remediator", command, log, environment, show=show)
    try:
        wait_until(lambda: is_ready(f"http://127.0.0.1:{port}/readyz"), child, START_TIMEOUT)
        yield Remediator(f"http://127.0.0.1:{port}", child)
    finally:
        child.stop(STOP_TIMEOUT)


def _program() -> str:
    """Return the command that belongs to the interpreter that runs us."""
    beside = Path(sys.executable).parent / "remediator"
    return str(beside) if beside.exists() else "remediator"
