from __future__ import annotations

from pathlib import Path

import pytest

from receiver.people import Group, People
from receiver.playbooks import Level, errors_of
from tests.unit.playbooks.samples import GOOD, changed, check, people_of, told

STEP = "      - {name: restart, action: restart}\n"
ENGINE = '  local: {url: "unix:///var/run/docker.sock"}\n'
TAIL = "      - {name: rollback, action: rollback}\n"


def test_a_right_file_has_no_mistakes(tmp_path: Path) -> None:
    assert check(tmp_path, GOOD) == []


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("severity: P1", "§severty: P1", "unknown field `severty` in playbooks.down; did you mean `severity`?"),
        ("severity: P1", "severity: P1\n    §xyz: 1", "unknown field `xyz` in playbooks.down; known are `name`,"),
        ("severity: P1", "severity: §P5", "must be one of `P1`, `P2`, `P3`, `P4`, found the text 'P5'"),
        ("severity: P1", "severity: {default: P1, rules: [{match: a=b, severity: §3}]}", "found 3"),
        ("severity: P1", "§severity:", "playbooks.down.severity has no value"),
        ("max: 3", "max: §three", "services.api.replicas.max: needs a whole number, found the text 'three'"),
        ("max: 3", "max: §0", "must be at least 1, found 0"),
        ("max: 3", "max: §true", "needs a whole number, found true"),
        ("max: 3", 'max: §"3"', "needs a whole number, found the text '3'"),
        ("max: 3", "§mx: 3", "unknown field `mx` in services.api.replicas; did you mean `max`?"),
        ("traffic: dns", "traffic: §dsn", "did you mean `dns`?"),
        ("  - name: down", "  - name: §down!", "is no name"),
        ("playbooks:", "§playbook:", "unknown field `playbook`; did you mean `playbooks`?"),
        ("good_after: 30m", "good_after: §30", "30 has no unit, write 30s for seconds"),
        ("good_after: 30m", "good_after: §30min", "'30min' is not a duration such as 10s, 5m or 1h30m"),
        ("good_after: 30m", "good_after: §5s1m", "is not a duration"),
        ("good_after: 30m", "good_after: §[30m]", "needs a duration"),
        ("good_after: 30m", "good_after: §9y", "9y is longer than 366d"),
        (STEP, "      - {name: restart, action: restart, timeout: §0s}\n", "must be longer than 0s"),
        (STEP, "      - §restart\n", "needs a mapping, found the text 'restart'"),
        ("unix:///var/run/docker.sock", "§unix://var/run/docker.sock", "needs an absolute path"),
        ("unix:///var/run/docker.sock", "§ssh://host", "must begin with unix:// or tcp://"),
        ("unix:///var/run/docker.sock", "§tcp://:2375", "names no host"),
        ("unix:///var/run/docker.sock", "§tcp://me:pw@host:2376", "holds credentials"),
        ("unix:///var/run/docker.sock", "§tcp://host:x", "is no URL"),
        (ENGINE, '  local: {url: "unix:///var/run/docker.sock", §ca: x}\n', "TLS is for tcp:// only"),
        (ENGINE, "  local: {url: tcp://h:2376, ca: a, §cert: b}\n", "`cert` needs `key` beside it"),
        ("engine: local", "engine: §locale", "engine `locale` is not defined under `engines`; did you mean `local`?"),
        ("engine: local", "engine: local\n    §command: [run]", "runtime containers has no `command`"),
        ("min: 1, max: 3", "min: §4, max: 3", "min 4 is more than max 3"),
        ("  - name: down", "  - name: §declared", "`declared` is the name of what leads incidents that people declare"),
        (
            "playbooks:\n",
            "defaults: {acknowledge_within: {P1: §59s}}\nplaybooks:\n",
            "must be 1m to 30d, or 0s for none, found 59s",
        ),
        (
            "playbooks:\n",
            "defaults: {acknowledge_within: {P2: §31d}}\nplaybooks:\n",
            "must be 1m to 30d, or 0s for none, found 31d",
        ),
        (
            "playbooks:\n",
            "defaults: {acknowledge_within: {P1: §15h}}\nplaybooks:\n",
            "P1 (15h) is longer than P2 (1h); what is worse can't wait longer",
        ),
        ("traffic: dns", 'health: {urls: ["§ftp://x/y"]}', "must begin with http:// or https://"),
        ("traffic: dns", 'health: {urls: ["§http://{{ labels.h }}/y"]}', "takes no template"),
        ("traffic: dns", 'health: {urls: ["§http://{{labels.h}}/y"]}', "takes no template"),
        ("traffic: dns", "aliases: [§api]", "alias `api` is here a second time"),
        (
            "playbooks:\n",
            "  b: {engine: local, §selector: {com.docker.compose.service: api}}\nplaybooks:\n",
            "takes the same containers as that of `api`",
        ),
        (
            "playbooks:\n",
            "  b: {engine: local, §selector: {com.docker.compose.service: api, x: y}}\nplaybooks:\n",
            "takes the same containers",
        ),
        (
            "playbooks:\n",
            "  b: {engine: local, selector: {x: y}, aliases: [§api]}\nplaybooks:\n",
            "already means service `api`",
        ),
        (
            "  api:\n    engine",
            "  api: {}\n  §api:\n    engine",
            "`api` is here a second time; the first is in line 4",
        ),
        ('match: alertname="ServiceDown"', "match: alertname§='ServiceDown\"'", "no value"),
        ('match: alertname="ServiceDown"', 'match: [a=b, "c=\\"x\\" §d"]', "expected a comma, found 'd'"),
        ('match: alertname="ServiceDown"', "match: [a=b, 'it=\"''\" §d']", "expected a comma, found 'd'"),
        ('match: alertname="ServiceDown"', "match: 'a=~\"§(b\"'", "regular expression '(b'"),
        ('match: alertname="ServiceDown"', "match: §[]", "at least one matcher"),
        ('match: alertname="ServiceDown"', "match: §{a: b}", "needs matchers as text"),
        (
            'match: alertname="ServiceDown"',
            "match: §[a=b, a=c]",
            'can never match: a="b" and a="c" exclude each other',
        ),
        ("action: restart", "action: §restrat", "unknown action `restrat`; did you mean `restart`?"),
        ("action: restart", "action: §qqq", "known are `diagnose`, `http`, `restart`, `rollback`, `scale`"),
        (TAIL, "      - {name: §restart, action: restart}\n", "a step of this name is here a second time"),
        ("action: restart", "action: scale, parameters: {by: §0}", "must be at least 1, found 0"),
        ("action: restart", "action: scale, parameters: {§bye: 1}", "unknown field `bye`"),
        ("action: restart", "action: diagnose, undo: §true", "can't be undone"),
        ("action: restart", "action: restart, undo: §true", "what `restart` does can't be undone"),
        ("action: restart", "action: restart, cleanup_after: §1m", "is not for a time only"),
        (
            TAIL,
            "      - {name: rollback, action: rollback, cleanup_after: §1m}\n",
            "what `rollback` did is not for a time",
        ),
        ("engine: local", "engine: local\n    §options: {cwd: /}", "runtime containers has no `options`"),
        (
            "playbooks:\n",
            "  b: {runtime: process, command: [run], options: {§base_prot: 1}}\nplaybooks:\n",
            "unknown field `base_prot` in services.b.options; did you mean `base_port`?",
        ),
        (
            "playbooks:\n",
            "  b: {runtime: process, command: [run], options: {stop_timeout: §3}}\nplaybooks:\n",
            "3 has no unit, write 3s for seconds",
        ),
        (
            "playbooks:\n",
            "  b: {runtime: process, command: [run], options: {health_url: '§unix:///x'}}\nplaybooks:\n",
            "must begin with http:// or https://",
        ),
        ("action: restart", "action: restart, approval: §1", "needs a mapping, found 1"),
        ("action: restart", "action: restart, approval: {approvals: §11}", "must be at most 10"),
        (
            "action: restart",
            "action: restart, approval: {approvals: 1, on_timeout: §approve}",
            "must be one of `escalate`, `next`",
        ),
        (
            "action: restart",
            "action: restart, verify: §{consecutive: 50, interval: 10s}",
            "can never pass: 50 looks from 8m15s on don't fit into its timeout of 2m",
        ),
        ("action: restart", "action: restart, verify: §{health: false, target: false}", "asks nothing"),
        (
            "action: restart",
            'action: restart, verify: {queries: [{name: q, expr: "up{s=§$service}", success: "> 0"}]}',
            "within double quotes",
        ),
        (
            "action: restart",
            "action: restart, verify: {queries: [{name: q, expr: up, success: §0.5}]}",
            "needs a text, found 0.5",
        ),
        (
            "action: restart",
            'action: restart, verify: {queries: [{name: q, expr: up, success: "§=< 1"}]}',
            "is not a comparison such as < 0.05",
        ),
        (
            "action: restart",
            'action: restart, verify: {queries: [{name: q, expr: up, success: "> 1", §min_traffic: 3}]}',
            "`min_traffic` needs `traffic`",
        ),
        (
            "action: restart",
            'action: restart, verify: {queries: [{name: q, expr: up, success: "> 1", §traffic: up}]}',
            "`traffic` needs `min_traffic`",
        ),
        ("action: restart", "action: http, parameters: {url: 'http://§{{ labels.h }}/'}", "never in its host"),
        ("action: restart", "action: http, parameters: {url: 'http://h/', body: 'a §{{ nope }}'}", "is no template"),
        (
            "action: restart",
            "action: http, parameters: {url: 'http://h/', image: '§{{ labels.i }}'}",
            "image takes no template",
        ),
        (
            "action: restart",
            "action: http, parameters: {url: 'http://h/', headers: {Host: '§{{ labels.i }}'}}",
            "headers.Host takes no template",
        ),
        (
            "action: restart",
            "action: http, parameters: {url: 'http://h/', headers: {§'{{ x }}': a}}",
            "the name of a parameter",
        ),
        ("action: restart", "action: http, parameters: {url: 'http://h/', retries: §x}", "needs a whole number"),
        (
            TAIL,
            TAIL + "  - {name: §down, match: b=c, severity: P2}\n",
            "playbook `down` is here a second time; the first is in line 11",
        ),
        (
            TAIL,
            TAIL + "  - {name: b, match: §[alertname=ServiceDown, x=y], severity: P2}\n",
            "playbooks.b can never match: `down` above takes everything",
        ),
        (
            TAIL,
            TAIL + "  - {name: b, match: §alertname=ServiceDown, severity: P2, target: {labels: [job]}}\n",
            "the first playbook that matches leads",
        ),
        (
            TAIL,
            TAIL + "  - {name: b, match: §alertname=ServiceDown, severity: P2}\n",
            "or give `down` a severity rule",
        ),
        (
            "severity: P1",
            "severity: {rules: [{match: §alertname=X, severity: P1}]}",
            "this severity rule can never match",
        ),
        (
            "severity: P1",
            "severity: {rules: [{match: a=X, severity: P1}, {match: §[a=X, b=c], severity: P2}]}",
            "a severity rule above takes everything",
        ),
        (
            "action: restart",
            "action: http, parameters: {url: 'http://h/', token_file: '/x/§{{ labels.i }}'}",
            "token_file takes no template",
        ),
        (
            "action: restart",
            """action: http, parameters: {url: 'http://h/', body: ' {"a": "§{{ labels.i }}"}'}""",
            "could break out of JSON",
        ),
        (
            "playbooks:\n",
            "defaults: {approval: {§rolback: none}}\nplaybooks:\n",
            "unknown action `rolback`; did you mean `rollback`?",
        ),
        (
            "playbooks:\n",
            """\
defaults: {verify: {queries: [{name: q, success: "> 1", expr: 'up{a="§{{ annotations.x }}"}'}]}}
playbooks:
""",
            "a verification knows the alert's labels only",
        ),
        (
            "playbooks:\n",
            "defaults: {§settel: 1s}\nplaybooks:\n",
            "unknown field `settel` in defaults; did you mean `settle`?",
        ),
    ],
)
def test_a_mistake_is_told_at_its_place(tmp_path: Path, old: str, new: str, words: str) -> None:
    before, marker, _ = changed(old, new).partition("§")
    assert marker, "§ marks where the mistake is"
    where = f"{before.count(chr(10)) + 1}:{len(before.rpartition(chr(10))[2]) + 1}"
    found = told(check(tmp_path, changed(old, new).replace("§", "")))
    assert any(line.startswith(f"{where}: ") and words in line for line in found), (where, found)


