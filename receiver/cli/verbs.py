"""What a person tells the service: the verbs of an incident, the kill switch, reload; and making tokens."""

from __future__ import annotations

import argparse
import getpass
import json
import re
import sys
from pathlib import Path
from urllib.parse import quote

from receiver.cli.client import Client
from receiver.cli.printing import audit, short
from receiver.cli.values import settings_of
from receiver.errors import RemediatorError, ServiceRefused, ServiceUnreachable, SettingsError

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", re.ASCII)
"""An id that people.yaml takes."""

TURNS = 5
"""Turns of the kill switch that are shown; the API has more."""


def verb(arguments: argparse.Namespace) -> int:
    """Approve, deny, acknowledge, pause, resume, take over or close."""
    said = {"reason": getattr(arguments, "reason", "")}
    if getattr(arguments, "request", None):
        said["approval"] = arguments.request
    with Client() as client:
        answer = client.post(f"/api/v1/incidents/{quote(arguments.id, safe='')}/{arguments.verb}", said)
    print(answer["text"])
    return 0


def declare(arguments: argparse.Namespace) -> int:
    """Begin an incident without an alert."""
    body = {"severity": arguments.severity, "title": " ".join(arguments.title), "service": arguments.service}
    with Client() as client:
        print(client.post("/api/v1/incidents", body)["text"])
    return 0


def notice(arguments: argparse.Namespace) -> int:
    """Print the draft of a notice for users."""
    with Client() as client:
        print(client.get(f"/api/v1/incidents/{quote(arguments.id, safe='')}/notice")["text"])
    return 0


def severity(arguments: argparse.Namespace) -> int:
    """Say how bad an incident is."""
    body = {"severity": arguments.severity, "reason": arguments.reason}
    with Client() as client:
        path = f"/api/v1/incidents/{quote(arguments.id, safe='')}/severity"
        print(client.post(path, body)["text"])
    return 0


def note(arguments: argparse.Namespace) -> int:
    """Add a remark."""
    with Client() as client:
        path = f"/api/v1/incidents/{quote(arguments.id, safe='')}/note"
        answer = client.post(path, {"text": " ".join(arguments.text), "phase": arguments.phase or ""})
    print(answer["text"])
    return 0


def reload(_arguments: argparse.Namespace) -> int:
    """Load policy and people again."""
    with Client() as client:
        print(client.post("/-/reload")["text"])
    return 0


def kill(arguments: argparse.Namespace) -> int:
    """Turn the kill switch."""
    if arguments.offline:
        return _kill_offline(arguments)
    if arguments.setting_database or arguments.setting_kill_file:
        raise SettingsError(["--database and --kill-file say where the kill file is; they go with --offline"])
    with Client() as client:
        try:
            if arguments.switch is None:
                _print_state(client, arguments.playbook)
                return 0
            wanted: dict[str, bool | str] = {"on": arguments.switch == "on"}
            if arguments.playbook:
                wanted["playbook"] = arguments.playbook
            print(client.post("/api/v1/kill", wanted)["text"])
        except (ServiceUnreachable, ServiceRefused) as error:
            if arguments.switch == "on" and not arguments.playbook:
                sys.stderr.write("remediator: it may still act; to stop it by a file: remediator kill on --offline\n")
            raise error from None
    return 0


def _print_state(client: Client, playbook: str | None) -> None:
    state = client.get("/api/v1/kill")
    last = f"last turned by {state['by']} at {short(state['at'])}" if state["at"] else ""
    stopped = [one for one in state["playbooks"] if playbook in {None, one}]
    if state["file"]:
        print(f"on: the file {state['file']} stops everything")
    elif state["everything"]:
        print(f"on: everything is stopped; {last}")
    elif stopped:
        print(f"on for {', '.join(stopped)}; {last}")
    else:
        print("off" + (f" for {playbook}" if playbook else "") + (f"; {last}" if last else ""))
    for one in state["turns"][-TURNS:]:
        what = f"{'on' if one['on'] else 'off'}{f' for {name}' if (name := one['playbook']) else ''}"
        print(f"  {short(one['at'])}  {what} by {one['by']} (via {one['via']}){audit(one)}")


def _kill_offline(arguments: argparse.Namespace) -> int:
    """Write or remove the file that is looked for before each change."""
    if arguments.playbook:
        raise SettingsError(["--offline stops everything; --playbook needs the running service"])
    settings = settings_of(arguments, ("database", "kill_file"))
    file = settings.kill_path.absolute()
    try:
        if arguments.switch == "on":
            _write(file)
            if settings.kill_file is None and not settings.database_file.exists():
                told = f"{settings.database_file.absolute()} doesn't exist: no service runs with that database"
                sys.stderr.write(
                    f"remediator: warning: {told}; is it --database or REMEDIATOR_DATABASE that is missing?\n"
                )
            print(f"everything is stopped while {file} exists; `remediator kill off --offline` removes it")
        elif arguments.switch == "off":
            file.unlink(missing_ok=True)
            print(f"{file} is gone; what `remediator kill on` said to the service itself still holds")
        else:
            print(f"on: {file} exists" if file.exists() else f"off: {file} doesn't exist")
    except OSError as error:
        raise RemediatorError(f"{file}: {error.strerror or error}") from None
    return 0


def _write(file: Path) -> None:
    try:
        who = getpass.getuser()
    except (KeyError, OSError):
        who = "somebody"
    file.write_text(f"stopped by {who}\n", encoding="utf-8")


def token(arguments: argparse.Namespace) -> int:
    """Make a token; it is shown once and kept nowhere."""
    from receiver.people import make_token

    if arguments.name is not None and not _ID.fullmatch(arguments.name):
        raise SettingsError(
            [f"{arguments.name!r} is no id: letters, digits, . _ - only, the first a letter or digit, 63 at most"]
        )
    made, hashed = make_token()
    if arguments.json:
        print(json.dumps({"token": made, "hash": hashed}))
        return 0
    name = arguments.name or "NAME"
    print(f"token, for the person alone, in REMEDIATOR_TOKEN or a file (it is kept nowhere):\n\n  {made}\n")
    print(f"entry for people.yaml, below `people:`\n\n  - id: {name}\n    name: {name}\n    roles: [{arguments.role}]")
    print(f'    tokens: ["{hashed}"]\n')
    print("then: remediator reload")
    return 0
