"""The embedded runtime: supervised local processes, for a machine without a container engine.

Each service has a directory of instances; each instance has a keeper of its own (`process_keeper`), so that what runs
outlives the remediator. A version is a command, by its hash. Linux only: it reads /proc.

Options of a target: `base_port` (the first instance's port; the others follow), `cwd`, `env`, `health_url`,
`stop_timeout` (10 s), `start_grace` (10 s), `log_bytes` (8 MiB). `{port}`, `{index}` and `{name}` are filled in, in
the command, in the values of `env` and in `health_url`.
"""

from __future__ import annotations

import asyncio
import os
import platform
import secrets
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import httpx

from remediations.protocol import (
    STAMP_ACTION,
    STAMP_CLONED_FROM,
    STAMP_REPLACED_BY,
    ActionRefused,
    EngineUnavailable,
    Health,
    Instance,
    Json,
    KnownGood,
    Progress,
    Target,
    TargetNotFound,
)
from remediations.runtimes.process_box import Box, Journal, Record, alive, checked, version_id, version_name
from remediations.runtimes.process_look import look, sample
from remediations.runtimes.process_start import start, stop, unless_disk_fails
from remediations.runtimes.process_versions import Versions, new_record

MAX_LOG_LINES = 500
POLL = 0.25
SETTLE = 1.0
"""Seconds that a new version without a health check must run before the old one is given up."""


