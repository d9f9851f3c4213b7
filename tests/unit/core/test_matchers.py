from __future__ import annotations

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from receiver.core.matchers import (
    Matcher,
    MatcherError,
    Op,
    all_match,
    contradiction,
    implies,
    matcher,
    parse_matchers,
    possible_values,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('alertname="ServiceDown"', [("alertname", "=", "ServiceDown")]),
        ("alertname=ServiceDown", [("alertname", "=", "ServiceDown")]),
        (
            '{a="1", b!="2",c=~"x|y", d!~"z.*"}',
            [("a", "=", "1"), ("b", "!=", "2"), ("c", "=~", "x|y"), ("d", "!~", "z.*")],
        ),
        ('a="1",', [("a", "=", "1")]),
        ('  a = "1"  ', [("a", "=", "1")]),
        ('a=""', [("a", "=", "")]),
        ('a="}{,"', [("a", "=", "}{,")]),
        (r'a="q\"q\\n\n"', [("a", "=", 'q"q\\n\n')]),
        (r'a=~"\\d+"', [("a", "=~", r"\d+")]),
        (r'a=~"\d+"', [("a", "=~", r"\d+")]),
        ('"odd.name"="x"', [("odd.name", "=", "x")]),
        ("a=two words, b=c", [("a", "=", "two words"), ("b", "=", "c")]),
    ],
)
def test_what_alertmanager_reads_is_read(text: str, expected: list[tuple[str, str, str]]) -> None:
    assert [(one.name, one.op.value, one.value) for one in parse_matchers(text)] == expected


@pytest.mark.parametrize(
    ("text", "column", "words"),
    [
        ("", 0, "no matcher"),
        ("{}", 0, "no matcher"),
        ("severity", 0, "label name"),
        ('a="1" b="2"', 6, "comma"),
        ('a="1",  b', 8, "label name"),
        ('a="1', 2, "never closed"),
        ('{a="1"', 0, "brace"),
        ("a=", 1, "no value"),
        ('a=="x"', 1, "no value"),
        ('a=~"("', 4, "regular expression"),
        ('x="1", a=~"b[c"', 12, "regular expression"),
        (f'a="{"x" * 2000}"', 0, "longer"),
    ],
)
def test_a_mistake_is_told_at_its_column(text: str, column: int, words: str) -> None:
    with pytest.raises(MatcherError, match=words) as caught:
        parse_matchers(text)
    assert caught.value.column == column


@pytest.mark.parametrize(
    ("text", "labels", "expected"),
    [
        ('a="1"', {"a": "1"}, True),
        ('a="1"', {}, False),
        ('a=""', {}, True),
        ('a!=""', {}, False),
        ('a!="1"', {}, True),
        ('a=~"1|2"', {"a": "2"}, True),
        ('a=~"1|2"', {"a": "12"}, False),
        ('a=~".*"', {}, True),
        ('a=~".+"', {}, False),
        ('a!~"1.*"', {"a": "12"}, False),
        ('a!~"1.*"', {}, True),
        ('a=~".*"', {"a": "x\ny"}, False),
        ('a=~"(?s).*"', {"a": "x\ny"}, True),
        ('a=~"(?i)CRIT.*"', {"a": "critical"}, True),
        (r'a=~"\\d"', {"a": "٣"}, False),
    ],
)
def test_a_label_fulfils_a_matcher_as_in_alertmanager(text: str, labels: dict[str, str], expected: bool) -> None:
    assert all_match(parse_matchers(text), labels) is expected


@pytest.mark.parametrize(
    "expression",
    [
        "(?=a)b", "(?!a)b", "(?<=a)b", "(?<!a)b", r"(a)\1", "(?P<n>a)(?P=n)", "(?>a)", "a++", "a*+",
        "(?#note)a", "(?x)a", "[[", "a[b", "[]--", "[]", "[^]",
        r"a\Z", r"\u0041", r"\N{DIGIT ONE}", "[[:alpha:]]", "[a--b]", r"[\Z]", "a{,3}", "a{1,1001}", "a**", "(?a)b",
    ],
)  # fmt: skip
def test_what_only_one_of_alertmanager_and_python_knows_is_refused(expression: str) -> None:
    with pytest.raises(MatcherError):
        matcher("a", Op.MATCHES, expression)


@pytest.mark.parametrize(
    "expression",
    [
        "(a+)+b",
        "(a*)*",
        "(a|aa)+",
        "(a|b)*",
        "((a)*b)+",
        "(?:a+){2,}",
        "(x(a|b)y)*",
        "(a{1,}){20}",
        "(?P<n>a+)+",
        "(?i:a*)*",
    ],
)
def test_what_could_take_exponential_time_is_refused(expression: str) -> None:
    with pytest.raises(MatcherError, match="forever"):
        matcher("a", Op.MATCHES, expression)


