"""Runtime `containers`: plain Docker containers and compose services, through the engine's API.

docker-py is synchronous: every call runs on threads of this engine's own. Cancelling whoever awaits a call does not
stop the call; its outcome is then unknown, and the target is asked.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

import docker

from remediations.protocol import (
    STAMP_ACTION,
    STAMP_REPLACED_BY,
    ActionRefused,
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
from remediations.runtimes.container_calls import Calls
from remediations.runtimes.container_errors import Conflict, Gone, begun
from remediations.runtimes.container_guard import Guard

T = TypeVar("T")

LOG_LINES = 500
REPOSITORY = "remediator/known-good"


class ContainersRuntime:
    """One engine.

    Args:
        name: as playbooks.yaml calls it.
        url: `unix:///...` or `tcp://...`.
        ca, cert, key: files for TLS.
        timeout: seconds that the engine has for an answer; a stop has its own time on top.
        own_id: of the container that we run in ourselves; found out by default.
        depends: URLs of Prometheus and Alertmanager: their containers are never acted on.
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
        depends: Iterable[str] = (),
    ) -> None:
        self.name = name
        self._own_id = own_id or find.own_container_id()
        self._guard = Guard(self._own_id, url, depends)
        self._calls = Calls(name, url, (ca, cert, key), timeout)

    # --- calls ------------------------------------------------------------------------------------------------------

    def client(self) -> docker.APIClient:
        """Return docker-py's client, made at the first use; only on the engine's threads."""
        return self._calls.client()

    async def do(self, call: Callable[[docker.APIClient], T]) -> T:
        """Change something; never repeated by itself."""
        return await self._calls.do(call)

    async def _read(self, call: Callable[[docker.APIClient], T]) -> T:
        return await self._calls.read(call)

    async def inspect(self, name: str) -> Mapping[str, Any] | None:
        """Return a container's inspection, None when there is none of that name or ID."""
        try:
            found: Mapping[str, Any] = await self._read(lambda api: api.inspect_container(name))
        except Gone:
            return None
        return found

    async def named(self, name: str) -> Mapping[str, Any] | None:
        """Return the inspection of the container of exactly that name: the engine takes the start of an ID too."""
        found = await self.inspect(name)
        return found if found is not None and spec.name_of(found) == name else None

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
        self._guard.hold(found)
        return found

    # --- reading ----------------------------------------------------------------------------------------------------

    async def check(self) -> Json:
        """Reach the engine; raises EngineUnavailable, also when it is too old."""
        found = await self._read(lambda api: api.version())
        own = self._own_id if self._own_id is not None and await self.inspect(self._own_id) is not None else None
        return {"version": found.get("Version"), "api": found.get("ApiVersion"), "own_container": own}

    async def instances(self, target: Target) -> tuple[Instance, ...]:
        """Return the target's containers, stopped ones and our clones too, ordered by name."""
        if not target.selector:
            raise TargetNotFound(f"service {target.service} has no selector: it would mean every container")
        rows = await self._read(lambda api: api.containers(all=True, filters=find.filters(target)))
        names: list[str] = []
        if not rows:
            names = [find.row_name(row) for row in await self._read(lambda api: api.containers(all=True))]
        looks = await asyncio.gather(*(self.inspect(one) for one in find.chosen(target, rows, names)))
        found = [replace(find.instance(one), protected=self._guard.why(one)) for one in looks if one is not None]
        if not found:
            looked = find.looked_for(target)
            raise TargetNotFound(f"what was found of {target.service} ({looked}) vanished while it was looked at")
        return tuple(sorted(found, key=lambda one: one.name))

    async def logs(self, target: Target, instance: Instance, lines: int) -> tuple[str, ...]:
        """Return the last lines of a container's log."""
        count = min(lines, LOG_LINES)
        raw = await self._read(lambda api: api.logs(instance.id, stdout=True, stderr=True, tail=count))
        return tuple(raw.decode("utf-8", "replace").splitlines()[-count:])

    async def stats(self, target: Target, instance: Instance) -> Json:
        """Return one sample; takes about a second, as the engine measures over one."""
        return _figures(await self._read(lambda api: api.stats(instance.id, stream=False)))

    async def received(self, target: Target, instance: Instance) -> float | None:
        """Return the bytes that came over its networks; None for a container without one of its own."""
        sample = await self._read(lambda api: api.stats(instance.id, stream=False, one_shot=_one_shot(api)))
        networks = sample.get("networks")
        return float(sum(one.get("rx_bytes", 0) for one in networks.values())) if networks else None

    async def disk(self) -> Json:
        """Return what the engine keeps, as `docker system df` does."""
        return _kept(await self._read(lambda api: api.df()))

    # --- restart ----------------------------------------------------------------------------------------------------

    async def restart(self, target: Target, instance: Instance) -> None:
        """Stop a container, in its own time, and start it.

        Not by the engine's own restart: that goes on when we are killed in the middle of it, and being asked again,
        because nothing seems to have happened yet, it may restart what has just been started. To stop what is being
        stopped and to start what runs changes nothing.
        """
        found = await self._own(target, instance)
        timeout = spec.stop_timeout(found)
        if found["HostConfig"].get("AutoRemove"):
            # Once stopped, the engine would remove it.
            await self.do(lambda api: api.restart(instance.id, timeout=timeout))
            return
        await self.do(lambda api: api.stop(instance.id, timeout=timeout))
        try:
            with begun(f"{instance.name} was stopped"):
                await self.do(lambda api: api.start(instance.id))
        except ActionRefused as error:
            raise RemediationError(f"{instance.name} was stopped, and can't be started again: {error}") from error

    # --- scale ------------------------------------------------------------------------------------------------------

    async def add_instance(self, target: Target, like: Instance, name: str, action_id: str) -> Instance:
        """Start a stamped clone; a name that is taken is ours only by its stamp."""
        there = await self.named(name)
        if there is None:
            original = await self._own(target, like)
            joins = spec.networks(original, replica=True)
            labels = {**spec.clone_stamps(action_id, like.name), spec.NUMBER: await self._number(target)}
            defaults = await self.image(original["Image"]) or {}
            request = spec.clone(original, defaults, await self._reference(original), target, labels)
            there = await self.create(name, request, joins, (STAMP_ACTION, action_id))
        elif spec.stamp(there, STAMP_ACTION) != action_id:
            raise ActionRefused(f"a container {name} exists, and it is not this action's")
        with begun(f"{name} was created"):
            return await self._begin(target, like, name, there)

    async def _begin(self, target: Target, like: Instance, name: str, clone: Mapping[str, Any]) -> Instance:
        """Start a clone unless it runs; one that can't be started is removed, for nobody would take it back later."""
        if not clone["State"]["Running"]:
            try:
                await self.connect(name, spec.networks(await self._own(target, like), replica=True))
                await self.do(lambda api: api.start(name))
            except ActionRefused as error:
                with suppress(Gone):
                    await self.do(lambda api: api.remove_container(name, v=True, force=True))
                raise ActionRefused(f"{name} can't be started: {error}") from error
        made = await self.named(name)
        if made is None:
            raise ActionRefused(f"container {name} vanished right after its start")
        return find.instance(made)

    async def _reference(self, original: Mapping[str, Any]) -> str:
        """Return how to name what a container runs: as it was configured, or by its ID once that tag has moved."""
        configured, runs = str(original["Config"]["Image"]), str(original["Image"])
        found = await self.image(configured)
        return configured if found is not None and found["Id"] == runs else runs

    async def remove_instance(self, target: Target, name: str, action_id: str) -> bool:
        """Remove a clone by name and stamp; False when it was gone already."""
        there = await self.named(name)
        if there is None:
            return False
        if spec.stamp(there, STAMP_ACTION) != action_id:
            raise ActionRefused(f"container {name} does not carry the stamp {action_id}; it is left alone")
        identity, timeout = there["Id"], spec.stop_timeout(there)
        try:
            await self.do(lambda api: api.stop(identity, timeout=timeout))
            with begun(f"{name} was stopped"):
                await self.do(lambda api: api.remove_container(identity, v=True))
        except Gone:
            return False
        return True

    async def _number(self, target: Target) -> str:
        rows = await self._read(lambda api: api.containers(all=True, filters=find.filters(target)))
        numbers = [str((row.get("Labels") or {}).get(spec.NUMBER, "0")) for row in rows]
        return str(max((int(one) for one in numbers if one.isdigit()), default=0) + 1)

    async def create(
        self, name: str, request: dict[str, Any], joins: dict[str, dict[str, Any]], stamp: tuple[str, str]
    ) -> Mapping[str, Any]:
        """Create a container on its first network; `connect` it to the others: older APIs take one at creation.

        Raises ActionRefused when the name is taken by one that doesn't carry the stamp, a label and its value.
        """
        first = dict(list(joins.items())[:1])
        request["NetworkingConfig"] = {"EndpointsConfig": first} if first else {}
        taken: Conflict | None = None
        try:
            await self.do(lambda api: api.create_container_from_config(request, name))  # type: ignore[no-untyped-call]
        except Conflict as error:
            # Somebody was faster, perhaps we ourselves before a crash: the stamp tells.
            taken = error
        except Gone as error:
            raise ActionRefused(f"{name} can't be created: {error}") from error
        with begun(f"{name} was created"):
            made = await self.named(name)
            if made is None:
                raise taken or ActionRefused(f"container {name} vanished right after its creation")
            if spec.stamp(made, stamp[0]) != stamp[1]:
                raise ActionRefused(f"a container {name} exists, and it is not this action's")
        return made

    async def connect(self, name: str, joins: dict[str, dict[str, Any]]) -> None:
        """Connect a created container to what it isn't connected to yet."""
        made = await self.named(name)
        joined = (made or {}).get("NetworkSettings", {}).get("Networks") or {}
        for network, endpoint in joins.items():
            if network not in joined:
                await self.do(partial(_connect, name, network, endpoint))

    # --- rollback ---------------------------------------------------------------------------------------------------

    async def replace_instance(
        self, target: Target, instance: Instance, version: KnownGood, action_id: str, *, healthy_within: float
    ) -> Instance:
        """Replace a container by the recipe of `container_replace`."""
        from remediations.runtimes.container_replace import Replacement  # noqa: PLC0415 - it builds on this class

        existing = await self.named(instance.name)
        if existing is not None:
            self._guard.hold(existing)
        return await Replacement(self, target, instance.name, version, action_id, healthy_within).run()

    async def replaced(self, target: Target, name: str, action_id: str) -> Progress:
        """Tell from the names and stamps how far a replacement came."""
        failed = await self.named(f"{name}{find.FAILED}")
        if failed is not None:
            return Progress.PARTIAL if spec.stamp(failed, STAMP_REPLACED_BY) == action_id else Progress.SUPERSEDED
        old, new = await self.named(f"{name}{find.OLD}"), await self.named(name)
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
        repository, tag = f"{REPOSITORY}/{_component(target.service)}", instance.image_id.removeprefix("sha256:")[:12]
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
        self._calls.close()


