"""The demo's service in containers on a real engine."""

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx

from deploy.demo import images, monitoring
from deploy.demo.stage import SERVICE, Stage, running_stage
from deploy.parts.engine import Engine, existing_engine, running_engine
from deploy.parts.ports import free_port


class Containers:
    """A `Scene` on an engine; see there."""

    def __init__(self, engine: Engine, stage: Stage) -> None:
        self._stage = stage
        self.url = stage.url
        self.told = f"in a container, Docker {engine.version} at {engine.socket}"
        self.settings: Mapping[str, str] = {"REMEDIATOR_ENGINE_LOCAL": engine.socket}
        self.places: Mapping[str, Any] = {"services": {SERVICE: {"health": {"urls": [f"{self.url}/health"]}}}}
        self.discovery: Mapping[str, Any] = monitoring.containers(engine.socket)

    def stop(self) -> None:
        """Stop the first container."""
        self._stage.stop()

    def fault(self, mode: str, share: float = 0.5) -> None:
        """Give a fault to one process."""
        self._stage.fault(mode, share)

    def deploy(self, tag: str) -> None:
        """Put containers of another image in the place of these."""
        self._stage.deploy(tag)

    def known_good(self) -> bool:
        """Whether the good image has a tag of the remediator's beside our own, which keeps it."""
        answer = self._stage.engine.get(f"/images/{self._stage.images[images.GOOD]}/json")
        return answer.status_code == httpx.codes.OK and len(answer.json()["RepoTags"]) > 1

    def facts(self) -> dict[str, str]:
        """Return each container's image, state, ID and start, as the engine says."""
        return {str(facts["Name"]).lstrip("/"): self._told(facts) for facts in self._stage.containers()}

    def _told(self, facts: Mapping[str, Any]) -> str:
        names = {image: tag for tag, image in self._stage.images.items()}
        image, state = names.get(facts["Image"], facts["Image"]), facts["State"]
        return f"{image} {state['Status']} (container {facts['Id'][:12]}, started {state['StartedAt'][11:19]}Z)"


@contextmanager
def running_containers(existing: Path | None, directory: Path) -> Iterator[Containers]:
    """Start the service in containers and remove all of it afterwards.

    Args:
        existing: the socket of an engine that runs already; without it one of our own is started.
        directory: for an engine of our own; its images stay there.

    Raises:
        PartError: the engine or a container didn't start.
    """
    with ExitStack() as stack:
        if existing is not None:
            engine = stack.enter_context(existing_engine(existing))
            stack.callback(_remove_images, engine)
        else:
            engine = stack.enter_context(running_engine(directory / "engine"))
            _forget_known_good(engine)
        yield Containers(engine, stack.enter_context(running_stage(engine, port=free_port())))


def _forget_known_good(engine: Engine) -> None:
    """Remove the tags that an earlier run's remediator made: this run's begins without a memory."""
    with engine.client() as http:
        for tag in (images.GOOD, images.BAD):
            answer = http.get(f"/images/{tag}/json")
            ours = {images.GOOD, images.BAD, images.PROXY}
            for other in answer.json().get("RepoTags", ()) if answer.status_code == httpx.codes.OK else ():
                if other not in ours:
                    http.delete(f"/images/{other}")


def _remove_images(engine: Engine) -> None:
    """Remove every image that we built on somebody else's engine, under whatever tag."""
    with engine.client() as http:
        query = json.dumps({"label": [images.KEY_LABEL]})
        rows = http.get("/images/json", params={"filters": query}).json()
        # The newest first: what they are made of can only go after them.
        for row in sorted(rows, key=lambda row: int(row["Created"]), reverse=True):
            http.delete(f"/images/{row['Id']}", params={"force": "1"})
