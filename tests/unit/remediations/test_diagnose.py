"""Each question of a diagnosis fails alone, in bounded time, and a failed one is never a good answer."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import httpx
import pytest

from remediations.diagnose import DiagnoseAction
from remediations.protocol import EngineUnavailable, Instance, Json, Outcome, Runtime, Target
from remediations.testing import CrashingRuntime, Lab, memory_lab
from tests.unit.remediations.helpers import fail_health, intend, lines

pytestmark = pytest.mark.anyio
ACTION = DiagnoseAction()


async def diagnose(lab: Lab, runtime: Runtime | None = None, **parameters: Any) -> Outcome:
    intent = await intend(lab, ACTION, **parameters)
    return await ACTION.execute(lab.context(runtime), intent)


def by_name(outcome: Outcome) -> Mapping[str, Any]:
    return {finding["name"]: finding for finding in outcome.data["findings"]}


async def test_a_healthy_service_has_nothing_that_stands_out() -> None:
    async with memory_lab() as made:
        lines(made, {"api-1": ("INFO fine",), "api-2": ("INFO 0 errors",)})
        lab = replace(made, target=replace(made.target, health_urls=("http://api.test/health",)))
        outcome = await diagnose(lab)
        assert outcome.text == "nothing stands out"
        assert {finding["ok"] for finding in outcome.data["findings"]} == {True}
        assert "health http://api.test/health" in by_name(outcome)


async def test_errors_in_the_log_are_grouped_and_told() -> None:
    async with memory_lab() as lab:
        lines(lab, {"api-1": ("INFO begun", "ERROR pool 1 is empty", "ERROR pool 2 is empty", "ERROR other")})
        finding = by_name(await diagnose(lab))["log of api-1"]
        assert finding["ok"] is False
        assert finding["data"]["errors"] == 3
        assert finding["data"]["groups"][0]["count"] == 2
        assert "3 error lines in the last 4 log lines: 2 x ERROR pool 2 is empty" in finding["text"]


async def test_an_empty_log_is_not_zero_errors() -> None:
    async with memory_lab() as lab:
        assert by_name(await diagnose(lab))["log of api-1"]["ok"] is None


async def test_a_log_that_cannot_be_read_fails_alone() -> None:
    class Unreadable(CrashingRuntime):
        async def logs(self, target: Target, instance: Instance, lines: int) -> tuple[str, ...]:
            raise EngineUnavailable("the log driver `none` keeps nothing")

    async with memory_lab() as lab:
        findings = by_name(await diagnose(lab, Unreadable(lab.runtime)))
        assert findings["log of api-1"]["ok"] is None
        assert "the log driver `none` keeps nothing" in findings["log of api-1"]["text"]
        assert findings["state of api-1"]["ok"] is True


async def test_a_question_that_hangs_is_cut_and_the_others_are_answered() -> None:
    class Hanging(CrashingRuntime):
        async def stats(self, target: Target, instance: Instance) -> Json:
            await asyncio.sleep(60)
            return {}

    async with memory_lab() as lab:
        findings = by_name(await diagnose(lab, Hanging(lab.runtime), time_limit=0.05))
        assert findings["load of api-1"]["ok"] is None
        assert "no answer within 0.05 s" in findings["load of api-1"]["text"]
        assert findings["state of api-1"]["ok"] is True


async def test_a_missing_target_is_a_finding_and_its_endpoints_are_asked_all_the_same() -> None:
    async with memory_lab() as lab:
        gone = replace(lab.target, service="nobody", health_urls=("http://api.test/health",))
        outcome = await diagnose(replace(lab, target=gone))
        findings = by_name(outcome)
        assert findings["instances"]["ok"] is None
        assert "nobody" in findings["instances"]["text"]
        assert findings["health http://api.test/health"]["ok"] is True
        assert "without a clear answer" in outcome.text


async def test_a_failing_instance_and_endpoint_stand_out() -> None:
    def degraded(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"status": "degraded"})

    async with memory_lab() as lab, httpx.AsyncClient(transport=httpx.MockTransport(degraded)) as http:
        await fail_health(lab, "api-2")
        target = replace(lab.target, health_urls=("http://api.test/health",))
        outcome = await diagnose(replace(lab, target=target, http=http))
        assert "1 of 2 instances of api serve" in outcome.text
        findings = by_name(outcome)
        assert findings["state of api-2"]["ok"] is False
        assert findings["health http://api.test/health"]["data"]["word"] == "degraded"


async def test_an_instance_short_of_memory_stands_out() -> None:
    class Full(CrashingRuntime):
        async def stats(self, target: Target, instance: Instance) -> Json:
            return {"cpu_ratio": 0.5, "memory_bytes": 95 * 2**20, "memory_limit_bytes": 100 * 2**20}

    async with memory_lab() as lab:
        finding = by_name(await diagnose(lab, Full(lab.runtime)))["load of api-1"]
        assert finding["ok"] is False
        assert finding["text"] == "api-1: 0.50 CPU cores, 95 of 100 MiB of memory (95%)"


@pytest.mark.parametrize(
    ("found", "ok", "told"),
    [
        ({"free": 2**30, "total": 40 * 2**30}, False, "disk of memory: 1.0 of 40.0 GiB are free"),
        ({"free": 9 * 2**30, "total": 40 * 2**30}, True, "disk of memory: 9.0 of 40.0 GiB are free"),
        ({"images": 5 * 2**20, "volumes": 0}, True, "disk of memory: 5 MiB in images, 0 MiB in volumes"),
    ],
)
async def test_the_disk_is_told_and_a_full_one_stands_out(found: Mapping[str, int], ok: bool, told: str) -> None:
    class Stored(CrashingRuntime):
        async def disk(self) -> Json:
            return found

    async with memory_lab() as lab:
        finding = by_name(await diagnose(lab, Stored(lab.runtime)))["disk"]
        assert (finding["ok"], finding["text"]) == (ok, told)
