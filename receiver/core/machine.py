"""What follows by itself from an incident's state: the next event, the next command, the next time to look.

`next_event` is asked again and again in the unit that stored an event until it has nothing more to say; `due` is what
then remains for the world to do; `wake` is when to ask again. All take `now`, none reads a clock.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from receiver.core import approval as voting
from receiver.core import deadlines, response, updates
from receiver.core import events as ev
from receiver.core.commands import Command, Diagnose, Look, ResumeAction, RunStep, TakeBack
from receiver.core.declared import DECLARED
from receiver.core.incident import Check, Done, Incident, Phase
from receiver.core.phrases import UNPLANNED
from receiver.core.playbook import OnFailure, Playbook, Step, Verification

GONE_TIMEOUT = 300.0
"""Seconds that a resolve by itself is given to be verified before people are asked."""

CLEANUP_TRIES = 3
"""Times that taking back is tried before people are asked."""

PAUSE = 3600.0
"""Seconds that a person may stop automation before people are called: a pause must not outlive who remembers it."""

FRESH = 120.0
"""Seconds that a diagnosis counts before the first action; an older one is made again."""


def next_event(incident: Incident, playbook: Playbook, now: float) -> ev.Event | None:
    """Return what has become true by itself at `now`, if anything."""
    if not incident.open:
        return None
    if (event := _page(incident, playbook, now)) is not None:
        return event
    if response.watched_only(incident, playbook) is None:
        late = response.missed(incident, playbook, now) or deadlines.missed(incident, playbook, now)
        if late is not None:
            return late
    follows = _BY_PHASE.get(incident.phase)
    event = follows(incident, playbook, now) if follows is not None else None
    return event if event is not None else updates.due(incident, playbook, now)


def due(incident: Incident, playbook: Playbook, now: float) -> Command | None:
    """Return what the world has to do now; None: nothing, until `wake`."""
    if not incident.open:
        return None
    if incident.action is not None:
        return ResumeAction(incident.action) if now >= incident.action.ask_at else None
    if incident.check is not None:
        return Look(incident.check) if now >= incident.check.next_at else None
    match incident.phase:
        case Phase.TRIAGE:
            return _due_in_triage(incident, playbook, now)
        case Phase.AWAITING_APPROVAL:
            return _due_when_approved(incident, playbook, now)
        case Phase.CLEANUP:
            return _due_in_cleanup(incident, playbook, now)
        case _:
            return None


def wake(incident: Incident, playbook: Playbook, now: float) -> float | None:
    """Return when the incident wants to be looked at again: `now` when something is due, None when it ended."""
    if not incident.open:
        return None
    if due(incident, playbook, now) is not None:
        return now
    times = [
        incident.deadline,
        incident.page_at,
        incident.retry_at,
        incident.give_up_at,
        incident.action.ask_at if incident.action else None,
        incident.check.next_at if incident.check else None,
        incident.check.deadline if incident.check else None,
        incident.hold_until if incident.phase is Phase.HOLDING else None,
        incident.resolve_by if incident.phase is Phase.HOLDING else None,
        incident.cleanup_at if incident.phase is Phase.CLEANUP else None,
        incident.settle_until if incident.phase is Phase.TRIAGE else None,
        incident.paused_until,
        voting.wake(incident.approval),
        *_late_at(incident, playbook),
        updates.wake(incident, playbook),
    ]
    ahead = [time for time in times if time is not None and time > now]
    return min(ahead, default=now + playbook.page_every)


def _late_at(incident: Incident, playbook: Playbook) -> tuple[float | None, ...]:
    if response.watched_only(incident, playbook) is not None:
        return ()
    return response.wake(incident, playbook), deadlines.wake(incident, playbook)


def given_up(incident: Incident, text: str) -> list[ev.Event]:
    """Return the end of what people are asked, for when they took over or were called anyway."""
    return [ev.ApprovalEnded(incident.approval.id, "cancelled", text)] if incident.approval is not None else []


def step_named(playbook: Playbook, name: str | None) -> Step | None:
    """Return the step of that name."""
    return next((step for step in playbook.steps if step.name == name), None)


def next_step(incident: Incident, playbook: Playbook) -> Step | None:
    """Return the first step that has not ended yet; executed steps aren't repeated, also not by another playbook."""
    if not incident.done:
        return playbook.steps[0] if playbook.steps else None
    names = {one.step for one in incident.done}
    executed = [(one.action, one.parameters) for one in incident.done if one.action_id]
    return next(
        (step for step in playbook.steps if step.name not in names and (step.action, step.parameters) not in executed),
        None,
    )


