"""The kinds of values in playbooks.yaml: durations, matchers, comparisons, names; each with words for its mistakes."""

from __future__ import annotations

import re
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from receiver.core.comparison import ComparisonError, parse_comparison
from receiver.core.durations import DurationError, format_duration, parse_duration
from receiver.core.matchers import Matcher, MatcherError, parse_matchers

_LONGEST = 366 * 86_400.0
_SHORTEST_RESPONSE, _LONGEST_RESPONSE = 60.0, 30 * 86_400.0
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", re.ASCII)
_LABEL = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
DURATION_PATTERN = r"^(0|(?=.)([0-9]+y)?([0-9]+w)?([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?)$"
"""How a duration is written; in the JSON Schema also what tells durations from other texts."""

_DURATION_SCHEMA = {
    "type": "string",
    "pattern": DURATION_PATTERN,
    "examples": ["10s", "5m", "1h30m"],
}
_COMPARISON_SCHEMA = {"type": "string", "pattern": r"^\s*(<=|>=|==|!=|<|>)\s*[-+.0-9eE]+\s*$", "examples": ["< 0.05"]}
_MATCHER_SCHEMA = {
    "oneOf": [
        {"type": "string", "minLength": 1},
        {"type": "array", "items": {"type": "string", "minLength": 1}, "minItems": 1, "maxItems": 20},
    ],
    "examples": ['alertname="ServiceDown"', ['alertname="HighErrorRate"', 'severity="critical"']],
}


def _wrong(message: str, offset: int = 0) -> PydanticCustomError:
    # The text goes through a placeholder: pydantic would read braces in it as placeholders of its own.
    return PydanticCustomError("policy", "{message}", {"message": message, "offset": offset})


def _duration(value: object) -> float:
    if isinstance(value, int) and not isinstance(value, bool) and value == 0:
        return 0.0
    if not isinstance(value, str):
        raise _wrong(f"needs a duration such as 10s, 5m or 1h30m{_unit_hint(value)}")
    try:
        seconds = parse_duration(value)
    except DurationError as error:
        raise _wrong(str(error)) from error
    if seconds > _LONGEST:
        raise _wrong(f"{value} is longer than {format_duration(_LONGEST)}")
    return seconds


def _unit_hint(value: object) -> str:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return f"; {value} has no unit, write {value}s for seconds" if is_number else ""


def _positive(seconds: float) -> float:
    if seconds <= 0:
        raise _wrong("must be longer than 0s")
    return seconds


def _response_time(seconds: float) -> float:
    if seconds and not _SHORTEST_RESPONSE <= seconds <= _LONGEST_RESPONSE:
        shortest, longest = format_duration(_SHORTEST_RESPONSE), format_duration(_LONGEST_RESPONSE)
        raise _wrong(f"must be {shortest} to {longest}, or 0s for none, found {format_duration(seconds)}")
    return seconds


def _matchers(value: object) -> tuple[Matcher, ...]:
    texts = value if isinstance(value, list) else [value]
    if not texts:
        raise _wrong('needs at least one matcher, for example alertname="ServiceDown"')
    if len(texts) > 20:
        raise _wrong("holds more than 20 matchers")
    found: list[Matcher] = []
    for number, text in enumerate(texts):
        if not isinstance(text, str):
            raise _matcher_error('needs matchers as text, for example alertname="ServiceDown"', number, 0)
        try:
            found.extend(parse_matchers(text))
        except MatcherError as error:
            raise _matcher_error(f"bad matcher: {error}", number, error.column) from error
    return tuple(found)


def _matcher_error(message: str, item: int, offset: int) -> PydanticCustomError:
    return PydanticCustomError("policy", "{message}", {"message": message, "offset": offset, "item": item})


def _comparison(value: str) -> str:
    try:
        parse_comparison(value)
    except ComparisonError as error:
        raise _wrong(str(error)) from error
    return value


