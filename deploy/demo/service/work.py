"""What the service does, how much of it at once, and the faults that it can be given."""

import json
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from deploy.demo.service.meters import Meters

MODES: Final = ("none", "errors", "slow", "hang", "degraded", "crash")

MAX_WAITING: Final = 256
"""Requests that may wait for a slot before further ones are refused with 503."""

SLOW_FACTOR: Final = 10.0
"""How many times longer a piece of work takes in mode `slow`."""

RELEASE: Final = Path("/release.json")
"""Baked into an image: its version, and the share of requests that this build gets wrong."""


@dataclass(frozen=True, slots=True)
class Release:
    """What a build is: a fault in here is not cured by a restart."""

    version: str = "1.0"
    error_share: float = 0.0


def release(path: Path) -> Release:
    """Read what build this is; without the file it is a good 1.0."""
    if not path.exists():
        return Release()
    data = json.loads(path.read_text())
    return Release(version=str(data["version"]), error_share=float(data["error_share"]))


class Worker:
    """A few slots that each do one piece of work at a time: more load than that waits, more instances help.

    Args:
        release: what build this is.
        meters: where waiting requests are counted.
        slots: pieces of work at a time.
        seconds: that one piece takes.
    """

    def __init__(self, release: Release, meters: Meters, slots: int, seconds: float) -> None:
        self.release = release
        self.mode = "none"
        self._share = release.error_share
        self._meters = meters
        self._slots = threading.Semaphore(slots)
        self._seconds = seconds
        self._lock = threading.Lock()
        self._owed = 0.0

    def set_fault(self, mode: str, share: float) -> None:
        """Change the fault of this process; a restart forgets it. `share` (0 to 1) is the part of requests that fail.

        Raises:
            ValueError: no such mode, or a share outside of 0 to 1.
        """
        if mode not in MODES:
            raise ValueError(f"no such mode: {mode!r}; there are {', '.join(MODES)}")
        if not 0 <= share <= 1:
            raise ValueError(f"share must be from 0 to 1, not {share}")
        self.mode = mode
        self._share = max(self.release.error_share, share if mode == "errors" else 0.0)

    def hang(self) -> None:
        """Never return while the mode is `hang`."""
        while self.mode == "hang":
            time.sleep(0.1)

    def run(self) -> int:
        """Do one piece of work and return its HTTP status."""
        if self._meters.wait(1) > MAX_WAITING:
            self._meters.wait(-1)
            return 503
        with self._slots:
            self._meters.wait(-1)
            time.sleep(self._seconds * (SLOW_FACTOR if self.mode == "slow" else 1.0))
        return 500 if self._fails() else 200

    def _fails(self) -> bool:
        """Fail exactly the wanted share, evenly spread: no dice, so that a run can be repeated."""
        with self._lock:
            self._owed += self._share
            # Ten times 0.1 is a little less than 1.
            if self._owed < 1.0 - 1e-9:
                return False
            self._owed -= 1.0
            return True

    def health(self) -> dict[str, str]:
        """Return the state of each part in words; a build that gets requests wrong doesn't notice it itself."""
        models = "degraded" if self.mode in {"errors", "degraded"} else "healthy"
        return {"database": "degraded" if self.mode == "degraded" else "healthy", "models": models, "apis": "healthy"}