def reference(version: KnownGood) -> str:
    """Return how an image is named for creation: by the tag that keeps it, else by its ID."""
    return str(version.spec.get("tag") or version.image_id)


def _component(service: str) -> str:
    """Return a service's name as a part of an image's: unchanged if it can be one, else made unique by a hash."""
    if re.fullmatch(r"[a-z0-9]+(?:[._-][a-z0-9]+)*", service):
        return service
    plain = re.sub(r"[^a-z0-9]+", "-", service.lower()).strip("-")
    return f"{plain}-{hashlib.sha256(service.encode()).hexdigest()[:8]}".lstrip("-")


def _connect(name: str, network: str, endpoint: Mapping[str, Any], api: docker.APIClient) -> None:
    addresses = endpoint.get("IPAMConfig") or {}
    api.connect_container_to_network(
        name,
        network,
        ipv4_address=addresses.get("IPv4Address"),
        ipv6_address=addresses.get("IPv6Address"),
        link_local_ips=addresses.get("LinkLocalIPs"),
        aliases=endpoint.get("Aliases"),
        links=endpoint.get("Links"),
        driver_opt=endpoint.get("DriverOpts"),
    )


def _one_shot(api: docker.APIClient) -> bool | None:
    """Whether the engine (20.10 and later) can tell figures without measuring for a second first."""
    return True if tuple(map(int, api.api_version.split("."))) >= (1, 41) else None


def _kept(found: Mapping[str, Any]) -> dict[str, int]:
    volumes = [one.get("UsageData") or {} for one in found.get("Volumes") or ()]
    return {
        "images": int(found.get("LayersSize") or 0),
        "containers": sum(int(one.get("SizeRw") or 0) for one in found.get("Containers") or ()),
        "volumes": sum(max(0, int(one.get("Size") or 0)) for one in volumes),
        "cache": sum(int(one.get("Size") or 0) for one in found.get("BuildCache") or ()),
    }


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
