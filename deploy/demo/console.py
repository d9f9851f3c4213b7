"""What the demo prints: its own words in colour where a terminal shows them, the remediator's as they are."""

import os
import sys
from typing import Final

CODES: Final = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}


def colourful() -> bool:
    """Whether to colour: on a terminal, unless NO_COLOR (no-color.org) says no."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def paint(text: str, style: str) -> str:
    """Return the text in a style, or as it is where nothing shows colours."""
    return f"\x1b[{CODES[style]}m{text}\x1b[0m" if colourful() else text


def say(text: str, style: str | None = None) -> None:
    """Print a line at once, also into a pipe."""
    print(paint(text, style) if style else text, flush=True)


def head(text: str) -> None:
    """Print a heading."""
    say(f"\n{text}", "bold")
