"""What the demo needs of the place where its service runs; containers.py and processes.py are the two."""

from collections.abc import Mapping
from typing import Any, Protocol

from deploy.demo.stories import Breakable


class Scene(Breakable, Protocol):
    """The running service.

    Attributes:
        url: the service through its proxy, without a slash at its end.
        told: in words, where it runs.
        settings: `REMEDIATOR_*` variables that lead the remediator to it.
        places: an overlay of playbooks.yaml that does.
        discovery: how Prometheus finds its instances.
    """

    url: str
    told: str
    settings: Mapping[str, str]
    places: Mapping[str, Any]
    discovery: Mapping[str, Any]

    def known_good(self) -> bool:
        """Whether the remediator has kept the running release to go back to."""
        ...

    def facts(self) -> dict[str, str]:
        """Return what each instance is right now: name to image and start, as the runtime itself says."""
        ...


def changes(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """Say what became of each instance, in words."""
    told = []
    for name in sorted({*before, *after}):
        if name not in after:
            told.append(f"{name} is gone")
        elif name not in before:
            told.append(f"{name} is new ({after[name]})")
        elif before[name] != after[name]:
            told.append(f"{name}: {before[name]} -> {after[name]}")
    return told
