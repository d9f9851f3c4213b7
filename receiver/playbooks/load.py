"""Files to the policy, or to every mistake in them.

Several files are laid over each other, the later over the earlier: mappings by key, playbooks and steps by name,
everything else replaced. So a demo or a site states visibly what it does differently from the shipped policy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic_core import PydanticCustomError

from receiver.core.playbook import Policy
from receiver.people import People
from receiver.playbooks.actions import ActionFacts
from receiver.playbooks.build import build_policy
from receiver.playbooks.fields import check_url
from receiver.playbooks.lint_playbooks import lint_playbooks
from receiver.playbooks.lint_services import lint_engines, lint_services
from receiver.playbooks.lint_steps import lint_defaults
from receiver.playbooks.positions import MapNode, Node, key_place, overlay
from receiver.playbooks.problems import Level, Place, PolicyError, Problem, errors_of, in_order
from receiver.playbooks.reader import read_file
from receiver.playbooks.schema import FileModel
from receiver.playbooks.subject import Subject
from receiver.playbooks.validate import validate
from receiver.playbooks.wording import listed, suggest

# What to go on with where a required field is wrong, so that the mistakes after it are told in the same run.
_STAND_INS = {
    "match": 'alertname="?"',
    "severity": "P3",
    "name": "unnamed-{line}-{column}",
    "action": "unknown",
}
_ENGINE_VARIABLE = "REMEDIATOR_ENGINE_"
_MIN_ESCALATION_PATHS = 2


def load_policy(
    paths: Path | Sequence[Path],
    actions: Mapping[str, ActionFacts],
    environment: Mapping[str, str] | None = None,
) -> Policy:
    """Load a policy from one file, or from several laid over each other.

    Args:
        paths: the files, the shipped one first.
        actions: the known actions, by name.
        environment: where `REMEDIATOR_ENGINE_<NAME>` replaces an engine's URL; nothing else is read from it.

    Raises:
        PolicyError: with every mistake; warnings refuse nothing.
    """
    paths = [paths] if isinstance(paths, Path) else list(paths)
    file, _, problems = _examine(paths, actions, environment or {})
    if file is None or errors_of(problems):
        raise PolicyError(errors_of(problems))
    urls = {name: url for name in file.engines if (url := (environment or {}).get(engine_variable(name)))}
    return build_policy(file, actions, urls, ", ".join(str(path) for path in paths))


def check_files(
    paths: Path | Sequence[Path],
    actions: Mapping[str, ActionFacts],
    environment: Mapping[str, str] | None = None,
    *,
    escalation_paths: int | None = None,
    people: People | None = None,
) -> list[Problem]:
    """Return every mistake of files laid over each other, errors and warnings, in the order of their places.

    Args:
        paths, actions, environment: as `load_policy`.
        escalation_paths: how many independent ways there are to reach a person; None: not known here.
        people: everybody, of whom approvals are asked; None: not known here.
    """
    paths = [paths] if isinstance(paths, Path) else list(paths)
    _, node, problems = _examine(paths, actions, environment or {}, people)
    if node is not None and escalation_paths is not None and escalation_paths < _MIN_ESCALATION_PATHS:
        problems.append(_few_paths(node, escalation_paths))
    return in_order(problems, [str(path) for path in paths])


def engine_variable(name: str) -> str:
    """Return the environment variable that replaces an engine's URL; for `build-host` it ends in `BUILD_HOST`."""
    return _ENGINE_VARIABLE + "".join(one.upper() if one.isalnum() else "_" for one in name)


def _examine(
    paths: Sequence[Path],
    actions: Mapping[str, ActionFacts],
    environment: Mapping[str, str],
    people: People | None = None,
) -> tuple[FileModel | None, Node | None, list[Problem]]:
    problems: list[Problem] = []
    merged: Node | None = None
    complete = True
    if not paths:
        problems.append(Problem(Place("playbooks.yaml"), "no playbooks file is given"))
    for path in paths:
        node, found = read_file(path)
        problems += found
        if node is None:
            complete = False
        else:
            merged = node if merged is None else overlay(merged, node)
    if merged is None or not complete:
        return None, None, in_order(problems, [str(path) for path in paths])
    validated = validate(FileModel, merged, _STAND_INS)
    problems += validated.problems
    if validated.model is not None:
        subject = Subject(validated.model, validated.node, actions, people)
        problems += _lint(subject, environment)
    return validated.model, merged, in_order(problems, [str(path) for path in paths])


def _lint(subject: Subject, environment: Mapping[str, str]) -> list[Problem]:
    return [
        *lint_engines(subject),
        *_engine_urls(subject, environment),
        *lint_services(subject),
        *lint_defaults(subject),
        *lint_playbooks(subject),
    ]


def _engine_urls(subject: Subject, environment: Mapping[str, str]) -> list[Problem]:
    problems = []
    for name in subject.file.engines:
        variable = engine_variable(name)
        try:
            if url := environment.get(variable):
                check_url(url, ("unix", "tcp"))
        except PydanticCustomError as error:
            problems.append(
                subject.error(("engines", name, "url"), f"environment variable {variable}: {error.message()}")
            )
    known = [engine_variable(name) for name in subject.file.engines]
    for variable in sorted(environment):
        if variable.startswith(_ENGINE_VARIABLE) and variable not in known:
            hint = suggest(variable, known) or (f"; known are {listed(known)}" if known else "")
            text = f"environment variable {variable} names no engine of the file and does nothing{hint}"
            problems.append(Problem(key_place(subject.node, ("engines",)), text, Level.WARNING))
    return problems


def _few_paths(node: Node, paths: int) -> Problem:
    words = {0: "no way to reach a person is", 1: "only one way to reach a person is"}[max(0, paths)]
    ways = "the metric with its rule (monitoring/rules), and REMEDIATOR_ESCALATION_URL or REMEDIATOR_PAGERDUTY_KEY"
    text = f"{words} configured; an escalation needs two independent ones: {ways}"
    place = key_place(node, ("playbooks",)) if isinstance(node, MapNode) else node.place
    return Problem(place, text, Level.WARNING)