@pytest.mark.parametrize(
    "expression",
    [
        "foo|bar", ".*", "(foo|bar)-.*", "[*+]+", r"\*+", r"a\+?", "(?:ab)+", "a{2,5}", "[]a]+", "[^]a]*",
        "(?i)x", "(?P<n>a)b", "(?i:x)y", "a*?", "a+?b", "[a-z0-9_-]+", r"web-\d{1,3}", "x{", "(foo|bar)?", "(a+)?",
        "(ab|c){1,3}", "",
    ],
)  # fmt: skip
def test_ordinary_expressions_are_taken(expression: str) -> None:
    assert matcher("a", Op.MATCHES, expression).pattern is not None


@settings(deadline=None)  # it holds a limit of its own
@given(st.text(alphabet="ab|()*+?{}[]^$.\\,1:=!<>iP-", max_size=25))
def test_no_expression_breaks_the_parser_and_none_that_is_taken_runs_away(expression: str) -> None:
    try:
        one = matcher("a", Op.MATCHES, expression)
    except MatcherError:
        return
    began = time.monotonic()
    one.matches({"a": "ab" * 15 + "a" * 20 + "!"})
    assert time.monotonic() - began < 1.0


@given(st.text(max_size=60))
def test_no_text_breaks_the_parser(text: str) -> None:
    try:
        found: tuple[Matcher, ...] = parse_matchers(text)
    except MatcherError as error:
        found, column = (), error.column
    else:
        column = len(text) if found else -1
    assert 0 <= column <= len(text)


_names = st.from_regex(re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*", re.ASCII), fullmatch=True) | st.text(
    min_size=1, max_size=8
)
_literal = st.builds(matcher, _names, st.sampled_from([Op.EQUAL, Op.NOT_EQUAL]), st.text(max_size=20))
_pattern = st.builds(
    matcher, _names, st.sampled_from([Op.MATCHES, Op.NOT_MATCHES]), st.sampled_from([".*", "a|b", "x.+", r"\d\"?"])
)


@given(st.lists(_literal | _pattern, min_size=1, max_size=5))
def test_a_printed_matcher_reads_back_the_same(matchers: list[Matcher]) -> None:
    assert parse_matchers(",".join(map(str, matchers))) == tuple(matchers)


@pytest.mark.parametrize(
    ("wide", "narrow", "expected"),
    [
        ('a="1"', 'a="1", b="2"', True),
        ('a="1", b="2"', 'a="1"', False),
        ('a=~"1|2"', 'a="1"', True),
        ('a=~"1|2"', 'a="3"', False),
        ('a=~"1|2|3"', 'a=~"1|2"', True),
        ('a=~"1|2"', 'a=~"1|2|3"', False),
        ('a=~"x.*"', 'a=~"x.*", b="1"', True),
        ('a=~"x.*"', 'a=~"xy|xz"', True),
        ('a!="1"', 'a="2"', True),
        ('a!="1"', 'a=~"2|3"', True),
        ('a!="1"', 'b="2"', False),
        ('a!~"1|2"', 'a="3"', True),
        ('a=~".*"', 'b="2"', True),
        ('a=~".+"', 'b="2"', False),
        ('a=""', 'b="2"', False),
        ('a="1"', 'a=~"1|2", a!="2"', True),
    ],
)
def test_implies_finds_what_takes_everything(wide: str, narrow: str, expected: bool) -> None:
    assert implies(parse_matchers(wide), parse_matchers(narrow)) is expected


_value = st.sampled_from(["", "1", "2", "x"])
_small = st.builds(
    matcher,
    st.sampled_from(["a", "b"]),
    st.sampled_from(list(Op)),
    st.sampled_from(["", "1", "2", "1|2", "x|1", ".*", ".+"]),
)


@given(st.lists(_small, min_size=1, max_size=4), st.lists(_small, min_size=1, max_size=4), _value, _value)
def test_implies_is_never_wrong(wide: list[Matcher], narrow: list[Matcher], a: str, b: str) -> None:
    labels = {"a": a, "b": b}
    if implies(wide, narrow) and all_match(narrow, labels):
        assert all_match(wide, labels)


@given(st.lists(_small, min_size=1, max_size=4), _value, _value)
def test_a_contradiction_matches_nothing_and_possible_values_miss_none(matchers: list[Matcher], a: str, b: str) -> None:
    labels = {"a": a, "b": b}
    if not all_match(matchers, labels):
        return
    assert contradiction(matchers) is None
    assert all(labels[name] in values for name, values in possible_values(matchers).items())


def test_a_contradiction_names_both() -> None:
    found = contradiction(parse_matchers('a="1", b="2", a=~"2|3"'))
    assert found is not None
    assert [str(one) for one in found] == ['a="1"', 'a=~"2|3"']
