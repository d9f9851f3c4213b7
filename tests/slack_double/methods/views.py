"""views.open and views.update: modals."""

from tests.slack_double.blockkit import check_view
from tests.slack_double.errors import SlackError
from tests.slack_double.modals import change_modal, open_modal
from tests.slack_double.registry import Call, answer, method
from tests.slack_double.shapes import view_json
from tests.slack_double.state import Json, View


@method("views.open", 4)
def open_view(call: Call) -> Json:
    """Open a modal for whoever caused the trigger id; the id works once and for three seconds."""
    trigger = call.arguments.required("trigger_id")
    given = check_view(call.arguments.structure("view", "invalid_arguments"))
    view = open_modal(call.double, call.team, trigger, call.app.id, given)
    return answer(view=view_json(call.team, call.app, view))


@method("views.update", 4)
def update_view(call: Call) -> Json:
    """Change an open modal; with `hash`, only if nobody changed it meanwhile."""
    view = _open(call)
    expected = call.arguments.text("hash")
    if expected is not None and expected != view.hash:
        raise SlackError("hash_conflict")
    change_modal(call.double, call.team, view, call.arguments.structure("view", "invalid_arguments"))
    return answer(view=view_json(call.team, call.app, view))


def _open(call: Call) -> View:
    identifier, external = call.arguments.text("view_id"), call.arguments.text("external_id")
    for view in call.team.views.values():
        named = external is not None and view.given.get("external_id") == external
        if view.is_open and (view.id == identifier or named):
            return view
    raise SlackError("not_found")
