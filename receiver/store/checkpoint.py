"""Bring the write-ahead log back into the database file, beside the commits instead of within them.

A checkpoint copies pages and syncs the file: tens of milliseconds in which a commit would wait. So a thread with its
own connection copies while the writer goes on. Only when it has nearly caught up does the writer itself copy the rest,
between two commits: then the log begins anew at its start, and its size stays bounded.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Callable

from receiver.ports import StoreUnusable

logger = logging.getLogger(__name__)


class Checkpointer:
    """The copying thread.

    Args:
        connect: opens a connection for it.
        every: commits' pages after which it copies, in pages of the log since the last time; see `wrote`.
        restart: pages in the log from which the writer is asked to finish it.
        seconds: it also copies when something was written and that long nothing more was.
    """

    def __init__(self, connect: Callable[[], sqlite3.Connection], *, restart: int = 8000, seconds: float = 0.5) -> None:
        self._connect = connect
        self._restart = restart
        self._seconds = seconds
        self._wake = threading.Event()
        self._stop = threading.Event()
        self.finish = threading.Event()
        """Set when the writer shall copy the rest, between two commits."""
        self.pages = 0
        """Pages in the log when it was last looked at."""
        self._thread = threading.Thread(target=self._run, name="store-checkpoint", daemon=True)
        self._thread.start()

    def wrote(self) -> None:
        """Say that something was committed."""
        self._wake.set()

    def close(self) -> None:
        """End the thread."""
        self._stop.set()
        self._wake.set()
        self._thread.join()

    def _run(self) -> None:
        connection: sqlite3.Connection | None = None
        while not self._stop.is_set():
            self._wake.wait()
            self._stop.wait(self._seconds)
            self._wake.clear()
            if not self._stop.is_set():
                connection = self._round(connection)
        if connection is not None:
            connection.close()

    def _round(self, connection: sqlite3.Connection | None) -> sqlite3.Connection | None:
        """Copy once; returns the connection for the next time, None: a new one. Nothing may end the thread.

        Without it the log would grow until the disk is full.
        """
        try:
            if connection is None:
                connection = self._connect()
                connection.execute("PRAGMA synchronous = NORMAL")
            self._copy(connection)
        except (sqlite3.Error, StoreUnusable) as error:
            logger.warning("the log of the database can't be brought into its file: %s", error)
            if connection is not None:
                connection.close()
            self._wake.set()
            return None
        return connection

    def _copy(self, connection: sqlite3.Connection) -> None:
        try:
            _, self.pages, copied = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        except sqlite3.OperationalError:
            # Busy or a full disk: the log keeps everything, and the next round tries again.
            return
        if self.pages >= self._restart and self.pages - copied < self._restart:
            self.finish.set()
