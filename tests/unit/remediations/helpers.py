"""Running one action on a lab in memory."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from remediations.protocol import Context, Health, Intent, Remediation
from remediations.runtimes.memory import MemoryRuntime
from remediations.testing import Lab, stored


async def intend(lab: Lab, action: Remediation, context: Context | None = None, **parameters: Any) -> Intent:
    """Plan and return the intent as a store gives it back."""
    plan = await action.plan(context or lab.context(), parameters)
    return stored(action, parameters, plan, lab.now())


async def fail_health(lab: Lab, *names: str) -> None:
    """Let the health checks of these instances fail."""
    memory = in_memory(lab)
    for name, instance in (await lab.look()).items():
        if name in names:
            memory.put(lab.target.service, replace(instance, health=Health.UNHEALTHY))


def in_memory(lab: Lab) -> MemoryRuntime:
    """Return the lab's runtime as what it is."""
    assert isinstance(lab.runtime, MemoryRuntime)
    return lab.runtime


def lines(lab: Lab, log: Mapping[str, tuple[str, ...]]) -> None:
    """Set log lines by instance."""
    in_memory(lab).services[lab.target.service].lines.update(log)
