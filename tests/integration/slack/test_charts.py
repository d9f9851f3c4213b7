"""Charts in threads: drawn from the alert's expression, shown once, and never in anybody's way."""

import json
import math
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from receiver.chat.charts import picture
from receiver.chat.charts.picture import Painter, Wanted, _points
from receiver.chat.slack import charts as module
from receiver.chat.slack.charts import CHARTS, ChartLane
from receiver.chat.slack.files import SlackFiles
from receiver.chat.slack.lane import LANE
from receiver.core.principal import Principal
from receiver.ports import MetricsUnavailable, Series
from tests.integration.slack.scene import Scene, scene
from tests.integration.slack.test_incident import RESTART
from tests.slack_double import Fault
from tests.slack_double.state import File, Message

pytestmark = pytest.mark.anyio

EXPRESSION = 'up{job="api"} == 0'
PNG = b"\x89PNG\r\n\x1a\n not really one"


@dataclass
class Ranges:
    """A Prometheus that knows the whole past."""

    asked: list[tuple[str, float, float, float]] = field(default_factory=list)
    broken: int = 0
    empty: bool = False

    async def query_range(self, expr: str, start: float, end: float, step: float) -> Sequence[Series]:
        self.asked.append((expr, start, end, step))
        if self.broken > 0:
            self.broken -= 1
            raise MetricsUnavailable("Prometheus gave no answer")
        count = int((end - start) / step)
        points = [(start + number * step, float(number % 7)) for number in range(count)]
        return [] if self.empty else [Series({"job": "api", "instance": "one"}, points)]


@dataclass
class Drawn:
    """A scene, and the charts' lane in it."""

    one: Scene
    painter: "Remembered"
    seen: list[tuple[str, str]] = field(default_factory=list)
    lane: ChartLane = field(init=False)

    @property
    def ranges(self) -> Ranges:
        return self.painter.ranges

    @property
    def wanted(self) -> list[Wanted]:
        return self.painter.wanted

    async def live(self, seconds: float) -> None:
        """Let both lanes work."""
        until = self.one.world.clock.now() + seconds
        while self.one.world.clock.now() < until:
            await self.one.live(5.0)
            while await self.lane.step() == 0.0:
                pass

    def restart(self) -> None:
        """Begin anew with both lanes, as after a crash."""
        self.one.restart()
        files = SlackFiles(self.one.chat._api, self.one.http, "http://slack.example/api")
        world = self.one.world
        observe = self.seen.append
        self.lane = ChartLane(
            world.store, world.clock, files, self.painter, self.one.lane.budget, lambda *each: observe(each)
        )

    @property
    def files(self) -> list[File]:
        return [file for file in self.one.double.team.files.values() if file.completed]

    def shown(self) -> list[Message]:
        return [message for message in self.one.messages() if message.files]

    async def incident(self, seconds: float = 60.0, expression: str = EXPRESSION) -> None:
        """Let an incident begin and resolve."""
        world = self.one.world
        alert = replace(world.alert(), generator_url=f"http://prom/graph?g0.expr={quote(expression)}&g0.tab=1")
        world.fails()
        await world.fire(alert)
        await self.live(seconds)
        await world.fire(replace(world.alert(status="resolved"), generator_url=alert.generator_url))
        await self.live(seconds)
        assert not (await world.incident()).open


class Remembered(Painter):
    """Remembers what was asked of it; draws only when told to."""

    def __init__(self, ranges: Ranges, cache: Path, *, draws: bool) -> None:
        super().__init__(ranges, cache)
        self.ranges = ranges
        self.draws = draws
        self.wanted: list[Wanted] = []
        self.defect: Exception | None = None

    async def paint(self, wanted: Wanted) -> bytes:
        self.wanted.append(wanted)
        if self.defect is not None:
            raise self.defect
        if self.draws:
            return await super().paint(wanted)
        await self.ranges.query_range(wanted.plotted.expr, wanted.start, wanted.end, 1.0)
        return PNG


