"""Small images and services on the real engine, built from the machine's own busybox."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

import docker
import pytest

from deploy.parts.engine import Engine
from remediations.protocol import Target
from remediations.runtimes.containers import ContainersRuntime

BUSYBOX = Path("/bin/busybox")
LABEL = "com.docker.compose.service"
PROJECT = "com.docker.compose.project"
CHECK = "--interval=500ms --timeout=10s --retries=1"
SLEEP = ["/bin/busybox", "sh", "-c", "trap 'exit 0' TERM; echo begun; sleep 1d & wait"]


class Lab:
    """Makes images, networks and containers, and removes what it made."""

    def __init__(self, engine: Engine) -> None:
        self.api = docker.APIClient(engine.socket, version="auto", timeout=30)
        self.images: dict[str, str] = {}

    def image(
        self,
        tag: str,
        *,
        health: str | None = "true",
        check: str = CHECK,
        command: list[str] | None = None,
        **config: Any,
    ) -> str:
        """Build an image whose health check is a shell command; returns its ID."""
        lines = ["FROM scratch", "ADD root.tar /", f"CMD {json.dumps(command or SLEEP)}", f'LABEL made="{tag}"']
        if health is not None:
            lines.append(f"HEALTHCHECK {check} CMD {json.dumps(['/bin/busybox', 'sh', '-c', health])}")
        lines += [f"{name.upper()} {value}" for name, value in config.items()]
        context = io.BytesIO()
        with tarfile.open(fileobj=context, mode="w") as tar:
            _add(tar, "Dockerfile", "\n".join(lines).encode())
            _add(tar, "root.tar", _root())
        context.seek(0)
        for line in self.api.build(fileobj=context, custom_context=True, tag=tag, rm=True, forcerm=True, decode=True):
            assert "error" not in line, line
        self.images[tag] = self.api.inspect_image(tag)["Id"]  # type: ignore[no-untyped-call]
        return self.images[tag]

    def run(
        self,
        name: str,
        image: str,
        service: str = "api",
        project: str = "p",
        *,
        stop_timeout: int = 2,
        labels: Mapping[str, str] | None = None,
        networking: Mapping[str, Any] | None = None,
        **host: Any,
    ) -> str:
        """Start a container labelled as compose would; returns its ID."""
        own = {LABEL: service, PROJECT: project, "com.docker.compose.container-number": "1"}
        config: dict[str, Any] = {
            "Image": image,
            "Labels": {**own, **(labels or {})},
            "StopTimeout": stop_timeout,
            "HostConfig": {"RestartPolicy": {"Name": "unless-stopped"}, "NetworkMode": "none", **host},
            "NetworkingConfig": {"EndpointsConfig": networking or {}},
        }
        made = self.api.create_container_from_config(config, name)  # type: ignore[no-untyped-call]
        self.api.start(name)
        return str(made["Id"])

    def inspect(self, name: str) -> Mapping[str, Any]:
        """Return a container's inspection."""
        found: Mapping[str, Any] = self.api.inspect_container(name)
        return found

    def names(self) -> list[str]:
        """Return the names of all containers, stopped ones too."""
        return sorted(row["Names"][0].lstrip("/") for row in self.api.containers(all=True))

    def remove(self) -> None:
        """Remove every container of the engine, which is ours alone."""
        for row in self.api.containers(all=True):
            self.api.remove_container(row["Id"], force=True, v=True)


def _add(tar: tarfile.TarFile, name: str, content: bytes, mode: int = 0o644) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(content), mode
    tar.addfile(info, io.BytesIO(content))


def _root() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        _add(tar, "bin/busybox", BUSYBOX.read_bytes(), 0o755)
        for applet in ("sh", "sleep", "true", "false", "cat", "test", "touch"):
            link = tarfile.TarInfo(f"bin/{applet}")
            link.type, link.linkname = tarfile.SYMTYPE, "/bin/busybox"
            tar.addfile(link)
    return out.getvalue()


@pytest.fixture
def lab(engine: Engine) -> Iterator[Lab]:
    """Return a lab on the real engine; empty before and after."""
    made = Lab(engine)
    made.remove()
    yield made
    made.remove()
    made.api.close()


@pytest.fixture
async def runtime(engine: Engine) -> AsyncIterator[ContainersRuntime]:
    """Return the runtime on the real engine."""
    made = ContainersRuntime("test", engine.socket, timeout=10)
    yield made
    await made.close()


def target(**changes: Any) -> Target:
    """Return the service `api`."""
    given: dict[str, Any] = {"service": "api", "runtime": "containers", "selector": {LABEL: "api"}, **changes}
    return Target(**given)
