"""Messages as Slack takes them: every limit held and nothing from an alert alive, whatever the alert says."""

import re
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from receiver.chat.slack import blocks
from receiver.chat.slack.blocks import SEVERITIES, STATES, Card, Look, Message
from receiver.chat.slack.notices import notice
from receiver.chat.slack.private import private
from receiver.chat.slack.text import escape, moment, zoned
from receiver.core.incident import Phase
from receiver.core.severity import Severity
from tests.slack_double.blockkit import check_blocks

LOOK = Look("https://remediator.example", {"P1": "<!subteam^S0123456>"}, buttons=True)
HEADER: dict[str, Any] = {
    "incident": "i-k3f9x2qd", "state": "acting", "severity": "P1", "playbook": "service-down", "target": "api",
    "alert": "ServiceDown", "mode": "act", "firing": 2, "alerts": 3, "acting": "remediator: step restart",
    "since": 1_800_000_000.0, "ended": None, "title": "P1 ACTING · api",
}  # fmt: skip

OURS = re.compile(
    r"<!date\^\d+\^[a-z_{} ]+\|[^<>|]+>|<https://remediator\.example/[^<>|]+\|details>|<!subteam\^S0123456>"
    r"|<#C0123ABCD>"
)
"""What may stand between angle brackets: ours."""

NASTY = st.one_of(
    st.text(max_size=60),
    st.just("09:05:27Z 2027-01-14 23:00:00Z " * 60),
    st.sampled_from(["<!channel>", "<@U0123>", "<https://e.example|click>", "&lt;!here&gt;", "&" * 3000, "\x00\u202e"]),
    st.builds(lambda one, times: one * times, st.text("<>&|!@#`*_~\n a", min_size=1, max_size=9), st.integers(0, 400)),
)  # fmt: skip
NUMBERS = st.one_of(st.floats(), st.integers(-10, 10**13), st.none())


def texts(message: Message) -> list[str]:
    """Return every text of a message."""
    return [message.text, *_texts(list(message.blocks))]


def _texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [str(value["text"])] if isinstance(value.get("text"), str) else []
        return own + [text for inner in value.values() for text in _texts(inner)]
    return [text for inner in value for text in _texts(inner)] if isinstance(value, list) else []


def holds(message: Message) -> None:
    """Hold a message to Slack's limits, and to nothing in it being alive that isn't ours."""
    assert check_blocks(message.named_blocks())
    assert 0 < len(message.text) <= 900
    for text in texts(message):
        rest = OURS.sub("", text)
        assert "<" not in rest
        assert ">" not in rest
        assert not re.search(r"&(?!amp;|lt;|gt;)", rest), "an escape was cut apart"


@settings(max_examples=60, deadline=None)
@given(NASTY, NASTY, NASTY, st.sampled_from([*STATES, "?", "<x>"]), st.sampled_from(["P1", "P4", "", "<P>"]), NUMBERS)
def test_a_header_holds_every_limit(a: str, b: str, c: str, state: str, severity: str, at: float | None) -> None:
    shown = HEADER | {
        "target": a, "alert": b, "acting": c, "playbook": a, "title": b or "x", "state": state, "severity": severity,
        "since": at, "ended": at, "mode": "observe", "late": [a, b], "unmarked": ["assessed", "mitigated"],
    }  # fmt: skip
    holds(blocks.header("i-k3f9x2qd", shown, LOOK))
    holds(blocks.pointer("i-k3f9x2qd", shown, "C0123ABCD", LOOK))


ENTRY = st.fixed_dictionaries(
    {
        "text": NASTY,
        "at": NUMBERS,
        "tone": st.sampled_from(["good", "bad", "odd"]),
        "kind": st.sampled_from(["noted", "escalated", "verified"]),
        "severity": st.just("P1"),
    },
    optional={"numbers": st.lists(st.lists(NASTY, min_size=4, max_size=4), max_size=20)},
)


@settings(max_examples=60, deadline=None)
@given(st.lists(ENTRY, min_size=1, max_size=blocks.MANY), st.sampled_from([0.0, 2e9]))
def test_entries_hold_every_limit(payloads: list[dict[str, Any]], now: float) -> None:
    holds(blocks.entries(payloads, now, LOOK))


