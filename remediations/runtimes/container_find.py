"""Which containers a selector means, and what an inspection says about an instance."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from remediations.protocol import Health, Instance, Target, TargetAmbiguous, TargetNotFound
from remediations.runtimes.container_spec import name_of

OLD = ".remediator-old"
"""How a container is named that waits for its replacement to become healthy."""

FAILED = ".remediator-failed"
"""How a replacement is named that did not become healthy, until the old container is back in its place."""

PROJECT = "com.docker.compose.project"
ONE_OFF = "com.docker.compose.oneoff"
BY_NAME = "container_name"
SHOWN = 12

_OWN_ID = re.compile(r"/containers/([0-9a-f]{64})/")
_FRACTION = re.compile(r"\.(\d{1,6})\d*")


def own_container_id() -> str | None:
    """Return the ID of the container that this process runs in, None outside of one."""
    try:
        found = _OWN_ID.search(Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return None
    return found.group(1) if found else None


def filters(target: Target) -> dict[str, list[str]]:
    """Return the engine's filters for a selector of labels, and `container_name` for a plain container."""
    wanted: dict[str, list[str]] = {}
    for key, value in target.selector.items():
        if key == BY_NAME:
            wanted.setdefault("name", []).append(f"^/{re.escape(value)}$")
        else:
            wanted.setdefault("label", []).append(f"{key}={value}")
    return wanted


def chosen(target: Target, rows: Sequence[Mapping[str, Any]], others: Sequence[str]) -> list[str]:
    """Return the IDs of the rows that are the target's.

    Raises:
        TargetNotFound: there is none; names what exists.
        TargetAmbiguous: they belong to more than one compose project.
    """
    mine = [row for row in rows if (row.get("Labels") or {}).get(ONE_OFF, "False") != "True" and not _set_aside(row)]
    looked = looked_for(target)
    if not mine:
        there = ", ".join(sorted(others)[:SHOWN]) or "no container at all"
        raise TargetNotFound(f"no container of {target.service} (looked for {looked}); there is: {there}")
    projects = sorted({(row.get("Labels") or {}).get(PROJECT, "") for row in mine})
    if len(projects) > 1:
        named = ", ".join(one or "(none)" for one in projects)
        raise TargetAmbiguous(
            f"{looked} is found in more than one compose project: {named}; add {PROJECT} to the selector"
        )
    return [str(row["Id"]) for row in mine]


def looked_for(target: Target) -> str:
    """Return a selector for people."""
    return ", ".join(f"{key}={value}" for key, value in target.selector.items())


def row_name(row: Mapping[str, Any]) -> str:
    """Return a listed container's name."""
    return str((row.get("Names") or ["?"])[0]).lstrip("/")


def _set_aside(row: Mapping[str, Any]) -> bool:
    return row_name(row).endswith((OLD, FAILED))


def instance(container: Mapping[str, Any]) -> Instance:
    """Return what an inspection says about an instance."""
    state = container["State"]
    health = (state.get("Health") or {}).get("Status", "none")
    labels = container["Config"].get("Labels") or {}
    return Instance(
        id=container["Id"],
        name=name_of(container),
        running=bool(state.get("Running")) and not state.get("Paused") and not state.get("Restarting"),
        health=Health(health) if health in set(Health) else Health.NONE,
        image_id=container["Image"],
        image=container["Config"]["Image"],
        started_at=moment(state.get("StartedAt")),
        created_at=moment(container.get("Created")) or 0.0,
        restart_count=int(container.get("RestartCount") or 0),
        status=_status(state),
        stamps={name: value for name, value in labels.items() if name.startswith("remediator.")},
    )


def _status(state: Mapping[str, Any]) -> str:
    status = str(state.get("Status", ""))
    return f"{status} ({state.get('ExitCode')})" if status == "exited" else status


def moment(text: str | None) -> float | None:
    """Return the engine's time as UNIX seconds; None for Go's zero time."""
    if not text or text.startswith("0001-"):
        return None
    cut = _FRACTION.sub(lambda found: f".{found.group(1):0<6}", text, count=1)
    return datetime.fromisoformat(cut).timestamp()
