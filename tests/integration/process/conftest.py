"""A service of two real local processes, for the runtime `process`."""

import asyncio
import itertools
import socket
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from remediations.protocol import KnownGood, Target
from remediations.runtimes.process import ProcessRuntime
from remediations.runtimes.process_box import version_id
from remediations.testing import Lab, RuntimeLab

PORTS = range(23000, 23990, 5)
"""Each lab takes five: two instances, and room for copies."""

SERVICE = """
import json, signal, sys
from http.server import BaseHTTPRequestHandler, HTTPServer

port, version = int(sys.argv[1]), sys.argv[2]

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        good = version != "broken"
        body = json.dumps({"status": "healthy" if good else "degraded"}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
print("version", version, "listens on", port, flush=True)
HTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""

_labs = itertools.count()


def free_ports() -> int:
    """Return the first of five ports that nobody uses."""
    for _ in PORTS:
        first = PORTS[next(_labs) % len(PORTS)]
        if all(_free(port) for port in range(first, first + 5)):
            return first
    pytest.fail(f"no five free ports in a row within {PORTS}")


def _free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """Return a small HTTP service's file; its arguments are port and version."""
    path = tmp_path / "service.py"
    path.write_text(SERVICE)
    return path


@pytest.fixture
def runtime_lab(tmp_path: Path, program: Path) -> RuntimeLab:
    """Return what makes labs of real processes."""
    numbers = itertools.count()

    def command(version: str) -> tuple[str, ...]:
        return (sys.executable, "-S", "-E", str(program), "{port}", version)

    def known(version: str) -> KnownGood:
        words = command(version)
        return KnownGood(version_id(words), version, time.time(), {"command": list(words)})

    @asynccontextmanager
    async def make() -> AsyncIterator[Lab]:
        runtime = ProcessRuntime(tmp_path / f"state-{next(numbers)}", time.time)
        target = Target(
            "api", "process", {}, min_replicas=1, max_replicas=4, traffic="proxy", command=command("bad"),
            health_timeout=2.0,
            options={
                "base_port": free_ports(), "health_url": "http://127.0.0.1:{port}/health", "stop_timeout": 3,
                "start_grace": 2, "log_bytes": 65536,
            },
        )  # fmt: skip

        async def serving() -> None:
            for _ in range(100):
                if all(one.serving for one in await runtime.instances(target)):
                    return
                await asyncio.sleep(0.05)
            pytest.fail("the lab's processes don't serve within 5 s")

        async def recreate(name: str) -> None:
            await runtime.discard(target, name)
            await runtime.deploy(target, 2)
            await serving()

        async def remove(name: str) -> None:
            await runtime.discard(target, name)

        async def stop(name: str) -> None:
            await runtime.stop(target, name)

        async with httpx.AsyncClient(trust_env=False) as http:
            try:
                await runtime.deploy(target, 2)
                await serving()
                yield Lab(
                    runtime=runtime, target=target, good=known("good"), broken=known("broken"),
                    missing=KnownGood("sha256:" + "0" * 64, "missing", 0.0), recreate=recreate, remove=remove,
                    stop=stop, now=time.time, sleep=asyncio.sleep, http=http, healthy_within=2.5,
                )  # fmt: skip
            finally:
                await runtime.discard(target)
                await runtime.close()

    return make
