"""Measure everything and write one report: `python -m tests.benchmarks [--quick] [--only PART] [--output FILE]`.

About 10 minutes, with `--quick` about 3; each part has a limit of its own.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.benchmarks import first_call, rates, storm, sustained, waiting
from tests.benchmarks.machine import described, others, others_used
from tests.benchmarks.report import Section, render

OUTPUT = Path(__file__).parents[2] / "docs" / "benchmarks.md"

Part = Callable[[Path], list[Section]]


def parts(*, quick: bool) -> dict[str, Part]:
    """Return what is measured, by name."""
    return {
        "rates": lambda work: rates.sections(rates.measure(work, seconds=1 if quick else 2, rounds=1 if quick else 2)),
        "sustained": lambda work: [sustained.backlog(work, seconds=5 if quick else 60)],
        "memory": lambda work: [sustained.memory(work, alerts=100_000 if quick else 1_000_000)],
        "storm": lambda work: [storm.storm(work, groups=5_000, group=20_000)],
        "idle": lambda work: [waiting.idle(work, incidents=10_000, seconds=10 if quick else 20)],
        "first": lambda work: [first_call.first_call(work, webhooks=50 if quick else 300)],
    }


def main() -> int:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="less of everything; rough figures, for development")
    parser.add_argument("--only", action="append", metavar="PART", help="one part: " + ", ".join(parts(quick=True)))
    parser.add_argument("--output", type=Path, help="the report's file; by default docs/benchmarks.md for a full run")
    chosen = parser.parse_args()
    began, used = time.monotonic(), others_used()
    found: list[Section] = []
    for name, part in parts(quick=chosen.quick).items():
        if chosen.only and name not in chosen.only:
            continue
        print(f"measuring: {name} ...", file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory(prefix="remediator-benchmark-") as work:
            sections = part(Path(work))
        found += sections
        print("\n\n".join(one.render() for one in sections), file=sys.stderr, flush=True)
    seconds = time.monotonic() - began
    machine = f"{described()} {others(used, seconds)}"
    report = render(machine, found, seconds=seconds, quick=chosen.quick) + "\n"
    print(report)
    output = chosen.output or (None if chosen.quick or chosen.only else OUTPUT)
    if output is not None:
        output.write_text(report)
    return 0


if __name__ == "__main__":
    sys.exit(main())
