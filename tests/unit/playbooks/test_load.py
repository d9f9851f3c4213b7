from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args, get_origin

import pytest
from pydantic import BaseModel
from ruamel.yaml import YAML

from receiver.core.playbook import (
    ACKNOWLEDGE_WITHIN,
    DEADLINES,
    UPDATE_EVERY,
    ApprovalPolicy,
    FleetLimits,
    Guardrails,
    OnFailure,
    OnTimeout,
    Playbook,
    Policy,
    Verification,
)
from receiver.core.severity import Severity
from receiver.playbooks import PolicyError, load_policy
from receiver.playbooks.build import build_policy
from receiver.playbooks.load import engine_variable
from receiver.playbooks.schema import FileModel
from receiver.playbooks.wording import model_at
from tests.unit.playbooks.samples import ACTIONS, GOOD, Facts, changed


def load(tmp_path: Path, text: str, **options: Any) -> Policy:
    path = tmp_path / "playbooks.yaml"
    path.write_text(text)
    return load_policy(path, ACTIONS, **options)


def test_the_smallest_file_has_the_documented_defaults(tmp_path: Path) -> None:
    policy = load(tmp_path, GOOD)
    playbook = policy.playbooks[0]
    bare = Playbook("", "", 0, (), severity=Severity.P1, update_every=UPDATE_EVERY, deadlines=DEADLINES)
    assert replace(playbook, name="", version="", steps=(), match=()) == bare
    restart, rollback = playbook.steps
    assert (restart.verify, restart.timeout, restart.on_failure) == (Verification(), 120.0, OnFailure.NEXT)
    assert restart.approval == ApprovalPolicy()
    assert rollback.approval == ApprovalPolicy(approvals=1, reason_required=True)
    assert (playbook.guardrails, policy.fleet) == (Guardrails(), FleetLimits())
    service = policy.services["api"]
    assert (service.good_after, service.recent, service.health_word) == (1800.0, 86_400.0, "healthy")


@pytest.mark.parametrize(
    ("action", "approvals"),
    [
        ("restart", 0),
        ("scale, parameters: {by: 1}", 0),
        ("rollback", 1),
        ("diagnose", 0),
        ("http, parameters: {url: 'http://h/'}", 1),
    ],
)
def test_who_must_agree_depends_on_the_action(tmp_path: Path, action: str, approvals: int) -> None:
    policy = load(tmp_path, changed("action: restart", f"action: {action}"))
    assert policy.playbooks[0].steps[0].approval.approvals == approvals


@pytest.mark.parametrize(
    ("step", "anywhere", "on_p1"),
    [
        ("{name: wipe, action: wipe}", 1, 2),
        ("{name: wipe, action: wipe, approval: {approvals: 1}}", 1, 1),
        ("{name: wipe, action: wipe, approval: {approvals: 1, by_severity: {P1: {approvals: 3}}}}", 1, 3),
        ("{name: wipe, action: wipe, approval: none}", 0, 0),
    ],
)
def test_what_destroys_state_asks_two_on_a_p1_unless_the_file_says_otherwise(
    tmp_path: Path, step: str, anywhere: int, on_p1: int
) -> None:
    path = tmp_path / "playbooks.yaml"
    path.write_text(f'playbooks: [{{name: p, match: a="b", severity: P2, steps: [{step}]}}]')
    (wipe,) = load_policy(path, {**ACTIONS, "wipe": Facts("wipe", destroys_state=True)}).playbooks[0].steps
    asked = {severity: wipe.approval_for(severity) for severity in Severity}
    assert {severity: one.approvals for severity, one in asked.items()} == {
        severity: on_p1 if severity is Severity.P1 else anywhere for severity in Severity
    }


def test_what_a_severity_changes_leaves_the_rest(tmp_path: Path) -> None:
    approval = "{approvals: 1, expires: 9s, approvers: [dba], on_timeout: abort, by_severity: {P1: {approvals: 2}}}"
    policy = load(tmp_path, changed("action: restart", f"action: restart, approval: {approval}"))
    rung = policy.playbooks[0].steps[0]
    assert rung.approval == ApprovalPolicy(1, 9.0, on_timeout=OnTimeout.ABORT, approvers=("dba",))
    assert rung.approval_for(Severity.P1) == replace(rung.approval, approvals=2)
    assert rung.approval_for(Severity.P2) == rung.approval


