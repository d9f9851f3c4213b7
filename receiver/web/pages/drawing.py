"""Templates: everything that they show is escaped, cleaned of credentials and of what could reorder a line."""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import urlsplit

import jinja2
from markupsafe import Markup, escape

from receiver.core.phrases import span
from receiver.core.redaction import Secrets
from receiver.web.pages.static import static_path

LONGEST: Final = 20_000
"""Characters of one value that are shown; what a page shows is bounded long before."""

LATEST: Final = 253_402_300_800
"""UNIX seconds from which on there is no date."""

MOMENT: Final = re.compile(r"\b(?:(\d{4}-\d\d-\d\d) )?(\d\d):(\d\d):(\d\d)Z\b", re.ASCII)
"""How `receiver.core.phrases` writes moments."""


def environment(secrets: Secrets) -> jinja2.Environment:
    """Return what draws the pages.

    Args:
        secrets: takes credentials out of everything that is shown.
    """
    drawing = Drawing(secrets)
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("receiver.web"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=drawing.shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"span": span, "moment": moment, "with_moments": drawing.with_moments, "link": drawing.link}
    made.filters["hidden"] = secrets.value
    made.globals["static"] = static_path
    return made


class Drawing:
    """What templates do with values that come from outside."""

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets

    def shown(self, value: Any) -> Any:
        """Make a value harmless before it is escaped; what is markup already was made of such values."""
        if value is None:
            return ""
        if not isinstance(value, str) or isinstance(value, Markup):
            return value
        return self._secrets.text("".join(char for char in value[:LONGEST] if char in "\n\t" or _harmless(char)))

    def with_moments(self, text: str, at: float) -> Markup:
        """Return a text with the moments in it marked, so that they get the reader's zone too.

        Args:
            at: UNIX seconds at which it was said: a time of day without a date is the nearest one.
        """
        cleaned = str(self.shown(text))
        found, end = Markup(), 0
        for match in MOMENT.finditer(cleaned):
            if (when := _when(match, at)) is not None:
                found += escape(cleaned[end : match.start()]) + _time(when, match[0])
                end = match.end()
        return found + escape(cleaned[end:])

    def link(self, text: object) -> str:
        """Return a URL that may be a link: http and https only, without a credential; else nothing."""
        url = str(self.shown(str(text))).strip()
        try:
            parts = urlsplit(url)
        except ValueError:
            return ""
        usable = parts.scheme in {"http", "https"} and parts.hostname and "@" not in parts.netloc and len(url) <= 2000
        return url if usable else ""


def _harmless(char: str) -> bool:
    # As in `receiver.core.phrases.clean`: no control, bidirectional, zero-width, surrogate or private characters.
    return char.isprintable() or unicodedata.category(char) == "Zs"


# --- times in the reader's zone ---------------------------------------------------------------------------------------


def moment(at: float | None) -> Markup | str:
    """Return a time of day in UTC, which a script turns into the reader's zone."""
    if at is None or not 0 < at < LATEST:
        return "some time"
    when = datetime.fromtimestamp(at, UTC)
    return _time(when, f"{when:%H:%M:%S}Z")


def _when(match: re.Match[str], at: float) -> datetime | None:
    said = datetime.fromtimestamp(at, UTC) if 0 < at < LATEST else None
    try:
        if match[1] is not None:
            return datetime.fromisoformat(f"{match[1]}T{match[2]}:{match[3]}:{match[4]}+00:00")
        if said is None:
            return None
        near = said.replace(hour=int(match[2]), minute=int(match[3]), second=int(match[4]), microsecond=0)
    except ValueError:
        return None
    return min((near + timedelta(days=days) for days in (-1, 0, 1)), key=lambda one: abs(one - said))


def _time(when: datetime, text: str) -> Markup:
    return Markup('<time datetime="{}">{}</time>').format(when.isoformat().replace("+00:00", "Z"), text)