def verification(playbook: Playbook, step: str | None) -> Verification:
    """Return how a step is judged; for none in particular, as the playbook's first step is."""
    found = step_named(playbook, step)
    if found is None and playbook.steps:
        found = playbook.steps[0]
    return found.verify if found is not None else playbook.verify


def to_take_back(incident: Incident) -> Done | None:
    """Return the failed step that declares an undo and was not undone yet."""
    return next(
        (one for one in incident.done if one.result == "failed" and one.undo and not one.taken_back and not one.takes),
        None,
    )


def to_clean_up(incident: Incident) -> tuple[Done, ...]:
    """Return what was added for a time and is still there, last first."""
    return tuple(
        one for one in reversed(incident.done) if one.cleanup_after is not None and one.action_id and not one.taken_back
    )


# --- by phase -----------------------------------------------------------------------------------------------------


def _page(incident: Incident, playbook: Playbook, now: float) -> ev.Event | None:
    if incident.page_at is None or now < incident.page_at:
        return None
    return ev.Paged(incident.pages + 1, next_at=_next_page(incident, playbook, now))


def _next_page(incident: Incident, playbook: Playbook, now: float) -> float:
    """Return when to page again; whoever took it over or acknowledged it is left alone four times as long."""
    calm = incident.owner is not None or incident.acknowledged_by is not None
    return now + playbook.page_every * (4 if calm else 1)


def _triage(incident: Incident, playbook: Playbook, now: float) -> ev.Event | None:
    if incident.approval is not None:
        return ev.ApprovalSuspended(incident.approval.id, resumed=True, text="the resolve did not hold: asked again")
    if incident.firing == 0 and incident.alerts and not incident.gone_checked:
        return _begin(playbook, None, "gone", now, since=max(incident.opened_at, incident.last_action_end))
    if not incident.diagnosed:
        return None
    if (reason := _hopeless(incident, playbook, now)) is not None:
        return escalate(incident, playbook, now, reason)
    if to_take_back(incident) is not None:
        return None
    if incident.wanted is not None:
        return ev.LeadChanged(*incident.wanted)
    if incident.observed or not playbook.steps:
        # It is followed to the alert's end; were it given up, a higher playbook's alert would find automation off.
        return None
    return _next_rung(incident, playbook, now)


def _hopeless(incident: Incident, playbook: Playbook, now: float) -> str | None:
    """Say why automation ends here, if it does."""
    acts = incident.confirmed is True and playbook.steps and not incident.observed
    if incident.gone_checked and incident.firing == 0 and not acts:
        return "the alert resolved, but that the service works again could not be shown"
    if (reason := _paused_too_long(incident, now)) is not None:
        return reason
    if incident.give_up_at is not None and now >= incident.give_up_at:
        return f"{_refuser(incident)} the next step, again and again: {incident.refusal}"
    if incident.refused is not None and incident.retry_at is None:
        return f"{_refuser(incident)} the next step: {incident.refusal}"
    return None


def _paused_too_long(incident: Incident, now: float) -> str | None:
    if incident.paused_until is None or now < incident.paused_until:
        return None
    return f"{incident.paused_by} paused it, and nobody let it go on"


def _refuser(incident: Incident) -> str:
    return "nothing can plan" if incident.refused in UNPLANNED else f"guardrail {incident.refused} refused"


