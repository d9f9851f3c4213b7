from __future__ import annotations

from pathlib import Path

import pytest

from receiver.playbooks.positions import ScalarNode, find, plain
from receiver.playbooks.problems import PolicyError
from receiver.playbooks.reader import MAX_BYTES, load_node, read_bytes, read_file


def value_of(text: str) -> object:
    node, problems = read_bytes(text.encode(), "f")
    assert problems == []
    assert node is not None
    return plain(node)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1", {"a": 1}),
        ("a: 012", {"a": 12}),
        ("a: 0o17", {"a": 15}),
        ("a: 0xff", {"a": 255}),
        ("a: -1.5e3", {"a": -1500.0}),
        ("a: .5", {"a": 0.5}),
        ("[yes, on, 2024-01-01, 1:30, .inf, 1_000]", ["yes", "on", "2024-01-01", "1:30", ".inf", "1_000"]),
        ("a: true\nb: False", {"a": True, "b": False}),
        ("a: ~\nb:\nc: null", {"a": None, "b": None, "c": None}),
        ("a: '1'\nb: \"true\"", {"a": "1", "b": "true"}),
        ("a: !!str 1", {"a": "1"}),
        ("1: x\ntrue: y", {"1": "x", "True": "y"}),
        ("a: &x [1, 2]\nb: *x", {"a": [1, 2], "b": [1, 2]}),
        ("a: |\n  one\n  two\n", {"a": "one\ntwo\n"}),
        ("\ufeffa: 1", {"a": 1}),
        ("%YAML 1.1\n---\na: on", {"a": "on"}),
        ("- [a, {b: c}]", [["a", {"b": "c"}]]),
    ],
)  # fmt: skip
def test_yaml_is_read_by_the_core_schema(text: str, expected: object) -> None:
    assert value_of(text) == expected


@pytest.mark.parametrize(
    ("data", "where", "words"),
    [
        (b"", "1:1", "is empty"),
        (b"# nothing\n", "1:1", "is empty"),
        (b"a: b: c", "1:5", "mapping values are not allowed here; is the indentation right"),
        (b"a:\n\t- b", "2:1", "indent with spaces"),
        (b"a: [1,", "1:7", "is not YAML"),
        (b"a: 'x", "1:6", "is not YAML"),
        (b"a: 1\n---\nb: 2", "2:1", "a second document begins"),
        (b"a: *x", "1:4", "alias *x has no anchor before it"),
        (b"a: &x [*x]", "1:8", "alias *x has no anchor before it"),
        (b"a: 1\nb: 2\na: 3", "3:1", "`a` is here a second time; the first is in line 1"),
        (b"a: {b: 1, b: 2}", "1:11", "`b` is here a second time"),
        (b"a: &x {b: 1}\nc:\n  <<: *x", "3:3", "merge keys (<<)"),
        (b"a: {b:}", "1:5", "`b:` is taken for a key with a colon in it; write a space behind it"),
        (b"? [a]\n: b", "1:3", "a key must be a text"),
        (b": b", "1:1", "a key is missing"),
        (b"a: !!python/object:os.system x", "1:4", "tag tag:yaml.org,2002:python/object:os.system is not supported"),
        (b"a: !x y", "1:4", "tag !x is not supported"),
        (b"a: \xff", "1:4", "byte 0xff is not UTF-8"),
        ("ä\nöö: \x00".encode(), "2:5", "character U+0000 is not allowed"),
        (b"a: " + b"[" * 60, "1:24", "nested deeper than 20 levels"),
        (b"[" * 100_000, "1:22", "nested deeper"),
        (b"- " * 100_000, "1:43", "nested deeper"),
        (b"x" * (MAX_BYTES + 1), "1:1", "larger than 256 KiB"),
        (b"%YAML x\n---\na: 1", "1:7", "is not YAML"),
        (b'a: "\\UFFFFFFFF"', "1:1", "is not YAML"),
    ],
)
def test_what_cannot_be_read_is_told_at_its_place(data: bytes, where: str, words: str) -> None:
    _, problems = read_bytes(data, "f")
    assert [str(problem).split(": ")[0] for problem in problems] == [f"f:{where}"]
    assert words in problems[0].message


def test_aliases_that_unfold_to_gigabytes_are_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    node, problems = read_bytes("\n".join(lines).encode(), "f")
    assert node is None
    assert "holds more than 50000 values" in problems[0].message


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("a: xyz", [4, 5, 6]),
        ('a: "xyz"', [5, 6, 7]),
        ("a: 'x''z'", [5, 6, 8]),
        (r'a: "x\"z\u0041."', [5, 6, 8, 9, 15]),
        ("a: |\n  xyz\n", []),
        ("a: x\n  y", []),
        ('a: "x\\\n  y"', []),
    ],
)
def test_each_character_knows_its_column_when_it_can_be_told(text: str, columns: list[int]) -> None:
    node, _ = read_bytes(text.encode(), "f")
    assert node is not None
    scalar = find(node, ("a",))
    assert isinstance(scalar, ScalarNode)
    assert list(scalar.columns) == columns
    assert [scalar.place_of(offset).column for offset in range(len(columns))] == columns
    assert scalar.place_of(99) == scalar.place


def test_a_missing_file_and_a_folder_are_mistakes_and_no_exceptions(tmp_path: Path) -> None:
    for path, words in ((tmp_path / "no.yaml", "No such file"), (tmp_path, "Is a directory")):
        node, problems = read_file(path)
        assert node is None
        assert words in str(problems[0])
        with pytest.raises(PolicyError, match=words):
            load_node(path)
