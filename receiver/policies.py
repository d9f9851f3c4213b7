"""Policy and people as the files say, loaded at the start and again on demand: a bad file is refused, the old stays."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import structlog

from receiver.core.playbook import Policy
from receiver.metrics import Metrics
from receiver.people import People, Role
from receiver.playbooks import Place, PolicyError, Problem, check_files, errors_of, load_policy
from receiver.playbooks.people_file import load_people
from receiver.ports import Clock, StoreUnavailable
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
        self._one_at_a_time = asyncio.Lock()
        self.people = People()
        self.version = ""
        self.in_force: Callable[[Policy], Awaitable[None]] = _nowhere

    def load(self) -> Policy:
        """Read the files; raises PolicyError with every mistake of both."""
        policy, people = self._read()
        self._took(policy, people)
        return policy

    def in_slack(self) -> list[tuple[str, str]]:
        """Return the Slack users, as (team, user), of everybody who responds to incidents."""
        return [(one.team, one.user) for person in self.people.who_may(Role.RESPONDER) for one in person.slack]

    async def reload(self) -> Reloaded:
        """Load both again and put them in force; with any mistake nothing changes."""
        async with self._one_at_a_time:
            before = self.version, self.people
            try:
                policy, people = self._read()
                await self.in_force(policy)
            except PolicyError as error:
                return self._refused([str(one) for one in error.problems])
            except StoreUnavailable as error:
                return self._refused([f"the store does not answer: {error}"])
            self._took(policy, people)
            counts = f"{len(policy.playbooks)} playbooks, {len(people.by_id)} people"
            _log.info("policy and people were reloaded", version=policy.version, holds=counts)
            changed = before != (policy.version, people)
            return Reloaded(ok=True, text=f"reloaded: {counts}" if changed else f"reloaded: unchanged ({counts})")

    def _refused(self, problems: list[str]) -> Reloaded:
        self._metrics.policy_loaded(success=False, at=self._clock.now())
        _log.error("the policy was not reloaded; the old one stays in force", problems=problems[:20])
        return Reloaded(ok=False, text="not reloaded; the old policy stays in force", problems=problems)

    def _took(self, policy: Policy, people: People) -> None:
        self.people, self.version = people, policy.version
        self._metrics.policy_loaded(success=True, at=self._clock.now(), playbooks=len(policy.playbooks))

    def _read(self) -> tuple[Policy, People]:
        """Read both files; what is no mistake but deserves a look is logged."""
        problems: list[Problem] = []
        people: People | None = None
        try:
            people = self._people()
        except PolicyError as error:
            problems += error.problems
        paths = list(self._settings.playbooks)
        ways = self._settings.escalation_paths
        found = check_files(paths, self._actions, self._environment, escalation_paths=ways, people=people)
        if people is None or errors_of(found):
            raise PolicyError([*errors_of(found), *problems])
        for warning in found:
            _log.warning("the policy deserves a look", problem=str(warning))
        return load_policy(paths, self._actions, self._environment), people

    def _people(self) -> People:
        file = self._settings.people_file
        if file is not None:
            return load_people(file)
        if self.people.by_id:
            # Without people everybody on this machine may turn the kill switch; nobody means that by moving a file.
            text = (
                f"is gone; it named {len(self.people.by_id)} people, who stay. Put it back, or let it say `people: []`"
            )
            raise PolicyError([Problem(Place(str(self._settings.people)), text)])
        return People()
