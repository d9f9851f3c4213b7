"""A health endpoint is healthy when it says so, in time."""

import asyncio
from collections.abc import AsyncIterator, Callable

import httpx
import pytest

from remediations.health import MAX_BODY, HealthAnswer, probe, redact

Handler = Callable[[httpx.Request], httpx.Response]


def ask(handler: Handler, *, word: str = "healthy", url: str = "http://api.test/health") -> HealthAnswer:
    async def run() -> HealthAnswer:
        async with httpx.AsyncClient(transport=httpx.MockTransport(handler)) as http:
            return await probe(http, url, word=word, timeout=0.2)

    return asyncio.run(run())


def says(status: int, content: object) -> Handler:
    return lambda _request: httpx.Response(status, json=content)


@pytest.mark.parametrize("word", ["healthy", "Healthy", "HEALTHY"])
def test_the_expected_word_is_healthy_in_any_case(word: str) -> None:
    answer = ask(says(200, {"status": word}))
    assert answer.ok
    assert answer.word == word
    assert answer.status_code == 200


def test_a_200_that_says_degraded_is_not_healthy() -> None:
    answer = ask(says(200, {"status": "degraded"}))
    assert not answer.ok
    assert "degraded" in answer.text
    assert "healthy" in answer.text


@pytest.mark.parametrize("content", [{}, [], "healthy", {"status": True}, {"state": "healthy"}])
def test_a_200_without_the_word_is_not_healthy(content: object) -> None:
    assert not ask(says(200, content)).ok


@pytest.mark.parametrize("status", [302, 404, 500, 503])
def test_another_status_is_not_healthy_whatever_it_says(status: int) -> None:
    answer = ask(says(status, {"status": "healthy"}))
    assert not answer.ok
    assert str(status) in answer.text


def test_without_an_expected_word_any_2xx_is_healthy() -> None:
    assert ask(lambda _request: httpx.Response(204), word="").ok


def test_a_redirect_is_not_followed() -> None:
    asked: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        return httpx.Response(301, headers={"Location": "http://elsewhere.test/"})

    assert not ask(handler).ok
    assert asked == ["http://api.test/health"]


def test_a_refused_connection_is_not_healthy_and_says_so() -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("connection refused", request=request)

    answer = ask(handler)
    assert not answer.ok
    assert "connection refused" in answer.text


def test_an_answer_that_drips_is_cut_at_the_limit() -> None:
    class Dripping(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            while True:
                await asyncio.sleep(0.05)
                yield b" "

    answer = ask(lambda _request: httpx.Response(200, stream=Dripping()))
    assert not answer.ok
    assert "within 0.2 s" in answer.text


def test_a_giant_answer_is_not_read_to_its_end() -> None:
    answer = ask(lambda _request: httpx.Response(200, content=b'{"status": "healthy"}' + b" " * MAX_BODY))
    assert not answer.ok


def test_no_secret_of_the_address_is_shown() -> None:
    answer = ask(says(200, {}), url="http://user:pass@api.test/health?token=abc")
    assert "pass" not in answer.text
    assert "abc" not in answer.text
    assert redact("http://user:pass@api.test:8080/health?token=abc#x") == "http://api.test:8080/health"
