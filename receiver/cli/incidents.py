"""`remediator incidents`: list, show, export."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from typing import Any

from receiver.cli.printing import Printer
from receiver.cli.reading import PAGE, Source, source
from receiver.cli.values import settings_of
from receiver.errors import SettingsError

LISTED = 50
"""Entries that a list has unless another number is asked for."""


def incidents(arguments: argparse.Namespace) -> int:
    """Run the command."""
    if (mistake := _mistake(arguments)) is not None:
        raise SettingsError([mistake])
    with source(settings_of(arguments, ("database",)), offline=arguments.offline) as (found, told):
        for line in (told or "").splitlines():
            sys.stderr.write(f"remediator: {line}\n")
        if arguments.unmatched or arguments.quarantine:
            _others(found, arguments)
        elif arguments.what == "show":
            _show(found, arguments)
        elif arguments.what == "export":
            _export(found, arguments)
        else:
            _list(found, arguments)
    return 0


def _mistake(arguments: argparse.Namespace) -> str | None:
    """Say what can't be meant; nothing that was asked for is left out silently."""
    what, others = arguments.what, arguments.unmatched or arguments.quarantine
    if what not in {"list", "show", "export"}:
        return f"incidents: {what!r} is none of list, show, export; for one incident: incidents show ID"
    if what == "show" and not arguments.id:
        return "incidents show needs the ID of an incident"
    if what == "list" and arguments.id:
        return "incidents list takes no ID; for one incident: incidents show ID"
    if arguments.limit is not None and arguments.limit < 1:
        return "--limit must be at least 1"
    if arguments.limit is not None and what != "list":
        return f"--limit is for lists; incidents {what} prints everything"
    filters = [name for name in ("open", "state", "severity", "target") if getattr(arguments, name)]
    if filters and (arguments.id or others):
        return f"--{filters[0]} chooses among incidents; it doesn't go with {'an ID' if arguments.id else 'alerts'}"
    if others and (what != "list" or (arguments.unmatched and arguments.quarantine)):
        return "--unmatched and --quarantine are lists of their own: give one of them, without show or export"
    return None


def _wanted(arguments: argparse.Namespace) -> dict[str, str | None]:
    return {
        "open": "true" if arguments.open else None,
        "state": arguments.state,
        "severity": arguments.severity,
        "target": arguments.target,
    }


def _pages(read: Callable[[int, str | None], dict[str, Any]], limit: int) -> list[dict[str, Any]]:
    """Return up to `limit` entries of a list, page by page, and say on standard error when there are more."""
    items: list[dict[str, Any]] = []
    after: str | None = None
    while True:
        page = read(min(PAGE, limit - len(items)), after)
        items.extend(page["items"])
        after = page["next"]
        if after is None:
            return items
        if len(items) >= limit:
            sys.stderr.write(f"remediator: there are more than {limit}; ask for more with --limit\n")
            return items


def _list(found: Source, arguments: argparse.Namespace) -> None:
    wanted = _wanted(arguments)
    items = _pages(lambda limit, after: found.incidents(limit=limit, after=after, **wanted), arguments.limit or LISTED)
    if arguments.json:
        print(json.dumps(items, indent=2, ensure_ascii=False))
    else:
        Printer().incidents(items)


def _show(found: Source, arguments: argparse.Namespace) -> None:
    incident = found.incident(arguments.id)
    timeline = found.timeline(arguments.id)
    if arguments.json:
        print(json.dumps({**incident, "timeline": timeline}, indent=2, ensure_ascii=False))
    else:
        Printer().incident(incident, timeline)


def _export(found: Source, arguments: argparse.Namespace) -> None:
    """Print incidents with their timelines, one JSON object a line; all of them without an ID."""
    if arguments.id:
        print(
            json.dumps({**found.incident(arguments.id), "timeline": found.timeline(arguments.id)}, ensure_ascii=False)
        )
        return
    after: str | None = None
    while True:
        page = found.incidents(limit=PAGE, after=after, **_wanted(arguments))
        for one in page["items"]:
            print(json.dumps({**one, "timeline": found.timeline(one["id"])}, ensure_ascii=False))
        after = page["next"]
        if after is None:
            return


def _others(found: Source, arguments: argparse.Namespace) -> None:
    items = _pages(found.unmatched if arguments.unmatched else found.quarantine, arguments.limit or LISTED)
    printer = Printer()
    if arguments.json:
        print(json.dumps(items, indent=2, ensure_ascii=False))
    elif arguments.unmatched:
        printer.unmatched(items)
    else:
        printer.quarantine(items)
