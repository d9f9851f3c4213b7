"""A stand-in for the engine: folds alerts into incidents by their label `service`, and little else."""

from __future__ import annotations

from collections.abc import Sequence

from receiver.core.alert import Alert, AlertStatus, Change, Known, change_of
from receiver.core.events import AlertChange, AlertsChanged, Event, Opened, Recorded
from receiver.core.fold import evolve
from receiver.core.incident import Incident
from receiver.core.severity import Severity
from receiver.ids import RandomIds
from receiver.ports import AlertRow, Body, Changes, InvalidChanges, OutboxRow, Repeat, Unit, View

IDS = RandomIds()


def alert(
    fingerprint: str, service: str | None = "api", status: str = "firing", starts_at: int = 1, **labels: str
) -> Alert:
    """Return an alert; without a service nobody takes it."""
    if service is not None:
        labels["service"] = service
    labels.setdefault("alertname", "ServiceDown")
    return Alert(fingerprint, AlertStatus(status), labels, {"summary": f"{service} is down"}, starts_at, 0, "")


def webhook(alerts: Sequence[Alert], now: float, body: Body | None = None) -> Unit:
    """Return the unit of a delivery."""
    targets = tuple({one.labels["service"] for one in alerts if "service" in one.labels})
    return Unit(
        lambda view: fold(view, alerts, now),
        fingerprints=tuple({one.fingerprint for one in alerts}),
        targets=targets,
        body=body,
    )


def fold(view: View, alerts: Sequence[Alert], now: float) -> Changes:
    """Decide what a delivery changes."""
    known = dict(view.alerts)
    rows: list[AlertRow] = []
    repeats: list[Repeat] = []
    changed: dict[str, list[Alert]] = {}
    counters: dict[str, int] = {}
    for one in alerts:
        if change_of(one, known.get(one.fingerprint)) in {Change.REPEAT, Change.STALE}:
            repeats.append(Repeat(one.fingerprint, now))
            continue
        known[one.fingerprint] = Known(one.starts_at, one.status, None)
        if (service := one.labels.get("service")) is None:
            rows.append(AlertRow(one, None, None, "no playbook matches", now))
            counters["unmatched"] = counters.get("unmatched", 0) + 1
        else:
            changed.setdefault(service, []).append(one)
    changes = Changes(rows, repeats, counters=counters)
    for service, its in changed.items():
        changes = _merged(changes, _into(view.open.get(service), service, its, now))
    return changes


def opening(service: str, alerts: Sequence[Alert], now: float) -> Changes:
    """Return the changes that open an incident, whether there is one or not."""
    return _into(None, service, alerts, now)


def _into(incident: Incident | None, service: str, alerts: Sequence[Alert], now: float) -> Changes:
    events: list[Event] = []
    if incident is None:
        first = alerts[0]
        events.append(
            Opened(service, "down", "v1", 0, Severity.P1, "act", "it matched", first.name, first.labels, {}, 0.0)
        )
    events.append(
        AlertsChanged(
            tuple(
                AlertChange(one.fingerprint, one.status, one.starts_at, one.name, Severity.P1, "down", "v1", 0)
                for one in alerts
            ),
            sum(one.status is AlertStatus.FIRING for one in alerts),
            sum(one.status is AlertStatus.RESOLVED for one in alerts),
        )
    )
    name = IDS.incident() if incident is None else incident.id
    changes = append(incident, name, events, now)
    rows = [AlertRow(one, name, "down", None, now) for one in alerts]
    outbox: list[OutboxRow] = []
    if incident is None:
        outbox = [
            OutboxRow("console", "header", f"{name}/1", name, {"title": service}, now),
            OutboxRow("console", "thread", f"{name}/1/thread", name, {"text": "opened"}, now),
        ]
    return changes._replace(alerts=rows, outbox=outbox, wake={name: now + 10})


def append(incident: Incident | None, name: str, events: Sequence[Event], now: float) -> Changes:
    """Return the changes that append events to an incident's log and fold them."""
    seq = 0 if incident is None else incident.seq
    recorded = [Recorded(name, seq + 1 + number, now, event) for number, event in enumerate(events)]
    for one in recorded:
        incident = evolve(incident, one)
    if incident is None:
        raise InvalidChanges("no event")
    return Changes(incidents=[incident], events=recorded)


def _merged(one: Changes, other: Changes) -> Changes:
    return Changes(
        [*one.alerts, *other.alerts],
        one.repeats,
        [*one.incidents, *other.incidents],
        [*one.events, *other.events],
        {**one.wake, **other.wake},
        [*one.outbox, *other.outbox],
        counters=one.counters,
    )
