"""Runtime `containers`: plain Docker containers and compose services, through the engine's API.

docker-py is synchronous: every call runs on threads of this engine's own. Cancelling whoever awaits a call does not
stop the call; its outcome is then unknown, and the target is asked.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import docker
import tenacity
from docker.tls import TLSConfig

from remediations.protocol import (
    STAMP_ACTION,
    STAMP_REPLACED_BY,
    ActionRefused,
    EngineUnavailable,
    Instance,
    Json,
    KnownGood,
    Progress,
    RemediationError,
    Target,
    TargetNotFound,
)
from remediations.runtimes import container_find as find
from remediations.runtimes import container_spec as spec
from remediations.runtimes.container_errors import RAISED, Conflict, Gone, translated

T = TypeVar("T")

OLDEST_API = (1, 40)
"""Engine 19.03, the oldest API that the recipes were run on."""

LOG_LINES = 500
THREADS = 8
REPOSITORY = "remediator/known-good"


class ContainersRuntime:
    """One engine.

    Args:
        name: as playbooks.yaml calls it.
        url: `unix:///...` or `tcp://...`.
        ca, cert, key: files for TLS.
        timeout: seconds that the engine has for an answer; a stop has its own time on top.
        own_id: of the container that we run in ourselves; found out by default.
    """

    def __init__(
        self,
        name: str,
        url: str,
        *,
        ca: str | None = None,
        cert: str | None = None,
        key: str | None = None,
        timeout: float = 30.0,
        own_id: str | None = None,
    ) -> None:
        self.name = name
        self._url = url
        self._files = (ca, cert, key)
        self._timeout = timeout
        self._own_id = own_id or find.own_container_id()
        self._pool = ThreadPoolExecutor(THREADS, f"engine-{name}")
        self._made: docker.APIClient | None = None
        self._making = threading.Lock()

    # --- calls ------------------------------------------------------------------------------------------------------

    def client(self) -> docker.APIClient:
        """Return the client, made at the first use; only on the engine's threads."""
        with self._making:
            if self._made is None:
                ca, cert, key = self._files
                # Without a CA of its own the engine's certificate must be one that this machine trusts.
                tls = (
                    TLSConfig(client_cert=(cert, key) if cert and key else None, ca_cert=ca, verify=True)
                    if ca or cert
                    else None
                )
                # The client asks the engine for its version here, so that what both speak is used.
                made = docker.APIClient(
                    self._url, version="auto", timeout=max(1, round(self._timeout)), tls=tls or False, num_pools=THREADS
                )
                # REQUESTS_CA_BUNDLE in the environment would replace the engine's own CA.
                made.trust_env = False
                self._made = made
            return self._made

    async def _call(self, call: Callable[[docker.APIClient], T], *, mutating: bool) -> T:
        def run() -> T:
            try:
                return call(self.client())
            except RAISED as error:
                raise translated(error, f"{self.name} ({self._url})", mutating=mutating) from error

        return await asyncio.get_running_loop().run_in_executor(self._pool, run)

    async def _read(self, call: Callable[[docker.APIClient], T]) -> T:
        """Read, again when the engine was away for a moment: reading is harmless."""
        async for attempt in tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception_type(EngineUnavailable),
            stop=tenacity.stop_after_attempt(2),
            wait=tenacity.wait_fixed(0.2),
            reraise=True,
        ):
            with attempt:
                return await self._call(call, mutating=False)
        raise AssertionError("tenacity raises or returns")

    async def do(self, call: Callable[[docker.APIClient], T]) -> T:
        """Change something; never repeated by itself."""
        return await self._call(call, mutating=True)

    async def inspect(self, name: str) -> Mapping[str, Any] | None:
        """Return a container's inspection, None when there is none of that name or ID."""
        try:
            found: Mapping[str, Any] = await self._read(lambda api: api.inspect_container(name))
        except Gone:
            return None
        return found

    async def image(self, reference: str) -> Mapping[str, Any] | None:
        """Return an image's inspection, None when it isn't there."""
        try:
            found: Mapping[str, Any] = await self._read(lambda api: api.inspect_image(reference))  # type: ignore[no-untyped-call]
        except Gone:
            return None
        return found

    async def _own(self, target: Target, instance: Instance) -> Mapping[str, Any]:
        """Return an instance's inspection, after asking whether we may touch it."""
        found = await self.inspect(instance.id)
        if found is None:
            raise TargetNotFound(f"container {instance.name} of {target.service} has vanished")
        find.guard(found, self._own_id)
        return found

    # --- reading ----------------------------------------------------------------------------------------------------

    async def check(self) -> Json:
        """Reach the engine; raises EngineUnavailable, also when it is too old."""
        found = await self._read(lambda api: api.version())
        api = str(found.get("ApiVersion", "0.0"))
        if tuple(int(part) for part in api.split(".")) < OLDEST_API:
            oldest = ".".join(str(part) for part in OLDEST_API)
            raise EngineUnavailable(f"engine {self.name} is too old: API {api}, at least {oldest} is needed")
        own = self._own_id is not None and await self.inspect(self._own_id) is not None
        return {"version": found.get("Version"), "api": api, "own_container": self._own_id if own else None}

    async def instances(self, target: Target) -> tuple[Instance, ...]:
        """Return the target's containers, stopped ones and our clones too, ordered by name."""
        rows = await self._read(lambda api: api.containers(all=True, filters=find.filters(target)))
        names: list[str] = []
        if not rows:
            names = [find.row_name(row) for row in await self._read(lambda api: api.containers(all=True))]
        found = [await self.inspect(one) for one in find.chosen(target, rows, names)]
        return tuple(sorted((find.instance(one) for one in found if one is not None), key=lambda one: one.name))

    async def logs(self, target: Target, instance: Instance, lines: int) -> tuple[str, ...]:
        """Return the last lines of a container's log."""
        count = min(lines, LOG_LINES)
        raw = await self._read(lambda api: api.logs(instance.id, stdout=True, stderr=True, tail=count))
        return tuple(raw.decode("utf-8", "replace").splitlines()[-count:])

    async def stats(self, target: Target, instance: Instance) -> Json:
        """Return one sample; takes about a second, as the engine measures over one."""
        return _figures(await self._read(lambda api: api.stats(instance.id, stream=False)))

    # --- restart ----------------------------------------------------------------------------------------------------

    async def restart(self, target: Target, instance: Instance) -> None:
        """Stop a container, in its own time, and start it.

        Not by the engine's own restart: that goes on when we are killed in the middle of it, and being asked again,
        because nothing seems to have happened yet, it may restart what has just been started. To stop what is being
        stopped and to start what runs changes nothing.
        """
        found = await self._own(target, instance)
        timeout = found["Config"].get("StopTimeout") or 10
        if found["HostConfig"].get("AutoRemove"):
            # Once stopped, the engine would remove it.
            await self.do(lambda api: api.restart(instance.id, timeout=timeout))
            return
        await self.do(lambda api: api.stop(instance.id, timeout=timeout))
        try:
            await self.do(lambda api: api.start(instance.id))
        except ActionRefused as error:
            raise RemediationError(f"{instance.name} was stopped, and can't be started again: {error}") from error

    # --- scale ------------------------------------------------------------------------------------------------------

    async def add_instance(self, target: Target, like: Instance, name: str, action_id: str) -> Instance:
        """Start a stamped clone; a name that is taken is ours only by its stamp."""
        there = await self.inspect(name)
        if there is None:
            original = await self._own(target, like)
            labels = {**spec.clone_stamps(action_id, like.name), spec.NUMBER: await self._number(target)}
            request = spec.clone(original, await self.image(original["Image"]) or {}, target, labels)
            there = await self.create(name, request, spec.networks(original, replica=True))
        if spec.stamp(there, STAMP_ACTION) != action_id:
            raise ActionRefused(f"a container {name} exists, and it is not this action's")
        if not there["State"]["Running"]:
            await self.do(lambda api: api.start(name))
        made = await self.inspect(name)
        if made is None:
            raise ActionRefused(f"container {name} vanished right after its start")
        return find.instance(made)

    async def remove_instance(self, target: Target, name: str, action_id: str) -> bool:
        """Remove a clone by name and stamp; False when it was gone already."""
        there = await self.inspect(name)
        if there is None:
            return False
        if spec.stamp(there, STAMP_ACTION) != action_id:
            raise ActionRefused(f"container {name} does not carry the stamp {action_id}; it is left alone")
        timeout = there["Config"].get("StopTimeout") or 10
        await self.do(lambda api: api.stop(name, timeout=timeout))
        try:
            await self.do(lambda api: api.remove_container(name, v=True))
        except Gone:
            return False
        return True

    async def _number(self, target: Target) -> str:
        rows = await self._read(lambda api: api.containers(all=True, filters=find.filters(target)))
        numbers = [str((row.get("Labels") or {}).get(spec.NUMBER, "0")) for row in rows]
        return str(max((int(one) for one in numbers if one.isdigit()), default=0) + 1)

    async def create(
        self, name: str, request: dict[str, Any], networks: dict[str, dict[str, Any]]
    ) -> Mapping[str, Any]:
        """Create a container on its first network and connect the others: older APIs take one endpoint at creation."""
        first = dict(list(networks.items())[:1])
        request["NetworkingConfig"] = {"EndpointsConfig": first} if first else {}
        try:
            await self.do(lambda api: api.create_container_from_config(request, name))  # type: ignore[no-untyped-call]
        except Conflict:
            # Somebody was faster, perhaps we ourselves before a crash: the stamp tells.
            pass
        except Gone as error:
            raise ActionRefused(f"{name} can't be created: {error}") from error
        await self.connect(name, networks)
        made = await self.inspect(name)
        if made is None:
            raise ActionRefused(f"container {name} vanished right after its creation")
        return made

    async def connect(self, name: str, networks: dict[str, dict[str, Any]]) -> None:
        """Connect a created container to what it isn't connected to yet."""
        made = await self.inspect(name)
        joined = (made or {}).get("NetworkSettings", {}).get("Networks") or {}
        for network, endpoint in networks.items():
            if network not in joined:
                await self.do(
                    lambda api, net=network, end=endpoint: api.connect_container_to_network(  # type: ignore[misc]
                        name, net, aliases=end.get("Aliases")
                    )
                )

    # --- rollback ---------------------------------------------------------------------------------------------------

    async def replace_instance(
        self, target: Target, instance: Instance, version: KnownGood, action_id: str, *, healthy_within: float
    ) -> Instance:
        """Replace a container by the recipe of `container_replace`."""
        from remediations.runtimes.container_replace import Replacement  # noqa: PLC0415 - it builds on this class

        existing = await self.inspect(instance.name)
        if existing is not None:
            find.guard(existing, self._own_id)
        return await Replacement(self, target, instance.name, version, action_id, healthy_within).run()

    async def replaced(self, target: Target, name: str, action_id: str) -> Progress:
        """Tell from the names and stamps how far a replacement came."""
        old, new = await self.inspect(f"{name}{find.OLD}"), await self.inspect(name)
        ours = new is not None and spec.stamp(new, STAMP_REPLACED_BY) == action_id
        if old is not None:
            return Progress.PARTIAL if ours or new is None else Progress.SUPERSEDED
        if new is None:
            return Progress.SUPERSEDED
        return Progress.DONE if ours else Progress.NOT_STARTED

    async def version_exists(self, version: KnownGood) -> bool:
        """Whether the image is still there, by the tag that keeps it or by its ID."""
        found = await self.image(reference(version)) or await self.image(version.image_id)
        return found is not None and found["Id"] == version.image_id

    async def keep_version(self, target: Target, instance: Instance, now: float) -> KnownGood:
        """Tag what runs, so that neither a moved tag nor `image prune` loses it."""
        repository, tag = f"{REPOSITORY}/{target.service.lower()}", instance.image_id.removeprefix("sha256:")[:12]
        await self.do(lambda api: api.tag(instance.image_id, repository, tag, force=True))
        return KnownGood(instance.image_id, instance.image, now, {"tag": f"{repository}:{tag}"})

    async def forget_version(self, target: Target, version: KnownGood) -> None:
        """Remove our tag; the image goes when nothing else holds it."""
        tag = version.spec.get("tag")
        if tag is None:
            return
        try:
            await self.do(lambda api: api.remove_image(tag, noprune=False))
        except (Gone, Conflict):
            return

    async def close(self) -> None:
        """Close connections; calls under way end by their own time limit."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        if self._made is not None:
            self._made.close()


def reference(version: KnownGood) -> str:
    """Return how an image is named for creation: by the tag that keeps it, else by its ID."""
    return str(version.spec.get("tag") or version.image_id)


def _figures(sample: Mapping[str, Any]) -> dict[str, float]:
    """Return the shares of a stats sample; what the engine leaves out is left out here."""
    found: dict[str, float] = {}
    now, before = sample.get("cpu_stats") or {}, sample.get("precpu_stats") or {}
    try:
        used = now["cpu_usage"]["total_usage"] - before["cpu_usage"]["total_usage"]
        passed = now["system_cpu_usage"] - before["system_cpu_usage"]
        if passed > 0:
            found["cpu_ratio"] = used / passed * float(now.get("online_cpus") or 1)
    except KeyError:
        pass
    memory = sample.get("memory_stats") or {}
    if "usage" in memory:
        cache = (memory.get("stats") or {}).get("inactive_file", 0)
        found["memory_bytes"] = float(memory["usage"] - cache)
    if memory.get("limit"):
        found["memory_limit_bytes"] = float(memory["limit"])
    return found
