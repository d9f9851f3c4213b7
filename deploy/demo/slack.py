"""Slack in the demo: the real one when its token is set, else the tests' double, shown as a page."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from deploy.demo.console import say
from tests.slack_double import BOT_TOKEN, SIGNING_SECRET, Running, SlackDouble
from tests.slack_double.page import record

CHANNEL: Final = "incidents"

TOKENS: Final = ("REMEDIATOR_SLACK_TOKEN", "REMEDIATOR_SLACK_TOKEN_FILE")


@dataclass(frozen=True, slots=True)
class Slack:
    """Where the remediator tells its incidents.

    Args:
        settings: `REMEDIATOR_*` variables that lead it there.
        double: what plays it; None: it is the real one.
        page: the address of the conversation, empty for the real one.
    """

    settings: Mapping[str, str]
    double: SlackDouble | None
    page: str

    def keep(self, file: Path) -> None:
        """Write the conversation into one file that a browser shows; the real Slack keeps its own."""
        if self.double is None:
            return
        with self.double.lock:
            text = record(self.double, datetime.now().astimezone().tzinfo or UTC)
        file.write_text(text, encoding="utf-8")


@contextmanager
def running_slack(app: str, directory: Path) -> Iterator[Slack]:
    """Yield the real Slack if its token is set, else play it until the block ends.

    Args:
        app: the remediator's address, for buttons.
        directory: for the file that tells the remediator who the people in there are.
    """
    if any(os.environ.get(name) for name in TOKENS):
        given = {name: value for name, value in os.environ.items() if name.startswith("REMEDIATOR_SLACK_")}
        say("  Slack is the real one: REMEDIATOR_SLACK_TOKEN is set")
        yield Slack(given, None, "")
        return
    double = SlackDouble(name="Demo", domain="demo")
    users = [double.team.add_user(name) for name in ("ada", "ben")]
    channel = double.channel(CHANNEL, *(user.id for user in users))
    people = [
        {
            "id": user.name,
            "name": user.real_name,
            "roles": ["approver"],
            "tokens": [],
            "slack": [{"team": double.team.id, "user": user.id}],
        }
        for user in users
    ]
    directory.mkdir(parents=True, exist_ok=True)
    # JSON is YAML.
    file = directory / "people.yaml"
    file.write_text(json.dumps({"people": people}))
    double.app_url = f"{app}/slack/interactivity"
    with Running(double) as running:
        page = f"{running.url}/double/{CHANNEL}?refresh=2"
        say(f"  Slack is PLAYED; read along at {page}")
        settings = {
            "REMEDIATOR_PEOPLE": str(file),
            "REMEDIATOR_SLACK_TOKEN": BOT_TOKEN,
            "REMEDIATOR_SLACK_SIGNING_SECRET": SIGNING_SECRET,
            "REMEDIATOR_SLACK_CHANNEL": channel.id,
            "REMEDIATOR_SLACK_API_URL": f"{running.url}/api",
        }
        yield Slack(settings, double, page)
