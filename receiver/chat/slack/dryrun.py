"""The plan of a step again, made now: what people agree to may have changed since they were asked."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

from receiver.chat.slack.story import log_of
from receiver.chat.slack.text import escape
from receiver.core import events as ev
from receiver.core.alert import Alert
from receiver.core.redaction import hide_deep
from receiver.ports import Store

Json = dict[str, Any]
Simulate = Callable[[Sequence[Alert]], Awaitable[Json]]

LINES: Final = 20
WOULD: Final[Mapping[str, str]] = {
    "run": "▶ It would run.",
    "asked": "✋ People would be asked.",
    "refused": "✖ It would be refused.",
    "skipped": "· There would be nothing to do.",
}


class DryRun:
    """Tells what a step that is asked about would do now; changes nothing.

    Args:
        store: for the incident and what was asked.
        simulate: says what would be done about alerts.
        safe: takes credentials out of the texts of what is to be rendered.
    """

    def __init__(self, store: Store, simulate: Simulate, safe: Callable[[Json], Json]) -> None:
        self._store = store
        self._simulate = simulate
        self._safe = safe

    async def again(self, incident: str, approval: str) -> str:
        """Return the plan of what is asked, made anew, beside what people were asked; in Slack's form."""
        log = await log_of(self._store, incident)
        asked = next(
            (one.event for one in log if isinstance(one.event, ev.ApprovalAsked) and one.event.approval == approval),
            None,
        )
        alerts = await self._store.alerts(incident, 1)
        if asked is None or not alerts:
            return "What was asked, or its alert, is not kept any more: nothing can be planned."
        told = await self._simulate([alerts[0].alert])
        steps = told["alerts"][0].get("steps", ()) if told.get("alerts") else ()
        found = next((one for one in steps if one.get("step") == asked.step), None)
        if found is None:
            return f"Today's playbooks have no step {escape(asked.step, 90)} for this alert."
        before = hide_deep({"summary": asked.summary, "steps": list(asked.plan.get("steps", ()))})
        return "\n".join(_lines(asked.step, self._safe(before), self._safe(found)))


def _lines(step: str, before: Mapping[str, Any], found: Mapping[str, Any]) -> list[str]:
    plan, refused = found.get("plan"), found.get("refused")
    lines = [f"*Dry run of step {escape(step, 90)}, made now; nothing was changed.*"]
    if plan is None:
        return [*lines, f"It can't be planned: {escape(refused['reason'] if refused else 'not known why', 500)}"]
    lines.append(escape(plan["summary"], 500))
    lines += [f"{number}. {escape(one, 200)}" for number, one in enumerate(plan["steps"][:LINES], 1)]
    if plan.get("skip"):
        lines.append(escape(plan["skip"], 300))
    lines.append(WOULD.get(str(found.get("would")), ""))
    against = [one for one in found.get("guardrails", ()) if one.get("word") != "allowed"]
    lines += [f"· {escape(one['guardrail'], 60)}: {escape(one['reason'], 200)}" for one in against[:10]]
    same = (before["summary"], before["steps"]) == (plan["summary"], list(plan["steps"]))
    lines.append("It is what people were asked about." if same else "*It differs from what people were asked about.*")
    return lines
