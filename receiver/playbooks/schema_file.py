"""Write or check what is generated from the models: `python -m receiver.playbooks.schema_file --check|--write`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from receiver.playbooks.json_schema import people_schema, playbooks_schema, schema_text
from receiver.playbooks.reference import reference_text

ROOT = Path(__file__).parents[2]


def generated() -> Mapping[Path, str]:
    """Return every generated file with the text that it should have."""
    schemas = ROOT / "receiver" / "schema"
    return {
        schemas / "playbooks.schema.json": schema_text(playbooks_schema()),
        schemas / "people.schema.json": schema_text(people_schema()),
        ROOT / "docs" / "playbook-reference.md": reference_text(),
    }


def stale() -> list[Path]:
    """Return the generated files that are missing or not what the models say now."""
    return [path for path, text in generated().items() if not path.is_file() or path.read_text("utf-8") != text]


def write() -> None:
    """Write them all."""
    for path, text in generated().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")


def main(arguments: Sequence[str] | None = None) -> int:
    """Write or check; returns the exit status, 1 when something is not current."""
    parser = argparse.ArgumentParser(prog="python -m receiver.playbooks.schema_file", description=__doc__)
    chosen = parser.add_mutually_exclusive_group(required=True)
    chosen.add_argument("--check", action="store_true", help="exit 1 when a file is not current")
    chosen.add_argument("--write", action="store_true", help="write the files")
    if parser.parse_args(arguments).write:
        write()
        return 0
    found = stale()
    for path in found:
        text = f"{path.relative_to(ROOT)} is not current; run: python -m receiver.playbooks.schema_file --write\n"
        sys.stderr.write(text)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
