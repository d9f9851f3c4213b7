"""The JSON Schemas of playbooks.yaml and people.yaml, for editors: made of the models, and tested to be current."""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel

from receiver.core.durations import format_duration
from receiver.playbooks.fields import DURATION_PATTERN
from receiver.playbooks.people_file import PeopleFileModel
from receiver.playbooks.schema import FileModel

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def playbooks_schema() -> dict[str, Any]:
    """Return the schema of playbooks.yaml."""
    return _schema(FileModel, "remediator playbooks.yaml")


def people_schema() -> dict[str, Any]:
    """Return the schema of people.yaml."""
    return _schema(PeopleFileModel, "remediator people.yaml")


def schema_text(schema: dict[str, Any]) -> str:
    """Return a schema as it is committed."""
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def _schema(model: type[BaseModel], title: str) -> dict[str, Any]:
    made = model.model_json_schema(mode="validation")
    for part in (made, *made["$defs"].values()):
        part.pop("title", None)
        for field in part["properties"].values():
            as_written(field)
    return {"$schema": DIALECT, **made, "title": title}


def as_written(field: dict[str, Any]) -> None:
    """Show a field as a person would write it: durations with units, no default for what is merely unset."""
    field.pop("title", None)
    branches = field.get("anyOf")
    if isinstance(branches, list) and {"type": "null"} in branches:
        # A field may be left out, but an empty value is a mistake.
        branches.remove({"type": "null"})
        if len(branches) == 1:
            del field["anyOf"]
            field.update(branches[0])
    default = field.get("default")
    if field.get("pattern") == DURATION_PATTERN and isinstance(default, int | float):
        field["default"] = format_duration(default)
    elif "default" in field and (default is None or isinstance(default, dict | list)):
        del field["default"]
