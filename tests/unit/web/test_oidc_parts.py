"""The parts of the provider's sign-in that compute only, its settings, and that nobody else pays for it."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from receiver.errors import SettingsError
from receiver.settings import effective, load, table
from receiver.web.oidc import joining
from receiver.web.oidc.joining import oidc_sign_in
from receiver.web.oidc.pending import LASTS, USED, Pending
from receiver.web.oidc.provider import is_safe
from receiver.web.oidc.tokens import MOST_KEYS, read_keys
from tests.oidc_provider import rsa_key
from tests.unit.web.fakes import NOW, FixedClock

WANTED = {
    "REMEDIATOR_EXTERNAL_URL": "https://remediator.example.com",
    "REMEDIATOR_SIGN_IN": "local,oidc",
    "REMEDIATOR_OIDC_ISSUER": "https://id.example.com/",
    "REMEDIATOR_OIDC_CLIENT_ID": "remediator",
    "REMEDIATOR_OIDC_CLIENT_SECRET": "the-clients-own-secret",
}


# --- a sign-in that was begun -----------------------------------------------------------------------------------------


def test_a_begun_sign_in_is_known_by_its_cookie_until_its_time_is_over() -> None:
    pending = Pending()
    begun = pending.begin("/incidents/i-1?x=é", NOW)
    assert pending.find(begun.cookie, NOW + LASTS - 1) == begun
    assert pending.find(begun.cookie, NOW + LASTS) is None
    assert pending.find(begun.cookie, NOW - 1) is None, "it comes from the future"


def test_no_value_of_a_begun_sign_in_tells_another() -> None:
    begun = Pending().begin("/", NOW)
    values = {begun.cookie, begun.state, begun.nonce, begun.verifier}
    assert len(values) == 4
    assert all(43 <= len(one) <= 128 for one in (begun.state, begun.nonce, begun.verifier)), "as PKCE limits it"


def test_a_changed_cookie_or_one_of_another_process_is_none() -> None:
    pending = Pending()
    begun = pending.begin("/", NOW)
    for at in range(0, len(begun.cookie) - 2, 7):
        other = "A" if begun.cookie[at] != "A" else "B"
        assert pending.find(begun.cookie[:at] + other + begun.cookie[at + 1 :], NOW) is None
    assert Pending().find(begun.cookie, NOW) is None
    for made_up in ("", "é", "AAAA", "=" * 40, begun.state):
        assert pending.find(made_up, NOW) is None


def test_a_used_one_is_none_and_what_is_remembered_of_it_is_bounded() -> None:
    pending = Pending()
    first = pending.begin("/", NOW)
    pending.use(first)
    assert pending.find(first.cookie, NOW) is None
    for _ in range(USED):
        pending.use(pending.begin("/", NOW))
    assert len(pending._used) == USED


# --- keys and addresses -----------------------------------------------------------------------------------------------


def test_only_keys_that_can_sign_and_are_long_enough_are_taken() -> None:
    good = rsa_key("first").as_dict(private=False)
    bad: list[Any] = [
        {"kty": "oct", "k": "c2VjcmV0", "kid": "shared"},
        {"kty": "RSA", "n": "AQAB", "e": "AQAB", "kid": "short"},
        {"kty": "EC", "crv": "P-256", "x": "!", "y": "!"},
        {"kty": "RSA"},
        {"kty": "AKP", "alg": "ML-DSA-44"},
        {},
        "text",
        None,
    ]
    assert [one.kid for one in read_keys({"keys": [*bad, good]})] == ["first"]
    assert len(read_keys({"keys": [good] * (MOST_KEYS + 1)})) == MOST_KEYS


@pytest.mark.parametrize("document", [{}, {"keys": None}, {"keys": {}}, {"keys": "text"}])
def test_a_document_without_keys_has_none(document: dict[str, Any]) -> None:
    assert read_keys(document) == []


@pytest.mark.parametrize(
    ("url", "safe", "local"),
    [
        ("https://id.example.com/token", True, True),
        ("http://127.0.0.1:8080/token", False, True),
        ("http://id.example.com/token", False, False),
        ("http://127.0.0.1.evil.example/token", False, False),
        ("https://user@id.example.com/token", False, False),
        ("https://id.example.com/#x", False, False),
        ("https://id.example.com:x/", False, False),
        ("https://", False, False),
        ("//id.example.com/token", False, False),
        ("javascript:alert(1)", False, False),
        ("https://id.example.com/a b", False, False),
        ("https://id.exämple.com/", False, False),
    ],
)
def test_an_endpoint_is_https_or_on_loopback_with_its_issuer(url: str, *, safe: bool, local: bool) -> None:
    assert (is_safe(url, local=False), is_safe(url, local=True)) == (safe, local)


# --- settings ---------------------------------------------------------------------------------------------------------


def test_an_issuer_keeps_the_slash_at_its_end() -> None:
    assert load({}, WANTED).oidc_issuer == "https://id.example.com/"


@pytest.mark.parametrize(
    "issuer",
    [
        "http://id.example.com",
        "id.example.com",
        "https://user:password@id.example.com",
        "https://id.example.com?x=1",
        "https://id.example.com#x",
        "ftp://id.example.com",
    ],
)
def test_an_issuer_that_can_not_be_believed_is_refused(issuer: str) -> None:
    with pytest.raises(SettingsError, match="REMEDIATOR_OIDC_ISSUER") as told:
        load({}, {**WANTED, "REMEDIATOR_OIDC_ISSUER": issuer})
    assert "password@" not in str(told.value)


def test_on_loopback_an_issuer_may_be_plain_http() -> None:
    wanted = {"REMEDIATOR_OIDC_ISSUER": "http://127.0.0.1:8080", "REMEDIATOR_EXTERNAL_URL": "http://localhost:9797"}
    assert load({}, {**WANTED, **wanted}).oidc_issuer == "http://127.0.0.1:8080"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"REMEDIATOR_OIDC_ISSUER": ""}, "OIDC_ISSUER is not set"),
        ({"REMEDIATOR_OIDC_CLIENT_ID": ""}, "OIDC_CLIENT_ID is not set"),
        ({"REMEDIATOR_EXTERNAL_URL": ""}, "REMEDIATOR_EXTERNAL_URL"),
        ({"REMEDIATOR_EXTERNAL_URL": "http://remediator.example.com"}, "https address"),
        ({"REMEDIATOR_SIGN_IN": "local"}, "hasn't oidc"),
        ({"REMEDIATOR_OIDC_CLIENT_SECRET": "geheim-ü"}, "CLIENT_SECRET"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(changes: dict[str, str], told: str) -> None:
    with pytest.raises(SettingsError, match=told) as error:
        load({}, {**WANTED, **changes})
    assert "secret" not in str(error.value)


def test_the_client_s_secret_is_shown_nowhere_and_comes_from_a_file_too(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("the-clients-own-secret\n")
    file.chmod(0o600)
    without = {name: value for name, value in WANTED.items() if not name.endswith("SECRET")}
    settings = load({}, {**without, "REMEDIATOR_OIDC_CLIENT_SECRET_FILE": str(file)})
    assert settings.oidc_client_secret == "the-clients-own-secret"
    assert "the-clients-own-secret" in settings.secrets
    assert "the-clients-own-secret" not in repr(effective(settings))
    assert "--oidc-client-secret" not in table()


# --- what it costs others ---------------------------------------------------------------------------------------------


async def made(environment: dict[str, str]) -> object:
    async with httpx.AsyncClient(verify=False) as http:
        return oidc_sign_in(load({}, environment), http, FixedClock())


@pytest.mark.anyio
async def test_without_its_package_the_start_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joining, "find_spec", lambda _name: None)
    assert await made({}) is None
    with pytest.raises(SettingsError, match=r"pip install 'remediator\[oidc\]'"):
        await made(WANTED)


def test_a_service_without_it_loads_none_of_its_packages() -> None:
    code = (
        "import sys, receiver.app, receiver.serving\n"
        "sys.exit(', '.join({'authlib', 'joserfc', 'cryptography'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
