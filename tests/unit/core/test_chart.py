"""What a chart of an incident shows."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import quote

import pytest

from receiver.core import events as ev
from receiver.core.chart import AFTER, BEFORE, LONGEST, MARKS, marks, of_alert, of_playbook, window
from receiver.core.playbook import Query, Verification
from tests.unit.core.life import Life, playbook, step


@pytest.mark.parametrize(
    ("expr", "drawn", "threshold"),
    [
        ("up == 0", "up", "== 0"),
        ("0.05 < a / b", "a / b", "> 0.05"),
        ("m > 2 * 1024 * 1024", "m", "> 2.09715e+06"),
        ("a > (1.5)", "a", "> 1.5"),
        ("a > b", "a", "None"),
        ("absent(up)", "absent(up)", "None"),
        ("a > 1 or b", "a > 1 or b", "None"),
    ],
)
def test_the_alert_s_expression_is_drawn_without_what_it_is_compared_with(
    expr: str, drawn: str, threshold: str
) -> None:
    found = of_alert(f"http://prom:9090/graph?g0.expr={quote(expr)}&g0.tab=1")
    assert found is not None
    assert (found.expr, str(found.threshold)) == (drawn, threshold)
    assert found.fires


@pytest.mark.parametrize("url", ["", "http://prom/graph", "http://prom/?g0.expr=", "http://[", "x?" + "a=b&" * 99,
                                 "http://p/?g0.expr=" + "a" * 5000])  # fmt: skip
def test_a_link_without_a_usable_expression_gives_none(url: str) -> None:
    assert of_alert(url) is None


def test_a_playbook_s_own_expression_is_filled_in_and_shows_what_is_wanted() -> None:
    query = Query('rate(errors{service="$service"}[$window])', "< 0.05", name="error rate", unit="/s")
    book = playbook(replace(step("restart"), verify=Verification(queries=(query,))))
    found = of_playbook(book, "api", {}, 1200.0)
    assert found is not None
    assert found.expr == 'rate(errors{service="api"}[120s])'
    assert (found.name, found.unit, str(found.threshold), found.fires) == ("error rate", "/s", "< 0.05", False)
    assert of_playbook(playbook(step("restart")), "api", {}, 60.0) is None


@pytest.mark.parametrize("length", [0.0, 30.0, 600.0, 7200.0, 90_000.0, 900_000.0])
def test_a_chart_begins_before_the_alert_and_reaches_past_the_end_but_never_into_the_future(length: float) -> None:
    began = 1_800_000_000.0
    start, end = window(began, began + length, began + length + 5.0)
    assert began - BEFORE <= start
    assert end <= began + length + 5.0
    assert end - start <= LONGEST
    assert start < began or length > LONGEST / 2
    assert window(began, began + length, 9e9)[1] <= began + length + AFTER


def test_an_action_is_marked_from_its_start_to_its_end_with_how_it_ended() -> None:
    life = Life(playbook(step("restart")))
    life.diagnosed()
    life.run("restart")
    life.feed(ev.Closed("ann", "enough", "cli"))
    found = marks(life.log)
    (action,) = [one for one in found if one.until is not None]
    assert action.text == "step restart: done"
    assert action.tone == "good"
    assert action.at <= (action.until or 0.0)
    assert found[0].text.endswith(" fires")
    assert found[-1].text == "closed by ann"


def test_of_many_marks_the_first_and_the_last_are_kept() -> None:
    life = Life(playbook(step("restart")))
    for number in range(30):
        life.feed(ev.TakenOver(f"p{number}", "cli"))
    found = marks(life.log)
    assert len(found) == MARKS
    assert found[0].text.endswith(" fires")
    assert found[-1].text == "p29 takes over"
