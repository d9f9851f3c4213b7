"""A file under check: its models, and where each of their values stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from receiver.people import People
from receiver.playbooks.actions import ActionFacts
from receiver.playbooks.positions import Loc, MapNode, Node, ScalarNode, StandIn, find, key_place, place_of
from receiver.playbooks.problems import Level, Problem
from receiver.playbooks.schema import FileModel


@dataclass(frozen=True, slots=True)
class Subject:
    """What the checks look at.

    Args:
        file: the models, without what was wrong.
        node: the tree that they were made of; paths into it are paths into the models.
        actions: the known actions, by name.
        people: everybody, of whom approvals are asked; None: not known here.
    """

    file: FileModel
    node: Node
    actions: Mapping[str, ActionFacts]
    people: People | None = None

    def given(self, *loc: str | int) -> bool:
        """Whether the file says something there, right or wrong."""
        holder = find(self.node, loc[:-1])
        return isinstance(holder, MapNode) and loc[-1] in holder.keys

    def trusted(self, *loc: str | int) -> bool:
        """Whether the value is the file's own, not a stand-in for a wrong one."""
        return not isinstance(find(self.node, loc), StandIn)

    def error(self, loc: Loc, message: str, *, offset: int | None = None, key: bool = False) -> Problem:
        """Return an error at a value, at a character of it, or at its key."""
        found = find(self.node, loc)
        if offset is not None and isinstance(found, ScalarNode):
            return Problem(found.place_of(offset), message)
        return Problem(key_place(self.node, loc) if key else place_of(self.node, loc), message)

    def warning(self, loc: Loc, message: str) -> Problem:
        """Return a warning at a value."""
        return Problem(place_of(self.node, loc), message, Level.WARNING)
