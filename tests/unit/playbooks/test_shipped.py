from __future__ import annotations

from pathlib import Path

import pytest

from receiver.core.playbook import Playbook, Policy
from receiver.core.routing import Match, NoMatch, Router
from receiver.core.severity import Severity
from receiver.core.template import query_slots
from receiver.playbooks import check_files, load_policy
from receiver.playbooks.people_file import check_people_file
from remediations.registry import load_actions
from tests.unit.playbooks.samples import people_of

ROOT = Path(__file__).parents[3]
SHIPPED = ROOT / "playbooks.yaml"
DEMO = ROOT / "deploy" / "demo" / "playbooks.yaml"
ACTIONS = load_actions().actions
THREE = ["restart", "scale", "rollback"]


@pytest.fixture(scope="module")
def policy() -> Policy:
    return load_policy(SHIPPED, ACTIONS)


@pytest.fixture(scope="module")
def demo() -> Policy:
    return load_policy([SHIPPED, DEMO], ACTIONS)


def ladder(playbook: Playbook) -> list[str]:
    return [step.action for step in playbook.steps]


@pytest.mark.parametrize("files", [[SHIPPED], [SHIPPED, DEMO]], ids=["alone", "with the demo's"])
def test_the_shipped_files_have_no_mistakes(files: list[Path]) -> None:
    assert check_files(files, ACTIONS, people=people_of(1), escalation_paths=2) == []
    assert check_people_file(ROOT / "people.example.yaml") == []


@pytest.mark.parametrize(
    ("labels", "name", "severity", "actions"),
    [
        ({"alertname": "ServiceDown", "severity": "critical"}, "service-down", "P1", ["restart", "rollback"]),
        ({"alertname": "HighErrorRate", "severity": "critical"}, "high-error-rate", "P2", THREE),
        ({"alertname": "HighResponseTime", "severity": "critical"}, "high-response-time", "P2", ["scale", "restart"]),
        ({"alertname": "HighErrorRate", "severity": "warning"}, "warnings", "P3", []),
        ({"alertname": "HighResponseTime", "severity": "warning"}, "warnings", "P3", []),
    ],
)
def test_each_shipped_alert_leads_to_its_ladder(
    policy: Policy, labels: dict[str, str], name: str, severity: str, actions: list[str]
) -> None:
    for label in ("service", "job"):
        found = Router(policy).choose({**labels, label: "smartresume-api"})
        assert isinstance(found, Match)
        assert (found.playbook.name, found.severity, found.service.name) == (
            name,
            Severity(severity),
            "smartresume-api",
        )
        assert ladder(found.playbook) == actions


def test_other_alerts_and_other_services_lead_nowhere(policy: Policy) -> None:
    assert isinstance(Router(policy).choose({"alertname": "HighDiskUsage", "service": "smartresume-api"}), NoMatch)
    assert isinstance(Router(policy).choose({"alertname": "ServiceDown", "service": "somebody-else"}), NoMatch)


def test_a_rollback_asks_one_person_and_the_demo_visibly_nobody(policy: Policy, demo: Policy) -> None:
    def approvals(of: Policy) -> set[int]:
        return {step.approval.approvals for one in of.playbooks for step in one.steps if step.action == "rollback"}

    assert (approvals(policy), approvals(demo)) == ({1}, {0})
    assert "rollback: none" in DEMO.read_text()


def test_every_verification_measures_after_the_action_and_asks_the_service(policy: Policy) -> None:
    for playbook in policy.playbooks:
        for step in playbook.steps:
            assert step.verify.health
            assert step.verify.target
            assert step.verify.queries
            for query in step.verify.queries:
                assert {slot.source for slot in query_slots(query.expr)} == {"service", "window"}


def test_error_rate_and_response_time_ask_for_traffic(policy: Policy) -> None:
    for name in ("high-error-rate", "high-response-time"):
        playbook = policy.playbook(name)
        assert playbook is not None
        assert {query.min_traffic for step in playbook.steps for query in step.verify.queries} == {20.0}


def test_what_is_scaled_out_is_scaled_back(policy: Policy, demo: Policy) -> None:
    for playbook in (*policy.playbooks, *demo.playbooks):
        for step in playbook.steps:
            if step.action == "scale":
                assert step.undo
                assert step.cleanup_after


def test_the_demo_is_the_shipped_policy_with_shorter_times(policy: Policy, demo: Policy) -> None:
    assert {one.settle for one in policy.playbooks} == {10.0}
    assert {one.settle for one in demo.playbooks} == {1.0}
    assert [(one.name, one.match, ladder(one)) for one in demo.playbooks] == [
        (one.name, one.match, ladder(one)) for one in policy.playbooks
    ]
    assert demo.services["smartresume-api"].selector == policy.services["smartresume-api"].selector
    assert (policy.services["smartresume-api"].good_after, policy.services["smartresume-api"].recent) == (
        1800.0,
        86_400.0,
    )
