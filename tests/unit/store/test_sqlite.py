from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from receiver.ports import Store
from receiver.store.sqlite import SqliteStore
from tests.contract.store import Clock, StoreContract


class TestSqliteStore(StoreContract):
    @pytest.fixture(autouse=True)
    def _directory(self, tmp_path: Path) -> None:
        self.path = tmp_path / "store.db"

    @asynccontextmanager
    async def opening(self, clock: Clock) -> AsyncIterator[Store]:
        store = SqliteStore.open(self.path, clock)
        yield store
        await store.close()
