"""Values from alerts in texts: `{{ labels.instance }}`, `{{ annotations.summary }}`. Names only; no code, no shell.

Three kinds of text, three ways to be careful: plain texts take a value as it is, URLs take it percent-encoded and
never in their host, PromQL takes it escaped and only within quotes. A missing label is an error that names it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

MAX_RENDERED = 64 * 1024
"""Characters of a rendered text; Alertmanager delivers annotations of 100 kB and more."""

_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_SLOT = re.compile(
    rf"\{{\{{\s*(?:(?P<source>labels|annotations)(?:\.(?P<name>{_NAME})|\[(?P<quoted>\"[^\"\n]+\"|'[^'\n]+')\])"
    r"|(?P<literal>\"\{\{\"))\s*\}\}",
    re.ASCII,
)
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://", re.ASCII)
_HOST_ENDS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/?#\\{]+[/?#]", re.ASCII)
_PROMQL = re.compile(
    r"(?P<comment>\#[^\n]*)|(?P<slot>\{\{)|(?P<variable>\$[A-Za-z_]\w*)|(?P<quote>[\"'`])|(?P<regex>=~|!~)|(?P<escape>\\.)"
    r"|(?P<space>\s+)|.",
    re.DOTALL | re.ASCII,
)
_RE2_SPECIAL = re.compile(r"[\\.+*?()|\[\]{}^$]")


class TemplateError(ValueError):
    """A template that can't be read, or a name that the alert lacks; `offset` is where in the text, from 0."""

    def __init__(self, message: str, offset: int = 0) -> None:
        super().__init__(message)
        self.offset = offset


@dataclass(frozen=True, slots=True)
class Slot:
    """A place that a value goes into: `labels` or `annotations` and the name, or `service` or `window`."""

    source: str
    name: str
    offset: int
    quote: str = ""
    in_regex: bool = False

    def __str__(self) -> str:
        return f"{self.source}.{self.name}" if self.name else f"${self.source}"


def slots(text: str) -> tuple[Slot, ...]:
    """Return the slots of a plain text or URL.

    Raises:
        TemplateError: braces that hold anything but a name.
    """
    return tuple(part for part in _parts(text) if isinstance(part, Slot))


def check_url_template(text: str) -> None:
    """Refuse an URL in which a value from an alert could reach the scheme, host or port.

    Raises:
        TemplateError: it could, or the template is malformed.
    """
    found = slots(text)
    host = _HOST_ENDS.match(text)
    if found and (host is None or found[0].offset < host.end()):
        raise TemplateError(
            "a value from an alert may stand in an URL's path or query, never in its host", found[0].offset
        )


def render(text: str, labels: Mapping[str, str], annotations: Mapping[str, str]) -> str:
    """Fill in a text; in a text that begins as an URL values are percent-encoded.

    Raises:
        TemplateError: the template is malformed, a name is missing, the result is too long, or a host would be filled.
    """
    escape: Callable[[str], str] = str
    if _URL.match(text.lstrip()):
        check_url_template(text.lstrip())
        escape = url_part
    shown = (part if isinstance(part, str) else escape(_value(part, labels, annotations)) for part in _parts(text))
    return _bounded("".join(shown))


