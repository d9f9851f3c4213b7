"""Which real parts this machine has, for the markers `docker`, `prometheus`, `alertmanager` and `browser`."""

import os
import shutil
from collections.abc import Callable
from functools import cache
from typing import Final

from deploy.parts import engine

SYSTEM_PATH: Final = "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin"
"""Debian puts some programs where only root looks for them."""


def _programs(package: str, *names: str) -> str | None:
    path = f"{os.environ.get('PATH', '')}:{SYSTEM_PATH}"
    missing = [name for name in names if shutil.which(name, path=path) is None]
    return f"{', '.join(missing)} not installed; as root: make parts (Debian's {package})" if missing else None


PARTS: Final[dict[str, Callable[[], str | None]]] = {
    "docker": engine.unavailable,
    "prometheus": lambda: _programs("prometheus", "prometheus", "promtool"),
    "alertmanager": lambda: _programs("prometheus-alertmanager", "prometheus-alertmanager"),
    "browser": lambda: _programs("chromium", "chromium"),
}
"""Marker to the question why its part can't be had; nothing as the answer when it can."""


@cache
def absence(part: str) -> str | None:
    """Say why a part can't be had here, or nothing when it can; looked up once a run."""
    return PARTS[part]()


def must_have() -> bool:
    """Whether a missing part is a failure rather than a skip: in CI, where green has to mean tested."""
    return os.environ.get("CI", "").lower() not in {"", "0", "false"}
