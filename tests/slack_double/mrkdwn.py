"""Slack's mrkdwn as safe HTML: bold, code, quotes, links, mentions, dates; everything else is escaped text."""

import html
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Final

TOKEN: Final = re.compile(r"<([^<>\n]+)>")
FENCE: Final = re.compile(r"```(.+?)```", re.DOTALL)
CODE: Final = re.compile(r"`([^`\n]+)`")

STYLES: Final = (
    (re.compile(r"(?<![\w*])\*(\S(?:[^*\n]*\S)?)\*(?![\w*])"), "b"),
    (re.compile(r"(?<![\w_])_(\S(?:[^_\n]*\S)?)_(?![\w_])"), "i"),
    (re.compile(r"(?<![\w~])~(\S(?:[^~\n]*\S)?)~(?![\w~])"), "s"),
)

EMOJI: Final[Mapping[str, str]] = {
    "bell": "🔔", "chart_with_upwards_trend": "📈", "fire": "🔥", "hammer_and_wrench": "🛠️",
    "heavy_check_mark": "✔️", "hourglass_flowing_sand": "⏳", "large_blue_circle": "🔵", "large_green_circle": "🟢",
    "large_orange_circle": "🟠", "large_yellow_circle": "🟡", "lock": "🔒", "mag": "🔍", "no_entry": "⛔",
    "octagonal_sign": "🛑", "question": "❓", "red_circle": "🔴", "rotating_light": "🚨", "warning": "⚠️",
    "white_check_mark": "✅", "white_circle": "⚪", "wrench": "🔧", "x": "❌",
}  # fmt: skip
"""The names that the double draws; others stay words, as they would for a reader without that emoji."""

MARK: Final = "\x00{}\x00"
MARKED: Final = re.compile("\x00(\\d+)\x00")


@dataclass(frozen=True, slots=True)
class Reader:
    """Who reads: what ids mean to them, and the zone that their clock shows.

    Args:
        names: user, group and channel ids to names.
        zone: for dates.
    """

    names: Mapping[str, str]
    zone: tzinfo


def to_html(text: str, reader: Reader) -> str:
    """Return a text in mrkdwn as HTML."""
    kept: list[str] = []

    def keep(markup: str) -> str:
        kept.append(markup)
        return MARK.format(len(kept) - 1)

    def token(match: re.Match[str]) -> str:
        return keep(_token(match[1], reader))

    text = text.replace("\x00", "")
    text = FENCE.sub(lambda match: keep(f"<pre>{_literal(match[1])}</pre>"), text)
    text = CODE.sub(lambda match: keep(f"<code>{_literal(match[1])}</code>"), text)
    text = _literal(TOKEN.sub(token, text))
    for pattern, tag in STYLES:
        text = pattern.sub(rf"<{tag}>\1</{tag}>", text)
    text = _emoji(text)
    lines = [f"<q>{line[5:].lstrip()}</q>" if line.startswith("&gt; ") else line for line in text.split("\n")]
    return MARKED.sub(lambda match: kept[int(match[1])], "<br>".join(lines))


def plain_to_html(text: str) -> str:
    """Return a plain_text as HTML: only emoji mean something in it."""
    return _emoji(html.escape(text)).replace("\n", "<br>")


def _literal(text: str) -> str:
    """Escape for HTML what Slack's three entities stand for."""
    plain = text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    return html.escape(plain)


def _emoji(text: str) -> str:
    return re.sub(r":([a-z0-9_+-]+):", lambda match: EMOJI.get(match[1], match[0]), text)


def _token(inner: str, reader: Reader) -> str:
    target, _, label = inner.partition("|")
    if target.startswith("@"):
        return _mention("@" + reader.names.get(target[1:], target[1:]))
    if target.startswith("#"):
        return _mention("#" + reader.names.get(target[1:], label or target[1:]))
    if target.startswith("!date^"):
        return _date(target, label, reader.zone)
    if target.startswith("!subteam^"):
        return _mention("@" + reader.names.get(target.removeprefix("!subteam^"), label.removeprefix("@") or "group"))
    if target.startswith("!"):
        return _mention("@" + (label or target[1:]))
    if target.startswith(("http://", "https://", "mailto:")):
        return f'<a href="{_literal(target)}" rel="noreferrer">{_literal(label or target)}</a>'
    return _literal(f"<{inner}>")


def _mention(text: str) -> str:
    return f'<span class="mention">{_literal(text)}</span>'


def _date(target: str, fallback: str, zone: tzinfo) -> str:
    """Draw `!date^timestamp^format^link`; what can't be drawn is the fallback, as in Slack."""
    _, stamp, form, *links = target.split("^", 3) if target.count("^") >= 2 else ("", "", "")
    try:
        at = datetime.fromtimestamp(int(stamp), zone)
    except (ValueError, OverflowError, OSError):
        return _literal(fallback)
    shown = form
    for name, pattern in DATES.items():
        shown = shown.replace("{" + name + "}", at.strftime(pattern))
    if LEFT_OVER.search(shown):
        return _literal(fallback)
    markup = f'<time datetime="{at.isoformat()}" title="{_literal(fallback)}">{_literal(shown)}</time>'
    good = links and links[0].startswith(("http://", "https://"))
    return f'<a href="{_literal(links[0])}" rel="noreferrer">{markup}</a>' if good else markup


LEFT_OVER: Final = re.compile(r"\{\w+\}")

DATES: Final[Mapping[str, str]] = {
    "date_num": "%Y-%m-%d",
    "date_slash": "%d/%m/%Y",
    "date_short_pretty": "%b %d, %Y",
    "date_long_pretty": "%A, %B %d, %Y",
    "date_pretty": "%B %d, %Y",
    "date_short": "%b %d, %Y",
    "date_long": "%A, %B %d, %Y",
    "date": "%B %d, %Y",
    "time_secs": "%H:%M:%S",
    "time": "%H:%M",
}
"""Uncertain: Slack draws by the reader's language and clock, says "today" in the pretty forms, and knows
`{ago}`; here each has one form, and `{ago}` is drawn as the fallback."""
