"""Start and stop what is measured, one at a time, each on its own port of 127.0.0.1."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from deploy.parts.ports import free_port
from tests.benchmarks.load import SERVICES

WEBHOOK = "/webhooks/alertmanager"
SERVICES_A_FILE = 3000
SIZE_CAP = "20GB"
"""Of the database while it is measured: a minute at full speed is more than most see in a year."""


@dataclass(frozen=True, slots=True)
class Server:
    """Something that runs: where it listens, its process, and the path that takes webhooks."""

    name: str
    port: int
    pid: int
    path: str
    directory: Path

    @property
    def resident(self) -> int:
        """Bytes of memory that it holds now, file mappings included."""
        return _status(self.pid, "VmRSS")

    @property
    def peak(self) -> int:
        """Bytes of memory that it held at most."""
        return _status(self.pid, "VmHWM")

    @property
    def seconds(self) -> float:
        """Processor time that it used so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


Running = AbstractContextManager[Server]


def _status(pid: int, name: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"no {name} of process {pid}")


def policy(directory: Path, services: int = SERVICES, engine: str | None = None, *, watch: bool = False) -> str:
    """Write a policy with so many services and a playbook that takes the payloads' alerts.

    Args:
        engine: the URL of their engine; by default one that isn't there.
        watch: the playbook has no steps: its incidents wait until their alerts resolve.

    Returns:
        its files, parted by commas: one file can't hold ten thousand services.
    """
    first = directory / "playbooks.yaml"
    steps = (
        "    steps:\n      - name: restart\n        action: restart\n        verify: {health: false, target: true}\n"
    )
    first.write_text(
        f"engines:\n  local:\n    url: {engine or f'unix://{directory}/no-engine.sock'}\n"
        'playbooks:\n  - name: crash-looping\n    match: alertname=~"KubePod.*"\n    severity: P2\n'
        + ("" if watch else steps)
    )
    files = [first]
    for start in range(0, services, SERVICES_A_FILE):
        names = (f"svc-{number:04d}" for number in range(start, min(services, start + SERVICES_A_FILE)))
        entries = (f"  {name}: {{engine: local, selector: {{app: {name}}}}}\n" for name in names)
        files.append(directory / f"services-{start}.yaml")
        files[-1].write_text("services:\n" + "".join(entries))
    return ",".join(map(str, files))


@contextmanager
def remediator(
    directory: Path,
    *,
    services: int = SERVICES,
    slow_ms: float = 0.0,
    engine: str | None = None,
    watch: bool = False,
) -> Iterator[Server]:
    """Run the real service on a database in the directory; `slow_ms` is added to each commit. Else see `policy`."""
    port = free_port()
    command = [
        *(sys.executable, "-m", "tests.benchmarks.slow", "serve"),
        *("--listen", f"127.0.0.1:{port}", "--database", f"sqlite:///{directory}/remediator.db"),
        *("--playbooks", policy(directory, services, engine, watch=watch)),
        *("--size-cap", SIZE_CAP, "--log-level", "warning"),
    ]
    environment = {"SLOW_COMMIT_MS": f"{slow_ms:g}"}
    with _running("remediator", command, port, WEBHOOK, directory, environment) as server:
        yield server


@contextmanager
def yardstick(kind: str, directory: Path, *, slow_ms: float = 0.0) -> Iterator[Server]:
    """Run `bare`, `durable` or `fold`."""
    port = free_port()
    command = [sys.executable, "-m", "tests.benchmarks.yardsticks", kind, str(port), str(directory)]
    with _running(kind, command, port, "/", directory, {"SLOW_COMMIT_MS": f"{slow_ms:g}"}) as server:
        yield server


@contextmanager
def hook_runner(directory: Path) -> Iterator[Server]:
    """Run Debian's `webhook`, which answers when its command, /bin/true, has ended."""
    port = free_port()
    file = directory / "hooks.json"
    file.write_text(
        json.dumps([{"id": "hook", "execute-command": "/bin/true", "include-command-output-in-response": True}])
    )
    command = ["webhook", "-hooks", str(file), "-ip", "127.0.0.1", "-port", str(port)]
    with _running("webhook", command, port, "/hooks/hook", directory, {}) as server:
        yield server


@contextmanager
def _running(
    name: str, command: Sequence[str], port: int, path: str, directory: Path, environment: dict[str, str]
) -> Iterator[Server]:
    log = directory / f"{name}-{port}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=output, stdin=subprocess.DEVNULL, env=os.environ | environment
        )
    try:
        _wait_for(process, port, log)
        yield Server(name, port, process.pid, path, directory)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_for(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    for _ in range(300):
        if process.poll() is not None:
            break
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
        try:
            connection.request("GET", "/readyz")
            if connection.getresponse().status != 503:
                return
        except OSError:
            time.sleep(0.1)
        finally:
            connection.close()
    raise RuntimeError(f"it did not start:\n{log.read_text()[-2000:]}")
