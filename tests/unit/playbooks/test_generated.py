from __future__ import annotations

import json
from pathlib import Path

import pytest

from receiver.playbooks import schema_file
from receiver.playbooks.json_schema import people_schema, playbooks_schema
from receiver.playbooks.reference import reference_text
from receiver.playbooks.schema import FileModel
from tests.unit.playbooks.test_load import models


def test_what_is_generated_is_current() -> None:
    assert schema_file.stale() == [], "run: python -m receiver.playbooks.schema_file --write"


def test_a_stale_file_is_told_and_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(schema_file, "ROOT", tmp_path)
    assert schema_file.main(["--check"]) == 1
    assert "docs/playbook-reference.md is not current; run: " in capsys.readouterr().err
    assert schema_file.main(["--write"]) == 0
    assert schema_file.main(["--check"]) == 0
    (tmp_path / "docs" / "playbook-reference.md").write_text("old")
    assert schema_file.stale() == [tmp_path / "docs" / "playbook-reference.md"]


def test_every_field_has_a_description_and_stands_in_the_reference() -> None:
    text = reference_text()
    for model in models():
        assert model.__doc__
        for name, field in model.model_fields.items():
            assert field.description, f"{model.__name__}.{name}"
            assert f"| `{name}` |" in text
            assert " ".join(field.description.split()) in text


def test_links_of_the_reference_lead_somewhere() -> None:
    text = reference_text()
    titles = {
        line[4:].lower().replace(".", "").replace(" ", "-") for line in text.splitlines() if line.startswith("### ")
    }
    targets = {part.split(")")[0] for part in text.split("](#")[1:]}
    assert targets - titles == set()


def test_the_schema_knows_the_same_fields_as_the_models() -> None:
    schema = playbooks_schema()
    assert set(schema["properties"]) == set(FileModel.model_fields)
    for model in models():
        if model is not FileModel:
            part = schema["$defs"][model.__name__]
            assert set(part["properties"]) == set(model.model_fields)
            assert part["additionalProperties"] is False


def test_the_schemas_hold_json_only_and_durations_as_people_write_them() -> None:
    schema = playbooks_schema()
    assert json.loads(json.dumps([schema, people_schema()])) == [schema, people_schema()]
    assert schema["$defs"]["FleetModel"]["properties"]["window"]["default"] == "10m"
    assert "null" not in json.dumps(schema)
