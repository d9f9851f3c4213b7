"""The pages for people, and what stands in them as code."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.unit.house.sources import ROOT

PAGES: Final = (
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
)

BLOCK: Final = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
INLINE: Final = re.compile(r"`([^`\n]+)`")


def blocks(page: Path, language: str = "") -> Iterator[str]:
    """Yield the text of a page's code blocks in this language."""
    yield from (text for kind, text in BLOCK.findall(page.read_text()) if kind == language)


def code(page: Path) -> Iterator[str]:
    """Yield each line of a page's plain code blocks, and each piece of code within its text."""
    for text in blocks(page):
        yield from text.splitlines()
    yield from INLINE.findall(BLOCK.sub("", page.read_text()))
