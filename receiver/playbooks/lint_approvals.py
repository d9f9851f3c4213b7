"""Checks of who must agree: that enough people can, and that the names mean somebody.

Warnings only: people.yaml must always be free to take somebody's rights away, whatever playbooks name them.
"""

from __future__ import annotations

from collections.abc import Iterator

from receiver.core.playbook import ApprovalPolicy
from receiver.people import People, Role
from receiver.playbooks.build import build_approval
from receiver.playbooks.positions import Loc
from receiver.playbooks.problems import Problem
from receiver.playbooks.schema import ApprovalModel, StepModel
from receiver.playbooks.subject import Subject
from receiver.playbooks.wording import suggest


def lint_quorum(subject: Subject, loc: Loc, label: str, step: StepModel) -> Iterator[Problem]:
    """Yield for each severity at which a step asks for more people than may approve it."""
    if subject.people is None:
        return
    at: Loc = (*loc, "approval") if subject.given(*loc, "approval") else (*loc, "action")
    policy, by_severity = build_approval(step, subject.file.defaults, subject.actions)
    for where, one in (("", policy), *((f" on {name}", other) for name, other in by_severity.items())):
        able = len(_able(subject.people, one))
        if one.approvals > able:
            people = "nobody may" if able == 0 else f"only {able} may"
            text = f"{label}: asks for {one.approvals} to approve{where}, but {people} (people.yaml): it always expires"
            yield subject.warning(at, text)


def lint_approvers(subject: Subject, loc: Loc, label: str, model: ApprovalModel) -> Iterator[Problem]:
    """Yield for each name among approvers that means nobody."""
    if subject.people is None:
        return
    known = sorted([*subject.people.by_id, *subject.people.groups])
    places = [
        (loc, model.approvers),
        *(((*loc, "by_severity", name), change.approvers) for name, change in model.by_severity.items()),
    ]
    for place, names in places:
        for number, name in enumerate(names or ()):
            if name not in known:
                text = f"{label}: people.yaml has no person or group `{name}`{suggest(name, known)}"
                yield subject.warning((*place, "approvers", number), text)


def _able(people: People, policy: ApprovalPolicy) -> frozenset[str]:
    """Return who may approve as far as the files tell: of a Slack user group its members there."""
    approvers = frozenset(person.id for person in people.who_may(Role.APPROVER))
    if policy.approvers is None:
        return approvers
    groups = people.groups
    named = [groups[name].members if name in groups else frozenset({name}) for name in policy.approvers]
    return approvers.intersection(one for members in named for one in members)
