"""What Prometheus can ask the service about itself. Names follow the field's conventions; docs/api.md lists them.

One registry of our own, so that two services in one process (tests) never share a figure. What is counted for every
webhook is plain numbers, written by the event loop only, and turned into metrics when they are asked for.
"""

from __future__ import annotations

import platform
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from itertools import accumulate
from typing import Any, Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.exposition import generate_latest
from prometheus_client.gc_collector import GCCollector
from prometheus_client.metrics_core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from receiver.core.guardrails import Kill
from receiver.core.severity import Severity

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

RECEIVED: Final = ("new", "repeats", "resolved", "refired", "stale", "unmatched", "quarantined")
"""What an alert of a delivery can turn out to be; `unmatched` ones are also new."""

SLACK_REFUSALS: Final = (
    "unsigned", "signature", "stale", "before_start", "replay", "body", "slow", "too_large", "busy", "person", "role",
)  # fmt: skip
"""Why a request of Slack's can be refused; docs/operations.md says what each means."""

FAST: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
SLOW: Final = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0)

# A second series beside every counter, for a protocol that Prometheus doesn't need.
disable_created_metrics()  # type: ignore[no-untyped-call]


def distribution_version() -> str:
    """Return the installed version of this distribution, `unknown` when it runs from a bare tree."""
    try:
        return version("remediator")
    except PackageNotFoundError:
        return "unknown"


