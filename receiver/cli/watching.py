"""`remediator watch`: what happens to incidents, line by line, over restarts of the service."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from receiver.cli.client import Client, Sent
from receiver.cli.printing import Printer
from receiver.errors import ServiceRefused, ServiceUnreachable

AGAIN = (1.0, 2.0, 5.0)
"""Seconds before each new try; the last for all that follow."""

LISTED = 50
"""Open incidents that are shown at the start."""

_OVER = {"resolved", "closed"}
_STOPPING = 503
_ALL = "/api/v1/stream"


def watch(arguments: argparse.Namespace) -> int:
    """Follow until Ctrl-C, or until the one incident is over."""
    with Client() as client:
        out: Lines | Story = Lines() if arguments.json else Story(one=arguments.id is not None)
        try:
            if arguments.id is None:
                return _all(client, out)
            return _one(client, out, f"/api/v1/incidents/{quote(arguments.id, safe='')}")
        except KeyboardInterrupt:
            # It is how this ends.
            return 0
        finally:
            out.done()


def _all(client: Client, out: Lines | Story) -> int:
    def take(sent: Sent) -> bool:
        out.take(sent)
        return False

    out.open(client.get("/api/v1/incidents", open="true", limit=LISTED))
    follow(client, _ALL, take)
    return 0


def _one(client: Client, out: Lines | Story, path: str) -> int:
    incident = client.get(path)
    out.begin(incident)
    if incident["ended_at"] is None:
        follow(client, f"{path}/stream", out.take)
        return 0
    after: str | None = None
    while True:
        page = client.get(f"{path}/timeline", after=after)
        for entry in page["items"]:
            out.entry({**entry, "incident": incident["id"]})
        after = page["next"]
        if after is None:
            return 0


def follow(client: Client, path: str, take: Callable[[Sent], bool]) -> None:
    """Give each piece of a stream to `take` until it says that it has seen the last; come again when it breaks.

    Raises:
        ServiceUnreachable: there was nobody from the start.
        ServiceRefused: the service said no, and not only because it stops.
    """
    position: str | None = None
    lost, tries = False, 0
    while True:
        told = "the stream ended"
        try:
            with client.stream(path, position) as pieces:
                for piece in pieces:
                    if lost:
                        _note("connected again")
                        lost, tries = False, 0
                    position = piece.id if piece.id is not None else position
                    if piece.data and take(piece):
                        return
        except ServiceRefused as error:
            if error.status != _STOPPING or position is None:
                raise
            told = str(error)
        except ServiceUnreachable as error:
            if position is None:
                raise
            told = str(error)
        if not lost:
            _note(f"{told}; trying again")
        lost = True
        time.sleep(AGAIN[min(tries, len(AGAIN) - 1)])
        tries += 1


def _note(text: str) -> None:
    sys.stderr.write(f"remediator: {text}\n")
    sys.stderr.flush()


class Lines:
    """Entries as lines of JSON, every one of them."""

    def open(self, page: dict[str, Any]) -> None:
        """Leave out what is open already: `remediator incidents --open --json` tells it."""

    def begin(self, incident: dict[str, Any]) -> None:
        """Leave out the incident itself."""

    def take(self, sent: Sent) -> bool:
        """Write a piece of the stream; returns whether it ends its incident."""
        print(sent.data if sent.event == "entry" else json.dumps({"kind": sent.event}), flush=True)
        return sent.event == "entry" and json.loads(sent.data)["kind"] in _OVER

    def entry(self, entry: dict[str, Any]) -> None:
        """Write an entry."""
        print(json.dumps(entry, ensure_ascii=False), flush=True)

    def done(self) -> None:
        """Nothing is held back."""


class Story:
    """Entries as lines for a person; of a row of looks alike the first and the last, as in a timeline.

    Args:
        one: all of them are of one incident.
    """

    def __init__(self, *, one: bool) -> None:
        self._one = one
        self._printer = Printer()
        self._held: dict[str, dict[str, Any]] = {}

    def open(self, page: dict[str, Any]) -> None:
        """Write which incidents are open."""
        for incident in reversed(page["items"]):
            self._printer.title(incident)
        if page["next"] is not None:
            self._printer.line("and more: remediator incidents --open")
        if not page["items"]:
            self._printer.line("no open incidents")
        self._printer.flush()

    def begin(self, incident: dict[str, Any]) -> None:
        """Write which incident it is."""
        self._printer.title(incident)

    def take(self, sent: Sent) -> bool:
        """Write a piece of the stream; returns whether it ends its incident."""
        if sent.event == "gap":
            _note("it was away for too long: some entries are missing here; remediator incidents shows them")
            return False
        if sent.event != "entry":
            return False
        entry = json.loads(sent.data)
        self.entry(entry)
        return entry["kind"] in _OVER

    def entry(self, entry: dict[str, Any]) -> None:
        """Write an entry, or hold it back until something else comes of its incident."""
        if entry["alike"] > 1:
            self._held[entry["incident"]] = entry
            return
        if (held := self._held.pop(entry["incident"], None)) is not None:
            self._write(held)
        self._write(entry)
        self._printer.flush()

    def _write(self, entry: dict[str, Any]) -> None:
        self._printer.entry(entry, "" if self._one else entry["incident"])

    def done(self) -> None:
        """Write what is still held back."""
        for entry in self._held.values():
            self._write(entry)
        self._printer.flush()
