"""Pictures: what of Prometheus' answer is drawn, and the process that draws it."""

import os
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from receiver.chat.charts.picture import LINES, NoChart, Wanted, _start, chosen, draw
from receiver.core.chart import Mark, Plotted
from receiver.ports import Series

pytestmark = pytest.mark.anyio


def asked(**changes: Any) -> dict[str, Any]:
    """Return what the process is asked to draw."""
    points = [(1_764_036_000.0 + second, None if 20 < second < 25 else float(second % 9)) for second in range(120)]
    base: dict[str, Any] = {
        "title": "P1 ServiceDown on api",
        "name": "up",
        "unit": "",
        "start": 1_764_036_000.0,
        "end": 1_764_036_120.0,
        "series": [{"name": "value", "points": points}],
        "more": 0,
        "threshold": {"value": 3.0, "text": "fires when > 3"},
        "marks": [{"at": 1_764_036_030.0, "until": None, "text": "fires", "tone": "warn"}],
    }
    return base | changes


@pytest.mark.parametrize(
    "changes",
    [
        {"title": "$x_1$ \\frac{ <!channel> \x00\u202e ☃" * 20, "name": "a" * 9000},
        {"threshold": None, "marks": [], "unit": "$"},
        {"series": [{"name": "flat", "points": [(1_764_036_000.0, 5e300), (1_764_036_001.0, None)]}]},
        {"threshold": {"value": -1e300, "text": "fires when < -1e+300"}},
        {"series": [{"name": f"i={n}", "points": [(1_764_036_000.0, -n)]} for n in range(LINES)], "more": 3},
        {"marks": [{"at": 1_764_036_030.0 + n, "until": 9e9, "text": f"m{n}", "tone": "?"} for n in range(12)]},
    ],
)
async def test_whatever_an_alert_says_becomes_a_picture_of_a_bounded_size(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    drawn = await draw(asked(**changes), tmp_path)
    width, height = struct.unpack(">II", drawn[16:24])
    assert width == 1200
    assert 600 < height < 3000


async def test_a_picture_that_cannot_be_drawn_is_said_with_the_last_words(tmp_path: Path) -> None:
    with pytest.raises(NoChart, match="drawing failed"):
        await draw({"title": "no more than that"}, tmp_path)


async def test_the_process_that_draws_gets_none_of_our_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REMEDIATOR_SLACK_TOKEN", "xoxb-secret")
    script = tmp_path / "python"
    script.write_text(f"#!/bin/sh\nenv > {tmp_path}/env\n")
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script))
    with pytest.raises(NoChart):
        await draw(asked(), tmp_path)
    assert "secret" not in (tmp_path / "env").read_text()
    assert "MPLCONFIGDIR" in (tmp_path / "env").read_text()


def test_the_service_itself_never_loads_matplotlib() -> None:
    code = "import sys, receiver.app, receiver.serving; sys.exit('matplotlib' in sys.modules or 'numpy' in sys.modules)"
    environment = {"PATH": os.environ["PATH"]}
    assert subprocess.run([sys.executable, "-c", code], env=environment, check=False).returncode == 0


def test_series_that_contradict_the_alert_s_labels_are_others() -> None:
    own = Series({"service": "api", "instance": "1"}, [(1.0, 1.0)])
    other = Series({"service": "web"}, [(1.0, 1.0), (2.0, 9.0)])
    assert chosen([other, own], {"service": "api", "job": "x"}) == ([own], 0)
    assert chosen([other], {"service": "api"}) == ([other], 0)


def test_a_chart_of_a_service_that_is_new_does_not_begin_with_nothing() -> None:
    plotted = Plotted("up", "up", None, fires=True)
    wanted = Wanted("t", plotted, {}, 0.0, 100.0, [Mark(60.0, "fires")])
    assert _start(wanted, [Series({}, [(50.0, 1.0)])]) == 45.0
    assert _start(wanted, [Series({}, [(90.0, 1.0)])]) == 55.0, "what happened is always shown"
    assert _start(wanted, [Series({}, [(20.0, 1.0)])]) == 0.0


def test_of_many_series_those_that_move_most_are_drawn() -> None:
    found = [Series({"n": str(n)}, [(1.0, 0.0), (2.0, float(n))]) for n in range(10)]
    lines, more = chosen([*found, Series({"n": "x"}, [(1.0, float("nan"))])], {})
    assert [one.labels["n"] for one in lines] == ["9", "8", "7", "6", "5", "4"]
    assert more == 4
