"""What is committed is finished: no note to oneself stands in for work."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.unit.house.sources import ROOT, WRITTEN, name

UNFINISHED: Final = re.compile(r"\b(?:TOD[O]|FIXM[E]|XX[X]|HAC[K]|TB[D]|[Ll]orem ipsu[m]|coming soo[n])\b")
"""Written so that this file doesn't find itself."""

TEXT: Final = frozenset(
    {".py", ".md", ".yaml", ".yml", ".toml", ".json", ".sh", ".html", ".css", ".js", ".conf", ".service"}
)
FOLDERS: Final = (*WRITTEN, "docs", "monitoring")


def test_nothing_is_marked_as_unfinished() -> None:
    wrong = [
        f"{name(path)}:{number}: {line.strip()}"
        for path in _texts()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if UNFINISHED.search(line)
    ]
    assert not wrong


def test_every_text_ends_with_one_newline() -> None:
    wrong = [
        name(path)
        for path in _texts()
        if ROOT / "tests" / "payloads" not in path.parents  # captured as they were sent
        and "vendor" not in path.parts  # as their authors published them
        and (text := path.read_text(encoding="utf-8"))
        and (not text.endswith("\n") or text.endswith("\n\n"))
    ]
    assert not wrong


def _texts() -> Iterator[Path]:
    yield from (path for path in sorted(ROOT.iterdir()) if path.is_file() and path.suffix in TEXT)
    for folder in FOLDERS:
        yield from (path for path in sorted((ROOT / folder).rglob("*")) if path.is_file() and path.suffix in TEXT)
