"""A large body is packed beside the commits, not within the one that everybody waits for."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from receiver.ports import Body
from receiver.store import apply, sqlite
from receiver.store.codec import encode_bodies
from receiver.store.sqlite import SqliteStore
from tests.contract.folding import alert, webhook
from tests.contract.store import NOW, Clock

pytestmark = pytest.mark.anyio

LARGE = b'{"alerts":[' + b'"an alert",' * 50_000 + b"0]}"


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    store = SqliteStore.open(tmp_path / "store.db", Clock())
    yield store
    await store.close()


async def test_large_and_small_bodies_are_read_back_as_they_came(store: SqliteStore) -> None:
    bodies = [Body(NOW + number, raw, 1, "127.0.0.1") for number, raw in enumerate((b"{}", LARGE, b"[]"))]
    await asyncio.gather(
        *(store.submit(webhook([alert(f"a{one.received_at}")], NOW, one)) for one in bodies),
    )
    found = await store.bodies(0, NOW * 2)
    assert sorted(found, key=lambda one: one.received_at) == bodies


async def test_only_small_bodies_are_packed_by_the_writer(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    packed: dict[int, str] = {}

    def packing(bodies: Sequence[Body]) -> bytes:
        packed[len(bodies[0].raw)] = threading.current_thread().name
        return encode_bodies(bodies)

    for module in (apply, sqlite):
        monkeypatch.setattr(module, "encode_bodies", packing)
    for raw in (b"{}", LARGE):
        await store.submit(webhook([alert(f"a{len(raw)}")], NOW, Body(NOW, raw, 1)))
    assert packed[2] == "store-writer"
    assert packed[len(LARGE)] != "store-writer"
