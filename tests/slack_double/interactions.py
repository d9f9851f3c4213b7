"""What people do: press a button, choose, submit a modal, type a slash command; and what then becomes of the answer."""

import json
import time
from collections.abc import Mapping
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from tests.slack_double.double import SlackDouble
from tests.slack_double.errors import SlackError
from tests.slack_double.modals import change_modal, filled_in
from tests.slack_double.responses import respond
from tests.slack_double.shapes import message_json, view_json
from tests.slack_double.signing import LIMIT, Answer, Signed
from tests.slack_double.sockets import Envelope
from tests.slack_double.state import Channel, Json, Notice, View
from tests.slack_double.triggers import ResponseUrl
from tests.slack_double.workspace import Workspace

VERIFICATION: Final = "the-old-verification-token"
"""The deprecated `token` of payloads; nobody should look at it."""


@dataclass(frozen=True, slots=True)
class Interaction:
    """Something that a person did, not yet told to the app.

    Args:
        kind: `interactive` or `slash_commands`, as Socket Mode names it.
        payload: what the app will get.
        team, user: who did it.
        view: the modal that was submitted, if one was.
        reply_to: where the answer to a slash command is shown.
    """

    kind: str
    payload: Json
    team: Workspace
    user: str
    view: View | None = None
    reply_to: ResponseUrl | None = None

    @property
    def trigger_id(self) -> str:
        """The trigger id that it gave out."""
        given: str = self.payload["trigger_id"]
        return given

    @property
    def form(self) -> bytes:
        """The body of the HTTP request."""
        if self.kind == "slash_commands":
            return urlencode(self.payload).encode()
        return urlencode({"payload": json.dumps(self.payload)}).encode()