def _name(value: str) -> str:
    if not _NAME.fullmatch(value):
        raise _wrong(f"{value[:70]!r} is no name: letters, digits, . _ - only, the first a letter or digit, 63 at most")
    return value


def _label(value: str) -> str:
    if not _LABEL.fullmatch(value):
        raise _wrong(f"{value[:70]!r} is no label name: letters, digits and _ only, the first no digit")
    return value


def _http_url(value: str) -> str:
    return check_url(value, ("http", "https"))


def _engine_url(value: str) -> str:
    return check_url(value, ("unix", "tcp"))


def _instance_url(value: str) -> str:
    # Any port will do: the runtime fills in each instance's own.
    check_url(value.replace("{port}", "1").replace("{index}", "1").replace("{name}", "x"), ("http", "https"))
    return value


def check_url(value: str, schemes: tuple[str, ...]) -> str:
    """Return the URL when it is whole, without credentials, and of one of the schemes.

    Raises:
        PydanticCustomError: it isn't.
    """
    wanted = " or ".join(f"{scheme}://" for scheme in schemes)
    if "{{" in value:
        raise _wrong("takes no template: a host never comes from an alert")
    if any(character.isspace() or not character.isprintable() for character in value):
        raise _wrong("an URL holds no spaces or control characters")
    try:
        parts = urlsplit(value)
        _ = parts.port
    except ValueError as error:
        raise _wrong(f"{value[:80]!r} is no URL: {error}") from error
    if parts.scheme not in schemes:
        raise _wrong(f"{value[:80]!r} must begin with {wanted}")
    if parts.scheme == "unix":
        if parts.netloc or not parts.path.startswith("/"):
            raise _wrong(f"{value[:80]!r} needs an absolute path: unix:///var/run/docker.sock")
        return value
    if not parts.hostname:
        raise _wrong(f"{value[:80]!r} names no host")
    if parts.username is not None or parts.password is not None:
        raise _wrong("holds credentials; they would be shown wherever the URL is")
    return value


Duration = Annotated[float, BeforeValidator(_duration), WithJsonSchema(_DURATION_SCHEMA)]
"""Seconds, written as `10s`, `5m`, `1h30m`."""

PositiveDuration = Annotated[
    float, AfterValidator(_positive), BeforeValidator(_duration), WithJsonSchema(_DURATION_SCHEMA)
]
"""The same, longer than nothing."""

ResponseTime = Annotated[
    float, AfterValidator(_response_time), BeforeValidator(_duration), WithJsonSchema(_DURATION_SCHEMA)
]
"""How soon people must have answered: 1 minute to 30 days, or `0s` for never."""

Matchers = Annotated[tuple[Matcher, ...], BeforeValidator(_matchers), WithJsonSchema(_MATCHER_SCHEMA)]
"""One matcher list in Alertmanager's syntax, or a list of them; all must hold."""

Comparison = Annotated[str, AfterValidator(_comparison), WithJsonSchema(_COMPARISON_SCHEMA)]
"""`< 0.05`."""

Name = Annotated[str, AfterValidator(_name), WithJsonSchema({"type": "string", "pattern": f"^{_NAME.pattern}$"})]
Label = Annotated[str, AfterValidator(_label), WithJsonSchema({"type": "string", "pattern": f"^{_LABEL.pattern}$"})]
HttpUrl = Annotated[str, AfterValidator(_http_url), WithJsonSchema({"type": "string", "pattern": "^https?://"})]
InstanceUrl = Annotated[str, AfterValidator(_instance_url), WithJsonSchema({"type": "string", "pattern": "^https?://"})]
EngineUrl = Annotated[str, AfterValidator(_engine_url), WithJsonSchema({"type": "string", "pattern": "^(unix|tcp)://"})]
Text = Annotated[str, Field(min_length=1, max_length=4000)]
Word = Annotated[str, Field(min_length=1, max_length=200)]
SeverityName = Literal["P1", "P2", "P3", "P4"]
