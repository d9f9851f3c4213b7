"""What counts as an error in a log, and how errors are told."""

import pytest

from remediations.loglines import error_groups, error_message, mask


@pytest.mark.parametrize(
    "line",
    [
        "2025-06-01 12:00:00,123 ERROR [worker-1] database is gone",
        "2025-06-01T12:00:00Z CRITICAL out of file handles",
        "ERROR:    Exception in ASGI application",
        "[error] 31#31: *1 connect() failed (111: Connection refused) while connecting to upstream",
        "ts=2025-06-01T12:00:00Z caller=main.go:12 level=error msg=boom",
        'level="fatal" msg="cannot listen"',
        "E0601 12:00:00.000000       1 reflector.go:126] failed to list",
        '{"level": "error", "message": "boom"}',
        '{"severity": "CRITICAL", "msg": "boom"}',
        '{"level": 50, "msg": "boom", "pid": 1}',
        'INFO:     10.0.0.1:80 - "GET /api HTTP/1.1" 500 Internal Server Error',
        "panic: runtime error: index out of range",
        "ValueError: no such resume",
        "java.lang.IllegalStateException: pool is closed",
        "error: connection refused",
    ],
)
def test_an_error_line_is_found(line: str) -> None:
    assert error_message(line) is not None


@pytest.mark.parametrize(
    "line",
    [
        "",
        "0 errors",
        "2025-06-01 12:00:00 INFO finished with 0 errors",
        "INFO no ERROR was seen",
        "DEBUG retrying after error: timeout",
        "[warn] error log is large",
        "level=info msg=\"error budget is fine\"",
        '{"level": "info", "message": "ERROR in the past"}',
        '{"level": 30, "msg": "error"}',
        '{"message": "no level at all, an error?"}',
        'INFO:     10.0.0.1:80 - "GET /api/500 HTTP/1.1" 200 OK',
        "I0601 12:00:00.000000       1 main.go:1] ERROR handler registered",
        "loading ErrorHandler",
        "TERROR is a word",
    ],
)  # fmt: skip
def test_what_only_mentions_errors_is_none(line: str) -> None:
    assert error_message(line) is None


def test_errors_that_differ_in_numbers_and_times_are_one_group() -> None:
    lines = [f"2025-06-01 12:00:0{n} ERROR request {n}a{n}b took {n}00 ms" for n in range(5)]
    total, groups = error_groups([*lines, "INFO fine", "ERROR other"], limit=5)
    assert total == 6
    assert [(group.count, group.example) for group in groups] == [(5, lines[-1]), (1, "ERROR other")]


def test_groups_are_limited_and_all_errors_are_counted() -> None:
    words = ["red", "green", "blue", "pink", "grey"]
    total, groups = error_groups([f"ERROR {word}" for word in words], limit=2)
    assert (total, len(groups)) == (5, 2)


def test_a_traceback_is_one_error_named_by_its_exception() -> None:
    lines = [
        "Traceback (most recent call last):",
        '  File "app.py", line 3, in <module>',
        "    raise KeyError('x')",
        "KeyError: 'x'",
        "INFO next",
    ]
    total, groups = error_groups(lines, limit=5)
    assert total == 1
    assert groups[0].example == "KeyError: 'x'"


@pytest.mark.parametrize(
    ("line", "secret"),
    [
        ("ERROR password=hunter2 refused", "hunter2"),
        ("ERROR Authorization: Bearer abc.def.ghi", "abc.def"),
        ("ERROR postgres://app:s3cret@db/x is gone", "s3cret"),
        ('ERROR {"api_key": "k-123"} rejected', "k-123"),
        ("ERROR DB_PASSWORD='p w' SLACK_TOKEN=xoxb-1", "xoxb-1"),
    ],
)
def test_secrets_are_masked(line: str, secret: str) -> None:
    assert secret not in mask(line)
    assert "***" in mask(line)


def test_a_giant_line_and_control_characters_do_no_harm() -> None:
    total, groups = error_groups(["\x1b[31mERROR\x1b[0m " + "x" * 100_000], limit=1)
    assert total == 1
    assert len(groups[0].example) <= 200
    assert "\x1b" not in groups[0].example