@pytest.mark.parametrize(
    ("old", "new", "where", "words"),
    [
        ("severity: P1", "severty: P1", "11:5", "playbooks.down lacks the required field `severity`"),
        ("    engine: local\n", "", "4:3", "services.api lacks `engine`, which runtime containers needs"),
        ("engine: local", "runtime: process\n    command: [run]", "7:5", "runtime process has no `selector`"),
        ("engine: local", "engine: local\n    runtime: process", "4:3", "lacks `command`"),
        ("action: restart", "action: scale", "15:9", "give exactly one of `by` and `to`"),
    ],
)
def test_what_is_missing_is_told_where_it_should_be(tmp_path: Path, old: str, new: str, where: str, words: str) -> None:
    found = told(check(tmp_path, changed(old, new)))
    assert any(line.startswith(f"{where}: ") and words in line for line in found), found


@pytest.mark.parametrize(
    ("old", "new", "action", "why"),
    [
        ("    replicas: {min: 1, max: 3}\n", "", "scale", "has no `replicas` bounds"),
        ("    traffic: dns\n", "", "scale", "has `traffic: none`"),
        ("    known_good: {good_after: 30m}\n", "", "rollback", "has no `known_good` rule"),
    ],
)
def test_what_no_service_is_fit_for_is_an_error_and_what_only_one_is_not_a_warning(
    tmp_path: Path, old: str, new: str, action: str, why: str
) -> None:
    text = changed(old, new)
    if action == "scale":
        text = text.replace("action: restart}", "action: scale, parameters: {by: 1}}")
    (problem,) = [one for one in check(tmp_path, text) if why in one.message]
    assert problem.level is Level.ERROR
    assert problem.message.startswith(
        f"playbooks.down.steps.{'restart' if action == 'scale' else 'rollback'}: `{action}`"
    )
    fit = "  fit: {engine: local, selector: {a: b}, replicas: {max: 2}, traffic: proxy, known_good: {recent: 1h}}\n"
    (problem,) = [
        one for one in check(tmp_path, text.replace("playbooks:\n", fit + "playbooks:\n")) if why in one.message
    ]
    assert problem.level is Level.WARNING
    fixed = text.replace("playbooks:\n", fit + "playbooks:\n").replace(
        'match: alertname="ServiceDown"', "match: [service=fit]"
    )
    assert [one for one in check(tmp_path, fixed) if why in one.message] == []