def test_a_step_says_more_than_the_playbook_and_that_more_than_the_defaults(tmp_path: Path) -> None:
    text = changed("playbooks:\n", "defaults: {verify: {interval: 1s, timeout: 1m, consecutive: 9}}\nplaybooks:\n")
    text = text.replace("    severity: P1\n", "    severity: P1\n    verify: {interval: 2s, timeout: 2m}\n")
    text = text.replace("action: restart", "action: restart, verify: {interval: 3s}")
    verify = load(tmp_path, text).playbooks[0].steps[0].verify
    assert (verify.interval, verify.timeout, verify.consecutive) == (3.0, 120.0, 9)


def test_without_a_rule_no_version_ever_becomes_known_good(tmp_path: Path) -> None:
    text = changed("    known_good: {good_after: 30m}\n", "").replace(
        "      - {name: rollback, action: rollback}\n", ""
    )
    assert load(tmp_path, text).services["api"].good_after == math.inf
    text = changed("    known_good: {good_after: 30m}\n", "").replace(
        "playbooks:\n", "defaults: {known_good: {}}\nplaybooks:\n"
    )
    assert load(tmp_path, text).services["api"].good_after == 1800.0


def test_the_environment_replaces_an_engine_url_and_nothing_else(tmp_path: Path) -> None:
    environment = {"REMEDIATOR_ENGINE_LOCAL": "unix:///tmp/x.sock", "REMEDIATOR_ENGINE_OTHER": "tcp://h:1", "x": "y"}
    text = changed('match: alertname="ServiceDown"', "match: 'a=\"${x}\"'")
    policy = load(tmp_path, text, environment=environment)
    assert policy.engines["local"].url == "unix:///tmp/x.sock"
    assert str(policy.playbooks[0].match[0]) == 'a="${x}"'
    assert engine_variable("build-host.1") == "REMEDIATOR_ENGINE_BUILD_HOST_1"


def test_versions_change_with_the_content_and_not_with_the_place(tmp_path: Path) -> None:
    first = load(tmp_path, GOOD)
    assert load(tmp_path, "# a note\n" + GOOD).version == first.version
    moved = load(tmp_path, changed("playbooks:\n", "playbooks:\n  - {name: x, match: a=b, severity: P4}\n"))
    assert (moved.playbooks[1].rank, moved.playbooks[1].version) == (1, first.playbooks[0].version)
    assert moved.version != first.version
    by_default = load(tmp_path, changed("playbooks:\n", "defaults: {settle: 11s}\nplaybooks:\n"))
    assert by_default.playbooks[0].version != first.playbooks[0].version
    assert len(first.version) == len(first.playbooks[0].version) == 16
    service = load(tmp_path, changed("max: 3", "max: 4"))
    assert (service.playbooks[0].version, service.version) != (first.playbooks[0].version, first.version)
    assert service.playbooks[0].version == first.playbooks[0].version


def test_a_refused_file_tells_every_error_and_no_warning(tmp_path: Path) -> None:
    with pytest.raises(PolicyError) as caught:
        load(
            tmp_path,
            changed("severity: P1", "severity: P9\n    hld: 1s").replace(
                '"unix:///var/run/docker.sock"', "tcp://far:1"
            ),
        )
    assert [problem.place.line for problem in caught.value.problems] == [13, 14]
    assert str(caught.value).count("\n") == 1


# --- no accepted key is ignored ---------------------------------------------------------------------------------------

