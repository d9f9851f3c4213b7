"""The stories that the demo can tell: what breaks, and what should follow."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from deploy.demo import images
from deploy.demo.stage import Stage
from deploy.demo.traffic import NORMAL, SURGE, Traffic


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
        real_engine_only: whether it needs images, which processes don't have.
    """

    name: str
    alert: str
    told: str
    cause: Callable[[Stage, Traffic], None]
    calm: Callable[[Stage, Traffic], None] | None = None
    needs_known_good: bool = False
    scales: bool = False


def _surge(_: Stage, traffic: Traffic) -> None:
    traffic.rate = SURGE


def _calm(_: Stage, traffic: Traffic) -> None:
    traffic.rate = NORMAL


STORIES: Final[dict[str, Story]] = {
    story.name: story
    for story in (
        Story("down", "ServiceDown", "the container is stopped", lambda stage, _: stage.stop()),
        Story("hang", "ServiceDown", "the process hangs: it runs, and answers nothing", lambda stage, _: stage.fault("hang")),
        Story("errors", "HighErrorRate", "the process begins to fail every second request", lambda stage, _: stage.fault("errors")),
        Story(
            "bad-image",
            "HighErrorRate",
            "release 1.1 is deployed: its health check is fine, and every second request fails",
            lambda stage, _: stage.deploy(images.BAD),
            needs_known_good=True,
        ),
        Story("slow", "HighResponseTime", "three times as many users come as one instance can serve", _surge, _calm, scales=True),
    )
}
