"""The commands that services ran, by hash: what a rollback of processes goes back to."""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from remediations.protocol import KnownGood, Target
from remediations.runtimes.process_box import Record, fill, version_id, write_json

MAX_UNKEPT = 20
"""Commands of a service that are remembered though nobody asked to keep them: for undoing a rollback."""


class Versions:
    """Commands below `root`, in `SERVICE/versions/HASH.json`; a kept one has `HASH.kept` beside it."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def note(self, service: str, command: Sequence[str]) -> None:
        """Remember a command; the oldest that nobody keeps make room."""
        directory = self._directory(service)
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_json(_file(directory, version_id(command)), {"command": list(command)})
        unkept = [path for path in directory.glob("*.json") if not path.with_suffix(".kept").exists()]
        for path in sorted(unkept, key=lambda one: one.stat().st_mtime)[:-MAX_UNKEPT]:
            path.unlink(missing_ok=True)

    def keep(self, service: str, command: Sequence[str]) -> None:
        """Remember a command until it is forgotten."""
        self.note(service, command)
        _file(self._directory(service), version_id(command)).with_suffix(".kept").touch(mode=0o600)

    def forget(self, service: str, image_id: str) -> None:
        """Let go of a kept command."""
        _file(self._directory(service), image_id).with_suffix(".kept").unlink(missing_ok=True)

    def command(self, version: KnownGood, service: str = "*") -> tuple[str, ...] | None:
        """Return the command of a version, None when it isn't known or its program isn't there any more."""
        found: list[str] | None = version.spec.get("command")
        if found is None:
            path = next(iter(sorted(self._root.glob(f"{service}/versions/{_file(Path(), version.image_id)}"))), None)
            found = json.loads(path.read_text(encoding="utf-8"))["command"] if path is not None else None
        if not found or version_id(found) != version.image_id or shutil.which(found[0]) is None:
            return None
        return tuple(found)

    def _directory(self, service: str) -> Path:
        return self._root / service / "versions"


def new_record(
    target: Target, name: str, index: int, command: Sequence[str], now: float, stamps: Mapping[str, str]
) -> Record:
    """Return a new instance's record, from the target's options."""
    options = target.options
    base = int(options.get("base_port", 0))
    record = Record(
        id=secrets.token_hex(6),
        name=name,
        index=index,
        port=base + index - 1 if base else 0,
        command=tuple(command),
        cwd=str(options.get("cwd", "/")),
        env={},
        health_url="",
        stop_timeout=float(options.get("stop_timeout", 10.0)),
        start_grace=float(options.get("start_grace", 10.0)),
        log_bytes=int(options.get("log_bytes", 8 * 2**20)),
        created_at=now,
        stamps=stamps,
    )
    env = {str(key): fill(str(value), record) for key, value in options.get("env", {}).items()}
    return replace(record, env=env, health_url=fill(str(options.get("health_url", "")), record))


def _file(directory: Path, image_id: str) -> Path:
    # An image ID from elsewhere must not name a path.
    safe = "".join(sign for sign in image_id.removeprefix("sha256:") if sign.isalnum())
    return directory / f"{safe[:64] or 'none'}.json"
