"""How much room there is, and what is refused when there is little."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from receiver.ports import StoreFull

MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Room:
    """Limits in bytes.

    Args:
        most: the database's size cap; webhooks are refused above it.
        reserve: what may be used above the cap by everything else, so that begun incidents come to their end.
        low_disk: free disk space below which a warning is given.
        least_disk: free disk space below which webhooks are refused.
        full_share: share of the cap from which old things are deleted before their time.
    """

    most: int = 2048 * MIB
    reserve: int = 64 * MIB
    low_disk: int = 1024 * MIB
    least_disk: int = 128 * MIB
    full_share: float = 0.9


@dataclass(frozen=True, slots=True)
class Space:
    """What is used now. `tight`: the size is so near the cap that old things go before their time."""

    used: int
    most: int
    disk_free: int
    low: bool
    tight: bool


class Gauge:
    """Knows the room that is left; asked for each unit, so it measures only once in a while.

    Args:
        path: the database.
        room: see `Room`.
        on_low: called on the writer's thread when disk space becomes low, and when it no longer is.
    """

    def __init__(self, path: Path, room: Room, on_low: Callable[[Space], None] | None = None) -> None:
        self._path = path
        self._room = room
        self._on_low = on_low
        self._page = 4096
        self.space = Space(0, room.most, 1 << 62, low=False, tight=False)

    def measure(self, connection: sqlite3.Connection) -> Space:
        """Look again."""
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        (free,) = connection.execute("PRAGMA freelist_count").fetchone()
        (self._page,) = connection.execute("PRAGMA page_size").fetchone()
        disk = os.statvfs(self._path.parent)
        available = disk.f_bavail * disk.f_frsize
        used = (pages - free) * self._page
        was = self.space
        self.space = Space(
            used,
            self._room.most,
            available,
            low=available < self._room.low_disk,
            tight=used > self._room.most * self._room.full_share,
        )
        if self.space.low != was.low and self._on_low is not None:
            self._on_low(self.space)
        return self.space

    def refusal(self, *, grows: bool) -> StoreFull | None:
        """Return why there is no room, None when there is.

        Args:
            grows: it is a webhook; other work may use the reserve.
        """
        space = self.space
        spare = 0 if grows else self._room.reserve
        if space.used > space.most + spare:
            return StoreFull(
                f"{self._path} holds {space.used // MIB} MiB, its limit is {space.most // MIB} MiB and nothing more may"
                " be deleted; raise the limit, or close incidents that are done"
            )
        if space.disk_free < self._room.least_disk - spare:
            return StoreFull(
                f"the disk of {self._path} has {space.disk_free // MIB} MiB left, less than the"
                f" {self._room.least_disk // MIB} MiB that are kept free; make room on it"
            )
        return None
