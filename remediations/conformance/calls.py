"""The conformance suite for the action `http`: its effect is at a receiver, not at the runtime."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import ClassVar

import httpx
import pytest

from remediations.conformance.actions import ActionConformance
from remediations.conformance.faults import Crashed
from remediations.conformance.lab import ACTION_ID, HaltAfter, Lab, RuntimeLab
from remediations.http import HttpAction
from remediations.protocol import EngineUnavailable, Halted, Instance, Json, OutcomeUnknown, Progress, Remediation

URL = "http://deploys.test/deployments"


class Receiver(httpx.AsyncBaseTransport):
    """A deploy system that remembers idempotency keys; it fails once when told to.

    Args:
        failing: raised by the next POST; `lost` says whether that POST took effect all the same.
    """

    def __init__(self, failing: BaseException | None = None, *, lost: bool = False) -> None:
        self.keys: list[str] = []
        self.requests = 0
        self._failing = failing
        self._lost = lost

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Take a deployment, or tell whether one of that key was taken."""
        self.requests += 1
        if request.method == "GET":
            return httpx.Response(200 if request.url.path.rpartition("/")[2] in self.keys else 404)
        failing, self._failing = self._failing, None
        if failing is None or self._lost:
            self.keys.append(request.headers["Idempotency-Key"])
        if failing is not None:
            raise failing
        return httpx.Response(201, json={"accepted": True})


class HttpConformance(ActionConformance):
    """One call to a receiver that can be asked what became of it."""

    action: ClassVar[Remediation] = HttpAction()
    parameters: ClassVar[Json] = {"url": URL, "status_url": URL + "/{action_id}", "body": {"service": "api"}}
    mutations = 0

    @pytest.fixture
    def runtime_lab(self, runtime_lab: RuntimeLab) -> RuntimeLab:
        """Give each lab a receiver."""
        return lambda: _with_receiver(runtime_lab, Receiver())

    async def assert_done(self, lab: Lab, before: dict[str, Instance]) -> None:
        """Look whether the runtime was left alone."""
        assert await lab.look() == before

    def test_execute_does_what_the_plan_says_and_doing_it_again_changes_nothing(self, runtime_lab: RuntimeLab) -> None:
        async def run() -> None:
            receiver = Receiver()
            async with _with_receiver(runtime_lab, receiver) as lab:
                intent = await self.intent(lab)
                assert receiver.requests == 0, "planning asks nobody"
                assert (await self.action.execute(lab.context(), intent)).ok
                assert (await self.action.observe(lab.context(), intent)).progress is Progress.DONE
                assert receiver.keys == [ACTION_ID]
                await self.action.execute(lab.context(), intent)
                assert set(receiver.keys) == {ACTION_ID}, "the receiver can tell a repeat by its key"

        asyncio.run(run())

    @pytest.mark.parametrize("lost", [True, False])
    @pytest.mark.parametrize("failing", [httpx.ReadTimeout("no answer"), httpx.WriteError("cut"), Crashed("died")])
    def test_a_call_that_was_cut_is_settled_by_asking(
        self, runtime_lab: RuntimeLab, failing: BaseException, *, lost: bool
    ) -> None:
        async def run() -> None:
            receiver = Receiver(failing, lost=lost)
            async with _with_receiver(runtime_lab, receiver) as lab:
                intent = await self.intent(lab)
                with pytest.raises((OutcomeUnknown, Crashed)):
                    await self.action.execute(lab.context(), intent)
                seen = await self.action.observe(lab.context(), intent)
                assert seen.progress is (Progress.DONE if lost else Progress.NOT_STARTED)
                if seen.progress is Progress.NOT_STARTED:
                    assert (await self.action.execute(lab.context(), intent)).ok
                assert receiver.keys == [ACTION_ID]

        asyncio.run(run())

    def test_a_connection_that_was_never_made_is_told_as_such(self, runtime_lab: RuntimeLab) -> None:
        async def run() -> None:
            receiver = Receiver(httpx.ConnectError("refused"))
            async with _with_receiver(runtime_lab, receiver) as lab:
                with pytest.raises(EngineUnavailable, match="refused"):
                    await self.action.execute(lab.context(), await self.intent(lab))

        asyncio.run(run())

    def test_a_halt_keeps_the_call_from_being_sent(self, runtime_lab: RuntimeLab) -> None:
        async def run() -> None:
            receiver = Receiver()
            async with _with_receiver(runtime_lab, receiver) as lab:
                with pytest.raises(Halted):
                    await self.action.execute(lab.context(checkpoint=HaltAfter(0)), await self.intent(lab))
                assert receiver.requests == 0

        asyncio.run(run())


@asynccontextmanager
async def _with_receiver(runtime_lab: RuntimeLab, receiver: Receiver) -> AsyncIterator[Lab]:
    async with runtime_lab() as lab, httpx.AsyncClient(transport=receiver) as http:
        yield replace(lab, http=http)
