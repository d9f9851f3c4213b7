"""The real process calls people: by PagerDuty on loopback, and in a second channel of Slack's double."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.service import running, until
from tests.slack_double import BOT_TOKEN, Running, SlackDouble

pytestmark = pytest.mark.acceptance

KEY = "R0123456789ABCDEF0123456789ABCDEF"
POLICY = """
services:
  app:
    runtime: process
    command: ["sleep", "60"]
defaults:
  settle: 0s
  deadlines: {assess: 1s, mitigate: 10m}
playbooks:
  - name: single
    match: alertname="Single"
    severity: P1
    paused: true
    steps: [{name: restart, action: restart}]
"""


@contextmanager
def pagerduty() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Run PagerDuty's one route; yields its URL and the events that came."""
    seen: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            seen.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(202)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v2/enqueue", seen
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_what_needs_people_is_an_alert_of_pagerduty_and_told_in_the_second_channel(tmp_path: Path) -> None:
    policy, key = tmp_path / "playbooks.yaml", tmp_path / "key"
    policy.write_text(POLICY)
    key.write_text(KEY)
    key.chmod(0o600)
    double = SlackDouble()
    ops, duty = double.channel("ops"), double.channel("duty")
    with pagerduty() as (url, seen), Running(double) as slack:
        settings = {
            "REMEDIATOR_PAGERDUTY_KEY_FILE": str(key),
            "REMEDIATOR_PAGERDUTY_URL": url,
            "REMEDIATOR_SLACK_TOKEN": BOT_TOKEN,
            "REMEDIATOR_SLACK_CHANNEL": ops.id,
            "REMEDIATOR_SLACK_ESCALATION_CHANNEL": duty.id,
            "REMEDIATOR_SLACK_API_URL": f"{slack.url}/api",
        }
        with running(tmp_path, [policy], mode="act", settings=settings) as service:
            service.capture("01-single-firing")
            until(lambda: seen, "PagerDuty is not called")
            name = service.incident()["id"]
            until(lambda: double.messages(duty), "the second channel is not called")
            assert "Needs a person" in str(double.messages(duty)[0].blocks)
            assert service.command("ack", name).returncode == 0

            def told() -> list[tuple[str, str]]:
                return [(one["event_action"], one["dedup_key"]) for one in seen]

            # Whoever has seen it is called again when they don't say what to do.
            until(lambda: ("trigger", f"{name}/assess") in told(), "PagerDuty is not called about the late phase")
            aloud = "This P1 was not assessed"
            until(lambda: aloud in str([one.blocks for one in double.messages(duty)]), "nor the second channel")
            assert service.command("note", name, "--phase", "assessed", "the disk is full").returncode == 0
            assert service.command("close", name, "--reason", "seen").returncode == 0
            until(lambda: len(seen) >= 5, "PagerDuty is not told of the end")
            assert sorted(told()) == sorted(
                [
                    ("trigger", name), ("acknowledge", name), ("resolve", name),
                    ("trigger", f"{name}/assess"), ("resolve", f"{name}/assess"),
                ]
            )  # fmt: skip
            assert {one["routing_key"] for one in seen} == {KEY}
            assert KEY not in service.log.read_text()
            assert KEY not in service.command("config").stdout
