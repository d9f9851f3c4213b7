"""A document whose every value knows its file, line and column, and documents laid over each other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from receiver.playbooks.problems import Place

Loc: TypeAlias = tuple[str | int, ...]
Scalar: TypeAlias = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class ScalarNode:
    """A single value. `columns` holds the column of each character when it is written on one line, else nothing."""

    place: Place
    value: Scalar
    columns: tuple[int, ...] = ()

    def place_of(self, offset: int) -> Place:
        """Return where a character of the text stands; the value's own place when that can't be told."""
        if 0 <= offset < len(self.columns):
            return Place(self.place.file, self.place.line, self.columns[offset])
        return self.place


@dataclass(frozen=True, slots=True)
class ListNode:
    """A sequence."""

    place: Place
    items: tuple[Node, ...] = ()


@dataclass(frozen=True, slots=True)
class MapNode:
    """A mapping; `keys` says where each key stands."""

    place: Place
    entries: Mapping[str, Node] = field(default_factory=dict)
    keys: Mapping[str, Place] = field(default_factory=dict)


Node: TypeAlias = ScalarNode | ListNode | MapNode


def plain(node: Node) -> object:
    """Return the value without positions."""
    if isinstance(node, MapNode):
        return {key: plain(value) for key, value in node.entries.items()}
    if isinstance(node, ListNode):
        return [plain(item) for item in node.items]
    return node.value


def find(node: Node, loc: Loc) -> Node | None:
    """Return the node at a path of keys and indexes, None when there is none."""
    for part in loc:
        if isinstance(node, MapNode) and isinstance(part, str) and part in node.entries:
            node = node.entries[part]
        elif isinstance(node, ListNode) and isinstance(part, int) and 0 <= part < len(node.items):
            node = node.items[part]
        else:
            return None
    return node


def nearest(node: Node, loc: Loc) -> Node:
    """Return the deepest node on a path: the one itself, or what should have held it."""
    for length in range(len(loc), 0, -1):
        if (found := find(node, loc[:length])) is not None:
            return found
    return node


def place_of(node: Node, loc: Loc) -> Place:
    """Return where a path stands: its value, or for what isn't there the key of what should have held it."""
    if (found := find(node, loc)) is not None:
        return found.place
    for length in range(len(loc) - 1, 0, -1):
        if (holder := find(node, loc[:length])) is not None:
            return holder.place if isinstance(holder, ScalarNode) else key_place(node, loc[:length])
    return node.place


def key_place(node: Node, loc: Loc) -> Place:
    """Return where the key of an entry stands; for an item of a list, the item."""
    holder = find(node, loc[:-1])
    last = loc[-1] if loc else None
    if isinstance(holder, MapNode) and isinstance(last, str) and last in holder.keys:
        return holder.keys[last]
    return nearest(node, loc).place


def path_text(node: Node, loc: Loc) -> str:
    """Return a path for people, list items by their name: `playbooks.service-down.steps.restart.timeout`."""
    shown: list[str] = []
    for length, part in enumerate(loc, 1):
        if isinstance(find(node, loc[: length - 1]), ScalarNode):
            break
        name = find(node, (*loc[:length], "name")) if isinstance(part, int) else None
        named = isinstance(name, ScalarNode) and isinstance(name.value, str) and name.value
        shown.append(str(name.value) if named and isinstance(name, ScalarNode) else str(part))
    return ".".join(shown)


def walk(node: Node, loc: Loc = ()) -> Iterator[tuple[Loc, Node]]:
    """Yield every node with its path, parents first."""
    yield loc, node
    if isinstance(node, MapNode):
        for key, value in node.entries.items():
            yield from walk(value, (*loc, key))
    elif isinstance(node, ListNode):
        for index, item in enumerate(node.items):
            yield from walk(item, (*loc, index))


def overlay(base: Node, over: Node) -> Node:
    """Lay a document over another: mappings by key, lists of named entries by name, everything else replaced.

    A named entry that the base lacks is appended, an empty value takes the base's away. Positions stay those of the
    file that a value comes from.
    """
    if isinstance(base, MapNode) and isinstance(over, MapNode):
        entries, keys = dict(base.entries), {**base.keys, **over.keys}
        for key, value in over.entries.items():
            if key not in base.entries:
                entries[key] = value
            elif isinstance(value, ScalarNode) and value.value is None:
                del entries[key], keys[key]
            else:
                entries[key] = overlay(entries[key], value)
        return MapNode(over.place, entries, keys)
    if isinstance(base, ListNode) and isinstance(over, ListNode):
        return _overlay_lists(base, over)
    return over


def _overlay_lists(base: ListNode, over: ListNode) -> ListNode:
    names = {_name(item): index for index, item in enumerate(base.items)}
    if None in names or not over.items or any(_name(item) is None for item in over.items):
        return over
    items = list(base.items)
    for item in over.items:
        index = names.get(_name(item))
        if index is None:
            items.append(item)
        else:
            items[index] = overlay(items[index], item)
    return ListNode(base.place, tuple(items))


def _name(node: Node) -> str | None:
    name = node.entries.get("name") if isinstance(node, MapNode) else None
    return name.value if isinstance(name, ScalarNode) and isinstance(name.value, str) else None


class StandIn(ScalarNode):
    """A value put in place of a wrong or missing one, so that the rest can still be checked."""

    __slots__ = ()


def put(node: Node, loc: Loc, value: Node) -> Node:
    """Return the tree with another value at a path that has a holder."""
    if not loc:
        return value
    first, rest = loc[0], loc[1:]
    if isinstance(node, MapNode) and isinstance(first, str):
        inner = put(node.entries[first], rest, value) if rest else value
        return MapNode(node.place, {**node.entries, first: inner}, node.keys)
    if isinstance(node, ListNode) and isinstance(first, int):
        items = list(node.items)
        items[first] = put(items[first], rest, value)
        return ListNode(node.place, tuple(items))
    return node


def cut(node: Node, locs: Iterable[Loc]) -> Node:
    """Return the tree without these values; a mapping still knows the keys that it was given."""
    here: set[str | int] = set()
    below: dict[str | int, list[Loc]] = {}
    for loc in locs:
        if len(loc) == 1:
            here.add(loc[0])
        elif loc:
            below.setdefault(loc[0], []).append(loc[1:])
    if isinstance(node, MapNode):
        entries = {
            key: cut(value, below[key]) if key in below else value
            for key, value in node.entries.items()
            if key not in here
        }
        return MapNode(node.place, entries, node.keys)
    if isinstance(node, ListNode):
        items = enumerate(node.items)
        kept = (cut(item, below[index]) if index in below else item for index, item in items if index not in here)
        return ListNode(node.place, tuple(kept))
    return node
