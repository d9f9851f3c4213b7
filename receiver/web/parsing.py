"""Alertmanager's webhook, version "4": strict about what is needed, tolerant of new fields.

The whole body is decoded in one go; only when that fails is each alert looked at by itself, so that one bad alert is
quarantined and the good ones of its group are kept. Large bodies are decoded in slices with pauses between them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Annotated, Final, Literal, NamedTuple

import msgspec

from receiver.core.alert import Alert, AlertStatus, parse_time
from receiver.ports import Quarantined
from receiver.web.problems import Problem

VERSION: Final = "4"
MAX_ALERTS: Final = 100_000
"""More alerts than this in one body are refused; groups of 20,000 were seen."""

MAX_QUARANTINED: Final = 100
"""Bad alerts of one body that are kept and told one by one; the rest is counted."""

MAX_RAW: Final = 64 * 1024
"""Characters that are kept of a bad alert; the whole body is kept beside it for a while."""

MAX_MESSAGE: Final = 300

MAX_LABELS: Final = 64 * 1024
"""Characters of an alert's labels, names and values; they are copied into incidents and queries. Some 400 are usual."""

_FIRING: Final = AlertStatus.FIRING
_RESOLVED: Final = AlertStatus.RESOLVED

Fingerprint = Annotated[
    str, msgspec.Meta(min_length=16, max_length=16, extra_json_schema={"pattern": "^[0-9a-f]{16}$"})
]
"""16 hex digits; that they are is checked in `_alert`, at a third of a pattern's cost."""


_TIME: Final = {"format": "date-time", "pattern": "^(1[7-9]|2[01])[0-9]{2}-"}
"""How a time is described; nanoseconds in 64 bits reach a little further than these years."""

_NEVER: Final = "0001-01-01T00:00:00Z"
"""Go's zero time: no end is known."""

_END: Final = {"anyOf": [{"enum": ["", _NEVER]}, _TIME]}

Count = Annotated[float, msgspec.Meta(ge=0)]
"""JSON has one kind of number: 3.0 is as good a count as 3."""


class _Alert(msgspec.Struct, rename="camel", gc=False):
    status: Literal["firing", "resolved"]
    labels: dict[str, str]
    fingerprint: Fingerprint
    starts_at: Annotated[str, msgspec.Meta(extra_json_schema=_TIME)]
    annotations: dict[str, str] = {}
    ends_at: Annotated[str, msgspec.Meta(extra_json_schema=_END)] = ""
    generator_url: str = msgspec.field(default="", name="generatorURL")


class _Webhook(msgspec.Struct, rename="camel", gc=False):
    version: Annotated[str, msgspec.Meta(extra_json_schema={"const": VERSION})]
    alerts: list[_Alert]
    truncated_alerts: Count = 0


class _Version(msgspec.Struct, gc=False):
    version: str


class _Envelope(msgspec.Struct, rename="camel", gc=False):
    version: str
    alerts: list[msgspec.Raw]
    truncated_alerts: Count = 0


WEBHOOK_BODY: Final = _Webhook
"""What describes a body, for the API's document."""

_decode_webhook = msgspec.json.Decoder(_Webhook).decode
_decode_envelope = msgspec.json.Decoder(_Envelope).decode
_decode_version = msgspec.json.Decoder(_Version).decode
_decode_alert = msgspec.json.Decoder(_Alert).decode
_time = lru_cache(maxsize=4096)(parse_time)
"""The alerts of a group often began together, and repeats begin when they began."""

_QUOTE: Final = "'"

_COMPLETE: Final = re.compile(r'(?:[^"]|"(?:[^"\\]|\\.)*")*', re.DOTALL)
"""JSON up to a text that doesn't end; what begins there may be a credential cut in half, which nothing would know."""

_AT = re.compile(r"^(.*) - at `\$?(.*)`$", re.DOTALL)


class BadAlert(ValueError):
    """One alert can't be used: what is wrong, and where in the alert."""

    def __init__(self, message: str, where: str) -> None:
        super().__init__(message)
        self.message = message
        self.where = where


class Delivery(NamedTuple):
    """What a body, or a slice of it, holds.

    Args:
        alerts: the good ones.
        bad: the bad ones, with where and why.
        truncated: alerts that Alertmanager left out of the notification.
    """

    alerts: Sequence[Alert]
    bad: Sequence[Quarantined] = ()
    truncated: int = 0


def parse(body: bytes, now: float) -> Delivery:
    """Read a whole body.

    Raises:
        Problem: it is no JSON (400), or not Alertmanager's webhook version 4 (422).
    """
    try:
        webhook = _decode_webhook(body)
        # Labels over their limit don't fit into a smaller body, so only larger ones are looked at one by one.
        small = len(body) <= MAX_LABELS or all(_fits(one.labels) for one in webhook.alerts)
        if small and webhook.version == VERSION and len(webhook.alerts) <= MAX_ALERTS:
            return Delivery([_alert(one) for one in webhook.alerts], truncated=int(webhook.truncated_alerts))
    except (msgspec.DecodeError, BadAlert, RecursionError, UnicodeDecodeError):
        # Which alert it is, and whether only that one, is found out below.
        pass
    envelope = open_envelope(body)
    found = read_slice(envelope.alerts, 0, now)
    return Delivery(found.alerts, found.bad, int(envelope.truncated_alerts))


