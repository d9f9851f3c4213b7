"""Who may do what at this moment: people.yaml as it is now, and user groups as Slack last told them."""

from __future__ import annotations

from collections.abc import Callable

from receiver.core.principal import LOCAL, Principal
from receiver.people import People, Role
from receiver.ports import UserGroups


class Approvers:
    """Answers whether somebody may do something, from today's people; what isn't known is a no.

    Args:
        people: returns everybody, as the last reload left them.
        groups: says who is in a user group; None: only people.yaml says so.
    """

    def __init__(self, people: Callable[[], People], groups: UserGroups | None = None) -> None:
        self._people = people
        self._groups = groups

    def forbids(self, by: Principal, role: Role) -> str | None:
        """Say why somebody may not do what needs a role; None: they may."""
        people = self._people()
        person = people.get(by.person)
        if person is not None:
            return None if person.may(role) else f"{by.person} may not do this: it needs the role {role} in people.yaml"
        if by.person == LOCAL and not people.by_id and role is not Role.APPROVER:
            return None
        return f"{by.person} may not do this: people.yaml doesn't name them"

    def able(self, names: tuple[str, ...] | None) -> frozenset[str]:
        """Return the ids of those who may approve, among these people and groups; None: everybody with the role."""
        people = self._people()
        approvers = frozenset(person.id for person in people.who_may(Role.APPROVER))
        if names is None:
            return approvers
        return approvers.intersection(one for name in names for one in self._called(people, name))

    def _called(self, people: People, name: str) -> frozenset[str]:
        """Return whom a name means: a person, or a group's members."""
        group = people.groups.get(name)
        if group is None:
            return frozenset({name})
        users = None
        if group.slack is not None and self._groups is not None:
            users = self._groups.members(group.slack.team, group.slack.group)
        if users is None or group.slack is None:
            return group.members
        found = (people.by_slack(group.slack.team, user) for user in users)
        return frozenset(person.id for person in found if person is not None)
