"""From parsed arguments to settings."""

from __future__ import annotations

import argparse
import os
from collections.abc import Collection
from contextlib import suppress

from receiver.errors import SettingsError
from receiver.settings import SETTINGS, Settings, load


def settings_of(arguments: argparse.Namespace, only: Collection[str] | None = None) -> Settings:
    """Return the settings that flags and environment give; with `only`, mistakes in other ones don't matter.

    Raises:
        SettingsError: names every mistake.
    """
    flags: dict[str, str] = {}
    for one in SETTINGS:
        value = getattr(arguments, f"setting_{one.name}", None)
        if value is not None:
            flags[one.name] = ",".join(value) if isinstance(value, list) else value
    return load(flags, os.environ, only)


def secrets_of() -> tuple[str, ...]:
    """Return the service's secrets as far as this environment has them: what is read from its database hides them."""
    found: list[str] = []
    for one in SETTINGS:
        # One that can't be read, a file of another user's perhaps, keeps nobody from looking at incidents.
        with suppress(SettingsError):
            found += load({}, os.environ, (one.name,)).secrets
    return tuple(found)
