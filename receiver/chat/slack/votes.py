"""Votes from Slack: a vote is for the request on the card that was pressed; who comes too late is told the decision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from receiver.chat.slack.blocks import DECISIONS, Card
from receiver.chat.slack.buttons import VOTES, Press, Verb
from receiver.chat.slack.private import PrivateAnswers
from receiver.chat.slack.story import card_of, log_of
from receiver.chat.slack.text import code, escape
from receiver.chat.slack.verbs import said
from receiver.core.events import Recorded
from receiver.core.principal import Principal
from receiver.ports import Store
from receiver.verbs import Operations


class Votes:
    """Takes votes.

    Args:
        store: to see what stands.
        operations: people's verbs.
        answers: takes credentials out of what people are told.
    """

    def __init__(self, store: Store, operations: Operations, answers: PrivateAnswers) -> None:
        self._store = store
        self._operations = operations
        self._answers = answers

    async def vote(self, press: Press, by: Principal, reason: str) -> tuple[bool, str]:
        """Vote; returns whether it counts and what the person is told: when too late, the decision that stands."""
        approve = press.verb is not Verb.DENY
        answer = await self._operations.vote(
            press.incident, by=by, approve=approve, reason=reason, approval=press.approval
        )
        late = "" if answer.ok else await self.too_late(press)
        return answer.ok, late or said(answer, press.incident, self._answers.safe)

    async def too_late(self, press: Press) -> str:
        """Return how what a vote is about was decided, empty while it waits."""
        if press.verb not in VOTES or press.approval is None:
            return ""
        incident = await self._store.incident(press.incident)
        approval = incident.approval if incident is not None else None
        if approval is not None and approval.id == press.approval and approval.state == "pending":
            return ""
        card = self._card(await log_of(self._store, press.incident), press.approval)
        if card is None:
            return f"{code(press.incident)} asks for nothing of the kind; this button changed nothing."
        mark, word = DECISIONS.get(card.state, ("⏹️", "Over"))
        if card.state == "pending":
            word, mark = "Not open any more", "⏹️"
        decision = f": {escape(card.decision, 700)}" if card.decision else ""
        return f"{mark} Too late. Step {escape(card.step, 90)}: {word.lower()}{decision}. Your press changed nothing."

    def _card(self, log: Sequence[Recorded], approval: str) -> Card | None:
        card = card_of(log, approval, "")
        return Card(**self._answers.safe(asdict(card))) if card is not None else None