def _next_rung(incident: Incident, playbook: Playbook, now: float) -> ev.Event | None:
    last = incident.done[-1] if incident.done else None
    if last is not None and last.result == "expired" and last.aborts:
        return ev.Escalated(f"nobody approved step {last.step} in time, and the playbook stops there", page=False)
    if last is not None and (reason := _ends_ladder(last, step_named(playbook, last.step))) is not None:
        return escalate(incident, playbook, now, reason)
    if next_step(incident, playbook) is None:
        tried = ", ".join(f"{one.step}: {one.result}" for one in incident.done)
        return escalate(incident, playbook, now, f"the ladder is at its end ({tried})")
    return None


def _ends_ladder(last: Done, step: Step | None) -> str | None:
    """Say why no further step is tried after this one, if so."""
    if last.result == "inconclusive":
        return f"whether step {last.step} helped could not be told"
    if last.takes and not last.taken_back:
        return f"step {last.step} could not be undone"
    if step is None:
        return None
    if last.result in {"failed", "denied"} and step.on_failure is OnFailure.ESCALATE:
        return f"step {last.step}: {last.result}"
    if last.result == "expired" and last.escalates:
        return f"nobody approved step {last.step} in time"
    return None


def _due_in_triage(incident: Incident, playbook: Playbook, now: float) -> Command | None:
    if not incident.diagnosed:
        return Diagnose()
    if not incident.automatic or incident.observed or now < incident.settle_until or _waits(incident, now):
        return None
    if incident.paused_by is not None:
        return None
    if (failed := to_take_back(incident)) is not None:
        return TakeBack(failed, "undo")
    step = next_step(incident, playbook)
    if step is None:
        return None
    if not incident.last_action_end and now - incident.diagnosed_at > FRESH:
        # It waited for its turn, or the service was down: whether it still fires is asked right before it acts.
        return Diagnose()
    return RunStep(step)


def _due_when_approved(incident: Incident, playbook: Playbook, now: float) -> Command | None:
    approval = incident.approval
    if approval is None or approval.state != "approved" or approval.suspended:
        return None
    if incident.paused_by is not None or _waits(incident, now):
        return None
    step = step_named(playbook, approval.step)
    return RunStep(step, approval) if step is not None else None


def _waits(incident: Incident, now: float) -> bool:
    """Whether a guardrail's answer is asked for later."""
    return incident.refused is not None and (incident.retry_at is None or now < incident.retry_at)


def _awaiting(incident: Incident, _playbook: Playbook, now: float) -> ev.Event | None:
    approval = incident.approval
    if approval is None:
        return None
    if approval.state == "pending" and (event := voting.decided(approval, now)) is not None:
        return event
    if approval.approved_at is not None and now >= approval.approved_at + approval.execute_before:
        return ev.ApprovalEnded(approval.id, "expired", "approved, but it could not start in time")
    if incident.give_up_at is not None and now >= incident.give_up_at:
        text = f"{_refuser(incident)} the step, again and again: {incident.refusal}"
        return ev.ApprovalEnded(approval.id, "expired", text)
    if (reason := _paused_too_long(incident, now)) is not None:
        return ev.ApprovalEnded(approval.id, "cancelled", reason)
    if incident.firing == 0 and not approval.checked:
        return ev.ApprovalSuspended(approval.id, resumed=False, text="the alert resolved: looking whether that is true")
    return None


def _acting(incident: Incident, playbook: Playbook, now: float) -> ev.Event | None:
    action = incident.action
    if action is not None and action.person_decides and incident.escalation is None:
        return escalate(incident, playbook, now, f"what became of step {action.step} can't be told: {action.doubt}")
    return None


def _verifying(incident: Incident, playbook: Playbook, now: float) -> ev.Event | None:
    check = incident.check
    if check is None:
        if incident.approval is not None and not incident.approval.suspended:
            return None
        if incident.approval is not None:
            return _begin(playbook, None, "gone", now, since=incident.opened_at)
        last = incident.done[-1].step if incident.done else None
        return _begin(playbook, last, "step", now, since=incident.last_action_end)
    if check.purpose == "gone" and incident.firing > 0:
        return _ended(incident, playbook, "failed", "the alert fires again", now)
    return _judged(incident, playbook, check, now)