FULL: dict[str, Any] = {
    "engines": {"local": {"url": "tcp://h:1", "ca": "a", "cert": "b", "key": "c", "timeout": "1s"}},
    "services": {
        "api": {
            "engine": "local",
            "runtime": "containers",
            "selector": {"a": "b"},
            "aliases": ["web"],
            "health": {"urls": ["http://h/x"], "word": "ok", "timeout": "1s"},
            "replicas": {"min": 2, "max": 3},
            "traffic": "dns",
            "known_good": {"good_after": "1s", "recent": "2s"},
            "shared_mounts": True,
        },
        "job": {
            "runtime": "process",
            "command": ["run"],
            "options": {
                "base_port": 1000, "cwd": "/tmp", "env": {"A": "b"}, "health_url": "http://h:{port}/x",
                "stop_timeout": "3s", "start_grace": "4s", "log_bytes": 5000,
            },
        },
        "bare": {"engine": "local", "selector": {"z": "z"}},
    },
    "defaults": {
        "target": {"labels": ["app"]},
        "diagnose": False,
        "settle": "1s",
        "hold": "2s",
        "resolve_within": "3s",
        "page_every": "4s",
        "acknowledge_within": {"P1": "90s"},
        "update_every": {"P3": "4s"},
        "deadlines": {"assess": "1s", "recover": "2s", "mitigate": "3s"},
        "complete_failure": {"assess": "4s", "recover": "5s", "mitigate": "6s"},
        "step": {"timeout": "5s", "healthy_within": "6s", "on_failure": "escalate"},
        "verify": {
            "health": False,
            "target": False,
            "queries": [{"name": "q", "expr": "up", "success": "> 0"}],
            "initial_delay": "1s",
            "interval": "2s",
            "consecutive": 2,
            "consecutive_failures": 3,
            "timeout": "99s",
            "max_staleness": "5s",
            "probe": ["http://127.0.0.1:1/probe"],
        },
        "approval": {
            "restart": {
                "approvals": 2, "expires": "1s", "execute_before": "2s", "on_timeout": "next", "reason_required": True,
                "approvers": ["dba"],
                "by_severity": {
                    "P1": {
                        "approvals": 3, "expires": "3s", "execute_before": "4s", "on_timeout": "next",
                        "reason_required": False, "approvers": ["dba"],
                    }
                },
            }
        },
        "guardrails": {
            "cooldown": "1s", "max_runs": 2, "max_runs_window": "3s", "max_alert_age": "4s", "min_healthy": 5,
            "require_confirmation": False,
        },
        "known_good": {"good_after": "7s", "recent": "8s"},
        "fleet": {"max_actions": 1, "window": "2s", "max_under_way": 3},
    },
    "playbooks": [
        {"name": "plain", "match": "x=y", "severity": "P1", "steps": [{"name": "s", "action": "restart"}]},
        {
            "name": "full",
            "description": "d",
            "match": ["a=b", "c=d"],
            "severity": {"default": "P4", "rules": [{"match": "e=f", "severity": "P2"}]},
            "target": {"labels": ["pod"]},
            "diagnose": True,
            "verify": {"interval": "9s"},
            "guardrails": {"cooldown": "9s"},
            "settle": "9s",
            "hold": "9s",
            "resolve_within": "9s",
            "page_every": "9s",
            "complete_failure": True,
            "dry_run": True,
            "paused": True,
            "steps": [
                {
                    "name": "s",
                    "action": "scale",
                    "parameters": {"by": 1},
                    "timeout": "9s",
                    "healthy_within": "9s",
                    "verify": {
                        "queries": [
                            {
                                "name": "q", "expr": "up", "success": "> 0", "failure": "> 9", "traffic": "t",
                                "min_traffic": 3, "min_samples": 4, "unit": "s",
                            }
                        ]
                    },
                    "undo": True,
                    "cleanup_after": "9s",
                    "on_failure": "next",
                    "approval": {"approvals": 3},
                    "allow_gap": True,
                }
            ],
        },
    ],
}  # fmt: skip

_OTHER: dict[str, Any] = {
    "url": "unix:///x", "traffic": "proxy", "severity": "P3", "default": "P1", "match": "z=z",
    "labels": ["zone"], "urls": ["http://h/other"], "probe": ["http://h/other"], "success": "> 5", "failure": "> 5", "action": "rollback",
    "selector": {"q": "q"}, "env": {"q": "2"}, "health_url": "http://h/y", "parameters": {"to": 2}, "aliases": ["q"], "command": ["q"],
}  # fmt: skip