def test_a_wrong_value_is_not_told_as_a_missing_one_too(tmp_path: Path) -> None:
    text = (
        changed("max: 3", "max: x")
        .replace("traffic: dns", "traffic: x")
        .replace("30m", "x")
        .replace("local: {url", "local: {ur")
    )
    found = told(check(tmp_path, text))
    assert [line.split(": ")[0] for line in found] == ["2:3", "2:11", "7:29", "8:14", "9:30"]


@pytest.mark.parametrize(("text", "found"), [("- a\n", "a list"), ("42\n", "42"), ("text\n", "the text 'text'")])
def test_what_is_no_mapping_at_all_is_called_the_file(tmp_path: Path, text: str, found: str) -> None:
    assert told(check(tmp_path, text)) == [f"1:1: the file: needs a mapping, found {found}"]


def test_a_variable_that_names_no_engine_is_a_warning_with_the_nearest_one(tmp_path: Path) -> None:
    (problem,) = check(tmp_path, GOOD, environment={"REMEDIATOR_ENGINE_LOCL": "tcp://x:1"})
    assert problem.level is Level.WARNING
    assert "did you mean `REMEDIATOR_ENGINE_LOCAL`?" in problem.message
    assert check(tmp_path, GOOD, environment={"REMEDIATOR_ENGINE_LOCAL": "tcp://127.0.0.1:1"}) == []


