"""Server-sent events from the real server: what is sent, how it ends, and how a reader comes again."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from receiver.core.principal import Principal
from receiver.people import Role
from receiver.web import feed, stream
from tests.integration.web.service import Running, running
from tests.unit.web.fakes import TOKENS, everybody

pytestmark = pytest.mark.anyio
ALL: Final = "/api/v1/stream"


async def sent(answer: httpx.Response) -> AsyncGenerator[dict[str, str]]:
    """Yield each block of a stream as its fields; a comment's name is empty."""
    block: dict[str, str] = {}
    async for line in answer.aiter_lines():
        if not line:
            yield block
            block = {}
        else:
            name, _, value = line.partition(":")
            block[name] = f"{block[name]}\n{value.strip()}" if name in block else value.strip()


async def entries(one: Running, path: str, number: int, **headers: str) -> list[dict[str, Any]]:
    """Return so many entries of a stream, each with its `id`."""
    found: list[dict[str, Any]] = []
    async with one.client() as client, client.stream("GET", path, headers=headers) as answer:
        assert answer.status_code == 200, await answer.aread()
        async with aclosing(sent(answer)) as blocks:
            async for block in blocks:
                if block.get("event") == "entry":
                    found.append({"id": block["id"], **json.loads(block["data"])})
                if len(found) == number:
                    break
    return found


async def opened(one: Running) -> str:
    await one.world.fire()
    return (await one.world.incident()).id


async def note(one: Running, incident: str, text: str) -> None:
    assert (await one.world.operations.note(incident, by=Principal("ann", "cli"), text=text)).ok


async def test_an_incident_is_streamed_from_its_beginning_in_the_shape_of_its_timeline(tmp_path: Path) -> None:
    async with running(tmp_path) as one, one.client() as client:
        incident = await opened(one)
        found = await entries(one, f"/api/v1/incidents/{incident}/stream", 2)
        timeline = (await client.get(f"/api/v1/incidents/{incident}/timeline")).json()["items"]
        assert found == [{"id": str(entry["seq"]), "incident": incident, **entry} for entry in timeline]


@pytest.mark.parametrize("everything", [True, False])
async def test_a_reader_goes_on_at_its_last_event_id_also_after_a_restart(tmp_path: Path, everything: bool) -> None:
    async with running(tmp_path) as one:
        incident = await opened(one)
        path = ALL if everything else f"/api/v1/incidents/{incident}/stream"
        first = await entries(one, f"{path}?after=0", 1)
        await note(one, incident, "between")
    async with running(tmp_path) as one:
        await note(one, incident, "after the restart")
        rest = await entries(one, f"{path}?after=0", 3, **{"last-event-id": first[0]["id"]})
        assert [entry["seq"] for entry in (*first, *rest)] == [1, 2, 3, 4]
        assert "after the restart" in rest[-1]["text"]


async def test_what_happens_is_sent_at_once_to_everybody(tmp_path: Path) -> None:
    async with running(tmp_path) as one:
        incident = await opened(one)
        reading = [asyncio.create_task(entries(one, ALL, 1)) for _ in range(5)]
        while len(one.site_feed._listeners) < 5:
            await asyncio.sleep(0.01)
        await note(one, incident, "live")
        async with asyncio.timeout(5.0):
            for task in reading:
                (entry,) = await task
                assert (entry["incident"], entry["kind"]) == (incident, "noted")
        while one.site_feed._listeners:
            await asyncio.sleep(0.01)


async def test_a_silent_stream_is_kept_alive_and_ends_when_its_reader_may_not_read_any_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "BEAT", 0.02)
    environment = {"REMEDIATOR_WEBHOOK_TOKENS": "t" * 32}
    async with running(tmp_path, environment, everybody()) as one, one.client() as client:
        headers = {"authorization": f"Bearer {TOKENS[Role.VIEWER]}"}
        async with client.stream("GET", ALL, headers=headers) as answer, aclosing(sent(answer)) as blocks:
            assert await anext(blocks) == {"id": "0", "retry": "2000"}
            assert await anext(blocks) == {"": "still here"}
            one.people = type(one.people)()
            async with asyncio.timeout(5.0):
                assert all([block == {"": "still here"} async for block in blocks])


async def test_streams_end_with_the_service_and_hold_up_nothing(tmp_path: Path) -> None:
    async with running(tmp_path) as one, one.client() as client:
        answer = await client.send(client.build_request("GET", ALL), stream=True)
        stopped = asyncio.get_running_loop().time()
        one.site_feed.end()
        assert (await answer.aread()).endswith(b"\n\n")
        assert (await client.get(ALL)).status_code == 503
    assert asyncio.get_running_loop().time() - stopped < 2.0


async def test_a_reader_that_takes_nothing_is_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "STUCK", 0.2)
    async with running(tmp_path) as one:
        incident = await opened(one)
        reader, writer = await asyncio.open_connection("127.0.0.1", one.port, limit=1024)
        writer.write(f"GET {ALL}?after=0 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        await reader.readuntil(b"\r\n")
        async with asyncio.timeout(30.0):
            while one.site_feed._listeners:
                await note(one, incident, "x" * 4000)
        writer.close()


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/api/v1/incidents/i-none/stream", {}, 404),
        (f"{ALL}?after=x", {}, 400),
        (f"{ALL}?limit=5", {}, 400),
        (ALL, {"last-event-id": "x"}, 400),
        (ALL, {"last-event-id": "9" * 19}, 400),
        (ALL, {"authorization": "Bearer no"}, 401),
        (ALL, {"origin": "https://evil.example"}, 403),
    ],
)
async def test_what_cannot_be_streamed_is_a_problem(
    tmp_path: Path, path: str, headers: dict[str, str], status: int
) -> None:
    async with running(tmp_path) as one, one.client() as client:
        answer = await client.get(path, headers=headers)
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
        assert not one.site_feed._listeners


async def test_there_is_a_limit_to_streams_and_a_head_opens_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "MOST_LISTENERS", 0)
    async with running(tmp_path) as one, one.client() as client:
        answer = await client.get(ALL)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        head = await client.head(ALL)
        assert (head.status_code, head.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
