"""Messages that were not sent: listed, and sent again."""

from __future__ import annotations

import argparse
import json
from typing import Any
from urllib.parse import quote

from receiver.cli.client import Client
from receiver.cli.printing import Printer
from receiver.errors import SettingsError

PAGE = 1000


def outbox(arguments: argparse.Namespace) -> int:
    """List the outbox, or send dead letters again."""
    resending = arguments.what == "resend"
    if resending != bool(arguments.ids):
        raise SettingsError(["resend wants the ids of dead letters, or `all`; the others want no id"])
    if not 0 < arguments.limit <= PAGE:
        raise SettingsError([f"--limit is a number from 1 to {PAGE}"])
    with Client() as client:
        if resending:
            return _resend(client, arguments.ids)
        states = ("dead", "waiting") if arguments.what == "list" else (arguments.what,)
        items = [
            one for state in states for one in client.get("/api/v1/outbox", state=state, limit=arguments.limit)["items"]
        ]
    if arguments.json:
        print(json.dumps(items, indent=2, ensure_ascii=False))
    else:
        Printer().letters(items)
    return 0


def _resend(client: Client, ids: list[str]) -> int:
    wanted = ids if ids != ["all"] else _every_dead(client)
    for one in wanted:
        client.post(f"/api/v1/outbox/{quote(one, safe='')}/resend")
    print(f"{len(wanted)} sent again; `remediator outbox` shows what becomes of them")
    return 0


def _every_dead(client: Client) -> list[str]:
    found: list[str] = []
    after: str | None = None
    while True:
        page: dict[str, Any] = client.get("/api/v1/outbox", state="dead", limit=PAGE, after=after)
        found += [one["id"] for one in page["items"]]
        after = page["next"]
        if after is None:
            return found[::-1]
