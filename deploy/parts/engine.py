"""A real Docker engine in a directory of its own, beside any engine that runs already.

What keeps them apart: own containerd (a shared one would show us the other's containers), own data root, exec root,
socket, pid file and bridge, and no firewall rules: starting a second engine with rules flushes the first one's chains.
Without rules containers reach each other and the host, published ports go through the engine's own proxy process.
"""

import hashlib
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx

from deploy.parts import bridge
from deploy.parts.process import Child, PartError, alone, start, stop_stale, wait_until

START_TIMEOUT: Final = 60.0
"""Seconds until the engine must answer; a cold start takes about 2 s."""

RUN: Final = Path("/run/remediator-engines")
"""Sockets and runtime state: a UNIX socket's path may have 107 characters, and a test's directory is long."""

CONTAINERD_CONFIG: Final = 'version = 2\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n'
"""The plugin for Kubernetes isn't needed and is the slowest to start."""


@dataclass(frozen=True, slots=True)
class Engine:
    """A running engine.

    Args:
        socket: its URL, `unix:///...`, as Docker clients take it.
        pid: of its dockerd.
        directory: everything that it keeps; images survive in it from run to run.
        version: of the engine, e.g. `20.10.24`.
        api: the newest API version that it speaks.
        own: whether we started it.
    """

    socket: str
    pid: int
    directory: Path
    version: str
    api: str
    own: bool = True

    @property
    def path(self) -> Path:
        """The socket as a path."""
        return Path(self.socket.removeprefix("unix://"))

    def client(self, timeout: float = 60.0) -> httpx.Client:
        """Return an HTTP client that speaks to the engine's API; the caller closes it."""
        return client(self.path, timeout)


def client(path: Path, timeout: float = 60.0) -> httpx.Client:
    """Return an HTTP client for an engine's API on a UNIX socket; timeout in seconds."""
    return httpx.Client(transport=httpx.HTTPTransport(uds=str(path)), base_url="http://engine", timeout=timeout)


def unavailable() -> str | None:
    """Say why no engine of our own can be started here, or nothing when one can."""
    if os.geteuid() != 0:
        return "not root: an engine can only be started by root"
    missing = [name for name in ("dockerd", "containerd", "runc", "ip") if program(name) is None]
    return f"not installed: {', '.join(missing)} (Debian: apt-get install docker.io iproute2)" if missing else None


def program(name: str) -> str | None:
    """Find a program, also in the directories that only root has on its path."""
    return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin:/usr/bin:/bin")


@contextmanager
def running_engine(directory: Path) -> Iterator[Engine]:
    """Start an engine whose data lives in `directory`, and stop it with all its containers and networks afterwards.

    Images stay in the directory, so a second start there has them already. What an earlier, killed run left behind
    there is ended first.

    Raises:
        PartError: not root, not installed, another engine of ours runs in this directory, or it didn't start; the
            text has its last log lines.
    """
    reason = unavailable()
    if reason is not None:
        raise PartError(f"no Docker engine: {reason}")
    directory = directory.resolve()
    directory.mkdir(parents=True, exist_ok=True)
    key = hashlib.sha256(str(directory).encode()).hexdigest()[:8]
    run = RUN / key
    with ExitStack() as stack:
        stack.enter_context(alone(directory / "engine.lock", f"an engine runs in {directory} already"))
        _clear_stale(run, directory)
        run.mkdir(parents=True, exist_ok=True)
        stack.callback(shutil.rmtree, run, ignore_errors=True)
        name = f"rmd{key}"
        bridge.create(name)
        stack.callback(bridge.remove, name)
        stack.callback(_end_leftovers, run, directory)
        containerd = _containerd(directory, run)
        stack.callback(containerd.stop)
        dockerd = _dockerd(directory, run, name)
        stack.callback(dockerd.stop)
        engine = _await(dockerd, directory, run / "docker.sock")
        _remove_everything(engine)
        stack.callback(_remove_everything, engine)
        yield engine


@contextmanager
def existing_engine(path: Path) -> Iterator[Engine]:
    """Yield an engine that runs already; nothing of it is stopped afterwards, and only our own containers are removed.

    Args:
        path: of its socket.

    Raises:
        PartError: it doesn't answer.
    """
    with client(path, timeout=10.0) as http:
        try:
            facts = http.get("/version").raise_for_status().json()
        except httpx.HTTPError as error:
            raise PartError(f"the Docker engine at {path} doesn't answer: {error}") from error
    yield Engine(f"unix://{path}", 0, path.parent, facts["Version"], facts["ApiVersion"], own=False)


