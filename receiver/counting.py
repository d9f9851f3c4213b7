"""What happened, as metrics: counted when it is stored, so that figures and log agree."""

from __future__ import annotations

from collections.abc import Sequence

from receiver.core import events as ev
from receiver.metrics import Metrics


def count(metrics: Metrics, recorded: Sequence[ev.Recorded]) -> None:
    """Count the events of a unit."""
    for one in recorded:
        match one.event:
            case ev.AlertsChanged():
                # The most frequent by far, counted with the webhook.
                pass
            case ev.StepRefused(guardrail=guardrail):
                metrics.refusals.labels(guardrail).inc()
            case ev.Verified(verdict=verdict):
                metrics.verifications.labels(verdict).inc()
            case ev.Escalated(page=True):
                metrics.escalations.inc()
            case ev.ResponseMissed(severity=severity, what=what):
                metrics.responses_missed.labels(severity.value, what).inc()
            case ev.Voted(approve=approve):
                metrics.votes.labels("approved" if approve else "denied").inc()
            case ev.Opened(severity=severity, playbook=playbook):
                metrics.incidents_opened.labels(severity.value, playbook).inc()
            case ev.Resolved():
                metrics.incidents_ended.labels("resolved").inc()
            case ev.Closed():
                metrics.incidents_ended.labels("closed").inc()
            case ev.StepFinished(ok=ok, action=action, seconds=seconds):
                metrics.steps.labels(action, "succeeded" if ok else "failed").inc()
                metrics.step_seconds.labels(action).observe(seconds)
            case _:
                pass
