"""The webhook's body: strict about what is needed, tolerant of new fields; one bad alert doesn't lose the others."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from receiver.core.alert import AlertStatus, parse_time
from receiver.web.parsing import MAX_ALERTS, MAX_RAW, open_envelope, parse, read_slice
from receiver.web.problems import Problem
from tests.unit.web.fakes import NOW, PAYLOADS, payload


def webhook(*alerts: Any, **more: Any) -> bytes:
    return json.dumps({"version": "4", "status": "firing", "alerts": list(alerts), **more}).encode()


def alert(**changes: Any) -> dict[str, Any]:
    usual = {
        "status": "firing",
        "labels": {"alertname": "ServiceDown"},
        "annotations": {},
        "startsAt": "2026-11-23T18:13:14.418123456Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "",
        "fingerprint": "4465f977f130b79a",
    }
    return {name: value for name, value in {**usual, **changes}.items() if value is not ...}


@pytest.mark.parametrize("name", sorted(path.stem for path in PAYLOADS.glob("[01b]*.json")))
def test_every_real_capture_is_read_whole(name: str) -> None:
    told = json.loads(payload(name))
    found = parse(payload(name), NOW)
    assert not found.bad
    assert [one.fingerprint for one in found.alerts] == [one["fingerprint"] for one in told["alerts"]]
    assert [one.status for one in found.alerts] == [one["status"] for one in told["alerts"]]
    assert [one.labels for one in found.alerts] == [one["labels"] for one in told["alerts"]]
    assert [one.annotations for one in found.alerts] == [one["annotations"] for one in told["alerts"]]
    assert [one.starts_at for one in found.alerts] == [parse_time(one["startsAt"]) for one in told["alerts"]]
    assert found.truncated == told["truncatedAlerts"]


@pytest.mark.parametrize("name", ["05-multi-mixed", "09-unicode-huge-firing", "bench-100"])
def test_slices_read_the_same_as_the_whole(name: str) -> None:
    raws = open_envelope(payload(name)).alerts
    sliced = [one for start in range(0, len(raws), 3) for one in read_slice(raws[start : start + 3], start, NOW).alerts]
    assert sliced == parse(payload(name), NOW).alerts


def test_each_alert_has_its_own_status_whatever_the_groups_says() -> None:
    found = parse(payload("05-multi-mixed"), NOW)
    assert {one.status for one in found.alerts} == {AlertStatus.FIRING, AlertStatus.RESOLVED}


def test_a_firing_alert_has_no_end() -> None:
    assert parse(webhook(alert(endsAt="2026-11-23T18:14:00Z")), NOW).alerts[0].ends_at == 0


def test_nanoseconds_are_kept() -> None:
    assert parse(webhook(alert()), NOW).alerts[0].starts_at % 1_000_000_000 == 418_123_456


def test_unknown_fields_are_tolerated_at_every_level() -> None:
    body = webhook(alert(receivedBy=["x"], notification_reason={"a": 1}), routeLabels={"a": "b"}, extra=None)
    assert len(parse(body, NOW).alerts) == 1


@pytest.mark.parametrize("name", ["annotations", "endsAt", "generatorURL"])
def test_what_is_not_needed_may_be_missing(name: str) -> None:
    assert len(parse(webhook(alert(**{name: ...})), NOW).alerts) == 1


def test_a_group_of_none_is_read() -> None:
    assert parse(webhook(), NOW).alerts == []


BAD_ALERTS = [
    ({"labels": ...}, "$.alerts[1]", "missing required field `labels`"),
    ({"labels": {"a": 1}}, "$.alerts[1].labels[...]", "Expected `str`"),
    ({"labels": None}, "$.alerts[1].labels", "Expected `object`"),
    ({"labels": []}, "$.alerts[1].labels", "Expected `object`"),
    ({"status": "suppressed"}, "$.alerts[1].status", "suppressed"),
    ({"status": ...}, "$.alerts[1]", "missing required field `status`"),
    ({"fingerprint": ...}, "$.alerts[1]", "missing required field `fingerprint`"),
    ({"fingerprint": "xyz"}, "$.alerts[1].fingerprint", "length"),
    ({"fingerprint": "4465F977F130B79A"}, "$.alerts[1].fingerprint", "hex"),
    ({"fingerprint": "zz65f977f130b79a"}, "$.alerts[1].fingerprint", "hex"),
    ({"fingerprint": "44 65f977f130b79"}, "$.alerts[1].fingerprint", "hex"),
    ({"startsAt": "yesterday"}, "$.alerts[1].startsAt", "yesterday"),
    ({"startsAt": 5}, "$.alerts[1].startsAt", "Expected `str`"),
    ({"startsAt": "9999-01-01T00:00:00Z"}, "$.alerts[1].startsAt", "9999"),
    ({"startsAt": "2026-02-31T00:00:00Z"}, "$.alerts[1].startsAt", "day"),
    ({"status": "resolved", "endsAt": "later"}, "$.alerts[1].endsAt", "later"),
    ({"annotations": {"a": ["b"]}}, "$.alerts[1].annotations[...]", "Expected `str`"),
]


@pytest.mark.parametrize(("changes", "where", "what"), BAD_ALERTS)
def test_one_bad_alert_is_set_aside_with_its_place_and_the_others_are_kept(
    changes: dict[str, Any], where: str, what: str
) -> None:
    body = webhook(alert(), alert(**changes), alert(fingerprint="0000000000000001"))
    found = parse(body, NOW)
    assert [one.fingerprint for one in found.alerts] == ["4465f977f130b79a", "0000000000000001"]
    (bad,) = found.bad
    assert bad.where == where
    assert what in bad.message
    assert bad.at == NOW
    assert json.loads(bad.raw) == alert(**changes)


def test_an_alert_that_is_no_object_is_set_aside() -> None:
    found = parse(webhook(alert(), "nonsense", None, 7), NOW)
    assert len(found.alerts) == 1
    assert [bad.where for bad in found.bad] == ["$.alerts[1]", "$.alerts[2]", "$.alerts[3]"]


def test_what_is_kept_of_a_bad_alert_is_bounded() -> None:
    (bad,) = parse(webhook(alert(status="x", annotations={"a": "y" * 200_000})), NOW).bad
    assert len(bad.raw) <= 64 * 1024


def test_labels_beyond_any_use_are_set_aside() -> None:
    found = parse(webhook(alert(), alert(labels={"a": "b" * 70_000}), alert(labels={"c" * 70_000: "d"})), NOW)
    assert len(found.alerts) == 1
    assert {bad.where for bad in found.bad} == {"$.alerts[1].labels", "$.alerts[2].labels"}


def test_what_is_told_of_a_bad_value_is_bounded() -> None:
    (bad,) = parse(webhook(alert(status="x" * 1_000_000)), NOW).bad
    assert len(bad.message) < 400


REFUSED = [
    (b"", 400, "$", "not JSON"),
    (b"{", 400, "$", "not JSON"),
    (b"nonsense", 400, "$", "not JSON"),
    (b"\xff\xfe{}", 400, "$", "not JSON"),
    (b"[]", 422, "$", "not Alertmanager"),
    (b"null", 422, "$", "not Alertmanager"),
    (b"{}", 422, "$", "not Alertmanager"),
    (b'{"version": "4"}', 422, "$", "not Alertmanager"),
    (b'{"version": "4", "alerts": {}}', 422, "$.alerts", "not Alertmanager"),
    (b'{"version": 4, "alerts": []}', 422, "$.version", "not Alertmanager"),
    (b'{"version": "5", "alerts": []}', 422, "$.version", 'version "5"'),
    (b'{"version": "5", "groups": [{}]}', 422, "$.version", 'version "5"'),
    (b'{"version": "4", "alerts": [], "truncatedAlerts": -1}', 422, "$.truncatedAlerts", "not Alertmanager"),
    (b'{"version": "4", "x": ' + b"[" * 100_000 + b"]" * 100_000 + b', "alerts": []}', 400, "$", "nested"),
]


@pytest.mark.parametrize(("body", "status", "where", "what"), REFUSED)
def test_a_body_that_is_no_webhook_is_refused_with_its_place(body: bytes, status: int, where: str, what: str) -> None:
    with pytest.raises(Problem, match=what) as caught:
        parse(body, NOW)
    assert caught.value.status == status
    assert caught.value.errors[0]["where"] == where


def test_more_alerts_than_anybody_has_are_refused() -> None:
    body = b'{"version": "4", "alerts": [' + b",".join([b"{}"] * (MAX_ALERTS + 1)) + b"]}"
    with pytest.raises(Problem, match="max_alerts") as caught:
        parse(body, NOW)
    assert caught.value.status == 413


def test_a_deeply_nested_unknown_field_of_an_alert_costs_only_that_alert() -> None:
    deep = b'{"deep": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    body = webhook(alert(), alert()).replace(b'"fingerprint"', b'"x": ' + deep + b', "fingerprint"', 1)
    with pytest.raises(Problem, match="nested"):
        parse(body, NOW)


def test_a_lone_surrogate_is_a_bad_alert_not_a_crash() -> None:
    body = webhook(alert(), alert()).replace(b'"ServiceDown"', b'"\\ud800"', 1)
    with pytest.raises(Problem, match="not JSON"):
        parse(body, NOW)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
def test_no_body_at_all_breaks_the_reader(body: bytes) -> None:
    with pytest.raises(Problem) as caught:
        parse(body, NOW)
    assert caught.value.status in {400, 422}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.fixed_dictionaries({}, optional=dict.fromkeys(alert(), JSON)) | JSON, max_size=5))
def test_every_alert_of_a_webhook_is_either_read_or_set_aside(alerts: list[Any]) -> None:
    found = parse(webhook(*alerts), NOW)
    assert len(found.alerts) + len(found.bad) == len(alerts)


SECRET = "hiddenValue-1"


@pytest.mark.parametrize("length", range(0, 310, 7))
def test_a_message_quotes_a_value_whole_or_not_at_all_since_half_a_secret_is_known_by_nothing(length: int) -> None:
    told = f"{'x' * length} {SECRET}"
    for bad in (alert(status=told), alert(startsAt=told), alert(endsAt=told, status="resolved")):
        (found,) = parse(webhook(bad), NOW).bad
        assert SECRET in found.message or SECRET[:4] not in found.message
    with pytest.raises(Problem) as refused:
        parse(json.dumps({"version": told, "alerts": []}).encode(), NOW)
    said = f"{refused.value.detail}{refused.value.errors}"
    assert SECRET in said or SECRET[:4] not in said


@pytest.mark.parametrize("secret", [SECRET, 'hidden "value" \\ 2'])
def test_what_is_kept_of_a_large_bad_alert_ends_before_a_text_that_is_cut(secret: str) -> None:
    start = json.dumps(alert(status=1, annotations={"a": ""})).index('"a": "') + len('"a": "')
    told = json.dumps(f"see {secret}")[1:-1]
    between = len('", "b": "see ')
    for inside in range(1, len(told) - len("see ")):
        length = MAX_RAW - start - between - inside
        bad = alert(status=1, annotations={"a": "x" * length, "b": f"see {secret}"})
        (found,) = parse(webhook(bad), NOW).bad
        assert found.raw.endswith('"b": …')
        assert "hidd" not in found.raw
