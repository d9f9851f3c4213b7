"""What the demo decides and says, without any part."""

from pathlib import Path
from typing import Any, cast

import pytest
from ruamel.yaml import YAML

from deploy.demo import played
from deploy.demo.__main__ import tell
from deploy.demo.cast import Cast, choose
from deploy.demo.noticing import Noticing, changed
from deploy.demo.overlay import SHIPPED, TIMES, policy_files
from deploy.demo.scene import changes
from deploy.demo.stories import STORIES
from deploy.demo.telling import seconds
from deploy.parts.alertmanager import Alertmanager
from deploy.parts.packages import Provision
from deploy.parts.process import PartError
from deploy.parts.prometheus import Prometheus

REAL = Cast(None, None, None)


def test_a_played_part_is_told_plainly() -> None:
    assert REAL.real
    played_parts = Cast("not root", "not installed", "not installed")
    assert not played_parts.real
    told = "\n".join(played_parts.describe())
    assert "NO containers" in told
    assert told.count("PLAYED") == 2


def test_without_a_prometheus_nobody_tells_a_real_alertmanager_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deploy.demo.cast.packages.ensure", lambda *_: Provision((), (), {}))
    monkeypatch.setattr("deploy.demo.cast.prometheus.unavailable", lambda: "not installed")
    monkeypatch.setattr("deploy.demo.cast.alertmanager.unavailable", lambda: None)
    chosen = choose(processes_only=True)
    assert chosen.alertmanager == "there is no Prometheus to tell it anything"
    assert chosen.engine == "asked for"


@pytest.mark.parametrize(
    "played_parts", [Cast("not root", None, None), Cast(None, None, "missing"), Cast(None, "missing", "so")]
)
def test_in_ci_a_demo_with_a_played_part_fails_before_anything_is_started(
    played_parts: Cast, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", "true")
    with pytest.raises(PartError, match="in CI every part must be real"):
        tell(STORIES["down"], played_parts, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_story_that_only_a_prometheus_sees_is_refused_without_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(PartError, match=r"the story slow needs Prometheus and Alertmanager; .* there are: down, hang"):
        tell(STORIES["slow"], Cast(None, "missing", "missing"), tmp_path)


def test_what_apt_get_said_is_told_when_it_could_not_install_a_part(monkeypatch: pytest.MonkeyPatch) -> None:
    said = Provision((), (), {"prometheus": "E: Unable to locate package prometheus"})
    monkeypatch.setattr("deploy.demo.cast.packages.ensure", lambda *_: said)
    monkeypatch.setattr("deploy.demo.cast.prometheus.unavailable", lambda: "not installed")
    monkeypatch.setattr("deploy.demo.cast.os.geteuid", lambda: 0)
    assert choose(processes_only=True).prometheus == "not installed; prometheus: E: Unable to locate package prometheus"


class Monitoring:
    """Prometheus and Alertmanager, as one that answers what a test says."""

    def __init__(self) -> None:
        self.states: dict[str, str] = {}
        self.rows: list[dict[str, Any]] = []

    def alerts(self, **query: str) -> Any:
        return self.rows if query else self.states


def test_what_prometheus_and_alertmanager_see_is_told_once_each_time_it_changes(
    capsys: pytest.CaptureFixture[str],
) -> None:
    both = Monitoring()
    noticing = Noticing(cast("Prometheus", both), cast("Alertmanager", both))
    row = {"labels": {"alertname": "ServiceDown", "severity": "critical"}}
    for state in ("pending", "pending", "firing"):
        both.states = {"ServiceDown/critical": state}
        noticing.look()
    both.rows = [{**row, "receivers": [{"name": "people"}, {"name": "remediator"}]}]
    noticing.look()
    both.states, both.rows = {}, []
    noticing.look()
    assert [line.partition(" ")[2] for line in capsys.readouterr().out.splitlines()] == [
        "Prometheus: sees ServiceDown/critical; it fires when that holds",
        "Prometheus: fires ServiceDown/critical, and pushes it to Alertmanager",
        "Alertmanager: tells remediator and people about ServiceDown/critical",
        "Prometheus: no longer sees ServiceDown/critical",
        "Alertmanager: takes ServiceDown/critical for over",
    ]


def test_a_change_is_told_in_the_order_of_the_alerts_names() -> None:
    assert changed({"b": "firing", "c": "x"}, {"a": "pending", "c": "x"}) == [("a", "pending"), ("b", "")]


def test_a_recorded_webhook_gets_todays_times_and_keeps_the_rest() -> None:
    body = played.recorded("ServiceDown-firing")
    firing = played.dated(body, 0.0, None)
    assert firing["alerts"][0]["startsAt"] == "1970-01-01T00:00:00.000Z"
    assert firing["alerts"][0]["endsAt"] == played.NEVER
    assert firing["alerts"][0]["fingerprint"] == body["alerts"][0]["fingerprint"]
    assert body["alerts"][0]["startsAt"] != firing["alerts"][0]["startsAt"]


def test_the_recordings_are_of_the_same_alert_and_not_cut() -> None:
    firing, resolved = (played.recorded(f"ServiceDown-{status}") for status in ("firing", "resolved"))
    assert (firing["status"], resolved["status"]) == ("firing", "resolved")
    assert firing["alerts"][0]["fingerprint"] == resolved["alerts"][0]["fingerprint"]
    assert firing["truncatedAlerts"] == resolved["truncatedAlerts"] == 0


def test_the_policy_is_the_shipped_one_with_the_demo_s_times_and_places_over_it(tmp_path: Path) -> None:
    places = {"services": {"smartresume-api": {"health": {"urls": ["http://127.0.0.1:1/health"]}}}}
    files = policy_files(tmp_path, places)
    assert files[:2] == [SHIPPED, TIMES]
    assert YAML(typ="safe").load(files[2]) == places


def test_the_demo_s_times_name_only_what_the_shipped_policy_has() -> None:
    shipped, times = (YAML(typ="safe").load(path) for path in (SHIPPED, TIMES))
    assert _unknown(times["playbooks"], shipped["playbooks"]) == []


def _unknown(over: list[dict[str, Any]], base: list[dict[str, Any]]) -> list[str]:
    named = {one["name"]: one for one in base}
    missing = [one["name"] for one in over if one["name"] not in named]
    for one in over:
        if "steps" in one and one["name"] in named:
            missing += _unknown(one["steps"], named[one["name"]]["steps"])
    return missing


def test_changes_tell_what_came_went_and_became_another() -> None:
    before = {"a": "1.0", "b": "1.0", "c": "1.0"}
    assert changes(before, {"a": "1.0", "b": "1.1", "d": "1.0"}) == ["b: 1.0 -> 1.1", "c is gone", "d is new (1.0)"]


def test_times_of_the_api_are_read_as_utc() -> None:
    assert seconds("1970-01-01T00:00:01.500Z") == 1.5
