"""The shipped and the demo's monitoring files, judged by Prometheus' and Alertmanager's own tools."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from deploy.demo import monitoring
from receiver.core.guardrails import Kill
from receiver.metrics import Metrics
from tests.unit.house.pages import blocks

ROOT = Path(__file__).parents[3] / "monitoring"
RULES = sorted([*ROOT.glob("rules/*.yml"), *ROOT.glob("demo/rules.yml")])
SHIPPED = ROOT / "alertmanager.yml"


def run(*command: str) -> str:
    answer = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return answer.stdout


def rendered(tmp_path: Path) -> Path:
    discovery = monitoring.containers("unix:///run/engine.sock")
    config = monitoring.prometheus_config(
        discovery, alertmanager="127.0.0.1:1", proxy="127.0.0.1:2", remediator="127.0.0.1:3"
    )
    path = tmp_path / "prometheus.yml"
    path.write_text(config)
    return path


def receivers(config: Path, *labels: str) -> list[str]:
    line = run("amtool", "config", "routes", "test", f"--config.file={config}", *labels)
    return line.strip().splitlines()[0].split(",")


@pytest.mark.prometheus
@pytest.mark.parametrize("path", RULES, ids=lambda path: path.stem)
def test_promtool_accepts_the_rules(path: Path) -> None:
    assert "SUCCESS" in run("promtool", "check", "rules", str(path))


@pytest.mark.prometheus
@pytest.mark.parametrize("path", sorted(ROOT.glob("tests/*.yml")), ids=lambda path: path.stem)
def test_the_rules_fire_when_they_should_and_only_then(path: Path) -> None:
    run("promtool", "test", "rules", str(path))


@pytest.mark.prometheus
def test_the_shipped_prometheus_loads_every_shipped_rule_file() -> None:
    # A configuration without rule_files passes promtool too: say how many it has found.
    assert "3 rule files found" in run("promtool", "check", "config", str(ROOT / "prometheus.yml"))


@pytest.mark.prometheus
def test_the_demo_prometheus_loads_the_demo_rules(tmp_path: Path) -> None:
    assert "1 rule files found" in run("promtool", "check", "config", str(rendered(tmp_path)))


@pytest.mark.prometheus
def test_processes_are_found_in_a_file(tmp_path: Path) -> None:
    discovery = monitoring.processes(tmp_path / "targets.json")
    (tmp_path / "targets.json").write_text(json.dumps([{"targets": ["127.0.0.1:1"]}]))
    config = monitoring.prometheus_config(
        discovery, alertmanager="127.0.0.1:1", proxy="127.0.0.1:2", remediator="127.0.0.1:3"
    )
    (tmp_path / "prometheus.yml").write_text(config)
    run("promtool", "check", "config", str(tmp_path / "prometheus.yml"))


@pytest.mark.alertmanager
def test_amtool_accepts_both_configurations(tmp_path: Path) -> None:
    demo = tmp_path / "alertmanager.yml"
    demo.write_text(monitoring.alertmanager_config("http://127.0.0.1:1/webhooks/alertmanager"))
    for path in (SHIPPED, demo):
        run("amtool", "check-config", str(path))


@pytest.mark.alertmanager
@pytest.mark.parametrize("severity", ["critical", "warning"])
def test_an_alert_reaches_the_remediator_and_still_people(severity: str) -> None:
    labels = ["alertname=ServiceDown", f"severity={severity}", "service=smartresume-api"]
    assert receivers(SHIPPED, *labels) == ["remediator", "people"]


@pytest.mark.alertmanager
@pytest.mark.parametrize(
    "name", ["RemediatorEscalation", "RemediatorPageUndelivered", "RemediatorDown", "RemediatorEscalationBlind"]
)
def test_what_the_remediator_says_about_itself_goes_to_people_only(name: str) -> None:
    assert receivers(SHIPPED, f"alertname={name}", "severity=critical", "service=remediator") == ["people"]


@pytest.mark.alertmanager
def test_an_alert_without_a_severity_goes_to_people_only() -> None:
    assert receivers(SHIPPED, "alertname=Other") == ["people"]


@pytest.mark.alertmanager
@pytest.mark.parametrize("page", ["README.md", "docs/quickstart.md"])
def test_the_route_that_a_page_shows_reaches_the_remediator_and_still_people(page: str, tmp_path: Path) -> None:
    (shown,) = [text for text in blocks(ROOT.parent / page, "yaml") if "route:" in text]
    config = tmp_path / "alertmanager.yml"
    config.write_text(shown)
    run("amtool", "check-config", str(config))
    assert receivers(config, "alertname=ServiceDown", "service=web") == ["remediator", "people"]


def test_the_tools_come_from_the_same_packages_as_the_servers() -> None:
    for server, tool in (("prometheus", "promtool"), ("prometheus-alertmanager", "amtool")):
        assert (shutil.which(server) is None) == (shutil.which(tool) is None)


@pytest.mark.prometheus
def test_promtool_accepts_the_names_of_our_metrics() -> None:
    metrics = Metrics()
    metrics.in_mode("observe")
    metrics.killed(Kill(playbooks=("service-down",)))
    for name, labels in {"resyncs": 1, "steps": 2, "verifications": 1, "refusals": 1, "votes": 1, "part_up": 1}.items():
        getattr(metrics, name).labels(*("x" * labels))
    metrics.step_seconds.labels("restart").observe(1.0)
    answer = subprocess.run(
        ["promtool", "check", "metrics"], input=metrics.render(), capture_output=True, timeout=60, check=False
    )
    assert (answer.returncode, answer.stdout, answer.stderr) == (0, b"", b"")
