"""The shipped verification queries and the escaping of values, judged by Prometheus' own parser and engine."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from receiver.core.template import render_query
from receiver.playbooks import load_policy
from remediations.registry import load_actions
from tests.parts import SYSTEM_PATH

pytestmark = pytest.mark.prometheus

POLICY = load_policy(Path(__file__).parents[3] / "playbooks.yaml", load_actions().actions)
SERVICE = "smartresume-api"
WORK = f'service="{SERVICE}", handler="/api/v1/resumes"'


def promtool(*arguments: str) -> None:
    done = subprocess.run(
        ["promtool", *arguments], env={"PATH": SYSTEM_PATH}, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def filled(name: str, *, traffic: bool = False, window: float = 60.0) -> str:
    for playbook in POLICY.playbooks:
        for step in playbook.steps:
            for query in step.verify.queries:
                if query.name == name:
                    expr = query.traffic if traffic else query.expr
                    assert expr is not None
                    return render_query(expr, {}, {}, service=SERVICE, window=window)
    raise AssertionError(name)


def evaluate(tmp_path: Path, expr: str, series: dict[str, str], expected: list[dict[str, Any]]) -> None:
    test = {
        "interval": "5s",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [{"expr": expr, "eval_time": "5m", "exp_samples": expected}],
    }
    path = tmp_path / "test.yaml"
    path.write_text(json.dumps({"rule_files": [], "evaluation_interval": "5s", "tests": [test]}))
    promtool("test", "rules", str(path))


def sample(value: float) -> dict[str, Any]:
    return {"labels": f'{{service="{SERVICE}"}}', "value": value}


@pytest.mark.parametrize(
    ("counts", "ratio"),
    [
        ({'status="200"': 9, 'status="500"': 1}, 0.1),
        ({'status="200"': 10}, 0.0),
        ({'status="503"': 10}, 1.0),
        ({'status="200", instance="a"': 9, 'status="200", instance="b"': 1, 'status="502", instance="b"': 10}, 0.5),
    ],
)
def test_the_error_rate_is_that_of_the_whole_service(tmp_path: Path, counts: dict[str, int], ratio: float) -> None:
    series = {f"http_requests_total{{{WORK}, {labels}}}": f"0+{count}x80" for labels, count in counts.items()}
    series[f'http_requests_total{{service="{SERVICE}", handler="/health", status="200"}}'] = "0+1000x80"
    series['http_requests_total{service="other", handler="/x", status="500"}'] = "0+1000x80"
    evaluate(tmp_path, filled("error rate"), series, [sample(ratio)])


def test_errors_before_the_window_do_not_count(tmp_path: Path) -> None:
    series = {
        f'http_requests_total{{{WORK}, status="500"}}': "0+10x40 400x40",
        f'http_requests_total{{{WORK}, status="200"}}': "0x40 0+10x40",
    }
    evaluate(tmp_path, filled("error rate", window=30), series, [sample(0.0)])


def test_no_data_is_an_empty_answer(tmp_path: Path) -> None:
    for name in ("error rate", "p95 response time", "an instance is up"):
        evaluate(tmp_path, filled(name), {'http_requests_total{service="other"}': "0+1x80"}, [])


def test_traffic_is_the_number_of_requests_within_the_window(tmp_path: Path) -> None:
    series = {f'http_requests_total{{{WORK}, status="{status}"}}': "0+5x80" for status in ("200", "500")}
    for name in ("error rate", "p95 response time"):
        evaluate(tmp_path, filled(name, traffic=True), series, [{"labels": "{}", "value": 120}])


def test_the_p95_is_over_all_instances(tmp_path: Path) -> None:
    series = {}
    for instance, fast in (("a", 100), ("b", 0)):
        for bound, count in (("1", fast), ("10", 100), ("+Inf", 100)):
            series[f'http_request_duration_seconds_bucket{{{WORK}, instance="{instance}", le="{bound}"}}'] = (
                f"0+{count}x80"
            )
    evaluate(tmp_path, filled("p95 response time"), series, [sample(9.1)])


def test_one_instance_that_is_up_is_enough(tmp_path: Path) -> None:
    series = {f'up{{service="{SERVICE}", instance="{one}"}}': value for one, value in (("a", "0x80"), ("b", "1x80"))}
    evaluate(tmp_path, filled("an instance is up"), series, [sample(1)])


@pytest.mark.parametrize(
    "value",
    [
        '"} or vector(1) #',
        "\\",
        "a\\nb",
        "line\nbreak\r\t\x01",
        "it's",
        "`",
        "\u00e9\u2603\u2028",
        "{{ labels.x }}",
        "",
        "$1",
        "a.b*(c|d)[e]{2}^$+?",
    ],
)
def test_a_value_reaches_prometheus_as_it_is(tmp_path: Path, value: str) -> None:
    """The real parser must find the series whose label has this value, and no other, by = and by =~."""
    name = json.dumps(value, ensure_ascii=False).replace("\\u0001", "\\x01")
    series = {f"x{{a={name}}}": "1x80", 'x{a="other"}': "1x80", 'x{a="a5b"}': "1x80"}
    for quote in ('"', "'"):
        for operator in ("=", "=~"):
            expr = f"count(x{{a{operator}{quote}{{{{ labels.v }}}}{quote}}})"
            shown = render_query(expr, {"v": value}, {}, service="s", window=1)
            evaluate(tmp_path, shown, series, [{"labels": "{}", "value": 1}])