def test_a_list_whose_only_item_is_wrong_is_not_told_to_be_empty_too(tmp_path: Path) -> None:
    for text in (
        changed("traffic: dns", 'health: {urls: ["ftp://x/y"]}'),
        changed('match: alertname="ServiceDown"', "match: alertname=ServiceDown\n    target: {labels: [1a]}"),
        changed("selector: {com.docker.compose.service: api}", "selector: {com.docker.compose.service: 7}"),
    ):
        assert len(told(check(tmp_path, text))) == 1, told(check(tmp_path, text))
    assert "must not be empty" in told(check(tmp_path, changed("traffic: dns", "health: {urls: []}")))[0]


def test_every_mistake_of_a_file_is_told_in_one_run_and_in_order(tmp_path: Path) -> None:
    text = (
        changed('match: alertname="ServiceDown"', "match: nope")
        .replace("P1", "P7")
        .replace("action: restart", "action: rstart, foo: 1")
    )
    found = told(check(tmp_path, text))
    assert [line.split(": ")[0] for line in found] == ["12:12", "13:15", "15:33", "15:41"]


def test_a_broken_playbook_does_not_hide_the_mistakes_of_another(tmp_path: Path) -> None:
    text = changed("  - name: down\n", "  - 7\n  - name: down\n").replace("action: restart", "action: rstart")
    assert [line.split(": ")[0] for line in told(check(tmp_path, text))] == ["11:5", "16:33"]