class People:
    """Acts as the people of a workspace.

    Args:
        double: where.
        team: the double's first workspace unless another is given.
    """

    def __init__(self, double: SlackDouble, team: Workspace | None = None) -> None:
        self._double = double
        self._team = team or double.team
        self._app = double.app_of(self._team)

    def look(self, channel: Channel, ts: str) -> Json:
        """Return a message as a client shows it now; given to `press` later, it is a late click."""
        with self._double.lock:
            found = channel.messages.get(ts) or next((one for one in channel.ephemeral if one.ts == ts), None)
            if found is None:
                raise LookupError(f"#{channel.name} shows no message {ts}")
            return message_json(self._team, self._app, found)

    def press(
        self,
        user: str,
        channel: Channel,
        ts: str,
        action_id: str,
        *,
        option: str | None = None,
        seen: Json | None = None,
    ) -> Interaction:
        """Press a button, or choose an option of a menu, by the element's `action_id`.

        Args:
            user: who, by id.
            channel, ts: on which message.
            action_id: which element.
            option: the value of the option, for menus.
            seen: the message as this person still sees it; by default as it is now.

        Raises:
            LookupError: they see no such message, element or option.
        """
        shown = seen or self.look(channel, ts)
        with self._double.lock:
            block, element = _element(shown, action_id)
            ephemeral = next((one for one in channel.ephemeral if one.ts == ts), None)
            message = channel.messages.get(ts) or ephemeral
            url = ResponseUrl(self._team.id, channel.id, user, self._double.now(), message)
            container: Json = {"type": "message", "message_ts": ts, "channel_id": channel.id}
            container |= {"is_ephemeral": ephemeral is not None}
            if "thread_ts" in shown:
                container["thread_ts"] = shown["thread_ts"]
            action = _action(block, element, option) | {"action_ts": self._team.event_ts()}
            payload = self._common("block_actions", user) | {
                "container": container,
                "channel": {"id": channel.id, "name": channel.name},
                "message": shown,
                "state": {"values": {}},
                "response_url": self._response_url("actions", url),
                "actions": [action],
            }
            return Interaction("interactive", payload, self._team, user)

    def submit(self, view: View, values: Mapping[str, str | None]) -> Interaction:
        """Submit a modal with these inputs: block id to text or to an option's value.

        Raises:
            LookupError: it isn't open any more.
            ValueError: Slack's client would not let them submit it.
        """
        with self._double.lock:
            if not view.is_open:
                raise LookupError("the modal is closed")
            state = filled_in(view, dict(values))
            shown = view_json(self._team, self._app, view, state)
            payload = self._common("view_submission", view.user) | {"view": shown, "response_urls": []}
            return Interaction("interactive", payload, self._team, view.user, view=view)

    def command(self, user: str, channel: Channel, command: str, text: str = "") -> Interaction:
        """Type a slash command, such as `/remediator` with `status`."""
        with self._double.lock:
            url = ResponseUrl(self._team.id, channel.id, user, self._double.now())
            person = self._team.user(user)
            payload: Json = {
                "token": VERIFICATION,
                "team_id": self._team.id,
                "team_domain": self._team.domain,
                "channel_id": channel.id,
                "channel_name": channel.name,
                "user_id": user,
                "user_name": person.name,
                "command": command,
                "text": text,
                "api_app_id": self._app.id,
                "is_enterprise_install": "false",
                "response_url": self._response_url("commands", url),
                "trigger_id": self._trigger(user),
            }
            return Interaction("slash_commands", payload, self._team, user, reply_to=url)

    def modal_of(self, user: str) -> View | None:
        """Return the modal that somebody has open, the newest if there are several."""
        with self._double.lock:
            mine = [view for view in self._team.views.values() if view.user == user and view.is_open]
            return mine[-1] if mine else None

    def signed(self, interaction: Interaction) -> Signed:
        """Return the HTTP request for an interaction, signed now by the double's time."""
        return Signed(self._app.signing_secret, str(int(self._double.now())), interaction.form)

    def send(self, interaction: Interaction, url: str, *, limit: float = LIMIT) -> Answer:
        """Tell the app over HTTP, and do with its answer what Slack does. Blocks; use a thread in an event loop."""
        answer = self.signed(interaction).post(url, limit=limit)
        self.settle(interaction, answer)
        return answer

    def send_by_socket(self, interaction: Interaction, *, limit: float = LIMIT) -> Envelope:
        """Tell the app over Socket Mode, and do with its answer what Slack does. Blocks."""
        began = time.monotonic()
        envelope = self._double.sockets.deliver(
            self._app.id, interaction.kind, interaction.payload, accepts_response=True
        )
        try:
            given = envelope.acknowledged.result(limit)
        except FutureTimeoutError:
            self.settle(interaction, Answer(None, "", "", limit, "operation_timeout"))
            return envelope
        body = json.dumps(given) if given is not None else ""
        self.settle(interaction, Answer(200, "application/json", body, time.monotonic() - began))
        return envelope

    def settle(self, interaction: Interaction, answer: Answer) -> None:
        """Do with an answer what Slack does: show it, act on the modal, or tell the person that it went wrong."""
        with self._double.lock:
            if not answer.in_time:
                problem = answer.problem or f"http_{answer.status}"
                self._team.notices.append(Notice(interaction.user, f"the app did not take it: {problem}"))
                return
            try:
                if interaction.view is not None:
                    self._settle_view(interaction.view, _as_object(answer.body))
                elif interaction.reply_to is not None and answer.body.strip():
                    given = _as_object(answer.body) if "json" in answer.kind else {"text": answer.body}
                    respond(self._double, interaction.reply_to, given)
            except (SlackError, ValueError) as error:
                self._team.notices.append(Notice(interaction.user, f"the app answered badly: {error}"))

    def _settle_view(self, view: View, given: Json) -> None:
        action = given.get("response_action")
        if action == "errors":
            known = {block.get("block_id") for block in view.given["blocks"] if block["type"] == "input"}
            wrong = given.get("errors", {})
            if not isinstance(wrong, dict) or not wrong or not set(wrong) <= known:
                raise ValueError("errors for blocks that are no inputs")
            if not all(isinstance(text, str) and text for text in wrong.values()):
                raise ValueError("errors without words")
            view.errors = dict(wrong)
        elif action == "update":
            change_modal(self._double, self._team, view, given.get("view", {}))
        elif action in {None, "clear"}:
            view.is_open = False
        else:
            raise ValueError(f"this double knows no response_action {action}")

    def _common(self, kind: str, user: str) -> Json:
        person = self._team.user(user)
        return {
            "type": kind,
            "user": {"id": user, "username": person.name, "name": person.name, "team_id": self._team.id},
            "api_app_id": self._app.id,
            "token": VERIFICATION,
            "trigger_id": self._trigger(user),
            "team": {"id": self._team.id, "domain": self._team.domain},
            "enterprise": None,
            "is_enterprise_install": False,
        }

    def _trigger(self, user: str) -> str:
        secret = self._double.secret(f"trigger {self._team.event_ts()}")
        return self._double.triggers.issue(self._team.id, user, self._app.id, secret)

    def _response_url(self, kind: str, url: ResponseUrl) -> str:
        secret = self._double.secret(f"response {self._team.event_ts()}")
        return self._double.base_url + self._double.response_urls.issue(kind, url, secret)


def _element(shown: Json, action_id: str) -> tuple[Json, Json]:
    """Return the block and the element that somebody sees under an action id."""
    inside = [block for one in shown.get("attachments", []) for block in one.get("blocks", [])]
    for block in [*shown.get("blocks", []), *inside]:
        for element in [*block.get("elements", []), block.get("accessory", {})]:
            if element.get("action_id") == action_id:
                return block, element
    raise LookupError(f"the message shows nothing with the action_id {action_id}")


def _action(block: Json, element: Json, option: str | None) -> Json:
    """Return the entry of `actions`, by the element's type."""
    action: Json = {"action_id": element["action_id"], "block_id": block["block_id"], "type": element["type"]}
    if element["type"] == "button":
        return action | {name: element[name] for name in ("text", "value", "style") if name in element}
    options: list[Any] = element.get("options", [])
    chosen = next((one for one in options if one["value"] == option), None)
    if chosen is None:
        raise LookupError(f"{element['action_id']} has no option {option}")
    return action | {"selected_option": chosen}


def _as_object(body: str) -> Json:
    """Return a JSON object; nothing is an empty one."""
    if not body.strip():
        return {}
    given = json.loads(body)
    if not isinstance(given, dict):
        raise SlackError("invalid_payload")
    return given
