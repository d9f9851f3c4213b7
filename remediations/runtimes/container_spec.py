"""From a container's inspection to the request that creates another one like it.

What the image itself brings is subtracted, so that a newer image's own defaults count; what belongs to the one
container only (short-ID host name and alias, MAC address, static addresses) is left out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from remediations.protocol import STAMP_ACTION, STAMP_CLONED_FROM, STAMP_REPLACED_BY, ActionRefused, Target

Inspected = Mapping[str, Any]

STAMPS = "remediator."
"""How the labels begin that we put on containers."""

OLD_POLICY = "remediator.old-restart-policy"
"""On a replacement: the restart policy of the container that it replaces."""

NUMBER = "com.docker.compose.container-number"
NO_NETWORKS = ("host", "none", "container:")

DEFAULT_STOP_TIMEOUT = 10
"""The engine's own, in seconds."""

_SAME_AS_IMAGE = ("Cmd", "Entrypoint", "WorkingDir", "User", "StopSignal", "Healthcheck", "Volumes", "ExposedPorts")


def stamp(container: Inspected, key: str) -> str | None:
    """Return a label of ours, None when the container doesn't carry it."""
    value: str | None = (container["Config"].get("Labels") or {}).get(key)
    return value


def clone_stamps(action_id: str, original: str) -> dict[str, str]:
    """Return the labels that mark a clone as ours."""
    return {STAMP_ACTION: action_id, STAMP_CLONED_FROM: original}


def stop_timeout(container: Inspected) -> int:
    """Return the seconds that a container has to stop; raises ActionRefused where it may take for ever."""
    seconds = container["Config"].get("StopTimeout") or DEFAULT_STOP_TIMEOUT
    if seconds < 0:
        raise ActionRefused(f"{name_of(container)} may take for ever to stop (its stop timeout is {seconds})")
    return int(seconds)


def name_of(container: Inspected) -> str:
    """Return a container's name without the engine's slash."""
    return str(container["Name"]).lstrip("/")


def like(container: Inspected, image: Inspected, reference: str, labels: Mapping[str, str]) -> dict[str, Any]:
    """Return the creation request for another container like this one.

    Args:
        container: the inspected original.
        image: the original's inspected image, whose defaults are subtracted.
        reference: the image to run.
        labels: added to the original's own.
    """
    config = deepcopy(dict(container["Config"]))
    defaults = image.get("Config") or {}
    for key in _SAME_AS_IMAGE:
        if config.get(key) == defaults.get(key):
            config.pop(key, None)
    config["Env"] = [one for one in config.get("Env") or () if one not in (defaults.get("Env") or ())]
    inherited = defaults.get("Labels") or {}
    own = {name: value for name, value in (config.get("Labels") or {}).items() if inherited.get(name) != value}
    config["Labels"] = {**own, **labels}
    config["Image"] = reference
    if config.get("Hostname") == container["Id"][:12]:
        config.pop("Hostname")
    config["HostConfig"] = deepcopy(dict(container["HostConfig"]))
    if _network_mode(container).startswith("container:"):
        # What belongs to a network is the other container's; the engine refuses to be told it again.
        config["HostConfig"]["PortBindings"] = {}
        config = {key: value for key, value in config.items() if key not in {"Hostname", "ExposedPorts", "MacAddress"}}
    if published := config["HostConfig"].get("PortBindings"):
        # The engine publishes what is exposed only, and another image may not expose it by itself.
        config["ExposedPorts"] = {**(config.get("ExposedPorts") or {}), **{port: {} for port in published}}
    return config


def clone(
    container: Inspected, image: Inspected, reference: str, target: Target, labels: Mapping[str, str]
) -> dict[str, Any]:
    """Return the creation request for a replica beside the original; arguments as for `like`.

    Raises:
        ActionRefused: a replica would get no traffic, would share a writable mount, or would vanish by itself.
    """
    name, host = name_of(container), container["HostConfig"]
    if host.get("AutoRemove"):
        raise ActionRefused(f"{name} was started with --rm; such containers are not cloned")
    if _network_mode(container).startswith(("host", "container:")):
        raise ActionRefused(f"{name} has no network of its own: a clone would want the same ports of it")
    _refuse_shared_mounts(container, target)
    request = like(container, image, reference, {})
    request.pop("MacAddress", None)
    # What happened to the original didn't happen to the copy.
    own = {key: value for key, value in request["Labels"].items() if not key.startswith(STAMPS)}
    request["Labels"] = {**own, **labels}
    ports = host.get("PortBindings") or {}
    fixed = sorted({str(one["HostPort"]) for bound in ports.values() for one in bound or () if one.get("HostPort")})
    if target.traffic not in {"dns", "proxy"}:
        why = f"it publishes host port {', '.join(fixed)}" if fixed else "nothing would send it requests"
        raise ActionRefused(f"a clone of {name} would get no traffic ({why}); declare `traffic: dns` or `proxy`")
    # Through DNS or the proxy a replica is reached inside the network; the host's port belongs to the original.
    request["HostConfig"]["PortBindings"] = {}
    request["HostConfig"]["PublishAllPorts"] = False
    return request


