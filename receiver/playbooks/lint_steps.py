"""Checks of a playbook's ladder: actions, what they need of the services, and verification that can end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from receiver.core.durations import format_duration
from receiver.core.matchers import Op
from receiver.core.template import TemplateError, query_slots
from receiver.playbooks.actions import ActionFacts
from receiver.playbooks.build import build_response_times, build_verification, has_known_good
from receiver.playbooks.lint_approvals import lint_approvers, lint_quorum
from receiver.playbooks.lint_parameters import lint_parameters
from receiver.playbooks.positions import Loc
from receiver.playbooks.problems import Problem
from receiver.playbooks.schema import PlaybookModel, StepModel, VerifyModel
from receiver.playbooks.subject import Subject
from receiver.playbooks.wording import listed, suggest


def lint_steps(subject: Subject, index: int, playbook: PlaybookModel) -> Iterator[Problem]:
    """Yield what is wrong with the steps of one playbook."""
    names: set[str] = set()
    services = _services(subject, playbook)
    if playbook.verify is not None:
        yield from _queries(subject, ("playbooks", index, "verify"), playbook.verify)
    for number, step in enumerate(playbook.steps):
        loc: Loc = ("playbooks", index, "steps", number)
        label = f"playbooks.{playbook.name}.steps.{step.name}"
        if step.name in names:
            yield subject.error((*loc, "name"), f"{label}: a step of this name is here a second time")
        names.add(step.name)
        if step.verify is not None:
            yield from _queries(subject, (*loc, "verify"), step.verify)
        yield from _can_pass(subject, loc, label, step, playbook)
        if step.approval is not None:
            yield from lint_approvers(subject, (*loc, "approval"), label, step.approval)
        yield from lint_quorum(subject, loc, label, step)
        if subject.trusted(*loc, "action"):
            yield from _action(subject, loc, label, step, services)


def lint_defaults(subject: Subject) -> Iterator[Problem]:
    """Yield what is wrong with `defaults`."""
    defaults = subject.file.defaults
    yield from _response_times(subject)
    if defaults.verify is not None:
        yield from _queries(subject, ("defaults", "verify"), defaults.verify)
    for action, approval in defaults.approval.items():
        yield from lint_approvers(subject, ("defaults", "approval", action), f"defaults.approval.{action}", approval)
        if action not in subject.actions:
            loc: Loc = ("defaults", "approval", action)
            yield subject.error(loc, f"defaults.approval: {_unknown(subject, action)}", key=True)


def _response_times(subject: Subject) -> Iterator[Problem]:
    given = subject.file.defaults.acknowledge_within
    times = build_response_times(subject.file.defaults)
    for worse, milder in pairwise(sorted(times)):
        if times[worse] > times[milder]:
            told = (
                f"{worse} ({format_duration(times[worse])}) is longer than {milder} ({format_duration(times[milder])})"
            )
            at = worse.value if worse.value in given else milder.value
            loc: Loc = ("defaults", "acknowledge_within", at)
            yield subject.error(loc, f"defaults.acknowledge_within: {told}; what is worse can't wait longer")


def _unknown(subject: Subject, action: str) -> str:
    known = sorted(subject.actions)
    return f"unknown action `{action}`" + (suggest(action, known) or f"; known are {listed(known)}")


def _services(subject: Subject, playbook: PlaybookModel) -> Sequence[str]:
    """Return the services that the playbook's alerts can name: all, or the ones that its matchers fix."""
    target = playbook.target or subject.file.defaults.target
    first = target.labels[0] if target is not None else "service"
    fixed = [one for one in playbook.match if one.name == first and (one.op is not Op.EQUAL or one.value)]
    found = []
    for name, service in subject.file.services.items():
        words = (name, *service.aliases)
        if all(any(one.matches({first: word}) for word in words) for one in fixed):
            found.append(name)
    return found


