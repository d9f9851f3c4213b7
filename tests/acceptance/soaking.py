"""What the kill -9 tests have in common: the moments of the kills, how incidents end, the figures of a run."""

from __future__ import annotations

import os
import platform
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import httpx

from tests.acceptance.service import Service

ROUNDS: Final = int(os.environ.get("REMEDIATOR_SOAK_ROUNDS", "50"))
"""Kills of a full soak on each kind of target (make soak)."""

ENDED: Final = frozenset({"resolved", "escalated", "closed"})

ENDS: Final = frozenset({"step_finished", "step_withdrawn"})
"""How an intent ends in a timeline."""

FOREVER: Final = "9999"
"""Later than every ISO time."""

REPORT: Final = """\
# Soak: kill -9 in the middle of incidents

Written by `make soak` on {date} with Python {python}. The real `remediator serve` is killed with SIGKILL at random
moments, and on containers also right after the engine tells of a change: between an effect and its stored outcome. It
is started again, now and then killed before it is ready, while alerts come as Alertmanager sends them: until they are
acknowledged, some of them and of the resolves twice.

{table}

Held in every round: each acknowledged alert is in exactly one incident; each incident ended resolved or with people;
each intent has one outcome, nothing was done before its intent was stored, and nothing after the incident's end. On the
counting target each action arrived exactly once. On containers, by the engine's own events, `StartedAt` and `Created`:
each restart stopped and started its container once and kept it; each planned copy was created, started and removed once
and the original never touched; each rollback left one container in its place with the known-good image and the old
restart policy; nothing was left over. One of the seven services can't be cured, since its known-good image doesn't
become healthy either: its rollback was tried once and taken back whole, and its incidents are the escalated ones.

`tests/acceptance/test_kill9.py` and `test_kill9_containers.py` hold the same with five kills each in `make test`.
"""


@dataclass(frozen=True, slots=True)
class Figures:
    """What a soak counted.

    Args:
        target: what was acted on.
        kills: of the process; `aimed` of them right after the engine told of a change.
        within: kills between a stored intent and its stored outcome.
        states: incidents by their state at the end.
        done: what was done to the target, by name.
        asked: questions to the target about an intent in doubt; None where it can't count them.
        repeated: deliveries that failed and were sent again.
        seconds: that it took.
        seed: of the dice.
    """

    target: str
    kills: int
    aimed: int
    within: int
    states: Mapping[str, int]
    done: Mapping[str, int]
    asked: int | None
    repeated: int
    seconds: float
    seed: int

    def rows(self) -> dict[str, str]:
        """Return each figure by its name."""
        return {
            "target": self.target,
            "kill -9": str(self.kills),
            "right after a change that the engine told of": str(self.aimed),
            "between a stored intent and its stored outcome": str(self.within),
            "incidents": f"{sum(self.states.values())}: {_listed(self.states)}",
            "done to the target": _listed(self.done),
            "questions about an intent in doubt": "not counted" if self.asked is None else str(self.asked),
            "deliveries repeated until acknowledged": str(self.repeated),
            "seconds": f"{self.seconds:.0f}",
            "seed": str(self.seed),
        }

    def __str__(self) -> str:
        return "; ".join(f"{name}: {figure}" for name, figure in self.rows().items())


def report(runs: Sequence[Figures], date: str) -> str:
    """Return the report of a soak, one column a run."""
    columns = [one.rows() for one in runs]
    names = list(columns[0])
    rows = [["---", *("---" for _ in runs)], *([name, *(one[name] for one in columns)] for name in names[1:])]
    lines = ["| " + " | ".join(row) + " |" for row in [["", *(one["target"] for one in columns)], *rows]]
    return REPORT.format(date=date, python=platform.python_version(), table="\n".join(lines))


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))


def await_end(service: Service, count: int, deadline: float) -> list[dict[str, Any]]:
    """Return all incidents once there are at least that many and all have ended or are with people.

    Args:
        count: of incidents that there will be.
        deadline: by the monotonic clock.
    """
    while True:
        try:
            found = service.incidents()
        except httpx.TransportError:
            found = []
        if len(found) >= count and all(one["state"] in ENDED for one in found):
            return found
        if time.monotonic() > deadline:
            raise AssertionError(_still_open(service, found, count))
        time.sleep(0.25)


def _still_open(service: Service, found: list[dict[str, Any]], count: int) -> str:
    states = Counter(one["state"] for one in found)
    lines = [f"not all of {count} ended: {dict(states)}"]
    for one in [one for one in found if one["state"] not in ENDED][:3]:
        lines.append(f"{one['id']} of {one['target']}:")
        lines += [f"  {entry['at']} {entry['text']}" for entry in service.timeline(one["id"])]
    return "\n".join([*lines, service.child.tail()])


def kills_within(timelines: Sequence[list[dict[str, Any]]], kills: Sequence[str]) -> int:
    """Count the kills that fell between a stored intent and its stored outcome, by ISO times."""
    spans: list[tuple[str, str]] = []
    for timeline in timelines:
        begun = {one["data"]["action_id"]: one["at"] for one in timeline if one["kind"] == "step_started"}
        ended = {one["data"]["action_id"]: one["at"] for one in timeline if one["kind"] in ENDS}
        spans += [(at, ended.get(action, FOREVER)) for action, at in begun.items()]
    return sum(any(begun <= kill <= ended for begun, ended in spans) for kill in kills)
