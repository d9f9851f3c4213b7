"""A readable page of a channel: what engineers would see in Slack, close enough to judge the look.

Served, its buttons can be pressed where the double knows the app's address; as one file it is a record of it all.
"""

import base64
import html
from dataclasses import dataclass
from datetime import datetime, tzinfo

from tests.slack_double.double import SlackDouble
from tests.slack_double.mrkdwn import Reader, plain_to_html, to_html
from tests.slack_double.pagestyle import STYLE
from tests.slack_double.state import Channel, Json, Message, View
from tests.slack_double.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who looks at a page that is served, and may act there.

    Args:
        user: as whom.
        nonce: what the forms bring back; None: nothing can be pressed.
    """

    user: str
    nonce: str | None


def index(double: SlackDouble) -> str:
    """Return the list of channels."""
    rows = [
        f'<li><a href="/double/{channel.id}">#{html.escape(channel.name)}</a> {len(channel.messages)} messages</li>'
        for team in double.teams.values()
        for channel in team.channels.values()
    ]
    return _document("Slack double", f"<main><h1>Slack double</h1><ul>{''.join(rows)}</ul></main>", None)


def render(
    double: SlackDouble, team: Workspace, channel: Channel, zone: tzinfo, refresh: int | None, viewer: str = ""
) -> str:
    """Return a channel's page.

    Args:
        double, team, channel: what to show.
        zone: the reader's.
        refresh: seconds until the browser loads it again.
        viewer: as whom buttons are pressed, by id; the first person when it is nobody's.
    """
    people = [user for user in team.users.values() if not user.is_bot]
    user = viewer if viewer in team.users else next((one.id for one in people), "")
    acts = Viewer(user, double.nonce if double.app_url and user else None)
    page = Page(team, Reader(_names(team), zone), acts)
    again = f"&amp;refresh={refresh}" if refresh else ""
    others = "".join(
        f'<a href="/double/{one.id}?as={user}{again}"{" class=here" * (one is channel)}>#{html.escape(one.name)}</a>'
        for one in team.channels.values()
    )
    who = ""
    if acts.nonce:
        who = " ".join(
            f"<b>{html.escape(one.real_name)}</b>"
            if one.id == user
            else f'<a href="/double/{channel.id}?as={one.id}{again}">{html.escape(one.real_name)}</a>'
            for one in people
        )
        who = f"<p>You press buttons as {who}</p>"
    # A page that loads itself again would take away what somebody types.
    modal = next((view for view in team.views.values() if view.is_open and view.user == user), None)
    body = f'<nav class="channels">{others}</nav>{page.channel(channel, who)}'
    return _document(f"#{channel.name}", body, None if modal is not None else refresh)


def record(double: SlackDouble, zone: tzinfo) -> str:
    """Return everything that was said, in one file that needs nothing else."""
    parts = []
    for team in double.teams.values():
        page = Page(team, Reader(_names(team), zone), None)
        parts += [page.channel(channel, "") for channel in team.channels.values() if channel.messages]
    return _document("Slack, as the demo told it", "".join(parts) or "<main>Nothing was said.</main>", None)


def _document(title: str, body: str, refresh: int | None) -> str:
    again = f'<meta http-equiv="refresh" content="{refresh}">' if refresh else ""
    phone = '<meta name="viewport" content="width=device-width, initial-scale=1">'
    policy = f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
    head = f'<meta charset="utf-8">{policy}{phone}{again}<title>{html.escape(title)}</title><style>{STYLE}</style>'
    return f'<!doctype html><html lang="en"><head>{head}</head><body>{body}</body></html>'


POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:; form-action 'self'; base-uri 'none'"
"""Even what would slip through the escaping runs nothing and loads nothing from elsewhere."""


def _names(team: Workspace) -> dict[str, str]:
    users = {user.id: user.real_name for user in team.users.values()}
    groups = {group.id: group.handle for group in team.groups.values()}
    return users | groups | {channel.id: channel.name for channel in team.channels.values()}


class Page:
    """Draws messages for one reader.

    Args:
        team: whose people, files and channels are meant.
        reader: who reads.
        viewer: who looks at it as it is served; None: it is a record.
    """

    def __init__(self, team: Workspace, reader: Reader, viewer: Viewer | None) -> None:
        self._team = team
        self._reader = reader
        self._viewer = viewer

    def channel(self, channel: Channel, note: str) -> str:
        """Return a channel: its head, with `note` (HTML) in it, its messages and the modals that are open."""
        shown = sorted([*channel.top_level(), *channel.ephemeral], key=lambda message: message.ts)
        messages = "".join(self.entry(channel, message) for message in shown)
        modals = "".join(self.modal(channel, view) for view in self._team.views.values() if view.is_open)
        topic = self.text(channel.topic["value"])
        marks = "".join(
            f'<a href="{html.escape(one["link"])}">{html.escape(one["title"])}</a>' for one in channel.bookmarks
        )
        pinned = f"<span>{len(channel.pins)} pinned</span>" if channel.pins else ""
        state = " <em>archived</em>" if channel.archived else ""
        head = f"<h1>#{html.escape(channel.name)}{state}</h1><p>{topic}</p><nav>{pinned}{marks}</nav>{note}"
        return f"<header>{head}</header><main>{messages}{self._notices()}{modals}</main>"

    def _notices(self) -> str:
        """Return what Slack's client told whoever looks, such as that the app did not answer."""
        told = [one.text for one in self._team.notices if self._viewer is not None and one.user == self._viewer.user]
        return "".join(f'<p class="error">Slack tells you: {html.escape(text)}</p>' for text in told[-2:])

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

    def modal(self, channel: Channel, view: View) -> str:
        """Return a modal that somebody has open; whoever looks can fill in their own."""
        name = html.escape(self._reader.names.get(view.user, view.user))
        errors = "".join(f'<p class="error">{html.escape(text)}</p>' for text in view.errors.values())
        head = f'<p class="note">A modal that {name} has open</p><h3>{self._text(view.given["title"])}</h3>'
        if self._viewer is not None and self._viewer.nonce and self._viewer.user == view.user:
            fields = "".join(
                self._field(block) if block["type"] == "input" else self._block(block) for block in view.given["blocks"]
            )
            word = self._text(view.given["submit"]) if "submit" in view.given else "OK"
            inner = f'{fields}{errors}<button class="button primary">{word}</button>'
            form = self._form(f"/double/{channel.id}/submit", inner, view=view.id)
            cancel = self._form(f"/double/{channel.id}/cancel", '<button class="button">Cancel</button>', view=view.id)
            return f'<aside class="modal">{head}{form}{cancel}</aside>'
        body = "".join(self._block(block) for block in view.given["blocks"])
        buttons = [view.given[part] for part in ("close", "submit") if part in view.given]
        row = "".join(f'<span class="button">{self._text(button)}</span>' for button in buttons)
        return f'<aside class="modal">{head}{body}{errors}<p class="actions">{row}</p></aside>'

    def _field(self, block: Json) -> str:
        """Return an input of a modal as a form has it."""
        element, name = block["element"], html.escape(f"field:{block['block_id']}")
        needed = "" if block.get("optional") else " required"
        if element["type"] == "static_select":
            options = [*element.get("options", [])]
            options += [one for group in element.get("option_groups", []) for one in group["options"]]
            first = (element.get("initial_option") or {}).get("value")
            listed = "" if first else '<option value="">…</option>'
            listed += "".join(
                f'<option value="{html.escape(one["value"])}"{" selected" * (one["value"] == first)}>'
                f"{self._text(one['text'])}</option>"
                for one in options
            )
            box = f'<select name="{name}"{needed}>{listed}</select>'
        else:
            value = html.escape(element.get("initial_value") or "")
            box = f'<textarea name="{name}" rows="2" maxlength="3000"{needed}>{value}</textarea>'
        return f"<p><label>{self._text(block['label'])} {box}</label></p>"

    def _form(self, action: str, inner: str, **hidden: str) -> str:
        """Return a form that whoever looks can send."""
        assert self._viewer is not None
        given = {"nonce": self._viewer.nonce or "", "user": self._viewer.user, **hidden}
        fields = "".join(f'<input type="hidden" name="{key}" value="{html.escape(one)}">' for key, one in given.items())
        return f'<form method="post" action="{html.escape(action)}">{fields}{inner}</form>'

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
        body = (
            "".join(self._block(block, channel, message) for block in message.blocks)
            or f"<p>{self.text(message.text)}</p>"
        )
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
        picture = file.name.endswith((".png", ".jpg"))
        link = f"/files-pri/{file.id}/{html.escape(file.name)}"
        if self._viewer is None:
            kind = "image/png" if file.name.endswith(".png") else "image/jpeg" if picture else "text/plain"
            link = f"data:{kind};base64,{base64.b64encode(file.data or b'').decode()}"
        title = html.escape(file.title)
        drawn = f'<img src="{link}" alt="{title}">' if picture else ""
        name = title if self._viewer is None else f'<a href="{link}">{title}</a>'
        return f"<figure><figcaption>{name} {file.length // 1024} kB</figcaption>{drawn}</figure>"

    def _block(self, block: Json, channel: Channel | None = None, message: Message | None = None) -> str:
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
            shown = "".join(self._pressable(element, channel, message) for element in block["elements"])
            return f'<div class="actions">{shown}</div>'
        return f"<p><label>{self._text(block['label'])}</label> {self._element(block['element'])}</p>"

    def _section(self, block: Json) -> str:
        text = f"<p>{self._text(block['text'])}</p>" if "text" in block else ""
        fields = "".join(f"<div>{self._text(field)}</div>" for field in block.get("fields", []))
        grid = f'<div class="fields">{fields}</div>' if fields else ""
        accessory = self._element(block["accessory"]) if "accessory" in block else ""
        return f'<div class="section"><div>{text}{grid}</div>{accessory}</div>'

    def _pressable(self, element: Json, channel: Channel | None, message: Message | None) -> str:
        """Return a button or menu that can be pressed where it can; the element as it looks elsewhere."""
        acts = self._viewer is not None and self._viewer.nonce and channel is not None and message is not None
        if not acts or element["type"] not in {"button", "overflow"} or "url" in element:
            return self._element(element)
        assert channel is not None
        assert message is not None
        path, pressed = f"/double/{channel.id}/press", str(element.get("action_id", ""))
        if element["type"] == "overflow":
            entries = "".join(
                f'<button class="button" name="option" value="{html.escape(one["value"])}">'
                f"{self._text(one['text'])}</button>"
                for one in element["options"]
            )
            menu = f'<details class="menu"><summary class="button">⋯</summary>{entries}</details>'
            return self._form(path, menu, ts=message.ts, pressed=pressed)
        style = f"button {element.get('style', '')}".strip()
        inner = f'<button class="{style}">{self._text(element["text"])}</button>'
        return self._form(path, inner, ts=message.ts, pressed=pressed)

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
