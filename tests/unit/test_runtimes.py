"""An engine's entry reaches the runtime that is made of it: address, TLS files and time limit."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from receiver.core.playbook import Engine, Policy, Service
from receiver.runtimes import Runtimes
from remediations.protocol import EngineUnavailable
from remediations.runtimes.containers import ContainersRuntime
from remediations.runtimes.process import ProcessRuntime
from tests.simulation.world import FakeClock

SERVICE = Service("api", "local", "containers", {"a": "b"})


def runtimes(engine: Engine, directory: Path) -> Runtimes:
    policy = Policy("p", (), {"api": SERVICE}, {"local": engine})
    return Runtimes(lambda: policy, directory, FakeClock())


@pytest.fixture
def silent(tmp_path: Path) -> Iterator[str]:
    """Yield the address of an engine that takes connections and never answers."""
    path = tmp_path / "engine.sock"
    with closing(socket.socket(socket.AF_UNIX)) as listener:
        listener.bind(str(path))
        listener.listen(16)
        kept: list[socket.socket] = []

        def accept() -> None:
            while True:
                try:
                    kept.append(listener.accept()[0])
                except OSError:
                    return

        threading.Thread(target=accept, daemon=True).start()
        yield f"unix://{path}"
        listener.shutdown(socket.SHUT_RDWR)
        for one in kept:
            one.close()


def test_an_engine_that_hangs_is_waited_for_as_long_as_its_entry_says(silent: str, tmp_path: Path) -> None:
    async def ask() -> None:
        found = runtimes(Engine("local", silent, timeout=0.5), tmp_path)
        try:
            await found.of(SERVICE).check()
        finally:
            await found.close()

    begun = time.monotonic()
    with pytest.raises(EngineUnavailable):
        asyncio.run(ask())
    assert time.monotonic() - begun < 10.0


@pytest.mark.parametrize("field", ["ca", "cert", "key"])
def test_tls_files_are_read_each_of_them(field: str, tmp_path: Path) -> None:
    there = tmp_path / "there"
    there.touch()
    files = {name: str(there if name != field else tmp_path / "missing") for name in ("ca", "cert", "key")}
    engine = Engine("local", "tcp://127.0.0.1:1", files["ca"], files["cert"], files["key"])

    async def ask() -> None:
        found = runtimes(engine, tmp_path)
        try:
            await found.of(SERVICE).check()
        finally:
            await found.close()

    with pytest.raises(EngineUnavailable) as caught:
        asyncio.run(ask())
    assert "missing" in str(caught.value) or "TLS" in str(caught.value)


def test_the_runtime_of_a_service_decides_how_its_instances_are_found(tmp_path: Path) -> None:
    found = runtimes(Engine("local", "unix:///nowhere"), tmp_path)
    assert isinstance(found.of(SERVICE), ContainersRuntime)
    assert isinstance(found.of(Service("job", "", "process", {}, command=("run",))), ProcessRuntime)
    asyncio.run(found.close())


def test_a_client_certificate_is_used_without_a_ca_of_the_engine_s_own_too(tmp_path: Path) -> None:
    missing = str(tmp_path / "missing")
    engine = Engine("local", "tcp://127.0.0.1:1", cert=missing, key=missing)

    async def ask() -> None:
        found = runtimes(engine, tmp_path)
        try:
            await found.of(SERVICE).check()
        finally:
            await found.close()

    with pytest.raises(EngineUnavailable, match=r"TLS|certificate"):
        asyncio.run(ask())


def test_a_changed_entry_makes_a_new_runtime_and_an_unchanged_one_does_not(tmp_path: Path) -> None:
    now = [Policy("p", (), {"api": SERVICE}, {"local": Engine("local", "unix:///a")})]
    found = Runtimes(lambda: now[0], tmp_path, FakeClock())
    first = found.of(SERVICE)
    assert found.of(SERVICE) is first
    now[0] = Policy("p", (), {"api": SERVICE}, {"local": Engine("local", "unix:///b")})
    assert found.of(SERVICE) is not first
    now[0] = Policy("p", (), {"api": SERVICE}, {})
    with pytest.raises(EngineUnavailable, match="engine local of service api is not in the file"):
        found.of(SERVICE)
    asyncio.run(found.close())
