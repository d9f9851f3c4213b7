from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from receiver.ports import Store
from receiver.store.memory import MemoryStore
from tests.contract.store import Clock, StoreContract


class TestMemoryStore(StoreContract):
    @asynccontextmanager
    async def opening(self, clock: Clock) -> AsyncIterator[Store]:
        store = MemoryStore(clock)
        yield store
        await store.close()