@asynccontextmanager
async def drawn(directory: Path, *, really: bool = False) -> AsyncIterator[Drawn]:
    """Yield a scene with charts."""
    async with scene(directory, RESTART, memory=True) as one:
        one.world.engine.lanes = (LANE, CHARTS)
        place = Drawn(one, Remembered(Ranges(), directory / "charts", draws=really))
        place.restart()
        yield place


async def test_an_incident_s_end_is_shown_as_a_real_picture_in_its_thread(tmp_path: Path) -> None:
    async with drawn(tmp_path, really=True) as place:
        await place.incident()
        (file,), (message,) = place.files, place.shown()
        assert file.data is not None
        assert file.data.startswith(b"\x89PNG")
        assert len(file.data) > 10_000
        (header,) = place.one.top()
        assert message.thread_ts == header.ts
        assert not message.broadcast
        assert file.title == 'P1 ServiceDown on api: up{job="api"}'
        (asked,) = place.wanted
        assert asked.plotted.expr == 'up{job="api"}'
        assert str(asked.plotted.threshold) == "== 0"
        assert [mark.text for mark in asked.marks] == [
            "ServiceDown fires",
            "step restart: done",
            "verified",
            "resolved",
        ]
        assert asked.start < asked.marks[0].at < asked.marks[-1].at <= asked.end
        assert place.seen == [(CHARTS, "sent")]
        assert not (await place.one.world.store.letters(dead=False)).items


async def test_the_chart_comes_after_what_it_shows(tmp_path: Path) -> None:
    async with drawn(tmp_path) as place:
        world = place.one.world
        await world.fire(replace(world.alert(), generator_url=f"http://prom/?g0.expr={quote(EXPRESSION)}"))
        await place.live(60.0)
        await world.operations.close_incident((await world.incident()).id, by=Principal("ann", "cli"), reason="enough")
        for _ in range(5):
            await place.lane.step()
        assert not place.wanted, "it overtook what happened before it"
        await place.live(30.0)
        assert place.one.thread()[-1].files


async def test_a_secret_in_an_alert_reaches_neither_the_picture_nor_what_is_said_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with drawn(tmp_path) as place:
        place.painter._redact = lambda text: text.replace("known-by-value", "***")
        drew: list[str] = []

        async def draw(asked: object, _cache: Path) -> bytes:
            drew.append(json.dumps(asked))
            return PNG

        monkeypatch.setattr(picture, "draw", draw)
        place.painter.draws = True
        real, said = place.one.chat.api.call, list[str]()

        async def call(method: str, **arguments: Any) -> dict[str, Any]:
            if method.startswith("files."):
                said.append(json.dumps(arguments))
            return await real(method, **arguments)

        monkeypatch.setattr(place.one.chat.api, "call", call)
        await place.incident(expression=f'up{{a="{"x" * 140}",token="known-by-value"}} == 0')
        assert place.shown()
        assert "***" in "".join(drew)
        assert "***" in "".join(said)
        assert "known" not in "".join([*drew, *said]), "a secret, or a half of one"


async def test_slack_has_time_to_show_a_file_before_its_thread_is_looked_through(tmp_path: Path) -> None:
    async with drawn(tmp_path) as place:
        place.one.double.faults.add(Fault.answer_lost(), "files.completeUploadExternal")
        await place.incident()
        (sent,) = [one.at for one in place.one.double.calls if one.method == "files.completeUploadExternal"]
        looks = [one.at for one in place.one.double.calls if one.method == "conversations.replies"]
        assert looks
        assert min(looks) >= sent + module.SETTLE


async def test_an_alert_that_prometheus_does_not_confirm_brings_no_expression(tmp_path: Path) -> None:
    async with drawn(tmp_path) as place:
        place.one.world.metrics.confirms = False
        await place.one.world.fire(
            replace(place.one.world.alert(), generator_url="http://evil/graph?g0.expr=secret_series")
        )
        await place.live(60.0)
        incident = await place.one.world.incident()
        await place.one.world.operations.close_incident(incident.id, by=Principal("ann", "cli"), reason="no")
        await place.live(60.0)
        assert not [expr for expr, *_ in place.ranges.asked if "secret" in expr]
        assert not (await place.one.world.store.letters(dead=False)).items


