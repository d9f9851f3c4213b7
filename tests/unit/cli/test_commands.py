"""The command line without a service: usage, settings, check, tokens, the kill file."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from receiver.cli import main
from receiver.people import hash_token, is_token_hash
from tests.unit.house.sources import ROOT
from tests.unit.web.fakes import payload

Captured = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REMEDIATOR_URL", "http://127.0.0.1:1")


def test_help_is_fast_because_it_imports_nothing_heavy() -> None:
    heavy = "'asyncio', 'httpx', 'pydantic', 'starlette', 'uvicorn', 'structlog', 'docker', 'msgspec', 'ruamel'"
    code = (
        "import sys\nfrom receiver.cli import main\ntry: main(['--help'])\nexcept SystemExit: pass\n"
        f"sys.exit(', '.join({{{heavy}}} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)
    assert (done.returncode, done.stderr) == (0, "")
    assert "exit codes" in done.stdout


COMMANDS = [
    "serve", "check", "config", "simulate", "incidents", "approve", "deny", "ack", "takeover", "pause", "resume",
    "close", "note", "reload", "kill", "token", "version", "declare", "severity", "notice", "outbox", "slack", "watch",
]  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str, capsys: Captured) -> None:
    with pytest.raises(SystemExit) as caught:
        main([command, "--help"])
    assert caught.value.code == 0
    assert f"remediator {command}" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [[], ["nothing"], ["ack"], ["incidents", "--state", "foo"], ["incidents", "--severity", "P9"],
     ["deny", "i-1"], ["close", "i-1"], ["kill", "maybe"], ["serve", "--webhook-tokens", "x"],
     ["simulate"], ["serve", "--mod", "act"]],
)  # fmt: skip
def test_wrong_usage_is_exit_code_2(arguments: list[str], capsys: Captured) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage:" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [["config", "--mode", "kill"], ["incidents", "show"], ["incidents", "list", "i-1"], ["incidents", "--limit", "0"],
     ["kill", "on", "--offline", "--playbook", "x"], ["kill", "on", "--kill-file", "x"], ["incidents", "i-1"],
     ["incidents", "show", "i-1", "--open"], ["incidents", "export", "--limit", "3"],
     ["incidents", "--unmatched", "--target", "x"], ["incidents", "--unmatched", "--quarantine"],
     ["incidents", "show", "i-1", "--unmatched"], ["token", "a b: c"], ["outbox", "resend"], ["outbox", "dead", "7"],
     ["outbox", "--limit", "0"]],
)  # fmt: skip
def test_wrong_values_are_exit_code_2_and_said_in_words(arguments: list[str], capsys: Captured) -> None:
    assert main(arguments) == 2
    told = capsys.readouterr().err
    assert told.startswith("remediator: ")
    assert "Traceback" not in told


def test_config_prints_every_setting_and_where_it_came_from(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REMEDIATOR_WEBHOOK_TOKENS", "a-secret-token-of-this-test")
    assert main(["config", "--mode", "act", "--playbooks", "a.yaml", "--playbooks", "b.yaml"]) == 0
    out = capsys.readouterr().out
    assert "a-secret-token" not in out
    rows = {line.split()[0]: line.split()[1:] for line in out.splitlines()}
    assert rows["mode"] == ["act", "flag", "--mode"]
    assert rows["playbooks"][0] == "a.yaml,b.yaml"
    assert rows["webhook_tokens"] == ["***", "(1", "set)", "REMEDIATOR_WEBHOOK_TOKENS"]
    assert main(["config", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["listen"] == {"value": "127.0.0.1:9797", "from": "default"}


def test_check_finds_nothing_wrong_with_what_is_shipped(capsys: Captured) -> None:
    assert main(["check", str(ROOT / "playbooks.yaml")]) == 0
    assert "usable" in capsys.readouterr().err


@pytest.mark.parametrize("style", ["text", "json", "github"])
def test_check_prints_every_mistake_and_fails(style: str, tmp_path: Path, capsys: Captured) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text("playbooks: 5\nservises: {}\n")
    assert main(["check", str(file), "--format", style]) == 1
    out = capsys.readouterr().out
    assert "servises" in out
    if style == "text":
        assert f"{file}:2:1: " in out
    if style == "json":
        assert {"file", "line", "column", "message", "level"} <= set(json.loads(out)[0])
    if style == "github":
        assert "::error file=" in out


def test_check_of_a_file_that_is_not_there_fails(capsys: Captured) -> None:
    assert main(["check", "nowhere.yaml"]) == 1
    assert "nowhere.yaml" in capsys.readouterr().out


def test_check_looks_at_the_people_too(tmp_path: Path, capsys: Captured) -> None:
    (tmp_path / "people.yaml").write_text("people: [{id: jane}]\n")
    assert main(["check", str(ROOT / "playbooks.yaml")]) == 1
    assert "people.yaml:1" in capsys.readouterr().out


def test_a_token_is_made_with_its_hash(capsys: Captured) -> None:
    assert main(["token", "jane", "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert is_token_hash(made["hash"])
    assert hash_token(made["token"]) == made["hash"]
    assert main(["token", "jane", "--role", "admin"]) == 0
    out = capsys.readouterr().out
    assert "id: jane" in out
    assert "roles: [admin]" in out


def test_the_entry_that_is_printed_can_be_put_into_people_yaml(tmp_path: Path, capsys: Captured) -> None:
    assert main(["token", "jane"]) == 0
    entry = [line for line in capsys.readouterr().out.splitlines() if line.startswith(("  - ", "    "))]
    (tmp_path / "people.yaml").write_text("people:\n" + "\n".join(entry) + "\n")
    assert main(["check", str(ROOT / "playbooks.yaml")]) == 0


def test_the_kill_file_is_written_and_removed_without_the_service(tmp_path: Path, capsys: Captured) -> None:
    file = tmp_path / "r.db.kill"
    where = ["--database", f"sqlite:///{tmp_path}/r.db"]
    assert main(["kill", "--offline", *where]) == 0
    assert "off" in capsys.readouterr().out
    assert main(["kill", "on", "--offline", *where]) == 0
    assert file.exists()
    assert main(["kill", "on", "--offline", *where]) == 0
    assert main(["kill", "off", "--offline", *where]) == 0
    assert not file.exists()
    assert main(["kill", "off", "--offline", *where]) == 0


def test_the_offline_kill_switch_works_whatever_is_wrong_with_other_settings(
    tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REMEDIATOR_MAX_BODY", "much")
    monkeypatch.setenv("REMEDIATOR_WEBHOOK_TOKENS_FILE", "/of/the/service/alone")
    monkeypatch.setenv("REMEDIATOR_WEBHOOK_USER", "without a password")
    assert main(["kill", "on", "--offline", "--database", f"sqlite:///{tmp_path}/r.db"]) == 0
    assert (tmp_path / "r.db.kill").exists()


def test_a_kill_file_beside_no_database_is_warned_about(tmp_path: Path, capsys: Captured) -> None:
    where = ["--database", f"sqlite:///{tmp_path}/r.db"]
    assert main(["kill", "on", "--offline", *where]) == 0
    assert f"{tmp_path}/r.db doesn't exist: no service runs with that database" in capsys.readouterr().err
    (tmp_path / "r.db").touch()
    assert main(["kill", "on", "--offline", *where]) == 0
    assert capsys.readouterr().err == ""
    assert main(["kill", "on", "--offline", "--kill-file", str(tmp_path / "stop")]) == 0
    assert capsys.readouterr().err == ""


def test_check_needs_neither_the_secret_of_the_escalation_nor_other_settings(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REMEDIATOR_ESCALATION_URL", "http://pager.example/")
    monkeypatch.setenv("REMEDIATOR_MAX_BODY", "much")
    assert main(["check", str(ROOT / "playbooks.yaml")]) == 0
    assert "way to reach a person" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("REMEDIATOR_URL", "nowhere", "REMEDIATOR_URL: 'nowhere' is no URL"),
        ("REMEDIATOR_LISTEN", "nowhere", "REMEDIATOR_LISTEN: 'nowhere' is no address"),
    ],
)
def test_an_address_that_is_none_is_told_by_the_name_of_its_variable(
    name: str, value: str, words: str, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("REMEDIATOR_URL")
    monkeypatch.setenv(name, value)
    assert main(["ack", "i-1"]) == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "cannot be read: No such file"), (b" \n", "is empty"), (b"\xff", "is not UTF-8"), (b"rmd_x", "both set")],
)
def test_a_token_file_that_is_no_good_is_said_without_its_content(
    content: bytes | None, words: str, tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "token"
    if content is not None:
        file.write_bytes(content)
    if words == "both set":
        monkeypatch.setenv("REMEDIATOR_TOKEN", "rmd_other")
    monkeypatch.setenv("REMEDIATOR_TOKEN_FILE", str(file))
    assert main(["ack", "i-1"]) == 2
    told = capsys.readouterr().err
    assert words in told
    assert "rmd_" not in told


def test_a_kill_file_that_cannot_be_written_is_an_error(tmp_path: Path, capsys: Captured) -> None:
    assert main(["kill", "on", "--offline", "--kill-file", str(tmp_path / "no" / "where")]) == 1
    assert "No such file" in capsys.readouterr().err


def test_simulate_without_the_service_still_tells_what_matches(tmp_path: Path, capsys: Captured) -> None:
    file = tmp_path / "payload.json"
    file.write_bytes(payload("01-single-firing"))
    assert main(["simulate", str(file), "--playbooks", str(ROOT / "playbooks.yaml")]) == 0
    told = capsys.readouterr()
    assert "no playbook" in told.out
    assert "need the running service" in told.err


@pytest.mark.parametrize("content", [b"", b"nonsense", b'{"version": "3"}'])
def test_simulate_says_what_is_wrong_with_a_payload(content: bytes, tmp_path: Path, capsys: Captured) -> None:
    file = tmp_path / "payload.json"
    file.write_bytes(content)
    assert main(["simulate", str(file), "--playbooks", str(ROOT / "playbooks.yaml")]) == 1
    assert "Traceback" not in capsys.readouterr().err


def test_a_payload_that_is_not_there_is_said(capsys: Captured) -> None:
    assert main(["simulate", "nowhere.json"]) == 1
    assert "nowhere.json" in capsys.readouterr().err


def test_serve_with_wrong_settings_starts_nothing(capsys: Captured) -> None:
    assert main(["serve", "--listen", "nowhere"]) == 2
    assert "--listen" in capsys.readouterr().err


def test_the_version_is_printed(capsys: Captured) -> None:
    assert main(["version"]) == 0
    told = capsys.readouterr().out
    assert told.startswith("remediator ")
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert (caught.value.code, capsys.readouterr().out) == (0, told)
