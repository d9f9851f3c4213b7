"""What whoever looks at the page does there: press a button, fill in a modal; told to the app as Slack tells it."""

import secrets
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from tests.slack_double.double import SlackDouble
from tests.slack_double.interactions import People
from tests.slack_double.state import Channel
from tests.slack_double.workspace import Workspace

FIELD: Final = "field:"
"""Before the name of a form's field that is an input of the modal."""


class NotAllowed(Exception):
    """The form doesn't come from our own page, or asks for what isn't there; the text says which."""


def check(double: SlackDouble, host: str, given: Mapping[str, str]) -> str:
    """Return the app's address; raises NotAllowed unless the form is our page's, on our own address."""
    own = urlsplit(double.base_url)
    if host not in {own.netloc, f"localhost:{own.port}"}:
        raise NotAllowed("this page has another address")
    if not secrets.compare_digest(given.get("nonce", "").encode(), double.nonce.encode()):
        raise NotAllowed("the form is not of this page; load it again")
    if double.app_url is None:
        raise NotAllowed("no app listens")
    return double.app_url


def act(double: SlackDouble, team: Workspace, channel: Channel, what: str, given: Mapping[str, str], app: str) -> None:
    """Do what a form asks for; blocks until the app has answered. Raises NotAllowed."""
    people = People(double, team)
    user = given.get("user", "")
    if user not in team.users:
        raise NotAllowed("there is nobody of that id")
    try:
        if what == "press":
            people.send(
                people.press(user, channel, given.get("ts", ""), given.get("pressed", ""), option=given.get("option")),
                app,
            )
            return
        view = team.views.get(given.get("view", ""))
        if view is None or view.user != user:
            raise NotAllowed("that modal is not open")
        if what == "cancel":
            with double.lock:
                view.is_open = False
            return
        values = {name.removeprefix(FIELD): text for name, text in given.items() if name.startswith(FIELD)}
        people.send(people.submit(view, values), app)
    except (LookupError, ValueError) as error:
        raise NotAllowed(str(error)) from error
