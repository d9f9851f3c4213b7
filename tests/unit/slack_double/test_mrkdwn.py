"""mrkdwn as HTML: what is drawn, and that nothing gets out of its text."""

from zoneinfo import ZoneInfo

import pytest

from tests.slack_double.mrkdwn import Reader, plain_to_html, to_html

READER = Reader({"U1": "Ada <admin>", "S1": "on-call", "C1": "ops"}, ZoneInfo("Europe/Berlin"))


@pytest.mark.parametrize(
    ("text", "markup"),
    [
        ("*bold* _it_ ~gone~", "<b>bold</b> <i>it</i> <s>gone</s>"),
        ("2*3*4 snake_case_name", "2*3*4 snake_case_name"),
        ("`a*b*<c>`", "<code>a*b*&lt;c&gt;</code>"),
        ("```x\n*y*```", "<pre>x\n*y*</pre>"),
        ("a\n&gt; b", "a<br><q>b</q>"),
        ("a &amp; b &lt;c&gt;", "a &amp; b &lt;c&gt;"),
        ("<@U1>", '<span class="mention">@Ada &lt;admin&gt;</span>'),
        ("<!subteam^S1>", '<span class="mention">@on-call</span>'),
        ("<!channel> <!here>", '<span class="mention">@channel</span> <span class="mention">@here</span>'),
        ("<#C1>", '<span class="mention">#ops</span>'),
        (
            "<https://x.example/?a=1&amp;b|see *it*>",
            '<a href="https://x.example/?a=1&amp;b" rel="noreferrer">see *it*</a>',
        ),
        (":white_check_mark: :unknown:", "✅ :unknown:"),
    ],
)
def test_what_slack_draws(text: str, markup: str) -> None:
    assert to_html(text, READER) == markup


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "<javascript:alert(1)|x>",
        '<https://x" onclick="y|z>',
        "\x00" + "0\x00",
        "<img src=x>",
    ],
)
def test_nothing_becomes_markup_of_its_own(text: str) -> None:
    markup = to_html(text, READER)
    assert "<script" not in markup
    assert "<img" not in markup
    assert 'href="javascript' not in markup
    assert 'onclick="' not in markup


def test_an_escaped_mention_is_only_text() -> None:
    assert to_html("&lt;!channel&gt;", READER) == "&lt;!channel&gt;"


def test_a_date_is_drawn_in_the_readers_zone() -> None:
    markup = to_html("<!date^1800000000^{date_num} {time_secs}|never>", READER)
    assert ">2027-01-15 09:00:00<" in markup


@pytest.mark.parametrize("date", ["!date^soon^{time}", "!date^1800000000^{century}", "!date^99999999999999^{time}"])
def test_a_date_that_can_not_be_drawn_is_its_fallback(date: str) -> None:
    assert to_html(f"<{date}|in a while>", READER) == "in a while"


def test_plain_text_knows_no_markup() -> None:
    assert plain_to_html("*a* <b> :x:") == "*a* &lt;b&gt; ❌"
