import asyncio
import re

from receiver.clock import SystemClock
from receiver.ids import RandomIds


def test_the_clock_counts_seconds_since_1970_and_never_goes_back() -> None:
    clock = SystemClock()
    assert 1_700_000_000 < clock.now() < 5_000_000_000
    assert clock.monotonic() <= clock.monotonic()


def test_sleeping_for_a_time_that_has_passed_returns_at_once() -> None:
    asyncio.run(SystemClock().sleep(-5))


def test_names_are_short_and_hold_no_letter_that_is_mistaken_for_another() -> None:
    ids = RandomIds()
    for _ in range(200):
        assert re.fullmatch(r"i-[2-9a-hj-km-np-z]{8}", ids.incident())
        assert re.fullmatch(r"a-[2-9a-hj-km-np-z]{16}", ids.action())
        assert re.fullmatch(r"p-[2-9a-hj-km-np-z]{10}", ids.approval())


def test_names_differ() -> None:
    ids = RandomIds()
    assert len({ids.incident() for _ in range(10_000)}) == 10_000
