"""A storm from a real Alertmanager: thousands of groups at once, then one group of 20,000 alerts."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import httpx

from deploy.parts.alertmanager import Alertmanager, running_alertmanager
from tests.benchmarks import servers
from tests.benchmarks.looking import MB, kept, others, total, until
from tests.benchmarks.report import Figure, Section, number
from tests.benchmarks.servers import Server

POSTED_AT_ONCE = 1000
GROUP_WAIT = 5.0
"""Seconds that the large group gathers its alerts."""

LIMIT = 180.0
"""Seconds for a storm to arrive."""


def storm(work: Path, *, groups: int, group: int) -> Section:
    """Let a real Alertmanager send so many one-alert groups, then one group of so many alerts."""
    directory = work / "storm"
    directory.mkdir()
    with (
        servers.remediator(directory, services=groups) as server,
        running_alertmanager(directory / "alertmanager", _config(server)) as alertmanager,
    ):
        many = _many(server, alertmanager, groups)
        after_many = server.peak
        one, taken = _one(server, alertmanager, groups, group)
        sent, tried, failed = _notifications(alertmanager)
        durable = kept(server)
        peak = server.peak
    alerts = groups + group + len(taken)
    return Section(
        "A real storm",
        f"Sent by Alertmanager: {groups:,} groups of one alert, each about a service of its own, arrived in"
        f" {number(many)} s; one group of {group:,} alerts was answered {number(one)} s after its alerts were posted"
        f" (its group_wait is {GROUP_WAIT:g} s). Meanwhile others posted {len(taken)} webhooks of one alert: p50"
        f" {number(_quantile(taken, 0.5))} ms, p99 {number(_quantile(taken, 0.99))} ms. Peak memory"
        f" {number(after_many / MB)} MB after the groups. {durable.incidents:,} incidents; {sent:,.0f} notifications"
        f" took {tried:,.0f} requests, {failed:,.0f} of which failed.",
        figures=[
            Figure("durable of all alerts", 100 * durable.alerts / alerts, "%", 100.0),
            Figure("folded into incidents of all alerts", 100 * durable.folded / alerts, "%", 100.0),
            Figure("requests beyond one a notification", tried - sent + failed, "", 0.0, most=True),
            Figure("others' slowest webhook during the large group", max(taken), "ms", 250.0, most=True),
            Figure("peak memory", peak / MB, "MB", 250.0, most=True),
        ],
    )


def _many(server: Server, alertmanager: Alertmanager, groups: int) -> float:
    _push(alertmanager, [_alert(number, number) for number in range(groups)])
    return until(lambda: kept(server).alerts >= groups, LIMIT, f"{groups} groups")


def _one(server: Server, alertmanager: Alertmanager, groups: int, group: int) -> tuple[float, list[float]]:
    """Return the seconds until the group was answered, and the milliseconds of others' webhooks meanwhile."""
    before = _notifications(alertmanager)[1]
    with others(server, seed=7) as taken:
        time.sleep(1.0)
        _push(alertmanager, [_alert(groups + number, number % 50, storm="one") for number in range(group)])
        seconds = until(lambda: _notifications(alertmanager)[1] > before, LIMIT, f"an answer to a group of {group}")
        time.sleep(1.0)
    return seconds, taken


def _alert(number: int, service: int, **labels: str) -> dict[str, Any]:
    return {
        "labels": {
            "alertname": "KubePodCrashLooping",
            "instance": f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}:8080",
            "pod": f"payments-api-{number:08x}",
            "namespace": "payments",
            "service": f"svc-{service:04d}",
            "severity": "warning",
            **labels,
        },
        "annotations": {
            "summary": "Pod is crash looping.",
            "description": f"Pod payments/payments-api-{number:08x} (api) is waiting (reason: CrashLoopBackOff).",
            "runbook_url": "https://runbooks.prometheus-operator.dev/runbooks/kubernetes/kubepodcrashlooping",
        },
        "generatorURL": "http://prometheus.example:9090/graph?g0.expr=increase%28kube_pod_restarts%5B10m%5D%29&g0.tab=1",
    }


def _push(alertmanager: Alertmanager, alerts: list[dict[str, Any]]) -> None:
    for start in range(0, len(alerts), POSTED_AT_ONCE):
        alertmanager.post(*alerts[start : start + POSTED_AT_ONCE])


def _notifications(alertmanager: Alertmanager) -> tuple[float, float, float]:
    """Return how many notifications Alertmanager made, how many requests they took, and how many of those failed."""
    text = httpx.get(f"{alertmanager.url}/metrics", timeout=10.0).text
    lines = (line.rsplit(" ", 1) for line in text.splitlines() if 'integration="webhook"' in line)
    found = {name: float(value) for name, value in lines}
    kinds = ("notifications_total", "notification_requests_total", "notification_requests_failed_total")
    sent, tried, failed = (total(found, f"alertmanager_{kind}") for kind in kinds)
    return sent, tried, failed


def _config(server: Server) -> str:
    return f"""
route:
  receiver: remediator
  group_by: [instance]
  group_wait: 1s
  group_interval: 5m
  repeat_interval: 4h
  routes:
    - matchers: ['storm="one"']
      receiver: remediator
      group_by: [storm]
      group_wait: {GROUP_WAIT:g}s
receivers:
  - name: remediator
    webhook_configs:
      - url: http://127.0.0.1:{server.port}{server.path}
        send_resolved: true
"""


def _quantile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]