def _action(subject: Subject, loc: Loc, label: str, step: StepModel, services: Sequence[str]) -> Iterator[Problem]:
    facts = subject.actions.get(step.action)
    if facts is None:
        yield subject.error((*loc, "action"), f"{label}: {_unknown(subject, step.action)}")
        return
    if facts.read_only:
        yield subject.warning((*loc, "action"), f"{label}: `{step.action}` changes nothing, so it can repair nothing")
    if step.undo and not facts.undoable:
        yield subject.error((*loc, "undo"), f"{label}: what `{step.action}` does can't be undone; remove `undo`")
    if step.cleanup_after is not None and not facts.temporary:
        text = f"{label}: what `{step.action}` did is not for a time only; remove `cleanup_after`"
        yield subject.error((*loc, "cleanup_after"), text)
    yield from lint_parameters(subject, loc, label, step, facts)
    yield from _needs(subject, loc, label, facts, services)


def _needs(subject: Subject, loc: Loc, label: str, facts: ActionFacts, services: Sequence[str]) -> Iterator[Problem]:
    """An error when no service that the playbook can reach fulfils it; a warning when only some do."""
    file = subject.file
    wants: list[tuple[str, list[str]]] = []
    if facts.needs_bounds:
        bad = [name for name in services if not subject.given("services", name, "replicas")]
        wants.append(("has no `replicas` bounds", bad))
        bad = [name for name in services if file.services[name].traffic == "none" and _says_none(subject, name)]
        wants.append(("has `traffic: none`, so that a further instance would get no requests", bad))
    if facts.needs_known_good and not subject.given("defaults", "known_good"):
        bad = [
            name
            for name in services
            if not has_known_good(file.services[name], file.defaults)
            and not subject.given("services", name, "known_good")
        ]
        wants.append(("has no `known_good` rule, so that there is nothing to go back to", bad))
    for why, bad in wants:
        if not bad:
            continue
        names = ", ".join(f"`{name}`" for name in bad[:5]) + (" and others" if len(bad) > 5 else "")
        text = f"{label}: `{facts.name}` can't work on {names}: it {why}"
        at = (*loc, "action")
        yield subject.error(at, text) if len(bad) == len(services) else subject.warning(at, text)


def _says_none(subject: Subject, name: str) -> bool:
    # A wrong word was told already and is cut out; the model then shows its default.
    service = subject.file.services[name]
    return "traffic" in service.model_fields_set or not subject.given("services", name, "traffic")


def _queries(subject: Subject, loc: Loc, verify: VerifyModel) -> Iterator[Problem]:
    names: set[str] = set()
    for index, query in enumerate(verify.queries or ()):
        at: Loc = (*loc, "queries", index)
        if query.name in names:
            yield subject.error((*at, "name"), f"a query named `{query.name}` is here a second time")
        names.add(query.name)
        for field, text in (("expr", query.expr), ("traffic", query.traffic)):
            try:
                found = query_slots(text or "")
            except TemplateError as error:
                yield subject.error((*at, field), f"query `{query.name}`: {error}", offset=error.offset)
                continue
            for slot in (one for one in found if one.source == "annotations"):
                why = "a verification knows the alert's labels only: annotations are prose and change"
                yield subject.error((*at, field), f"query `{query.name}`: {slot}: {why}", offset=slot.offset)
        if query.min_traffic > 0 and not subject.given(*at, "traffic"):
            text = f"query `{query.name}`: `min_traffic` needs `traffic`, an expression for the number of requests"
            yield subject.error((*at, "min_traffic"), text, key=True)
        if query.traffic is not None and query.min_traffic == 0 and not subject.given(*at, "min_traffic"):
            text = f"query `{query.name}`: `traffic` needs `min_traffic`, the number of requests that prove something"
            yield subject.error((*at, "traffic"), text, key=True)


def _can_pass(subject: Subject, loc: Loc, label: str, step: StepModel, playbook: PlaybookModel) -> Iterator[Problem]:
    verify = build_verification(step, playbook, subject.file.defaults)
    at: Loc = (*loc, "verify") if step.verify is not None else loc
    needed = verify.initial_delay + (verify.consecutive - 1) * verify.interval
    if needed > verify.timeout:
        text = (
            f"{label}: its verification can never pass: {verify.consecutive} looks from {format_duration(needed)} on"
            f" don't fit into its timeout of {format_duration(verify.timeout)}"
        )
        yield subject.error(at, text)
    if not verify.health and not verify.target and not verify.queries and not verify.probe:
        yield subject.error(at, f"{label}: its verification asks nothing; give queries, or health or target")
