"""What every test can ask for: the event loop's flavour and the real parts, or a loud reason why a part isn't there."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from deploy.parts.engine import Engine, running_engine
from tests.parts import PARTS, absence, must_have

ENGINES = Path(__file__).parent.parent / ".cache" / "test-engines"
"""Images survive here from one run to the next; containers and networks don't."""

RUNS_AT_ONCE = 8
"""Test runs of one checkout that may each have an engine of their own at the same time."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave benchmarks and full soaks out unless they are asked for by their marker."""
    left = [item for item in items if any(_unasked(config, item, marker) for marker in ("benchmark", "soak"))]
    if left:
        config.hook.pytest_deselected(items=left)
        items[:] = [item for item in items if item not in left]


def _unasked(config: pytest.Config, item: pytest.Item, marker: str) -> bool:
    return item.get_closest_marker(marker) is not None and marker not in config.option.markexpr


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test whose real part isn't there, saying why; in CI that is a failure."""
    for part in PARTS:
        if item.get_closest_marker(part) is None:
            continue
        reason = absence(part)
        if reason is None:
            continue
        if must_have():
            pytest.fail(f"CI needs the real {part}, and it can't be had: {reason}", pytrace=False)
        pytest.skip(f"no real {part}: {reason}")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say at the end which real parts this run did without, so that a green run can't be mistaken for a full one."""
    skipped = terminalreporter.stats.get("skipped", [])
    for part in PARTS:
        count = sum(f"no real {part}: " in str(report.longrepr) for report in skipped)
        if count:
            terminalreporter.write_line(
                f"NOT TESTED on a real {part}: {count} tests skipped: {absence(part)}", yellow=True, bold=True
            )


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Return the one event loop that the service runs on."""
    return "asyncio"


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    """Return a real Docker engine of our own, started once a session; for tests marked `docker`."""
    with _directory_of_our_own() as directory, running_engine(directory) as running:
        yield running


@contextmanager
def _directory_of_our_own() -> Iterator[Path]:
    """Yield the first engine directory that no other test run holds: starting a second engine in one ends the first."""
    for number in range(RUNS_AT_ONCE):
        directory = ENGINES / str(number)
        directory.mkdir(parents=True, exist_ok=True)
        with (directory / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            yield directory
            return
    pytest.fail(f"{RUNS_AT_ONCE} test runs hold every directory in {ENGINES}; end one of them")