def _judged(incident: Incident, playbook: Playbook, check: Check, now: float) -> ev.Event | None:
    if check.good >= check.consecutive:
        if incident.approval is not None:
            text = "not needed any more: the service works again"
            return ev.ApprovalEnded(incident.approval.id, "cancelled", text)
        return _ended(incident, playbook, "passed", check.last_text, now)
    if check.failed_now or check.bad >= check.consecutive_failures:
        return _ended(incident, playbook, "failed", check.last_text, now)
    if now >= check.deadline:
        verdict = "failed" if check.last_verdict is False else "inconclusive"
        text = check.last_text or "no look was possible in time"
        return _ended(incident, playbook, verdict, text, now)
    return None


def _holding(incident: Incident, playbook: Playbook, now: float) -> ev.Event | None:
    check = incident.check
    if incident.wanted is not None and incident.firing > 0 and incident.automatic:
        # What is verified so far is another trouble's end: a worse one fires meanwhile.
        return ev.LeadChanged(*incident.wanted)
    if check is None:
        step = _holding_step(incident)
        end = max(incident.resolve_by or now, incident.hold_until or now)
        return _begin(playbook, step, "hold", now, since=incident.last_action_end or incident.opened_at, deadline=end)
    if check.failed_now or check.bad >= check.consecutive_failures:
        return _ended(incident, playbook, "failed", f"it did not hold: {check.last_text}", now)
    held = incident.hold_until is not None and now >= incident.hold_until and check.last_verdict is True
    if held and incident.firing == 0:
        return _over(incident, playbook, now)
    if incident.resolve_by is not None and now >= incident.resolve_by:
        if check.last_verdict is True:
            why = f"verified, but {incident.firing} alert(s) still fire after {playbook.resolve_within:.0f} s"
        else:
            why = f"it could not be shown that it holds: {check.last_text or 'no look was possible'}"
        if incident.escalation is not None:
            return _ended(incident, playbook, "inconclusive", why, now)
        return escalate(incident, playbook, now, why)
    return None


def _holding_step(incident: Incident) -> str | None:
    return next((one.step for one in reversed(incident.done) if one.result == "passed"), None)


def _over(incident: Incident, playbook: Playbook, now: float) -> ev.Event:
    rest = to_clean_up(incident)
    if rest:
        steps = tuple(one.step for one in rest)
        at = now + max(one.cleanup_after or 0.0 for one in rest)
        return ev.CleanupPlanned(at, steps, "what was added is taken back after a quiet time")
    check = incident.check
    return ev.Resolved(_how(incident), evidence=check.last if check is not None else incident.evidence)


def _how(incident: Incident) -> str:
    if (step := _holding_step(incident)) is not None:
        return f"{step} helped; verified, and healthy held"
    if incident.last_action_end:
        return "works again after what was done; healthy held"
    return "went away by itself; verified, and healthy held"


def _cleanup(incident: Incident, playbook: Playbook, now: float) -> ev.Event | None:
    if incident.firing > 0:
        return ev.CleanupInterrupted("the alert is back before what was added was taken back")
    if incident.check is not None:
        return _judged(incident, playbook, incident.check, now)
    rest = to_clean_up(incident)
    if rest and incident.escalation is None:
        if any(one.takes >= CLEANUP_TRIES for one in rest):
            why = f"{rest[0].step} could not be taken back in {CLEANUP_TRIES} tries"
            return escalate(incident, playbook, now, why)
        if incident.give_up_at is not None and now >= incident.give_up_at:
            why = f"{_refuser(incident)} taking back {rest[0].step}, again and again: {incident.refusal}"
            return escalate(incident, playbook, now, why)
    if not rest and incident.last_action_end and incident.hold_until is not None:
        if incident.hold_until < incident.last_action_end:
            return _begin(playbook, None, "cleanup", now, since=incident.last_action_end)
        return ev.Resolved(f"{_how(incident)}; what was added is taken back", evidence=incident.evidence)
    return None


