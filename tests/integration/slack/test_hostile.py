"""An incident whose alert, notes and reasons say whatever would hurt in Slack: told whole, and nothing in it alive."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from receiver.chat.slack.buttons import Verb
from receiver.core.principal import Principal
from receiver.core.severity import Severity
from tests.integration.slack.hands import Office, office
from tests.integration.slack.test_approvals import asks
from tests.simulation.world import playbook, policy
from tests.slack_double.state import Message

pytestmark = pytest.mark.anyio

NASTY = (
    "<!channel> <!here|x> <@U0123ABCD> <#C0123ABCD> <https://evil.example|Approve> <!subteam^S666> &lt;!everyone&gt; "
    "<!date^1^{date}|x> *bold* `code` ~~ _ > quote\n# head\x00\x1b[31m \u202egnp.exe\u202c \u200b :skull: "
)
LONG = NASTY * 40
"""10,000 characters."""

OURS = re.compile(
    r"<!date\^\d+\^[a-z_{} ]+\|[^<>|]+>|<https://remediator\.example/incidents/i-[0-9a-z]+\|[^<>|]+>"
    r"|<!subteam\^S0123456>|<#C[0-9A-Z]+>"
)
ALOUD = {"approval_asked", "escalated", "response_missed", "summary"}
"""What is shown in the channel too: an answer is needed, it failed, nobody came, it is over."""


def texts(value: Any) -> list[str]:
    """Return every text of blocks."""
    if isinstance(value, dict):
        own = [value["text"]] if isinstance(value.get("text"), str) else []
        return own + [text for inner in value.values() for text in texts(inner)]
    return [text for inner in value for text in texts(inner)] if isinstance(value, list) else []


def holds(message: Message) -> None:
    assert len(message.blocks) <= 50
    for text in [message.text, *texts(message.blocks)]:
        rest = OURS.sub("", text)
        assert not set(rest) & set("<>"), rest
        assert not re.search(r"&(?!amp;|lt;|gt;)", rest)
        assert not set(rest) & set("\x00\x1b\u202e\u200b")


async def everything_said(one: Office, name: str) -> None:
    """Do with an incident what brings texts of people into Slack."""
    by, do = Principal("ann", "web"), one.scene.world.operations
    await do.note(name, by=by, text=LONG[:4000])
    await do.pause(name, by=by, reason=LONG)
    await do.resume(name, by=by, reason=LONG)
    await do.change_severity(name, by=by, severity=Severity.P2, reason=LONG)
    await do.change_severity(name, by=by, severity=Severity.P1, reason=LONG)
    await one.scene.live(30.0)
    await one.press("bob", Verb.DENY, one.card())
    await one.submit("bob", LONG[:2000])
    await one.scene.live(2000.0)
    await do.take_over(name, by=by, reason=LONG)
    await do.close_incident(name, by=by, reason=LONG)
    await one.scene.live(60.0)


async def test_nothing_that_an_alert_or_a_person_says_is_alive_or_too_long(tmp_path: Path) -> None:
    async with office(tmp_path, policy(playbook(asks(2)))) as one:
        world = one.scene.world
        world.fails()
        alert = world.alert()
        hostile = replace(
            alert,
            labels={**alert.labels, "text": NASTY, "instance": LONG[:1000]},
            annotations={"summary": LONG, "description": LONG, NASTY[:60]: NASTY},
        )
        await world.fire(hostile)
        await one.scene.live(10.0)
        await everything_said(one, (await world.incident()).id)
        assert set(one.scene.called("chat.postMessage") + one.scene.called("chat.update")) == {None}
        assert await world.store.lane("slack", 10) == []
        messages = one.scene.messages()
        assert len(messages) >= 10
        for message in [*messages, *one.scene.ops.ephemeral]:
            holds(message)
        (header,) = one.scene.top()
        assert "CLOSED" in header.blocks[0]["text"]["text"]
        assert len(header.blocks[0]["text"]["text"]) <= 150


async def test_a_declared_title_and_what_is_typed_are_text_everywhere(tmp_path: Path) -> None:
    async with office(tmp_path, policy(playbook(asks(1)))) as one:
        await one.type("rik", "declare")
        await one.fill("rik", severity="P1", reason=NASTY[:100])
        await one.scene.live(10.0)
        name = one.scene.top()[0].metadata["event_payload"]["incident"]  # type: ignore[index]
        for text in (f"severity {name} P2 {NASTY}", f"note {name} {NASTY}", f"notice {name}", "list", "status", NASTY):
            await one.type("rik", text)
        await one.scene.live(30.0)
        assert set(one.scene.called("chat.postMessage") + one.scene.called("chat.update")) == {None}
        assert len(one.scene.ops.ephemeral) == 6
        for message in [*one.scene.messages(), *one.scene.messages(one.scene.major), *one.scene.ops.ephemeral]:
            holds(message)


async def test_only_what_needs_an_answer_failed_or_is_over_is_shown_in_the_channel_too(tmp_path: Path) -> None:
    async with office(tmp_path, policy(playbook(asks(1)))) as one:
        incident = await one.asked()
        for number in range(3):
            await one.scene.world.operations.note(incident, by=Principal("ann", "web"), text=f"note {number}")
            await one.scene.live(3.0)
        await one.press("ann", Verb.APPROVE, one.card())
        await one.scene.live(3600.0)
        await one.scene.world.operations.close_incident(incident, by=Principal("ann", "web"), reason="done")
        await one.scene.live(30.0)
        aloud = 0
        for message in one.scene.thread():
            kinds = {key.rpartition("/")[2] for key in message.metadata["event_payload"]["keys"]}  # type: ignore[index]
            assert message.broadcast == bool(kinds & ALOUD), message.text
            aloud += message.broadcast
        assert aloud >= 3
