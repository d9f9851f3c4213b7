"""Checks of a step's parameters: the action's own model, and templates only where a value from an alert may stand."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pydantic import ValidationError

from receiver.core.redaction import hide, names_secret
from receiver.core.template import TemplateError, check_url_template, slots
from receiver.playbooks.actions import ActionFacts
from receiver.playbooks.positions import Loc, MapNode, ScalarNode, find, key_place, walk
from receiver.playbooks.problems import Level, Problem
from receiver.playbooks.schema import StepModel
from receiver.playbooks.subject import Subject
from receiver.playbooks.wording import problem_of

# A label value never forms a host, image, name or argv[0] (design: targets), nor which version or how many.
_FIXED = frozenset(
    {
        "argv",
        "command",
        "container",
        "engine",
        "entrypoint",
        "executable",
        "host",
        "hostname",
        "image",
        "method",
        "name",
    }
    | {"network", "port", "program", "replicas", "runtime", "script", "service", "tag", "target", "to", "version"}
)
# What is sent to a fixed place is data: there these words are the receiver's own.
_DATA = "body"
_FIXED_FIELD = re.compile(r"(^|_)(file|path|header)$")
_URL_FIELD = re.compile(r"(^|_)ur[il]s?$")


def lint_parameters(subject: Subject, loc: Loc, label: str, step: StepModel, facts: ActionFacts) -> Iterator[Problem]:
    """Yield what is wrong with the parameters of one step."""
    yield from _templates(subject, loc, label)
    yield from _credentials(subject, loc, label)
    try:
        facts.parameters.model_validate(step.parameters)
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            inner = tuple(part for part in detail["loc"] if part != "[key]")
            # What a template becomes is known when it is filled in; the executor validates it again then.
            if not _has_template(subject, (*loc, "parameters", *inner)):
                yield problem_of(facts.parameters, subject.node, detail, (*loc, "parameters"))


def _credentials(subject: Subject, loc: Loc, label: str) -> Iterator[Problem]:
    """A warning for each credential: what stands in a playbook is stored with every step, and read by whoever may."""
    base: Loc = (*loc, "parameters")
    root = find(subject.node, base)
    for inner, node in walk(root) if root is not None else ():
        if not isinstance(node, ScalarNode) or not isinstance(node.value, str):
            continue
        if (inner and names_secret(inner[-1])) or hide(node.value) != node.value:
            text = f"{label}: {'.'.join(map(str, inner))} holds a credential; name a file instead (`http`: token_file)"
            yield Problem(node.place, text, Level.WARNING)


def _has_template(subject: Subject, loc: Loc) -> bool:
    found = find(subject.node, loc)
    return isinstance(found, ScalarNode) and isinstance(found.value, str) and "{{" in found.value


def _templates(subject: Subject, loc: Loc, label: str) -> Iterator[Problem]:
    base: Loc = (*loc, "parameters")
    root = find(subject.node, base)
    if root is None:
        return
    for inner, node in walk(root):
        path = ".".join(map(str, inner))
        if isinstance(node, MapNode):
            for key in node.entries:
                if "{{" in key:
                    yield Problem(key_place(root, (*inner, key)), f"{label}: the name of a parameter takes no template")
        if not isinstance(node, ScalarNode) or not isinstance(node.value, str):
            continue
        try:
            found = slots(node.value)
            if found and _URL_FIELD.search(_field(inner)):
                check_url_template(node.value)
        except TemplateError as error:
            yield Problem(node.place_of(error.offset), f"{label}: {path}: {error}")
            continue
        if found and _is_json_text(node.value):
            text = (
                f"{label}: {path}: a value could break out of JSON that is written as a text; write a mapping instead"
            )
            yield Problem(node.place_of(found[0].offset), text)
        if found and inner[0] != _DATA and _is_fixed(inner):
            text = f"{label}: {path} takes no template: an alert must not choose what is run, where, or by which name"
            yield Problem(node.place_of(found[0].offset), text)


def _is_fixed(loc: Loc) -> bool:
    return bool(_FIXED.intersection(str(part).lower() for part in loc) or _FIXED_FIELD.search(_field(loc)))


def _is_json_text(text: str) -> bool:
    begins = text.lstrip()
    return begins[:1] in {"{", "["} and not begins.startswith("{{")


def _field(loc: Loc) -> str:
    return next((str(part).lower() for part in reversed(loc) if isinstance(part, str)), "")