def is_listening(path: Path) -> bool:
    """Whether somebody accepts connections on a UNIX socket (httpx leaks a socket for each refused one)."""
    with closing(socket.socket(socket.AF_UNIX)) as probe:
        probe.settimeout(5.0)
        return probe.connect_ex(str(path)) == 0


def _environment() -> dict[str, str]:
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin:/usr/bin:/bin"
    return {"PATH": path, "HOME": "/root", "LANG": "C.UTF-8"}


def _containerd(directory: Path, run: Path) -> Child:
    config = run / "containerd.toml"
    config.write_text(CONTAINERD_CONFIG)
    address = run / "containerd.sock"
    command = [program("containerd") or "containerd", "--config", str(config), "--log-level", "warn"]
    command += ["--root", str(directory / "containerd"), "--state", str(run / "containerd"), "--address", str(address)]
    child = start("containerd", command, directory / "containerd.log", _environment())
    (run / "containerd.pid").write_text(str(child.pid))
    try:
        wait_until(address.exists, child, START_TIMEOUT)
    except PartError:
        child.stop()
        raise
    return child


def _dockerd(directory: Path, run: Path, bridge_name: str) -> Child:
    command = [program("dockerd") or "dockerd", "--log-level", "warn", "--config-file", str(run / "daemon.json")]
    (run / "daemon.json").write_text("{}")
    command += ["--data-root", str(directory / "data"), "--exec-root", str(run / "exec")]
    command += ["--pidfile", str(run / "dockerd.pid"), "--host", f"unix://{run / 'docker.sock'}", "--group", "root"]
    command += ["--containerd", str(run / "containerd.sock"), "--bridge", bridge_name]
    command += ["--iptables=false", "--ip6tables=false", "--ip-masq=false", "--ip-forward=false", "--ip", "127.0.0.1"]
    command += ["--default-address-pool", f"base={bridge.NETWORK_POOL},size=24"]
    return start("dockerd", command, directory / "dockerd.log", _environment())


def _await(dockerd: Child, directory: Path, path: Path) -> Engine:
    with client(path, timeout=5.0) as http:

        def answers() -> bool:
            try:
                return is_listening(path) and http.get("/_ping").status_code == httpx.codes.OK
            except httpx.TransportError:
                return False

        try:
            wait_until(answers, dockerd, START_TIMEOUT)
        except PartError:
            dockerd.stop()
            raise
        facts = http.get("/version").json()
    return Engine(f"unix://{path}", dockerd.pid, directory, facts["Version"], facts["ApiVersion"])


def _remove_everything(engine: Engine) -> None:
    """Remove containers and networks, so that no bridge or process outlives the engine; images stay."""
    with suppress(ProcessLookupError):
        os.kill(engine.pid, signal.SIGCONT)
    if not is_listening(engine.path):
        # The engine died or was killed by a test: the next start in this directory finds and removes what it left.
        return
    try:
        with engine.client(timeout=20.0) as http:
            for row in http.get("/containers/json", params={"all": "1"}).json():
                http.delete(f"/containers/{row['Id']}", params={"force": "1", "v": "1"})
            http.post("/networks/prune")
    except httpx.TransportError:
        # It died meanwhile: the same.
        return


def _end_leftovers(run: Path, directory: Path) -> None:
    """End containers that outlived their engine: each has a shim that names our containerd's socket; then unmount."""
    marker = str(run / "containerd.sock").encode()
    shims = {pid for pid in _processes() if marker in _read(pid, "cmdline")}
    orphans = {pid for pid in _processes() if _parent(pid) in shims}
    for pid in orphans | shims:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    for line in reversed(Path("/proc/mounts").read_text().splitlines()):
        place = Path(line.split()[1])
        if place.is_relative_to(run) or place.is_relative_to(directory):
            subprocess.run(["umount", "--lazy", str(place)], capture_output=True, timeout=30, check=False)


def _processes() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _read(pid: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def _parent(pid: int) -> int | None:
    # "pid (name) state ppid ...": the name may hold spaces and brackets, so count from its end.
    fields = _read(pid, "stat").rpartition(b")")[2].split()
    return int(fields[1]) if len(fields) > 1 else None


def _clear_stale(run: Path, directory: Path) -> None:
    stop_stale(run / "dockerd.pid", str(directory))
    stop_stale(run / "containerd.pid", str(directory))
    _end_leftovers(run, directory)
    shutil.rmtree(run, ignore_errors=True)
