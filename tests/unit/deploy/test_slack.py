"""The demo's Slack: played and kept as a page, or the real one when its token is set."""

from pathlib import Path

import httpx
import pytest

from deploy.demo.slack import TOKENS, running_slack
from receiver.settings import load


@pytest.fixture(autouse=True)
def nobodys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in TOKENS:
        monkeypatch.delenv(name, raising=False)


def test_it_is_played_and_what_was_said_is_kept_in_one_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with running_slack("http://127.0.0.1:1", tmp_path) as slack:
        assert slack.double is not None
        settings = load({}, dict(slack.settings))
        assert settings.slack_token
        channel = slack.double.team.channels[settings.slack_channel or ""]
        slack.double.say(channel, channel.members[-1], "hello <b>there</b>")
        assert "hello &lt;b&gt;there" in httpx.get(slack.page).text
        assert slack.page in capsys.readouterr().out
        slack.keep(tmp_path / "slack.html")
    assert "hello &lt;b&gt;there" in (tmp_path / "slack.html").read_text()


def test_with_a_real_token_nothing_is_played(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("REMEDIATOR_SLACK_TOKEN", "xoxb-of-somebody")
    monkeypatch.setenv("REMEDIATOR_SLACK_CHANNEL", "C0123ABCD")
    monkeypatch.setenv("REMEDIATOR_MODE", "act")
    with running_slack("http://127.0.0.1:1", tmp_path) as slack:
        assert slack.double is None
        assert set(slack.settings) == {"REMEDIATOR_SLACK_TOKEN", "REMEDIATOR_SLACK_CHANNEL"}
        slack.keep(tmp_path / "slack.html")
    assert not (tmp_path / "slack.html").exists()