def _due_in_cleanup(incident: Incident, playbook: Playbook, now: float) -> Command | None:
    if incident.cleanup_at is None or now < incident.cleanup_at or _waits(incident, now):
        return None
    rest = to_clean_up(incident)
    return TakeBack(rest[0], "cleanup") if rest and rest[0].takes < CLEANUP_TRIES else None


def _escalated(incident: Incident, playbook: Playbook, now: float) -> ev.Event | None:
    if incident.escalation is None:
        return escalate(incident, playbook, now, f"taken over by {incident.owner}")
    if incident.action is not None:
        return None
    if incident.wanted is not None and incident.quiet:
        return ev.LeadChanged(*incident.wanted)
    if incident.check is not None:
        if incident.firing > 0:
            return _ended(incident, playbook, "failed", "the alert fires again", now)
        return _judged(incident, playbook, incident.check, now)
    # One that no alert belongs to was declared: whether it is over is for a person to say.
    if incident.alerts and incident.firing == 0 and (incident.retry_at is None or now >= incident.retry_at):
        return _begin(playbook, None, "escalated", now, since=max(incident.opened_at, incident.last_action_end))
    return None


# --- events ---------------------------------------------------------------------------------------------------------


def escalate(incident: Incident, playbook: Playbook, now: float, reason: str) -> ev.Escalated:
    """Return the end of automation for an incident; people are called unless automation was never to touch it."""
    if incident.owner is None and (why := _nobody_is_called(incident, playbook)) is not None:
        return ev.Escalated(f"{reason} ({why}: nobody is called)", page=False)
    return ev.Escalated(reason, page_at=_next_page(incident, playbook, now), page=incident.owner is None)


def _nobody_is_called(incident: Incident, playbook: Playbook) -> str | None:
    """Say why people aren't called when automation ends for an incident that it was never to touch."""
    if (why := response.watched_only(incident, playbook)) is not None:
        return why
    if playbook.name == DECLARED.name:
        return None
    return None if playbook.steps or incident.done else "the playbook only tells"


def _begin(
    playbook: Playbook, step: str | None, purpose: str, now: float, *, since: float, deadline: float | None = None
) -> ev.CheckBegan:
    how = verification(playbook, step)
    acted = purpose in {"step", "cleanup"}
    # What the service does while it finds its feet again says nothing about the step: a drained queue's slow
    # requests would stay in every window that reaches back to them.
    delay = how.initial_delay if acted else min(how.initial_delay, how.interval)
    timeout = how.timeout if acted else max(how.timeout, GONE_TIMEOUT)
    return ev.CheckBegan(
        step=step,
        purpose=purpose,
        since=since + delay if acted else since,
        next_at=now + delay,
        deadline=deadline if deadline is not None else now + timeout,
        interval=how.interval,
        consecutive=how.consecutive,
        consecutive_failures=how.consecutive_failures,
    )


def _ended(incident: Incident, playbook: Playbook, verdict: str, text: str, now: float) -> ev.Verified:
    check = incident.check
    passed = verdict == "passed"
    return ev.Verified(
        step=check.step if check else None,
        purpose=check.purpose if check else "step",
        verdict=verdict,
        text=text,
        hold_until=now + playbook.hold if passed else None,
        resolve_by=now + max(playbook.resolve_within, playbook.hold) if passed else None,
        again_at=None if passed else now + max(60.0, playbook.hold),
        before=check.before if check else (),
        after=check.last if check else (),
    )


_BY_PHASE: Mapping[Phase, Callable[[Incident, Playbook, float], ev.Event | None]] = {
    Phase.TRIAGE: _triage,
    Phase.AWAITING_APPROVAL: _awaiting,
    Phase.ACTING: _acting,
    Phase.VERIFYING: _verifying,
    Phase.HOLDING: _holding,
    Phase.CLEANUP: _cleanup,
    Phase.ESCALATED: _escalated,
}
