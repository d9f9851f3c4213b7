"""Rolling one container back: the new one is healthy before the old one is removed, and a failure restores the old.

1. the wanted image is inspected, so that a missing one is harmless; 2. old is renamed; 3. new is created, stamped;
4. old's restart policy is set to `no` and old is stopped; 5. new is started and waited for; 6. old is removed, its
volumes kept. After a crash between any two calls, running it again ends with exactly one container in its place. The
old restart policy is kept in a label of the new container. One that fails is set aside in its turn and removed last of
all, when the old one is back: as long as it is there, running it again finishes the restoring and tries nothing anew.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NoReturn

from remediations.protocol import (
    STAMP_REPLACED_BY,
    ActionRefused,
    Health,
    Instance,
    KnownGood,
    RemediationError,
    Target,
    TargetNotFound,
)
from remediations.runtimes import container_find as find
from remediations.runtimes import container_spec as spec
from remediations.runtimes.container_errors import Conflict, Gone, begun

if TYPE_CHECKING:
    from remediations.runtimes.containers import ContainersRuntime

POLL = 0.5
"""Seconds between looks at a container that is to become healthy."""

STEADY = 3.0
"""Seconds that a container without a health check must run."""


class Replacement:
    """One replacement, from wherever an earlier try of the same action left it."""

    def __init__(
        self,
        runtime: ContainersRuntime,
        target: Target,
        name: str,
        version: KnownGood,
        action_id: str,
        healthy_within: float,
    ) -> None:
        self._runtime = runtime
        self._target = target
        self._name = name
        self._old = f"{name}{find.OLD}"
        self._failed = f"{name}{find.FAILED}"
        self._version = version
        self._action_id = action_id
        self._within = healthy_within

    async def run(self) -> Instance:
        """Replace, or restore and raise ActionRefused; raises RemediationError when the old one can't be restored."""
        failed = await self._find(self._failed)
        if failed is not None and self._ours(failed):
            with begun(f"the replacement of {self._name} has failed"):
                await self._give_up(f"the new container {self._name} failed before")
        old, there = await self._find(self._old), await self._find(self._name)
        if old is None and there is None:
            raise TargetNotFound(f"container {self._name} of {self._target.service} has vanished")
        if old is None and there is not None and self._ours(there):
            return await self._finish(there)
        image = await self._wanted()
        if old is None and there is not None:
            request = await self._request(there, image)
            await self._rename(self._name, self._old)
            old, there = there, None
        elif there is not None and not self._ours(there):
            raise ActionRefused(
                f"somebody else put a container {self._name} in its place; the one from before is kept as {self._old}"
            )
        else:
            request = None
        with begun(f"the replacement of {self._name} has begun"):
            return await self._go_on(old, there, image, request)

    async def _go_on(self, old: Any, there: Any, image: str | None, request: dict[str, Any] | None) -> Instance:
        try:
            if there is None:
                await self._create(old, request or await self._request(old, image))
            instance = await self._run_new()
        except ActionRefused as error:
            await self._give_up(str(error))
        await self._remove(self._old)
        return instance

    async def _wanted(self) -> str | None:
        for reference in (self._version.spec.get("tag"), self._version.image_id):
            if reference is None:
                continue
            found = await self._runtime.image(reference)
            if found is not None and found["Id"] == self._version.image_id:
                return str(reference)
        return None

    async def _request(self, old: Mapping[str, Any], image: str | None) -> dict[str, Any]:
        """Return what creates the new container; raises ActionRefused for whatever would make it fail later."""
        name, wanted = self._name, self._version
        if image is None:
            raise ActionRefused(f"image {wanted.image} ({wanted.image_id[:19]}) is not there any more")
        defaults = await self._runtime.image(old["Image"])
        if defaults is None:
            raise ActionRefused(f"the image that {name} runs is gone: what it brought itself can't be told apart")
        spec.stop_timeout(old)
        return spec.replacement(old, defaults, image, self._action_id)

    async def _create(self, old: Mapping[str, Any], request: dict[str, Any]) -> None:
        stamp = (STAMP_REPLACED_BY, self._action_id)
        await self._runtime.create(self._name, request, spec.networks(old, replica=False), stamp)

    async def _run_new(self) -> Instance:
        """Let the new container run in the place of the old one, and wait until it is healthy."""
        new = await self._find(self._name)
        if new is None or not self._ours(new):
            raise ActionRefused(f"somebody else put a container {self._name} in its place")
        # One that was started and runs no more has failed: to start it again would be a second try.
        if find.instance(new).started_at is None:
            old = await self._need(self._old)
            await self._retire(old)
            await self._runtime.connect(self._name, spec.networks(old, replica=False))
            await self._do(lambda api: api.start(self._name))
        return await self._healthy()

    async def _retire(self, old: Mapping[str, Any]) -> None:
        """Stop the old container for good, before the new one takes its ports and volumes."""
        await self._do(lambda api: api.update_container(self._old, restart_policy={"Name": "no"}))
        timeout = spec.stop_timeout(old)
        await self._do(lambda api: api.stop(self._old, timeout=timeout))

    async def _finish(self, there: Mapping[str, Any]) -> Instance:
        """Everything was done but for the last look."""
        if not there["State"]["Running"]:
            await self._do(lambda api: api.start(self._name))
        return await self._healthy()

    async def _healthy(self) -> Instance:
        """Wait until the new container is healthy; fail fast when it exits or restarts."""
        steady = 0.0
        for _ in range(max(1, int(self._within / POLL))):
            found = find.instance(await self._need(self._name))
            if found.restart_count or found.status.startswith(("exited", "dead")):
                raise ActionRefused(f"the new container {self._name} does not stay up ({found.status})")
            if found.health is Health.UNHEALTHY:
                raise ActionRefused(f"the new container {self._name} is unhealthy")
            steady = steady + POLL if found.running else 0.0
            if found.health is Health.HEALTHY or (found.health is Health.NONE and steady >= STEADY):
                return found
            await asyncio.sleep(POLL)
        raise ActionRefused(f"the new container {self._name} was not healthy within {self._within:.0f} s")

    async def _give_up(self, why: str) -> NoReturn:
        """Restore, and raise what says why."""
        try:
            told = await self._restore()
        except ActionRefused as worse:
            text = f"{why}; and the old container could not be put back in its place: {worse}"
            raise RemediationError(text) from worse
        raise ActionRefused(f"{why}; {told}")

    async def _restore(self) -> str:
        """Put the old container back and say so; the failed one knows its restart policy, and that this was tried."""
        old, there = await self._find(self._old), await self._find(self._name)
        if there is not None and self._ours(there):
            if old is None:
                return "the old container is gone, so that the new one stays"
            # It lets go of ports and volumes before the old one takes them again.
            await self._do(lambda api: api.stop(self._name, timeout=0))
            await self._rename(self._name, self._failed)
        failed = await self._find(self._failed)
        if old is not None:
            if failed is not None:
                policy = json.loads(failed["Config"]["Labels"].get(spec.OLD_POLICY, "{}")) or {"Name": "no"}
                await self._do(lambda api: api.update_container(self._old, restart_policy=policy))
            await self._rename(self._old, self._name)
        await self._do(lambda api: api.start(self._name))
        if failed is not None:
            await self._remove(self._failed)
        return "the old container is back in its place"

    async def _rename(self, name: str, wanted: str) -> None:
        """Rename a container; one that the engine is about to restart is stopped first, for its network isn't found."""
        try:
            await self._do(lambda api: api.rename(name, wanted))
        except Gone:
            await self._do(lambda api: api.stop(name))
            await self._do(lambda api: api.rename(name, wanted))

    async def _remove(self, name: str) -> None:
        """Remove what is not needed any more; a removal under way, perhaps our own before a crash, is as good."""
        try:
            await self._do(lambda api: api.remove_container(name, force=True, v=False))
        except (Gone, Conflict):
            return
        except ActionRefused as error:
            raise RemediationError(f"{self._name} is in order, but {name} can't be removed: {error}") from error

    async def _find(self, name: str) -> Mapping[str, Any] | None:
        return await self._runtime.named(name)

    async def _need(self, name: str) -> Mapping[str, Any]:
        found = await self._find(name)
        if found is None:
            raise ActionRefused(f"container {name} has vanished")
        return found

    async def _do(self, call: Any) -> None:
        await self._runtime.do(call)

    def _ours(self, container: Mapping[str, Any]) -> bool:
        return spec.stamp(container, STAMP_REPLACED_BY) == self._action_id
