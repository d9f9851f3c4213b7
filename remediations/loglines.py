"""Finding the errors in a service's log lines: by their level where they have one, by what they say where not.

"0 errors" is not an error, and neither is an INFO line that mentions one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

MAX_LINE = 4096
MAX_MESSAGE = 200

_ERROR_LEVELS = frozenset(
    {"error", "err", "fatal", "critical", "crit", "panic", "dpanic", "emerg", "emergency", "alert", "severe"}
)
_OTHER_LEVELS = frozenset({"trace", "debug", "info", "information", "notice", "warn", "warning", "fine", "config"})

_LEVEL_KEYS = ("level", "severity", "levelname", "lvl", "log.level", "loglevel")
_MESSAGE_KEYS = ("message", "msg", "event", "error", "err", "exception")
_NUMERIC_ERROR = 50
"""From here on numeric levels are errors, in pino's and bunyan's scale."""

_LOGFMT = re.compile(r'(?:^|\s)(?:level|lvl|severity)="?([A-Za-z]+)', re.IGNORECASE)
_KLOG = re.compile(r"^([IWEF])\d{4} ")
_UPPER = re.compile(r"(?<![A-Za-z_])([A-Z]{3,11})(?![A-Za-z_])")
_BRACKETED = re.compile(r"[\[<(]\s*([A-Za-z]{3,11})\s*[\])>]|(?:^|\s)([A-Za-z]{3,11}):\s")
_PREFIX = 80
"""Characters at the start of a line in which its level stands, if it has one."""

_SERVER_ERROR = re.compile(r'HTTP/\d(?:\.\d)?"? (5\d\d)\b')
_TRACEBACK = "Traceback (most recent call last)"
_RAISED = re.compile(r"^(?:[A-Za-z_][\w.]*\.)?[A-Z]\w*(?:Error|Exception|Exit|Interrupt|Warning)\b(?::|$)")
_CRASHED = re.compile(
    r"^panic: |\b(?:unhandled exception|uncaught exception|segmentation fault|out of memory|core dumped)\b",
    re.IGNORECASE,
)

_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f]")
_SECRET = re.compile(
    r"(?i)\b(authorization\s*[:=]\s*(?:bearer|basic)?\s*|bearer\s+"
    r"|[\w-]*(?:password|passwd|secret|token|api[_-]?key)[\"']?\s*[:=]\s*[\"']?)[^\s\"',;&]+"
)
_USERINFO = re.compile(r"(?<=://)[^/\s:@]+:[^/\s@]+(?=@)")
_TIME = re.compile(r"\d{4}[-/]\d\d[-/]\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?")
_VARIABLE = re.compile(
    r"0x[0-9a-fA-F]+|\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b|\b[0-9a-f]{12,64}\b|\d+"
)


@dataclass(frozen=True, slots=True)
class ErrorGroup:
    """Error lines that differ in times, numbers and identifiers only: how many, and one of them (the last)."""

    message: str
    count: int
    example: str


def error_message(line: str) -> str | None:
    """Return what a line complains about, None when it isn't an error."""
    text = _ANSI.sub("", line[:MAX_LINE]).strip()
    if not text:
        return None
    structured = _parse(text)
    if structured is not None:
        return _of_json(structured, text)
    failed = _SERVER_ERROR.search(text)
    if failed:
        return text
    level = _level(text)
    if level is not None:
        return text if level in _ERROR_LEVELS else None
    return text if _RAISED.search(text) or _CRASHED.search(text) else None


def error_groups(lines: Iterable[str], limit: int) -> tuple[int, tuple[ErrorGroup, ...]]:
    """Return the number of error lines and their `limit` largest groups, secrets masked.

    The exception at the end of a Python traceback is the message; its frames are no lines of their own.
    """
    counts: dict[str, int] = {}
    examples: dict[str, str] = {}
    total = 0
    in_traceback = False
    for line in lines:
        if _TRACEBACK in line:
            in_traceback = True
            continue
        if in_traceback and (line.startswith((" ", "\t")) or not line.strip()):
            continue
        message = error_message(line) or (line.strip() if in_traceback else None)
        in_traceback = False
        if message is None:
            continue
        total += 1
        shown = mask(message)[:MAX_MESSAGE]
        key = _VARIABLE.sub("#", _TIME.sub("", shown)).strip()
        counts[key] = counts.get(key, 0) + 1
        examples[key] = shown
    largest = sorted(counts, key=lambda key: -counts[key])[:limit]
    return total, tuple(ErrorGroup(key, counts[key], examples[key]) for key in largest)


def mask(text: str) -> str:
    """Hide what looks like a password, a token or a key: log lines go into the timeline and into chats."""
    return _SECRET.sub(lambda found: found.group(1) + "***", _USERINFO.sub("***", text))


def _parse(text: str) -> Mapping[str, Any] | None:
    if not text.startswith("{"):
        return None
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def _of_json(content: Mapping[str, Any], text: str) -> str | None:
    level = next((content[key] for key in _LEVEL_KEYS if key in content), None)
    bad = (isinstance(level, str) and level.casefold() in _ERROR_LEVELS) or (
        isinstance(level, int | float) and not isinstance(level, bool) and level >= _NUMERIC_ERROR
    )
    if not bad:
        return None
    message = next((content[key] for key in _MESSAGE_KEYS if isinstance(content.get(key), str)), text)
    return _ANSI.sub("", str(message))[:MAX_LINE]


def _level(text: str) -> str | None:
    """Return the line's level in lower case, None when it has none."""
    klog = _KLOG.match(text)
    if klog:
        return {"I": "info", "W": "warning", "E": "error", "F": "fatal"}[klog.group(1)]
    logfmt = _LOGFMT.search(text)
    if logfmt and _known(logfmt.group(1)):
        return logfmt.group(1).casefold()
    start = text[:_PREFIX]
    found = [(match.start(), word) for match in _UPPER.finditer(start) if _known(word := match.group(1))]
    found += [
        (match.start(), word)
        for match in _BRACKETED.finditer(start)
        if _known(word := match.group(1) or match.group(2))
    ]
    return min(found)[1].casefold() if found else None


def _known(word: str) -> bool:
    return word.casefold() in _ERROR_LEVELS or word.casefold() in _OTHER_LEVELS
