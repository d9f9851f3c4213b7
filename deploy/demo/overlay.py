"""The policy files of the demo: the shipped one, the demo's times over it, and where things are over that."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from ruamel.yaml import YAML

ROOT: Final = Path(__file__).parents[2]

SHIPPED: Final = ROOT / "playbooks.yaml"

TIMES: Final = Path(__file__).parent / "playbooks.yaml"


def health_only() -> dict[str, Any]:
    """Return the overlay for a machine without a Prometheus: nothing asks it, so health endpoints alone verify."""
    shipped = YAML(typ="safe").load(SHIPPED)
    playbooks = []
    for playbook in shipped["playbooks"]:
        steps = [{"name": step["name"], "verify": {"queries": []}} for step in playbook.get("steps", ())]
        playbooks.append({"name": playbook["name"], "verify": {"queries": []}, **({"steps": steps} if steps else {})})
    return {"defaults": {"guardrails": {"require_confirmation": False}}, "playbooks": playbooks}


def policy_files(directory: Path, places: Mapping[str, Any]) -> list[Path]:
    """Write what is only known now over the two files that are always the same, and return all three in order.

    Args:
        directory: where the third is written.
        places: an overlay of playbooks.yaml, such as the health URL with the port that was free.
    """
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "places.yaml"
    # JSON is YAML.
    path.write_text(json.dumps(places, indent=2) + "\n")
    return [SHIPPED, TIMES, path]
