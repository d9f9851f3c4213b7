"""A readable page of a channel: what engineers would see in Slack, close enough to judge the look."""

import html
from datetime import datetime, tzinfo

from tests.slack_double.double import SlackDouble
from tests.slack_double.mrkdwn import Reader, plain_to_html, to_html
from tests.slack_double.pagestyle import STYLE
from tests.slack_double.state import Channel, Json, Message, View
from tests.slack_double.workspace import Workspace


def index(double: SlackDouble) -> str:
    """Return the list of channels."""
    rows = [
        f'<li><a href="/double/{channel.id}">#{html.escape(channel.name)}</a> {len(channel.messages)} messages</li>'
        for team in double.teams.values()
        for channel in team.channels.values()
    ]
    return _document("Slack double", f"<main><h1>Slack double</h1><ul>{''.join(rows)}</ul></main>", None)


def render(double: SlackDouble, team: Workspace, channel: Channel, zone: tzinfo, refresh: int | None) -> str:
    """Return a channel's page.

    Args:
        double, team, channel: what to show.
        zone: the reader's.
        refresh: seconds until the browser loads it again.
    """
    page = Page(team, Reader(_names(team), zone))
    shown = sorted([*channel.top_level(), *channel.ephemeral], key=lambda message: message.ts)
    messages = "".join(page.entry(channel, message) for message in shown)
    modals = "".join(page.modal(view) for view in team.views.values() if view.is_open)
    topic = page.text(channel.topic["value"])
    marks = "".join(
        f'<a href="{html.escape(one["link"])}">{html.escape(one["title"])}</a>' for one in channel.bookmarks
    )
    pinned = f"<span>{len(channel.pins)} pinned</span>" if channel.pins else ""
    state = " <em>archived</em>" if channel.archived else ""
    head = f"<header><h1>#{html.escape(channel.name)}{state}</h1><p>{topic}</p><nav>{pinned}{marks}</nav></header>"
    return _document(f"#{channel.name}", f"{head}<main>{messages}{modals}</main>", refresh)


def _document(title: str, body: str, refresh: int | None) -> str:
    again = f'<meta http-equiv="refresh" content="{refresh}">' if refresh else ""
    head = f'<meta charset="utf-8">{again}<title>{html.escape(title)}</title><style>{STYLE}</style>'
    return f'<!doctype html><html lang="en"><head>{head}</head><body>{body}</body></html>'


def _names(team: Workspace) -> dict[str, str]:
    users = {user.id: user.real_name for user in team.users.values()}
    groups = {group.id: group.handle for group in team.groups.values()}
    return users | groups | {channel.id: channel.name for channel in team.channels.values()}