def leaves(model: type[BaseModel], data: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Yield the path of every value that a person gives in FULL, as far as the models reach."""
    if isinstance(data, dict) and path[-1:] not in {("parameters",), ("env",), ("selector",)}:
        for key, value in data.items():
            yield from leaves(model, value, (*path, key))
    elif isinstance(data, list) and data and isinstance(data[0], dict):
        for index, value in enumerate(data):
            yield from leaves(model, value, (*path, index))
    else:
        yield path


def changed_value(path: tuple[str | int, ...], value: Any) -> Any:
    if path[-1] == "runtime":
        return {"process": "containers", "containers": "process"}[value]
    if path[-1] in {"on_timeout", "on_failure"}:
        return {"next": "escalate", "escalate": "next"}.get(value, value)
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if isinstance(value, list):
        return [f"{one}x" for one in value]
    if path[-1] in _OTHER:
        return _OTHER[str(path[-1])]
    return "77s" if isinstance(value, str) and value[:-1].isdigit() else f"{value}x"


def policy_of(data: Any) -> Policy:
    return replace(build_policy(FileModel.model_validate(data), ACTIONS, {}, ""), version="")


def with_value(data: Any, path: tuple[str | int, ...], value: Any) -> Any:
    if not path:
        return value
    if isinstance(data, dict):
        return {key: with_value(item, path[1:], value) if key == path[0] else item for key, item in data.items()}
    return [with_value(item, path[1:], value) if index == path[0] else item for index, item in enumerate(data)]


@pytest.mark.parametrize("path", list(leaves(FileModel, FULL)), ids=lambda path: ".".join(map(str, path)))
def test_every_key_reaches_the_policy(path: tuple[str | int, ...]) -> None:
    value: Any = FULL
    for part in path:
        value = value[part]
    assert policy_of(with_value(FULL, path, changed_value(path, value))) != policy_of(FULL)


def models() -> Iterator[type[BaseModel]]:
    """Yield every model of the file."""
    waiting: list[Any] = [FileModel]
    seen: set[type[BaseModel]] = set()
    while waiting:
        one = waiting.pop()
        if isinstance(one, type) and issubclass(one, BaseModel):
            if one not in seen:
                seen.add(one)
                yield one
                waiting += [field.annotation for field in one.model_fields.values()]
        elif get_origin(one) is not None:
            waiting += get_args(one)


def test_every_key_of_the_schema_is_tried_above() -> None:
    tried: set[tuple[type[BaseModel], str]] = set()
    for path in leaves(FileModel, FULL):
        for length, part in enumerate(path):
            owner = model_at(FileModel, path[:length])
            if owner is not None:
                tried.add((owner, str(part)))
    known = {(model, name) for model in models() for name in model.model_fields}
    assert known - tried == set()


def test_the_full_example_is_a_right_file(tmp_path: Path) -> None:
    path = tmp_path / "playbooks.yaml"
    YAML(typ="safe", pure=True).dump(FULL, path)
    assert load_policy(path, ACTIONS).playbooks[1].name == "full"


def test_response_times_are_the_shipped_ones_but_for_what_is_said_and_declared_incidents_have_them(
    tmp_path: Path,
) -> None:
    text = changed("playbooks:\n", "defaults: {acknowledge_within: {P2: 30m, P3: 30d, P4: 0s}}\nplaybooks:\n")
    policy, shipped = load(tmp_path, text), load(tmp_path, GOOD)
    assert policy.declared is not None
    assert shipped.declared is not None
    for one in (policy.playbooks[0], policy.declared):
        assert one.acknowledge_within == {Severity.P1: 900.0, Severity.P2: 1800.0, Severity.P3: 2_592_000.0}
    assert shipped.declared.acknowledge_within == ACKNOWLEDGE_WITHIN
    assert policy.declared.version != shipped.declared.version
    assert policy.version != shipped.version
