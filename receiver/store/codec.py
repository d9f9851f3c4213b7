"""Bytes and back: events, incidents, playbooks and alerts as JSON, long ones compressed, old events upcast.

An event is stored with its type's name and version. `UPCASTERS` bring an older version's JSON to the next one, step by
step, before it is decoded; so a log written by any earlier release reads as if it had been written today.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import msgspec

from receiver.core.alert import Alert, AlertStatus
from receiver.core.events import BY_NAME, VERSIONS, Event
from receiver.core.incident import Incident
from receiver.core.playbook import Playbook
from receiver.core.stored import playbook_from_json, playbook_to_json
from receiver.ports import AlertRow, Body

Upcaster: TypeAlias = Callable[[dict[str, Any]], dict[str, Any]]

UPCASTERS: Mapping[tuple[str, int], Upcaster] = {}
"""(event name, version that is read) -> what makes the next version of it."""

COMPRESS_FROM = 4096
"""Bytes. Shorter ones gain less than a page; level 1 of zlib does 900 MB/s on alerts, which are much alike."""

_ZLIB = 0x78
"""The first byte of everything that zlib writes; JSON never begins with it."""


class UnknownEvent(ValueError):
    """A stored event that this release can't read: of a newer one, or damaged."""


def pack(raw: bytes) -> bytes:
    """Compress what is long enough to gain by it."""
    return zlib.compress(raw, 1) if len(raw) >= COMPRESS_FROM else raw


def unpack(stored: bytes) -> bytes:
    """Return what `pack` was given."""
    return zlib.decompress(stored) if stored[:1] == bytes([_ZLIB]) else stored


def encode_bodies(bodies: Sequence[Body]) -> bytes:
    """Return raw bodies as they are stored, in one piece: bodies of one time are much alike."""
    return pack(msgspec.msgpack.encode([(body.received_at, body.alerts, body.sender, body.raw) for body in bodies]))


_encoder = msgspec.json.Encoder()


def encode(value: Any) -> bytes:
    """Return a value as JSON."""
    return _encoder.encode(value)


def decode(raw: bytes) -> Any:
    """Return plain JSON types."""
    return msgspec.json.decode(raw)


_incident = msgspec.json.Decoder(Incident)
_events = {name: msgspec.json.Decoder(kind) for name, kind in BY_NAME.items()}


def encode_event(event: Event) -> tuple[str, int, bytes]:
    """Return an event's type name, version and stored bytes."""
    kind = type(event)
    return kind.__name__, VERSIONS[kind], pack(_encoder.encode(event))


def decode_event(name: str, version: int, stored: bytes) -> Event:
    """Return a stored event as today's type.

    Raises:
        UnknownEvent: its type or version isn't known to this release.
    """
    kind = BY_NAME.get(name)
    if kind is None or version > VERSIONS[kind]:
        raise UnknownEvent(f"event {name} version {version} was written by a newer release")
    raw = unpack(stored)
    if version < VERSIONS[kind]:
        raw = _encoder.encode(upcast(decode(raw), name, version, VERSIONS[kind]))
    event: Event = _events[name].decode(raw)
    return event


def upcast(
    fields: dict[str, Any],
    name: str,
    version: int,
    wanted: int,
    upcasters: Mapping[tuple[str, int], Upcaster] = UPCASTERS,
) -> dict[str, Any]:
    """Bring an event's fields from one version to a later one.

    Raises:
        UnknownEvent: a step of the way is missing.
    """
    for step in range(version, wanted):
        upcaster = upcasters.get((name, step))
        if upcaster is None:
            raise UnknownEvent(f"event {name} version {step} can't be read any more: it has no upcaster")
        fields = upcaster(fields)
    return fields


def encode_incident(incident: Incident) -> bytes:
    """Return an incident's state as it is stored: as it is, for it is overwritten with every event."""
    return _encoder.encode(incident)


def decode_incident(stored: bytes) -> Incident:
    """Return a stored incident's state."""
    incident: Incident = _incident.decode(stored)
    return incident


def encode_playbook(playbook: Playbook) -> bytes:
    """Return a playbook version as it is stored."""
    return pack(encode(playbook_to_json(playbook)))


def decode_playbook(stored: bytes) -> Playbook:
    """Return a stored playbook version, its expressions compiled."""
    return playbook_from_json(decode(unpack(stored)))


AlertText: TypeAlias = tuple[dict[str, str], dict[str, str], int, str, str | None, str | None]
"""What is known of an alert beside its columns: labels, annotations, ends_at, generator_url, playbook, reason."""

_block = msgspec.json.Decoder(list[AlertText])


def encode_alerts(rows: Iterable[AlertRow]) -> list[bytes]:
    """Return the texts of alerts, to be kept in blocks of many."""
    encoded = _encoder.encode
    return [
        encoded((one.labels, one.annotations, one.ends_at, one.generator_url, row.playbook, row.reason))
        for row in rows
        for one in (row.alert,)
    ]


def encode_block(texts: list[bytes]) -> bytes:
    """Return many alerts' texts as one compressed block: alerts of a group differ in little."""
    return zlib.compress(b"[" + b",".join(texts) + b"]", 1)


def decode_block(stored: bytes) -> list[AlertText]:
    """Return the texts of a block."""
    texts: list[AlertText] = _block.decode(zlib.decompress(stored))
    return texts


def alert_of(fingerprint: str, starts_at: int, status: AlertStatus, text: AlertText) -> Alert:
    """Return the alert that columns and text make."""
    labels, annotations, ends_at, generator_url, _, _ = text
    return Alert(fingerprint, status, labels, annotations, starts_at, ends_at, generator_url)


def fingerprint_key(fingerprint: str) -> int | str:
    """Return a fingerprint as the database keeps it: 16 hex digits as an integer of 8 bytes, others as text."""
    if len(fingerprint) == 16:
        try:
            key = bytes.fromhex(fingerprint)
        except ValueError:
            return fingerprint
        # Capitals and spaces are taken too; those don't come back the same, so they stay text.
        if key.hex() == fingerprint:
            return int.from_bytes(key, "big", signed=True)
    return fingerprint


def fingerprint_text(key: int | str) -> str:
    """Return the fingerprint that `fingerprint_key` was given."""
    return key if isinstance(key, str) else f"{key & 0xFFFFFFFFFFFFFFFF:016x}"
