"""Every key of playbooks.yaml: where it stands, a scenario, and what other values make of it.

What only a real runtime, endpoint or server can show stands in ELSEWHERE, with the test that shows it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from receiver.core import events as ev
from tests.simulation.lab import (
    Scenario,
    after_repair,
    approved_and_stopped,
    between,
    both,
    both_at_once,
    falls_over_when_looked_at,
    hanging,
    healthy,
    held,
    in_trouble,
    judged,
    known_versions,
    late,
    measured,
    old,
    opened,
    pages,
    people_called,
    posted,
    replicas,
    replicas_when_calm,
    reports,
    rolled_back,
    slow_boot,
    still_firing,
    taken_over,
    three,
    verdict,
    voted,
    words,
)

QUERY: Final = {"name": "errors", "expr": "errors", "success": "< 5"}
BASE: Final[Mapping[str, Any]] = {
    "engines": {"memory": {"url": "tcp://127.0.0.1:1"}},
    "services": {
        name: {
            "engine": "memory",
            "selector": {"service": name},
            "replicas": {"min": 1, "max": 4},
            "traffic": "proxy",
            "known_good": {"good_after": "1m", "recent": "1h"},
        }
        for name in ("api", "web")
    },
    "defaults": {
        "settle": "1s",
        "hold": "10s",
        "verify": {
            "health": False, "initial_delay": "1s", "interval": "2s", "consecutive": 2, "consecutive_failures": 3,
            "timeout": "60s",
        },
        "approval": {"rollback": "none", "http": "none"},
        "guardrails": {"cooldown": "0s", "max_runs": 100},
        "fleet": {"max_actions": 100, "max_under_way": 10},
    },
    "playbooks": [
        {
            "name": "down",
            "match": 'alertname="ServiceDown"',
            "severity": "P1",
            "steps": [{"name": "restart", "action": "restart", "allow_gap": True}],
        }
    ],
}  # fmt: skip


@dataclass(frozen=True)
class Case:
    """A key, where it stands in the file, a scenario, and what that gives for two values or more."""

    key: str
    path: str
    scenario: Scenario
    results: Sequence[tuple[Any, Any]]
    also: Mapping[str, Any] | None = None


STEP: Final = "playbooks.0.steps.0"
RULE: Final = "playbooks.0.severity"
HERE: Final = "playbooks.0"
SCALE: Final = {STEP: {"name": "scale", "action": "scale", "parameters": {"by": 1}}}
ROLLBACK: Final = {STEP: {"name": "rollback", "action": "rollback", "allow_gap": True}}
TWO_STEPS: Final = {
    f"{HERE}.steps": [
        {"name": "restart", "action": "restart", "allow_gap": True},
        {"name": "scale", "action": "scale", "parameters": {"by": 1}},
    ]
}
ASKED: Final = {f"{STEP}.approval": {"approvals": 1, "expires": "30s"}}
AT_P1: Final = f"{STEP}.approval.by_severity.P1"
QUERIED: Final = {f"{HERE}.verify": {"queries": [QUERY]}}
NEVER: Final = "refused"
"""The result of a file that the loader refuses."""

CASES: Final = [
    # What isn't said elsewhere, and where it is said.
    Case("DefaultsModel.settle", "defaults.settle", between(ev.Opened, ev.StepStarted), [("3s", 3), ("20s", 20)]),
    Case("PlaybookModel.settle", f"{HERE}.settle", between(ev.Opened, ev.StepStarted), [("3s", 3), ("20s", 20)]),
    Case("DefaultsModel.hold", "defaults.hold", held, [("10s", 10), ("40s", 40)]),
    Case("PlaybookModel.hold", f"{HERE}.hold", held, [("10s", 10), ("40s", 40)]),
    Case("DefaultsModel.resolve_within", "defaults.resolve_within", still_firing, [("1m", True), ("10m", False)]),
    Case("PlaybookModel.resolve_within", f"{HERE}.resolve_within", still_firing, [("1m", True), ("10m", False)]),
    Case("DefaultsModel.page_every", "defaults.page_every", pages, [("100s", 3), ("1h", 0)]),
    Case("DefaultsModel.update_every", "defaults.update_every", reports, [({"P1": "60s"}, 5), ({"P1": "1h"}, 0)]),
    Case(
        "DefaultsModel.acknowledge_within",
        "defaults.acknowledge_within",
        late("acknowledge", 400.0),
        [({"P1": "5m"}, 300), ({"P1": "0s"}, None), ({"P2": "30m"}, None)],
    ),
    Case(
        "DefaultsModel.deadlines",
        "defaults.deadlines",
        late("mitigate", 400.0),
        [({"mitigate": "5m"}, 300), ({}, None)],
    ),
    Case(
        "DefaultsModel.complete_failure",
        "defaults.complete_failure",
        late("mitigate", 400.0),
        [({"mitigate": "5m"}, 300), ({}, None)],
        {f"{HERE}.complete_failure": True},
    ),
    Case(
        "PlaybookModel.complete_failure",
        f"{HERE}.complete_failure",
        late("mitigate", 400.0),
        [(True, 300), (False, None)],
        {"defaults.complete_failure": {"mitigate": "5m"}},
    ),
    Case(
        "DeadlinesModel.assess",
        "defaults.deadlines.assess",
        late("assess", 400.0),
        [("5m", 300), ("0s", None)],
        {"defaults.deadlines": {}},
    ),
    Case(
        "DeadlinesModel.recover",
        "defaults.deadlines.recover",
        late("recover", 400.0),
        [("1s", 1), ("2m", None)],
        {"defaults.deadlines": {}},
    ),
    Case(
        "DeadlinesModel.mitigate",
        "defaults.deadlines.mitigate",
        late("mitigate", 400.0),
        [("5m", 300), ("0s", None)],
        {"defaults.deadlines": {}},
    ),
    Case("PlaybookModel.page_every", f"{HERE}.page_every", pages, [("100s", 3), ("1h", 0)]),
    Case(
        "DefaultsModel.diagnose",
        "defaults.diagnose",
        words("of 1 instance of api serve"),
        [(True, True), (False, False)],
    ),
    Case(
        "PlaybookModel.diagnose",
        f"{HERE}.diagnose",
        words("of 1 instance of api serve"),
        [(True, True), (False, False)],
    ),
    Case(
        "DefaultsModel.target",
        "defaults.target",
        opened(lambda one: one.target, pod="web"),
        [({"labels": ["service"]}, "api"), ({"labels": ["pod"]}, "web")],
    ),
    Case(
        "PlaybookModel.target",
        f"{HERE}.target",
        opened(lambda one: one.target, pod="web"),
        [({"labels": ["service"]}, "api"), ({"labels": ["pod"]}, "web")],
    ),
    Case(
        "TargetModel.labels",
        f"{HERE}.target.labels",
        opened(lambda one: one.target, pod="web"),
        [(["zone", "pod"], "web"), (["zone", "service", "pod"], "api"), (["zone"], None)],
        {f"{HERE}.target": {"labels": ["zone"]}},
    ),
    Case(
        "DefaultsModel.step",
        "defaults.step",
        slow_boot(words("Done step restart")),
        [({"healthy_within": "5s"}, False), ({}, True)],
    ),
    Case(
        "StepDefaultsModel.healthy_within",
        "defaults.step.healthy_within",
        slow_boot(words("Done step restart")),
        [("5s", False), ("40s", True)],
        {"defaults.step": {}},
    ),
    Case(
        "StepModel.healthy_within",
        f"{STEP}.healthy_within",
        slow_boot(words("Done step restart")),
        [("5s", False), ("40s", True)],
    ),
    Case(
        "StepDefaultsModel.timeout",
        "defaults.step.timeout",
        hanging(words("its limit of 1 s", 5.0)),
        [("50ms", False), ("1s", True)],
        {"defaults.step": {}},
    ),
    Case(
        "StepModel.timeout", f"{STEP}.timeout", hanging(words("its limit of 1 s", 5.0)), [("50ms", False), ("1s", True)]
    ),
    Case(
        "StepDefaultsModel.on_failure",
        "defaults.step.on_failure",
        slow_boot(taken_over),
        [("next", "restart,scale escalated"), ("escalate", "restart escalated")],
        {**TWO_STEPS, "defaults.step": {"healthy_within": "5s"}},
    ),
    Case(
        "StepModel.on_failure",
        f"{STEP}.on_failure",
        slow_boot(taken_over),
        [("next", "restart,scale escalated"), ("escalate", "restart escalated")],
        {**TWO_STEPS, "defaults.step": {"healthy_within": "5s"}},
    ),
    # How a step is judged.
    Case(
        "DefaultsModel.verify",
        "defaults.verify",
        measured(9.0, judged),
        [({"health": False, "queries": [QUERY]}, "failed"), ({"health": False}, "passed")],
    ),
    Case(
        "PlaybookModel.verify",
        f"{HERE}.verify",
        measured(9.0, judged),
        [({"queries": [QUERY]}, "failed"), ({}, "passed")],
    ),
    Case(
        "StepModel.verify", f"{STEP}.verify", measured(9.0, judged), [({"queries": [QUERY]}, "failed"), ({}, "passed")]
    ),
    Case(
        "VerifyModel.health",
        f"{HERE}.verify.health",
        judged,
        [(True, "failed"), (False, "passed")],
        {f"{HERE}.verify": {}, "services.api.health": {"urls": ["http://127.0.0.1:9/health"]}},
    ),
    Case(
        "VerifyModel.target",
        f"{HERE}.verify.target",
        falls_over_when_looked_at(verdict),
        [(True, "failed"), (False, "passed")],
        QUERIED,
    ),
    Case(
        "VerifyModel.queries",
        f"{HERE}.verify.queries",
        measured(9.0, judged),
        [([QUERY], "failed"), ([], "passed")],
        {f"{HERE}.verify": {}},
    ),
    Case(
        "VerifyModel.initial_delay",
        f"{HERE}.verify.initial_delay",
        between(ev.StepFinished, ev.Sampled),
        [("1s", 1), ("9s", 9)],
        {f"{HERE}.verify": {}},
    ),
    Case(
        "VerifyModel.interval",
        f"{HERE}.verify.interval",
        between(ev.Sampled, ev.Verified),
        [("2s", 2), ("7s", 7)],
        {f"{HERE}.verify": {}},
    ),
    Case(
        "VerifyModel.consecutive",
        f"{HERE}.verify.consecutive",
        between(ev.Sampled, ev.Verified),
        [(1, 0), (4, 6)],
        {f"{HERE}.verify": {}},
    ),
    Case(
        "VerifyModel.consecutive_failures",
        f"{HERE}.verify.consecutive_failures",
        measured(9.0, between(ev.Sampled, ev.Verified)),
        [(1, 0), (4, 6)],
        QUERIED,
    ),
    Case(
        "VerifyModel.timeout",
        f"{HERE}.verify.timeout",
        between(ev.CheckBegan, ev.Verified, 100.0),
        [("20s", 20), ("50s", 50)],
        QUERIED,
    ),
    Case(
        "VerifyModel.max_staleness",
        f"{HERE}.verify.max_staleness",
        measured(1.0, judged, age=30.0),
        [("10s", "inconclusive"), ("1m", "passed")],
        {f"{HERE}.verify": {"queries": [QUERY], "timeout": "2m"}},
    ),
    Case(
        "QueryModel.name",
        f"{HERE}.verify.queries.0.name",
        measured(9.0, words("lost orders 9")),
        [("errors", False), ("lost orders", True)],
        QUERIED,
    ),
    Case(
        "QueryModel.expr",
        f"{HERE}.verify.queries.0.expr",
        measured(9.0, judged),
        [("errors", "failed"), ("vector(0)", "inconclusive")],
        QUERIED,
    ),
    Case(
        "QueryModel.success",
        f"{HERE}.verify.queries.0.success",
        measured(9.0, judged),
        [("< 5", "failed"), ("< 10", "passed")],
        QUERIED,
    ),
    Case(
        "QueryModel.failure",
        f"{HERE}.verify.queries.0.failure",
        measured(9.0, between(ev.Sampled, ev.Verified)),
        [("> 99", 4), ("> 8", 0)],
        QUERIED,
    ),
    Case(
        "QueryModel.traffic",
        f"{HERE}.verify.queries.0.traffic",
        measured(1.0, judged, traffic=50.0),
        [("requests", "passed"), ("others", "passed"), ("none", "inconclusive")],
        {f"{HERE}.verify": {"queries": [{**QUERY, "min_traffic": 20}]}},
    ),
    Case(
        "QueryModel.min_traffic",
        f"{HERE}.verify.queries.0.min_traffic",
        measured(1.0, judged, traffic=50.0),
        [(20, "passed"), (60, "inconclusive")],
        {f"{HERE}.verify": {"queries": [{**QUERY, "traffic": "requests"}]}},
    ),
    Case(
        "QueryModel.min_samples",
        f"{HERE}.verify.queries.0.min_samples",
        measured(1.0, judged),
        [(2, "passed"), (3, "inconclusive")],
        QUERIED,
    ),
    Case(
        "VerifyModel.probe",
        f"{HERE}.verify.probe",
        measured(1.0, judged, traffic=5.0),
        [([], "inconclusive"), (["http://127.0.0.1:9/probe"], "failed")],
        {f"{HERE}.verify": {"queries": [{**QUERY, "traffic": "requests", "min_traffic": 20}]}},
    ),
    Case(
        "QueryModel.unit",
        f"{HERE}.verify.queries.0.unit",
        measured(9.0, words("errors 9 parrots")),
        [("", False), ("parrots", True)],
        QUERIED,
    ),
    # Who must agree.
    Case(
        "DefaultsModel.approval",
        "defaults.approval",
        in_trouble,
        [({"restart": {"approvals": 1}}, "asked"), ({"restart": "none"}, "acted")],
    ),
    Case("StepModel.approval", f"{STEP}.approval", in_trouble, [({"approvals": 1}, "asked"), ("none", "acted")]),
    Case(
        "ApprovalModel.approvals",
        f"{STEP}.approval.approvals",
        voted,
        [(0, "acted"), (1, "acted"), (2, "waits")],
        ASKED,
    ),
    Case(
        "ApprovalModel.expires",
        f"{STEP}.approval.expires",
        between(ev.ApprovalAsked, ev.ApprovalEnded, 100.0),
        [("20s", 20), ("50s", 50)],
        ASKED,
    ),
    Case(
        "ApprovalModel.execute_before",
        f"{STEP}.approval.execute_before",
        approved_and_stopped,
        [("30s", True), ("10m", False)],
        ASKED,
    ),
    Case(
        "ApprovalModel.on_timeout",
        f"{STEP}.approval.on_timeout",
        taken_over,
        [("next", "restart,scale escalated"), ("escalate", "restart escalated")],
        {**TWO_STEPS, **ASKED, "services.api.replicas": {"min": 1, "max": 1}},
    ),
    Case(
        "ApprovalModel.reason_required",
        f"{STEP}.approval.reason_required",
        voted,
        [(False, "acted"), (True, "told no")],
        ASKED,
    ),
    Case(
        "ApprovalModel.approvers",
        f"{STEP}.approval.approvers",
        voted,
        [(["ann"], "acted"), (["bob"], "told no"), ([], "told no"), (["dba"], "acted"), (["ops"], "told no")],
        ASKED,
    ),
    Case(
        "ApprovalModel.by_severity",
        f"{STEP}.approval.by_severity",
        voted,
        [({}, "acted"), ({"P1": {"approvals": 2}}, "waits"), ({"P2": {"approvals": 2}}, "acted")],
        ASKED,
    ),
    Case("ApprovalChangeModel.approvals", f"{AT_P1}.approvals", voted, [(0, "acted"), (2, "waits")], ASKED),
    Case(
        "ApprovalChangeModel.expires",
        f"{AT_P1}.expires",
        between(ev.ApprovalAsked, ev.ApprovalEnded, 100.0),
        [("20s", 20), ("50s", 50)],
        ASKED,
    ),
    Case(
        "ApprovalChangeModel.execute_before",
        f"{AT_P1}.execute_before",
        approved_and_stopped,
        [("30s", True), ("10m", False)],
        ASKED,
    ),
    Case(
        "ApprovalChangeModel.on_timeout",
        f"{AT_P1}.on_timeout",
        people_called,
        [("abort", False), ("escalate", True)],
        ASKED,
    ),
    Case(
        "ApprovalChangeModel.reason_required",
        f"{AT_P1}.reason_required",
        voted,
        [(False, "acted"), (True, "told no")],
        ASKED,
    ),
    Case(
        "ApprovalChangeModel.approvers",
        f"{AT_P1}.approvers",
        voted,
        [(["ann"], "acted"), (["bob"], "told no")],
        ASKED,
    ),
    # Guardrails.
    Case(
        "DefaultsModel.guardrails",
        "defaults.guardrails",
        after_repair,
        [({"cooldown": "0s"}, "acted"), ({"cooldown": "10m"}, "asked")],
    ),
    Case(
        "PlaybookModel.guardrails", f"{HERE}.guardrails", after_repair, [({}, "acted"), ({"cooldown": "10m"}, "asked")]
    ),
    Case(
        "GuardrailsModel.cooldown",
        f"{HERE}.guardrails.cooldown",
        after_repair,
        [("0s", "acted"), ("10m", "asked")],
        {f"{HERE}.guardrails": {}},
    ),
    Case(
        "GuardrailsModel.max_runs",
        f"{HERE}.guardrails.max_runs",
        after_repair,
        [(2, "acted"), (1, "asked")],
        {f"{HERE}.guardrails": {}},
    ),
    Case(
        "GuardrailsModel.max_runs_window",
        f"{HERE}.guardrails.max_runs_window",
        after_repair,
        [("10s", "acted"), ("1h", "asked")],
        {f"{HERE}.guardrails": {"max_runs": 1}, "defaults.guardrails": {"cooldown": "0s", "max_runs_window": "1s"}},
    ),
    Case(
        "GuardrailsModel.max_alert_age",
        f"{HERE}.guardrails.max_alert_age",
        old,
        [("1h", "acted"), ("1m", "asked")],
        {f"{HERE}.guardrails": {}},
    ),
    Case(
        "GuardrailsModel.min_healthy",
        f"{HERE}.guardrails.min_healthy",
        three,
        [(2, "acted"), (3, "refused")],
        {f"{HERE}.guardrails": {}},
    ),
    Case(
        "GuardrailsModel.require_confirmation",
        f"{HERE}.guardrails.require_confirmation",
        posted,
        [(True, "asked"), (False, "acted")],
        {f"{HERE}.guardrails": {}},
    ),
    Case("DefaultsModel.fleet", "defaults.fleet", both, [({}, "acted"), ({"max_actions": 1}, "refused")]),
    Case("FleetModel.max_actions", "defaults.fleet.max_actions", both, [(2, "acted"), (1, "refused")]),
    Case(
        "FleetModel.window",
        "defaults.fleet.window",
        both,
        [("10s", "acted"), ("10m", "refused")],
        {"defaults.fleet": {"max_actions": 1}},
    ),
    Case(
        "FleetModel.max_under_way",
        "defaults.fleet.max_under_way",
        both_at_once,
        [(2, "acted"), (1, "refused")],
        {f"{STEP}.timeout": "50ms"},
    ),
    # The ladder.
    Case("StepModel.name", f"{STEP}.name", words("Began step kick"), [("restart", False), ("kick", True)]),
    Case("StepModel.action", f"{STEP}.action", in_trouble, [("restart", "acted"), ("rstart", NEVER)]),
    Case(
        "StepModel.parameters",
        f"{STEP}.parameters",
        replicas,
        [({"by": 1}, 2), ({"by": 2}, 3), ({"to": 4}, 4), ({}, NEVER)],
        SCALE,
    ),
    Case("StepModel.undo", f"{STEP}.undo", measured(9.0, replicas), [(False, 2), (True, 1)], {**SCALE, **QUERIED}),
    Case("StepModel.cleanup_after", f"{STEP}.cleanup_after", replicas_when_calm, [("20s", 1), ("10m", 2)], SCALE),
    Case("StepModel.allow_gap", f"{STEP}.allow_gap", healthy, [(True, "acted"), (False, "asked")]),
    # Which alerts, and how bad.
    Case("PlaybookModel.name", f"{HERE}.name", opened(lambda one: one.playbook), [("down", "down"), ("gone", "gone")]),
    Case(
        "PlaybookModel.description",
        f"{HERE}.description",
        words("Nobody answers."),
        [("", False), ("Nobody answers.", True)],
    ),
    Case(
        "PlaybookModel.match",
        f"{HERE}.match",
        opened(lambda one: one.playbook),
        [('alertname="ServiceDown"', "down"), ('alertname="Other"', None)],
    ),
    Case(
        "PlaybookModel.severity",
        f"{HERE}.severity",
        opened(lambda one: one.severity.value),
        [("P1", "P1"), ("P4", "P4")],
    ),
    Case(
        "SeverityModel.default",
        f"{RULE}.default",
        opened(lambda one: one.severity.value),
        [("P1", "P1"), ("P4", "P4")],
        {RULE: {}},
    ),
    Case(
        "SeverityModel.rules",
        f"{RULE}.rules",
        opened(lambda one: one.severity.value, tier="a"),
        [([], "P3"), ([{"match": "tier=a", "severity": "P1"}], "P1")],
        {RULE: {}},
    ),
    Case(
        "SeverityRuleModel.match",
        f"{RULE}.rules.0.match",
        opened(lambda one: one.severity.value, tier="a"),
        [("tier=a", "P1"), ("tier=b", "P3")],
        {RULE: {"rules": [{"match": "tier=a", "severity": "P1"}]}},
    ),
    Case(
        "SeverityRuleModel.severity",
        f"{RULE}.rules.0.severity",
        opened(lambda one: one.severity.value, tier="a"),
        [("P1", "P1"), ("P2", "P2")],
        {RULE: {"rules": [{"match": "tier=a", "severity": "P1"}]}},
    ),
    Case(
        "PlaybookModel.steps",
        f"{HERE}.steps",
        in_trouble,
        [([], "nothing"), ([{"name": "r", "action": "restart"}], "acted")],
    ),
    Case("PlaybookModel.dry_run", f"{HERE}.dry_run", in_trouble, [(False, "acted"), (True, "said")]),
    Case("PlaybookModel.paused", f"{HERE}.paused", in_trouble, [(False, "acted"), (True, "refused")]),
    Case(
        "FileModel.playbooks",
        "playbooks",
        opened(lambda one: one.playbook),
        [([{"name": "all", "match": 'alertname=~".+"', "severity": "P1"}], "all"), ([], NEVER)],
    ),
    Case(
        "FileModel.defaults",
        "defaults",
        posted,
        [({"guardrails": {"require_confirmation": False}}, "acted"), ({}, "asked")],
    ),
    # Services.
    Case(
        "FileModel.services",
        "services",
        opened(lambda one: one.target),
        [({}, None), ({"api": {"engine": "memory", "selector": {"a": "b"}}}, "api")],
    ),
    Case("FileModel.engines", "engines", healthy, [({"memory": {"url": "tcp://127.0.0.1:1"}}, "acted"), ({}, NEVER)]),
    Case("ServiceModel.engine", "services.api.engine", healthy, [("memory", "acted"), ("other", NEVER)]),
    Case(
        "ServiceModel.aliases",
        "services.api.aliases",
        opened(lambda one: one.target, service="api-v2"),
        [([], None), (["api-v2"], "api"), (["web"], NEVER)],
    ),
    Case("ServiceModel.replicas", "services.api.replicas", replicas, [({"max": 4}, 2), ({"max": 1}, 1)], SCALE),
    Case(
        "ReplicasModel.max",
        "services.api.replicas.max",
        replicas,
        [(4, 4), (2, 2)],
        {STEP: {**SCALE[STEP], "parameters": {"by": 3}}},
    ),
    Case(
        "ReplicasModel.min",
        "services.api.replicas.min",
        replicas,
        [(1, 2), (3, 1)],
        {STEP: {**SCALE[STEP], "parameters": {"to": 2}}},
    ),
    Case("ServiceModel.traffic", "services.api.traffic", replicas, [("dns", 2), ("none", 1)], SCALE),
    Case(
        "ServiceModel.known_good",
        "services.api.known_good",
        known_versions,
        [({"good_after": "1m"}, 1), ({"good_after": "10m"}, 0)],
    ),
    Case("KnownGoodModel.good_after", "services.api.known_good.good_after", known_versions, [("1m", 1), ("10m", 0)]),
    Case(
        "KnownGoodModel.recent",
        "services.api.known_good.recent",
        rolled_back,
        [("1h", "acted"), ("5m", "skipped")],
        ROLLBACK,
    ),
    Case(
        "DefaultsModel.known_good",
        "defaults.known_good",
        rolled_back,
        [({"recent": "1h"}, "acted"), ({"recent": "5m"}, "skipped")],
        {**ROLLBACK, "services.api.known_good": None},
    ),
    Case(
        "ServiceModel.health",
        "services.api.health",
        judged,
        [(None, "passed"), ({"urls": ["http://127.0.0.1:9/health"]}, "failed")],
        {"defaults.verify.health": True},
    ),
    Case(
        "HealthModel.urls",
        "services.api.health.urls",
        judged,
        [([], NEVER), (["http://127.0.0.1:9/health"], "failed")],
        {"defaults.verify.health": True, "services.api.health": {}},
    ),
]

RUNTIMES: Final = "tests/unit/test_runtimes.py"
LOOKS: Final = "tests/unit/verifier/test_verifier_looks.py"
CONTAINERS: Final = "tests/integration/docker/test_containers.py"
PROCESS: Final = "tests/integration/process/test_process.py"
PEOPLE: Final = "tests/unit/playbooks/test_people.py"
APPROVERS: Final = "tests/unit/test_approvers.py"
AUTH: Final = "tests/unit/web/test_auth.py"

ELSEWHERE: Final[Mapping[str, tuple[str, str]]] = {
    "EngineModel.url": (RUNTIMES, "test_an_engine_that_hangs_is_waited_for_as_long_as_its_entry_says"),
    "EngineModel.timeout": (RUNTIMES, "test_an_engine_that_hangs_is_waited_for_as_long_as_its_entry_says"),
    "EngineModel.ca": (RUNTIMES, "test_tls_files_are_read_each_of_them"),
    "EngineModel.cert": (RUNTIMES, "test_tls_files_are_read_each_of_them"),
    "EngineModel.key": (RUNTIMES, "test_tls_files_are_read_each_of_them"),
    "HealthModel.word": (LOOKS, "test_the_word_and_the_time_of_a_health_endpoint_are_the_service_s"),
    "HealthModel.timeout": (LOOKS, "test_the_word_and_the_time_of_a_health_endpoint_are_the_service_s"),
    "ServiceModel.runtime": (RUNTIMES, "test_the_runtime_of_a_service_decides_how_its_instances_are_found"),
    "ServiceModel.selector": (CONTAINERS, "test_a_target_that_is_not_there_says_what_is"),
    "ServiceModel.shared_mounts": (CONTAINERS, "test_a_clone_that_would_be_theatre_or_harm_is_refused"),
    "ServiceModel.command": (PROCESS, "test_a_program_that_cannot_be_started_says_why"),
    "ServiceModel.options": (PROCESS, "test_copies_get_ports_of_their_own"),
    "ProcessOptionsModel.base_port": (PROCESS, "test_copies_get_ports_of_their_own"),
    "ProcessOptionsModel.env": (PROCESS, "test_the_remediators_secrets_are_not_inherited"),
    "ProcessOptionsModel.stop_timeout": (PROCESS, "test_one_that_ignores_sigterm_is_killed_after_its_time"),
    "ProcessOptionsModel.log_bytes": (PROCESS, "test_the_log_is_bounded"),
    "ProcessOptionsModel.cwd": (PROCESS, "test_where_a_process_runs_and_how_its_health_is_asked_are_options"),
    "ProcessOptionsModel.health_url": (PROCESS, "test_where_a_process_runs_and_how_its_health_is_asked_are_options"),
    "ProcessOptionsModel.start_grace": (PROCESS, "test_where_a_process_runs_and_how_its_health_is_asked_are_options"),
    "PeopleFileModel.people": (PEOPLE, "test_a_token_means_its_person_and_nothing_else_does"),
    "PersonModel.id": (PEOPLE, "test_a_token_means_its_person_and_nothing_else_does"),
    "PersonModel.tokens": (PEOPLE, "test_a_token_means_its_person_and_nothing_else_does"),
    **dict.fromkeys(
        (
            *("PersonModel.slack", "SlackIdModel.team", "SlackIdModel.user"),
            *("PersonModel.identities", "IdentityModel.provider", "IdentityModel.subject"),
            "PersonModel.email",
        ),
        (PEOPLE, "test_people_are_known_by_slack_users_identities_and_addresses"),
    ),
    **dict.fromkeys(
        ("PeopleFileModel.groups", "GroupModel.name", "GroupModel.members"),
        (PEOPLE, "test_groups_are_people_under_one_name"),
    ),
    **dict.fromkeys(
        ("GroupModel.slack", "SlackGroupModel.team", "SlackGroupModel.group"),
        (APPROVERS, "test_of_a_slack_group_those_count_whom_slack_names_and_else_the_static_members"),
    ),
    "PersonModel.roles": (AUTH, "test_each_change_needs_its_role"),
    "PersonModel.name": (AUTH, "test_each_change_needs_its_role"),
}
"""Keys whose effect only a real runtime, endpoint or server shows: the test that shows it."""