@pytest.mark.parametrize("what", ["upload", "files.getUploadURLExternal", "files.completeUploadExternal"])
@pytest.mark.parametrize("fault", [Fault.answer_lost(), Fault.dropped(), Fault.too_fast(7), Fault.server_error(500)])
async def test_whatever_fails_the_chart_is_shown_once(tmp_path: Path, what: str, fault: Fault) -> None:
    async with drawn(tmp_path) as place:
        place.one.double.faults.add(fault, what, times=2)
        await place.incident(90.0)
        await place.live(120.0)
        assert len(place.shown()) == 1
        assert not (await place.one.world.store.letters(dead=False)).items
        assert not (await place.one.world.store.letters(dead=True)).items


async def test_a_crash_between_the_chart_and_its_note_shows_it_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Crash(BaseException):
        """Not an error that anything handles."""

    async with drawn(tmp_path) as place:
        real = place.lane._files.show

        async def show(file: str, title: str, reference: str) -> None:
            await real(file, title, reference)
            raise Crash

        monkeypatch.setattr(place.lane._files, "show", show)
        with pytest.raises(Crash):
            await place.incident()
        place.restart()
        await place.live(60.0)
        assert len(place.shown()) == 1
        assert not (await place.one.world.store.letters(dead=False)).items


async def test_without_the_scope_it_is_said_once_and_the_incident_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with drawn(tmp_path) as place:
        place.one.double.allow("chat:write", "channels:read", "channels:history")
        await place.incident()
        place.one.world.clock.time += 400.0
        await place.incident()
        assert not place.shown()
        assert place.one.told()[-1].endswith("/summary")
        assert place.one.called("files.getUploadURLExternal") == ["missing_scope"]
        assert not (await place.one.world.store.letters(dead=False)).items
        out = capsys.readouterr()
        assert (out.out + out.err).count("slack.no_charts") == 1


async def test_a_chart_that_prometheus_has_no_figures_for_is_left_out_quietly(tmp_path: Path) -> None:
    async with drawn(tmp_path, really=True) as place:
        place.ranges.empty = True
        await place.incident()
        assert place.seen == [(CHARTS, "dropped")]
        assert not place.shown()
        assert not (await place.one.world.store.letters(dead=True)).items


async def test_a_prometheus_that_does_not_answer_is_asked_five_times(tmp_path: Path) -> None:
    async with drawn(tmp_path) as place:
        place.ranges.broken = 100
        await place.incident()
        await place.live(1800.0)
        assert len(place.ranges.asked) == 5
        assert place.seen == [(CHARTS, "retry")] * 4 + [(CHARTS, "dropped")]


async def test_an_outage_shorter_than_a_chart_is_of_use_costs_no_chart(tmp_path: Path) -> None:
    async with drawn(tmp_path) as place:
        place.one.double.faults.outage(3600.0)
        await place.incident()
        await place.live(4000.0)
        assert len(place.shown()) == 1
        start, end = place.ranges.asked[-1][1:3]
        assert end - start < 600.0, "it shows the incident, not the outage"


async def test_in_a_storm_only_the_worst_are_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with drawn(tmp_path) as place:
        monkeypatch.setattr(module, "KEPT", 0)
        await place.incident()
        assert not place.wanted
        assert not (await place.one.world.store.letters(dead=False)).items


async def test_a_defect_of_a_chart_costs_that_chart_alone(tmp_path: Path) -> None:
    async with drawn(tmp_path) as place:
        place.painter.defect = ZeroDivisionError()
        with pytest.raises(ZeroDivisionError):
            await place.incident()
        await place.lane._broke(ZeroDivisionError())
        await place.live(30.0)
        assert len(place.wanted) == 1
        assert not [one for one in (await place.one.world.store.letters(dead=False)).items if one.row.lane == CHARTS]


def test_a_gap_in_the_figures_is_a_gap_in_the_line() -> None:
    points = _points(Series({}, [(0.0, 1.0), (1.0, 2.0), (9.0, 3.0), (10.0, math.inf)]), 1.0)
    assert points == [(0.0, 1.0), (1.0, 2.0), (2.0, None), (9.0, 3.0), (10.0, None)]
