"""Rates: what is granted, what is refused, and that waiting as long as told helps."""

import pytest

from tests.slack_double.rates import POST_BURST, POSTS_OF_A_TEAM, SPECIAL, TIERS, Rates
from tests.slack_double.timing import FakeTime


@pytest.fixture
def time() -> FakeTime:
    return FakeTime()


@pytest.fixture
def rates(time: FakeTime) -> Rates:
    rates = Rates(time)
    rates.faithful = True
    return rates


def post(rates: Rates, channel: str = "C1") -> int | None:
    return rates.wait_for("chat.postMessage", SPECIAL, "T1", "A1", channel)


def update(rates: Rates, team: str = "T1") -> int | None:
    return rates.wait_for("chat.update", 3, team, "A1", "C1")


def test_they_are_off_until_asked_for(time: FakeTime) -> None:
    rates = Rates(time)
    assert {post(rates) for _ in range(1000)} == {None}


def test_posts_to_a_channel_are_one_a_second_after_a_burst(rates: Rates, time: FakeTime) -> None:
    assert [post(rates) for _ in range(POST_BURST)] == [None] * POST_BURST
    assert post(rates) == 1
    time.advance(1.0)
    assert post(rates) is None
    assert post(rates) == 1


def test_a_long_quiet_time_saves_no_more_than_one_burst(rates: Rates, time: FakeTime) -> None:
    assert post(rates) is None
    time.advance(3600.0)
    assert sum(post(rates) is None for _ in range(POST_BURST * 3)) == POST_BURST


def test_channels_have_budgets_of_their_own(rates: Rates) -> None:
    while post(rates) is None:
        pass
    assert post(rates, "C2") is None


def test_a_workspace_has_a_budget_of_posts_over_all_channels(rates: Rates, time: FakeTime) -> None:
    granted = sum(post(rates, f"C{number}") is None for number in range(POSTS_OF_A_TEAM + 50))
    assert granted == POSTS_OF_A_TEAM
    assert post(rates, "new") == 60
    time.advance(60.0)
    assert post(rates, "new") is None


def test_updates_are_fifty_a_minute_over_all_channels(rates: Rates, time: FakeTime) -> None:
    assert [update(rates) for _ in range(50)] == [None] * 50
    time.advance(20.0)
    assert update(rates) == 40
    assert update(rates, team="T2") is None
    time.advance(40.0)
    assert update(rates) is None


@pytest.mark.parametrize("tier", sorted(TIERS))
def test_a_tier_grants_what_it_promises_a_minute(rates: Rates, time: FakeTime, tier: int) -> None:
    granted = 0
    for _ in range(600):
        granted += rates.wait_for("any", tier, "T1", "A1", None) is None
        time.advance(0.1 - 1e-9)
    assert granted == TIERS[tier]


def test_whoever_waits_as_told_is_granted(rates: Rates, time: FakeTime) -> None:
    for _ in range(200):
        wait = update(rates)
        if wait is not None:
            time.advance(float(wait))
            assert update(rates) is None
        time.advance(0.3)
