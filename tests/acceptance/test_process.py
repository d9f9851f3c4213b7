"""The real process without real parts: what it takes, keeps, refuses and says."""

from __future__ import annotations

import json
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.acceptance.service import JSON, LIMIT, WEBHOOK, Service, alert, group, running, until

pytestmark = pytest.mark.acceptance

NAMES = ("Single", "SlowRecv", "Multi", "Broken", "Good", "Kept")


def policy(name: str = "tell") -> str:
    """Return a policy that only tells; each alert's name stands for a service, so that each has its own incident."""
    return json.dumps(
        {
            "engines": {"none": {"url": "tcp://127.0.0.1:1"}},
            "services": {one: {"engine": "none", "selector": {"service": one}} for one in NAMES},
            "defaults": {"settle": "0s", "target": {"labels": ["alertname"]}},
            "playbooks": [{"name": name, "match": 'alertname=~".+"', "severity": "P3"}],
        }
    )


def policy_file(directory: Path) -> Path:
    """Write that policy and return its path."""
    file = directory / "playbooks.yaml"
    file.write_text(policy())
    return file


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Run one for every test that neither ends it nor changes its policy."""
    directory = tmp_path_factory.mktemp("shared")
    with running(directory, [policy_file(directory)], settings={"REMEDIATOR_MAX_BODY": "1MB"}) as one:
        yield one


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Service]:
    """Run one for this test alone."""
    with running(tmp_path, [policy_file(tmp_path)]) as one:
        yield one


def incident(service: Service, name: str) -> dict[str, Any]:
    """Return the one and only incident of an alert's name."""
    (one,) = [row for row in service.incidents() if row["target"] == name]
    return one


