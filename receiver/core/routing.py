"""Which playbook an alert leads to, or why none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from receiver.core.matchers import all_match
from receiver.core.playbook import Playbook, Policy, Service
from receiver.core.severity import Severity


@dataclass(frozen=True, slots=True)
class Match:
    """The playbook that leads, the service that it acts on, and why."""

    playbook: Playbook
    service: Service
    severity: Severity
    reason: str


@dataclass(frozen=True, slots=True)
class NoMatch:
    """No playbook, or no service; `reason` says which and what was looked for."""

    reason: str


@dataclass(frozen=True, slots=True)
class Considered:
    """One playbook's answer, for `simulate` and for "why did nothing happen"."""

    playbook: str
    matched: bool
    reason: str


_REMEMBERED = 4096
"""Answers that a router keeps; a storm asks for few different ones."""

_LONGEST = 2000
"""Characters of label values above which an answer isn't kept."""


class Router:
    """`choose` over one policy. Holds nothing but what follows from the policy, so it is as pure as a function."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self._asked = _asked(policy)
        self._answers: dict[tuple[str | None, ...], Match | NoMatch] = {}
        self._services = {name: service for service in policy.services.values() for name in service.aliases}
        self._services.update(policy.services)

    def choose(self, labels: Mapping[str, str]) -> Match | NoMatch:
        """Return the first playbook in file order that takes these labels and whose service is managed."""
        key = tuple(map(labels.get, self._asked))
        found = self._answers.get(key)
        if found is None:
            found = self._choose(labels)
            if len(self._answers) >= _REMEMBERED:
                self._answers.clear()
            if sum(len(value) for value in key if value) <= _LONGEST:
                self._answers[key] = found
        return found

    def _choose(self, labels: Mapping[str, str]) -> Match | NoMatch:
        for playbook in self.policy.playbooks:
            if all_match(playbook.match, labels):
                return self._with_service(playbook, labels)
        return NoMatch(f"none of the {len(self.policy.playbooks)} playbooks matches")

    def explain(self, labels: Mapping[str, str]) -> tuple[Considered, ...]:
        """Say for each playbook why it does or does not take these labels."""
        return tuple(self._consider(playbook, labels) for playbook in self.policy.playbooks)

    def service_of(self, playbook: Playbook, labels: Mapping[str, str]) -> Service | None:
        """Return the entry of `services:` that the first present target label names."""
        for label in playbook.target_labels:
            if value := labels.get(label):
                return self._services.get(value)
        return None

    def _with_service(self, playbook: Playbook, labels: Mapping[str, str]) -> Match | NoMatch:
        service = self.service_of(playbook, labels)
        if service is None:
            tried = ", ".join(f'{one}="{labels[one]}"' for one in playbook.target_labels if labels.get(one))
            looked = tried or f"no label {' or '.join(playbook.target_labels)}"
            return NoMatch(f"playbook {playbook.name} matches, but its target is not managed ({looked})")
        reason = ", ".join(str(one) for one in playbook.match)
        return Match(
            playbook,
            service,
            playbook.severity_of(labels),
            f"{playbook.name}: {reason}",
        )

    def _consider(self, playbook: Playbook, labels: Mapping[str, str]) -> Considered:
        for one in playbook.match:
            if not one.matches(labels):
                actual = labels.get(one.name)
                shown = f'it is "{actual}"' if actual is not None else "the alert has no such label"
                return Considered(playbook.name, matched=False, reason=f"{one} does not hold: {shown}")
        found = self._with_service(playbook, labels)
        return Considered(playbook.name, matched=isinstance(found, Match), reason=found.reason)


def _asked(policy: Policy) -> tuple[str, ...]:
    """Return the names of all labels that an answer can depend on."""
    names: set[str] = set()
    for playbook in policy.playbooks:
        names.update(playbook.target_labels)
        for matchers in (playbook.match, *(rule.match for rule in playbook.severity_rules)):
            names.update(one.name for one in matchers)
    return tuple(sorted(names))
