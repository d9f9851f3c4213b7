"""From parsed arguments to settings."""

from __future__ import annotations

import argparse
import os

from receiver.settings import SETTINGS, Settings, load


def settings_of(arguments: argparse.Namespace) -> Settings:
    """Return the settings that flags and environment give.

    Raises:
        SettingsError: names every mistake.
    """
    flags: dict[str, str] = {}
    for one in SETTINGS:
        value = getattr(arguments, f"setting_{one.name}", None)
        if value is not None:
            flags[one.name] = ",".join(value) if isinstance(value, list) else value
    return load(flags, os.environ)
