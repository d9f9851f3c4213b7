"""Exclusive ownership of a database file: one process writes it, so its caches are the truth's copy."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from receiver.ports import StoreLocked, StoreUnusable


class Lock:
    """An advisory lock on `<database>.lock`, held until `release`; the kernel lets go of it when the process dies.

    Args:
        database: the database's path; the lock file is beside it and stays there, holding the owner's process id.

    Raises:
        StoreLocked: another process holds it.
        StoreUnusable: the lock file can't be written.
    """

    def __init__(self, database: Path) -> None:
        # Beside the file itself: by another name, a link, it must not be opened twice.
        real = database.resolve()
        self.path = real.with_name(real.name + ".lock")
        try:
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreUnusable(
                f"{self.path}: {error.strerror}; the directory of the database must exist and be writable"
            ) from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.read(self._file, 32).decode("ascii", "replace").strip() or "unknown"
            os.close(self._file)
            raise StoreLocked(
                f"{database} is in use by another process (pid {owner}); stop that one first, or name another file"
                " with --database"
            ) from None
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Let another process have it."""
        os.close(self._file)
