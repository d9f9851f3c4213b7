"""users.* and usergroups.*: who is who."""

from tests.slack_double.errors import SlackError
from tests.slack_double.registry import Call, answer, method, page
from tests.slack_double.shapes import group_json, user_json
from tests.slack_double.state import Json, User


@method("users.info", 4, "users:read")
def info(call: Call) -> Json:
    """Return one user."""
    return answer(user=_shown(call, call.team.user(call.arguments.required("user"))))


@method("users.lookupByEmail", 3, "users:read.email")
def lookup_by_email(call: Call) -> Json:
    """Return the active user with an address; letters' case doesn't matter."""
    email = call.arguments.required("email").lower()
    found = [user for user in call.team.users.values() if user.email.lower() == email]
    if not found or found[0].deleted or found[0].is_bot:
        raise SlackError("users_not_found")
    return answer(user=_shown(call, found[0]))


@method("users.list", 2, "users:read")
def list_users(call: Call) -> Json:
    """Return everybody, bots and deactivated people too."""
    users, cursor = page(call, list(call.team.users.values()), 1000)
    shown = [_shown(call, user) for user in users]
    return answer(members=shown, cache_ts=int(call.team.now()), response_metadata={"next_cursor": cursor})


@method("usergroups.list", 2, "usergroups:read")
def list_groups(call: Call) -> Json:
    """Return the user groups."""
    _groups_allowed(call)
    users, count = call.arguments.flag("include_users"), call.arguments.flag("include_count")
    disabled = call.arguments.flag("include_disabled")
    found = [group for group in call.team.groups.values() if disabled or not group.disabled]
    return answer(usergroups=[group_json(call.team, group, users=users, count=count) for group in found])


@method("usergroups.users.list", 2, "usergroups:read")
def list_group_users(call: Call) -> Json:
    """Return the members of one group."""
    _groups_allowed(call)
    group = call.team.groups.get(call.arguments.required("usergroup"))
    if group is None or (group.disabled and not call.arguments.flag("include_disabled")):
        raise SlackError("no_such_subteam")
    return answer(users=list(group.users))


def _groups_allowed(call: Call) -> None:
    if not call.team.has_user_groups:
        raise SlackError("plan_upgrade_required")


def _shown(call: Call, user: User) -> Json:
    return user_json(call.team, user, email="users:read.email" in call.token.scopes)