def problem(answer: httpx.Response, status: int) -> dict[str, Any]:
    """Return the RFC 9457 body of an answer."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert (body["status"], body["type"]) == (status, "about:blank")
    assert body["title"]
    assert body["detail"]
    return body


def test_a_capture_its_repeat_and_its_resolve_are_one_incident_without_firing_alerts(service: Service) -> None:
    assert service.capture("01-single-firing").json()["new"] == 1
    one = incident(service, "Single")
    assert (one["firing"], one["alert"], one["severity"], one["playbook"]) == (1, "Single", "P3", "tell")
    for _ in range(3):
        answer = service.capture("02-single-repeat")
        assert (answer.status_code, answer.json()["new"], answer.json()["repeats"]) == (200, 0, 1)
    one = incident(service, "Single")
    assert (one["alert_count"], one["alerts"][0]["repeats"]) == (1, 3)
    assert service.capture("03-single-resolved").json()["resolved"] == 1
    after = incident(service, "Single")
    assert (after["id"], after["firing"], after["alerts"][0]["status"]) == (one["id"], 0, "resolved")
    assert [entry["kind"] for entry in service.timeline(one["id"])].count("opened") == 1


def test_two_peers_of_a_pair_that_send_the_same_are_one_incident(service: Service) -> None:
    assert service.capture("12-ha-peer1").json()["new"] == 1
    assert service.capture("13-ha-peer2").json()["repeats"] == 1
    one = incident(service, "SlowRecv")
    assert (one["firing"], one["alert_count"]) == (1, 1)


def test_a_group_that_says_resolved_ends_only_the_alerts_that_it_lists(service: Service) -> None:
    service.capture("04-multi-firing")
    service.capture("05-multi-mixed")
    mixed = json.loads((Path(__file__).parents[1] / "payloads" / "05-multi-mixed.json").read_bytes())
    firing = {one["fingerprint"] for one in mixed["alerts"] if one["status"] == "firing"}
    one = incident(service, "Multi")
    assert {row["fingerprint"] for row in one["alerts"] if row["status"] == "firing"} == firing
    assert one["firing"] == len(firing)


def test_a_late_resolve_of_an_earlier_firing_does_not_end_the_new_one(service: Service) -> None:
    begun = time.time() - 60
    service.post(group(alert("Broken", "api", starts=begun)))
    service.post(group(alert("Broken", "api", starts=begun, status="resolved")))
    service.post(group(alert("Broken", "api", starts=begun + 30)))
    service.post(group(alert("Broken", "api", starts=begun, status="resolved")))
    found = [one for one in service.incidents() if one["firing"] and one["target"] == "Broken"]
    assert len(found) == 1
    assert found[0]["alerts"][0]["status"] == "firing"


def test_what_was_acknowledged_is_there_after_a_kill_and_its_repeat_changes_nothing(own: Service) -> None:
    assert own.capture("01-single-firing").status_code == 200
    own.kill()
    own.start()
    one = own.incident()
    assert (one["alert"], one["firing"]) == ("Single", 1)
    assert own.capture("02-single-repeat").json()["repeats"] == 1
    own.capture("03-single-resolved")
    own.kill()
    own.start()
    assert (own.incident()["id"], own.incident()["firing"]) == (one["id"], 0)


def test_a_second_process_on_the_same_database_is_refused_in_words(service: Service) -> None:
    answer = service.command("serve", "--listen", "127.0.0.1:0")
    assert answer.returncode == 1
    assert f"is in use by another process (pid {service.child.pid})" in answer.stderr
    assert "--database" in answer.stderr
    assert "Traceback" not in answer.stderr
    assert service.post(group(alert("Kept", "api"))).status_code == 200


def test_sigterm_ends_it_gracefully_and_the_next_start_goes_on(own: Service) -> None:
    own.capture("01-single-firing")
    begun = time.monotonic()
    assert own.stop() == 0
    assert time.monotonic() - begun < LIMIT
    assert own.logged("stopped")
    assert "Traceback" not in own.log.read_text()
    own.start()
    assert own.incident()["firing"] == 1


def test_a_broken_policy_on_sighup_keeps_the_old_one_and_metric_and_log_say_so(own: Service, tmp_path: Path) -> None:
    success = "remediator_policy_last_reload_successful"
    file = tmp_path / "playbooks.yaml"
    assert own.metric(success) == 1
    file.write_text('playbooks:\n  - name: broken\n    mach: alertname="X"\n    severity: P9\n')
    own.child.process.send_signal(signal.SIGHUP)
    until(lambda: own.metric(success) == 0, "the failed reload isn't in the metrics")
    (line,) = own.logged("the old one stays in force")
    told = "\n".join(line["problems"])
    assert f"{file}:3:5" in told
    assert "mach" in told
    assert "match" in told
    own.capture("01-single-firing")
    assert own.incident()["playbook"] == "tell"
    file.write_text(policy("say"))
    own.child.process.send_signal(signal.SIGHUP)
    until(lambda: own.metric(success) == 1, "the good reload isn't in the metrics")
    own.capture("12-ha-peer1")
    assert {one["playbook"] for one in own.incidents()} == {"tell", "say"}


def test_the_offline_kill_switch_is_a_file_that_the_running_service_sees(service: Service) -> None:
    switch = 'remediator_kill_switch{playbook=""}'
    assert service.metric(switch) == 0
    answer = service.command("kill", "on", "--offline")
    assert answer.returncode == 0, answer.stderr
    file = service.database.with_name(f"{service.database.name}.kill")
    assert str(file) in answer.stdout
    assert file.exists()
    assert service.get("/api/v1/kill")["file"] == str(file)
    assert service.metric(switch) == 1
    assert service.command("kill", "off", "--offline").returncode == 0
    assert not file.exists()
    assert service.metric(switch) == 0


def test_a_body_that_is_no_json_is_a_400_that_says_where(service: Service) -> None:
    body = problem(service.post(b'{"alerts": [,]}'), 400)
    assert "byte" in body["detail"]


def test_one_bad_alert_beside_a_good_one_is_quarantined_and_the_good_one_is_taken(service: Service) -> None:
    bad = {**alert("Bad", "x"), "labels": 7}
    answer = service.post(group(alert("Good", "api"), bad))
    assert (answer.status_code, answer.json()["quarantined"], answer.json()["new"]) == (200, 1, 1)
    assert incident(service, "Good")["firing"] == 1
    assert service.get("/api/v1/quarantine")["items"][0]["where"].startswith("$.alerts[1]")


def test_a_path_with_a_slash_at_its_end_is_no_redirect(service: Service) -> None:
    answer = service.http.post(f"{WEBHOOK}/", content=group(alert("Kept", "slash")), headers=JSON)
    assert not answer.has_redirect_location
    assert answer.status_code in {200, 404}


def test_a_body_over_the_limit_is_a_413_that_names_the_setting(service: Service) -> None:
    body = problem(service.post(b" " * (1 << 21)), 413)
    assert "REMEDIATOR_MAX_BODY" in body["detail"]
    assert service.post(group(alert("Kept", "after"))).status_code == 200


def test_a_full_store_is_a_503_and_what_is_sent_again_later_is_taken(tmp_path: Path) -> None:
    file = policy_file(tmp_path)
    with running(tmp_path, [file], settings={"REMEDIATOR_SIZE_CAP": "4kB"}) as service:
        body = problem(answer := service.capture("12-ha-peer1"), 503)
        assert "sent again" in body["detail"]
        assert answer.headers["retry-after"]
        assert service.incidents() == []
    with running(tmp_path, [file]) as service:
        assert service.capture("12-ha-peer1").json()["new"] == 1
        assert incident(service, "SlowRecv")["firing"] == 1


def test_a_port_that_is_taken_is_told_without_a_traceback(service: Service, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        database = f"sqlite:///{tmp_path / 'other.db'}"
        answer = service.command("serve", "--listen", f"127.0.0.1:{port}", "--database", database)
    assert answer.returncode == 1
    assert f"127.0.0.1:{port}" in answer.stderr
    assert "Traceback" not in answer.stderr
