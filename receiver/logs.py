"""Structured logs on standard error: JSON when nobody reads along, readable and coloured on a terminal.

No secret passes, wherever it stands in an entry: known values (settings), names that mean a secret, and the shapes of
credentials are all replaced. That holds for what libraries log and for tracebacks, too.
"""

from __future__ import annotations

import contextlib
import logging
import re
import sys
from collections.abc import Collection, Mapping, MutableMapping
from typing import Any, Final, TextIO

import structlog

from receiver.core.redaction import HIDDEN, Secrets, names_secret

MAX_TEXT: Final = 8000
"""Characters of one text in an entry; an annotation may have 100,000."""

MAX_DEPTH: Final = 6
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")

Event = MutableMapping[str, Any]


class Redaction:
    """A structlog processor that hides secrets in a whole entry.

    Args:
        secrets: values that are hidden wherever they stand.
    """

    def __init__(self, secrets: Collection[str]) -> None:
        self._secrets = Secrets(secrets)

    def __call__(self, _logger: Any, _method: str, event: Event) -> Event:
        """Return the entry without secrets."""
        return {name: self._named(name, value, 0) for name, value in event.items()}

    def text(self, text: str) -> str:
        """Return a text without secrets."""
        text = self._secrets.text(text)
        return text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}… ({len(text)} characters)"

    def _named(self, name: object, value: Any, depth: int) -> Any:
        if value and names_secret(name):
            return HIDDEN
        return self._value(value, depth)

    def _value(self, value: Any, depth: int) -> Any:
        if isinstance(value, str):
            return self.text(value)
        if value is None or isinstance(value, bool | int | float):
            return value
        if depth >= MAX_DEPTH:
            return self.text(repr(value))
        if isinstance(value, Mapping):
            return {self._key(name): self._named(name, inner, depth + 1) for name, inner in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self._value(inner, depth + 1) for inner in value]
        return self.text(value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value))

    def _key(self, name: object) -> str:
        return self.text(str(name))


def _escape_controls(_logger: Any, _method: str, event: Event) -> Event:
    """Make control characters visible: a label must not move a terminal's cursor or fake a line."""
    for name, value in event.items():
        if name == "exception" or not isinstance(value, str):
            continue
        event[name] = _CONTROL.sub(_visible, value).replace("\n", "\\n")
    return event


def _visible(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode("ascii")


class _Handler(logging.StreamHandler[TextIO]):
    """Says that an entry was lost, and not what was in it, as the standard handler would."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the library's name
        with contextlib.suppress(OSError, ValueError):
            self.stream.write(f"a log entry of {record.name} could not be written ({record.pathname})\n")


def configure(level: str, style: str, secrets: Collection[str] = (), stream: TextIO | None = None) -> None:
    """Set up logging for the whole process.

    Args:
        level: `debug`, `info`, `warning` or `error`.
        style: `json`, `console`, or `auto`: by whether the stream is a terminal.
        secrets: values that never appear.
        stream: standard error by default.
    """
    out = stream if stream is not None else sys.stderr
    readable = style == "console" or (style == "auto" and out.isatty())
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
    ]
    # After everything that adds to an entry, so that nothing gets past it.
    last: list[Any] = [structlog.stdlib.ProcessorFormatter.remove_processors_meta, Redaction(secrets)]
    if readable:
        colours = out.isatty()
        last += [_escape_controls, structlog.dev.ConsoleRenderer(colors=colours, timestamp_key="at", pad_event_to=0)]
    else:
        last.append(structlog.processors.JSONRenderer(ensure_ascii=False))
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.PositionalArgumentsFormatter(),
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = _Handler(out)
    foreign = [*shared, structlog.stdlib.ExtraAdder()]
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=foreign, processors=last))
    _install(handler, level)


def _install(handler: logging.Handler, level: str) -> None:
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level.upper())
    logging.captureWarnings(True)
    # Each says what it does at `info`, with URLs; what matters of it is logged by whoever asked.
    for noisy in ("httpx", "httpcore", "docker", "urllib3", "alembic", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    # Explicit, as uvicorn takes an unset level for its most talkative; what it tells at `info` is told by ourselves.
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
