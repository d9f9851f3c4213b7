"""What the command line understands. What a command needs is imported when it runs: `--help` stays fast."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Collection
from importlib import import_module
from typing import Any

from receiver.core.incident import Phase
from receiver.core.severity import Severity
from receiver.settings import SETTINGS, flag, variable

_CLIENT = "Asks the service at REMEDIATOR_URL (or where REMEDIATOR_LISTEN says) with REMEDIATOR_TOKEN or _TOKEN_FILE."
_EPILOG = """exit codes: 0 done; 1 no: problems found, refused, could not start; 2 wrong usage or settings;
3 the service can't be reached; 4 not allowed; 5 no such thing. Settings: docs/settings.md"""

Run = Callable[[argparse.Namespace], int]


def build_parser() -> argparse.ArgumentParser:
    """Return the parser; each command's `run` takes the parsed arguments and returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="remediator",
        description="Receives Alertmanager's webhooks, repairs, verifies, and tells the story.",
        usage="remediator COMMAND ...",
        epilog=_EPILOG,
        formatter_class=lambda prog: argparse.RawDescriptionHelpFormatter(prog, max_help_position=16),
        allow_abbrev=False,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", prog="remediator", required=True)
    _service(commands)
    _incidents(commands)
    _watch(commands)
    _outbox(commands)
    _verbs(commands)
    _kill(commands)
    _slack(commands)
    _small(commands)
    return parser


class _Version(argparse.Action):
    """Prints the version and ends, as `remediator version` does."""

    def __call__(self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, *_: Any) -> None:
        """Print and exit."""
        parser.exit(_later("service", "version")(namespace))


def _later(module: str, function: str) -> Run:
    """Return a command that is imported when it runs."""

    def run(arguments: argparse.Namespace) -> int:
        code: int = getattr(import_module(f"receiver.cli.{module}"), function)(arguments)
        return code

    return run


def _command(commands: Any, name: str, told: str, run: Run, more: str = "") -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=told, description=f"{told[0].upper()}{told[1:]}. {more}".strip(), allow_abbrev=False
    )
    parser.set_defaults(run=run)
    return parser


def _settings(parser: argparse.ArgumentParser, names: Collection[str] | None = None) -> None:
    """Add the flags of settings; secrets have none, as every user of the machine can read a command line."""
    for one in SETTINGS:
        if one.metadata["secret"] or (names is not None and one.name not in names):
            continue
        default = f" (default {one.metadata['default']})" if one.metadata["default"] else ""
        parser.add_argument(
            flag(one.name),
            dest=f"setting_{one.name}",
            metavar=one.metadata["metavar"],
            action="append" if one.name in {"playbooks", "external_labels"} else "store",
            help=f"{one.metadata['help'].replace('%', '%%')}{default}; {variable(one.name)}",
        )


def _service(commands: Any) -> None:
    serve = _command(commands, "serve", "run the service until SIGTERM", _later("service", "serve"))
    _settings(serve)
    check = _command(commands, "check", "say what is wrong with policy files", _later("service", "check"))
    check.add_argument("files", nargs="*", metavar="FILE", help="later ones overlay earlier ones; default as for serve")
    check.add_argument(
        "--format",
        choices=("text", "json", "github"),
        default="text",
        help="text: file:line:col: message; json: a list; github: workflow annotations (default text)",
    )
    _settings(check, ("playbooks", "people", "escalation_url"))
    config = _command(commands, "config", "print the effective settings without secrets", _later("service", "config"))
    config.add_argument("--json", action="store_true", help="print JSON")
    config.add_argument("--markdown", action="store_true", help="print the table of docs/settings.md")
    _settings(config)
    simulate = _command(
        commands,
        "simulate",
        "say what would be done about a webhook; changes nothing",
        _later("simulating", "simulate"),
        f"{_CLIENT} With --playbooks, or when nobody answers, only what these files match is told.",
    )
    simulate.add_argument("payload", metavar="PAYLOAD.json", help="a webhook's body, `-` for standard input")
    simulate.add_argument("--json", action="store_true", help="print JSON")
    _settings(simulate, ("playbooks",))


def _incidents(commands: Any) -> None:
    parser = _command(
        commands,
        "incidents",
        "list, show and export incidents",
        _later("incidents", "incidents"),
        f"{_CLIENT} When nobody answers there, the database is read directly.",
    )
    parser.add_argument("what", nargs="?", metavar="list|show|export", default="list", help="default list")
    parser.add_argument("id", nargs="?", metavar="ID", help="of the incident, for show and export")
    parser.add_argument("--unmatched", action="store_true", help="list alerts that no playbook took, with the reason")
    parser.add_argument("--quarantine", action="store_true", help="list alerts that could not be read")
    parser.add_argument("--open", action="store_true", help="only open ones")
    parser.add_argument(
        "--state", metavar="STATE", choices=[one.value for one in Phase], help=f"only those in it: {_states()}"
    )
    parser.add_argument(
        "--severity", metavar="P1|P2|P3|P4", choices=[one.value for one in Severity], help="only those of this severity"
    )
    parser.add_argument("--target", metavar="SERVICE", help="only those of this service")
    parser.add_argument("--limit", metavar="NUMBER", type=int, help="list at most so many (default 50)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--offline", action="store_true", help="read the database without asking the service")
    _settings(parser, ("database",))


def _watch(commands: Any) -> None:
    parser = _command(
        commands,
        "watch",
        "follow what happens to incidents, or to one until it is over",
        _later("watching", "watch"),
        f"{_CLIENT} A restart of the service is waited for; nothing is missed. Ends with Ctrl-C.",
    )
    parser.add_argument("id", nargs="?", metavar="INCIDENT", help="only this one, from its beginning")
    parser.add_argument("--json", action="store_true", help="print each entry as one line of JSON")


def _outbox(commands: Any) -> None:
    parser = _command(
        commands,
        "outbox",
        "list the messages that wait or were given up, and send them again",
        _later("letters", "outbox"),
        _CLIENT,
    )
    parser.add_argument("what", nargs="?", choices=("list", "dead", "waiting", "resend"), default="list")
    parser.add_argument("ids", nargs="*", metavar="ID", help="of dead letters, for resend; `all` for every one")
    parser.add_argument("--limit", metavar="NUMBER", type=int, default=50, help="list at most so many (default 50)")
    parser.add_argument("--json", action="store_true", help="print JSON")


_SEVERITIES = tuple(one.value for one in Severity)


def _states() -> str:
    return ", ".join(one.value for one in Phase)


def _verbs(commands: Any) -> None:
    verbs = {
        "approve": "approve what an incident asks for",
        "deny": "deny what an incident asks for",
        "ack": "say that you have seen an incident",
        "takeover": "stop automation for an incident: it is yours",
        "pause": "stop automation for an incident without taking it; people are called after an hour",
        "resume": "let automation of a paused incident go on",
        "close": "end an incident by hand",
    }
    for name, text in verbs.items():
        parser = _command(commands, name, text, _later("verbs", "verb"), _CLIENT)
        parser.set_defaults(verb=name)
        parser.add_argument("id", metavar="ID", help="of the incident")
        needed = name in {"deny", "close"}
        if name != "ack":
            told = "why; stands in the timeline" + ("; some steps ask for one" if name == "approve" else "")
            parser.add_argument("--reason", required=needed, default="", help=told)
        if name in {"approve", "deny"}:
            told = "the request that you answer, p-...; without it whichever waits"
            parser.add_argument("--request", metavar="ID", help=told)
    declare = _command(commands, "declare", "declare an incident without an alert", _later("verbs", "declare"), _CLIENT)
    declare.add_argument("severity", metavar="SEVERITY", choices=_SEVERITIES, help="P1 (worst) to P4")
    declare.add_argument("title", metavar="TITLE", nargs="+", help="what is wrong")
    declare.add_argument("--service", metavar="NAME", default="", help="of playbooks.yaml that it is about")
    severity = _command(commands, "severity", "say how bad an incident is", _later("verbs", "severity"), _CLIENT)
    severity.add_argument("id", metavar="ID", help="of the incident")
    severity.add_argument("severity", metavar="SEVERITY", choices=_SEVERITIES, help="P1 (worst) to P4")
    severity.add_argument("--reason", required=True, help="why; stands in the timeline")
    notice = _command(
        commands,
        "notice",
        "print the draft of a notice for users; a person publishes it",
        _later("verbs", "notice"),
        _CLIENT,
    )
    notice.add_argument("id", metavar="ID", help="of the incident")
    note = _command(commands, "note", "add a remark to an incident's timeline", _later("verbs", "note"), _CLIENT)
    note.add_argument("id", metavar="ID", help="of the incident")
    note.add_argument("text", metavar="TEXT", nargs="+", help="the remark")
    note.add_argument(
        "--phase", choices=("assessed", "mitigated"), help="it is known what to do, or it works again: a P1's deadlines"
    )
    _command(commands, "reload", "load policy and people again", _later("verbs", "reload"), _CLIENT)


def _kill(commands: Any) -> None:
    parser = _command(commands, "kill", "turn the kill switch on or off, or show it", _later("verbs", "kill"), _CLIENT)
    parser.add_argument("switch", nargs="?", choices=("on", "off"), help="nothing: show it")
    parser.add_argument("--playbook", metavar="NAME", help="only this playbook")
    parser.add_argument(
        "--offline",
        action="store_true",
        help="by a file on this machine that is read before each change, without asking",
    )
    _settings(parser, ("database", "kill_file"))


def _slack(commands: Any) -> None:
    told = "say whether Slack is set up: which scope, channel or setting is missing"
    parser = _command(
        commands, "slack", told, _later("slack", "check"), "Asks Slack with REMEDIATOR_SLACK_TOKEN or _FILE."
    )
    parser.add_argument("what", choices=("check",), help="look, change nothing")
    parser.add_argument("--json", action="store_true", help="print JSON")
    _settings(parser, ("slack_channel", "slack_channels", "slack_mentions", "slack_api_url", "external_url"))


def _small(commands: Any) -> None:
    token = _command(commands, "token", "make a person's token and its hash for people.yaml", _later("verbs", "token"))
    token.add_argument("name", metavar="NAME", nargs="?", help="the person's id")
    token.add_argument(
        "--role", choices=("viewer", "responder", "approver", "admin"), default="approver", help="default approver"
    )
    token.add_argument("--json", action="store_true", help="print JSON")
    _command(commands, "version", "print the version", _later("service", "version"))
