"""Whether a step may run now. Asked when it is decided and again under the target's lock; data in, answers out.

Each guardrail answers for itself, so that `simulate` can show them all; the first refusal counts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from receiver.core.incident import Incident
from receiver.core.phrases import span
from receiver.core.playbook import FleetLimits, Playbook, Step

GIVE_UP_AFTER = 900.0
"""Seconds that a passing refusal (target busy, fleet cap) is waited out before people are asked."""

RETRY = 15.0
"""Seconds until a passing refusal is asked again, where nothing better is known."""


@dataclass(frozen=True, slots=True)
class ActionRecord:
    """One automatic action of the past; `ended_at` None: under way. Times in UNIX seconds."""

    target: str
    playbook: str
    incident: str
    step: str
    kind: str
    started_at: float
    ended_at: float | None
    ok: bool | None


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn of the kill switch, of everything or one playbook; `by` and what follows as in `Principal`."""

    on: bool
    playbook: str | None
    at: float
    by: str
    via: str
    signed_in: str
    address: str


@dataclass(frozen=True, slots=True)
class Kill:
    """The kill switch: everything, or single playbooks; `by` and `at` of the last turn, `turns` the last of them."""

    everything: bool = False
    playbooks: tuple[str, ...] = ()
    by: str = ""
    at: float = 0.0
    file: str | None = None
    turns: tuple[Turn, ...] = ()


@dataclass(frozen=True, slots=True)
class Figures:
    """What the plan says about the target; None before there is one."""

    lowest_healthy: int
    healthy_now: int
    instances: int
    takes_down: bool


@dataclass(frozen=True, slots=True)
class Facts:
    """All that the guardrails look at.

    Args:
        step, kind: what is asked for; `step`, `undo` or `cleanup`.
        playbook: as the incident began with it.
        today: as it is in the file now, None: deleted; of the two, the stricter limit wins.
        actions: past ones since `longest_window`, and those under way.
        approved: whether people agreed to this very plan.
        asks: whether people are asked about it anyway: it isn't automatic then, and limits on what is leave it to them.
    """

    incident: Incident
    step: Step
    kind: str
    playbook: Playbook
    today: Playbook | None
    fleet: FleetLimits
    kill: Kill
    actions: Sequence[ActionRecord] = ()
    figures: Figures | None = None
    approved: bool = False
    asks: bool = False


class Word(StrEnum):
    """A guardrail's answer."""

    ALLOWED = "allowed"
    REFUSED = "refused"
    APPROVAL = "approval"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a guardrail said, the figures, and what would release it.

    `retry_at`: when it may have passed by itself; None: it does not pass within this incident.
    """

    guardrail: str
    word: Word
    reason: str
    release: str = ""
    retry_at: float | None = None
    data: dict[str, float | int | str | None] = field(default_factory=dict)


def check(facts: Facts, now: float) -> tuple[Answer, ...]:
    """Return every guardrail's answer, in the order in which they count."""
    return tuple(rail(facts, now) for rail in _RAILS if facts.kind in _KINDS.get(rail, ("step",)))


def refusal(answers: Sequence[Answer]) -> Answer | None:
    """Return the first refusal."""
    return next((one for one in answers if one.word is Word.REFUSED), None)


def asks(answers: Sequence[Answer]) -> tuple[Answer, ...]:
    """Return the guardrails that want people's approval."""
    return tuple(one for one in answers if one.word is Word.APPROVAL)


def min_healthy(playbook: Playbook, today: Playbook | None, instances: int) -> int:
    """Return how many must stay healthy: the stricter of then and today; by default one less than there are.

    Args:
        instances: that are healthy now; one that fails already isn't counted as lost.
    """
    declared = [one.guardrails.min_healthy for one in (playbook, today) if one is not None]
    named = [one for one in declared if one is not None]
    return max(named) if named else max(0, instances - 1)


def longest_window(playbook: Playbook, today: Playbook | None, fleet: FleetLimits) -> float:
    """Return the seconds of past actions that some guardrail looks at."""
    rails = [one.guardrails for one in (playbook, today) if one is not None]
    return max(fleet.window, *(one.cooldown for one in rails), *(one.max_runs_window for one in rails))


# --- the guardrails -------------------------------------------------------------------------------------------------


