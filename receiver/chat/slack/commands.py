"""`/remediator`: what can be typed in Slack. Answers are private."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

from receiver.chat.slack.buttons import PHASES, PREFIX, Press, Verb, link, read
from receiver.chat.slack.desk import SOON, WAIT, Desk, outcome
from receiver.chat.slack.modals import Kill
from receiver.chat.slack.text import code, escape
from receiver.chat.slack.verbs import principal, said, text_of
from receiver.chat.slack.whose import SlackUser
from receiver.core.incident import Incident
from receiver.core.notices import for_users
from receiver.core.principal import Principal
from receiver.core.severity import Severity
from receiver.core.timeline import header
from receiver.people import Person, Role
from receiver.ports import IncidentFilter

Json = dict[str, Any]

LISTED: Final = 20
COUNTED: Final = 200

PHASE_OPTIONS: Final = frozenset({"--phase", "\N{EM DASH}phase", "\N{EN DASH}phase"})
"""Clients make a dash of two hyphens."""

HELP: Final = """\
`/remediator status`: the kill switch, what is open, what waits for an approval
`/remediator list`: the open incidents, newest first
`/remediator approve INCIDENT [REASON]`: approve what an incident asks for
`/remediator deny INCIDENT REASON`: deny it; that ends the request
`/remediator declare [P1|P2|P3|P4 WHAT]`: begin an incident without an alert; with nothing behind it a window asks
`/remediator severity INCIDENT [P1|P2|P3|P4 REASON]`: say how bad an incident is; else a window asks
`/remediator note INCIDENT [--phase assessed|mitigated] [TEXT]`: add a remark, or mark a P1's phase; else a window asks
`/remediator notice INCIDENT`: the draft of a notice for users
`/remediator kill on|off [PLAYBOOK]`: stop every action, or let them go on; asks once more
`/remediator help`: this"""

ROLES: Final[Mapping[str, Role]] = {
    "status": Role.VIEWER,
    "list": Role.VIEWER,
    "approve": Role.APPROVER,
    "deny": Role.APPROVER,
    "declare": Role.RESPONDER,
    "severity": Role.RESPONDER,
    "note": Role.RESPONDER,
    "notice": Role.VIEWER,
    "kill": Role.ADMIN,
}


class Commands:
    """Answers slash commands.

    Args:
        desk: takes presses; works on what takes longer too.
        page: how people reach the service, empty when they can't.
        mode: `observe` or `act`.
    """

    def __init__(self, desk: Desk, page: str, mode: str) -> None:
        self._desk = desk
        self._page = page
        self._mode = mode

    async def command(self, form: Mapping[str, str]) -> Json | None:
        """Take a command; returns the answer, None when a modal gives it.

        Raises:
            receiver.ports.TooBusy: too much is under way.
        """
        task = self._desk.begin(self._said(form))
        await asyncio.wait([task], timeout=SOON)
        if task.done():
            text = await outcome(task)
            return self._desk.answers.message(text) if text else None
        _ = self._desk.follow(self._send_later(task, form.get("response_url")))
        return self._desk.answers.message(WAIT)

    async def _send_later(self, task: asyncio.Task[str], url: object) -> None:
        if text := await outcome(task):
            await self._desk.answers.send(url, text)

    async def _said(self, form: Mapping[str, str]) -> str:
        words = text_of(form.get("text")).split()
        verb, given = (words[0].lower(), words[1:]) if words else ("help", [])
        team, user = text_of(form.get("team_id")), text_of(form.get("user_id"))
        who = SlackUser(team, user) if team and user else None
        role = ROLES.get(verb)
        if role is None:
            return HELP if verb == "help" else f"There is no command {code(verb, 40)}.\n{HELP}"
        person = await self._desk.whose.person(who) if who is not None else None
        if who is None or person is None or not person.may(role):
            return self._desk.refuse(who, person, role, what=f"/remediator {verb}", of=" ".join(given[:1])[:60])
        return await self._do(verb, given, person, who, text_of(form.get("trigger_id")))

    async def _do(self, verb: str, given: list[str], person: Person, who: SlackUser, trigger: str) -> str:
        by = principal(person, who)
        match verb:
            case "status":
                return await self._status(person)
            case "list":
                return await self._list()
            case "kill":
                return await self._kill(given, trigger)
            case "declare":
                return await self._declare(given, by, trigger)
            case "severity":
                return await self._severity(given, by, trigger)
            case "note":
                return await self._note(given, by, trigger)
            case "notice":
                return await self._notice(given)
            case _:
                return await self._vote(verb, given, by)

    async def _vote(self, verb: str, given: list[str], by: Principal) -> str:
        if not given:
            return _which(f"{verb} INCIDENT REASON")
        incident, reason = given[0].strip("`"), " ".join(given[1:])
        answer = await self._desk.operations.vote(incident, by=by, approve=verb == "approve", reason=reason)
        return said(answer, incident, self._desk.answers.safe)

    async def _status(self, person: Person) -> str:
        items = (await self._desk.store.incidents(IncidentFilter(open_only=True, limit=COUNTED))).items
        by = Counter(one.severity.value for one in items)
        waiting = [one for one in items if one.approval is not None and one.approval.state == "pending"]
        kill = self._desk.operations.kill_state()
        many = f"{len(items)}{'+' if len(items) == COUNTED else ''}"
        lines = [
            f"*Kill switch*: {_killed(kill)}",
            f"*Mode*: {self._mode}{'' if self._mode == 'act' else ' (nothing is changed)'}",
            f"*Open*: {many}" + (f" ({', '.join(f'{by[one]} {one}' for one in sorted(by))})" if by else ""),
            f"*Waiting for an approval*: {len(waiting)}",
            *(self._line(one) for one in waiting[:LISTED]),
            f"*You*: {escape(person.name, 100)} ({', '.join(sorted(person.roles)) or 'no role'})",
        ]
        return "\n".join(lines)

    async def _list(self) -> str:
        page = await self._desk.store.incidents(IncidentFilter(open_only=True, limit=LISTED))
        lines = [self._line(one) for one in page.items]
        more = ["And more; the page and `remediator incidents` show all."] if page.next else []
        return "\n".join([*lines, *more]) or "Nothing is open."

    def _line(self, incident: Incident) -> str:
        page = link(incident.id, self._page)
        name = f"<{page}|{incident.id}>" if page else code(incident.id)
        return f"{name} {escape(self._desk.answers.safe(header(incident).title), 250)}"

    async def _declare(self, given: list[str], by: Principal, trigger: str) -> str:
        if not given:
            return await self._desk.windows.declare(trigger)
        severity = _severity_of(given[:1])
        if severity is None or len(given) < 2:
            return f"How bad, and what? {code('/remediator declare P2 checkout is slow')}"
        answer = await self._desk.operations.declare(
            by=by, severity=severity, title=" ".join(given[1:]), once=f"{by.address}/{trigger}" if trigger else ""
        )
        return said(answer, "", self._desk.answers.safe)

    async def _severity(self, given: list[str], by: Principal, trigger: str) -> str:
        if len(given) == 1 and (press := _press(Verb.SEVERITY, given)) is not None:
            return await self._desk.windows.ask(press, trigger)
        severity = _severity_of(given[1:2])
        if severity is None:
            return f"Which incident, and how bad? {code('/remediator severity INCIDENT P2 REASON')}"
        incident, reason = given[0].strip("`"), " ".join(given[2:])
        answer = await self._desk.operations.change_severity(incident, by=by, severity=severity, reason=reason)
        return said(answer, incident, self._desk.answers.safe)

    async def _note(self, given: list[str], by: Principal, trigger: str) -> str:
        phase, text = _phase(given[1:])
        press = _press(next((one for one, says in PHASES.items() if says == phase), Verb.NOTE), given)
        if press is None or phase is None:
            return _which("note INCIDENT [--phase assessed|mitigated] TEXT")
        if not text:
            return await self._desk.windows.ask(press, trigger)
        answer = await self._desk.operations.note(press.incident, by=by, text=text, phase=phase)
        return said(answer, press.incident, self._desk.answers.safe)

    async def _notice(self, given: list[str]) -> str:
        wanted = given[0].strip("`") if given else ""
        incident = await self._desk.store.incident(wanted) if wanted else None
        if incident is None:
            return _which("notice INCIDENT")
        return f"A draft; nobody has been told:\n{escape(self._desk.answers.safe(for_users(incident)), 1000)}"

    async def _kill(self, given: list[str], trigger: str) -> str:
        word = given[0].lower() if given else ""
        if word not in {"on", "off"} or len(given) > 2:
            state = _killed(self._desk.operations.kill_state())
            return f"The kill switch is {state}. To turn it: {code('/remediator kill on|off [PLAYBOOK]')}"
        kill = Kill(word == "on", given[1].strip("`") if len(given) == 2 else None)
        if not kill.usable:
            return f"{code(kill.playbook)} is no name of a playbook."
        return await self._desk.windows.confirm(kill, trigger)


def _which(form: str) -> str:
    return f"Which incident? {code(f'/remediator {form}')}; {code('/remediator list')} shows them."


def _press(verb: Verb, given: list[str]) -> Press | None:
    """Return the press that would ask the same of the incident that was typed, None for what can't be one."""
    return read(f"{PREFIX}{verb}", given[0].strip("`")) if given else None


def _phase(words: list[str]) -> tuple[str | None, str]:
    """Return the phase that is named, empty for none, None for one that there is not; and the text."""
    option, _, named = words[0].partition("=") if words else ("", "", "")
    if option not in PHASE_OPTIONS:
        return "", " ".join(words)
    given = [named, *words[1:]] if named else words[1:]
    phase = given[0].lower() if given else ""
    return (phase if phase in PHASES.values() else None), " ".join(given[1:])


def _severity_of(given: list[str]) -> Severity | None:
    word = given[0].upper() if given else ""
    return Severity(word) if word in Severity.__members__ else None


def _killed(state: Mapping[str, Any]) -> str:
    """Say how the kill switch stands."""
    if state.get("file"):
        return f"*on*, by the file {code(state['file'])}"
    if state.get("everything"):
        return f"*on* for everything, by {escape(state.get('by', ''), 60)}"
    if state.get("playbooks"):
        return f"*on* for {escape(', '.join(state['playbooks']), 300)}"
    return "off"
