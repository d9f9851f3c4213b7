"""`remediator slack check`: what is missing, in words."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from receiver.chat.slack.api import SlackApi
from receiver.chat.slack.check import OPTIONAL, ROOM_SCOPES, SCOPES, look
from receiver.chat.slack.check_doors import COMMANDS, EMAIL, GROUPS
from receiver.cli import main
from tests.integration.slack.scene import Straight
from tests.slack_double import BOT_TOKEN, Fault, Running, SlackDouble
from tests.unit.house.sources import ROOT

pytestmark = pytest.mark.anyio


async def looked(double: SlackDouble, channel: str, token: str = BOT_TOKEN) -> dict[str, bool | None]:
    """Return the findings, by their texts."""
    async with httpx.AsyncClient(transport=Straight(double)) as http:
        api = SlackApi("http://slack.example/api", token, http)
        return {one.text: one.ok for one in await look(api, {channel: "for P1"}, linked=True)}


async def test_nothing_is_missing_when_the_manifest_was_followed() -> None:
    double = SlackDouble()
    double.allow(*SCOPES, *OPTIONAL)
    channel = double.channel("ops")
    found = await looked(double, channel.id)
    assert set(found.values()) == {True}
    assert any(f"@remediator is in #ops ({channel.id}, for P1)" in text for text in found)


@pytest.mark.parametrize("scope", sorted(SCOPES))
async def test_a_missing_scope_is_named_with_what_it_is_for(scope: str) -> None:
    double = SlackDouble()
    double.allow(*(SCOPES.keys() - {scope}))
    found = await looked(double, double.channel("ops").id)
    wrong = [text for text, ok in found.items() if ok is False]
    assert any(f"scope {scope} is missing, {SCOPES[scope]}" in text for text in wrong)


@pytest.mark.parametrize("scope", sorted(ROOM_SCOPES))
async def test_a_scope_for_channels_of_incidents_is_missing_only_where_they_are_wanted(scope: str) -> None:
    double = SlackDouble()
    double.allow(*((SCOPES.keys() | ROOM_SCOPES.keys()) - {scope}))
    channel = double.channel("ops")
    async with httpx.AsyncClient(transport=Straight(double)) as http:
        api = SlackApi("http://slack.example/api", BOT_TOKEN, http)
        wanted = await look(api, {channel.id: "for P1"}, linked=True, rooms=True)
        (wrong,) = [one.text for one in wanted if one.ok is False]
        assert f"scope {scope} is missing, {ROOM_SCOPES[scope]}" in wrong
        assert not [one for one in await look(api, {channel.id: "for P1"}, linked=True) if one.ok is False]


@pytest.mark.parametrize("what", ["unknown", "archived", "outside", "private"])
async def test_what_is_wrong_with_a_channel_is_said_with_what_to_do(what: str) -> None:
    double = SlackDouble()
    channel = double.channel("ops", is_private=what == "private")
    channel.archived = what == "archived"
    if what in {"outside", "private"}:
        channel.members.clear()
    found = await looked(double, "C0NOWHERE" if what == "unknown" else channel.id)
    (wrong,) = [text for text, ok in found.items() if ok is False]
    told = {"archived": "choose another channel"}.get(what, "/invite @remediator")
    assert told in wrong


async def test_a_token_that_slack_does_not_know_is_told_without_being_shown() -> None:
    found = await looked(SlackDouble(), "C0NOWHERE", "xoxb-of-somebody-else")
    assert list(found.values()) == [False]
    assert "REMEDIATOR_SLACK_TOKEN: Slack answers invalid_auth" in next(iter(found))
    assert "somebody" not in next(iter(found))


def test_the_manifest_asks_for_exactly_the_scopes_that_are_checked() -> None:
    text = (ROOT / "deploy" / "slack-manifest.yaml").read_text()
    listed = re.findall(r"^      - ([a-z:.]+)", text, re.MULTILINE)
    assert sorted(listed) == sorted([*SCOPES, COMMANDS])
    optional = re.findall(r"^      # - ([a-z:.]+)", text, re.MULTILINE)
    assert sorted(optional) == sorted({*OPTIONAL, *EMAIL, *GROUPS})


async def test_what_is_not_done_without_an_optional_scope_is_a_hint(tmp_path: Path) -> None:
    double = SlackDouble()
    double.allow(*SCOPES)
    found = await looked(double, double.channel("ops").id)
    (hint,) = [text for text, ok in found.items() if ok is None]
    assert hint == "scope files:write is not there: incidents are told without charts"


@pytest.fixture
def slack() -> Iterator[Running]:
    with Running(SlackDouble()) as running:
        yield running


def test_the_command_says_what_it_found(
    slack: Running, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Any
) -> None:
    channel = slack.double.channel("ops")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REMEDIATOR_SLACK_TOKEN", BOT_TOKEN)
    arguments = ["slack", "check", "--slack-api-url", f"{slack.url}/api", "--slack-channel"]
    assert main([*arguments, channel.id]) == 0
    told = capsys.readouterr().out
    assert "ok      every scope is there" in told
    assert "hint    REMEDIATOR_EXTERNAL_URL is not set" in told
    assert "hint    incidents are told without charts: REMEDIATOR_PROMETHEUS_URL is not set" in told
    assert main([*arguments, "C0NOWHERE"]) == 1
    assert "missing C0NOWHERE" in capsys.readouterr().out
    slack.double.faults.add(Fault.server_error(503))
    assert main([*arguments, channel.id]) == 3
    assert "HTTP 503" in capsys.readouterr().err
    monkeypatch.delenv("REMEDIATOR_SLACK_TOKEN")
    assert main([*arguments, channel.id]) == 2
    assert "REMEDIATOR_SLACK_TOKEN (or _FILE) is not set" in capsys.readouterr().err
