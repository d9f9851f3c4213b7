"""No secret in any log, wherever it stood; and text from outside can't fake or hide a line."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from receiver import logs
from receiver.people import make_token

SECRET = "tok3n/of+the=webhook"
PERSONS, _ = make_token()


@pytest.fixture(params=["json", "console"])
def stream(request: pytest.FixtureRequest) -> Iterator[io.StringIO]:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    out = io.StringIO()
    logs.configure("debug", request.param, [SECRET], out)
    yield out
    root.handlers[:], root.level = before[0], before[1]
    logging.captureWarnings(False)
    structlog.reset_defaults()


HOLDERS: list[Any] = [
    f"a text with {SECRET} inside",
    [f"in a list {SECRET}"],
    {"deep": {"deeper": [SECRET, {"x": (SECRET,)}]}},
    {SECRET: "as a key"},
    SECRET.encode(),
    ValueError(SECRET),
    {"a": {"b": {"c": {"d": {"e": {"f": {"g": SECRET}}}}}}},
    f"http://me:{SECRET}@prometheus.example/api",
    f"Authorization: Bearer {SECRET}",
]


@pytest.mark.parametrize("holder", HOLDERS)
def test_a_known_secret_is_hidden_wherever_it_stands(holder: Any, stream: io.StringIO) -> None:
    log = structlog.stdlib.get_logger("receiver.test")
    log.info("something happened", value=holder)
    log.warning("said %s", holder)
    log.bind(bound=holder).error("bound")
    with structlog.contextvars.bound_contextvars(context=holder):
        log.info("in a context")
    logging.getLogger("a.library").warning("a library says %s", holder, extra={"more": holder})
    try:
        _fail(holder)
    except RuntimeError:
        log.exception("failed", value=holder)
        logging.getLogger("a.library").exception("failed with %r", holder)
    assert stream.getvalue().count("\n") >= 7
    assert "tok3n" not in stream.getvalue()


def _fail(holder: Any) -> None:
    raise RuntimeError(f"it broke with {holder}")


@pytest.mark.parametrize(
    "name", ["token", "webhook_tokens", "password", "REMEDIATOR_TOKEN", "authorization", "x-api-key", "client_secret"]
)
def test_a_name_that_means_a_secret_hides_its_value(name: str, stream: io.StringIO) -> None:
    structlog.stdlib.get_logger("receiver.test").info("x", **{name: "hunter2", "data": {name: ["hunter2"]}})
    assert "hunter2" not in stream.getvalue()


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(f"somebody used {PERSONS} here", id="a person's token"),
        pytest.param(f"Bearer {PERSONS}", id="a person's bearer token"),
        "authorization: basic dXNlcjpodW50ZXIy",
        "http://user:hunter2@host/",
        'password="hunter2"',
        "token=hunter2&x=1",
        "X-Api-Key: hunter2",
    ],
)
def test_the_shape_of_a_credential_is_enough(text: str, stream: io.StringIO) -> None:
    structlog.stdlib.get_logger("receiver.test").info(text, value=text)
    for secret in (PERSONS, "dXNlcjpodW50ZXIy", "hunter2"):
        assert secret not in stream.getvalue()


def test_ordinary_text_is_left_alone(stream: io.StringIO) -> None:
    structlog.stdlib.get_logger("receiver.test").info("basic checks passed", step="restart", url="http://h:9/x?y=1")
    for text in ("basic checks passed", "restart", "http://h:9/x?y=1"):
        assert text in stream.getvalue()


def test_text_from_outside_makes_no_line_and_moves_no_cursor(stream: io.StringIO) -> None:
    structlog.stdlib.get_logger("receiver.test").info("x", label="a\x1b[2J\r\nforged line\u202e")
    written = stream.getvalue()
    assert written.count("\n") == 1
    assert not {"\x1b", "\r"} & set(written)


def test_a_long_text_is_cut(stream: io.StringIO) -> None:
    structlog.stdlib.get_logger("receiver.test").info("x", annotation="y" * 100_000)
    assert len(stream.getvalue()) < 20_000


def test_json_is_one_object_a_line_with_time_level_and_logger() -> None:
    out = io.StringIO()
    root = logging.getLogger()
    before = root.handlers[:], root.level
    try:
        logs.configure("info", "auto", (), out)
        structlog.stdlib.get_logger("receiver.test").info("began", number=5, flag=True, nothing=None)
        structlog.stdlib.get_logger("receiver.test").debug("not at this level")
        logging.getLogger("httpx").info("HTTP Request: GET http://...")
    finally:
        root.handlers[:], root.level = before[0], before[1]
        logging.captureWarnings(False)
        structlog.reset_defaults()
    (line,) = out.getvalue().splitlines()
    entry = json.loads(line)
    assert entry["at"].endswith("Z")
    assert (entry["event"], entry["level"], entry["logger"]) == ("began", "info", "receiver.test")
    assert (entry["number"], entry["flag"], entry["nothing"]) == (5, True, None)


def test_an_entry_that_cannot_be_written_says_nothing_of_its_content(stream: io.StringIO) -> None:
    (ours,) = (one for one in logging.getLogger().handlers if getattr(one, "stream", None) is stream)
    ours.handle(logging.LogRecord("a.library", logging.WARNING, "x.py", 1, "%d", (SECRET,), None))
    assert "tok3n" not in stream.getvalue()
    assert "could not be written" in stream.getvalue()
