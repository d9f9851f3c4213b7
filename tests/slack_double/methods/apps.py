"""auth.test and apps.connections.open."""

from tests.slack_double.rates import SPECIAL
from tests.slack_double.registry import Call, answer, method
from tests.slack_double.state import Json


@method("auth.test", SPECIAL)
def auth_test(call: Call) -> Json:
    """Say who the token is; its scopes are in a header of every answer."""
    return answer(
        url=f"https://{call.team.domain}.slack.com/",
        team=call.team.name,
        user=call.team.users[call.me].name,
        team_id=call.team.id,
        user_id=call.me,
        bot_id=call.app.bot_id,
        is_enterprise_install=False,
    )


@method("apps.connections.open", 3, "connections:write", kind="app")
def connections_open(call: Call) -> Json:
    """Give out a WebSocket's URL that works once."""
    ticket = call.double.sockets.ticket(call.token)
    base = call.double.base_url.replace("http://", "ws://", 1)
    return answer(url=f"{base}/link/?ticket={ticket}&app_id={call.app.id}")