def open_envelope(body: bytes) -> _Envelope:
    """Read everything but the alerts themselves.

    Raises:
        Problem: it is no JSON (400), or not Alertmanager's webhook version 4 (422).
    """
    try:
        envelope = _decode_envelope(body)
    except msgspec.ValidationError as error:
        raise _not_ours(body, error) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _unreadable(400, f"The body is not JSON: {str(error)[:300]}.", "$") from None
    except RecursionError:
        raise _unreadable(400, "The body is nested too deeply.", "$") from None
    if envelope.version != VERSION:
        raise _other_version(envelope.version)
    if len(envelope.alerts) > MAX_ALERTS:
        detail = f"The body holds {len(envelope.alerts)} alerts; at most {MAX_ALERTS} are taken. Set `max_alerts`."
        raise _unreadable(413, detail, "$.alerts")
    return envelope


def read_slice(raws: Sequence[msgspec.Raw], first: int, now: float) -> Delivery:
    """Read alerts one by one; `first` is the place of the first in its body."""
    good: list[Alert] = []
    bad: list[Quarantined] = []
    for number, raw in enumerate(raws, first):
        try:
            good.append(_one(raw))
        except BadAlert as error:
            bad.append(Quarantined(now, f"$.alerts[{number}]{error.where}", error.message, _text(raw)))
    return Delivery(good, bad)


def _one(raw: msgspec.Raw) -> Alert:
    try:
        decoded = _decode_alert(raw)
        if not _fits(decoded.labels):
            raise BadAlert(f"more than {MAX_LABELS} characters of labels", ".labels")
        return _alert(decoded)
    except msgspec.DecodeError as error:
        message, where = _place(str(error))
        raise BadAlert(message, where) from None
    except UnicodeDecodeError as error:
        raise BadAlert(f"not UTF-8: {error.reason} at byte {error.start}", "") from None
    except RecursionError:
        raise BadAlert("nested too deeply", "") from None


def _alert(one: _Alert) -> Alert:
    fingerprint = one.fingerprint
    try:
        canonical = bytes.fromhex(fingerprint).hex()
    except ValueError:
        canonical = ""
    if canonical != fingerprint:
        raise BadAlert(f"not 16 lower-case hex digits: {fingerprint!r}", ".fingerprint")
    starts_at = _at(one.starts_at, ".startsAt")
    if one.status == "firing":
        # A firing alert's endsAt is Go's zero time; what else it may say isn't an end.
        return Alert(fingerprint, _FIRING, one.labels, one.annotations, starts_at, 0, one.generator_url)
    ends_at = _at(one.ends_at, ".endsAt") if one.ends_at not in {"", _NEVER} else 0
    return Alert(fingerprint, _RESOLVED, one.labels, one.annotations, starts_at, ends_at, one.generator_url)


def _fits(labels: dict[str, str]) -> bool:
    return sum(map(len, labels)) + sum(map(len, labels.values())) <= MAX_LABELS


def _at(text: str, where: str) -> int:
    try:
        return _time(text)
    except ValueError as error:
        raise BadAlert(str(error), where) from None


def _place(message: str) -> tuple[str, str]:
    """Split msgspec's message into what is wrong and the path below the value that was decoded."""
    found = _AT.match(message)
    text, where = (found[1], found[2]) if found else (message, "")
    if len(text) > MAX_MESSAGE:
        # The library quotes the value whole, which may be megabytes; a part of it could be that of a credential, which
        # nothing knows any more.
        text = f"{text.partition(_QUOTE)[0][:MAX_MESSAGE]}… ({len(text)} characters)"
    return text, where[:MAX_MESSAGE]


def _text(raw: msgspec.Raw) -> str:
    whole = bytes(raw)
    text = whole[:MAX_RAW].decode("utf-8", "replace")
    if len(whole) <= MAX_RAW:
        return text
    complete = _COMPLETE.match(text)
    return f"{complete[0] if complete else ''}…"


def _not_ours(body: bytes, error: msgspec.ValidationError) -> Problem:
    """Say what a JSON body is instead; another version explains every other difference."""
    try:
        version = _decode_version(body).version
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        version = VERSION
    if version != VERSION:
        return _other_version(version)
    message, where = _place(str(error))
    detail = "This is not Alertmanager's webhook (version 4). Does its `webhook_configs` point here?"
    return _unreadable(422, detail, f"${where}", message)


def _other_version(version: str) -> Problem:
    shown = f'version "{version}"' if len(version) <= 20 else "another version"
    detail = f'This is {shown} of the webhook; only version "4" is understood.'
    return _unreadable(422, detail, "$.version")


def _unreadable(status: int, detail: str, where: str, message: str | None = None) -> Problem:
    return Problem(status, detail, errors=[{"where": where, "message": message or detail}])
