"""What each event says, in words that a tired person reads at 3 a.m.

One function an event type; `receiver.core.timeline` and `receiver.core.telling` are the ones that use them, so that
chat, page, command line and report all tell the same story.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from receiver.core import events as ev
from receiver.core.alert import AlertStatus
from receiver.core.declared import DECLARED
from receiver.core.phrases import UNPLANNED, before_and_after, clean, day, figures, listed, moment, sentences, span
from receiver.core.redaction import hide

E = TypeVar("E")


@dataclass(slots=True)
class Names:
    """What ids stand for, collected while a log is read.

    Args:
        actions: (step, kind) by action id.
        approvals: (step, people asked for) by approval id.
        votes: people who agreed, by approval id.
    """

    actions: dict[str, tuple[str, str]] = field(default_factory=dict)
    approvals: dict[str, tuple[str, int]] = field(default_factory=dict)
    votes: dict[str, set[str]] = field(default_factory=dict)

    def learn(self, event: ev.Event) -> None:
        """Keep what later events refer to."""
        if isinstance(event, ev.StepStarted):
            self.actions[event.action_id] = (event.step, event.kind)
        elif isinstance(event, ev.ApprovalAsked):
            self.approvals[event.approval] = (event.step, event.needed)
        elif isinstance(event, ev.Voted) and event.approve:
            self.votes.setdefault(event.approval, set()).add(event.person)

    def action(self, action_id: str) -> str:
        """Return what people call an action: `step restart`, `undo of restart`."""
        step, kind = self.actions.get(action_id, (action_id, "step"))
        return step_words(step, kind)


def step_words(step: str, kind: str) -> str:
    """Name a step, its undo, or its taking back."""
    return {"undo": f"undo of {step}", "cleanup": f"taking back {step}"}.get(kind, f"step {step}")


def _by(person: str | None, via: str) -> str:
    who = person or "the service"
    return f"{who} (via {via})" if via else who


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


# --- one function an event ----------------------------------------------------------------------------------------


def _opened(event: ev.Opened, names: Names) -> str:
    if event.playbook == DECLARED.name:
        return sentences(
            f"{event.severity.value} declared by {_by(event.started_by, event.via)}: {event.alert}",
            f"It is about {event.labels['service']}" if "service" in event.labels else "",
            "Nothing is done by itself; a person closes it",
        )
    began = f" (began {day(event.starts_at)})" if event.starts_at else ""
    mode = "Observing only: nothing will be changed" if event.mode == "observe" else ""
    return sentences(
        f"{event.severity.value} on {event.target}: {event.alert} fires{began}",
        f"Playbook {event.playbook} leads, because {event.reason.removeprefix(f'{event.playbook}: ')} matches",
        " ".join(event.description.split()),
        mode,
    )


def _alerts(event: ev.AlertsChanged, names: Names) -> str:
    parts = []
    for status, one, more, count in (
        (AlertStatus.FIRING, "1 alert fires", "alerts fire", event.started),
        (AlertStatus.RESOLVED, "1 alert ended", "alerts ended", event.ended),
    ):
        if count:
            which = listed(change.name for change in event.changes if change.status is status)
            parts.append(f"{one if count == 1 else f'{count} {more}'}: {which}")
    found = " (found by asking Alertmanager)" if event.source == "resync" else ""
    return sentences("; ".join(parts) + found if parts else f"An alert's details changed{found}")


def _lead_changed(event: ev.LeadChanged, names: Names) -> str:
    return f"Playbook {event.playbook} takes over: it stands higher in the file."


def _diagnosed(event: ev.Diagnosed, names: Names) -> str:
    measured = figures(event.readings)
    now = f"Now: {measured}" if measured else ""
    if event.failed:
        return sentences(f"Diagnosis failed: {event.failed}", _capital(event.confirmation), now)
    texts = [str(one.get("text") or one.get("summary") or "") for one in event.findings]
    found = "; ".join(text for text in texts if text)
    return sentences(f"Diagnosis: {found or 'nothing to report'}", _capital(event.confirmation), now)


def _refused(event: ev.StepRefused, names: Names) -> str:
    again = f"Asked again at {moment(event.retry_at)}" if event.retry_at is not None else ""
    return sentences(
        f"Not done: {step_words(event.step, event.kind)}. {_who_refuses(event)}: {event.reason}",
        f"What would release it: {event.release}" if event.release else "",
        again,
    )


def _who_refuses(event: ev.StepRefused) -> str:
    return "It can't be planned" if event.guardrail in UNPLANNED else f"Guardrail {event.guardrail} refused"


def _skipped(event: ev.StepSkipped, names: Names) -> str:
    return sentences(f"Skipped step {event.step}: {event.reason}")


def _would_have(event: ev.WouldHave, names: Names) -> str:
    return sentences(f"Would have run step {event.step}: {event.summary}", f"Did not: {event.why_not}")


def _asked(event: ev.ApprovalAsked, names: Names) -> str:
    people = "1 person" if event.needed == 1 else f"{event.needed} people"
    causes = event.cause.removeprefix("policy").removeprefix("; ")
    return sentences(
        f"Approval needed for step {event.step}: {event.summary}",
        f"Why: {causes}" if causes else "",
        f"{people} must agree before {moment(event.expires_at)} (request {event.approval})"
        + (", with a reason" if event.reason_required else ""),
        f"If nobody does: {_TIMEOUTS.get(event.on_timeout, event.on_timeout)}",
    )


_TIMEOUTS = {
    "escalate": "people are called",
    "next": "the next step is tried",
    "abort": "automation ends for this incident, and nobody is called",
}


def _voted(event: ev.Voted, names: Names) -> str:
    step, needed = names.approvals.get(event.approval, (event.approval, 0))
    verb = "approved" if event.approve else "denied"
    count = f" ({len(names.votes.get(event.approval, ()))} of {needed})" if event.approve and needed > 1 else ""
    return sentences(
        f"{_by(event.person, event.via)} {verb} step {step}{count}{f': {event.reason}' * bool(event.reason)}"
    )


def _approval_ended(event: ev.ApprovalEnded, names: Names) -> str:
    step, _ = names.approvals.get(event.approval, (event.approval, 0))
    return sentences(f"Approval of step {step}: {event.state}{f'; {event.text}' * bool(event.text)}")


def _suspended(event: ev.ApprovalSuspended, names: Names) -> str:
    return sentences(f"Approval {'goes on' if event.resumed else 'is put on hold'}: {event.text}")


def _started(event: ev.StepStarted, names: Names) -> str:
    what = step_words(event.step, event.kind)
    return sentences(f"Began {what}: {event.summary}")


def _in_doubt(event: ev.StepInDoubt, names: Names) -> str:
    if event.quiet:
        return sentences(f"Nothing of {names.action(event.action_id)} is seen yet: {event.text}")
    who = "Only a person can tell" if event.person else "Asking the target"
    return sentences(f"It is not known what became of {names.action(event.action_id)}: {event.text}", who)


def _withdrawn(event: ev.StepWithdrawn, names: Names) -> str:
    return sentences(f"Never began {names.action(event.action_id)}, so it is decided anew: {event.text}")


def _finished(event: ev.StepFinished, names: Names) -> str:
    took = f" after {span(event.seconds)}" if event.seconds else ""
    what = names.action(event.action_id)
    if event.ok:
        return sentences(f"Done {what}{took}: {event.text}")
    restored = "The target is as it was before" if event.restored else ""
    return sentences(f"Failed {what}{took}: {event.text}", restored)


_PURPOSES = {
    "step": "whether step {step} helped",
    "gone": "whether it works again, now that the alert resolved",
    "hold": "whether it stays healthy",
    "cleanup": "whether it stays healthy without what was added",
    "escalated": "whether it works again",
}


def purpose_words(purpose: str, step: str | None) -> str:
    """Say what a verification looks at."""
    return _PURPOSES.get(purpose, purpose).format(step=step or "?")


def _check_began(event: ev.CheckBegan, names: Names) -> str:
    what, every, until = purpose_words(event.purpose, event.step), span(event.interval), moment(event.deadline)
    if event.purpose == "hold":
        return sentences(f"Watching {what}, every {every}, at most until {until}")
    looks = f"{event.consecutive} good looks in a row" if event.consecutive > 1 else "one good look"
    return sentences(f"Checking {what}, every {every} until {until}; {looks} will do")


def _sampled(event: ev.Sampled, names: Names) -> str:
    word = {True: "Good", False: "Bad", None: "Can't tell"}[event.verdict]
    return sentences(f"{word}: {event.text or figures(event.readings)}")


_PASSED = {
    "step": "Verified: step {step} helped",
    "hold": "Verified: it stayed healthy",
    "cleanup": "Verified: it stays healthy without what was added",
}
_FAILED = {
    "step": "Not fixed: step {step} did not help",
    "gone": "Not fixed, although the alert resolved",
    "hold": "It did not stay healthy",
    "cleanup": "It is not healthy without what was added",
}


def _verified(event: ev.Verified, names: Names) -> str:
    if event.verdict == "passed":
        said = _PASSED.get(event.purpose, "Verified: it works again")
    elif event.verdict == "failed":
        said = _FAILED.get(event.purpose, "Not fixed")
    else:
        said = f"Can't tell {purpose_words(event.purpose, event.step)}"
    numbers = before_and_after(event.before, event.after)
    holds = event.verdict == "passed" and event.hold_until is not None
    return sentences(
        f"{said.replace('{step}', event.step or '?')} ({event.text})" if event.text else said,
        f"Before -> after: {numbers}" if numbers else "",
        f"Must stay so until {moment(event.hold_until)}" if holds else "",
    )


def _escalated(event: ev.Escalated, names: Names) -> str:
    if not event.page and not event.page_at:
        return sentences(f"Left open: {event.reason}", "It is looked at again until it works or a person closes it")
    paged = f"People are paged, again at {moment(event.page_at)}" if event.page else ""
    return sentences(f"Needs a person: {event.reason}", "Automation is off for this incident", paged)


def _paged(event: ev.Paged, names: Names) -> str:
    return sentences(f"People are paged again (number {event.number})", f"Next at {moment(event.next_at)}")


def _response_missed(event: ev.ResponseMissed, names: Names) -> str:
    what = _MISSED.get(event.what, event.what).format(severity=event.severity.value)
    return sentences(f"{what} within {span(event.within)}", "People are called")


_MISSED = {
    "acknowledge": "Nobody acknowledged this {severity}",
    "assess": "This {severity} was not assessed (nobody said what to do)",
    "recover": "No attempt to repair this {severity} was made",
    "mitigate": "This {severity} was not mitigated (nothing shows that it works)",
}


def _cleanup_planned(event: ev.CleanupPlanned, names: Names) -> str:
    return sentences(f"Takes back {listed(event.steps)} at {moment(event.at)} if it stays quiet", _capital(event.text))


def _cleanup_interrupted(event: ev.CleanupInterrupted, names: Names) -> str:
    return sentences(f"Not taken back yet: {event.text}")


def _acknowledged(event: ev.Acknowledged, names: Names) -> str:
    return f"Seen by {_by(event.person, event.via)}."


def _taken_over(event: ev.TakenOver, names: Names) -> str:
    reason = f": {event.reason}" if event.reason else ""
    return sentences(f"{_by(event.person, event.via)} took over{reason}", "Automation stops; what runs is finished")


def _severity_changed(event: ev.SeverityChanged, names: Names) -> str:
    return sentences(f"{_by(event.person, event.via)} made it {event.severity.value}: {event.reason}")


def _status_reported(event: ev.StatusReported, names: Names) -> str:
    return sentences(f"Status: {event.text}")


def _paused(event: ev.Paused, names: Names) -> str:
    reason = f": {event.reason}" if event.reason else ""
    return sentences(
        f"{_by(event.person, event.via)} paused automation{reason}",
        "What runs is finished, nothing begins",
        f"People are called at {moment(event.until)} unless somebody lets it go on before",
    )


def _resumed(event: ev.Resumed, names: Names) -> str:
    reason = f": {event.reason}" if event.reason else ""
    return sentences(f"{_by(event.person, event.via)} let automation go on{reason}")


def _noted(event: ev.Noted, names: Names) -> str:
    phase = f" ({event.phase})" if event.phase else ""
    return f"{_by(event.person, event.via)}{phase}: {event.text}" if event.person else event.text


def _resolved(event: ev.Resolved, names: Names) -> str:
    evidence = figures(event.evidence)
    return sentences(f"Resolved: {event.text}", f"Evidence: {evidence}" if evidence else "")


def _closed(event: ev.Closed, names: Names) -> str:
    return sentences(f"Closed by {_by(event.person, event.via)}: {event.reason}")


def _word(kind: type[E], say: Callable[[E, Names], str]) -> tuple[type[E], Callable[..., str]]:
    return kind, say


_WORDS: dict[type[Any], Callable[..., str]] = dict(
    (
        _word(ev.Opened, _opened),
        _word(ev.AlertsChanged, _alerts),
        _word(ev.LeadChanged, _lead_changed),
        _word(ev.Diagnosed, _diagnosed),
        _word(ev.StepRefused, _refused),
        _word(ev.StepSkipped, _skipped),
        _word(ev.WouldHave, _would_have),
        _word(ev.ApprovalAsked, _asked),
        _word(ev.Voted, _voted),
        _word(ev.ApprovalEnded, _approval_ended),
        _word(ev.ApprovalSuspended, _suspended),
        _word(ev.StepStarted, _started),
        _word(ev.StepInDoubt, _in_doubt),
        _word(ev.StepWithdrawn, _withdrawn),
        _word(ev.StepFinished, _finished),
        _word(ev.CheckBegan, _check_began),
        _word(ev.Sampled, _sampled),
        _word(ev.Verified, _verified),
        _word(ev.Escalated, _escalated),
        _word(ev.Paged, _paged),
        _word(ev.ResponseMissed, _response_missed),
        _word(ev.CleanupPlanned, _cleanup_planned),
        _word(ev.CleanupInterrupted, _cleanup_interrupted),
        _word(ev.Acknowledged, _acknowledged),
        _word(ev.TakenOver, _taken_over),
        _word(ev.Paused, _paused),
        _word(ev.SeverityChanged, _severity_changed),
        _word(ev.StatusReported, _status_reported),
        _word(ev.Resumed, _resumed),
        _word(ev.Noted, _noted),
        _word(ev.Resolved, _resolved),
        _word(ev.Closed, _closed),
    )
)


def say(event: ev.Event, names: Names) -> str:
    """Return an event in words, clean of credentials and of what could disturb a terminal, `TEXT_LIMIT` at most."""
    text = _WORDS[type(event)](event, names)
    # What only names alerts comes by the thousand, and holds nothing from elsewhere.
    return clean(text if isinstance(event, ev.Opened | ev.AlertsChanged) else hide(text))
