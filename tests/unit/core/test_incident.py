from dataclasses import replace
from typing import Any

import pytest

from receiver.core.incident import Phase
from tests.unit.core.life import Life, playbook, step

CHANGES: dict[str, Any] = {"phase": Phase.HOLDING, "firing": 3, "wanted": ("other", "v", 0)}


def test_a_changed_copy_is_what_replace_returns_and_leaves_the_original_alone() -> None:
    incident = Life(playbook(step("restart"))).incident
    before = replace(incident)
    changed = incident.but(**CHANGES)
    assert changed == replace(incident, **CHANGES)
    assert incident == before


def test_a_field_that_does_not_exist_can_not_be_changed() -> None:
    incident = Life(playbook(step("restart"))).incident
    with pytest.raises(TypeError, match="an incident has no field fring"):
        incident.but(fring=3)
