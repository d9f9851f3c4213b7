"""The demo service's parts, without a socket."""

import json
import threading
from pathlib import Path

import pytest

from deploy.demo.service.meters import BUCKETS, Meters
from deploy.demo.service.proxy import Backends
from deploy.demo.service.work import MAX_WAITING, Release, Worker, release

HANDLER = "/work"


def meters() -> Meters:
    return Meters("1.0", (HANDLER,), (200, 500))


def worker(share: float = 0.0) -> Worker:
    return Worker(Release("1.0", share), meters(), slots=2, seconds=0.0)


def test_every_series_is_there_before_the_first_request() -> None:
    assert 'http_requests_total{handler="/work",status="500"} 0' in meters().render()


def test_buckets_are_cumulative_and_end_with_all() -> None:
    counted = meters()
    for seconds in (0.01, 0.3, 400.0):
        counted.observe(HANDLER, 200, seconds)
    text = counted.render()
    assert 'http_request_duration_seconds_bucket{handler="/work",le="0.5"} 2' in text
    assert 'http_request_duration_seconds_bucket{handler="/work",le="120.0"} 2' in text
    assert 'http_request_duration_seconds_bucket{handler="/work",le="+Inf"} 3' in text
    assert 'http_request_duration_seconds_count{handler="/work"} 3' in text


def test_a_value_on_a_bound_belongs_to_that_bucket() -> None:
    counted = meters()
    counted.observe(HANDLER, 200, 1.0)
    assert 'bucket{handler="/work",le="1.0"} 1' in counted.render()
    assert 'bucket{handler="/work",le="0.5"} 0' in counted.render()


def test_the_thresholds_of_the_rules_are_bounds_of_buckets() -> None:
    assert {0.5, 1.0, 15.0, 30.0} <= set(BUCKETS)
    assert max(BUCKETS) == 120.0


@pytest.mark.parametrize(("share", "failures"), [(0.0, 0), (0.1, 1), (0.5, 5), (1.0, 10)])
def test_exactly_the_wanted_share_fails(share: float, failures: int) -> None:
    assert _run(worker(share), 10).count(500) == failures


def _run(one: Worker, times: int) -> list[int]:
    return [one.run() for _ in range(times)]


def test_a_fault_can_be_taken_back_but_not_below_what_the_build_does() -> None:
    one = worker(0.5)
    one.set_fault("errors", 1.0)
    assert _run(one, 4) == [500] * 4
    one.set_fault("none", 0.0)
    assert sorted(_run(one, 4)) == [200, 200, 500, 500]


@pytest.mark.parametrize(("mode", "share"), [("sulk", 0.5), ("errors", 1.5), ("errors", -0.1)])
def test_a_senseless_fault_is_refused(mode: str, share: float) -> None:
    with pytest.raises(ValueError, match=r"no such mode|share must be"):
        worker().set_fault(mode, share)


def test_errors_leave_the_plain_health_alone_but_show_in_its_parts() -> None:
    one = worker()
    one.set_fault("errors", 0.5)
    assert one.health()["models"] == "degraded"
    one.set_fault("none", 0.0)
    assert set(one.health().values()) == {"healthy"}


def test_a_build_that_is_bad_doesn_t_know_it() -> None:
    assert set(worker(0.5).health().values()) == {"healthy"}


def test_more_waiting_requests_than_the_bound_are_refused() -> None:
    counted = meters()
    counted.wait(MAX_WAITING)
    assert Worker(Release(), counted, slots=1, seconds=0.0).run() == 503


def test_slots_bound_what_runs_at_once() -> None:
    counted = meters()
    one = Worker(Release(), counted, slots=1, seconds=0.05)
    threads = [threading.Thread(target=one.run) for _ in range(3)]
    for thread in threads:
        thread.start()
    assert "http_request_queue_depth 0" not in counted.render()
    for thread in threads:
        thread.join()
    assert "http_request_queue_depth 0" in counted.render()


def test_a_build_says_what_it_is_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "release.json"
    path.write_text(json.dumps({"version": "1.1", "error_share": 0.5}))
    assert release(path) == Release("1.1", 0.5)
    assert release(tmp_path / "none") == Release()


def backends(healthy: list[tuple[str, int]], known: list[tuple[str, int]]) -> Backends:
    return Backends("name", 8000, None, healthy=healthy, known=known)


A, B = ("10.0.0.1", 8000), ("10.0.0.2", 8000)


def test_healthy_backends_take_turns() -> None:
    both = backends([A, B], [A, B])
    assert {both.order()[0], both.order()[0]} == {A, B}


def test_the_backend_with_the_least_under_way_is_first() -> None:
    both = backends([A, B], [A, B])
    both.begin(A)
    assert [both.order()[0] for _ in range(3)] == [B, B, B]
    both.end(A)
    assert {both.order()[0], both.order()[0]} == {A, B}


def test_an_unhealthy_backend_is_asked_only_when_no_other_is_left() -> None:
    assert backends([A], [A, B]).order() == [A]
    assert backends([], [B]).order() == [B]
    assert backends([], []).order() == []


def test_a_file_that_is_being_written_names_no_backend(tmp_path: Path) -> None:
    path = tmp_path / "backends.json"
    path.write_text('["127.0.0.1:1"')
    assert Backends("name", 8000, path).resolve() == []
    path.write_text('["127.0.0.1:1"]')
    assert Backends("name", 8000, path).resolve() == [("127.0.0.1", 1)]