@pytest.mark.parametrize("number", [1, 2, 8, 20, blocks.MANY])
def test_entries_of_the_greatest_lengths_hold_every_limit(number: int) -> None:
    full = {"text": "&" * 3000, "at": 1.8e9, "kind": "verified", "numbers": [["&" * 400] * 4] * 20}
    for now in (0.0, 2e9):
        holds(blocks.entries([full] * number, now, LOOK))


@settings(max_examples=60, deadline=None)
@given(NASTY, NASTY, st.lists(NASTY, max_size=30), st.booleans())
def test_a_summary_behind_a_full_catch_up_holds_every_limit(a: str, b: str, many: list[str], known: bool) -> None:
    told = {"outcome": "resolved", "seconds": 3.0, "actions": many, "approvers": many, "ended_by": b, "numbers": b}
    end = blocks.summary("i-1", {"text": a, "at": 1.0}, told if known else {}, LOOK)
    holds(end)
    full = blocks.entries([{"text": a * 9, "at": 1e9}] * blocks.MANY, 2e9, LOOK)
    holds(Message(end.text, [*full.blocks, *end.blocks]))


@settings(max_examples=60, deadline=None)
@given(
    NASTY, st.lists(st.tuples(NASTY, st.booleans(), NASTY), max_size=30), st.sampled_from(["pending", "denied", "?"])
)
def test_a_card_holds_every_limit(text: str, votes: Sequence[tuple[str, bool, str]], state: str) -> None:
    one = Card("p-1", text or "x", text or "x", 2, 1.8e9, True, tuple(votes), state, text, True, "P1")
    holds(blocks.card("i-1", one, LOOK))


@settings(max_examples=60, deadline=None)
@given(NASTY, NUMBERS, st.sampled_from(["P1", "<P>", None]))
def test_a_notice_and_a_private_answer_hold_every_limit(text: str, at: float | None, severity: str | None) -> None:
    holds(notice("i-1", {"text": text, "at": at, "severity": severity}, "<!subteam^S0123456>"))
    answer = private("\n".join([escape(text)] * 20) or "x")
    assert len(answer["text"]) <= 3000
    assert check_blocks(answer["blocks"])


def test_a_header_says_what_is_late_until_it_is_over() -> None:
    late = HEADER | {"late": ["acknowledged", "assessed"]}
    assert "*Late*\n⏰ not acknowledged, nor assessed in time" in texts(blocks.header("i-1", late, LOOK))
    assert "⏰ not acknowledged, nor assessed in time" in "".join(texts(blocks.pointer("i-1", late, "C1", LOOK)))
    over = late | {"ended": 1_800_000_060.0, "state": "closed"}
    for message in (blocks.header("i-1", over, LOOK), blocks.pointer("i-1", over, "C1", LOOK)):
        assert "in time" not in "".join(texts(message))


@pytest.mark.parametrize(
    ("given_", "shown"),
    [
        ("<!channel>", "&lt;!channel&gt;"),
        ("a & b", "a &amp; b"),
        ("&lt;", "&amp;lt;"),
        ("<@U1|x> <http://e|y>", "&lt;@U1|x&gt; &lt;http://e|y&gt;"),
        ("a\nb\u202ec", "a bc"),
    ],
)
def test_what_slack_would_act_on_is_text(given_: str, shown: str) -> None:
    assert escape(given_) == shown


def test_slack_looks_for_nothing_by_itself_in_any_text() -> None:
    message = blocks.header("i-1", HEADER | {"alert": "@here #ops http://evil.example"}, LOOK)
    found = [value for block in message.blocks for value in _objects(block)]
    assert all(value["verbatim"] is True for value in found if value["type"] == "mrkdwn")
    assert sum(value["type"] == "mrkdwn" for value in found) > 5


def _objects(value: Any) -> list[dict[str, Any]]:
    if isinstance(value, dict):
        own = [value] if value.get("type") in {"mrkdwn", "plain_text"} else []
        return own + [one for inner in value.values() for one in _objects(inner)]
    return [one for inner in value for one in _objects(inner)] if isinstance(value, list) else []


def test_severities_and_states_differ_in_shape_and_words_not_in_colour_alone() -> None:
    assert SEVERITIES.keys() == {one.value for one in Severity}
    assert STATES.keys() == {one.value for one in Phase}
    for table in (SEVERITIES, STATES):
        assert len({mark for mark, _ in table.values()}) == len(table)
        assert len({word for _, word in table.values()}) == len(table)


