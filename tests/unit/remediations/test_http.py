"""Where an HTTP call goes is the playbook's own, and what is sent holds no surprise."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import ValidationError

from remediations.http import HttpAction, HttpParameters
from remediations.protocol import ActionRefused, Progress
from remediations.testing import memory_lab
from tests.unit.remediations.helpers import intend

pytestmark = pytest.mark.anyio
ACTION = HttpAction()


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"url": "http://{labels.host}/x"}, "may not form scheme, host or port"),
        ({"url": "http://deploys.test:{labels.port}/x"}, "may not form scheme, host or port"),
        ({"url": "http://{labels.user}@deploys.test/x"}, "may not form scheme, host or port"),
        ({"url": "file:///etc/passwd"}, "not an http"),
        ({"url": "deploys.test/x"}, "not an http"),
        ({"url": "http://a.test/", "status_url": "http://b.test/"}, "must have the scheme, host and port of url"),
        ({"url": "http://a.test/", "headers": {"Host": "b.test"}}, "set by the client itself"),
        ({"url": "http://a.test/", "headers": {"X": "a\r\nY: b"}}, "line break"),
        ({"url": "http://a.test/", "methode": "POST"}, "Extra inputs"),
    ],
)
async def test_a_call_that_could_be_turned_elsewhere_is_refused(parameters: dict[str, Any], expected: str) -> None:
    with pytest.raises(ValidationError, match=expected):
        HttpParameters.model_validate(parameters)


async def test_templates_are_allowed_in_path_and_query() -> None:
    HttpParameters.model_validate({"url": "https://deploys.test/services/{labels.service}?why={labels.alertname}"})


async def sent(parameters: dict[str, Any], status: int = 200, **answer: Any) -> tuple[httpx.Request, Any]:
    requests: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return httpx.Response(status, **answer)

    async with memory_lab() as made, httpx.AsyncClient(transport=httpx.MockTransport(handler)) as http:
        lab = replace(made, http=http)
        outcome = await ACTION.execute(lab.context(), await intend(lab, ACTION, **parameters))
    assert len(requests) == 1, "sent once, whatever the answer"
    return requests[0], outcome


async def test_the_actions_id_is_the_idempotency_key() -> None:
    request, outcome = await sent({"url": "http://a.test/x", "body": {"n": 1}, "idempotency_header": "X-Request-Key"})
    assert request.headers["X-Request-Key"] == "a-conformance-1"
    assert (request.method, request.content) == ("POST", b'{"n":1}')
    assert outcome.ok


@pytest.mark.parametrize(
    ("status", "expect", "ok"), [(204, None, True), (302, None, False), (409, [409], True), (200, [201], False)]
)
async def test_the_status_decides(status: int, expect: list[int] | None, ok: bool) -> None:
    _, outcome = await sent({"url": "http://a.test/x", "expect": expect}, status)
    assert outcome.ok is ok
    assert str(status) in outcome.text


async def test_a_redirect_is_not_followed() -> None:
    _, outcome = await sent({"url": "http://a.test/x"}, 307, headers={"Location": "http://b.test/"})
    assert not outcome.ok


async def test_a_text_body_is_sent_as_it_is() -> None:
    request, _ = await sent({"url": "http://a.test/x", "method": "PUT", "body": "restart"})
    assert request.content == b"restart"


async def test_the_token_is_read_from_its_file_and_shown_nowhere(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("s3cret\n")
    request, outcome = await sent({"url": "http://a.test/x", "token_file": str(path)})
    assert request.headers["Authorization"] == "Bearer s3cret"
    assert "s3cret" not in repr(outcome)


async def test_a_missing_token_is_refused_before_anything_is_sent() -> None:
    async with memory_lab() as lab:
        intent = await intend(lab, ACTION, url="http://a.test/x", token_file="/no/such/file")
        with pytest.raises(ActionRefused, match="/no/such/file"):
            await ACTION.execute(lab.context(), intent)


@pytest.mark.parametrize("content", ["", "\n", "zwei\nZeilen", "größe"])
async def test_a_file_without_a_usable_token_is_refused_before_anything_is_sent(tmp_path: Path, content: str) -> None:
    path = tmp_path / "token"
    path.write_text(content)
    async with memory_lab() as lab:
        intent = await intend(lab, ACTION, url="http://a.test/x", token_file=str(path))
        with pytest.raises(ActionRefused, match="holds no token that a header can carry") as told:
            await ACTION.execute(lab.context(), intent)
    assert "Zeilen" not in str(told.value)


@pytest.mark.parametrize("headers", [{"X-A": "größe"}, {"X-A": "a\nHost: b"}, {"X A": "a"}, {"": "a"}])
def test_a_header_that_an_alert_spoiled_is_refused(headers: dict[str, str]) -> None:
    with pytest.raises(ValidationError, match="holds what no header can"):
        ACTION.parameters.model_validate({"url": "http://a.test/x", "headers": headers})


async def test_without_a_status_url_nobody_can_tell_what_became_of_it() -> None:
    async with memory_lab() as lab:
        seen = await ACTION.observe(lab.context(), await intend(lab, ACTION, url="http://a.test/x"))
        assert seen.progress is Progress.UNKNOWN


@pytest.mark.parametrize(
    ("status", "progress"), [(200, Progress.DONE), (404, Progress.NOT_STARTED), (500, Progress.UNKNOWN)]
)
async def test_the_status_url_tells_what_became_of_it(status: int, progress: Progress) -> None:
    asked: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        return httpx.Response(status)

    async with memory_lab() as made, httpx.AsyncClient(transport=httpx.MockTransport(handler)) as http:
        lab = replace(made, http=http)
        intent = await intend(lab, ACTION, url="http://a.test/x", status_url="http://a.test/x/{action_id}")
        assert (await ACTION.observe(lab.context(), intent)).progress is progress
    assert asked == ["http://a.test/x/a-conformance-1"]


async def test_an_http_call_is_not_undone_and_says_so() -> None:
    async with memory_lab() as lab:
        intent = await intend(lab, ACTION, url="http://a.test/x")
        assert not (await ACTION.undo(lab.context(), intent, {})).ok
