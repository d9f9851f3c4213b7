"""`remediator watch` as its user runs it: beside the real service, across a kill -9 and a graceful restart of it."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.acceptance.service import LIMIT, PROGRAM, Service, alert, environment, group, running, until

pytestmark = pytest.mark.acceptance

POLICY = {
    "engines": {"none": {"url": "tcp://127.0.0.1:1"}},
    "services": {one: {"engine": "none", "selector": {"service": one}} for one in ("api", "web")},
    "defaults": {"settle": "0s"},
    "playbooks": [{"name": "tell", "match": 'alertname=~".+"', "severity": "P3"}],
}


class Watching:
    """A `remediator watch` with what it printed so far."""

    def __init__(self, service: Service, directory: Path, *arguments: str) -> None:
        self._out, self._err = directory / "watch.out", directory / "watch.err"
        with self._out.open("wb") as out, self._err.open("wb") as err:
            command = [PROGRAM, "watch", *arguments]
            self.process = subprocess.Popen(
                command, stdout=out, stderr=err, env=environment({"REMEDIATOR_URL": service.url})
            )

    def lines(self) -> list[str]:
        return self._out.read_text().splitlines()

    def err(self) -> str:
        return self._err.read_text()

    def shows(self, text: str) -> None:
        until(lambda: any(text in line for line in self.lines()), f"watch shows {text!r}")


@contextmanager
def watching(service: Service, directory: Path, *arguments: str) -> Iterator[Watching]:
    one = Watching(service, directory, *arguments)
    try:
        yield one
    finally:
        one.process.kill()
        one.process.wait(LIMIT)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    file = tmp_path / "playbooks.yaml"
    file.write_text(json.dumps(POLICY))
    with running(tmp_path, [file]) as one:
        one.post(group(alert("Broken", "api")))
        yield one


def note(service: Service, incident: str, text: str) -> None:
    service.http.post(f"/api/v1/incidents/{incident}/note", json={"text": text}).raise_for_status()


def test_it_shows_each_entry_once_over_a_kill_and_a_restart_and_ends_cleanly(service: Service, tmp_path: Path) -> None:
    incident = service.incident()["id"]
    with watching(service, tmp_path) as one:
        one.shows(incident)
        until(lambda: service.metric("remediator_stream_listeners") == 1, "it listens")
        note(service, incident, "first note")
        one.shows("first note")
        service.kill()
        until(lambda: "trying again" in one.err(), "the break is told")
        service.start()
        # What happens before it has come again must not be lost.
        note(service, incident, "second note")
        service.post(group(alert("Other", "web")))
        one.shows("second note")
        one.shows("P3 on web")
        service.stop()
        service.start()
        note(service, incident, "third note")
        one.shows("third note")
        one.process.send_signal(signal.SIGINT)
        assert one.process.wait(LIMIT) == 0
        text = "\n".join(one.lines())
        assert [text.count(word) for word in ("first note", "second note", "third note", "P3 on web")] == [1, 1, 1, 1]
        assert (one.err().count("trying again"), one.err().count("connected again")) == (2, 2)
        assert "Traceback" not in one.err()


def test_one_incident_is_told_from_its_beginning_as_json_until_it_is_over(service: Service, tmp_path: Path) -> None:
    incident = service.incident()["id"]
    with watching(service, tmp_path, incident, "--json") as one:
        one.shows('"opened"')
        assert service.command("close", incident, "--reason", "by hand").returncode == 0
        assert one.process.wait(LIMIT) == 0
        found = [json.loads(line) for line in one.lines()]
        assert [entry["seq"] for entry in found] == list(range(1, len(found) + 1))
        assert ({entry["incident"] for entry in found}, found[-1]["kind"]) == ({incident}, "closed")
    again = service.command("watch", incident)
    assert again.returncode == 0
    assert again.stdout.splitlines()[0].startswith(incident)
    assert len(again.stdout.splitlines()) == 1 + len(service.timeline(incident))


def test_what_cannot_be_watched_has_the_exit_codes_of_every_command(service: Service) -> None:
    done = service.command("watch", "i-none")
    assert (done.returncode, done.stdout, "no incident i-none" in done.stderr) == (5, "", True)
    service.stop()
    done = service.command("watch")
    assert (done.returncode, "is the service running?" in done.stderr) == (3, True)