def _known(facts: Facts, now: float) -> Answer:
    name = facts.incident.playbook
    if facts.today is None:
        return Answer("playbook_deleted", Word.REFUSED, f"playbook {name} is no longer in the file", "put it back")
    return Answer("playbook_deleted", Word.ALLOWED, f"playbook {name} is in the file")


def _kill_switch(facts: Facts, now: float) -> Answer:
    kill, name = facts.kill, facts.incident.playbook
    if kill.file is not None:
        return _no("kill_switch", f"the file {kill.file} stops everything", f"remove {kill.file}", now + RETRY)
    if kill.everything:
        return _no("kill_switch", f"the kill switch is on ({kill.by})", "remediator kill off", now + RETRY)
    if name in kill.playbooks:
        release = f"remediator kill off --playbook {name}"
        return _no("kill_switch", f"the kill switch of {name} is on ({kill.by})", release, now + RETRY)
    return Answer("kill_switch", Word.ALLOWED, "the kill switch is off")


def _paused(facts: Facts, now: float) -> Answer:
    if facts.today is not None and facts.today.paused:
        return Answer("paused", Word.REFUSED, f"playbook {facts.today.name} is paused", "set paused: false")
    return Answer("paused", Word.ALLOWED, "the playbook is not paused")


def _people(facts: Facts, now: float) -> Answer:
    incident = facts.incident
    if incident.owner is not None:
        return Answer("taken_over", Word.REFUSED, f"{incident.owner} took it over")
    if incident.escalation is not None:
        return Answer("taken_over", Word.REFUSED, "it is escalated: automation is off for it")
    if incident.paused_by is not None:
        release = f"remediator resume {incident.id}"
        return Answer("taken_over", Word.REFUSED, f"{incident.paused_by} paused it", release)
    return Answer("taken_over", Word.ALLOWED, "nobody took it over or paused it")


def _age(facts: Facts, now: float) -> Answer:
    incident, limit = facts.incident, _strictest(facts, "max_alert_age")
    age = incident.opened_at - incident.starts_at if incident.last_action_end else now - incident.starts_at
    data: dict[str, float | int | str | None] = {"age": round(age, 3), "limit": limit}
    if age > limit:
        word = Word.ALLOWED if facts.approved else Word.APPROVAL
        return Answer("max_alert_age", word, f"the alert is {span(age)} old, more than {span(limit)}", data=data)
    return Answer("max_alert_age", Word.ALLOWED, f"the alert is {span(age)} old", data=data)


def _confirmed(facts: Facts, now: float) -> Answer:
    incident = facts.incident
    wanted = any(one.guardrails.require_confirmation for one in (facts.playbook, facts.today) if one is not None)
    if incident.confirmed is True:
        return Answer("confirmation", Word.ALLOWED, "Prometheus says that it fires")
    if not wanted:
        return Answer("confirmation", Word.ALLOWED, "the playbook does not ask Prometheus to confirm the alert")
    if incident.last_action_end:
        return Answer("confirmation", Word.ALLOWED, "it is asked before an incident's first action only")
    if facts.approved:
        return Answer("confirmation", Word.ALLOWED, "not confirmed by Prometheus, but people agreed")
    if incident.confirmed is False:
        return Answer("confirmation", Word.APPROVAL, "Prometheus does not say that it fires: somebody posted it")
    return Answer("confirmation", Word.APPROVAL, "Prometheus can't be asked whether it fires")


def _one_per_target(facts: Facts, now: float) -> Answer:
    mine = facts.incident
    for one in facts.actions:
        if one.target == mine.target and one.ended_at is None and one.incident != mine.id:
            reason = f"{one.step} of {one.incident} is under way on {one.target}"
            return _no("one_per_target", reason, "it ends", now + RETRY)
    return Answer("one_per_target", Word.ALLOWED, f"nothing else is under way on {mine.target}")


def _under_way(facts: Facts, now: float) -> Answer:
    count = sum(one.ended_at is None and one.incident != facts.incident.id for one in facts.actions)
    limit = facts.fleet.max_under_way
    if count >= limit:
        return _no("max_under_way", f"{count} actions are under way, at most {limit} may be", "one ends", now + RETRY)
    return Answer("max_under_way", Word.ALLOWED, f"{count} of {limit} actions under way")