class Webhooks(Collector):
    """What every webhook adds to; for the event loop's thread alone."""

    def __init__(self) -> None:
        self._codes: dict[int, int] = {200: 0}
        self._results = dict.fromkeys(RECEIVED, 0)
        self._buckets = [0] * (len(FAST) + 1)
        self._seconds = 0.0
        self._bytes = 0

    def answered(self, code: int, seconds: float, size: int) -> None:
        """Count an answered request; `seconds` from its headers to its answer, `size` of its body in bytes."""
        self._codes[code] = self._codes.get(code, 0) + 1
        self._buckets[bisect_left(FAST, seconds)] += 1
        self._seconds += seconds
        self._bytes += size

    def alerts(self, result: str, number: int) -> None:
        """Count alerts of a delivery by what they turned out to be, a word of `RECEIVED`."""
        self._results[result] += number

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics."""
        requests = CounterMetricFamily(
            "remediator_webhooks", "Webhook requests by the HTTP status that they were answered.", labels=["code"]
        )
        for code, number in self._codes.items():
            requests.add_metric([str(code)], number)
        yield requests
        alerts = CounterMetricFamily(
            "remediator_alerts", "Alerts received, by what they turned out to be.", labels=["result"]
        )
        for result, number in self._results.items():
            alerts.add_metric([result], number)
        yield alerts
        counts = list(accumulate(self._buckets))
        bounds = [*(str(bound) for bound in FAST), "+Inf"]
        yield HistogramMetricFamily(
            "remediator_webhook_duration_seconds",
            "From a webhook's headers to its answer: its alerts are durable then.",
            buckets=list(zip(bounds, counts, strict=True)),
            sum_value=self._seconds,
        )
        yield CounterMetricFamily("remediator_webhook_body_bytes", "Bytes of webhook bodies read.", value=self._bytes)


class Metrics:
    """Every figure of one service."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry(auto_describe=False)
        ProcessCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        self.webhooks = Webhooks()
        self.registry.register(self.webhooks)
        self._work()
        self._state()

    # --- what happens -----------------------------------------------------------------------------------------------

    def _work(self) -> None:
        self.resyncs = self._counter("resyncs", "Re-syncs from Alertmanager by outcome.", "outcome")
        self.incidents_opened = self._counter("incidents_opened", "Incidents opened.", "severity", "playbook")
        self.incidents_ended = self._counter("incidents_ended", "Incidents that ended.", "state")
        self.steps = self._counter("steps", "Steps that ended.", "action", "outcome")
        self.step_seconds = self._histogram("step_duration_seconds", "How long an action took.", SLOW, "action")
        self.verifications = self._counter("verifications", "Verifications that ended.", "verdict")
        self.refusals = self._counter("refusals", "Steps that a guardrail refused.", "guardrail")
        self.escalations = self._counter("escalations", "Escalations to people.")
        self.responses_missed = self._counter(
            "responses_missed", "Incidents for which something was not done in time.", "severity", "what"
        )
        self.work_failures = self._counter("work_failures", "Times that work on an incident failed by a defect.")
        self.outbox_sent = self._counter("outbox_sent", "Messages by lane and outcome.", "lane", "outcome")
        self.votes = self._counter("votes", "Approvals and denials by people.", "decision")
        self.sign_ins = self._counter("sign_ins", "Sign-ins to the pages by way and outcome.", "how", "outcome")
        self.slack_requests_refused = self._counter(
            "slack_requests_refused", "Requests of Slack's, or that say so, that were refused.", "reason"
        )
        # A series that appears with its first event has no rate for it.
        for verdict in ("passed", "failed", "inconclusive"):
            self.verifications.labels(verdict)
        for severity in Severity:
            self.responses_missed.labels(severity.value, "acknowledge")
        for phase in ("assess", "recover", "mitigate"):
            self.responses_missed.labels(Severity.P1.value, phase)
        for decision in ("approved", "denied"):
            self.votes.labels(decision)
        for how, outcome in (("token", "done"), ("token", "refused"), ("oidc", "done"), ("oidc", "refused")):
            self.sign_ins.labels(how, outcome)
        self.sign_ins.labels("oidc", "unavailable")
        for reason in SLACK_REFUSALS:
            self.slack_requests_refused.labels(reason)
        for state in ("resolved", "closed"):
            self.incidents_ended.labels(state)

    # --- how it stands ----------------------------------------------------------------------------------------------

    def _state(self) -> None:
        self.incidents = self._gauge("incidents", "Incidents that are kept, ended ones too.", "state", "severity")
        self.escalations_open = self._gauge("escalations_open", "Open incidents that people are called about.")
        self.escalation_undelivered = self._gauge(
            "escalations_undelivered", "Pages that the escalation path has not delivered yet."
        )
        self.queue_depth = self._gauge("queue_depth", "Entries that wait, by queue.", "queue")
        self.outbox_rows = self._gauge("outbox_rows", "Messages in the outbox.", "state")
        self.alerts_known = self._gauge("alerts_known", "Alerts by their latest status.", "status")
        self.store_bytes = self._gauge("store_size_bytes", "Size of the database with its journal.")
        self.store_limit = self._gauge("store_size_limit_bytes", "Size from which the oldest evidence is dropped.")
        self.store_up = self._gauge("store_up", "Whether the store could be asked.")
        self.disk_free = self._gauge("store_disk_free_bytes", "Free bytes where the database is.")
        self.disk_low = self._gauge("store_disk_low", "Whether free disk space is below the warning threshold.")
        self.part_up = self._gauge("part_up", "Whether a part outside the service answers.", "part")
        self.known_good_missing = self._gauge(
            "known_good_missing", "Versions known to be good that their engine has lost.", "service"
        )
        self.stream_listeners = self._gauge("stream_listeners", "Open streams of what happens to incidents.")
        self.mode = self._gauge("mode", "1 for the mode that the service runs in.", "mode")
        self.kill_switch = self._gauge("kill_switch", "1 while it stops a playbook, or everything.", "playbook")
        self.policy_success = self._gauge(
            "policy_last_reload_successful", "Whether the last reload of policy and people succeeded."
        )
        self.policy_at = self._gauge(
            "policy_last_reload_success_timestamp_seconds", "When policy and people were last loaded with success."
        )
        self.playbooks = self._gauge("playbooks", "Playbooks of the policy in force.")
        build = self._gauge("build_info", "The running version.", "version", "python")
        build.labels(distribution_version(), platform.python_version()).set(1)

    def sent(self, lane: str, outcome: str) -> None:
        """Count a message, or a try of one."""
        self.outbox_sent.labels(lane, outcome).inc()

    def slack_refused(self, reason: str) -> None:
        """Count a request of Slack's that was refused, by a word of `SLACK_REFUSALS`."""
        self.slack_requests_refused.labels(reason).inc()

    def in_mode(self, mode: str) -> None:
        """Say which mode the service runs in."""
        for one in ("observe", "act"):
            self.mode.labels(one).set(one == mode)

    def killed(self, kill: Kill) -> None:
        """Show the kill switch; an empty `playbook` label stands for everything."""
        self.kill_switch.clear()
        self.kill_switch.labels("").set(kill.everything or kill.file is not None)
        for one in kill.playbooks:
            self.kill_switch.labels(one).set(1)

    def policy_loaded(self, *, success: bool, at: float, playbooks: int | None = None) -> None:
        """Say how a load of the policy ended; `at` counts for successes only, as in Prometheus."""
        self.policy_success.set(success)
        if success:
            self.policy_at.set(at)
        if playbooks is not None:
            self.playbooks.set(playbooks)

    def counted(self, counts: Mapping[str, Any]) -> None:
        """Show what `Store.counts` returned."""
        self.store_up.set(1)
        incidents: Mapping[tuple[str, str], int] = counts["incidents"]
        self.incidents.clear()
        for (state, severity), number in incidents.items():
            self.incidents.labels(state, severity).set(number)
        self.escalations_open.set(counts["paged"])
        for state, number in counts["alerts"].items():
            self.alerts_known.labels(state).set(number)
        for state, number in counts["outbox"].items():
            self.outbox_rows.labels(state).set(number)
        self.queue_depth.labels("wakes").set(counts["wakes"])
        self.queue_depth.labels("units").set(counts["waiting_units"])
        self.store_bytes.set(counts["bytes"])
        self.store_limit.set(counts["bytes_limit"])
        self.disk_free.set(counts["disk_free"])

    def render(self) -> bytes:
        """Return everything in Prometheus' text format."""
        return generate_latest(self.registry)

    # --- making them ------------------------------------------------------------------------------------------------

    def _counter(self, name: str, told: str, *labels: str) -> Counter:
        return Counter(f"remediator_{name}", told, labels, registry=self.registry)

    def _gauge(self, name: str, told: str, *labels: str) -> Gauge:
        return Gauge(f"remediator_{name}", told, labels, registry=self.registry)

    def _histogram(self, name: str, told: str, buckets: Sequence[float], *labels: str) -> Histogram:
        return Histogram(f"remediator_{name}", told, labels, buckets=buckets, registry=self.registry)
