from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from receiver.core.template import (
    MAX_RENDERED,
    TemplateError,
    check_url_template,
    promql_regex,
    promql_text,
    query_slots,
    render,
    render_deep,
    render_query,
    slots,
    url_part,
)

LABELS = {"instance": "web-1:8000", "odd.name": "x", "evil": '"} or vector(1) #', "rx": "a.b|c"}
NOTES = {"summary": "it is down"}


def query(expr: str, *, service: str = "api", window: float = 37.9) -> str:
    return render_query(expr, LABELS, NOTES, service=service, window=window)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("on {{ labels.instance }}: {{annotations.summary}}!", "on web-1:8000: it is down!"),
        ('{{ labels["odd.name"] }}', "x"),
        ("{{ labels['odd.name'] }}", "x"),
        ('{"a": {"b": 1}}', '{"a": {"b": 1}}'),
        ('{{ "{{" }} labels.instance }}', "{{ labels.instance }}"),
        ("}} {{ labels.instance }}", "}} web-1:8000"),
        ("$service stays", "$service stays"),
    ],
)
def test_names_are_filled_in(text: str, expected: str) -> None:
    assert render(text, LABELS, NOTES) == expected


@pytest.mark.parametrize(
    ("text", "offset"),
    [
        ("a {{ foo }}", 2),
        ("{{ labels }}", 0),
        ("{{ labels.a.b }}", 0),
        ("{{ labels.a | upper }}", 0),
        ("{{ labels.a() }}", 0),
        ("{{ 1 + 1 }}", 0),
        ("{{ __import__('os') }}", 0),
        ("{{ labels.__class__.__mro__ }}", 0),
        ("x{{ labels.instance", 1),
        ("{{}}", 0),
        ("{{ {{ labels.instance }} }}", 0),
        ("{% if x %}{{ labels.é }}", 10),
    ],
)
def test_braces_hold_names_and_nothing_else(text: str, offset: int) -> None:
    with pytest.raises(TemplateError) as caught:
        render(text, LABELS, NOTES)
    assert caught.value.offset == offset


def test_a_missing_label_is_named_with_those_that_there_are() -> None:
    with pytest.raises(TemplateError, match=r"no label 'job' \(it has: evil, instance, odd.name, rx\)"):
        render("{{ labels.job }}", LABELS, NOTES)
    with pytest.raises(TemplateError, match="no annotation 'runbook'"):
        render("{{ annotations.runbook }}", LABELS, NOTES)


def test_a_value_is_never_read_as_a_template() -> None:
    assert render("{{ labels.a }}", {"a": "{{ labels.b }}", "b": "!"}, {}) == "{{ labels.b }}"


def test_a_result_has_a_limit() -> None:
    with pytest.raises(TemplateError, match="longer"):
        render("{{ labels.a }}", {"a": "x" * (MAX_RENDERED + 1)}, {})


def test_everything_within_lists_and_mappings_is_filled_in_and_keys_are_not() -> None:
    value = {
        "{{ labels.instance }}": ["{{ labels.instance }}", 1, None, True, {"deep": ("{{ annotations.summary }}",)}]
    }
    expected = {"{{ labels.instance }}": ["web-1:8000", 1, None, True, {"deep": ["it is down"]}]}
    assert render_deep(value, LABELS, NOTES) == expected


@pytest.mark.parametrize(
    "text",
    [
        "http://{{ labels.h }}/x",
        "http://api{{ labels.h }}/x",
        "http://api:{{ labels.h }}/x",
        "{{ labels.h }}://api/x",
        "{{ labels.h }}",
        "https://u:{{ labels.h }}@api/x",
        "http://api\\{{ labels.h }}/",
    ],
)
def test_a_value_never_forms_a_host(text: str) -> None:
    with pytest.raises(TemplateError, match="host"):
        check_url_template(text)


@given(st.text(max_size=30))
def test_a_value_in_an_url_stays_one_part_of_it(value: str) -> None:
    shown = render("http://api:80/jobs/{{ labels.a }}/run?id={{ labels.a }}#end", {"a": value}, {})
    parts = urlsplit(shown)
    assert (parts.scheme, parts.netloc, parts.fragment) == ("http", "api:80", "end")
    assert parts.path.count("/") == 3
    assert ".." not in parts.path.split("/")
    assume(not re.search("[\ud800-\udfff]", value))
    assert unquote(parts.path.split("/")[2]) == value


def test_dots_cannot_step_out_of_a_path() -> None:
    assert url_part("..") == "%2E%2E"


