"""What was missed while away, from what we know and what Alertmanager lists; and answers that can't be read."""

from __future__ import annotations

from dataclasses import replace

import httpx
import pytest

from receiver.alertmanager import FORGETFUL, AlertmanagerApi, AlertmanagerUnavailable, Listed, Resync, Snapshot, resync
from receiver.core.alert import Alert, AlertStatus
from receiver.ports import AlertRow

NOW = 10_000.0
OLD = NOW - 86_400.0


class Clock:
    """Waits in no time."""

    def now(self) -> float:
        return NOW

    def monotonic(self) -> float:
        return NOW

    async def sleep(self, seconds: float) -> None:
        return


def alert(name: str, starts_at: int = 5) -> Alert:
    start = starts_at * 1_000_000
    return Alert(name, AlertStatus.FIRING, {"alertname": name}, {"summary": name}, start, generator_url="http://p")


def listed(name: str, starts_at: int = 5) -> Listed:
    return Listed(alert(name, starts_at), ("us",))


def known(*alerts: Alert) -> dict[str, AlertRow]:
    return {one.fingerprint: AlertRow(one, "i-1") for one in alerts}


def test_nothing_missed_is_nothing_to_do() -> None:
    found = resync(known(alert("a")), Snapshot((listed("a"),), None, OLD), NOW)
    assert found == Resync()


def test_what_fires_unknown_to_us_and_what_fires_anew_is_delivered() -> None:
    snapshot = Snapshot((listed("a", 7), listed("b")), None, OLD)
    delivered = resync(known(alert("a")), snapshot, NOW).deliveries
    assert [one.starts_at for one in delivered] == [7_000_000, 5_000_000]


def test_a_start_that_the_api_cut_off_is_no_news() -> None:
    finer = replace(alert("a"), starts_at=5_123_456)
    assert resync(known(finer), Snapshot((listed("a"),), None, OLD), NOW) == Resync()


def test_an_older_start_than_the_known_one_is_no_news() -> None:
    assert resync(known(alert("a", 9)), Snapshot((listed("a", 7),), None, OLD), NOW).deliveries == ()


def test_what_is_gone_is_resolved_now_with_its_own_labels_and_start() -> None:
    (ended,) = resync(known(alert("a")), Snapshot((), (), OLD), NOW).deliveries
    assert ended == replace(alert("a"), status=AlertStatus.RESOLVED, ends_at=int(NOW * 1e9))


@pytest.mark.parametrize(
    "quiet", [replace(listed("a"), silenced_by=("id-1",)), replace(listed("a"), inhibited_by=("id-1",))]
)
def test_what_is_silenced_or_inhibited_is_neither_gone_nor_ours_to_act_on(quiet: Listed) -> None:
    found = resync(known(alert("a")), Snapshot((), (quiet,), OLD), NOW)
    assert (found.deliveries, found.suppressed, found.elsewhere) == ((), (quiet,), ())


def test_what_is_routed_to_others_now_is_told_apart() -> None:
    found = resync(known(alert("a")), Snapshot((), (listed("a"),), OLD), NOW)
    assert (found.deliveries, found.elsewhere) == ((), (listed("a"),))


@pytest.mark.parametrize(("started", "sure"), [(NOW - FORGETFUL + 1, False), (NOW - FORGETFUL, True), (None, True)])
def test_an_alertmanager_that_just_started_may_have_forgotten(started: float | None, sure: bool) -> None:
    found = resync(known(alert("a")), Snapshot((), (), started), NOW)
    assert (len(found.deliveries), found.unsure) == ((1, ()) if sure else (0, ("a",)))


async def ask(response: httpx.Response) -> tuple[Listed, ...]:
    client = httpx.AsyncClient(transport=httpx.MockTransport(lambda _: response))
    return await AlertmanagerApi("http://alertmanager:9093", client, Clock(), "us").active()


@pytest.mark.parametrize(("seen", "sure"), [(-1.0, False), (5.0, False), (60.0, True)])
def test_what_an_alertmanager_delivered_since_its_start_it_has_not_forgotten(seen: float, *, sure: bool) -> None:
    started = NOW - FORGETFUL + 90.0
    row = AlertRow(alert("a"), "i-1", seen_at=started + seen)
    found = resync({"a": row}, Snapshot((), (), started), NOW)
    assert (len(found.deliveries), found.unsure) == ((1, ()) if sure else (0, ("a",)))


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("response", "said"),
    [
        (httpx.Response(401, text="no"), "Alertmanager at http://alertmanager:9093 answers 401: no"),
        (httpx.Response(200, text="<html>"), "can't be read"),
        (httpx.Response(200, json=[{"labels": {}}]), "missing required field `fingerprint`"),
        (httpx.Response(200, json=[{"fingerprint": "a", "labels": {}, "startsAt": "now"}]), "not an RFC 3339 time"),
        (httpx.Response(503, text="starting"), r"answers 503 \(3 tries\)"),
    ],
)
async def test_an_answer_that_is_none_says_what_came(response: httpx.Response, said: str) -> None:
    with pytest.raises(AlertmanagerUnavailable, match=said):
        await ask(response)


@pytest.mark.anyio
async def test_fields_that_are_new_or_missing_are_tolerated() -> None:
    row = {"fingerprint": "a", "labels": {"x": "y"}, "startsAt": "2026-01-02T03:04:05Z", "new": {"deep": [1]}}
    (one,) = await ask(httpx.Response(200, json=[row]))
    assert (one.alert.labels, one.receivers, one.suppressed) == ({"x": "y"}, (), False)


@pytest.mark.anyio
async def test_the_receiver_is_quoted_and_anchored() -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json=[])

    client = httpx.AsyncClient(transport=httpx.MockTransport(answer))
    api = AlertmanagerApi("http://alertmanager:9093/prefix/", client, Clock(), "team.x (prod)")
    await api.active()
    assert dict(seen[0].url.params) == {
        "receiver": r"^(?:team\.x \(prod\))$",
        "active": "true",
        "silenced": "false",
        "inhibited": "false",
    }
