"""Settings: a flag over the environment over the default; secrets by file; every mistake in one run."""

import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from receiver.errors import SettingsError
from receiver.settings import SETTINGS, effective, flag, load, table, variable
from receiver.settings_values import (
    address,
    by_severity,
    hide_path,
    hide_url,
    hide_user,
    is_loopback,
    size,
    size_text,
    url,
    url_secrets,
    words,
)
from tests.unit.house.sources import ROOT

A_TOKEN = "a-token-of-24-characters"


def shown(name: str, flags: dict[str, str], environment: dict[str, str]) -> tuple[str, str]:
    return next((value, source) for one, value, source in effective(load(flags, environment)) if one == name)


def test_the_defaults_are_those_of_the_issue() -> None:
    settings = load({}, {})
    assert (settings.mode, str(settings.listen)) == ("observe", "127.0.0.1:9797")
    assert [str(path) for path in settings.playbooks] == ["playbooks.yaml"]
    assert (str(settings.people), settings.database) == ("people.yaml", "sqlite:///remediator.db")
    assert (settings.max_body, settings.size_cap) == (32 * 1024**2, 2 * 1024**3)
    assert settings.retention_bodies == 7 * 86_400
    assert settings.keep_alive > 300


def test_a_flag_wins_over_the_environment_and_that_over_the_default() -> None:
    assert shown("mode", {}, {}) == ("observe", "default")
    assert shown("mode", {}, {"REMEDIATOR_MODE": "act"}) == ("act", "REMEDIATOR_MODE")
    assert shown("mode", {"mode": "observe"}, {"REMEDIATOR_MODE": "act"}) == ("observe", "flag --mode")


def test_several_playbook_files_are_a_list() -> None:
    settings = load({"playbooks": "playbooks.yaml,deploy/demo.yaml"}, {})
    assert [str(path) for path in settings.playbooks] == ["playbooks.yaml", "deploy/demo.yaml"]


def test_every_mistake_is_told_in_one_run() -> None:
    environment = {
        "REMEDIATOR_KEEP_ALIVE": "300",
        "REMEDIATOR_MAX_BODY": "much",
        "REMEDIATOR_DATABASE": "postgresql://me:pw@host/db",
        "REMEDIATOR_CONCURRENCY": "0",
        "REMEDIATOR_PROMETHEUS_URL": "prometheus:9090",
        "REMEDIATOR_PLAYBOOKS": " , ",
    }
    with pytest.raises(SettingsError) as caught:
        load({"mode": "kill", "listen": "example.org:1"}, environment)
    told = caught.value.problems
    assert len(told) == 8
    for name in (*environment, "--mode", "--listen"):
        assert any(problem.startswith(f"{name}: ") for problem in told)
    assert "pw" not in str(caught.value)
    assert "write 300s" in str(caught.value)


