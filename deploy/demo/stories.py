"""The stories that the demo can tell: what breaks, and what should follow."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from deploy.demo import images
from deploy.demo.traffic import NORMAL, SURGE, Traffic


class Breakable(Protocol):
    """What a story does to the service, wherever that runs."""

    def stop(self) -> None:
        """Stop its first instance."""
        ...

    def fault(self, mode: str, share: float = 0.5) -> None:
        """Give a fault to one process; a restart cures it."""
        ...

    def deploy(self, tag: str) -> None:
        """Run another release in the place of this one."""
        ...


@dataclass(frozen=True, slots=True)
class Story:
    """One way to break the service.

    Args:
        name: on the command line.
        alert: the alert that tells of it.
        told: what is done to the service, in words.
        cause: does it.
        calm: what ends by itself once the incident is resolved, such as a surge.
        needs_known_good: whether the good version must have proven itself first.
        scales: whether instances are added, and taken away again once it is quiet.
        seen_by_health: whether the health endpoint alone shows it; the others need a Prometheus.
    """

    name: str
    alert: str
    told: str
    cause: Callable[[Breakable, Traffic], None]
    calm: Callable[[Traffic], None] | None = None
    needs_known_good: bool = False
    scales: bool = False
    seen_by_health: bool = False


def _surge(_: Breakable, traffic: Traffic) -> None:
    traffic.rate = SURGE


def _calm(traffic: Traffic) -> None:
    traffic.rate = NORMAL


STORIES: Final[dict[str, Story]] = {
    story.name: story
    for story in (
        Story("down", "ServiceDown", "the service is stopped", lambda stage, _: stage.stop(), seen_by_health=True),
        Story(
            "hang",
            "ServiceDown",
            "the process hangs: it runs, and answers nothing",
            lambda stage, _: stage.fault("hang"),
            seen_by_health=True,
        ),
        Story(
            "errors",
            "HighErrorRate",
            "the process begins to fail every second request",
            lambda stage, _: stage.fault("errors"),
        ),
        Story(
            "bad-image",
            "HighErrorRate",
            "release 1.1 is deployed: its health check is fine, and every second request fails",
            lambda stage, _: stage.deploy(images.BAD),
            needs_known_good=True,
        ),
        Story(
            "slow",
            "HighResponseTime",
            "three times as many users come as one instance can serve",
            _surge,
            _calm,
            scales=True,
        ),
    )
}