@pytest.mark.parametrize(
    ("expr", "expected"),
    [
        ('up{service="$service"}[$window]', 'up{service="api"}[37s]'),
        ("up{instance='{{ labels.instance }}'}", "up{instance='web-1:8000'}"),
        ('up{i="{{ labels["odd.name"] }}"}', 'up{i="x"}'),
        ('up{i="{{ labels.evil }}"}', 'up{i="\\"} or vector(1) #"}'),
        ('up{i=~"{{ labels.rx }}"}', 'up{i=~"a\\\\.b\\\\|c"}'),
        ('up{i=~"x.*|{{ labels.rx }}"}', 'up{i=~"x.*|a\\\\.b\\\\|c"}'),
        ('up{i!~ "{{ labels.rx }}"}', 'up{i!~ "a\\\\.b\\\\|c"}'),
        ('up{i=~"a", j="{{ labels.rx }}"}', 'up{i=~"a", j="a.b|c"}'),
        ("up # it's {{ anything }} $here\n + 1", "up # it's {{ anything }} $here\n + 1"),
        ('label_replace(up, "a", "$1", "b", "x$")', 'label_replace(up, "a", "$1", "b", "x$")'),
        (r'up{a="\"$service"}', r'up{a="\"api"}'),
        ("up{a=`\\`, b='$service'}", "up{a=`\\`, b='api'}"),
        ("up{a='#', b='$service'}", "up{a='#', b='api'}"),
    ],
)
def test_a_query_is_filled_in_and_escaped(expr: str, expected: str) -> None:
    assert query(expr) == expected


@pytest.mark.parametrize(
    ("expr", "offset", "words"),
    [
        ("up{service=$service}", 11, "double quotes"),
        ("up > {{ labels.x }}", 5, "double quotes"),
        ("up{a=`$service`}", 6, "double quotes"),
        ("rate(up[$__rate_interval])", 8, "unknown variable"),
        ('up{a="$window"}', 6, "outside quotes"),
        ('up{a="x}', 5, "never closed"),
        ('up{a="{{ x }}"}', 6, "no template"),
    ],
)
def test_a_query_template_has_its_places(expr: str, offset: int, words: str) -> None:
    with pytest.raises(TemplateError, match=words) as caught:
        query_slots(expr)
    assert caught.value.offset == offset


def test_a_window_is_at_least_a_second() -> None:
    assert query("x[$window]", window=0.2) == "x[1s]"


def test_slots_tell_what_is_used() -> None:
    assert [str(slot) for slot in query_slots('a{s="$service", i="{{ labels.i }}"}[$window]')] == [
        "$service",
        "labels.i",
        "$window",
    ]
    assert [(slot.source, slot.name, slot.offset) for slot in slots("ab{{ labels.i }}")] == [("labels", "i", 2)]


def _unquote(text: str, mark: str) -> str:
    """Read a PromQL string as Prometheus does."""
    assert text[0] == text[-1] == mark
    inner = text[1:-1]
    assert "\n" not in inner
    found, position = "", 0
    while position < len(inner):
        if inner[position] == "\\":
            found += {"\\": "\\", mark: mark, "n": "\n", "r": "\r"}[inner[position + 1]]
            position += 2
        else:
            assert inner[position] != mark
            found += inner[position]
            position += 1
    return found


@given(st.text(max_size=30), st.sampled_from(['"', "'"]))
def test_a_value_never_leaves_its_quotes(value: str, mark: str) -> None:
    shown = render_query(f"up{{a={mark}{{{{ labels.a }}}}{mark}}}", {"a": value}, {}, service="s", window=1)
    assert _unquote(shown[len("up{a=") : -1], mark) == value
    assert _unquote(f"{mark}{promql_text(value, mark)}{mark}", mark) == value


@given(st.text(max_size=30))
def test_a_value_as_an_expression_matches_itself_only(value: str) -> None:
    assert re.fullmatch(promql_regex(value), value)
    assert not re.fullmatch(promql_regex(value), value + "x")


@given(st.text(alphabet="{}[]labels.aX \"'$servicewindow`#=~\\\n", max_size=40) | st.text(max_size=40))
def test_no_text_breaks_the_template_language(text: str) -> None:
    calls: list[Any] = [lambda: render(text, LABELS, NOTES), lambda: query(text), lambda: check_url_template(text)]
    for call in calls:
        offset = 0
        try:
            call()
        except TemplateError as error:
            offset = error.offset
        assert 0 <= offset <= len(text)