class ProcessRuntime:
    """Processes of this machine, by their state below `root`.

    Args:
        root: the state directory; made when it is missing, for its owner only.
        now: UNIX seconds.
        name: of the engine, as playbooks.yaml writes it.
    """

    def __init__(self, root: Path, now: Callable[[], float], *, name: str = "process") -> None:
        self.name = name
        # A keeper runs in a directory of its own, so a relative path would lead it elsewhere.
        root = root.absolute()
        self._root = root
        self._now = now
        self._versions = Versions(root)
        # Health checks are local: no proxy of the environment may answer them.
        self._http = httpx.AsyncClient(trust_env=False, follow_redirects=False)

    async def check(self) -> Json:
        """Return facts, or raise EngineUnavailable when processes can't be kept here."""
        if platform.system() != "Linux":
            raise EngineUnavailable(f"the runtime `process` reads Linux's /proc; this is {platform.system()}")
        with unless_disk_fails(self._root, mutating=False):
            self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not os.access(self._root, os.W_OK):
            raise EngineUnavailable(f"{self._root} can't be written: the runtime `process` keeps its state there")
        return {"version": platform.release(), "api": "process", "root": str(self._root), "rootless": os.geteuid() != 0}

    async def instances(self, target: Target) -> tuple[Instance, ...]:
        """Return the instances as they are now; each is asked for its health."""
        with unless_disk_fails(self._root, mutating=False):
            found = [(box, record) for box in self._boxes(target.service) if (record := box.record()) is not None]
        if not found:
            raise TargetNotFound(
                f"no process of {target.service} was ever started below {self._root}; there are: {self._known()}"
            )
        return tuple(await asyncio.gather(*(look(self._http, self._now, target, box, record) for box, record in found)))

    async def restart(self, target: Target, instance: Instance) -> None:
        """Stop it (SIGTERM, then SIGKILL), and start it again."""
        box = self._box(target.service, instance.name)
        record = self._existing(box)
        with unless_disk_fails(self._root, mutating=True):
            await stop(box, record.stop_timeout)
            await start(box)

    async def add_instance(self, target: Target, like: Instance, name: str, action_id: str) -> Instance:
        """Start a stamped copy with the next free index and port."""
        box = self._box(target.service, name)
        record = box.record()
        if record is not None and record.stamps.get(STAMP_ACTION) != action_id:
            raise ActionRefused(f"{name} exists and wasn't made by action {action_id}")
        if record is None:
            model = self._existing(self._box(target.service, like.name))
            stamps = {STAMP_ACTION: action_id, STAMP_CLONED_FROM: like.name}
            record = new_record(target, name, self._free_index(target.service), model.command, self._now(), stamps)
            with unless_disk_fails(self._root, mutating=True):
                box.write(record)
        if box.run() is None:
            await start(box)
        return await look(self._http, self._now, target, box, record)

    async def remove_instance(self, target: Target, name: str, action_id: str) -> bool:
        """Stop and forget the copy that this action made."""
        box = self._box(target.service, name)
        record = box.record()
        if record is None:
            return False
        if record.stamps.get(STAMP_ACTION) != action_id:
            raise ActionRefused(f"{name} wasn't made by action {action_id}; it stays")
        await self._discard(box, record)
        return True

    async def replace_instance(
        self, target: Target, instance: Instance, version: KnownGood, action_id: str, *, healthy_within: float
    ) -> Instance:
        """Run another command in its place. The journal is written first and tells a resumed call how far it came."""
        box = self._box(target.service, instance.name)
        if await self.replaced(target, instance.name, action_id) is Progress.DONE:
            return await look(self._http, self._now, target, box, self._existing(box))
        journal = box.journal() or self._open_journal(target, box, version, action_id)
        if journal.action_id != action_id:
            raise ActionRefused(f"a replacement of {box.name} by action {journal.action_id} is unfinished")
        with unless_disk_fails(self._root, mutating=True):
            if journal.failed is None:
                await self._become(box, journal.new)
                reason = await self._wait(target, box, journal.new, healthy_within)
                if reason is None:
                    box.close_journal()
                    return await look(self._http, self._now, target, box, journal.new)
                journal = replace(journal, failed=reason)
                box.write_journal(journal)
            await self._become(box, journal.old)
            box.close_journal()
        raise ActionRefused(
            f"{box.name} {journal.failed} running {version_name(journal.new.command)}; the old one was restored"
        )

    async def replaced(self, target: Target, name: str, action_id: str) -> Progress:
        """Tell by journal and stamp how far a replacement came."""
        box = self._box(target.service, name)
        with unless_disk_fails(self._root, mutating=False):
            journal, record = box.journal(), box.record()
        if journal is not None:
            return Progress.PARTIAL if journal.action_id == action_id else Progress.SUPERSEDED
        if record is None:
            return Progress.SUPERSEDED
        return Progress.DONE if record.stamps.get(STAMP_REPLACED_BY) == action_id else Progress.NOT_STARTED

    async def version_exists(self, version: KnownGood) -> bool:
        """Whether the command is known and its program is there."""
        with unless_disk_fails(self._root, mutating=False):
            return self._versions.command(version) is not None

    async def keep_version(self, target: Target, instance: Instance, now: float) -> KnownGood:
        """Keep the command that the instance runs, and return its record."""
        record = self._existing(self._box(target.service, instance.name))
        with unless_disk_fails(self._root, mutating=True):
            self._versions.keep(target.service, record.command)
        spec = {"command": list(record.command)}
        return KnownGood(version_id(record.command), version_name(record.command), now, spec)

    async def forget_version(self, target: Target, version: KnownGood) -> None:
        """Let go of a kept command; it may be tidied away from now on."""
        with unless_disk_fails(self._root, mutating=True):
            self._versions.forget(target.service, version.image_id)

    async def logs(self, target: Target, instance: Instance, lines: int) -> tuple[str, ...]:
        """Return the last lines of its output."""
        with unless_disk_fails(self._root, mutating=False):
            return self._box(target.service, instance.name).log_lines(min(lines, MAX_LOG_LINES))

    async def stats(self, target: Target, instance: Instance) -> Json:
        """Measure its main process over half a second; empty when it doesn't run."""
        return await sample(self._box(target.service, instance.name).run())

    async def received(self, target: Target, instance: Instance) -> float | None:
        """Say that it isn't known: processes share the host's network."""
        return None

    async def disk(self) -> Json:
        """Return how much of its disk is free."""
        with unless_disk_fails(self._root, mutating=False):
            self._root.mkdir(parents=True, exist_ok=True)
            usage = shutil.disk_usage(self._root)
        return {"free": usage.free, "total": usage.total}

    async def close(self) -> None:
        """Release connections; the processes run on."""
        await self._http.aclose()

    async def deploy(self, target: Target, replicas: int = 1) -> None:
        """Make `replicas` instances run the target's command of today, as a person or a deployment would.

        Missing ones are created, others' commands are changed, stopped ones are started; more than `replicas` stay.
        """
        if not target.command:
            raise ActionRefused(f"{target.service} has no command to run")
        for index in range(1, replicas + 1):
            name = f"{checked(target.service)}-{index}"
            box = self._box(target.service, name)
            record = box.record()
            if record is None or record.command != tuple(target.command):
                if record is not None:
                    await stop(box, record.stop_timeout)
                with unless_disk_fails(self._root, mutating=True):
                    self._versions.note(target.service, target.command)
                    box.write(new_record(target, name, index, target.command, self._now(), {}))
            if not alive(box.run()):
                await start(box)

    async def discard(self, target: Target, name: str | None = None) -> None:
        """Stop and forget an instance, or all of the target, whoever made them: for people, not for actions."""
        for box in self._boxes(target.service):
            record = box.record()
            if record is not None and name in {None, box.name}:
                await self._discard(box, record)

    async def stop(self, target: Target, name: str) -> None:
        """Stop an instance and leave it stopped: for people, not for actions."""
        box = self._box(target.service, name)
        await stop(box, self._existing(box).stop_timeout)

    def _open_journal(self, target: Target, box: Box, version: KnownGood, action_id: str) -> Journal:
        record = self._existing(box)
        command = self._versions.command(version, target.service)
        if command is None:
            raise ActionRefused(
                f"{version.image} ({version.image_id}) does not exist any more; {box.name} is untouched"
            )
        stamps = {**record.stamps, STAMP_REPLACED_BY: action_id}
        fresh = replace(record, id=secrets.token_hex(6), command=command, stamps=stamps, created_at=self._now())
        journal = Journal(action_id, record, fresh)
        with unless_disk_fails(self._root, mutating=True):
            self._versions.note(target.service, command)
            box.write_journal(journal)
        return journal

    async def _become(self, box: Box, wanted: Record) -> None:
        """Make the instance run this record, unless it was started with it already."""
        run = box.run()
        if self._existing(box).id != wanted.id:
            await stop(box, wanted.stop_timeout)
            box.write(wanted)
        if run is None or run.record != wanted.id:
            await start(box)

    async def _wait(self, target: Target, box: Box, record: Record, healthy_within: float) -> str | None:
        """Wait until the instance serves; return what keeps it from it."""
        waited = 0.0
        while True:
            seen = await look(self._http, self._now, target, box, record)
            settled = seen.health is not Health.NONE or waited >= min(SETTLE, healthy_within)
            if seen.serving and settled:
                return None
            if not seen.running:
                return f"is {seen.status}"
            if seen.health is Health.UNHEALTHY or waited >= healthy_within:
                return f"is {seen.health.value} after {waited:.1f} s"
            await asyncio.sleep(POLL)
            waited += POLL

    async def _discard(self, box: Box, record: Record) -> None:
        await stop(box, record.stop_timeout)
        with unless_disk_fails(self._root, mutating=True):
            box.delete()

    def _box(self, service: str, name: str) -> Box:
        return Box(self._root / checked(service) / "instances" / checked(name))

    def _boxes(self, service: str) -> list[Box]:
        return [Box(path) for path in sorted((self._root / checked(service) / "instances").glob("*")) if path.is_dir()]

    def _existing(self, box: Box) -> Record:
        record = box.record()
        if record is None:
            raise TargetNotFound(f"there is no process {box.name} below {self._root}")
        return record

    def _free_index(self, service: str) -> int:
        taken = {record.index for box in self._boxes(service) if (record := box.record()) is not None}
        return next(index for index in range(1, len(taken) + 2) if index not in taken)

    def _known(self) -> str:
        return ", ".join(sorted(path.parent.name for path in self._root.glob("*/instances"))) or "none"