def test_a_header_shows_alerts_and_who_acts_and_times_in_the_readers_zone() -> None:
    shown = "\n".join(texts(blocks.header("i-1", HEADER, LOOK)))
    assert "▲ 2 firing, ✔ 1 resolved" in shown
    assert "remediator: step restart" in shown
    assert "<!date^1800000000^{date_short_pretty} {time_secs}|2027-01-15 08:00:00Z>" in shown


def test_block_ids_change_with_the_content_only() -> None:
    def ids(shown: dict[str, Any]) -> list[str]:
        return [block["block_id"] for block in blocks.header("i-1", shown, LOOK).named_blocks()]

    assert ids(HEADER) == ids(dict(HEADER))
    assert not set(ids(HEADER)) & set(ids(HEADER | {"firing": 1}))


def test_an_outcome_shows_the_numbers_before_and_after() -> None:
    payload = {"text": "Verified", "at": 1.8e9, "kind": "verified", "numbers": [["error ratio", "0.4", "0", "%"]]}
    assert "*error ratio*\n0.4 → *0* %" in texts(blocks.entries([payload], 1.8e9, LOOK))


def test_an_outcome_shows_them_also_among_other_entries_but_not_in_a_catch_up() -> None:
    numbers = [["error ratio", "0.4", "0", "%"]]
    payloads = [
        {"text": "Done", "at": 1.8e9, "kind": "step_finished"},
        {"text": "Verified", "at": 1.8e9, "kind": "verified", "numbers": numbers},
        {"text": "Watching", "at": 1.8e9, "kind": "check_began"},
    ]
    shown = texts(blocks.entries(payloads, 1.8e9, LOOK))[1:]
    assert ["Done" in shown[0], "Verified" in shown[0], "Watching" in shown[2]] == [True] * 3
    assert shown[1] == "*error ratio*\n0.4 → *0* %"
    assert "*error ratio*" not in "".join(texts(blocks.entries(payloads, 1.9e9, LOOK)))


def test_late_entries_say_when_they_were() -> None:
    payloads = [{"text": f"event {number}", "at": 1_800_000_000.0 + 300 * number} for number in range(14)]
    text = texts(blocks.entries(payloads, 1_800_010_000.0, LOOK))[1]
    front = (
        "*14 events, <!date^1800000000^{time}|2027-01-15 08:00:00Z> to <!date^1800003900^{time}|2027-01-15 09:05:00Z>*"
    )
    assert text == f"{front}, told late"


BEGAN = 1_800_003_600.0
"""2027-01-15 09:00:00Z."""


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("until 09:05:27Z; more", f"until <!date^{int(BEGAN) + 327}^{{time_secs}}|09:05:27Z>; more"),
        ("at 23:00:00Z", f"at <!date^{int(BEGAN) - 36_000}^{{time_secs}}|23:00:00Z>"),
        ("at 08:59:59Z.", f"at <!date^{int(BEGAN) - 1}^{{time_secs}}|08:59:59Z>."),
        ("(began 2027-01-14 23:00:00Z)",
         f"(began <!date^{int(BEGAN) - 36_000}^{{date_short_pretty}} {{time_secs}}|2027-01-14 23:00:00Z>)"),
        ("2027-02-30 10:00:00Z 24:00:00Z 9:00:00Z 09:00Z x09:00:00Z",) * 2,
    ],
)  # fmt: skip
def test_the_times_in_a_text_are_in_the_readers_zone(text: str, shown: str) -> None:
    assert zoned(text, BEGAN) == shown


@pytest.mark.parametrize("at", [None, "soon", True, float("nan"), float("inf"), -1.0, 1e15, 0.5])
def test_without_knowing_when_a_time_of_day_stays_as_it_is(at: object) -> None:
    assert zoned("until 09:05:27Z", at) in {"until 09:05:27Z", "until <!date^32727^{time_secs}|09:05:27Z>"}


def test_many_times_in_many_lines_stay_within_the_limits() -> None:
    payloads = [{"text": "09:00:00Z " * 200, "at": BEGAN, "kind": "noted"} for _ in range(blocks.MANY)]
    for number in (1, 2, 8, 9, 20, blocks.MANY):
        holds(blocks.entries(payloads[:number], 2e9, LOOK))


@pytest.mark.parametrize("at", [None, "soon", True, float("nan"), float("inf"), -1.0, 1e15])
def test_a_time_that_is_none_is_said_in_words(at: object) -> None:
    assert moment(at) == "some time"
