"""Modals as somebody has them open: opened, changed, filled in."""

from tests.slack_double.blockkit import check_view
from tests.slack_double.double import SlackDouble
from tests.slack_double.errors import SlackError
from tests.slack_double.state import Json, View
from tests.slack_double.workspace import Workspace


def open_modal(double: SlackDouble, team: Workspace, trigger: str, app: str, given: Json) -> View:
    """Open a checked modal for whoever caused the trigger id."""
    external = given.get("external_id")
    taken = (view.given.get("external_id") for view in team.views.values() if view.is_open)
    if external and external in taken:
        raise SlackError("duplicate_external_id")
    user = double.triggers.redeem(trigger, team.id, app)
    view = View(team.ids("V"), user, _with_ids(team, given), double.secret(team.event_ts()))
    team.views[view.id] = view
    return view


def change_modal(double: SlackDouble, team: Workspace, view: View, given: Json) -> None:
    """Give an open modal another content; refuses an invalid one."""
    view.given = _with_ids(team, check_view(given))
    view.hash = double.secret(team.event_ts())
    view.errors = {}


def filled_in(view: View, values: dict[str, str | None]) -> Json:
    """Return a modal's state as the person's client would send it.

    Args:
        view: what they look at.
        values: block id to the text, or the chosen option's value; what isn't named keeps its initial value.

    Raises:
        ValueError: the client would not let them submit: a required field is empty, too short or too long, or there is
            no such field or option.
    """
    inputs = {block["block_id"]: block for block in view.given["blocks"] if block["type"] == "input"}
    unknown = values.keys() - inputs.keys()
    if unknown:
        raise ValueError(f"the modal has no input block {', '.join(sorted(unknown))}")
    return {
        name: {block["element"].get("action_id", "action"): _value(name, block, values)}
        for name, block in inputs.items()
    }


def _value(name: str, block: Json, values: dict[str, str | None]) -> Json:
    element = block["element"]
    if element["type"] == "static_select":
        return _choice(name, block, values)
    value = values.get(name, element.get("initial_value")) or None
    if value is None and not block.get("optional", False):
        raise ValueError(f"{name} must be filled in")
    if value is not None and not element.get("min_length", 0) <= len(value) <= element.get("max_length", 3000):
        raise ValueError(f"{name} has {len(value)} characters, which its input doesn't take")
    return {"type": "plain_text_input", "value": value}


def _choice(name: str, block: Json, values: dict[str, str | None]) -> Json:
    element = block["element"]
    groups = [group["options"] for group in element.get("option_groups", [])]
    options = [*element.get("options", []), *(option for group in groups for option in group)]
    chosen = element.get("initial_option")
    if values.get(name):
        chosen = next((option for option in options if option["value"] == values[name]), None)
        if chosen is None:
            raise ValueError(f"{name} has no option {values[name]}")
    if chosen is None and not block.get("optional", False):
        raise ValueError(f"{name} must be chosen")
    return {"type": "static_select", "selected_option": chosen}


def _with_ids(team: Workspace, given: Json) -> Json:
    return {**given, "blocks": team.with_ids(given["blocks"])}
