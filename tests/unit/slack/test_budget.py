"""When something may be sent, by a clock that the test sets."""

from receiver.chat.slack.budget import ALL, Budget


def test_posts_to_a_channel_are_a_second_apart_and_channels_do_not_wait_for_each_other() -> None:
    budget = Budget()
    budget.posted("C1", 100.0)
    assert budget.post_at("C1", 100.0) == 101.0
    assert budget.post_at("C1", 102.0) == 102.0
    assert budget.post_at("C2", 100.0) == 100.0


def test_edits_of_one_header_are_five_seconds_apart_unless_its_state_changed() -> None:
    budget = Budget()
    budget.edited("i-1", "P2", "acting", 100.0)
    assert budget.edit_at("i-1", "P2", "acting", 101.0) == 105.0
    assert budget.edit_at("i-1", "P2", "verifying", 101.0) == 101.0
    assert budget.edit_at("i-1", "P1", "acting", 101.0) == 101.0
    assert budget.edit_at("i-2", "P2", "acting", 101.0) == 101.0


def test_of_forty_edits_a_minute_ten_are_kept_for_p1() -> None:
    budget = Budget()
    for number in range(30):
        budget.edited(f"i-{number}", "P3", "acting", 100.0 + number)
    assert budget.edit_at("i-x", "P3", "acting", 130.0) == 160.0
    for number in range(10):
        assert budget.edit_at(f"p-{number}", "P1", "acting", 130.0) == 130.0
        budget.edited(f"p-{number}", "P1", "acting", 130.0)
    assert budget.edit_at("p-x", "P1", "acting", 131.0) == 160.0
    assert budget.edit_at("p-x", "P1", "acting", 160.0) == 160.0


def test_a_card_counts_as_an_edit() -> None:
    budget = Budget()
    for _ in range(40):
        budget.repainted(100.0)
    assert budget.edit_at("i-1", "P1", "acting", 100.0) == 160.0


def test_pauses_grow_with_each_failure_and_end_with_a_success() -> None:
    budget = Budget()
    waits = [budget.failed(ALL, 100.0, 0.0) - 100.0 for _ in range(8)]
    assert waits == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]
    assert budget.post_at("C1", 100.0) == 160.0
    assert budget.edit_at("i-1", "P1", "acting", 100.0) == 160.0
    assert budget.look_at(100.0) == 160.0
    budget.worked("C1")
    assert budget.failed(ALL, 200.0, 0.0) == 201.0


def test_what_slack_asks_for_counts_when_it_is_longer() -> None:
    budget = Budget()
    assert budget.failed("C1", 100.0, 30.0) == 130.0
    assert budget.post_at("C1", 100.0) == 130.0
    assert budget.post_at("C2", 100.0) == 100.0


def test_reading_back_has_a_budget_too() -> None:
    budget = Budget()
    for _ in range(20):
        budget.looked(100.0)
    assert budget.look_at(101.0) == 160.0
