"""Watch a real service break and be repaired: `make demo [STORY=NAME]`, or `python -m deploy.demo [--story NAME]`."""

import argparse
import os
import shutil
import signal
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from types import FrameType
from typing import Final

from deploy.demo import monitoring, processes, telling
from deploy.demo.cast import Cast, choose
from deploy.demo.console import head, paint, say
from deploy.demo.containers import running_containers
from deploy.demo.noticing import Noticing
from deploy.demo.overlay import health_only, policy_files
from deploy.demo.played import Played
from deploy.demo.remediator import Remediator, running_remediator
from deploy.demo.scene import Scene, changes
from deploy.demo.slack import Slack, running_slack
from deploy.demo.stage import is_healthy
from deploy.demo.stories import STORIES, Story
from deploy.demo.traffic import Traffic
from deploy.parts.alertmanager import Alertmanager, running_alertmanager
from deploy.parts.ports import free_port
from deploy.parts.process import PartError, alone, poll_until
from deploy.parts.prometheus import Prometheus, running_prometheus

DIRECTORY: Final = Path(".demo")
"""Everything that the demo writes; images stay in it, so a second run starts faster."""

WARM_UP: Final = 60.0
"""Seconds that everything has to become quiet and known before something is broken."""


def main() -> int:
    """Tell a story; exits 0 when the incident was resolved."""
    parser = argparse.ArgumentParser(prog="python -m deploy.demo", description=__doc__)
    parser.add_argument("--story", choices=list(STORIES), default="down", help="what breaks (down)")
    parser.add_argument("--directory", type=Path, default=DIRECTORY, help="for data, logs and images (.demo)")
    parser.add_argument("--runtime", choices=["auto", "process"], default="auto", help="process: without containers")
    settings = parser.parse_args()
    signal.signal(signal.SIGTERM, _interrupt)
    begun = time.monotonic()
    try:
        cast = choose(processes_only=settings.runtime == "process")
        for line in cast.describe():
            say(line, "dim" if cast.real else "yellow")
        tell(STORIES[settings.story], cast, settings.directory.resolve())
    except PartError as error:
        say(f"\nThe demo failed: {error}", "red")
        return 1
    except KeyboardInterrupt:
        say("\nInterrupted; everything that the demo started is stopped.", "yellow")
        return 130
    say(f"\nDone in {time.monotonic() - begun:.0f} s; everything that the demo started is stopped.", "dim")
    return 0


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def tell(story: Story, cast: Cast, directory: Path) -> None:
    """Set the stage, break the service, watch, and say what happened.

    Raises:
        PartError: a part can't be had, the incident wasn't resolved in time, or we are in CI and a part is played.
    """
    if os.environ.get("CI") and not cast.real:
        raise PartError("in CI every part must be real")
    if cast.alertmanager is not None and not story.seen_by_health:
        able = ", ".join(sorted(name for name, one in STORIES.items() if one.seen_by_health))
        raise PartError(f"the story {story.name} needs Prometheus and Alertmanager; without them there are: {able}")
    run = directory / "run"
    with ExitStack() as stack:
        stack.enter_context(alone(directory / "demo.lock", f"a demo runs in {directory} already"))
        # The last run's database would make this one go on with its incidents.
        processes.end_leftovers(run)
        shutil.rmtree(run, ignore_errors=True)
        head("Setting the stage")
        stage: Scene
        if cast.engine is None:
            stage = stack.enter_context(running_containers(cast.existing, directory))
        else:
            stage = stack.enter_context(processes.running_processes(run))
        say(f"  smartresume-api answers at {stage.url} ({stage.told})")
        traffic = stack.enter_context(Traffic(f"{stage.url}/api/v1/resumes"))
        port = free_port()
        webhook = f"http://127.0.0.1:{port}/webhooks/alertmanager"
        prometheus, alertmanager, settings = _monitoring(stack, cast, stage, run, webhook)
        places = stage.places if cast.prometheus is None else {**health_only(), **stage.places}
        files = policy_files(run, places)
        slack = stack.enter_context(running_slack(f"http://127.0.0.1:{port}", run))
        settings |= {**stage.settings, **slack.settings}
        remediator = stack.enter_context(running_remediator(run, port=port, playbooks=files, settings=settings))
        say(f"  remediator serves {remediator.url} in mode act, with {', '.join(map(_short, files))}")
        _warm_up(story, stage, prometheus)
        if cast.alertmanager is not None:
            stack.enter_context(Played(webhook, story.alert, lambda: is_healthy(stage.url)))
        try:
            _play(story, stage, traffic, remediator, Noticing(prometheus, alertmanager))
        finally:
            _keep(slack, directory / "slack.html")


