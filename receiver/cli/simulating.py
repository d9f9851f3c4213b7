"""`remediator simulate`: what would be done about a webhook, told by the running service; matching also without it."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from receiver.cli.client import Client
from receiver.cli.printing import Printer
from receiver.cli.values import settings_of
from receiver.core.alert import Alert
from receiver.core.phrases import clean
from receiver.errors import RemediatorError, ServiceUnreachable
from receiver.settings import Settings

WORDS = {"allowed": "good", "refused": "bad", "approval": "warn"}
MAX_PAYLOAD = 32 * 1024 * 1024


def simulate(arguments: argparse.Namespace) -> int:
    """Run the command."""
    settings = settings_of(arguments, ("playbooks",))
    payload = _read(arguments.payload)
    try:
        answer = _locally(payload, settings) if arguments.setting_playbooks else _asked(payload)
    except ServiceUnreachable as error:
        sys.stderr.write(f"remediator: {error}\n")
        answer = _locally(payload, settings)
    if arguments.json:
        print(json.dumps(answer, indent=2, ensure_ascii=False))
    else:
        _print(answer, Printer())
    return 0


def _asked(payload: bytes) -> dict[str, Any]:
    """Ask the running service."""
    with Client() as client:
        answer: dict[str, Any] = client.post_bytes("/api/v1/simulate", payload)
        return answer


def _read(name: str) -> bytes:
    try:
        if name == "-":
            data = sys.stdin.buffer.read(MAX_PAYLOAD + 1)
        else:
            with Path(name).open("rb") as file:
                data = file.read(MAX_PAYLOAD + 1)
    except OSError as error:
        raise RemediatorError(f"{name}: {error.strerror or error}") from None
    if len(data) > MAX_PAYLOAD:
        raise RemediatorError(f"{name} is larger than any webhook")
    return data


def _locally(payload: bytes, settings: Settings) -> dict[str, Any]:
    """Say what matches by the policy files alone."""
    files = ", ".join(str(file) for file in settings.playbooks)
    sys.stderr.write(f"remediator: matched with {files}; plans and guardrails need the running service\n")
    from receiver.core.routing import Router
    from receiver.playbooks import PolicyError, load_policy
    from receiver.web.parsing import parse
    from receiver.web.problems import Problem
    from remediations.registry import load_actions

    try:
        router = Router(load_policy(list(settings.playbooks), load_actions().actions, os.environ))
        delivery = parse(payload, 0.0)
    except PolicyError as error:
        raise RemediatorError(str(error)) from None
    except Problem as problem:
        raise RemediatorError(problem.detail) from None
    unread = [{"where": bad.where, "message": bad.message} for bad in delivery.bad]
    return {"mode": None, "alerts": [_matched(router, one) for one in delivery.alerts], "unread": unread, "left_out": 0}


def _matched(router: Any, alert: Alert) -> dict[str, Any]:
    from receiver.core.routing import Match

    found = router.choose(alert.labels)
    considered = [
        {"playbook": one.playbook, "matched": one.matched, "reason": one.reason} for one in router.explain(alert.labels)
    ]
    answer: dict[str, Any] = {
        "alert": alert.name,
        "fingerprint": alert.fingerprint,
        "status": alert.status.value,
        "considered": considered,
        "reason": found.reason,
        "playbook": None,
        "steps": [],
    }
    if isinstance(found, Match):
        steps = [{"step": step.name, "action": step.action} for step in found.playbook.steps]
        answer |= {"playbook": found.playbook.name, "target": found.service.name, "steps": steps}
        answer |= {"severity": found.severity.value, "description": found.playbook.description}
    return answer


# --- printing -------------------------------------------------------------------------------------------------------


def _print(answer: Mapping[str, Any], printer: Printer) -> None:
    mode = {"observe": "the service observes: it would only say so", "act": "the service acts", None: "matching only"}
    printer.line(f"nothing was changed; {mode.get(answer['mode'], answer['mode'])}")
    for bad in answer.get("unread", ()):
        printer.line(f"{printer.mark('bad')} {bad['where']}: {clean(bad['message'])}")
    for alert in answer["alerts"]:
        printer.line()
        _print_alert(alert, printer)
    if left_out := answer.get("left_out"):
        printer.line()
        printer.line(f"and {left_out} more alerts, which are not explained")


def _print_alert(alert: Mapping[str, Any], printer: Printer) -> None:
    ended = "; it has ended, so it would open no incident: this is what it met while it fired"
    status = alert.get("status", "firing")
    name = clean(alert["alert"], 100) or "(no alertname)"
    printer.line(f"{name} {alert['fingerprint']} {status}{ended if status == 'resolved' else ''}")
    for one in alert["considered"]:
        chosen = one["playbook"] == alert["playbook"]
        tone = "good" if chosen else ("warn" if one["matched"] else "info")
        later = "would match too, but an earlier one leads: " if one["matched"] and not chosen else ""
        printer.line(f"  {printer.mark(tone)} {one['playbook']}: {later}{_reason(one)}")
    if alert["playbook"] is None:
        printer.line(f"  => no playbook: {clean(alert['reason'])}")
        return
    printer.line(f"  => {alert['playbook']} on {alert['target']}, {alert['severity']}")
    if alert.get("description"):
        printer.line(f"     {clean(alert['description'])}")
    if not alert["steps"]:
        printer.line("     no steps: people are told, nothing is changed")
    for number, step in enumerate(alert["steps"], 1):
        _print_step(number, step, printer)


def _reason(one: Mapping[str, Any]) -> str:
    return clean(one["reason"].removeprefix(f"{one['playbook']}: "))


def _print_step(number: int, step: Mapping[str, Any], printer: Printer) -> None:
    name = step["step"] if step["step"] == step["action"] else f"{step['step']} ({step['action']})"
    printer.line(f"     {number}. {name}{f': {_would(step)}' if 'would' in step else ''}")
    if (refused := step.get("refused")) is not None:
        printer.line(f"        {printer.mark('bad')} {refused['guardrail']}: {clean(refused['reason'])}")
    if (plan := step.get("plan")) is not None:
        printer.line(f"        {clean(plan['summary'])}")
        for each in plan.get("steps", ()):
            printer.line(f"          - {clean(str(each))}")
        if plan.get("skip"):
            printer.line(f"        {printer.mark('info')} skipped: {clean(plan['skip'])}")
    for rail in step.get("guardrails", ()):
        tone = WORDS.get(rail["word"], "info")
        printer.line(f"        {printer.mark(tone)} {rail['guardrail']}: {clean(rail['reason'])}")
        if rail["word"] == "refused" and rail["release"]:
            printer.line(f"          released by: {clean(rail['release'])}")


def _would(step: Mapping[str, Any]) -> str:
    """Say what would follow."""
    needed = step["approvals"]
    people = "1 person" if needed == 1 else f"{needed} people"
    with_reason = ", with a reason" if step["reason_required"] else ""
    said = {
        "skipped": "it would be skipped",
        "refused": "it would be refused",
        "asked": f"{people} would be asked{with_reason}",
        "run": "it would run",
    }[step["would"]]
    return f"{said}; but it is only said" if step["only_says"] and step["would"] in {"run", "asked"} else said
