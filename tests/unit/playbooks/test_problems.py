from __future__ import annotations

import json

import pytest

from receiver.playbooks.problems import Level, Place, PolicyError, Problem, errors_of, format_problems, in_order

ONE = Problem(Place("a,b:c.yaml", 3, 7), "100 % wrong\nand more")
TWO = Problem(Place("b.yaml", 1, 2), "odd", Level.WARNING)


def test_text_is_one_line_each_with_its_place_and_warnings_marked() -> None:
    assert format_problems([ONE, TWO]) == "a,b:c.yaml:3:7: 100 % wrong\\nand more\nb.yaml:1:2: warning: odd"


def test_json_is_a_list_of_flat_objects() -> None:
    assert json.loads(format_problems([ONE, TWO], "json")) == [
        {"level": "error", "file": "a,b:c.yaml", "line": 3, "column": 7, "message": "100 % wrong\nand more"},
        {"level": "warning", "file": "b.yaml", "line": 1, "column": 2, "message": "odd"},
    ]
    assert format_problems([], "json") == "[]"


def test_github_annotations_are_escaped() -> None:
    assert format_problems([ONE, TWO], "github").splitlines() == [
        "::error file=a%2Cb%3Ac.yaml,line=3,col=7::100 %25 wrong%0Aand more",
        "::warning file=b.yaml,line=1,col=2::odd",
    ]


def test_an_unknown_format_is_refused() -> None:
    with pytest.raises(ValueError, match="one of text, json, github"):
        format_problems([], "xml")


def test_problems_are_sorted_by_file_as_given_then_place_and_told_once() -> None:
    late, early = Problem(Place("z", 9, 1), "x"), Problem(Place("z", 2, 5), "x")
    assert in_order([TWO, late, early, late], ["z", "b.yaml"]) == [early, late, TWO]


def test_the_thousandth_mistake_is_the_last_that_is_told_and_errors_behind_it_still_count() -> None:
    many = [Problem(Place("f", line), "odd", Level.WARNING) for line in range(1, 1500)]
    assert [str(one) for one in in_order(many, [])[1000:]] == ["f:1001:1: warning: and 499 more from here on"]
    many.append(Problem(Place("f", 2000), "wrong"))
    assert [str(one) for one in errors_of(in_order(many, []))] == ["f:1001:1: and 500 more from here on"]


def test_an_error_carries_all_and_shows_one_a_line() -> None:
    error = PolicyError([TWO, TWO])
    assert (error.problems, str(error).count("\n")) == ((TWO, TWO), 1)
    assert errors_of([ONE, TWO]) == [ONE]