def _fleet_cap(facts: Facts, now: float) -> Answer:
    limit, window = facts.fleet.max_actions, facts.fleet.window
    recent = sorted(one.started_at for one in facts.actions if one.kind == "step" and one.started_at > now - window)
    data: dict[str, float | int | str | None] = {"actions": len(recent), "limit": limit, "window": window}
    if len(recent) >= limit and not facts.approved:
        free = recent[len(recent) - limit] + window if limit else now + window
        reason = f"{len(recent)} automatic actions in the last {span(window)}, at most {limit} may be"
        if facts.asks:
            return Answer("fleet_cap", Word.APPROVAL, reason, "an approval", data=data)
        return Answer("fleet_cap", Word.REFUSED, reason, "the window passes", free, data)
    return Answer("fleet_cap", Word.ALLOWED, f"{len(recent)} of {limit} actions in {span(window)}", data=data)


def _cooldown(facts: Facts, now: float) -> Answer:
    mine, limit = facts.incident, _longest(facts, "cooldown")
    ends = [
        one.ended_at
        for one in facts.actions
        if one.target == mine.target and one.playbook == mine.playbook and one.incident != mine.id and one.ended_at
    ]
    last = max(ends, default=None)
    if last is not None and now < last + limit and not facts.approved:
        reason = f"{mine.playbook} acted on {mine.target} {span(now - last)} ago, the cooldown is {span(limit)}"
        return Answer("cooldown", Word.APPROVAL, reason, "an approval")
    return Answer("cooldown", Word.ALLOWED, f"no run of {mine.playbook} on {mine.target} within {span(limit)}")


def _max_runs(facts: Facts, now: float) -> Answer:
    mine, limit, window = facts.incident, int(_strictest(facts, "max_runs")), _longest(facts, "max_runs_window")
    since = now - window
    runs = sum(one.target == mine.target and one.kind == "step" and one.started_at > since for one in facts.actions)
    if runs >= limit and not facts.approved:
        reason = f"{runs} actions on {mine.target} in the last {span(window)}, at most {limit} may be automatic"
        return Answer("max_runs", Word.APPROVAL, reason, "an approval")
    return Answer("max_runs", Word.ALLOWED, f"{runs} of {limit} actions on {mine.target} in {span(window)}")


def _healthy(facts: Facts, now: float) -> Answer:
    figures = facts.figures
    if figures is None:
        return Answer("min_healthy", Word.ALLOWED, "no plan to judge yet")
    need = min_healthy(facts.playbook, facts.today, figures.instances)
    if figures.lowest_healthy < min(need, figures.healthy_now):
        reason = f"it would leave {figures.lowest_healthy} of {figures.healthy_now} healthy, {need} must stay"
        return Answer("min_healthy", Word.REFUSED, reason, "more healthy instances, or a lower min_healthy")
    return Answer("min_healthy", Word.ALLOWED, f"{figures.lowest_healthy} stay healthy, {need} must")


def _gap(facts: Facts, now: float) -> Answer:
    figures = facts.figures
    today = next((one for one in facts.today.steps if one.name == facts.step.name), None) if facts.today else None
    leave = facts.step.allow_gap and (today is None or today.allow_gap)
    if figures is None or not figures.takes_down or leave or facts.approved:
        return Answer("gap", Word.ALLOWED, "no healthy single instance is taken down without leave")
    return Answer("gap", Word.APPROVAL, "it takes the only healthy instance down", "an approval, or allow_gap: true")


def _no(guardrail: str, reason: str, release: str, retry_at: float) -> Answer:
    return Answer(guardrail, Word.REFUSED, reason, release, retry_at)


def _values(facts: Facts, name: str) -> list[float]:
    return [float(getattr(one.guardrails, name)) for one in (facts.playbook, facts.today) if one is not None]


def _strictest(facts: Facts, name: str) -> float:
    return min(_values(facts, name))


def _longest(facts: Facts, name: str) -> float:
    return max(_values(facts, name))


_RAILS: tuple[Callable[[Facts, float], Answer], ...] = (
    _known,
    _kill_switch,
    _paused,
    _people,
    _age,
    _one_per_target,
    _under_way,
    _fleet_cap,
    _cooldown,
    _max_runs,
    _confirmed,
    _healthy,
    _gap,
)

_ALWAYS = ("step", "undo", "cleanup")
_KINDS: dict[Callable[[Facts, float], Answer], tuple[str, ...]] = {
    # An undo is a new action, but belongs to the run that the windows have counted already.
    _known: ("step",),
    _kill_switch: _ALWAYS,
    _paused: ("step", "undo"),
    _people: ("step", "undo"),
    _one_per_target: _ALWAYS,
}