class Page:
    """Draws messages for one reader.

    Args:
        team: whose people, files and channels are meant.
        reader: who reads.
    """

    def __init__(self, team: Workspace, reader: Reader) -> None:
        self._team = team
        self._reader = reader

    def text(self, text: str) -> str:
        """Return a text in mrkdwn."""
        return to_html(text, self._reader)

    def entry(self, channel: Channel, message: Message) -> str:
        """Return a message of the channel with its thread under it; a broadcast reply stands alone."""
        if message.only_for is not None:
            return self._ephemeral(message)
        replies = [] if message.is_reply else channel.replies(message.ts)
        thread = ""
        if replies:
            shown = "".join(self._message(channel, reply, "") for reply in replies)
            count = f"{len(replies)} {'reply' if len(replies) == 1 else 'replies'}"
            thread = f'<details open class="thread"><summary>{count}</summary>{shown}</details>'
        return f"<article>{self._message(channel, message, '', anchor=True)}{thread}</article>"

    def modal(self, view: View) -> str:
        """Return a modal that somebody has open."""
        name = html.escape(self._reader.names.get(view.user, view.user))
        errors = "".join(f'<p class="error">{html.escape(text)}</p>' for text in view.errors.values())
        body = "".join(self._block(block) for block in view.given["blocks"])
        buttons = [view.given[part] for part in ("close", "submit") if part in view.given]
        row = "".join(f'<span class="button">{self._text(button)}</span>' for button in buttons)
        head = f'<p class="note">A modal that {name} has open</p><h3>{self._text(view.given["title"])}</h3>'
        return f'<aside class="modal">{head}{body}{errors}<p class="actions">{row}</p></aside>'

    def _ephemeral(self, message: Message) -> str:
        name = html.escape(self._reader.names.get(message.only_for or "", "somebody"))
        note = f'<p class="note">Only visible to {name}</p>'
        return f'<article class="ephemeral">{self._message(None, message, note)}</article>'

    def _message(self, channel: Channel | None, message: Message, note: str, *, anchor: bool = False) -> str:
        at = datetime.fromtimestamp(float(message.ts), self._reader.zone)
        name = html.escape(self._reader.names.get(message.user, message.user))
        app = '<span class="app">APP</span>' if message.bot_id else ""
        edited = " <small>(edited)</small>" if message.edited else ""
        if message.broadcast:
            note += '<p class="note">replied to a thread, and to the channel</p>'
        if channel is not None and any(pin.ts == message.ts for pin in channel.pins):
            note += '<p class="note">📌 Pinned</p>'
        body = "".join(self._block(block) for block in message.blocks) or f"<p>{self.text(message.text)}</p>"
        body += "".join(self._attachment(one) for one in message.attachments)
        body += "".join(self._file(one) for one in message.files)
        mark = f' id="p{message.ts.replace(".", "")}"' if anchor else ""
        kind = "bot" if message.bot_id else "human"
        title = f"<h2>{name}{app} <time>{at:%H:%M:%S}</time>{edited}</h2>"
        avatar = f'<span class="avatar {kind}">{name[:1]}</span>'
        return f'<section class="message"{mark}>{avatar}<div>{note}{title}{body}</div></section>'

    def _attachment(self, one: Json) -> str:
        colour = str(one.get("color", "dddddd")).removeprefix("#")
        colour = {"good": "2eb886", "warning": "daa038", "danger": "a30200"}.get(colour, colour)
        safe = (
            colour if len(colour) in {3, 6} and all(char in "0123456789abcdefABCDEF" for char in colour) else "dddddd"
        )
        inner = "".join(self._block(block) for block in one.get("blocks", []))
        inner = inner or f"<p>{self.text(str(one.get('text') or one.get('fallback', '')))}</p>"
        return f'<div class="attachment" style="border-left-color:#{safe}">{inner}</div>'

    def _file(self, identifier: str) -> str:
        file = self._team.files[identifier]
        link = f"/files-pri/{file.id}/{html.escape(file.name)}"
        title = html.escape(file.title)
        drawn = f'<img src="{link}" alt="{title}">' if file.name.endswith((".png", ".jpg")) else ""
        return f'<figure><figcaption><a href="{link}">{title}</a> {file.length} bytes</figcaption>{drawn}</figure>'

    def _block(self, block: Json) -> str:
        kind = block["type"]
        if kind == "header":
            return f"<h3>{self._text(block['text'])}</h3>"
        if kind == "divider":
            return "<hr>"
        if kind == "section":
            return self._section(block)
        if kind == "context":
            parts = [
                html.escape(one["alt_text"]) if one["type"] == "image" else self._text(one) for one in block["elements"]
            ]
            return f'<p class="context">{" &nbsp; ".join(parts)}</p>'
        if kind == "actions":
            return f'<p class="actions">{"".join(map(self._element, block["elements"]))}</p>'
        return f"<p><label>{self._text(block['label'])}</label> {self._element(block['element'])}</p>"

    def _section(self, block: Json) -> str:
        text = f"<p>{self._text(block['text'])}</p>" if "text" in block else ""
        fields = "".join(f"<div>{self._text(field)}</div>" for field in block.get("fields", []))
        grid = f'<div class="fields">{fields}</div>' if fields else ""
        accessory = self._element(block["accessory"]) if "accessory" in block else ""
        return f'<div class="section"><div>{text}{grid}</div>{accessory}</div>'

    def _element(self, element: Json) -> str:
        if element["type"] == "button":
            style = f"button {element.get('style', '')}".strip()
            asks = ' title="asks for a confirmation"' if "confirm" in element else ""
            return f'<span class="{style}"{asks}>{self._text(element["text"])}</span>'
        if element["type"] == "overflow":
            return '<span class="button">⋯</span>'
        placeholder = element.get("placeholder")
        shown = self._text(placeholder) if placeholder else "…"
        chosen = element.get("initial_option")
        shown = self._text(chosen["text"]) if chosen else shown
        return f'<span class="input">{shown}{" ▾" if element["type"] == "static_select" else ""}</span>'

    def _text(self, given: Json) -> str:
        return self.text(given["text"]) if given["type"] == "mrkdwn" else plain_to_html(given["text"])
