"""docs/playbook-reference.md: every field of playbooks.yaml and people.yaml, made of the models' own descriptions."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from importlib.metadata import distribution
from typing import Any

from receiver.playbooks.fields import DURATION_PATTERN
from receiver.playbooks.json_schema import as_written, people_schema, playbooks_schema
from remediations.protocol import Remediation
from remediations.registry import GROUP, OURS, load_actions

_TITLES = {
    "FileModel": "The file",
    "EngineModel": "engines",
    "ServiceModel": "services",
    "HealthModel": "services.health",
    "ProcessOptionsModel": "services.options",
    "ReplicasModel": "services.replicas",
    "KnownGoodModel": "known_good",
    "DefaultsModel": "defaults",
    "StepDefaultsModel": "defaults.step",
    "DeadlinesModel": "defaults.deadlines",
    "FleetModel": "defaults.fleet",
    "GuardrailsModel": "guardrails",
    "ApprovalModel": "approval",
    "ApprovalChangeModel": "approval.by_severity",
    "PlaybookModel": "playbooks",
    "SeverityModel": "severity",
    "SeverityRuleModel": "severity.rules",
    "TargetModel": "target",
    "StepModel": "steps",
    "VerifyModel": "verify",
    "QueryModel": "verify.queries",
    "PersonModel": "people",
    "SlackIdModel": "people.slack",
    "IdentityModel": "people.identities",
    "GroupModel": "groups",
    "SlackGroupModel": "groups.slack",
}

_INTRODUCTION = """# Playbook reference

This page is generated from the schema (`python -m receiver.playbooks.schema_file --write`); a test holds it current.
`remediator check` tells every mistake of a file as `file:line:col: message`. For completion in an editor, name the
schema in the first line: `# yaml-language-server: $schema=receiver/schema/playbooks.schema.json`.

## How values are written

- **Durations**: `10s`, `5m`, `1h30m`; units y w d h m s ms, from large to small, as in Prometheus.
- **Matchers**: Alertmanager's syntax, `name="value"`, `!=`, `=~`, `!~`; one text, separated by commas, or a list. All
  must hold. A missing label counts as empty. Regular expressions are anchored and are those that Alertmanager (RE2)
  and Python both understand; a repeat of a repeat is refused, because it could take forever.
- **Templates** in `parameters`: `{{ labels.NAME }}`, `{{ annotations.NAME }}`, or `{{ labels["odd.name"] }}`; names
  only. A missing name is an error that tells it. In a text that begins as an URL values are percent-encoded. A host,
  an image, a name, a command or a version takes no template.
- **PromQL** in `verify.queries`: `[$window]` is the time since the action's end, `"$service"` the service's name,
  `"{{ labels.NAME }}"` a label of the alert. The last two stand within quotes, where they are escaped (behind `=~` as
  an expression that matches just this text).
- YAML 1.2: `on`, `yes` and dates are texts. Anchors and aliases work, merge keys (`<<`) and tags don't.

## Files laid over each other

`--playbooks` may be given more than once. A later file changes single values of the ones before: mappings go by key;
playbooks, steps and queries by `name`, a new name being appended; every other list is replaced; an empty value
(`engine:`) takes the earlier one away. The environment variable `REMEDIATOR_ENGINE_<NAME>` replaces an engine's URL;
nothing else is read from the environment.
"""


_ACTIONS = """## Actions

These come with the service; others are found through the entry point group `remediator.actions`. The tables show what
stands under a step's `parameters`.
"""


def reference_text() -> str:
    """Return the page."""
    playbooks, people = playbooks_schema(), people_schema()
    sections = {"FileModel": playbooks, **playbooks["$defs"], **people["$defs"]}
    parts = [_INTRODUCTION, "## Fields\n"]
    parts += [_section(title, sections[model]) for model, title in _TITLES.items()]
    parts += [_ACTIONS, *(_action(action) for _, action in sorted(_shipped_actions().items()))]
    return "\n".join(parts)


def _shipped_actions() -> Mapping[str, Remediation]:
    """Return our own actions; what else is installed here is no part of the page."""
    ours = distribution(OURS).entry_points
    return load_actions(entry for entry in ours if entry.group == GROUP).actions


def _action(action: Remediation) -> str:
    schema = action.parameters.model_json_schema()
    for field in schema["properties"].values():
        as_written(field)
    about = inspect.cleandoc(type(action).__doc__ or "").replace("\n\n", " ")
    needs = {
        "changes nothing": action.read_only,
        "needs `replicas` and `traffic`": action.needs_bounds,
        "needs `known_good`": action.needs_known_good,
        "may be undone": action.undoable,
        "may be cleaned up": action.temporary,
    }
    also = "; ".join(words for words, holds in needs.items() if holds)
    described = {**schema, "description": f"{about} ({also})" if also else about}
    return _section(f"action {action.name}", described)


def _section(title: str, schema: Mapping[str, Any]) -> str:
    required = set(schema.get("required", ()))
    lines = [f"### {title}", "", _one_line(schema.get("description", "")), ""]
    lines += ["| field | value | default | meaning |", "|---|---|---|---|"]
    lines += _rows(schema["properties"], required)
    return "\n".join(lines) + "\n"


def _rows(properties: Mapping[str, Any], required: set[str]) -> Iterator[str]:
    for name, field in properties.items():
        default = "**required**" if name in required else _default(field)
        yield f"| `{name}` | {_kind(field)} | {default} | {_one_line(field.get('description', ''))} |"


def _default(field: Mapping[str, Any]) -> str:
    value = field.get("default")
    if value is None or value == "":
        return ""
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _kind(field: Mapping[str, Any]) -> str:
    if "$ref" in field:
        title = _TITLES[field["$ref"].rpartition("/")[2]]
        return f"[{title}](#{title.lower().replace('.', '').replace(' ', '-')})"
    branches = field.get("anyOf") or field.get("oneOf")
    if branches:
        return " or ".join(_kind(branch) for branch in branches)
    if "enum" in field:
        return ", ".join(f"`{word}`" for word in field["enum"])
    if "const" in field:
        return f"`{field['const']}`"
    if field.get("type") == "array":
        return f"list of {_kind(field['items'])}"
    if field.get("type") == "object":
        inner = next(iter(field.get("patternProperties", {}).values()), field.get("additionalProperties"))
        return f"mapping of names to {_kind(inner)}" if isinstance(inner, Mapping) else "mapping"
    return _scalar(field)


def _scalar(field: Mapping[str, Any]) -> str:
    if field.get("pattern") == DURATION_PATTERN:
        return "duration"
    word = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false"}
    shown = word[field["type"]] if "type" in field else "anything"
    low, high = field.get("minimum"), field.get("maximum")
    if low is not None and high is not None:
        return f"{shown}, {low} to {high}"
    return shown if low is None else f"{shown}, at least {low}"


def _one_line(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