def replacement(container: Inspected, image: Inspected, reference: str, action_id: str) -> dict[str, Any]:
    """Return the creation request for a container that takes this one's place with another image.

    Raises:
        ActionRefused: the engine removes the original as soon as it stops, so that nothing could be brought back.
    """
    if container["HostConfig"].get("AutoRemove"):
        raise ActionRefused(f"{name_of(container)} was started with --rm: once stopped it could not be brought back")
    policy = container["HostConfig"].get("RestartPolicy") or {}
    stamps = {STAMP_REPLACED_BY: action_id, OLD_POLICY: json.dumps(policy, sort_keys=True)}
    request = like(container, image, reference, stamps)
    host = request["HostConfig"]
    named = {mount["Destination"]: mount.get("Name") for mount in container.get("Mounts") or ()}
    for mount in host.get("Mounts") or ():
        if mount.get("Type") == "volume" and not mount.get("Source") and named.get(mount["Target"]):
            mount["Source"] = named[mount["Target"]]
    host["Binds"] = [*(host.get("Binds") or ()), *_anonymous(container)] or None
    return request


def networks(container: Inspected, *, replica: bool) -> dict[str, dict[str, Any]]:
    """Return the networks to join, the primary one first, with aliases but without what only one can have."""
    mode = _network_mode(container)
    if mode.startswith(NO_NETWORKS):
        return {}
    joined = container["NetworkSettings"]["Networks"] or {}
    primary = "bridge" if mode == "default" else mode
    order = sorted(joined, key=lambda name: (primary not in {name, (joined[name] or {}).get("NetworkID")}, name))
    return {name: _endpoint(container, name, joined[name] or {}, replica=replica) for name in order}


def _network_mode(container: Inspected) -> str:
    return str(container["HostConfig"].get("NetworkMode") or "default")


def _endpoint(container: Inspected, name: str, joined: Mapping[str, Any], *, replica: bool) -> dict[str, Any]:
    own = {container["Id"][:12], name_of(container)} if replica else {container["Id"][:12]}
    endpoint: dict[str, Any] = {}
    aliases = [one for one in joined.get("Aliases") or () if one not in own]
    if aliases and name != "bridge":
        endpoint["Aliases"] = sorted(set(aliases))
    for key in ("Links", "DriverOpts") if replica else ("Links", "DriverOpts", "IPAMConfig"):
        if joined.get(key):
            endpoint[key] = joined[key]
    return endpoint


def _anonymous(container: Inspected) -> list[str]:
    """Return anonymous volumes as binds: they stand under `Mounts` only, and would be left behind with their data."""
    host = container["HostConfig"]
    declared = {bind.split(":")[1] for bind in host.get("Binds") or () if ":" in bind}
    declared |= {mount["Target"] for mount in host.get("Mounts") or ()}
    return [
        f"{mount['Name']}:{mount['Destination']}:{'rw' if mount.get('RW') else 'ro'}"
        for mount in container.get("Mounts") or ()
        if mount.get("Type") == "volume" and mount.get("Name") and mount["Destination"] not in declared
    ]


def _refuse_shared_mounts(container: Inspected, target: Target) -> None:
    if target.shared_mounts:
        return
    anonymous = {bind.split(":")[1] for bind in _anonymous(container)}
    shared = [
        str(mount["Destination"])
        for mount in container.get("Mounts") or ()
        if mount.get("RW") and mount.get("Type") in {"bind", "volume"} and mount["Destination"] not in anonymous
    ]
    if shared:
        raise ActionRefused(
            f"{name_of(container)} writes to {', '.join(shared)}, which a clone would share; "
            "declare `shared_mounts: true` if it may"
        )
