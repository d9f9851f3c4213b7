"""YAML 1.2 text to nodes with positions, whatever the bytes: every mistake is a `Problem`, never an exception.

The values are built from the parser's events, so that nothing deeper, larger or more often repeated than the limits
below is ever held: a file of aliases that would unfold to gigabytes is refused at its first excess.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, StringMark, YAMLError
from ruamel.yaml.events import AliasEvent, DocumentStartEvent, MappingStartEvent, ScalarEvent, SequenceStartEvent
from ruamel.yaml.reader import ReaderError

from receiver.playbooks.positions import ListNode, MapNode, Node, Scalar, ScalarNode
from receiver.playbooks.problems import Place, PolicyError, Problem

MAX_BYTES = 256 * 1024
MAX_DEPTH = 20
MAX_NODES = 50_000

_INT = re.compile(r"[-+]?[0-9]{1,18}|0o[0-7]{1,18}|0x[0-9a-fA-F]{1,15}", re.ASCII)
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]{1,18}(\.[0-9]*)?)([eE][-+]?[0-9]{1,3})?", re.ASCII)
_WORDS: dict[str, Scalar] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_STANDARD_TAGS = {f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null", "map", "seq")}

# What the scanner raises on some malformed input beside its own errors (seen by fuzzing: bad escapes, directives).
_SCANNER_SLIPS = (ValueError, IndexError, KeyError, AttributeError, TypeError, OverflowError, AssertionError)


class _Refused(Exception):
    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


def read_file(path: Path) -> tuple[Node | None, list[Problem]]:
    """Read a YAML file; None when it can't be read at all. Mistakes that don't prevent reading on come beside it."""
    start = Place(str(path))
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        return None, [Problem(start, f"cannot be read: {error.strerror or error}")]
    return read_bytes(data, str(path))


def read_bytes(data: bytes, file: str) -> tuple[Node | None, list[Problem]]:
    """Read YAML bytes as if they were those of `file`."""
    if len(data) > MAX_BYTES:
        return None, [Problem(Place(file), f"is larger than {MAX_BYTES // 1024} KiB; that is no policy file")]
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8", "replace")
        return None, [Problem(_place_at(file, before), f"byte 0x{data[error.start]:02x} is not UTF-8")]
    builder = _Builder(file, text)
    try:
        return builder.document(), builder.problems
    except _Refused as refused:
        return None, [*builder.problems, refused.problem]
    except ReaderError as error:
        what = f"character U+{error.character:04X} is not allowed in YAML"
        return None, [*builder.problems, Problem(_place_at(file, text[: error.position]), what)]
    except MarkedYAMLError as error:
        return None, [*builder.problems, _syntax(file, error)]
    except (YAMLError, RecursionError, *_SCANNER_SLIPS) as error:
        return None, [*builder.problems, Problem(Place(file), f"is not YAML: {str(error)[:200] or 'malformed'}")]


def load_node(path: Path) -> Node:
    """Read a YAML file or raise.

    Raises:
        PolicyError: it can't be read, or says something twice.
    """
    node, problems = read_file(path)
    if node is None or problems:
        raise PolicyError(problems)
    return node


def _place_at(file: str, before: str) -> Place:
    return Place(file, before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1)


def _syntax(file: str, error: MarkedYAMLError) -> Problem:
    mark = error.problem_mark or error.context_mark
    place = Place(file, mark.line + 1, mark.column + 1) if isinstance(mark, StringMark) else Place(file)
    what = (error.problem or "malformed").strip()
    context = f" ({error.context.strip()})" if error.context else ""
    hints = {
        "mapping values are not allowed here": "; is the indentation right, or a text with a colon not quoted?",
        "found character '\\t' that cannot start any token": "; indent with spaces",
    }
    return Problem(place, f"is not YAML: {what}{context}{hints.get(what, '')}")


class _Builder:
    """Turns the events of one document into nodes."""

    def __init__(self, file: str, text: str) -> None:
        self.file = file
        self.text = text
        self.problems: list[Problem] = []
        self._anchors: dict[str, tuple[Node, int]] = {}
        self._nodes = 0
        self._events: Iterator[Any] = iter(())

    def document(self) -> Node | None:
        yaml = YAML(typ="safe", pure=True)
        self._events = iter(yaml.parse(self.text))
        root: Node | None = None
        for event in self._events:
            if not isinstance(event, DocumentStartEvent):
                continue
            if root is not None:
                raise self._refusal(event, "a second document begins; one file holds one document")
            root = self._node(next(self._events), 0)
        if root is None or (isinstance(root, ScalarNode) and root.value is None):
            self.problems.append(Problem(Place(self.file), "is empty"))
            return None
        return root

    def _place(self, event: Any) -> Place:
        return Place(self.file, event.start_mark.line + 1, event.start_mark.column + 1)

    def _refusal(self, event: Any, message: str) -> _Refused:
        return _Refused(Problem(self._place(event), message))

    def _count(self, event: Any, nodes: int) -> None:
        self._nodes += nodes
        if self._nodes > MAX_NODES:
            raise self._refusal(event, f"holds more than {MAX_NODES} values (aliases count as what they repeat)")

    def _node(self, event: Any, depth: int) -> Node:
        if depth > MAX_DEPTH:
            raise self._refusal(event, f"is nested deeper than {MAX_DEPTH} levels")
        if isinstance(event, AliasEvent):
            return self._alias(event)
        before = self._nodes
        self._count(event, 1)
        tag = getattr(event, "tag", None)
        if tag is not None and tag not in {*_STANDARD_TAGS, "!"}:
            self.problems.append(Problem(self._place(event), f"tag {tag} is not supported; remove it"))
        if isinstance(event, MappingStartEvent):
            node: Node = self._mapping(event, depth)
        elif isinstance(event, SequenceStartEvent):
            node = self._sequence(event, depth)
        else:
            node = self._scalar(event)
        if event.anchor:
            self._anchors[event.anchor] = node, self._nodes - before
        return node

    def _alias(self, event: AliasEvent) -> Node:
        # An anchor is known once its value ended, so a value can't contain itself.
        if event.anchor not in self._anchors:
            raise self._refusal(event, f"alias *{event.anchor} has no anchor before it")
        node, size = self._anchors[event.anchor]
        self._count(event, size)
        return node

    def _sequence(self, start: Any, depth: int) -> ListNode:
        items: list[Node] = []
        for event in self._events:
            if type(event).__name__ == "SequenceEndEvent":
                break
            items.append(self._node(event, depth + 1))
        return ListNode(self._place(start), tuple(items))

    def _mapping(self, start: Any, depth: int) -> MapNode:
        entries: dict[str, Node] = {}
        keys: dict[str, Place] = {}
        for event in self._events:
            if type(event).__name__ == "MappingEndEvent":
                break
            place = self._place(event)
            key = self._key(self._node(event, depth + 1), place)
            value = self._node(next(self._events), depth + 1)
            if key is None:
                continue
            if key in entries:
                message = f"`{key}` is here a second time; the first is in line {keys[key].line}"
                self.problems.append(Problem(place, message))
                continue
            entries[key], keys[key] = value, place
        return MapNode(self._place(start), entries, keys)

    def _key(self, node: Node, place: Place) -> str | None:
        if not isinstance(node, ScalarNode):
            self.problems.append(Problem(place, "a key must be a text, not a list or mapping"))
            return None
        if node.value == "<<":
            self.problems.append(Problem(place, "merge keys (<<) are not part of YAML 1.2; use `defaults` or repeat"))
            return None
        if node.value is None:
            self.problems.append(Problem(place, "a key is missing before the colon"))
            return None
        text = node.value if isinstance(node.value, str) else str(node.value)
        if text.endswith(":"):
            self.problems.append(
                Problem(place, f"`{text}` is taken for a key with a colon in it; write a space behind it")
            )
            return None
        return text

    def _scalar(self, event: ScalarEvent) -> ScalarNode:
        text = str(event.value)
        value: Scalar = text
        is_plain = event.style is None and event.tag is None
        if is_plain:
            value = _resolve(text)
        return ScalarNode(self._place(event), value, self._columns(event, text) if isinstance(value, str) else ())

    def _columns(self, event: ScalarEvent, text: str) -> tuple[int, ...]:
        """Return each character's column, for texts on one line that are written as they are (or with '' only)."""
        start, end = event.start_mark, event.end_mark
        source = self.text[start.index : end.index]
        first = start.column + 1
        if source.startswith(text) and event.style is None:
            return tuple(range(first, first + len(text)))
        if source == f'"{text}"':
            return tuple(range(first + 1, first + 1 + len(text)))
        if event.style == "'" and source.replace("''", "'")[1:-1] == text:
            return tuple(_single_quoted(text, first + 1))
        if event.style == '"' and "\n" not in source:
            return tuple(_double_quoted(source, text, first))
        return ()


def _single_quoted(text: str, column: int) -> Iterator[int]:
    for character in text:
        yield column
        column += 2 if character == "'" else 1


def _double_quoted(source: str, text: str, first: int) -> list[int]:
    found: list[int] = []
    position = 1
    while position < len(source) - 1:
        found.append(first + position)
        width = 1
        if source[position] == "\\":
            width = {"x": 4, "u": 6, "U": 10}.get(source[position + 1], 2)
        position += width
    return found if len(found) == len(text) else []


def _resolve(text: str) -> Scalar:
    """Return a plain scalar's value by YAML 1.2's core schema; `on`, `yes` and dates are texts."""
    if text in _WORDS:
        return _WORDS[text]
    if _INT.fullmatch(text):
        return int(text, 0) if text[:2] in {"0o", "0x"} else int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text
