"""Policy and people as the files say, loaded at the start and again on demand: a bad file is refused, the old stays."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import structlog

from receiver.core.playbook import Policy
from receiver.metrics import Metrics
from receiver.people import People
from receiver.playbooks import PolicyError, load_policy
from receiver.playbooks.people_file import load_people
from receiver.ports import Clock
from receiver.settings import Settings
from receiver.web.ports import Reloaded

_log = structlog.stdlib.get_logger(__name__)


async def _nowhere(_policy: Policy) -> None:
    """Stand in until the engine is there."""


class Policies:
    """Holds today's people and hands today's policy to the engine.

    Args:
        actions: the installed ones, by name.
        environment: where `REMEDIATOR_ENGINE_<NAME>` replaces an engine's URL.
    """

    def __init__(
        self,
        settings: Settings,
        actions: Mapping[str, Any],
        environment: Mapping[str, str],
        metrics: Metrics,
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._actions = actions
        self._environment = environment
        self._metrics = metrics
        self._clock = clock
        self.people = People()
        self.version = ""
        self.in_force: Callable[[Policy], Awaitable[None]] = _nowhere

    def load(self) -> Policy:
        """Read the files; raises PolicyError with every mistake."""
        policy = load_policy(list(self._settings.playbooks), self._actions, self._environment)
        file = self._settings.people_file
        people = load_people(file) if file is not None else People()
        self.people, self.version = people, policy.version
        self._metrics.policy_loaded(success=True, at=self._clock.now(), playbooks=len(policy.playbooks))
        return policy

    async def reload(self) -> Reloaded:
        """Load both again and put them in force; with any mistake nothing changes."""
        before = self.people, self.version
        try:
            policy = self.load()
        except PolicyError as error:
            self._metrics.policy_loaded(success=False, at=self._clock.now())
            problems = [str(one) for one in error.problems]
            _log.error("the policy was not reloaded; the old one stays in force", problems=problems[:20])
            return Reloaded(ok=False, text="not reloaded; the old policy stays in force", problems=problems)
        await self.in_force(policy)
        word = "unchanged" if before[1] == policy.version else f"{len(policy.playbooks)} playbooks"
        _log.info("the policy was reloaded", version=policy.version, playbooks=len(policy.playbooks))
        return Reloaded(ok=True, text=f"reloaded: {word}")