def render_deep(value: Any, labels: Mapping[str, str], annotations: Mapping[str, str]) -> Any:
    """Fill in every text within lists and mappings; keys stay as they are.

    Raises:
        TemplateError: as `render`.
    """
    if isinstance(value, str):
        return render(value, labels, annotations)
    if isinstance(value, Mapping):
        return {key: render_deep(item, labels, annotations) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [render_deep(item, labels, annotations) for item in value]
    return value


def query_slots(expr: str) -> tuple[Slot, ...]:
    """Return the slots of a PromQL expression.

    Raises:
        TemplateError: a slot outside quotes, an unknown variable, a quote that is never closed.
    """
    return tuple(part for part in _query_parts(expr) if isinstance(part, Slot))


def render_query(
    expr: str, labels: Mapping[str, str], annotations: Mapping[str, str], *, service: str, window: float
) -> str:
    """Fill in a PromQL expression.

    Args:
        expr: with `$window`, and within quotes `$service`, `{{ labels.NAME }}`, `{{ annotations.NAME }}`.
        labels, annotations: the alert's.
        service: the service's name.
        window: seconds that `$window` reaches back; at least one.

    Raises:
        TemplateError: the template is malformed, a name is missing, or the result is too long.
    """
    shown: list[str] = []
    for part in _query_parts(expr):
        if isinstance(part, str):
            shown.append(part)
        elif part.source == "window":
            shown.append(f"{max(1, int(window))}s")
        else:
            value = service if part.source == "service" else _value(part, labels, annotations)
            shown.append(promql_text(promql_regex(value) if part.in_regex else value, part.quote))
    return _bounded("".join(shown))


def promql_text(value: str, quote_mark: str = '"') -> str:
    """Escape a value for the inside of a PromQL string in these quotes."""
    escaped = value.replace("\\", "\\\\").replace(quote_mark, "\\" + quote_mark)
    return escaped.replace("\n", "\\n").replace("\r", "\\r")


def promql_regex(value: str) -> str:
    """Escape a value so that as an RE2 expression it matches itself."""
    return _RE2_SPECIAL.sub(r"\\\g<0>", value)


def url_part(value: str) -> str:
    """Percent-encode a value for one part of an URL's path or query; `.` and `..` can't step out of a path."""
    if value in {".", ".."}:
        return value.replace(".", "%2E")
    return quote(value, safe="", errors="replace")


def _parts(text: str) -> Iterator[str | Slot]:
    position = 0
    while (opened := text.find("{{", position)) >= 0:
        yield text[position:opened]
        slot, position = _slot(text, opened)
        yield slot
    yield text[position:]


def _slot(text: str, opened: int) -> tuple[str | Slot, int]:
    found = _SLOT.match(text, opened)
    if found is None:
        closed = text.find("}}", opened)
        shown = text[opened : closed + 2 if closed >= 0 else opened + 40][:60]
        why = "is no template" if closed >= 0 else "is never closed"
        help_text = 'write {{ labels.NAME }} or {{ annotations.NAME }}, and {{ "{{" }} for two braces'
        raise TemplateError(f"{shown} {why}; {help_text}", opened)
    if found["literal"]:
        return "{{", found.end()
    name = found["name"] or found["quoted"][1:-1]
    return Slot(found["source"], name, opened), found.end()


def _query_parts(expr: str) -> Iterator[str | Slot]:
    position, quote_mark, opened, after_regex = 0, "", 0, False
    while (token := _PROMQL.match(expr, position)) is not None:
        kind, text, start = token.lastgroup, token.group(), position
        position = token.end()
        if kind == "slot":
            part, position = _slot(expr, start)
            yield part if isinstance(part, str) else _quoted(part, quote_mark, in_regex=after_regex)
        elif kind == "variable" and (not quote_mark or text in {"$service", "$window"}):
            yield _variable(text, start, quote_mark, in_regex=after_regex)
        elif kind == "comment" and quote_mark:
            position = start + 1
            yield "#"
        elif kind == "escape" and quote_mark == "`":
            position = start + 1
            yield "\\"
        else:
            yield text
            if kind == "quote" and (not quote_mark or quote_mark == text):
                quote_mark, opened = ("" if quote_mark else text), start
        if not quote_mark and kind not in {"space", "quote"}:
            after_regex = kind == "regex"
    if quote_mark:
        raise TemplateError("a quote is never closed", opened)


def _variable(text: str, offset: int, quote_mark: str, *, in_regex: bool) -> Slot:
    name = text[1:]
    if name == "service":
        return _quoted(Slot(name, "", offset), quote_mark, in_regex=in_regex)
    if name != "window":
        raise TemplateError(f"unknown variable {text}; known are $window and $service", offset)
    if quote_mark:
        raise TemplateError("$window is a duration and stands outside quotes: [$window]", offset)
    return Slot(name, "", offset)


def _quoted(slot: Slot, quote_mark: str, *, in_regex: bool) -> Slot:
    if quote_mark not in {'"', "'"}:
        raise TemplateError(f'{slot} must stand within double quotes, as in service="$service"', slot.offset)
    return Slot(slot.source, slot.name, slot.offset, quote_mark, in_regex)


def _value(slot: Slot, labels: Mapping[str, str], annotations: Mapping[str, str]) -> str:
    values = labels if slot.source == "labels" else annotations
    if slot.name not in values:
        kind = "label" if slot.source == "labels" else "annotation"
        known = ", ".join(sorted(values)[:20]) or "none"
        raise TemplateError(f"the alert has no {kind} {slot.name!r} (it has: {known})", slot.offset)
    return values[slot.name]


def _bounded(text: str) -> str:
    if len(text) > MAX_RENDERED:
        raise TemplateError(f"the filled-in text is longer than {MAX_RENDERED} characters")
    return text