def test_a_credential_among_the_parameters_is_warned_about_without_being_shown(tmp_path: Path) -> None:
    url = "'http://h/?token=hunter2&at={{ labels.service }}'"
    parameters = f"{{url: {url}, headers: {{Authorization: Bearer hunter2, Accept: x}}, body: {{password: hunter2}}}}"
    problems = check(tmp_path, changed("action: restart", f"action: http, parameters: {parameters}"))
    assert [problem.level for problem in problems] == [Level.WARNING] * 3
    assert [problem.message.split()[1] for problem in problems] == ["url", "headers.Authorization", "body.password"]
    assert not any("hunter2" in problem.message for problem in problems)


def test_warnings_refuse_nothing(tmp_path: Path) -> None:
    problems = check(tmp_path, changed('url: "unix:///var/run/docker.sock"', "url: tcp://far:2375"))
    assert [problem.level for problem in problems] == [Level.WARNING]
    assert "without TLS" in problems[0].message
    assert errors_of(problems) == []
    assert check(tmp_path, changed('url: "unix:///var/run/docker.sock"', "url: tcp://127.0.0.1:2375")) == []


def test_a_read_only_step_is_a_warning(tmp_path: Path) -> None:
    (problem,) = check(tmp_path, changed("action: restart", "action: diagnose"))
    assert (problem.level, "can repair nothing" in problem.message) == (Level.WARNING, True)


@pytest.mark.parametrize(("paths", "words"), [(0, "no way to reach"), (1, "only one way"), (2, None), (None, None)])
def test_fewer_than_two_escalation_paths_are_a_warning(tmp_path: Path, paths: int | None, words: str | None) -> None:
    problems = check(tmp_path, GOOD, escalation_paths=paths)
    assert [problem.level for problem in problems] == ([Level.WARNING] if words else [])
    assert all(words in problem.message for problem in problems if words)


@pytest.mark.parametrize(("approvers", "words"), [(0, "nobody may"), (1, None), (None, None)])
def test_an_approval_that_nobody_can_give_is_a_warning(
    tmp_path: Path, approvers: int | None, words: str | None
) -> None:
    people = people_of(approvers) if approvers is not None else None
    problems = check(tmp_path, GOOD, people=people)
    assert [str(problem.level) for problem in problems] == (["warning"] if words else [])
    asked = changed("action: rollback", "action: rollback, approval: {approvals: 3}")
    assert ["only 1 may" in line for line in told(check(tmp_path, asked, people=people_of(1)))] == [True]


@pytest.mark.parametrize(
    ("approval", "words"),
    [
        ("{approvals: 1, approvers: [dba]}", []),
        ("{approvals: 2, approvers: [dba]}", ["only 1 may"]),
        ("{approvals: 2, approvers: [dba, approver-2]}", []),
        ("{approvals: 1, approvers: []}", ["nobody may"]),
        ("{approvals: 1, approvers: [viewer]}", ["nobody may"]),
        ("{approvals: 1, approvers: [approver-1, approver-3]}", ["no person or group `approver-3`; did you mean"]),
        ("{approvals: 1, by_severity: {P1: {approvals: 3}}}", ["asks for 3 to approve on P1, but only 2 may"]),
        ("{approvals: 1, by_severity: {P1: {approvers: [x]}}}", ["no person or group `x`", "on P1, but nobody may"]),
    ],
)
def test_who_may_approve_is_held_against_people_yaml(tmp_path: Path, approval: str, words: list[str]) -> None:
    people = People(people_of(2).by_id, {"dba": Group("dba", frozenset({"approver-1", "viewer"}))})
    asked = changed("action: rollback", f"action: rollback, approval: {approval}")
    found = check(tmp_path, asked, people=people)
    assert [problem.level for problem in found] == [Level.WARNING] * len(words)
    assert all(any(word in line for line in told(found)) for word in words), told(found)


def test_an_engine_url_of_the_environment_is_checked_too(tmp_path: Path) -> None:
    found = told(check(tmp_path, GOOD, environment={"REMEDIATOR_ENGINE_LOCAL": "docker"}))
    assert len(found) == 1
    assert found[0].startswith("2:16: environment variable REMEDIATOR_ENGINE_LOCAL: 'docker' must begin with")


def test_what_a_template_becomes_is_not_judged_before_it_is_filled_in(tmp_path: Path) -> None:
    new = "action: http, parameters: {url: 'http://h/{{ labels.a }}', retries: '{{ labels.n }}', "
    new += "body: {name: '{{ annotations.s }}'}}"
    assert check(tmp_path, changed("action: restart", new)) == []
