"""Commands about the service itself: serve, check, config, version."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from receiver.cli.values import settings_of
from receiver.settings import Settings, effective, table

if TYPE_CHECKING:
    from receiver.people import People
    from receiver.playbooks import Problem

CHECKED = ("playbooks", "people", "escalation_url")
"""Settings that `check` looks at."""


def serve(arguments: argparse.Namespace) -> int:
    """Run the service."""
    settings = settings_of(arguments)
    from receiver.serving import serve as run

    return run(settings)


def config(arguments: argparse.Namespace) -> int:
    """Print the effective settings."""
    if arguments.markdown:
        sys.stdout.write(table())
        return 0
    settings = settings_of(arguments)
    found = effective(settings)
    if arguments.json:
        print(json.dumps({name: {"value": value, "from": source} for name, value, source in found}, indent=2))
    else:
        name_width = max(len(name) for name, _, _ in found)
        value_width = min(60, max(len(value) for _, value, _ in found))
        for name, value, source in found:
            print(f"{name:<{name_width}}  {value:<{value_width}}  {source}")
    for warning in settings.warnings:
        sys.stderr.write(f"remediator: warning: {warning}\n")
    return 0


def check(arguments: argparse.Namespace) -> int:
    """Print every mistake of policy and people; 1 when one refuses the files."""
    from receiver.playbooks import check_files, errors_of, format_problems
    from remediations.registry import load_actions

    settings = settings_of(arguments, CHECKED)
    files = [Path(file) for file in arguments.files] or list(settings.playbooks)
    actions = load_actions()
    for broken in actions.broken:
        sys.stderr.write(f"remediator: warning: {broken}\n")
    people, people_problems = _people(settings)
    problems = [
        *check_files(files, actions.actions, os.environ, escalation_paths=settings.escalation_paths, people=people),
        *people_problems,
    ]
    if problems or arguments.format == "json":
        print(format_problems(problems, arguments.format))
    wrong = errors_of(problems)
    if arguments.format == "text":
        named = ", ".join(str(file) for file in files)
        warnings = len(problems) - len(wrong)
        told = f"{len(wrong)} error{'' if len(wrong) == 1 else 's'}" if wrong else "usable"
        also = f", {warnings} warning{'' if warnings == 1 else 's'}" if warnings else ""
        sys.stderr.write(f"{named}: {told}{also}\n")
    return 1 if wrong else 0


def _people(settings: Settings) -> tuple[People | None, list[Problem]]:
    """Return everybody (None when their file has mistakes) and what is wrong with that file."""
    from receiver.people import People
    from receiver.playbooks import PolicyError
    from receiver.playbooks.people_file import load_people

    if settings.people_file is None:
        return People(), []
    try:
        return load_people(settings.people_file), []
    except PolicyError as error:
        return None, list(error.problems)


def version(_arguments: argparse.Namespace) -> int:
    """Print the version."""
    from receiver.metrics import distribution_version

    print(f"remediator {distribution_version()}")
    return 0
