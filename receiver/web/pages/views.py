"""What the pages show of an incident, made of its state, its log and its playbook. Pure: templates only lay it out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from receiver.core import events as ev
from receiver.core.events import Recorded
from receiver.core.incident import Approval, Done, Incident
from receiver.core.machine import next_step, step_named
from receiver.core.phrases import compared, span
from receiver.core.playbook import OnFailure, Playbook


@dataclass(frozen=True, slots=True)
class PlanView:
    """A plan for people.

    Args:
        step, summary: what.
        steps: what is changed, in order.
        impact: how many instances go on serving meanwhile, in words; empty when the plan doesn't say.
        takes_down: whether nothing serves for a moment.
    """

    step: str
    summary: str
    steps: tuple[str, ...] = ()
    impact: str = ""
    takes_down: bool = False


@dataclass(frozen=True, slots=True)
class Question:
    """A pending request for approval.

    Args:
        approval: as it stands.
        plan: that it is bound to.
        causes: why people are asked.
        yes: how many agreed; `missing` how many more must.
        on_yes, on_no, on_nobody: what follows from each answer, and from none.
    """

    approval: Approval
    plan: PlanView
    causes: tuple[str, ...]
    yes: int
    missing: int
    on_yes: str
    on_no: str
    on_nobody: str


@dataclass(frozen=True, slots=True)
class Decision:
    """How a request for approval ended; `at` is UNIX seconds."""

    approval: str
    step: str
    state: str
    text: str
    at: float


@dataclass(frozen=True, slots=True)
class Rung:
    """A step of the playbook and where it stands: `good`, `bad`, `over`, `now`, `asked` or `later`, and in words."""

    name: str
    action: str
    state: str
    words: str


# --- the plan ---------------------------------------------------------------------------------------------------------


def plan_view(step: str, summary: str, plan: Mapping[str, Any]) -> PlanView:
    """Return a stored plan for people."""
    now, lowest = plan.get("healthy_now"), plan.get("lowest_healthy")
    impact = ""
    if isinstance(now, int) and isinstance(lowest, int):
        impact = _impact(now, lowest)
    steps = tuple(str(one) for one in plan.get("steps", ()))
    return PlanView(step, summary, steps, impact, bool(plan.get("takes_down")))


def _impact(now: int, lowest: int) -> str:
    if now == 0:
        return "No instance serves now"
    serve = f"{now} instance{' serves' if now == 1 else 's serve'} now"
    if lowest == 0:
        return f"{serve}; for a moment none does"
    return f"{serve}; while it runs at least {lowest} {'goes' if lowest == 1 else 'go'} on serving"


def last_plan(events: Sequence[Recorded]) -> tuple[str, PlanView] | None:
    """Return the newest plan of a log and what became of it: `asked`, `begun` or `would_have`."""
    for one in reversed(events):
        match one.event:
            case ev.WouldHave() as event:
                return "would_have", plan_view(event.step, event.summary, event.plan)
            case ev.StepStarted(kind="step") as event:
                return "begun", plan_view(event.step, event.summary, event.plan)
            case ev.ApprovalAsked() as event:
                return "asked", plan_view(event.step, event.summary, event.plan)
            case _:
                continue
    return None


# --- the question -----------------------------------------------------------------------------------------------------


def question(incident: Incident, events: Iterable[Recorded], playbook: Playbook | None) -> Question | None:
    """Return what people are asked, None when they are asked nothing."""
    approval = incident.approval
    if approval is None or approval.state != "pending":
        return None
    asked = next(
        (one.event for one in events if isinstance(one.event, ev.ApprovalAsked) and one.event.approval == approval.id),
        None,
    )
    yes = len({vote.person for vote in approval.votes if vote.approve})
    return Question(
        approval=approval,
        plan=plan_view(approval.step, approval.summary, asked.plan if asked is not None else {}),
        causes=tuple(_causes(asked.cause if asked is not None else "")),
        yes=yes,
        missing=max(0, approval.needed - yes),
        on_yes=_on_yes(approval, approval.needed - yes),
        on_no=_on_no(approval.step, incident, playbook),
        on_nobody="People are called." if approval.on_timeout == "escalate" else "The next step is tried.",
    )


def _causes(cause: str) -> Iterator[str]:
    for one in cause.split("; "):
        if one == "policy":
            yield "the playbook asks for it"
        elif one:
            yield one


def _on_yes(approval: Approval, missing: int) -> str:
    if missing > 1:
        more = "one more person has" if missing == 2 else f"{missing - 1} more people have"
        return f"Your vote counts. Nothing runs yet: {more} to approve after you."
    if approval.suspended:
        return "Your vote counts, and waits: the alert ended, so it is first looked whether anything is left to repair."
    return (
        f"Step {approval.step} begins at once, as planned here, if the guardrails still let it (within "
        f"{span(approval.execute_before)}). Has the plan changed, nothing runs, and you are asked again."
    )


def _on_no(step: str, incident: Incident, playbook: Playbook | None) -> str:
    does = f"Step {step} does not run, whatever others said."
    if playbook is None:
        return does
    if (asked := step_named(playbook, step)) is not None and asked.on_failure is OnFailure.ESCALATE:
        return f"{does} Automation ends for this incident, and people are called."
    denied = replace(incident, approval=None, done=(*incident.done, Done(step, "denied")))
    if (following := next_step(denied, playbook)) is not None:
        return f"{does} The next one is decided: {following.name} ({following.action})."
    return f"{does} There is no further step: automation ends for this incident, and people are called."


def decisions(events: Iterable[Recorded]) -> list[Decision]:
    """Return how the requests of a log ended, in order."""
    steps: dict[str, str] = {}
    found = []
    for one in events:
        if isinstance(one.event, ev.ApprovalAsked):
            steps[one.event.approval] = one.event.step
        elif isinstance(one.event, ev.ApprovalEnded):
            event = one.event
            found.append(
                Decision(event.approval, steps.get(event.approval, "?"), event.state, event.text, one.at),
            )
    return found


def too_late(events: Iterable[Recorded], approval: str) -> Decision | None:
    """Return the decision that stands for a request on which somebody pressed too late.

    One that was approved can still be superseded or expire before its step begins: the last word counts.
    """
    return next((one for one in reversed(decisions(events)) if one.approval == approval), None)


# --- the ladder and the figures ---------------------------------------------------------------------------------------

_RESULTS: Final[Mapping[str, tuple[str, str]]] = {
    "passed": ("good", "helped"),
    "failed": ("bad", "did not help"),
    "skipped": ("over", "skipped: nothing to do"),
    "denied": ("over", "denied"),
    "expired": ("over", "nobody decided in time"),
    "would_have": ("over", "would have run"),
    "inconclusive": ("bad", "can't tell whether it helped"),
    "executed": ("now", "done; is it better?"),
}


def ladder(incident: Incident, playbook: Playbook | None) -> list[Rung]:
    """Return the steps of what leads, each with where it stands; steps of an earlier playbook come first."""
    steps = {one.name: one.action for one in playbook.steps} if playbook is not None else {}
    ended = {one.step: one for one in incident.done}
    known = {one.step: one.action for one in incident.done if one.step not in steps} | steps
    current = incident.action.step if incident.action is not None else None
    asked = incident.approval.step if incident.approval is not None else None
    rungs = []
    for name, action in known.items():
        if name == current:
            state, words = "now", "under way" if incident.action and incident.action.doubt is None else "in doubt"
        elif name == asked:
            state, words = "asked", "waits for approval"
        elif (done := ended.get(name)) is not None:
            state, words = _RESULTS.get(done.result, ("over", done.result))
            words += ", taken back" if done.taken_back else ""
        else:
            state, words = "later", "not tried" if not incident.automatic else "next, if needed"
        rungs.append(Rung(name, action, state, words))
    return rungs


def figures(incident: Incident) -> list[tuple[str, ...]]:
    """Return (name, before, now, unit) of what was measured."""
    now = incident.evidence or (incident.check.last if incident.check is not None else ())
    return compared(incident.before, now or incident.before)
