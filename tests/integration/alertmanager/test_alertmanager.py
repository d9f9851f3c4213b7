"""The client against a real Alertmanager: foreign receivers, silences, inhibitions, and what was missed while away."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from deploy.parts.alertmanager import Alertmanager as Part
from deploy.parts.alertmanager import running_alertmanager
from deploy.parts.ports import free_port
from receiver import alertmanager as module
from receiver.alertmanager import AlertmanagerApi, AlertmanagerUnavailable, Listed, Resync, resync
from receiver.clock import SystemClock
from receiver.core.alert import Alert, AlertStatus
from receiver.ports import AlertRow

pytestmark = [pytest.mark.alertmanager, pytest.mark.anyio]

OURS = "team.x (prod)"
CONFIG = """
route:
  receiver: others
  group_wait: 1s
  group_interval: 1s
  routes:
    - matchers: [team="us"]
      receiver: "team.x (prod)"
      continue: true
    - matchers: [team="both"]
      receiver: "team.x (prod)"
      continue: true
    - matchers: [team="both"]
      receiver: others
    - matchers: [team="alike"]
      receiver: teamyx (prod)
receivers:
  - name: others
  - name: teamyx (prod)
  - name: "team.x (prod)"
inhibit_rules:
  - source_matchers: [severity="critical"]
    target_matchers: [severity="warning"]
    equal: [service]
"""


@pytest.fixture(scope="module")
def part(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Part]:
    with running_alertmanager(tmp_path_factory.mktemp("alertmanager"), CONFIG) as running:
        running.post(
            alert("Down", team="us", service="a", severity="critical"),
            alert("Slow", team="us", service="a", severity="warning"),
            alert("Quiet", team="us", service="b", odd='quote " and \\ and ü'),
            alert("Shared", team="both", service="c"),
            alert("Theirs", team="them", service="d"),
            alert("Alike", team="alike", service="e"),
        )
        silence(running, "Quiet")
        deadline = time.monotonic() + 10
        while len(running.alerts(silenced="false", inhibited="false")) != 4:
            assert time.monotonic() < deadline, running.alerts()
            time.sleep(0.1)
        yield running


@pytest.fixture
async def api(part: Part) -> AsyncIterator[AlertmanagerApi]:
    async with httpx.AsyncClient(trust_env=False) as client:
        yield AlertmanagerApi(part.url, client, SystemClock(), OURS)


def alert(name: str, **labels: str) -> dict[str, Any]:
    return {
        "labels": {"alertname": name, **labels},
        "annotations": {"summary": f"{name} happened"},
        "startsAt": "2026-01-02T03:04:05.123456789Z",
        "endsAt": rfc3339(3600),
    }


def rfc3339(ahead: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=ahead)).isoformat()


def silence(part: Part, name: str) -> None:
    body = {
        "matchers": [{"name": "alertname", "value": name, "isRegex": False, "isEqual": True}],
        "startsAt": rfc3339(0),
        "endsAt": rfc3339(3600),
        "createdBy": "alice",
        "comment": "hands off",
    }
    httpx.post(f"{part.url}/api/v2/silences", json=body, timeout=10).raise_for_status()


def names(listed: tuple[Listed, ...]) -> list[str]:
    return sorted(one.alert.name for one in listed)


def row(known: Alert) -> AlertRow:
    return AlertRow(known, "i-1")


async def missed(api: AlertmanagerApi, *known: Alert, later: float = 3600.0) -> Resync:
    firing = {one.fingerprint: row(one) for one in known}
    return resync(firing, await api.snapshot(firing), time.time() + later)


async def listed(api: AlertmanagerApi, name: str) -> Alert:
    return next(one.alert for one in await api.everything() if one.alert.name == name)


async def test_only_what_is_ours_and_neither_silenced_nor_inhibited_is_active(api: AlertmanagerApi) -> None:
    assert names(await api.active()) == ["Down", "Shared"]


async def test_everything_holds_silenced_inhibited_and_foreign_alerts_too(api: AlertmanagerApi) -> None:
    everything = await api.everything()
    assert names(everything) == ["Alike", "Down", "Quiet", "Shared", "Slow", "Theirs"]
    by_name = {one.alert.name: one for one in everything}
    assert len(by_name["Quiet"].silenced_by) == 1
    assert by_name["Slow"].inhibited_by == (by_name["Down"].alert.fingerprint,)
    assert by_name["Shared"].receivers == ("team.x (prod)", "others")


async def test_an_alert_is_read_as_the_webhook_would_bring_it(api: AlertmanagerApi) -> None:
    down = await listed(api, "Down")
    assert (down.status, down.starts_at, down.ends_at) == (AlertStatus.FIRING, 1767323045123000000, 0)
    assert down.annotations == {"summary": "Down happened"}
    assert len(down.fingerprint) == 16


async def test_only_what_people_silenced_is_listed_as_silenced(api: AlertmanagerApi) -> None:
    (quiet,) = await api.silenced()
    assert quiet.alert == await listed(api, "Quiet")
    assert len(quiet.silenced_by) == 1


async def test_what_fired_while_away_is_delivered_and_what_is_known_is_not(api: AlertmanagerApi) -> None:
    found = await missed(api, await listed(api, "Down"))
    assert [one.name for one in found.deliveries] == ["Shared"]
    assert found == Resync(deliveries=found.deliveries)


async def test_what_is_gone_is_delivered_as_resolved(api: AlertmanagerApi) -> None:
    gone = Alert("0123456789abcdef", AlertStatus.FIRING, {"alertname": "Gone"}, starts_at=5)
    found = await missed(api, await listed(api, "Down"), await listed(api, "Shared"), gone)
    (ended,) = found.deliveries
    assert (ended.name, ended.status, ended.starts_at) == ("Gone", AlertStatus.RESOLVED, 5)
    assert ended.ends_at > 1_700_000_000_000_000_000


async def test_silenced_inhibited_and_rerouted_alerts_are_not_called_gone(api: AlertmanagerApi) -> None:
    known = [await listed(api, name) for name in ("Down", "Shared", "Quiet", "Slow", "Theirs")]
    found = await missed(api, *known)
    assert found.deliveries == ()
    assert names(found.suppressed) == ["Quiet", "Slow"]
    assert names(found.elsewhere) == ["Theirs"]


async def test_an_alertmanager_that_just_started_may_have_forgotten(api: AlertmanagerApi) -> None:
    gone = Alert("0123456789abcdef", AlertStatus.FIRING, {"alertname": "Gone"})
    found = await missed(api, gone, later=0.0)
    assert found.unsure == (gone.fingerprint,)
    assert all(one.status is AlertStatus.FIRING for one in found.deliveries)


async def test_an_alertmanager_that_is_not_there_is_said_with_its_address() -> None:
    async with httpx.AsyncClient(trust_env=False) as client:
        url = f"http://127.0.0.1:{free_port()}"
        with pytest.raises(AlertmanagerUnavailable, match=f"Alertmanager at {url} can't be reached"):
            await AlertmanagerApi(url, client, SystemClock(), OURS).active()


async def test_an_alertmanager_that_hangs_is_given_up_in_time(part: Part, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TIMEOUT", 0.5)
    async with httpx.AsyncClient(trust_env=False) as client:
        api = AlertmanagerApi(part.url, client, SystemClock(), OURS)
        os.kill(part.child.pid, signal.SIGSTOP)
        try:
            with pytest.raises(AlertmanagerUnavailable, match=r"gave no answer within 0\.5 s"):
                await api.active()
        finally:
            os.kill(part.child.pid, signal.SIGCONT)
