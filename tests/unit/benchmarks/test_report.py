"""The benchmark's arithmetic and words; the measuring itself is for `make benchmark`."""

import json
import re

import pytest

from receiver.web.parsing import parse
from tests.benchmarks.load import Load, template
from tests.benchmarks.machine import described, others, others_used
from tests.benchmarks.rates import AT_64, BARE, CONNECTIONS, EVERYWHERE, FOLD, OURS, SIZES, Measured, sections
from tests.benchmarks.report import Figure, Section, render


@pytest.mark.parametrize("alerts", SIZES)
def test_a_template_filled_in_is_a_webhook_whose_alerts_all_differ(alerts: int) -> None:
    text = template(alerts)
    assert text.count("@F") == alerts
    numbers = iter(range(10**6))
    text = re.sub("@F", lambda _: f"{next(numbers):016x}", text)
    text = re.sub("@N", lambda _: f"{next(numbers):08x}", text).replace("@S", "svc-0001")
    delivery = parse(text.encode(), 0.0)
    assert (len(delivery.alerts), delivery.bad) == (alerts, ())
    assert len({one.fingerprint for one in delivery.alerts}) == alerts
    assert {one.labels["service"] for one in delivery.alerts} == {"svc-0001"}
    assert json.loads(text)["commonLabels"].get("service", "svc-0001") == "svc-0001"


@pytest.mark.parametrize(
    ("figure", "verdict"),
    [
        (Figure("rate", 31, "%", 30, 45), "met, the goal not yet"),
        (Figure("rate", 45, "%", 30, 45), "met, and the goal too"),
        (Figure("rate", 29.9, "%", 30, 45), "**missed**"),
        (Figure("memory", 250, "MB", 250, most=True), "met"),
        (Figure("memory", 251, "MB", 250, most=True), "**missed**"),
        (Figure("times", 1, "x", 2, minimal=1.5), "missed, and out of the minimal program's reach too"),
        (Figure("times", 1, "x", 2, minimal=2.5), "**missed**"),
    ],
)
def test_a_figure_is_judged_in_words(figure: Figure, verdict: str) -> None:
    assert figure.verdict == verdict
    assert figure.row()[-1] == verdict


def test_the_report_names_what_is_missed_before_anything_else() -> None:
    good = Section("Rates", "How.", ["a"], [["1"]], [Figure("fine", 2, "x", 1)])
    bad = Section("Memory", "How.", figures=[Figure("too much", 300, "MB", 250, most=True)])
    report = render("A machine.", [good, bad], seconds=120, quick=False)
    summary, rest = report.split("## Rates")
    assert "1 of 2 bars are met." in summary
    assert "- missed: too much: 300 MB, at most 250 MB" in summary
    assert "| fine | 2 x | at least 1 x |" in rest


def test_the_rates_are_told_for_every_size_and_number_of_connections() -> None:
    found = Measured()
    for connections in CONNECTIONS:
        for alerts in SIZES:
            for name in AT_64 if connections == 64 else EVERYWHERE:
                rate = {BARE: 1000, OURS: 400, FOLD: 500}.get(name, 100)
                found.loads[name, connections, alerts] = [Load(rate, 1.0, 1.0, 2.0, 3.0, 0, 0)]
    found.repeats = {1: [(100.0, 50.0)]}
    rates, beside, repeats = sections(found)
    assert len(rates.rows) == len(SIZES) * len(CONNECTIONS)
    shares = {figure.what: figure.value for figure in beside.figures}
    assert shares["of (a), 10 a webhook"] == pytest.approx(40.0)
    assert shares["times (b), 1 a webhook"] == pytest.approx(4.0)
    assert [figure.value for figure in repeats.figures] == [50.0]


def test_the_machine_is_described_without_names_or_paths() -> None:
    assert re.fullmatch(r"Measured on \d+ cores [^/]*\.\d+ ms\.", described())
    assert re.fullmatch(r"Other processes used \d+\.\d of the \d+ cores meanwhile\.", others(others_used(), 1.0))