def _keep(slack: Slack, file: Path) -> None:
    """Keep what Slack was told, also of a story that failed."""
    if slack.double is not None:
        slack.keep(file)
        say(f"  {paint('slack     ', 'bold')} the conversation is kept in {_short(file)}; a browser shows it")


def _short(path: Path) -> str:
    """Return a path as a person in this folder would write it."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def _monitoring(
    stack: ExitStack, cast: Cast, stage: Scene, run: Path, webhook: str
) -> tuple[Prometheus | None, Alertmanager | None, dict[str, str]]:
    """Start what is real of Prometheus and Alertmanager; return both, and settings that lead to them."""
    settings: dict[str, str] = {}
    port = free_port()
    alertmanager: Alertmanager | None = None
    if cast.alertmanager is None:
        alertmanager = stack.enter_context(
            running_alertmanager(run / "alertmanager", monitoring.alertmanager_config(webhook), port)
        )
        settings["REMEDIATOR_ALERTMANAGER_URL"] = alertmanager.url
        say(f"  Alertmanager {alertmanager.url} tells {webhook}")
    if cast.prometheus is not None:
        return None, alertmanager, settings
    config = monitoring.prometheus_config(
        stage.discovery,
        alertmanager=f"127.0.0.1:{port}",
        proxy=stage.url.removeprefix("http://"),
        remediator=webhook.removeprefix("http://").partition("/")[0],
    )
    prometheus = stack.enter_context(running_prometheus(run / "prometheus", config))
    settings["REMEDIATOR_PROMETHEUS_URL"] = prometheus.url
    say(f"  Prometheus {prometheus.url} looks every second")
    return prometheus, alertmanager, settings


def _warm_up(story: Story, stage: Scene, prometheus: Prometheus | None) -> None:
    """Wait until users are served, figures exist, and, where the story needs it, the good version has proven itself."""
    if prometheus is not None:
        poll_until(lambda: prometheus.value("service:up:max") == 1, WARM_UP, "Prometheus doesn't see the service")
        poll_until(lambda: prometheus.value("service:http_requests:rate10s") > 1, WARM_UP, "no traffic is seen")
    if story.needs_known_good:
        say("  waiting until the running release has proven itself, to have something to go back to ...")
        poll_until(stage.known_good, WARM_UP, "the running release wasn't kept as known good")


def _play(story: Story, stage: Scene, traffic: Traffic, remediator: Remediator, noticing: Noticing) -> None:
    before = stage.facts()
    traffic.answers.clear()
    head(f"Now {story.told}.")
    broken = time.time()
    story.cause(stage, traffic)
    settled = {"resolved", "cleanup"} if story.scales else {"resolved"}
    incident = telling.watch(remediator, broken, settled, noticing.look)
    repaired = stage.facts()
    if story.calm is not None:
        head("The users go home.")
        story.calm(traffic)
        incident = telling.watch(remediator, broken, {"resolved"}, noticing.look)
    telling.timeline(remediator, incident["id"])
    full = remediator.incident(incident["id"])
    telling.summary(full, broken, traffic.answers, [*changes(before, repaired), *changes(repaired, stage.facts())])


if __name__ == "__main__":
    sys.exit(main())
