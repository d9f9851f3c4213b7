"""`remediator incidents`: list, show, export."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from receiver.cli.printing import Printer
from receiver.cli.reading import PAGE, Source, source
from receiver.cli.values import settings_of
from receiver.errors import SettingsError


def incidents(arguments: argparse.Namespace) -> int:
    """Run the command."""
    if arguments.what == "show" and not arguments.id:
        raise SettingsError(["incidents show needs the ID of an incident"])
    if arguments.what == "list" and arguments.id:
        raise SettingsError(["incidents list takes no ID; for one incident: incidents show ID"])
    if arguments.limit < 1:
        raise SettingsError(["--limit must be at least 1"])
    with source(settings_of(arguments), offline=arguments.offline) as (found, told):
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


def _wanted(arguments: argparse.Namespace) -> dict[str, str | None]:
    return {
        "open": "true" if arguments.open else None,
        "state": arguments.state,
        "severity": arguments.severity,
        "target": arguments.target,
    }


def _pages(found: Source, arguments: argparse.Namespace, limit: int) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    after: str | None = None
    while len(items) < limit:
        page = found.incidents(limit=min(PAGE, limit - len(items)), after=after, **_wanted(arguments))
        items.extend(page["items"])
        after = page["next"]
        if after is None:
            break
    return items


def _list(found: Source, arguments: argparse.Namespace) -> None:
    items = _pages(found, arguments, arguments.limit)
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
    limit = min(arguments.limit, 1000)
    items = (found.unmatched(limit) if arguments.unmatched else found.quarantine(limit))["items"]
    printer = Printer()
    if arguments.json:
        print(json.dumps(items, indent=2, ensure_ascii=False))
    elif arguments.unmatched:
        printer.unmatched(items)
    else:
        printer.quarantine(items)
