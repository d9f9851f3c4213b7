"""The incident that the README shows, as the real machine tells it in the small world; `make docs` writes it there.

A bad release: its health check is fine, half of its requests fail. A restart doesn't help, a second instance doesn't
either and is taken back, and the rollback to the version before does.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import textwrap
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from receiver.chat.render import MARKS
from receiver.core.playbook import Query, Verification
from receiver.core.severity import Severity
from receiver.core.timeline import Entry, entries
from receiver.ports import Sample
from receiver.targets import known_good_key
from remediations.runtimes.memory import Behaviour
from tests.simulation.world import FakeClock, FakeMetrics, World, playbook, policy, step

README: Final = Path(__file__).parents[2] / "README.md"
BEGIN: Final = "<!-- Written by `make docs` from a simulated incident; a test holds it current. -->\n```\n"
END: Final = "```\n"

SERVICE: Final = "smartresume-api"
GOOD, BAD = "smartresume-api:1.0", "smartresume-api:1.1"
NIGHT: Final = datetime(2026, 11, 24, 2, 14, tzinfo=UTC).timestamp()
WIDTH: Final = 118

VERIFY: Final = Verification(
    health=False,
    queries=(Query("error_rate", "< 0.05", name="error rate"),),
    initial_delay=10.0,
    interval=10.0,
    consecutive_failures=3,
)


class ErrorRate(FakeMetrics):
    """A Prometheus that sees what the running images do."""

    def __init__(self, clock: FakeClock, world: World) -> None:
        super().__init__(clock)
        self._world = world

    async def query(self, expr: str, at: float | None = None) -> Sequence[Sample]:
        """Return the share of requests that fail: half of them while the bad release runs."""
        images = {one.image_id for one in self._world.runtime.services[SERVICE].instances.values()}
        self.values = {"error_rate": 0.5 if BAD in images else 0.0}
        return await super().query(expr, at)


async def story(directory: Path) -> list[Entry]:
    """Play the incident in a fresh world and return its timeline."""
    steps = (
        step("restart", verify=VERIFY),
        step("scale", verify=VERIFY, parameters={"by": 1}, undo=True),
        step("rollback", verify=VERIFY),
    )
    leading = replace(playbook(*steps, name="high-error-rate", alert="HighErrorRate"), severity=Severity.P2)
    rules = policy(leading, services=(SERVICE,))
    world = World(directory / "picture.db", rules)
    world.clock.time = NIGHT
    world.metrics = ErrorRate(world.clock, world)
    await world.open()
    try:
        world.runtime.create(SERVICE, f"{SERVICE}-1", BAD)
        service = world.runtime.services[SERVICE]
        service.versions[GOOD] = Behaviour.HEALTHY
        service.lines[f"{SERVICE}-1"] = ("INFO release 1.1 listens", *("ERROR scoring failed: wrong shape",) * 14)
        version = {"image_id": GOOD, "image": GOOD, "since": NIGHT - 9e4, "spec": {}}
        kept = {"image_id": BAD, "changed_at": NIGHT - 60, "good_since": None, "seen_at": 0.0, "versions": [version]}
        await world.store.put(known_good_key(SERVICE), kept)
        world.clock.time += 5.0
        await world.fire(world.alert("HighErrorRate", service=SERVICE, began=NIGHT))
        await world.run(120.0)
        await world.fire(world.alert("HighErrorRate", status="resolved", service=SERVICE, began=NIGHT))
        await world.run(60.0)
        return entries(await world.store.events((await world.incident()).id))
    finally:
        await world.close()


def picture(told: Sequence[Entry]) -> str:
    """Return the timeline as the README shows it; looks that only repeat a verdict are left out."""
    lines: list[str] = []
    for entry in told:
        if entry.kind in {"sampled", "check_began"}:
            continue
        front = f"{datetime.fromtimestamp(entry.at, UTC):%H:%M:%S} {MARKS[entry.tone]} "
        lines += textwrap.wrap(front + entry.text, WIDTH, subsequent_indent=" " * len(front), break_on_hyphens=False)
    return "\n".join(lines) + "\n"


def placed(page: str, text: str) -> str:
    """Return the page with the text in its place."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}{text}{END}{after}"


def main() -> None:
    """Write the README."""
    with tempfile.TemporaryDirectory() as directory:
        told = asyncio.run(story(Path(directory)))
    README.write_text(placed(README.read_text(), picture(told)))
    sys.stdout.write(f"{README.name}: written\n")


if __name__ == "__main__":
    main()
