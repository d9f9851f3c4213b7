"""The demo service in its containers: what breaks it, what a restart cures and what it doesn't."""

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from deploy.demo import images
from deploy.demo.stage import HEALTHY_WITHIN, Stage, body, create
from deploy.parts.process import poll_until

pytestmark = pytest.mark.docker

WORK = "/api/v1/resumes"


def asked(stage: Stage, times: int = 4) -> Counter[int]:
    return Counter(httpx.get(f"{stage.url}{WORK}", timeout=15.0).status_code for _ in range(times))


def restart(stage: Stage) -> None:
    identity = stage.containers()[0]["Id"]
    assert stage.engine.post(f"/containers/{identity}/restart", params={"t": "3"}).status_code == httpx.codes.NO_CONTENT
    stage.await_healthy()


def docker_health(stage: Stage) -> str:
    status: str = stage.containers()[0]["State"]["Health"]["Status"]
    return status


@pytest.fixture(autouse=True)
def good(stage: Stage) -> None:
    stage.deploy(images.GOOD)


def test_a_good_service_answers_work_health_and_metrics(stage: Stage) -> None:
    assert asked(stage, 3) == {200: 3}
    assert httpx.get(f"{stage.url}/health/database").json() == {"status": "healthy"}
    assert 'http_requests_total{handler="/api/v1/resumes",status="500"} 0' in httpx.get(f"{stage.url}/metrics").text


def test_an_error_fault_fails_its_share_and_a_restart_cures_it(stage: Stage) -> None:
    stage.fault("errors", 0.5)
    assert asked(stage) == {200: 2, 500: 2}
    assert stage.healthy()
    restart(stage)
    assert asked(stage) == {200: 4}


def test_a_degraded_part_answers_200_and_says_degraded(stage: Stage) -> None:
    stage.fault("degraded")
    answer = httpx.get(f"{stage.url}/health/database")
    assert (answer.status_code, answer.json()) == (200, {"status": "degraded"})
    assert not stage.healthy()


def test_a_bad_image_passes_its_health_check_and_a_restart_doesn_t_cure_it(stage: Stage) -> None:
    stage.deploy(images.BAD)
    assert docker_health(stage) == "healthy"
    assert asked(stage) == {200: 2, 500: 2}
    restart(stage)
    assert asked(stage) == {200: 2, 500: 2}
    stage.deploy(images.GOOD)
    assert asked(stage) == {200: 4}


def test_a_hung_process_runs_but_its_health_check_fails(stage: Stage) -> None:
    stage.fault("hang")
    poll_until(lambda: docker_health(stage) == "unhealthy", HEALTHY_WITHIN, "it hasn't become unhealthy")
    assert stage.containers()[0]["State"]["Running"]
    restart(stage)
    assert asked(stage, 2) == {200: 2}


def test_a_stopped_service_ends_in_order_whatever_is_under_way(stage: Stage) -> None:
    stage.fault("hang")
    with ThreadPoolExecutor(30) as pool:
        # Each of them leaves a thread that hangs.
        asking = [pool.submit(httpx.get, f"{stage.url}{WORK}", timeout=0.5) for _ in range(30)]
        assert all(isinstance(one.exception(), httpx.TimeoutException) for one in asking)
    stage.stop()
    assert stage.containers()[0]["State"]["ExitCode"] == 0


def test_a_second_instance_is_found_by_its_alias_and_gets_half_of_the_requests(stage: Stage) -> None:
    create(stage.engine, "smartresume-smartresume-api-2", body("smartresume-api", images.GOOD, number=2))
    stage.await_healthy()
    time.sleep(1.0)
    before = backends(stage)
    asked(stage)
    after = backends(stage)
    assert [after[name] - before.get(name, 0) for name in after] == [2, 2]


def backends(stage: Stage) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for line in httpx.get(f"{stage.url}/-/metrics").text.splitlines():
        if line.startswith("proxy_requests_total"):
            name = line.split('backend="')[1].split('"')[0]
            counts[name] += int(line.split()[-1])
    addresses = {
        facts["NetworkSettings"]["Networks"]["smartresume_default"]["IPAddress"] for facts in stage.containers()
    }
    return {name: count for name, count in sorted(counts.items()) if name.split(":")[0] in addresses}