@pytest.mark.parametrize("name", ["webhook_tokens", "webhook_password", "metrics_tokens", "escalation_secret"])
def test_a_secret_comes_from_a_file(name: str, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(f"{A_TOKEN}\n")
    file.chmod(0o600)
    environment = {f"{variable(name)}_FILE": str(file), "REMEDIATOR_WEBHOOK_USER": "am", **_needed(name)}
    settings = load({}, environment)
    value = getattr(settings, name)
    assert value == (A_TOKEN if isinstance(value, str) else (A_TOKEN,))
    assert A_TOKEN in settings.secrets
    assert settings.warnings == ()
    assert shown(name, {}, environment)[1] == f"file {file} ({variable(name)}_FILE)"


def _needed(name: str) -> dict[str, str]:
    return {} if name == "webhook_password" else {"REMEDIATOR_WEBHOOK_PASSWORD": "some-password"}


def test_a_file_of_tokens_holds_one_a_line(tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    file.write_text("first-token-of-the-webhook\n\nsecond-token-of-the-webhook\n")
    tokens = load({}, {"REMEDIATOR_WEBHOOK_TOKENS_FILE": str(file)}).webhook_tokens
    assert tokens == ("first-token-of-the-webhook", "second-token-of-the-webhook")


BAD_FILES: list[tuple[bytes | None, str]] = [
    (None, "cannot be read"),
    (b"", "is empty"),
    (b" \n", "is empty"),
    (b"\xff\xfe", "not UTF-8"),
    (b"x" * 100_000, "larger than 64 KiB"),
]


@pytest.mark.parametrize(("content", "words"), BAD_FILES)
def test_a_secret_file_that_is_no_good_is_named_without_its_content(
    content: bytes | None, words: str, tmp_path: Path
) -> None:
    file = tmp_path / "secret"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(SettingsError, match=words):
        load({}, {"REMEDIATOR_WEBHOOK_TOKENS_FILE": str(file)})


def test_a_secret_given_twice_is_a_mistake(tmp_path: Path) -> None:
    environment = {"REMEDIATOR_WEBHOOK_TOKENS": A_TOKEN, "REMEDIATOR_WEBHOOK_TOKENS_FILE": str(tmp_path / "x")}
    with pytest.raises(SettingsError, match="both set"):
        load({}, environment)


def test_a_file_that_everybody_can_read_is_warned_about(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(A_TOKEN)
    file.chmod(0o600 | stat.S_IROTH)
    (warning,) = load({}, {"REMEDIATOR_WEBHOOK_TOKENS_FILE": str(file)}).warnings
    assert "chmod 600" in warning


def test_an_unknown_variable_is_named_with_the_nearest_setting() -> None:
    (warning,) = load({}, {"REMEDIATOR_LISTEM": "x", "REMEDIATOR_ENGINE_LOCAL": "x", "OTHER": "x"}).warnings
    assert warning == "REMEDIATOR_LISTEM is no setting; did you mean REMEDIATOR_LISTEN?"


def test_a_short_token_is_warned_about_without_being_shown() -> None:
    (warning,) = load({}, {"REMEDIATOR_WEBHOOK_TOKENS": "hunter2"}).warnings
    assert "REMEDIATOR_WEBHOOK_TOKENS" in warning
    assert "hunter2" not in warning


CONTRADICTIONS = [
    ({"REMEDIATOR_WEBHOOK_USER": "am"}, "without REMEDIATOR_WEBHOOK_PASSWORD"),
    ({"REMEDIATOR_WEBHOOK_PASSWORD": "some-password"}, "without REMEDIATOR_WEBHOOK_USER"),
    ({"REMEDIATOR_WEBHOOK_USER": "a:b", "REMEDIATOR_WEBHOOK_PASSWORD": "some-password"}, "colon"),
    ({"REMEDIATOR_ESCALATION_URL": "http://pager.example"}, "REMEDIATOR_ESCALATION_SECRET"),
    ({"REMEDIATOR_WEBHOOK_TOKENS": "tökens-are-plain-ascii"}, "ASCII"),
]


@pytest.mark.parametrize(("environment", "words"), CONTRADICTIONS)
def test_settings_that_contradict_each_other_are_refused(environment: dict[str, str], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        load({}, environment)


def test_no_secret_is_ever_printed() -> None:
    secret = "a-very-secret-text-of-this-test"
    environment = {variable(one.name): secret for one in SETTINGS if one.metadata["secret"]}
    environment |= {
        "REMEDIATOR_WEBHOOK_USER": "am",
        "REMEDIATOR_SLACK_CHANNEL": "C0123ABCD",
        "REMEDIATOR_SIGN_IN": "oidc",
        "REMEDIATOR_OIDC_ISSUER": "https://id.example.com",
        "REMEDIATOR_OIDC_CLIENT_ID": "remediator",
        "REMEDIATOR_EXTERNAL_URL": "https://remediator.example.com",
        "REMEDIATOR_PROMETHEUS_URL": f"http://me:{secret}@127.0.0.1:9090",
        "REMEDIATOR_ALERTMANAGER_URL": f"http://me:{secret}@127.0.0.1:9093",
    }
    settings = load({}, environment)
    assert secret not in str(effective(settings))
    assert all(secret in one for one in settings.secrets)


@pytest.mark.parametrize("name", ["prometheus_url", "alertmanager_url", "escalation_url"])
def test_an_url_that_may_hold_a_credential_comes_from_a_file_too(name: str, tmp_path: Path) -> None:
    file = tmp_path / "url"
    file.write_text("http://me:some-password@127.0.0.1:9090\n")
    file.chmod(0o600)
    environment = {f"{variable(name)}_FILE": str(file), "REMEDIATOR_ESCALATION_SECRET": A_TOKEN}
    settings = load({}, environment)
    assert getattr(settings, name) == "http://me:some-password@127.0.0.1:9090"
    assert settings.warnings == ()
    assert shown(name, {}, environment) == ("http://***@127.0.0.1:9090", f"file {file} ({variable(name)}_FILE)")
    file.write_text("nowhere")
    with pytest.raises(SettingsError, match=f"^{variable(name)}_FILE: 'nowhere' is no URL"):
        load({}, environment)


def test_where_an_escalation_goes_is_shown_without_what_lets_others_post_there() -> None:
    parts = ("T0123/B0456", "a-secret-segment-of-24-c", "a-query-token")
    environment = {
        "REMEDIATOR_ESCALATION_URL": f"https://hooks.example/services/{parts[0]}/{parts[1]}?key={parts[2]}",
        "REMEDIATOR_ESCALATION_SECRET": A_TOKEN,
        "REMEDIATOR_PROMETHEUS_URL": f"http://127.0.0.1:9090/prom?key={parts[2]}",
    }
    settings = load({}, environment)
    assert shown("escalation_url", {}, environment)[0] == "https://hooks.example/***"
    assert shown("prometheus_url", {}, environment)[0] == "http://127.0.0.1:9090/prom?***"
    assert not any(part in str(effective(settings)) for part in parts)
    assert {parts[1], parts[2]} <= set(settings.secrets)
    assert "services" not in settings.secrets


NOTHING = [
    "REMEDIATOR_BODY_TIMEOUT", "REMEDIATOR_HEADER_TIMEOUT", "REMEDIATOR_KEEP_ALIVE", "REMEDIATOR_MAX_BODY",
    "REMEDIATOR_SIZE_CAP",
]  # fmt: skip


@pytest.mark.parametrize("name", NOTHING)
def test_a_limit_of_nothing_would_refuse_everything_and_is_refused_itself(name: str) -> None:
    with pytest.raises(SettingsError, match=rf"{name}: '0.*' is no"):
        load({}, {name: "0" if name.endswith(("BODY", "CAP")) else "0s"})


@pytest.mark.parametrize("name", ["REMEDIATOR_PEOPLE", "REMEDIATOR_ALERTMANAGER_RECEIVER"])
def test_an_empty_name_is_a_mistake(name: str) -> None:
    with pytest.raises(SettingsError, match=f"{name}: is empty"):
        load({}, {name: " "})


def test_who_needs_a_few_settings_is_not_stopped_by_mistakes_in_others() -> None:
    environment = {
        "REMEDIATOR_MAX_BODY": "much",
        "REMEDIATOR_WEBHOOK_TOKENS_FILE": "/not/there",
        "REMEDIATOR_WEBHOOK_USER": "without-password",
        "REMEDIATOR_DATABASE": "sqlite:////var/lib/r/r.db",
    }
    assert str(load({}, environment, ("database",)).kill_path) == "/var/lib/r/r.db.kill"
    with pytest.raises(SettingsError, match="REMEDIATOR_DATABASE"):
        load({}, environment | {"REMEDIATOR_DATABASE": "x"}, ("database",))


def test_the_kill_file_is_beside_the_database_unless_it_is_set() -> None:
    assert str(load({"database": "sqlite:////var/lib/r/r.db"}, {}).kill_path) == "/var/lib/r/r.db.kill"
    assert str(load({"kill_file": "/run/stop"}, {}).kill_path) == "/run/stop"


def test_a_people_file_must_exist_only_when_it_was_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load({}, {}).people_file is None
    assert load({"people": "others.yaml"}, {}).people_file == Path("others.yaml")
    (tmp_path / "people.yaml").touch()
    assert load({}, {}).people_file == Path("people.yaml")


def test_the_page_holds_todays_table() -> None:
    page = (ROOT / "docs" / "settings.md").read_text()
    assert table() in page, "docs/settings.md: put in what `remediator config --markdown` prints"


def test_every_default_can_be_read() -> None:
    for one in SETTINGS:
        one.metadata["read"](one.metadata["default"])


def test_secrets_have_no_flag() -> None:
    assert all(f"`{flag(one.name)}`" not in table() for one in SETTINGS if one.metadata["secret"])


ADDRESSES = [
    ("127.0.0.1:9797", "127.0.0.1:9797", True),
    ("localhost:1", "localhost:1", True),
    ("[::1]:9797", "[::1]:9797", True),
    (":9797", "0.0.0.0:9797", False),
    ("0.0.0.0:80", "0.0.0.0:80", False),
    ("[::]:80", "[::]:80", False),
    ("10.1.2.3:80", "10.1.2.3:80", False),
]


@pytest.mark.parametrize(("text", "told", "loopback"), ADDRESSES)
def test_addresses(text: str, told: str, loopback: bool) -> None:
    found = address(text)
    assert (str(found), found.loopback) == (told, loopback)


@pytest.mark.parametrize("text", ["", "9797", "host", "example.org:80", "127.0.0.1:", "127.0.0.1:x", "1.2.3.4:99999"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no"):
        address(text)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0", 0),
        ("512", 512),
        ("1KB", 1024),
        ("32MB", 32 << 20),
        ("32 MiB", 32 << 20),
        ("2g", 2 << 30),
        ("1TB", 1 << 40),
    ],
)
def test_sizes(text: str, number: int) -> None:
    assert size(text) == number


@given(st.integers(min_value=0, max_value=10**15))
def test_a_size_is_written_as_it_is_read(number: int) -> None:
    assert size(size_text(number)) == number


@pytest.mark.parametrize("text", ["", "-1", "1.5MB", "MB", "1XB", "ten"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no size"):
        size(text)


@pytest.mark.parametrize("text", ["ftp://x", "http://", "x", "http://a b", "http://x:port", "http://[::1", ""])
def test_what_is_no_url_is_refused_without_its_password(text: str) -> None:
    with pytest.raises(ValueError, match="is no URL"):
        url(text)


def test_a_url_loses_its_trailing_slash_and_shows_no_password() -> None:
    assert url(" http://me:pw@h:9090/prefix/ ") == "http://me:pw@h:9090/prefix"
    assert hide_user("http://me:pw@h:9090/prefix") == "http://***@h:9090/prefix"


@pytest.mark.parametrize(
    ("text", "without_query", "without_path"),
    [
        ("http://h:1/a/b?c=d#e", "http://h:1/a/b?***", "http://h:1/***"),
        ("http://me:pw@h/a#e", "http://***@h/a#***", "http://***@h/***"),
        ("http://h", "http://h", "http://h"),
        ("http://h?c=d", "http://h?***", "http://h?***"),
        ("plain?text", "plain?text", "plain?text"),
    ],
)
def test_what_of_an_url_people_are_shown(text: str, without_query: str, without_path: str) -> None:
    assert (hide_url(text), hide_path(text)) == (without_query, without_path)


def test_what_of_an_url_is_a_secret() -> None:
    assert url_secrets("http://me:pw@h/a?c=d") == ["me:pw", "pw", "c=d", "d"]
    assert url_secrets("http://h/services/abcdefghijkl", path=True) == ["abcdefghijkl"]
    assert url_secrets("http://[") == ["http://["]


def test_lists_are_parted_by_commas_and_lines() -> None:
    assert words("a, b\nc,,\n d ") == ("a", "b", "c", "d")


@pytest.mark.parametrize(("host", "told"), [("LOCALHOST", False), ("example.org", False), ("127.9.9.9", True)])
def test_loopback_is_told_by_the_address_alone(host: str, told: bool) -> None:
    assert is_loopback(host) is told


@given(st.text(max_size=60))
def test_no_text_breaks_a_reader(text: str) -> None:
    for one in SETTINGS:
        read: Any = one.metadata["read"]
        try:
            read(text)
        except ValueError as error:
            assert str(error)  # noqa: PT017 - any text may be fine or not


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("REMEDIATOR_SLACK_CHANNEL", "#ops", "no id of a channel"),
        ("REMEDIATOR_SLACK_CHANNELS", "C0123ABCD", "not of the form P1="),
        ("REMEDIATOR_SLACK_CHANNELS", "P1=#ops", "no id of a channel"),
        ("REMEDIATOR_SLACK_MENTIONS", "P5=U0123ABCD", "not of the form P1="),
        ("REMEDIATOR_SLACK_MENTIONS", "P1=ann", "neither the id of a user"),
        ("REMEDIATOR_SLACK_TOKEN", "xoxb 1", "not usable"),
    ],
)
def test_a_slack_setting_that_is_no_good_is_told_in_words(name: str, value: str, told: str) -> None:
    with pytest.raises(SettingsError, match=told) as caught:
        load({}, {"REMEDIATOR_SLACK_TOKEN": "xoxb-1", "REMEDIATOR_SLACK_CHANNEL": "C0123ABCD", name: value})
    assert name in str(caught.value)


def test_slack_settings_are_lists_by_severity() -> None:
    given = {
        "REMEDIATOR_SLACK_TOKEN": "xoxb-1", "REMEDIATOR_SLACK_CHANNEL": "C0123ABCD",
        "REMEDIATOR_SLACK_CHANNELS": "p1=C0456EFGH", "REMEDIATOR_SLACK_MENTIONS": "P1=S0123ABCD, P1=@here,P2=U0123ABCD",
    }  # fmt: skip
    found = load({}, given)
    assert found.slack_channels == ("P1=C0456EFGH",)
    assert by_severity(found.slack_mentions) == {"P1": ["S0123ABCD", "here"], "P2": ["U0123ABCD"]}


@pytest.mark.parametrize("name", ["REMEDIATOR_SLACK_TOKEN", "REMEDIATOR_SLACK_CHANNEL"])
def test_half_of_slack_is_a_mistake(name: str) -> None:
    with pytest.raises(SettingsError, match="is set without REMEDIATOR_SLACK_"):
        load({}, {name: "C0123ABCD"})
