"""Checks of `playbooks`: names, and whether each can be reached."""

from __future__ import annotations

from collections.abc import Iterator

from receiver.core.declared import DECLARED
from receiver.core.matchers import contradiction, implies
from receiver.playbooks.lint_steps import lint_steps
from receiver.playbooks.positions import Loc, place_of
from receiver.playbooks.problems import Problem
from receiver.playbooks.schema import PlaybookModel
from receiver.playbooks.subject import Subject


def lint_playbooks(subject: Subject) -> Iterator[Problem]:
    """Yield what is wrong with playbooks, each by itself and in their order."""
    names: dict[str, int] = {}
    for index, playbook in enumerate(subject.file.playbooks):
        loc: Loc = ("playbooks", index)
        if playbook.name == DECLARED.name:
            text = f"`{playbook.name}` is the name of what leads incidents that people declare; choose another"
            yield subject.error((*loc, "name"), text)
        if playbook.name in names:
            line = subject.error(("playbooks", names[playbook.name], "name"), "").place.line
            text = f"playbook `{playbook.name}` is here a second time; the first is in line {line}"
            yield subject.error((*loc, "name"), text)
        names.setdefault(playbook.name, index)
        yield from _reachable(subject, index, playbook)
        yield from _severity(subject, index, playbook)
        yield from lint_steps(subject, index, playbook)


def _reachable(subject: Subject, index: int, playbook: PlaybookModel) -> Iterator[Problem]:
    loc: Loc = ("playbooks", index, "match")
    if not subject.trusted(*loc):
        return
    if (clash := contradiction(playbook.match)) is not None:
        yield subject.error(
            loc, f"playbooks.{playbook.name} can never match: {clash[0]} and {clash[1]} exclude each other"
        )
        return
    for earlier_index, earlier in enumerate(subject.file.playbooks[:index]):
        if subject.trusted("playbooks", earlier_index, "match") and implies(earlier.match, playbook.match):
            files = {place_of(subject.node, ("playbooks", one, "match")).file for one in (index, earlier_index)}
            yield subject.error(loc, _shadow_text(earlier, playbook, overlaid=len(files) > 1))
            return


def _shadow_text(earlier: PlaybookModel, later: PlaybookModel, *, overlaid: bool) -> str:
    where = "put it above that in the first file: a later file's own playbooks come last" if overlaid else "move it up"
    text = f"playbooks.{later.name} can never match: `{earlier.name}` above takes everything that it would; {where}"
    if earlier.target != later.target:
        return f"{text} (its other `target` doesn't help: the first playbook that matches leads)"
    if earlier.match == later.match and earlier.severity != later.severity:
        return f"{text}, or give `{earlier.name}` a severity rule"
    return text


def _severity(subject: Subject, index: int, playbook: PlaybookModel) -> Iterator[Problem]:
    rules = playbook.severity.rules
    for number, rule in enumerate(rules):
        loc: Loc = ("playbooks", index, "severity", "rules", number, "match")
        if not subject.trusted(*loc):
            continue
        clash = contradiction((*playbook.match, *rule.match)) if subject.trusted("playbooks", index, "match") else None
        if clash is not None:
            text = f"can never match: {clash[0]} and {clash[1]} exclude each other"
            yield subject.error(loc, f"playbooks.{playbook.name}: this severity rule {text}")
            continue
        before = [n for n, earlier in enumerate(rules[:number]) if implies(earlier.match, rule.match)]
        if any(subject.trusted(*loc[:-2], n, "match") for n in before):
            yield subject.error(
                loc, f"playbooks.{playbook.name}: a severity rule above takes everything that this one would"
            )
