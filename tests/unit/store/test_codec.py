from __future__ import annotations

import pytest

from receiver.core import events as ev
from receiver.core.alert import AlertStatus
from receiver.core.severity import Severity
from receiver.store import codec


def test_every_event_type_has_a_version_and_a_decoder() -> None:
    assert ev.BY_NAME.keys() == codec._events.keys() == {kind.__name__ for kind in ev.VERSIONS}


def test_every_older_version_has_an_upcaster() -> None:
    missing = [
        (kind.__name__, version)
        for kind, current in ev.VERSIONS.items()
        for version in range(1, current)
        if (kind.__name__, version) not in codec.UPCASTERS
    ]
    assert not missing


def test_an_event_comes_back_equal() -> None:
    change = ev.AlertChange("f", AlertStatus.FIRING, 1, "Down", Severity.P1, "p", "v", 0)
    for event in (
        ev.AlertsChanged((change,) * 500, 500, 0),
        ev.Diagnosed(({"text": "x", "n": 1},), confirmed=None),
        ev.Noted("ünï\u2028", None),
        ev.Resolved("well", ({"value": 0.5},)),
    ):
        name, version, body = codec.encode_event(event)
        assert codec.decode_event(name, version, body) == event


@pytest.mark.parametrize(
    ("name", "stored", "event"),
    [
        (
            "Voted",
            b'{"approval":"p-1","person":"ann","approve":true,"reason":"","via":"cli"}',
            ev.Voted("p-1", "ann", approve=True, reason="", via="cli"),
        ),
        ("Acknowledged", b'{"person":"ann","via":"cli"}', ev.Acknowledged("ann", "cli")),
        ("TakenOver", b'{"person":"ann","via":"cli","reason":"mine"}', ev.TakenOver("ann", "cli", "mine")),
        ("Noted", b'{"text":"seen","person":"ann","via":"cli"}', ev.Noted("seen", "ann", "cli")),
        ("Closed", b'{"person":"ann","reason":"false alarm","via":"cli"}', ev.Closed("ann", "false alarm", "cli")),
    ],
)
def test_a_decision_stored_before_audits_reads_as_one_of_which_no_more_is_known(
    name: str, stored: bytes, event: ev.Event
) -> None:
    decoded = codec.decode_event(name, 1, stored)
    assert decoded == event
    assert (getattr(decoded, "signed_in", None), getattr(decoded, "address", None)) == ("", "")


def test_long_events_are_compressed_and_short_ones_stay_readable() -> None:
    assert codec.encode_event(ev.Noted("short"))[2].startswith(b'{"text":"short"')
    assert len(codec.encode_event(ev.Noted("long" * 10_000))[2]) < 1000


def test_an_event_of_a_newer_release_is_not_guessed() -> None:
    with pytest.raises(codec.UnknownEvent, match="newer release"):
        codec.decode_event("Noted", 99, b"{}")
    with pytest.raises(codec.UnknownEvent, match="Teleported"):
        codec.decode_event("Teleported", 1, b"{}")


def test_older_versions_are_brought_up_step_by_step() -> None:
    upcasters = {
        ("Noted", 1): lambda fields: {"text": fields["remark"]},
        ("Noted", 2): lambda fields: {**fields, "via": "cli"},
    }
    assert codec.upcast({"remark": "x"}, "Noted", 1, 3, upcasters) == {"text": "x", "via": "cli"}
    assert codec.upcast({"text": "x"}, "Noted", 2, 3, upcasters) == {"text": "x", "via": "cli"}
    assert codec.upcast({"text": "x"}, "Noted", 3, 3, upcasters) == {"text": "x"}


def test_a_missing_step_of_the_way_up_is_told() -> None:
    with pytest.raises(codec.UnknownEvent, match="no upcaster"):
        codec.upcast({}, "Noted", 1, 2, {})


@pytest.mark.parametrize("size", [0, 1, codec.COMPRESS_FROM - 1, codec.COMPRESS_FROM, 100_000])
def test_what_is_packed_is_unpacked(size: int) -> None:
    raw = b"{" + b"a" * size
    assert codec.unpack(codec.pack(raw)) == raw
